//! The own API over HTTP: what it asks, what it tells, what it refuses; and what it shares with the wire.

mod archive;
mod described;
mod list;
mod states;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::person::Answer;

use crate::support::{Engine, Plan, Portward, Tokens, both, eventually, text};

/// A call of the own API, not sent yet.
fn call(portward: &Portward, method: Method, path: &str, token: &str) -> reqwest::RequestBuilder {
    portward.http.request(method, portward.url(path)).bearer_auth(token)
}

async fn sent(call: reqwest::RequestBuilder) -> Answer {
    Answer::read(call.send().await.expect("an answer")).await
}

async fn get(portward: &Portward, path: &str, token: &str) -> Answer {
    sent(call(portward, Method::GET, path, token)).await
}

async fn create(portward: &Portward, token: &str, wish: &Value) -> Answer {
    sent(call(portward, Method::POST, "/v1/requests", token).json(wish)).await
}

async fn create_by(portward: &Portward, token: &str, key: &str, wish: &Value) -> Answer {
    sent(call(portward, Method::POST, "/v1/requests", token).header("idempotency-key", key).json(wish)).await
}

/// The number of a request that was made.
fn id(made: &Answer) -> String {
    assert_eq!(made.status, 201, "{}", text(&made.bytes));
    made.json["id"].as_str().unwrap_or_else(|| panic!("no id in {}", made.json)).to_owned()
}

fn path(id: &str) -> String {
    format!("/v1/requests/{id}")
}

fn archive_path(id: &str) -> String {
    format!("/v1/requests/{id}/archive")
}

/// Waits until a request stands so.
async fn stands(portward: &Portward, token: &str, id: &str, state: &str) -> Value {
    let look = async || Some(get(portward, &path(id), token).await).filter(|seen| seen.json["state"] == state);
    match eventually(30, look).await {
        Some(seen) => seen.json,
        None => panic!("not {state}: {}", get(portward, &path(id), token).await.json),
    }
}

/// A problem as RFC 9457 and our own list have it.
#[track_caller]
fn problem(answer: &Answer, status: u16, code: &str) {
    let told = &answer.json;
    assert_eq!((answer.status, told["code"].as_str()), (status, Some(code)), "{}", text(&answer.bytes));
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(told["type"], format!("/docs#problem-{code}"));
    assert_eq!(told["status"], status);
    assert_eq!(told["log_id"], answer.headers["x-tt-logid"].as_str());
    assert!(told["title"].as_str().is_some_and(|title| !title.is_empty()) && told["detail"].is_string(), "{told}");
}

async fn ongoing(portward: &Portward) -> Tokens {
    portward.tokens("portability.activity.ongoing,portability.directmessages.ongoing").await
}

/// Another app, whose keys take the place of the first one's.
fn another_app(portward: &mut Portward) {
    let scopes = "user.info.basic,portability.activity.single,portability.activity.ongoing";
    let args =
        ["app", "create", "--name", "Second", "--status", "live", "--redirect-uri", crate::support::CALLBACK, "--scope", scopes];
    let app = portward.admin(&args);
    for (place, name) in [(&mut portward.client_key, "client_key"), (&mut portward.client_secret, "client_secret")] {
        app[name].as_str().expect("the app's credentials").clone_into(place);
    }
}

async fn bad_calls(engine: Engine) {
    let portward = Portward::start(engine, "");
    let token = ongoing(&portward).await.access;
    let made = id(&create(&portward, &token, &json!({ "categories": ["activity"] })).await);
    let post = || call(&portward, Method::POST, "/v1/requests", &token);
    let wish = |wish: &str| post().header("content-type", "application/json").body(wish.to_owned());
    let delete = |path: &str| call(&portward, Method::DELETE, path, &token);
    let read = |path: &str| call(&portward, Method::GET, path, &token);
    let table = [
        ("nothing", wish(""), 400, "invalid_params"),
        ("no JSON", wish("{"), 400, "invalid_params"),
        ("a list", wish("[]"), 400, "invalid_params"),
        ("no categories", wish("{}"), 400, "invalid_params"),
        ("an unknown category", wish(r#"{"categories":["nonsense"]}"#), 400, "invalid_params"),
        ("an unknown member", wish(r#"{"categories":["activity"],"fields":"id"}"#), 400, "invalid_params"),
        ("the wire's word for a format", wish(r#"{"categories":["activity"],"format":"text"}"#), 400, "invalid_params"),
        (
            "an empty range",
            wish(r#"{"categories":["activity"],"since":"2026-02-01","until":"2026-02-01"}"#),
            400,
            "invalid_params",
        ),
        ("a form", post().form(&[("categories", "activity")]), 415, "unsupported_media_type"),
        ("too much", wish(&"x".repeat(70_000)), 413, "body_too_large"),
        ("an empty key", wish(r#"{"categories":["activity"]}"#).header("idempotency-key", ""), 400, "invalid_params"),
        ("a key with a blank", wish(r#"{"categories":["activity"]}"#).header("idempotency-key", "a b"), 400, "invalid_params"),
        ("a category that was not granted", wish(r#"{"categories":["all_data"]}"#), 403, "scope_not_authorized"),
        ("no number", read("/v1/requests/abc"), 404, "not_found"),
        ("no text", read("/v1/requests/%ff"), 404, "not_found"),
        ("a number of nobody", read("/v1/requests/1"), 404, "not_found"),
        ("a number too large", read("/v1/requests/99999999999999999999"), 404, "not_found"),
        ("an archive of nobody", read("/v1/requests/1/archive"), 404, "not_found"),
        ("deleting nobody's", delete("/v1/requests/1"), 404, "not_found"),
        ("another path", read("/v1/archives"), 404, "not_found"),
        ("below an archive", read(&format!("{}/x", archive_path(&made))), 404, "not_found"),
        ("deleting all", delete("/v1/requests"), 405, "method_not_allowed"),
        ("deleting an archive", delete(&archive_path(&made)), 405, "method_not_allowed"),
        ("changing one", call(&portward, Method::PATCH, &path(&made), &token), 405, "method_not_allowed"),
        ("no token", portward.http.get(portward.url("/v1/requests")), 401, "access_token_invalid"),
        ("an unknown token", call(&portward, Method::GET, "/v1/requests", "act.unknown"), 401, "access_token_invalid"),
        ("a refresh token", call(&portward, Method::GET, "/v1/requests", "rft.unknown"), 401, "access_token_invalid"),
    ];
    for (what, call, status, code) in table {
        println!("{what}");
        let answer = sent(call).await;
        problem(&answer, status, code);
        assert_eq!(answer.headers.contains_key("allow"), status == 405, "{what}");
        assert_eq!(answer.headers.contains_key("www-authenticate"), status == 401, "{what}");
        assert_eq!(
            answer.headers.contains_key("ratelimit"),
            !matches!(status, 401 | 405 | 413) && what != "another path" && !what.starts_with("below"),
            "{what}"
        );
    }
    assert_eq!(portward.number("select count(*) from requests").await, 1, "nothing was made on the way");
    // The app is frozen: each call says so, whatever it asks.
    portward.admin(&["app", "set", &portward.client_key, "--status", "suspended"]);
    for call in [
        wish(r#"{"categories":["activity"]}"#),
        read("/v1/requests"),
        read(&path(&made)),
        read(&archive_path(&made)),
        delete(&path(&made)),
    ] {
        problem(&sent(call).await, 403, "permission_denied");
    }
}

async fn quotas_are_shared_with_the_wire(engine: Engine) {
    let portward = Portward::start(engine, "");
    let token = ongoing(&portward).await.access;
    portward.admin(&["quota", "set", &portward.client_key, "add", "2"]);
    portward.admin(&["quota", "set", &portward.client_key, "download", "2"]);
    let wish = json!({ "categories": ["activity"] });
    assert_eq!(portward.add(&token, &["activity"]).await.status, 200);
    let second = create(&portward, &token, &wish).await;
    let made = id(&second);
    assert_eq!(second.headers["ratelimit-policy"], "\"add\";q=2;w=60");
    assert!(second.headers["ratelimit"].starts_with("\"add\";r=0;t="), "{}", second.headers["ratelimit"]);
    let third = create(&portward, &token, &wish).await;
    problem(&third, 429, "rate_limit_exceeded");
    let wait: u64 = third.headers["retry-after"].parse().expect("seconds");
    assert!((1..=61).contains(&wait), "{wait}");
    let wire = portward.add(&token, &["activity"]).await;
    assert_eq!((wire.status, wire.code()), (429, "rate_limit_exceeded"));
    stands(&portward, &token, &made, "ready").await;
    // An archive is a download on either surface, and so is a look at its head.
    assert_eq!(sent(call(&portward, Method::HEAD, &archive_path(&made), &token)).await.status, 200);
    let number: i64 = made.parse().expect("a number");
    assert_eq!(portward.data("download", &token, &json!({ "request_id": number })).await.status, 200);
    problem(&get(&portward, &archive_path(&made), &token).await, 429, "rate_limit_exceeded");
    assert!(get(&portward, "/v1/requests", &token).await.headers["ratelimit"].starts_with("\"check\";r="));
}

async fn a_key_belongs_to_an_app_and_a_person(engine: Engine) {
    let mut portward = Plan::new(engine).install();
    portward.add_person("ben", "8", "DE");
    portward.serve(&[]);
    let anna = ongoing(&portward).await.access;
    let ben = portward.tokens_of(&portward.browser("ben"), "portability.activity.ongoing").await.access;
    let wish = json!({ "categories": ["activity"] });
    let first = id(&create_by(&portward, &anna, "k1", &wish).await);
    assert_eq!(id(&create_by(&portward, &anna, "k1", &json!({ "categories": ["activity"], "format": "json" })).await), first);
    assert_ne!(id(&create_by(&portward, &anna, "k2", &wish).await), first, "another key");
    assert_ne!(id(&create(&portward, &anna, &wish).await), first, "no key");
    for other in [
        json!({ "categories": ["activity"], "format": "txt" }),
        json!({ "categories": ["activity"], "format": "ndjson" }),
        json!({ "categories": ["direct_message"] }),
        json!({ "categories": ["activity"], "since": "2026-01-01" }),
        json!({ "categories": ["activity"], "until": "2026-01-01" }),
        json!({ "categories": ["activity"], "documents": true }),
    ] {
        problem(&create_by(&portward, &anna, "k1", &other).await, 422, "idempotency_key_reused");
    }
    // The wire knows the key too, and what is the same.
    let wire = portward.call("add", &anna, &crate::support::order(&["activity"])).header("idempotency-key", "k1");
    assert_eq!(sent(wire).await.request_id().to_string(), first);
    let wire = portward.call("add", &anna, &crate::support::order(&["direct_message"])).header("idempotency-key", "k1");
    assert_eq!(sent(wire).await.code(), "invalid_params");
    assert_ne!(id(&create_by(&portward, &ben, "k1", &wish).await), first, "another person");
    another_app(&mut portward);
    let elsewhere = portward.tokens("portability.activity.ongoing").await.access;
    assert_ne!(id(&create_by(&portward, &elsewhere, "k1", &wish).await), first, "another app");
    assert_eq!(portward.number("select count(*) from requests where idempotency_key = 'k1'").await, 3);
}

async fn a_single_is_spent_once(engine: Engine) {
    let portward = Portward::start(engine, "");
    let token = portward.tokens("portability.activity.single").await.access;
    let wish = json!({ "categories": ["activity"] });
    let first = id(&create(&portward, &token, &wish).await);
    assert_eq!(id(&create(&portward, &token, &wish).await), first, "a call whose answer was lost");
    assert_eq!(portward.add(&token, &["activity"]).await.request_id().to_string(), first, "on the wire too");
    for other in
        [json!({ "categories": ["activity"], "format": "csv" }), json!({ "categories": ["activity"], "since": "2026-01-01" })]
    {
        problem(&create(&portward, &token, &other).await, 403, "scope_not_authorized");
    }
    stands(&portward, &token, &first, "ready").await;
    assert_eq!(sent(call(&portward, Method::DELETE, &path(&first), &token)).await.status, 204);
    problem(&create(&portward, &token, &wish).await, 403, "scope_not_authorized");
    assert_eq!(portward.number("select count(*) from requests").await, 1);
}

async fn what_is_somebody_elses_is_not_found(engine: Engine) {
    let mut portward = Plan::new(engine).install();
    portward.add_person("ben", "8", "DE");
    portward.serve(&[]);
    let anna = ongoing(&portward).await.access;
    let made = id(&create(&portward, &anna, &json!({ "categories": ["activity"] })).await);
    stands(&portward, &anna, &made, "ready").await;
    let ben = portward.tokens_of(&portward.browser("ben"), "portability.activity.ongoing").await.access;
    // Another grant of the same pair will do.
    let again = portward.tokens("user.info.basic").await.access;
    assert_eq!(get(&portward, &path(&made), &again).await.json["state"], "ready");
    another_app(&mut portward);
    let elsewhere = portward.tokens("portability.activity.ongoing").await.access;
    for stranger in [&ben, &elsewhere] {
        for (method, path) in [(Method::GET, path(&made)), (Method::DELETE, path(&made)), (Method::GET, archive_path(&made))] {
            problem(&sent(call(&portward, method, &path, stranger)).await, 404, "not_found");
        }
        assert_eq!(sent(call(&portward, Method::HEAD, &archive_path(&made), stranger)).await.status, 404);
        assert_eq!(get(&portward, "/v1/requests", stranger).await.json, json!({ "requests": [], "next": null }));
    }
    assert_eq!(get(&portward, &path(&made), &anna).await.json["state"], "ready");
}

both!(
    bad_calls,
    quotas_are_shared_with_the_wire,
    a_key_belongs_to_an_app_and_a_person,
    a_single_is_spent_once,
    what_is_somebody_elses_is_not_found
);
