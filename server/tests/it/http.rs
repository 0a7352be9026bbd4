//! The listeners: slow clients, forms from elsewhere, proxies, TLS, and what the operator's tools see.

use std::time::Duration;

use serde_json::json;
use testkit::person::Answer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{CALLBACK, Engine, PASSWORD, Plan, Portward, metrics, within};

/// Sends these bytes and reads until the other side ends.
pub(crate) async fn raw(portward: &Portward, bytes: &[u8]) -> String {
    let (_, authority) = portward.base.split_once("://").expect("an address");
    let mut stream = TcpStream::connect(authority).await.expect("a connection");
    // The other side may have had enough before the end.
    let _ = stream.write_all(bytes).await;
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_and_broken_clients() {
    let mut portward = Portward::start(Engine::Sqlite, "");
    let tokens = portward.tokens("portability.activity.ongoing").await;
    // One that never ends its headers, and one that sends a byte at a time, are cut; so is one whose body does not come.
    let unended = raw(&portward, b"POST /v2/user/data/add/ HTTP/1.1\r\nhost: x\r\nx-a: ");
    let dripping = async {
        let mut stream = TcpStream::connect(portward.base.trim_start_matches("http://")).await.expect("a connection");
        let mut cut = false;
        for _ in 0..400 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if stream.write_all(b"a").await.is_err() {
                cut = true;
                break;
            }
        }
        cut
    };
    let bodiless = format!(
        "POST /v2/user/data/add/ HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{{",
        tokens.access
    );
    let bodiless = raw(&portward, bodiless.as_bytes());
    let mut hung_up = TcpStream::connect(portward.base.trim_start_matches("http://")).await.expect("a connection");
    hung_up.write_all(b"POST /v2/oauth/token/ HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\na").await.expect("sent");
    drop(hung_up);
    let (unended, dripping, bodiless) =
        within(38, "cutting slow clients", async { tokio::join!(unended, dripping, bodiless) }).await;
    assert!(unended.is_empty() || unended.starts_with("HTTP/1.1 408"), "{unended}");
    assert!(dripping, "it dripped for forty seconds");
    assert!(bodiless.starts_with("HTTP/1.1 4"), "{bodiless}");
    // What is not HTTP at all.
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"GET\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\nxxxxxxxxxxxxxxxxxxxx",
    ] {
        let answer = within(30, "an answer to nonsense", raw(&portward, nonsense)).await;
        assert!(!answer.contains(" 200 ") && !answer.contains(" 500 "), "{answer}");
    }
    assert_eq!(portward.number("select count(*) from requests").await, 0);
    assert!(portward.is_alive() && !portward.log().contains("panicked"));
    assert_eq!(portward.add(&tokens.access, &["activity"]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forms_from_elsewhere_are_refused() {
    let portward = Portward::start(Engine::Sqlite, "");
    let browser = portward.browser("anna");
    let tokens = portward.tokens_of(&browser, "portability.activity.ongoing").await;
    let app_id = portward.number("select app_id from apps").await;
    let html = browser.http().get(portward.authorize_url("portability.all.ongoing")).send().await.expect("a page");
    let html = html.text().await.expect("a page");
    let consent =
        testkit::page::forms(&html).into_iter().find(|form| form.action.starts_with("/consent")).expect("the form").action;
    let forms: [(&str, Vec<(&str, String)>); 4] = [
        ("/login", vec![("username", "anna".into()), ("password", PASSWORD.into())]),
        ("/logout", vec![]),
        (&consent, vec![("decision", "allow".into()), ("scope", "portability.all.ongoing".into())]),
        ("/connections/withdraw", vec![("grant", app_id.to_string())]),
    ];
    for (path, form) in &forms {
        for (name, value) in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "http://localhost:1"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let post = browser.http().post(portward.url(path)).header(name, value).form(form);
            let answer = Answer::read(post.send().await.expect("an answer")).await;
            assert_eq!(answer.status, 403, "{path} with {name}: {value}");
            assert_eq!(answer.headers["content-type"], "text/html; charset=utf-8", "people get a page");
            assert!(answer.headers.contains_key("x-tt-logid") && !answer.headers.contains_key("set-cookie"));
        }
    }
    assert_eq!(
        portward.number("select count(*) from grants where ended_at is null").await,
        1,
        "nothing was allowed or withdrawn"
    );
    assert_eq!(portward.data("check", &tokens.access, &json!({ "request_id": 1 })).await.status, 400);
    // The same from our own pages, and from programs that send neither header.
    let own =
        browser.http().post(portward.url("/connections/withdraw")).header("sec-fetch-site", "same-origin").form(&forms[3].1);
    assert_eq!(own.send().await.expect("an answer").status(), 303);
    assert_eq!(portward.number("select count(*) from grants where ended_at is null").await, 0);
    // The data calls carry their own proof and are meant to be called from anywhere.
    let call = portward.call("check", &tokens.access, &json!({ "request_id": 1 })).header("origin", "https://evil.example");
    assert_eq!(call.send().await.expect("an answer").status(), 401);
    let token = portward.http.post(portward.url("/v2/oauth/token/")).header("origin", "https://evil.example").form(&[("a", "b")]);
    assert_eq!(token.send().await.expect("an answer").status(), 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_and_what_pages_say() {
    let portward = Portward::start(Engine::Sqlite, "");
    let sign_in = |cookie: Option<String>| {
        let call = portward
            .http
            .post(portward.url("/login"))
            .header("origin", &portward.base)
            .form(&[("username", "anna"), ("password", PASSWORD)]);
        match cookie {
            Some(cookie) => call.header("cookie", cookie),
            None => call,
        }
    };
    let fresh = testkit::person::http();
    let answer = fresh.execute(sign_in(None).build().expect("a call")).await.expect("an answer");
    let cookie = answer.headers()["set-cookie"].to_str().expect("a cookie").to_owned();
    for attribute in ["; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age="] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let session = cookie.split(';').next().expect("a pair").to_owned();
    let connections = |session: &str| testkit::person::http().get(portward.url("/connections")).header("cookie", session);
    let page = Answer::read(connections(&session).send().await.expect("an answer")).await;
    assert_eq!(page.status, 200);
    let html = String::from_utf8_lossy(&page.bytes);
    assert!(html.contains("Anna Q. Testperson"), "it says who is signed in");
    // Another sign-in over a session ends that session: it is not carried on.
    let again =
        testkit::person::http().execute(sign_in(Some(session.clone())).build().expect("a call")).await.expect("an answer");
    assert_eq!(again.status(), 303);
    assert_eq!(connections(&session).send().await.expect("an answer").status(), 303);
    // Signing out ends it, and takes the cookie away.
    let session = again.headers()["set-cookie"].to_str().expect("a cookie").split(';').next().expect("a pair").to_owned();
    let out = testkit::person::http().post(portward.url("/logout")).header("origin", &portward.base).header("cookie", &session);
    let out = out.send().await.expect("an answer");
    assert!(out.headers()["set-cookie"].to_str().expect("a cookie").contains("Max-Age=0"));
    assert_eq!(connections(&session).send().await.expect("an answer").status(), 303);
    assert_eq!(portward.number("select count(*) from sessions").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_operators_tools_see() {
    let portward = Portward::start(Engine::Sqlite, "");
    let get = async |path: &str| {
        portward.http.get(format!("{}{path}", portward.ops)).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!((get("/healthz").await, get("/readyz").await, get("/login").await), (200, 200, 404));
    let public = portward.http.get(portward.url("/metrics")).send().await.expect("an answer");
    assert_eq!(public.status(), 404, "metrics are not for the public");
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    portward.settled(&tokens.access, request_id).await;
    portward.download(&tokens.access, request_id).await;
    let seen = metrics(&portward).await;
    assert_eq!(seen.get("portward_archives_total{world=\"production\"}"), Some(&1.0));
    assert_eq!(seen.get("portward_downloads_total{world=\"production\"}"), Some(&1.0));
    assert!(
        seen.get("portward_http_requests_total{world=\"production\",status=\"200\"}").is_some_and(|count| *count > 2.0),
        "{seen:?}"
    );
    // The store goes away: not ready, and calls fail in their dialect.
    portward.execute("alter table apps rename to elsewhere");
    assert_eq!((get("/healthz").await, get("/readyz").await), (200, 503));
    let failed = portward.data("check", &tokens.access, &json!({ "request_id": request_id })).await;
    assert_eq!((failed.status, failed.code()), (500, "internal_error"));
    let message = failed.json["error"]["message"].as_str().expect("a message");
    assert!(!message.contains("apps") && !message.contains("SQL") && message.contains("log_id"), "{message}");
    let log_id = failed.json["error"]["log_id"].as_str().expect("a log id");
    let cause = portward.log().lines().any(|line| line.contains(log_id) && line.contains("ERROR") && line.contains("apps"));
    assert!(cause, "the cause is in the log, under the same log id");
    portward.execute("alter table elsewhere rename to apps");
    assert_eq!(portward.status(&tokens.access, request_id).await, "downloading");
}

/// A proxy that is trusted names the caller; others cannot.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proxies() {
    let mut portward =
        Plan::new(Engine::Sqlite).toml("[sign_in]\nfailures_per_address = 3\nfailures_per_account = 1000\n").install();
    portward.serve(&[]);
    let fail = async |portward: &Portward, from: &str| {
        let form = [("username", "anna"), ("password", "wrong")];
        let post = portward
            .http
            .post(portward.url("/login"))
            .header("origin", &portward.base)
            .header("x-forwarded-for", from)
            .form(&form);
        post.send().await.expect("an answer").status().as_u16()
    };
    for at in 0..3 {
        assert_eq!(fail(&portward, &format!("203.0.113.{at}")).await, 401);
    }
    assert_eq!(fail(&portward, "203.0.113.9").await, 429, "the header is not believed");
    portward.serve(&[("PORTWARD__SERVER__TRUSTED_PROXIES", "[\"127.0.0.1\"]")]);
    for at in 0..6 {
        assert_eq!(fail(&portward, &format!("203.0.113.{at}")).await, 401, "from a proxy that is trusted it is");
    }
    for _ in 0..2 {
        assert_eq!(fail(&portward, "198.51.100.1, 203.0.113.0").await, 401);
    }
    assert_eq!(fail(&portward, "198.51.100.2, 203.0.113.0").await, 429, "what the caller wrote before it is not");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "a test talks to its own server on loopback")]
async fn tls() {
    let mut portward = Plan::new(Engine::Sqlite).toml("[tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n").install();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    std::fs::write(portward.path("cert.pem"), made.cert.pem()).expect("the certificate written");
    std::fs::write(portward.path("key.pem"), made.signing_key.serialize_pem()).expect("the key written");
    portward.serve(&[]);
    assert!(portward.base.starts_with("https://127.0.0.1:"), "{}", portward.base);
    let trust = reqwest::Certificate::from_pem(made.cert.pem().as_bytes()).expect("a certificate");
    let http = reqwest::Client::builder()
        .tls_certs_only([trust])
        .redirect(reqwest::redirect::Policy::none())
        .cookie_store(true)
        .no_proxy()
        .build()
        .expect("a client");
    assert!(portward.http.get(portward.url("/")).send().await.is_err(), "who does not know the certificate does not go on");
    portward.http = http.clone();
    let browser = testkit::person::Browser::with(http.clone(), "anna", PASSWORD);
    let tokens = portward.tokens_of(&browser, "portability.activity.single").await;
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled(&tokens.access, request_id).await, "downloading");
    portward.download(&tokens.access, request_id).await;
    let page = http.get(portward.url("/login")).send().await.expect("a page");
    assert!(page.headers().contains_key("strict-transport-security"));
    let post =
        http.post(portward.url("/login")).header("origin", &portward.base).form(&[("username", "anna"), ("password", PASSWORD)]);
    let cookie = post.send().await.expect("an answer").headers()["set-cookie"].to_str().expect("a cookie").to_owned();
    assert!(cookie.starts_with("__Host-portward=") && cookie.contains("; Secure"), "{cookie}");
    // Plain HTTP on that port is no way in, and does no harm.
    let plain = raw(&portward, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(!plain.contains("200 OK"), "{plain}");
    let callback = browser.authorize(&portward.authorize_url("user.info.basic"), &testkit::person::Decision::Deny).await;
    assert_eq!(
        callback.as_str(),
        format!("{CALLBACK}?error=access_denied&error_description=user+cancelled+the+authorization&state=st")
    );
    // A key that does not fit is told before anything is served.
    std::fs::write(portward.path("key.pem"), "nonsense").expect("a file");
    let refused = portward.run(&["serve", "--config", "portward.toml"]);
    let said = crate::support::text(&refused.stderr);
    assert!(!refused.status.success() && said.contains("tls.key"), "{said}");
}

/// People see which organisation is behind an app. A developer's own name is not shown to them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_see_the_organisation_behind_an_app_and_never_a_developer() {
    let portward = Portward::start(Engine::Sqlite, "");
    portward.execute(
        "insert into organisations (organisation_id, name, created_at) values (77, 'Lumen <b>Labs</b>', 1);
         insert into accounts (account_id, kind, email, name, notify, created_at) values (77, 'developer', 'dana@lumen.example', 'Dana Private', true, 1);",
    );
    let browser = portward.browser("anna");
    portward.code(&browser, "user.info.basic").await;
    for (owner, named) in [("organisation", true), ("account", false), ("operator", false)] {
        portward.execute(&format!("update apps set owner_kind = '{owner}', owner_id = 77"));
        for address in [portward.authorize_url("user.info.profile"), portward.url("/connections")] {
            let page = browser.http().get(&address).send().await.expect("a page").text().await.expect("a page");
            assert_eq!(page.contains("by <bdi>Lumen &#60;b&#62;Labs"), named, "{owner} {address}: {page}");
            assert!(!page.contains("Dana Private"), "{page}");
        }
    }
    portward.execute("update apps set owner_kind = 'organisation', owner_id = 77; update organisations set deleted_at = 2");
    let page = browser.http().get(portward.url("/connections")).send().await.expect("a page").text().await.expect("a page");
    assert!(!page.contains("Lumen"), "an organisation that is gone is not behind anything: {page}");
}
