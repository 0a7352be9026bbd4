//! Waiting for an archive.

use std::time::{Duration, Instant};

use portward_client::{Error, ErrorCode, RequestId, RequestStatus};

use crate::stand::{Reply, Stand};

fn status(word: &str) -> Reply {
    Reply::json(
        200,
        &format!(r#"{{"data":{{"status":"{word}","request_id":5}},"error":{{"code":"ok","message":"","log_id":""}}}}"#),
    )
}

fn id() -> RequestId {
    RequestId::new(5).unwrap()
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn faults_are_waited_out_until_it_is_ready() {
    let stand = Stand::start(|_, count| match count {
        3 => Reply { status: 502, ..Reply::default() },
        5 => Reply { status: 200, body: b"x".into(), cut: Some(0), ..Reply::default() }.with("content-length", "1"),
        0..9 => status("pending"),
        _ => status("downloading"),
    })
    .await;
    let checked = stand.client().wait("t", id(), LONG).await.unwrap();
    assert_eq!(checked.status, Some(RequestStatus::Downloading));
    assert_eq!(stand.seen().len(), 10);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the test measures real time")]
async fn a_429_is_obeyed() {
    let stand = Stand::start(|_, count| match count {
        0 => Reply::json(429, r#"{"data":{},"error":{"code":"rate_limit_exceeded","message":"","log_id":""}}"#)
            .with("retry-after", "1"),
        _ => status("downloading"),
    })
    .await;
    let start = Instant::now();
    stand.client().wait("t", id(), LONG).await.unwrap();
    assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(stand.seen().len(), 2);
}

#[tokio::test]
async fn a_429_without_a_time_never_ends_the_wait_and_the_limit_does() {
    let body = r#"{"data":{},"error":{"code":"rate_limit_exceeded","message":"","log_id":""}}"#;
    let stand = Stand::start(move |_, _| Reply::json(429, body)).await;
    let error = stand.client().wait("t", id(), Duration::from_millis(500)).await.unwrap_err();
    assert!(matches!(error, Error::NotReady(_)), "{error:?}");
    // Pauses of 2 ms that grow to 20 ms.
    assert!((5..80).contains(&stand.seen().len()), "{}", stand.seen().len());
}

#[tokio::test]
async fn it_ends_when_the_request_does_or_the_server_is_gone() {
    for (word, ended) in [("expired", RequestStatus::Expired), ("cancelled", RequestStatus::Cancelled)] {
        let stand = Stand::start(move |_, _| status(word)).await;
        let error = stand.client().wait("t", id(), LONG).await.unwrap_err();
        assert!(matches!(error, Error::Ended(status) if status == ended), "{error:?}");
    }
    let stand =
        Stand::start(|_, _| Reply::json(401, r#"{"error":{"code":"access_token_invalid","message":"","log_id":""}}"#)).await;
    let error = stand.client().wait("t", id(), LONG).await.unwrap_err();
    assert!(error.is(ErrorCode::AccessTokenInvalid) && stand.seen().len() == 1, "{error:?}");
    let stand = Stand::start(|_, _| Reply { status: 503, ..Reply::default() }).await;
    let error = stand.client().wait("t", id(), LONG).await.unwrap_err();
    assert!(matches!(error, Error::Unexpected { status: 503, .. }) && stand.seen().len() == 6, "{error:?}");
    let stand = Stand::start(|_, _| status("pending")).await;
    let error = stand.client().wait("t", id(), Duration::from_millis(40)).await.unwrap_err();
    assert!(matches!(error, Error::NotReady(_)), "{error:?}");
}
