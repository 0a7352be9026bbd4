//! Quotas of the data calls, and limits on failed sign-ins and token calls.

use futures_util::{StreamExt, stream};
use serde_json::json;
use testkit::person::Answer;

use crate::support::{Engine, PASSWORD, Portward};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_a_minute_and_not_one_more() {
    let portward = Portward::start(Engine::Sqlite, "");
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    let body = json!({ "request_id": request_id });
    let first = portward.data("check", &tokens.access, &body).await;
    assert_eq!(first.headers["ratelimit-policy"], "\"check\";q=1000;w=60");
    assert!(first.headers["ratelimit"].starts_with("\"check\";r=999;t="), "{}", first.headers["ratelimit"]);
    // Whatever comes of a call, it counts; two in the list are refused for what they ask.
    let calls = stream::iter(0..1000).map(|at| {
        let body = if at % 500 == 3 { json!({ "request_id": -1 }) } else { body.clone() };
        let call = portward.call("check", &tokens.access, &body);
        async move { Answer::read(call.send().await.expect("an answer")).await }
    });
    let answers: Vec<Answer> = calls.buffer_unordered(8).collect().await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(400), count(429)), (997, 2, 1));
    for refused in (0..3).map(|_| portward.data("check", &tokens.access, &body)) {
        let refused = refused.await;
        assert_eq!((refused.status, refused.code()), (429, "rate_limit_exceeded"));
        assert_eq!(refused.json["error"]["message"], "The API rate limit was exceeded. Please try again later.");
        let wait: u64 = refused.headers["retry-after"].parse().expect("seconds");
        assert!((1..=60).contains(&wait), "{wait}");
        assert!(refused.headers["ratelimit"].starts_with("\"check\";r=0;t="), "{}", refused.headers["ratelimit"]);
        assert_eq!(refused.headers["x-tt-logid"], refused.json["error"]["log_id"].as_str().expect("a log id"));
    }
    // The types are counted apart, and so are apps' own quotas, which hold at once.
    let second = portward.tokens("portability.activity.ongoing").await;
    let added = portward.add(&second.access, &["activity"]).await;
    assert_eq!(added.status, 200);
    assert!(added.headers["ratelimit"].starts_with("\"add\";r=998;"), "{}", added.headers["ratelimit"]);
    assert_eq!(portward.data("check", &second.access, &body).await.status, 429, "by app, not by token");
    let dead = portward.data("check", "act.unknown", &body).await;
    assert_eq!(dead.status, 401, "who has no live token is told so, and is not counted");
    portward.admin(&["quota", "set", &portward.client_key, "check", "1100"]);
    let more = portward.data("check", &tokens.access, &body).await;
    assert_eq!((more.status, more.headers["ratelimit-policy"].as_str()), (200, "\"check\";q=1100;w=60"));
    portward.admin(&["quota", "clear", &portward.client_key, "check"]);
    assert_eq!(portward.data("check", &tokens.access, &body).await.status, 429);
    let cancel = portward.data("cancel", &tokens.access, &json!({ "request_id": 1 })).await;
    assert_eq!((cancel.status, cancel.headers["ratelimit-policy"].as_str()), (400, "\"cancel\";q=1000;w=60"));
}

async fn sign_in(portward: &Portward, username: &str, password: &str) -> u16 {
    let form = [("username", username), ("password", password)];
    let post = portward.http.post(portward.url("/login")).header("origin", &portward.base).form(&form);
    post.send().await.expect("an answer").status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_sign_ins() {
    let portward = Portward::start(Engine::Sqlite, "");
    portward.add_person("ben", "9", "FR");
    for _ in 0..12 {
        assert_eq!(sign_in(&portward, "anna", PASSWORD).await, 303, "success is not counted");
    }
    for at in 0..10 {
        assert_eq!(sign_in(&portward, "anna", "wrong").await, 401, "{at}");
        if at == 8 {
            assert_eq!(sign_in(&portward, "anna", PASSWORD).await, 303);
        }
    }
    assert_eq!(sign_in(&portward, "anna", PASSWORD).await, 429, "ten failures, and the account must wait");
    assert_eq!(sign_in(&portward, " anna ", "wrong").await, 429, "blanks do not make another account");
    assert_eq!(sign_in(&portward, "ben", PASSWORD).await, 303, "others are not held up");
    // A name that nobody has is limited as one that somebody has: the answers do not tell which.
    for at in 0..10 {
        assert_eq!(sign_in(&portward, "nobody", "wrong").await, 401, "{at}");
    }
    assert_eq!(sign_in(&portward, "nobody", "wrong").await, 429);
    // Twenty failures of this address so far; what was not tried is none.
    for at in 0..30 {
        assert_eq!(sign_in(&portward, &format!("guess{at}"), "wrong").await, 401, "{at}");
    }
    assert_eq!(sign_in(&portward, "ben", PASSWORD).await, 429, "fifty failures, and the address must wait");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_token_calls() {
    let portward = Portward::start(Engine::Sqlite, "");
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let wrong = [("grant_type", "authorization_code"), ("code", "x"), ("redirect_uri", "x")];
    for at in 0..100 {
        let answer = portward.token(&wrong).await;
        assert_eq!((answer.status, answer.json["error"].as_str()), (400, Some("invalid_grant")), "{at}");
    }
    let limited = portward.token(&wrong).await;
    assert_eq!((limited.status, limited.json["error"].as_str()), (429, Some("temporarily_unavailable")));
    assert!(limited.headers["retry-after"].parse::<u64>().is_ok_and(|wait| (1..=60).contains(&wait)));
    // Somebody who knows the key only cannot shut the app out.
    let refreshed = portward.token(&[("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh)]).await;
    assert_eq!(refreshed.status, 200, "what succeeds is never refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_requests() {
    let mut portward = crate::support::Plan::new(Engine::Sqlite).toml("[requests]\nopen_limit = 2\n").install();
    portward.serve(&[("PORTWARD_PAUSE_AT", "export_begun")]);
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let first = portward.add(&tokens.access, &["activity"]).await.request_id();
    portward.add(&tokens.access, &["activity"]).await.request_id();
    let third = portward.add(&tokens.access, &["activity"]).await;
    assert_eq!((third.status, third.code()), (400, "invalid_params"));
    let cancelled = portward.data("cancel", &tokens.access, &json!({ "request_id": first })).await;
    assert_eq!(cancelled.status, 200);
    assert_eq!(portward.add(&tokens.access, &["activity"]).await.status, 200);
}
