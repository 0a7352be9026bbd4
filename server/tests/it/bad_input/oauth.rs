//! Authorize, tokens, and the forms of the pages.

use super::{LONG, Table, escaped, read, with, wrongs};
use crate::support::{CALLBACK, Engine, PASSWORD, Portward, Tokens};
use serde_json::{Value, json};

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
            table.page(&format!("login {name} {wrong}"), &answer, &[303, 400, 401, 422]);
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
