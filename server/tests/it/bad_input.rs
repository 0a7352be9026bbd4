//! Bad input, table by table, over every endpoint: the dialect's own error, never a 5xx, nothing half applied, and the server goes on.

use serde_json::{Value, json};
use testkit::person::Answer;

use crate::support::{CALLBACK, Engine, PASSWORD, Plan, Portward, Tokens, order};

/// A megabyte.
const LONG: usize = 1_000_000;
const NESTED: [&str; 9] = [
    "access_token_invalid",
    "internal_error",
    "invalid_params",
    "permission_denied",
    "rate_limit_exceeded",
    "scope_not_authorized",
    "scope_permission_missed",
    "service_unavailable",
    "ok",
];
const FLAT: [&str; 9] = [
    "access_denied",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "temporarily_unavailable",
];

/// The failures of one table, so that one run tells them all.
#[derive(Default)]
struct Table {
    faults: Vec<String>,
    calls: usize,
}

impl Table {
    fn expect(&mut self, right: bool, what: &str, answer: &Answer) {
        if !right {
            let body: String = String::from_utf8_lossy(&answer.bytes).chars().take(300).collect();
            self.faults.push(format!("{what}: {} {:?} {body}", answer.status, answer.headers.get("content-type")));
        }
    }

    /// An error of the data calls (contract 6).
    fn nested(&mut self, what: &str, answer: &Answer, statuses: &[u16], code: &str) {
        self.calls += 1;
        let error = &answer.json["error"];
        let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
        self.expect(statuses.contains(&answer.status), &format!("{what}: status, wanted {statuses:?}"), answer);
        self.expect(NESTED.contains(&answer.code()), &format!("{what}: a code of the catalogue"), answer);
        self.expect(code.is_empty() || answer.code() == code, &format!("{what}: code, wanted {code}"), answer);
        self.expect(text("message").len() > 5 || answer.status == 200, &format!("{what}: a message that helps"), answer);
        self.log_id(what, answer, &text("log_id"));
        self.expect(
            answer.json.get("error").is_some() && answer.json.get("error_description").is_none(),
            &format!("{what}: one dialect"),
            answer,
        );
    }

    /// An error of OAuth (contract 3.6).
    fn flat(&mut self, what: &str, answer: &Answer, statuses: &[u16], error: &str) {
        self.calls += 1;
        let text = |name: &str| answer.json[name].as_str().unwrap_or_default().to_owned();
        self.expect(statuses.contains(&answer.status), &format!("{what}: status, wanted {statuses:?}"), answer);
        self.expect(FLAT.contains(&text("error").as_str()), &format!("{what}: an error of the catalogue"), answer);
        self.expect(error.is_empty() || text("error") == error, &format!("{what}: error, wanted {error}"), answer);
        self.expect(text("error_description").len() > 8, &format!("{what}: a description that helps"), answer);
        self.log_id(what, answer, &text("log_id"));
    }

    /// A page of ours.
    fn page(&mut self, what: &str, answer: &Answer, statuses: &[u16]) {
        self.calls += 1;
        self.expect(statuses.contains(&answer.status), &format!("{what}: status, wanted {statuses:?}"), answer);
        let header = |name: &str| answer.headers.get(name).cloned().unwrap_or_default();
        self.expect(header("x-tt-logid").len() == 34, &format!("{what}: a log id"), answer);
        if answer.status != 303 {
            self.expect(header("content-type") == "text/html; charset=utf-8", &format!("{what}: a page"), answer);
            self.expect(
                header("content-security-policy").contains("frame-ancestors 'none'"),
                &format!("{what}: its policy"),
                answer,
            );
            self.expect(header("cache-control") == "no-store", &format!("{what}: not stored"), answer);
            self.expect(header("referrer-policy") == "no-referrer", &format!("{what}: no referrer"), answer);
            let html = String::from_utf8_lossy(&answer.bytes);
            self.expect(!html.contains("<script>alert"), &format!("{what}: nothing of the input runs"), answer);
        } else {
            let to = header("location");
            self.expect(
                to.starts_with('/') && !to.starts_with("//") && !to.contains('\\'),
                &format!("{what}: stays here, not {to}"),
                answer,
            );
        }
    }

    fn log_id(&mut self, what: &str, answer: &Answer, log_id: &str) {
        let header = answer.headers.get("x-tt-logid").cloned().unwrap_or_default();
        self.expect(log_id.len() == 34 && header == log_id, &format!("{what}: x-tt-logid is the log id"), answer);
        self.expect(
            answer.headers.get("content-type").is_some_and(|kind| kind.contains("json")),
            &format!("{what}: JSON"),
            answer,
        );
    }

    fn check(&self) {
        assert!(self.faults.is_empty(), "{} faults in {} calls:\n{}", self.faults.len(), self.calls, self.faults.join("\n"));
    }

    /// The server is none the worse.
    async fn end(self, portward: &mut Portward) {
        self.check();
        assert!(self.calls > 20, "the table is empty");
        assert!(portward.is_alive());
        let health = portward.http.get(format!("{}/readyz", portward.ops)).send().await.expect("an answer");
        assert_eq!(health.status(), 200);
        let log = portward.log();
        for sign in ["panicked", "\"ERROR\"", "call failed", "page failed"] {
            assert!(!log.contains(sign), "{sign}: {}", log.lines().find(|line| line.contains(sign)).unwrap_or_default());
        }
    }
}

/// What a parameter can be wrong by, percent-escaped, by name. `None` leaves it out; two of them repeat it.
fn wrongs(long: usize) -> Vec<(&'static str, Vec<String>)> {
    let one = |text: &str| vec![text.to_owned()];
    vec![
        ("absent", vec![]),
        ("repeated", vec!["a".into(), "b".into()]),
        ("empty", one("")),
        ("blank", one("%20")),
        ("a number", one("12345")),
        ("nul", one("a%00b")),
        ("not UTF-8", one("%ff%fe")),
        ("half an escape", one("%4")),
        ("line ends", one("a%0d%0aSet-Cookie:%20x=y")),
        ("markup", one("%22%3E%3Cscript%3Ealert(1)%3C/script%3E")),
        ("quotes of SQL", one("%27%20or%20%271%27=%271")),
        ("long", vec!["x".repeat(long)]),
    ]
}

/// A query or form with one of its parameters replaced.
fn with(good: &[(&str, String)], name: &str, values: &[String]) -> String {
    let mut pairs: Vec<String> =
        good.iter().filter(|(held, _)| *held != name).map(|(held, value)| format!("{held}={value}")).collect();
    pairs.extend(values.iter().map(|value| format!("{name}={value}")));
    pairs.join("&")
}

fn escaped(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn read(call: reqwest::RequestBuilder) -> Answer {
    Answer::read(call.send().await.expect("an answer")).await
}

fn body(portward: &Portward, call: &str, token: &str, kind: &str, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
    let post =
        portward.http.post(portward.url(&format!("/v2/user/data/{call}/?fields=request_id"))).bearer_auth(token).body(body);
    if kind.is_empty() { post } else { post.header("content-type", kind) }
}

const JSON: &str = "application/json";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_add() {
    let mut portward = Portward::start(Engine::Sqlite, "");
    let tokens = portward.tokens("portability.activity.single").await;
    let mut table = Table::default();
    let good = order(&["activity"]).to_string();
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let list = |list: &str| format!("{{\"data_format\":\"json\",\"category_selection_list\":{list}}}").into_bytes();
    let format = |format: &str| format!("{{\"data_format\":{format},\"category_selection_list\":[\"activity\"]}}").into_bytes();
    let mut bodies: Vec<Vec<u8>> = [
        "",
        " ",
        "{",
        "}",
        "null",
        "[]",
        "\"x\"",
        "1",
        "{}",
        "{\"data_format\":\"json\"}",
        "{\"category_selection_list\":[\"activity\"]}",
        "{\"data_format\":\"json\",\"data_format\":\"json\",\"category_selection_list\":[\"activity\"]}",
        "data_format=json&category_selection_list=activity",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    for bad in ["null", "\"\"", "\"xml\"", "\"JSON\"", "1", "true", "[]", "{}", "[\"json\"]", "\"json\\u0000\"", "\"json \""] {
        bodies.push(format(bad));
    }
    let many = format!("[{}\"activity\"]", "\"activity\",".repeat(100));
    for bad in [
        "null",
        "\"activity\"",
        "[]",
        "{}",
        "1",
        "[1]",
        "[null]",
        "[[\"activity\"]]",
        "[\"\"]",
        "[\"nope\"]",
        "[\"activity\",\"nope\"]",
        "[\"Activity\"]",
        "[\"activity\\u0000\"]",
        "[\"activity \"]",
        "[\"\\ud800\"]",
        "[\"' or 1=1 --\"]",
        "[\"portability.activity\"]",
        &many,
    ] {
        bodies.push(list(bad));
    }
    bodies.push(list(&format!("[\"{}\"]", "a".repeat(50_000))));
    bodies.push(deep(20_000).into_bytes());
    bodies.push(list(&deep(5_000)));
    bodies.push(format(&deep(5_000)));
    bodies.push([b"\xef\xbb\xbf", good.as_bytes()].concat());
    bodies.push(b"{\"data_format\":\"json\",\"category_selection_list\":[\"activ\xffity\"]}".to_vec());
    bodies.push([good.as_bytes(), b"\0"].concat());
    bodies.push([good.as_bytes(), good.as_bytes()].concat());
    for bad in &bodies {
        let what: String = String::from_utf8_lossy(bad).chars().take(80).collect();
        let answer = read(body(&portward, "add", &tokens.access, JSON, bad.clone())).await;
        table.nested(&what, &answer, &[400], "invalid_params");
    }
    for size in [64 * 1024 + 1, LONG, 7 * LONG] {
        for _ in 0..3 {
            let padded = format!("{good}{}", " ".repeat(size - good.len()));
            let answer = read(body(&portward, "add", &tokens.access, JSON, padded)).await;
            table.nested(&format!("{size} bytes"), &answer, &[413], "invalid_params");
        }
    }
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "json",
        "\u{e9}",
    ] {
        let answer = read(body(&portward, "add", &tokens.access, kind, good.clone())).await;
        table.nested(kind, &answer, &[415], "invalid_params");
    }
    for (name, values) in wrongs(60_000) {
        let answer = read(
            portward
                .http
                .post(portward.url(&format!("/v2/user/data/add/?{}", with(&[], "fields", &values))))
                .bearer_auth(&tokens.access)
                .json(&json!({ "data_format": "json" })),
        )
        .await;
        table.nested(&format!("fields {name}"), &answer, &[400], "invalid_params");
    }
    let key = |value: &'static [u8]| {
        let value = reqwest::header::HeaderValue::from_bytes(value).expect("a header");
        body(&portward, "add", &tokens.access, JSON, good.clone()).header("idempotency-key", value)
    };
    for (what, call) in [
        ("an empty key", key(b"")),
        ("a blank key", key(b" ")),
        ("a key that is no text", key(b"a\xff")),
        ("a long key", key(&[b'k'; 256])),
        ("two keys", key(b"a").header("idempotency-key", "b")),
    ] {
        table.nested(what, &read(call).await, &[400], "invalid_params");
    }
    // A field that means nothing to us is passed over, however deep it is.
    let body_of_check = format!("{{\"x\":{},\"request_id\":1}}", deep(20_000));
    let answer = read(body(&portward, "check", &tokens.access, JSON, body_of_check)).await;
    table.nested("a deep field of no meaning", &answer, &[400], "invalid_params");
    table.check();
    // Nothing was half applied: the single is whole, and the same call in its best form is taken.
    assert_eq!(portward.number("select count(*) from requests").await, 0);
    assert_eq!(portward.number("select count(*) from grant_scopes where spent_on is not null").await, 0);
    let taken = read(body(&portward, "add", &tokens.access, "Application/JSON; charset=utf-8", good)).await;
    assert_eq!(taken.status, 200, "{}", taken.json);
    table.end(&mut portward).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_and_fields() {
    let mut portward = Portward::start(Engine::Sqlite, "");
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let own = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled(&tokens.access, own).await, "downloading");
    // Another person's of this app, and this person's of another app.
    portward.add_person("ben", "8", "FR");
    let bens = portward.tokens_of(&portward.browser("ben"), "portability.directmessages.ongoing").await;
    let foreign = portward.add(&bens.access, &["direct_message"]).await.request_id();
    let other = portward.admin(&[
        "app",
        "create",
        "--name",
        "Other",
        "--status",
        "live",
        "--redirect-uri",
        CALLBACK,
        "--scope",
        "user.info.basic,portability.activity.ongoing",
    ]);
    let keys = (portward.client_key.clone(), portward.client_secret.clone());
    other["client_key"].as_str().expect("a key").clone_into(&mut portward.client_key);
    other["client_secret"].as_str().expect("a secret").clone_into(&mut portward.client_secret);
    let others = portward.tokens("portability.activity.ongoing").await;
    let elsewhere = portward.add(&others.access, &["activity"]).await.request_id();
    (portward.client_key, portward.client_secret) = keys;

    let mut table = Table::default();
    for call in ["check", "cancel", "download"] {
        let url = |query: &str| portward.url(&format!("/v2/user/data/{call}/?{query}"));
        for bad in [
            "",
            "{}",
            "{",
            "null",
            "[]",
            "7",
            "{\"request_id\":null}",
            "{\"request_id\":\"\"}",
            "{\"request_id\":\"abc\"}",
            "{\"request_id\":-1}",
            "{\"request_id\":\"-1\"}",
            "{\"request_id\":0}",
            "{\"request_id\":1.5}",
            "{\"request_id\":true}",
            "{\"request_id\":[1]}",
            "{\"request_id\":{\"a\":1}}",
            "{\"request_id\":9007199254740992}",
            "{\"request_id\":9223372036854775808}",
            "{\"request_id\":99999999999999999999999999}",
            "{\"request_id\":1e3}",
            "{\"request_id\":\"1e3\"}",
            "{\"request_id\":\" 12\"}",
            "{\"request_id\":\"+12\"}",
            "{\"request_id\":\"0x10\"}",
            "{\"request_id\":\"12\\u0000\"}",
            "{\"request_id\":\"\u{661}\u{662}\"}",
            "{\"request_id\":12345678901}",
            "{\"request_id\":\"12345678901\"}",
            &format!("{{\"request_id\":{foreign}}}"),
            &format!("{{\"request_id\":{elsewhere}}}"),
            &format!("{{\"request_id\":\"{foreign}\"}}"),
        ] {
            let answer = read(body(&portward, call, &tokens.access, JSON, bad.to_owned())).await;
            table.nested(&format!("{call} {bad}"), &answer, &[400], "invalid_params");
            table.expect(
                (answer.json["error"]["http_status_code"] == 400) == (call == "download"),
                &format!("{call} {bad}: http_status_code"),
                &answer,
            );
            table.expect(answer.json.get("data").is_some() == (call != "cancel"), &format!("{call} {bad}: data"), &answer);
        }
        for (name, values) in wrongs(60_000) {
            let answer = read(
                portward
                    .http
                    .post(url(&with(&[("fields", "request_id".into())], "request_id", &values)))
                    .bearer_auth(&tokens.access),
            )
            .await;
            table.nested(&format!("{call} request_id {name} in the query"), &answer, &[400], "invalid_params");
        }
        let huge = format!("{{\"request_id\":{own},\"x\":\"{}\"}}", "x".repeat(LONG));
        table.nested(
            &format!("{call} a megabyte"),
            &read(body(&portward, call, &tokens.access, JSON, huge)).await,
            &[413],
            "invalid_params",
        );
        let kind = read(body(&portward, call, &tokens.access, "text/plain", format!("{{\"request_id\":{own}}}"))).await;
        table.nested(&format!("{call} text/plain"), &kind, &[415], "invalid_params");
    }
    for (name, values) in wrongs(60_000) {
        // Left out, they are all.
        if matches!(name, "absent" | "empty" | "blank") {
            continue;
        }
        let query = with(&[], "fields", &values);
        let check = portward.http.post(portward.url(&format!("/v2/user/data/check/?{query}"))).bearer_auth(&tokens.access);
        let answer = read(check.json(&json!({ "request_id": own }))).await;
        table.nested(&format!("check fields {name}"), &answer, &[400], "");
        let info = read(portward.http.get(portward.url(&format!("/v2/user/info/?{query}"))).bearer_auth(&tokens.access)).await;
        // Unknown names are passed over there (rule 22); what cannot be read is not.
        let statuses: &[u16] = if matches!(name, "repeated" | "not UTF-8") { &[400] } else { &[200, 400] };
        table.nested(&format!("info fields {name}"), &info, statuses, "");
    }
    let info = read(portward.http.get(portward.url("/v2/user/info/")).bearer_auth(&tokens.access)).await;
    table.nested("info without fields", &info, &[400], "invalid_params");
    let info =
        read(portward.http.get(portward.url("/v2/user/info/?fields=username,bio_description")).bearer_auth(&tokens.access)).await;
    table.nested("info that was not granted", &info, &[401], "scope_not_authorized");

    // All of this has changed nothing, and the id is taken in all its lawful places.
    assert_eq!(portward.number("select count(*) from requests where status = 'cancelled'").await, 0);
    for good in [
        format!("{{\"request_id\":{own}}}"),
        format!("{{\"request_id\":\"{own}\"}}"),
        format!(" {{\"request_id\":{own},\"more\":[1]}} "),
    ] {
        assert_eq!(read(body(&portward, "check", &tokens.access, JSON, good)).await.status, 200);
    }
    let query = portward.http.post(portward.url(&format!("/v2/user/data/check?request_id={own}"))).bearer_auth(&tokens.access);
    assert_eq!(read(query).await.status, 200);
    portward.download(&tokens.access, own).await;
    table.end(&mut portward).await;
}

/// Each way in which a token can be none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens() {
    let mut portward = Plan::new(Engine::Sqlite).toml("[tokens]\naccess = \"2 s\"\n").install();
    portward.serve(&[]);
    let expired = portward.tokens("portability.activity.single").await;
    let revoked = portward.tokens("portability.activity.single").await;
    assert_eq!(portward.oauth("/v2/oauth/revoke/", &[("token", &revoked.access)]).await.json, json!({}));
    let client = portward.token(&[("grant_type", "client_credentials")]).await;
    let client = client.json["access_token"].as_str().expect("a client token").to_owned();
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    let mut table = Table::default();
    let long = format!("act.{}", "x".repeat(10_000));
    let values: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("none", vec![]),
        ("empty", vec![b"".to_vec()]),
        ("a word only", vec![b"Bearer".to_vec()]),
        ("nothing behind the word", vec![b"Bearer ".to_vec()]),
        ("unknown", vec![b"Bearer act.unknown".to_vec()]),
        ("expired", vec![format!("Bearer {}", expired.access).into()]),
        ("revoked", vec![format!("Bearer {}", revoked.access).into()]),
        ("a refresh token", vec![format!("Bearer {}", expired.refresh).into()]),
        ("an app's own", vec![format!("Bearer {client}").into()]),
        ("an app's own, dressed up", vec![format!("Bearer {}", client.replace("clt.", "act.")).into()]),
        ("two", vec![format!("Bearer {}", expired.access).into(), b"Bearer act.x".to_vec()]),
        ("another scheme", vec![b"Basic YTpi".to_vec()]),
        ("not UTF-8", vec![b"Bearer act.\xff\xfe".to_vec()]),
        ("long", vec![format!("Bearer {long}").into()]),
        ("of SQL", vec![b"Bearer act.' or '1'='1".to_vec()]),
    ];
    for path in [
        "/v2/user/data/add/",
        "/v2/user/data/check/",
        "/v2/user/data/cancel/",
        "/v2/user/data/download/",
        "/v2/user/info/?fields=open_id",
    ] {
        for (name, values) in &values {
            let url = portward.url(path);
            let mut call =
                if path.contains("info") { portward.http.get(url) } else { portward.http.post(url).json(&order(&["activity"])) };
            for value in values {
                call = call.header("authorization", reqwest::header::HeaderValue::from_bytes(value).expect("a header"));
            }
            let answer = read(call).await;
            table.nested(&format!("{path} {name}"), &answer, &[401], "access_token_invalid");
        }
    }
    assert_eq!(portward.number("select count(*) from requests").await, 0);
    // The family of the expired one lives, and refreshes with its single whole.
    let fresh = Tokens::of(&portward.token(&[("grant_type", "refresh_token"), ("refresh_token", &expired.refresh)]).await);
    assert_eq!(fresh.scope, "user.info.basic,portability.activity.single");
    // The word before the token may be missing, or spelt otherwise (contract 4).
    for value in [fresh.access.clone(), format!("bearer {}", fresh.access), format!("BEARER   {}", fresh.access)] {
        let call = portward
            .http
            .post(portward.url("/v2/user/data/check/"))
            .header("authorization", value)
            .json(&json!({ "request_id": 1 }));
        table.nested("a live one", &read(call).await, &[400], "invalid_params");
    }
    table.end(&mut portward).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn methods_and_paths() {
    let mut portward = Portward::start(Engine::Sqlite, "");
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let mut table = Table::default();
    let call = |method: &str, path: &str| {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        read(portward.http.request(method, portward.url(path)).bearer_auth(&tokens.access))
    };
    for slash in ["", "/"] {
        for name in ["add", "check", "cancel", "download"] {
            for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
                let path = format!("/v2/user/data/{name}{slash}");
                let answer = call(method, &path).await;
                table.nested(&format!("{method} {path}"), &answer, &[405], "invalid_params");
                table.expect(
                    answer.headers.get("allow").is_some_and(|allow| allow == "POST"),
                    &format!("{method} {path}: allow"),
                    &answer,
                );
            }
        }
        for name in ["token", "revoke"] {
            for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
                let path = format!("/v2/oauth/{name}{slash}");
                let answer = call(method, &path).await;
                table.flat(&format!("{method} {path}"), &answer, &[405], "invalid_request");
                table.expect(
                    answer.headers.get("allow").is_some_and(|allow| allow == "POST"),
                    &format!("{method} {path}: allow"),
                    &answer,
                );
            }
        }
        for method in ["POST", "PUT", "DELETE", "BREW"] {
            table.nested(method, &call(method, &format!("/v2/user/info{slash}?fields=open_id")).await, &[405], "invalid_params");
            table.page(method, &call(method, &format!("/v2/auth/authorize{slash}")).await, &[405]);
        }
    }
    for path in
        ["/v2/", "/v2/user/", "/v2/user/data/", "/v2/user/data/add/x", "/v2/user/data/nothing/", "/v2/user/%00", "/v2/user/%ff"]
    {
        table.nested(path, &call("POST", path).await, &[404], "invalid_params");
    }
    for path in ["/v2/oauth/", "/v2/oauth/nothing/", "/v2/oauth/token/x"] {
        table.flat(path, &call("POST", path).await, &[404], "invalid_request");
    }
    for path in [
        "/nothing",
        "/v1/",
        "/%00",
        "/%ff",
        "/../../etc/passwd",
        "/assets/../portward.keys",
        "/assets/%2e%2e%2fportward.toml",
        "/assets/nothing",
        "/avatars/x.svg",
        "/login/x",
        "/developers",
        "/callback",
        "//evil.example/",
    ] {
        table.page(path, &call("GET", path).await, &[404]);
    }
    for (method, path) in [
        ("POST", "/"),
        ("PUT", "/login"),
        ("GET", "/logout"),
        ("GET", "/consent"),
        ("DELETE", "/connections"),
        ("GET", "/connections/withdraw"),
    ] {
        table.page(&format!("{method} {path}"), &call(method, path).await, &[405]);
    }
    table.end(&mut portward).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oauth() {
    let mut portward = Portward::start(Engine::Sqlite, "[tokens]\nfailures_per_minute = 100000\n");
    let mut table = Table::default();
    let browser = portward.browser("anna");
    // A challenge, so that no table with a wrong verifier can use the code up.
    let verifier = "a".repeat(50);
    let challenge = sha(&verifier);
    let address = format!(
        "{}&code_challenge={challenge}&code_challenge_method=S256",
        portward.authorize_url("portability.activity.single")
    );
    let callback = browser.authorize(&address, &testkit::person::Decision::AllowAll).await;
    let code = callback.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
    let tokens = portward.tokens_of(&browser, "portability.activity.single").await;
    let own = [("client_key", portward.client_key.clone()), ("client_secret", portward.client_secret.clone())];
    let with_own = |more: &[(&'static str, &str)]| {
        let more = more.iter().map(|(name, value)| (*name, escaped(value)));
        own.iter().cloned().chain(more).collect::<Vec<_>>()
    };
    let exchange = with_own(&[
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", &verifier),
    ]);
    let refresh = with_own(&[("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh)]);
    let revoke = with_own(&[("token", &tokens.access)]);
    let form = "application/x-www-form-urlencoded";
    let post = |path: &str, kind: &str, body: String| {
        let call = portward.http.post(portward.url(path)).body(body);
        read(if kind.is_empty() { call } else { call.header("content-type", kind) })
    };
    for (path, good) in [("/v2/oauth/token/", &exchange), ("/v2/oauth/token/", &refresh), ("/v2/oauth/revoke/", &revoke)] {
        for (name, _) in good {
            if path.contains("revoke") && *name == "token" {
                continue;
            }
            for (wrong, values) in wrongs(60_000) {
                let answer = post(path, form, with(good, name, &values)).await;
                table.flat(&format!("{path} {name} {wrong}"), &answer, &[400, 401], "");
            }
            let answer = post(path, form, with(good, name, &["x".repeat(LONG)])).await;
            table.flat(&format!("{path} {name} a megabyte"), &answer, &[413], "invalid_request");
        }
        for kind in ["application/json", "text/plain", "multipart/form-data; boundary=x", ""] {
            let answer = post(path, kind, with(good, "", &[])).await;
            table.flat(&format!("{path} as {kind:?}"), &answer, &[415], "");
        }
        table.flat(&format!("{path} without a body"), &post(path, "", String::new()).await, &[400, 401], "");
    }
    for (wrong, values) in [
        ("absent", vec![]),
        ("repeated", vec!["a".to_owned(), "b".to_owned()]),
        ("not UTF-8", vec!["%ff".to_owned()]),
        ("empty", vec![String::new()]),
    ] {
        let answer = post("/v2/oauth/revoke/", form, with(&revoke, "token", &values)).await;
        table.flat(&format!("revoke token {wrong}"), &answer, &[400], "invalid_request");
    }
    // Revoking what is nobody's is no fault (RFC 7009 2.2), and tells nothing.
    for unknown in ["act.unknown", "x", &"x".repeat(50_000), "%00"] {
        assert_eq!(post("/v2/oauth/revoke/", form, with(&revoke, "token", &[unknown.to_owned()])).await.json, json!({}));
    }
    // The code and the tokens have come through all of this.
    let exchanged = Tokens::of(&post("/v2/oauth/token/", form, with(&exchange, "", &[])).await);
    assert_eq!(exchanged.scope, "user.info.basic,portability.activity.single");
    let refreshed = Tokens::of(&post("/v2/oauth/token/", form, with(&refresh, "", &[])).await);
    assert_eq!(portward.add(&refreshed.access, &["activity"]).await.status, 200);
    // Another app's code, token and refresh token are nobody's.
    let other = portward.admin(&[
        "app",
        "create",
        "--name",
        "Other",
        "--status",
        "live",
        "--redirect-uri",
        CALLBACK,
        "--scope",
        "user.info.basic",
    ]);
    let theirs = [
        ("client_key", other["client_key"].as_str().expect("a key").to_owned()),
        ("client_secret", other["client_secret"].as_str().expect("a secret").to_owned()),
    ];
    let foreign =
        [&theirs[..], &[("grant_type", "refresh_token".to_owned()), ("refresh_token", refreshed.refresh.clone())]].concat();
    table.flat(
        "another app's refresh token",
        &post("/v2/oauth/token/", form, with(&foreign, "", &[])).await,
        &[400],
        "invalid_grant",
    );
    let foreign = [&theirs[..], &[("token", refreshed.access.clone())]].concat();
    assert_eq!(post("/v2/oauth/revoke/", form, with(&foreign, "", &[])).await.json, json!({}));
    assert_eq!(portward.data("check", &refreshed.access, &json!({ "request_id": 1 })).await.status, 400, "it lives on");
    // An app that is not live.
    portward.admin(&["app", "set", &portward.client_key, "--status", "suspended"]);
    table.flat("a suspended app", &portward.token(&[("grant_type", "client_credentials")]).await, &[400], "unauthorized_client");
    let data = portward.data("check", &refreshed.access, &json!({ "request_id": 1 })).await;
    table.nested("a suspended app's call", &data, &[401, 400], "");
    let add = portward.add(&refreshed.access, &["activity"]).await;
    table.nested("a suspended app's add", &add, &[401], "permission_denied");
    table.end(&mut portward).await;
}

fn sha(text: &str) -> String {
    crate::support::sha256(text.as_bytes())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn authorize() {
    let mut portward = Portward::start(Engine::Sqlite, "");
    let mut table = Table::default();
    let good = [
        ("client_key", portward.client_key.clone()),
        ("response_type", "code".into()),
        ("scope", "user.info.basic%2Cportability.activity.single".into()),
        ("redirect_uri", escaped(CALLBACK)),
        ("state", "st".into()),
        ("code_challenge", "x".repeat(43)),
        ("code_challenge_method", "S256".into()),
        ("disable_auto_auth", "1".into()),
    ];
    // Whatever is wrong, nobody is sent away: the way leads to a page of ours, or to sign-in for what may be left out.
    let optional = |name: &str, wrong: &str| match name {
        "state" => !matches!(wrong, "repeated" | "not UTF-8"),
        "disable_auto_auth" => !matches!(wrong, "repeated" | "not UTF-8"),
        "code_challenge" => {
            matches!(wrong, "absent" | "empty" | "blank" | "a number" | "markup" | "quotes of SQL" | "half an escape")
        }
        "code_challenge_method" => matches!(wrong, "absent" | "empty"),
        _ => false,
    };
    for (name, _) in &good {
        for (wrong, values) in wrongs(5_000) {
            let what = format!("{name} {wrong}");
            let query = with(&good, name, &values);
            let answer = read(portward.http.get(portward.url(&format!("/v2/auth/authorize/?{query}")))).await;
            if optional(name, wrong) {
                table.page(&what, &answer, &[303]);
                table.expect(
                    answer.headers.get("location").is_some_and(|to| to.starts_with("/login?next=")),
                    &format!("{what}: to sign-in"),
                    &answer,
                );
                continue;
            }
            table.page(&what, &answer, &[303, 400]);
            if answer.status == 303 {
                let to = answer.headers["location"].clone();
                let named = to.ends_with(&format!("&error_type={name}")) || to.ends_with("&error_type=request");
                table.expect(to.contains("error=") && named, &format!("{what}: told in the address {to:.200}"), &answer);
                let page = read(portward.http.get(portward.url(&to))).await;
                table.page(&format!("{what}: the page"), &page, &[400]);
            }
        }
        let query = with(&good, name, &["x".repeat(LONG)]);
        // Beyond what HTTP servers take in a head; the library would not even send it.
        let refused =
            crate::http::raw(&portward, format!("GET /v2/auth/authorize/?{query} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
        assert!(refused.is_empty() || refused.starts_with("HTTP/1.1 4"), "{name} a megabyte: {refused:.300}");
    }
    for uri in [
        "https://evil.example/",
        "javascript:alert(1)",
        "//evil.example",
        "https://app.example/callback/",
        "https://app.example/callbackx",
        "https://app.example/callback?a=b",
        "https://app.example/callback#f",
        "https://app.example@evil.example/callback",
        "https://app.example.evil.example/callback",
        "HTTPS://app.example/callback",
        "http://app.example/callback",
        "https://app.example:444/callback",
        "https://app.example/x/../callback",
        "https://app.example/callback\0",
        "https://app.example/callback ",
        "\\\\evil.example",
    ] {
        let answer = read(
            portward.http.get(portward.url(&format!("/v2/auth/authorize/?{}", with(&good, "redirect_uri", &[escaped(uri)])))),
        )
        .await;
        table.page(uri, &answer, &[303, 400]);
        let to = answer.headers.get("location").cloned().unwrap_or_default();
        table.expect(to.contains("error_type=redirect_uri"), &format!("{uri}: told"), &answer);
    }
    table.end(&mut portward).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms() {
    let mut portward = Portward::start(Engine::Sqlite, "[sign_in]\nfailures_per_account = 1000\nfailures_per_address = 10000\n");
    let mut table = Table::default();
    let origin = portward.base.clone();
    let form = "application/x-www-form-urlencoded";
    let send = |http: &reqwest::Client, path: &str, kind: &str, body: String| {
        let call = http.post(format!("{origin}{path}")).header("origin", &origin).body(body);
        read(if kind.is_empty() { call } else { call.header("content-type", kind) })
    };
    let stranger = testkit::person::http();
    let sign_in = [("username", "anna".to_owned()), ("password", PASSWORD.to_owned()), ("next", escaped("/connections"))];
    for (name, _) in &sign_in {
        for (wrong, values) in wrongs(60_000) {
            let answer = send(&stranger, "/login", form, with(&sign_in, name, &values)).await;
            table.page(&format!("login {name} {wrong}"), &answer, &[303, 400, 401]);
            if *name != "next" {
                table.expect(answer.status != 303, &format!("login {name} {wrong}: not signed in"), &answer);
            }
        }
        let answer = send(&stranger, "/login", form, with(&sign_in, name, &["x".repeat(LONG)])).await;
        table.page(&format!("login {name} a megabyte"), &answer, &[413]);
    }
    for next in [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/%0d%0aLocation: //evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "login",
        " //evil.example",
        "/..//evil.example",
    ] {
        let answer = send(&testkit::person::http(), "/login", form, with(&sign_in, "next", &[escaped(next)])).await;
        table.page(&format!("login to {next:?}"), &answer, &[303]);
        let page = read(stranger.get(portward.url(&format!("/login?next={}", escaped(next))))).await;
        table.page(&format!("sign-in page for {next:?}"), &page, &[200]);
    }
    for path in ["/login", "/consent", "/connections/withdraw"] {
        for kind in ["application/json", "text/plain", "multipart/form-data; boundary=x", ""] {
            let answer = send(&stranger, path, kind, "{\"username\":\"anna\"}".into()).await;
            table.page(&format!("{path} as {kind:?}"), &answer, &[303, 400, 415]);
        }
    }
    // Signed in.
    let browser = portward.browser("anna");
    let tokens = portward.tokens_of(&browser, "portability.activity.ongoing").await;
    let html = browser.http().get(portward.authorize_url("portability.activity.single")).send().await.expect("a page");
    let html = html.text().await.expect("a page");
    let page = testkit::page::forms(&html).into_iter().find(|form| form.action.starts_with("/consent?")).expect("the form");
    let (_, query) = page.action.split_once('?').expect("a query");
    let address: Vec<(&'static str, String)> = query
        .split('&')
        .map(|pair| pair.split_once('=').expect("a pair"))
        .map(|(name, value)| {
            (["ticket", "person"].into_iter().find(|known| *known == name).expect("a known name"), value.to_owned())
        })
        .collect();
    let consent = [("decision", "allow".to_owned()), ("scope", "portability.activity.single".to_owned())];
    for (name, _) in &address {
        for (wrong, values) in wrongs(50_000) {
            let path = format!("/consent?{}", with(&address, name, &values));
            let answer = send(browser.http(), &path, form, with(&consent, "", &[])).await;
            table.page(&format!("consent {name} {wrong}"), &answer, &[303, 400]);
        }
    }
    let path = &page.action;
    for (wrong, values) in wrongs(60_000) {
        let answer = send(browser.http(), path, form, with(&consent, "decision", &values)).await;
        table.page(&format!("consent decision {wrong}"), &answer, &[400]);
    }
    let answer = send(browser.http(), path, form, with(&consent, "decision", &["x".repeat(LONG)])).await;
    table.page("consent a megabyte", &answer, &[413]);
    for (wrong, values) in wrongs(10_000) {
        let answer = send(browser.http(), "/connections/withdraw", form, with(&[], "grant", &values)).await;
        table.page(&format!("withdraw {wrong}"), &answer, &[303, 400]);
    }
    for grant in ["-1", "0", "9223372036854775807", "99999999999999999999", "1.5", "12345678901"] {
        let answer = send(browser.http(), "/connections/withdraw", form, format!("grant={grant}")).await;
        table.page(&format!("withdraw {grant}"), &answer, &[303, 400]);
    }
    assert_eq!(portward.number("select count(*) from grants").await, 1, "no consent came of it");
    assert_eq!(portward.number("select count(*) from grants where ended_at is not null").await, 0, "nothing was withdrawn");
    assert_eq!(portward.data("check", &tokens.access, &json!({ "request_id": 1 })).await.status, 400);
    // What was not asked for cannot be had, whatever the form says.
    let more = [&consent[..], &[("scope", "portability.all.ongoing".to_owned()), ("scope", "video.list".to_owned())]].concat();
    let answer = send(browser.http(), path, form, with(&more, "", &[])).await;
    let granted =
        portward.rows("select scope from grant_scopes where scope like 'portability.all%' or scope like 'video%'").await;
    assert_eq!((answer.status, granted), (303, Vec::<Value>::new()));
    // A session that is none.
    for cookie in [
        "portward=ses.unknown".to_owned(),
        format!("portward={}", "x".repeat(4000)),
        "portward=".to_owned(),
        "portward=\u{ff}".to_owned(),
    ] {
        let answer = read(stranger.get(portward.url("/connections")).header("cookie", cookie)).await;
        table.page("a wrong cookie", &answer, &[303]);
    }
    table.end(&mut portward).await;
}
