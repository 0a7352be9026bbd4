//! The calls that answer at once, and both dialects of error.

use std::time::Duration;

use portward_client::{DataFormat, Dialect, Error, ErrorCode, OAuthErrorCode, Pkce, RequestId, RequestStatus};
use serde_json::json;

use crate::stand::{Reply, Stand, url_pairs};

const TOKENS: &str = r#"{"access_token":"act.x","expires_in":7200,"open_id":"o","refresh_expires_in":15552000,
    "refresh_token":"rft.y","scope":"user.info.basic,portability.all.single","token_type":"Bearer"}"#;
const OK: &str = r#"{"code":"ok","message":"","log_id":"L"}"#;

fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
    list.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
}

#[tokio::test]
async fn oauth_calls_send_the_documented_forms() {
    let stand = Stand::start(|seen, _| match seen.path.as_str() {
        "/v2/oauth/token/" if seen.form().contains(&("grant_type".into(), "client_credentials".into())) => {
            Reply::json(200, r#"{"access_token":"clt.z","expires_in":7200,"token_type":"Bearer"}"#)
        }
        "/v2/oauth/token/" => Reply::json(200, TOKENS),
        // The contract allows an empty body here.
        _ => Reply { status: 200, ..Reply::default() },
    })
    .await;
    let app = stand.client();
    let pkce = Pkce::from_verifier("verifier");
    let tokens = app.exchange("a*1!4608.va", "http://localhost:9/cb?x=1", Some(&pkce)).await.unwrap();
    assert_eq!((tokens.access_token.as_str(), tokens.expires_in, tokens.open_id.as_str()), ("act.x", 7200, "o"));
    assert_eq!(tokens.scope, "user.info.basic,portability.all.single");
    app.exchange("c", "u", None).await.unwrap();
    app.refresh("rft.old").await.unwrap();
    assert_eq!(app.client_token().await.unwrap().access_token, "clt.z");
    app.revoke("act.x").await.unwrap();

    let own = [("client_key", "the key"), ("client_secret", "the secret")];
    let expected: [&[(&str, &str)]; 5] = [
        &[
            ("grant_type", "authorization_code"),
            ("code", "a*1!4608.va"),
            ("redirect_uri", "http://localhost:9/cb?x=1"),
            ("code_verifier", "verifier"),
        ],
        &[("grant_type", "authorization_code"), ("code", "c"), ("redirect_uri", "u")],
        &[("grant_type", "refresh_token"), ("refresh_token", "rft.old")],
        &[("grant_type", "client_credentials")],
        &[("token", "act.x")],
    ];
    for (seen, expected) in stand.seen().iter().zip(expected) {
        assert_eq!(seen.form(), pairs(&[&own[..], expected].concat()), "{}", seen.path);
        assert_eq!((seen.method.as_str(), seen.header("content-type")), ("POST", "application/x-www-form-urlencoded"));
    }
    assert_eq!(stand.seen()[4].path, "/v2/oauth/revoke/");
}

#[tokio::test]
async fn data_calls_send_ids_as_numbers_and_read_both_forms() {
    let stand = Stand::start(|seen, count| match seen.path.as_str() {
        "/v2/user/data/add/" if count == 0 => {
            Reply::json(200, &format!(r#"{{"data":{{"request_id":9007199254740991}},"error":{OK}}}"#))
        }
        "/v2/user/data/add/" => Reply::json(200, &format!(r#"{{"data":{{"request_id":"123451234512345"}},"error":{OK}}}"#)),
        "/v2/user/data/check/" => Reply::json(
            200,
            &format!(
                r#"{{"data":{{"apply_time":1703186989,"category_selection_list":["profile"],"collect_time":0,"data_format":"text",
                "request_id":5,"status":"pending"}},"error":{OK}}}"#
            ),
        ),
        "/v2/user/info/" => Reply::json(200, &format!(r#"{{"data":{{"user":{{"display_name":"Ann"}}}},"error":{OK}}}"#)),
        // No `data` on cancel.
        _ => Reply::json(200, &format!(r#"{{"error":{OK}}}"#)),
    })
    .await;
    let app = stand.client();
    let id = app.add("act.x", DataFormat::Json, &["activity", "video"]).await.unwrap();
    assert_eq!(id.get(), 9_007_199_254_740_991);
    let id = app.add_once("act.x", DataFormat::Text, &["all_data"], "key 1").await.unwrap();
    assert_eq!(id.get(), 123_451_234_512_345);
    let checked = app.check("act.x", id).await.unwrap();
    assert_eq!((checked.status, checked.data_format), (Some(RequestStatus::Pending), Some(DataFormat::Text)));
    app.cancel("act.x", id).await.unwrap();
    assert_eq!(app.user_info("act.x", &["display_name", "open_id"]).await.unwrap()["display_name"], "Ann");

    let seen = stand.seen();
    assert_eq!(seen[0].json(), json!({"data_format":"json","category_selection_list":["activity","video"]}));
    assert_eq!((url_pairs(&seen[0].query), seen[0].header("idempotency-key")), (pairs(&[("fields", "request_id")]), ""));
    assert_eq!(seen[1].header("idempotency-key"), "key 1");
    assert_eq!(seen[2].body, r#"{"request_id":123451234512345}"#);
    let fields = "request_id,apply_time,collect_time,status,data_format,category_selection_list";
    assert_eq!(url_pairs(&seen[2].query), pairs(&[("fields", fields)]));
    assert_eq!(seen[3].body, r#"{"request_id":123451234512345}"#);
    assert_eq!((seen[4].method.as_str(), url_pairs(&seen[4].query)), ("GET", pairs(&[("fields", "display_name,open_id")])));
    for seen in &seen {
        assert_eq!(seen.header("authorization"), "Bearer act.x", "{}", seen.path);
    }
}

#[tokio::test]
async fn both_dialects_of_error_are_typed() {
    let stand = Stand::start(|seen, _| match seen.path.as_str() {
        "/v2/oauth/token/" => {
            Reply::json(400, r#"{"error":"invalid_grant","error_description":"Authorization code is expired.","log_id":"L1"}"#)
        }
        // Seen in the field: an OAuth error with status 200.
        "/v2/oauth/revoke/" => Reply::json(200, r#"{"error":"invalid_request","error_description":"no token","log_id":"L2"}"#),
        "/v2/user/data/check/" => {
            Reply::json(429, r#"{"data":{},"error":{"code":"rate_limit_exceeded","message":"Too many.","log_id":"L3"}}"#)
                .with("retry-after", "17")
        }
        "/v2/user/data/add/" => {
            Reply::json(401, r#"{"error":{"code":"a_new_code","message":"?","log_id":""}}"#).with("x-tt-logid", "L4")
        }
        _ => Reply::json(401, r#"{"data":{},"error":{"code":"access_token_invalid","message":"m","log_id":"L5"}}"#),
    })
    .await;
    let app = stand.client();
    let id = RequestId::new(5).unwrap();

    let error = app.exchange("c", "u", None).await.err().unwrap();
    assert!(error.is_oauth(OAuthErrorCode::InvalidGrant) && !error.is_transient(), "{error:?}");
    assert_eq!(error.to_string(), "invalid_grant (HTTP 400): Authorization code is expired. [log_id L1]");
    let error = app.revoke("t").await.unwrap_err();
    assert!(error.is_oauth(OAuthErrorCode::InvalidRequest), "{error:?}");
    assert_eq!(error.refusal().map(|refusal| (refusal.status, refusal.dialect)), Some((200, Dialect::OAuth)));
    let error = app.check("t", id).await.unwrap_err();
    assert!(error.is(ErrorCode::RateLimitExceeded) && error.is_transient(), "{error:?}");
    assert_eq!(error.refusal().and_then(|refusal| refusal.retry_after), Some(Duration::from_secs(17)));
    let error = app.add("t", DataFormat::Json, &["x"]).await.unwrap_err();
    let refusal = error.refusal().unwrap();
    assert_eq!((refusal.code.as_str(), refusal.log_id.as_str(), refusal.status), ("a_new_code", "L4", 401));
    for error in [app.cancel("t", id).await.unwrap_err(), app.user_info("t", &["open_id"]).await.unwrap_err()] {
        assert!(error.is(ErrorCode::AccessTokenInvalid) && !error.is_oauth(OAuthErrorCode::InvalidGrant), "{error:?}");
    }
}

#[tokio::test]
async fn what_does_not_speak_the_api_is_said_so() {
    let stand = Stand::start(|_, count| match count {
        0 => Reply { status: 502, body: b"<html>\n<h1>Bad\tGateway".into(), ..Reply::default() },
        1 => Reply { status: 200, ..Reply::default() },
        2 => Reply::json(200, r#"{"data":{"request_id":0},"error":{"code":"ok","message":"","log_id":""}}"#),
        3 => Reply { status: 302, ..Reply::default() }.with("location", "/elsewhere"),
        4 => Reply { status: 200, body: vec![b' '; 2 << 20], ..Reply::default() },
        _ => Reply::json(200, r#"{"access_token":"act.secret"}"#),
    })
    .await;
    let app = stand.client();
    for (expected, words) in [
        (502, r#"begins "<html> <h1>Bad Gateway""#),
        (200, "an empty body"),
        (200, "request_id"),
        (302, "an empty body"),
        (200, "more than 1048576 bytes"),
    ] {
        let error = app.add("t", DataFormat::Json, &["x"]).await.unwrap_err();
        assert!(matches!(error, Error::Unexpected { status, .. } if status == expected), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.is_transient(), expected == 502);
    }
    assert_eq!(stand.seen().len(), 5, "a redirect was followed, or a call sent twice");
    let error = app.refresh("r").await.err().unwrap();
    assert!(matches!(error, Error::Unexpected { .. }) && !error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn no_server_and_a_slow_one() {
    let stand = Stand::start(|_, _| Reply { status: 200, body: b"{}".into(), hang: Some(1), ..Reply::default() }).await;
    let app = stand.builder().call_timeout(Duration::from_millis(50)).build().unwrap();
    let error = app.refresh("r").await.err().unwrap();
    assert!(matches!(&error, Error::Transport(cause) if cause.is_timeout()) && error.is_transient(), "{error:?}");
    let nobody = portward_client::Client::new("http://127.0.0.1:1", "k", "s").unwrap();
    let error = nobody.refresh("r").await.err().unwrap();
    assert!(error.to_string().contains("refused"), "{error}");
}
