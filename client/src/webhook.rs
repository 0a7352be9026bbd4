//! Being told instead of asking: reading the calls that the server makes to an app's webhook address.
//!
//! ```
//! use portward_client::webhook::{self, Notice};
//!
//! // In your handler: the exact bytes of the body, before anything parses them.
//! fn on_webhook(signature: &str, body: &[u8], now: i64) -> u16 {
//!     match webhook::read("client secret", signature, body, now) {
//!         Ok(call) => {
//!             if let Notice::DownloadReady(id) = call.notice {
//!                 println!("request {id} is ready");
//!             }
//!             200 // at once; the same call may come twice
//!         }
//!         Err(_) => 401,
//!     }
//! }
//! # assert_eq!(on_webhook("t=1,s=00", b"{}", 1), 401);
//! ```

use serde::Deserialize;
use serde_json::Value;
pub use wire::{RemovedReason, SIGNATURE_HEADER, SignatureError, verify};

use wire::RequestId;

/// How old a signature may be, in seconds; the custom among receivers.
pub const TOLERANCE: i64 = 300;

/// A call that is what it says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// The app that is told. An address that serves several apps looks here first, and then uses that app's secret.
    pub client_key: String,
    /// The person, as this app knows them; some servers leave it out.
    pub open_id: Option<String>,
    /// When it happened, in seconds since the epoch.
    pub create_time: i64,
    /// What happened.
    pub notice: Notice,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The archive of this request can be downloaded.
    DownloadReady(RequestId),
    /// Access has ended, and the person's tokens are dead.
    AuthorizationRemoved(RemovedReason),
    /// A test.
    Ping,
    /// An event that this crate does not know: answer 200 and forget it.
    Other {
        /// Its name.
        event: String,
        /// Its content, as it came.
        content: String,
    },
}

/// Why a call was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// It was not signed with this secret, or too long ago. Do not trust any of it.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It is signed, but does not read as an event.
    #[error("the body is not an event: {0}")]
    Body(String),
}

#[derive(Deserialize)]
struct Raw {
    client_key: String,
    event: String,
    #[serde(default)]
    create_time: i64,
    #[serde(default)]
    user_openid: Option<String>,
    #[serde(default)]
    content: String,
}

/// Checks the signature (the value of [`SIGNATURE_HEADER`]) over the exact bytes of the body, and reads them. `now` is the
/// time in seconds since the epoch.
pub fn read(client_secret: &str, signature: &str, body: &[u8], now: i64) -> Result<Call, CallError> {
    verify(client_secret, signature, body, now, TOLERANCE)?;
    let raw: Raw = serde_json::from_slice(body).map_err(|error| CallError::Body(error.to_string()))?;
    // JSON inside a string; its spacing differs from server to server.
    let content: Value = serde_json::from_str(&raw.content).unwrap_or_default();
    let bad = |what: &str| CallError::Body(format!("the content of {} lacks {what}", raw.event));
    let notice = match raw.event.as_str() {
        "portability.download.ready" => {
            let id = content.get("request_id").and_then(|id| RequestId::deserialize(id).ok());
            Notice::DownloadReady(id.ok_or_else(|| bad("a request_id"))?)
        }
        "authorization.removed" => {
            let reason = content.get("reason").and_then(Value::as_i64).ok_or_else(|| bad("a reason"))?;
            Notice::AuthorizationRemoved(RemovedReason::from_code(reason).unwrap_or(RemovedReason::Unknown))
        }
        "tiktok.ping" => Notice::Ping,
        _ => Notice::Other { event: raw.event, content: raw.content },
    };
    Ok(Call { client_key: raw.client_key, open_id: raw.user_openid, create_time: raw.create_time, notice })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(body: &str) -> Result<Call, CallError> {
        read("secret", &wire::sign("secret", 1000, body.as_bytes()), body.as_bytes(), 1200)
    }

    #[test]
    fn the_contracts_samples_are_read() {
        let ready = r#"{"client_key":"k","event":"portability.download.ready","create_time":1615338610,
            "content":"{\"request_id\":123123123123123}"}"#;
        let read = call(ready).unwrap();
        assert_eq!(read.notice, Notice::DownloadReady(RequestId::new(123_123_123_123_123).unwrap()));
        assert_eq!((read.client_key.as_str(), read.open_id, read.create_time), ("k", None, 1_615_338_610));
        let removed = r#"{"client_key":"k","event":"authorization.removed","create_time":1,"user_openid":"p",
            "content":"{\"reason\": 1 }"}"#;
        assert_eq!(call(removed).unwrap().notice, Notice::AuthorizationRemoved(RemovedReason::Disconnected));
        let other = r#"{"client_key":"k","event":"video.publish.completed","create_time":1,"content":"{}"}"#;
        assert!(matches!(call(other).unwrap().notice, Notice::Other { event, .. } if event == "video.publish.completed"));
    }

    #[test]
    fn foreign_old_and_broken_calls_are_told_apart() {
        let body = br#"{"client_key":"k","event":"tiktok.ping","create_time":1,"content":"{}"}"#;
        let signature = wire::sign("secret", 1000, body);
        assert_eq!(read("secret", &signature, body, 1300).unwrap().notice, Notice::Ping);
        assert_eq!(read("secret", &signature, body, 1301), Err(CallError::Signature(SignatureError::Stale)));
        assert_eq!(read("other", &signature, body, 1000), Err(CallError::Signature(SignatureError::Mismatch)));
        for broken in [
            "",
            "[]",
            r#"{"event":"tiktok.ping"}"#,
            r#"{"client_key":"k","event":"portability.download.ready","content":"x"}"#,
            r#"{"client_key":"k","event":"portability.download.ready","content":"{\"request_id\":-1}"}"#,
            r#"{"client_key":"k","event":"authorization.removed","content":"{}"}"#,
        ] {
            assert!(matches!(call(broken), Err(CallError::Body(_))), "{broken}");
        }
    }
}
