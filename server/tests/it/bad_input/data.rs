//! The data calls and user info.

use super::{JSON, LONG, Table, body, read, with, wrongs};
use crate::support::{CALLBACK, Engine, Plan, Portward, Tokens, order};
use serde_json::json;

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
        "/%00",
        "/%ff",
        "/../../etc/passwd",
        "/assets/../portward.keys",
        "/assets/%2e%2e%2fportward.toml",
        "/assets/nothing",
        "/avatars/x.svg",
        "/login/x",
        "/developers/nowhere",
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
