//! Events sent to apps, and their signature (contract 7, `client-rules.md` 23).

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::RequestId;

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "TikTok-Signature";

/// Which event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventName {
    /// The person, the operator or the app itself ended access.
    #[serde(rename = "authorization.removed")]
    AuthorizationRemoved,
    /// An archive can be downloaded.
    #[serde(rename = "portability.download.ready")]
    DownloadReady,
    /// A test.
    #[serde(rename = "tiktok.ping")]
    Ping,
}

/// Why access ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RemovedReason {
    /// None of the others.
    Unknown = 0,
    /// The person withdrew it.
    Disconnected = 1,
    /// The account was deleted.
    AccountDeleted = 2,
    /// The person's age changed.
    AgeChanged = 3,
    /// The account was banned.
    AccountBanned = 4,
    /// The app gave it back.
    DeveloperRevoked = 5,
}

impl RemovedReason {
    /// The number on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason of that number.
    pub fn from_code(code: i64) -> Option<Self> {
        use RemovedReason::{AccountBanned, AccountDeleted, AgeChanged, DeveloperRevoked, Disconnected, Unknown};
        [Unknown, Disconnected, AccountDeleted, AgeChanged, AccountBanned, DeveloperRevoked]
            .into_iter()
            .find(|reason| i64::from(reason.code()) == code)
    }
}

/// The body of a webhook call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The receiving app.
    pub client_key: String,
    /// What happened.
    pub event: EventName,
    /// Seconds since the epoch.
    pub create_time: i64,
    /// The person, as the app knows them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_openid: Option<String>,
    /// JSON inside a string: receivers parse twice.
    pub content: String,
}

impl Event {
    /// `portability.download.ready`.
    pub fn download_ready(client_key: &str, create_time: i64, open_id: &str, request_id: RequestId) -> Self {
        let content = serde_json::json!({ "request_id": request_id }).to_string();
        Self::new(client_key, EventName::DownloadReady, create_time, Some(open_id), content)
    }

    /// `authorization.removed`.
    pub fn authorization_removed(client_key: &str, create_time: i64, open_id: &str, reason: RemovedReason) -> Self {
        let content = serde_json::json!({ "reason": reason.code() }).to_string();
        Self::new(client_key, EventName::AuthorizationRemoved, create_time, Some(open_id), content)
    }

    /// `tiktok.ping`: about nobody, and saying nothing.
    pub fn ping(client_key: &str, create_time: i64) -> Self {
        Self::new(client_key, EventName::Ping, create_time, None, "{}".into())
    }

    fn new(client_key: &str, event: EventName, create_time: i64, open_id: Option<&str>, content: String) -> Self {
        Self { client_key: client_key.into(), event, create_time, user_openid: open_id.map(Into::into), content }
    }
}

/// The value of the signature header: `t=<seconds>,s=<hex>` over `<seconds>.<body>`, keyed with the client secret.
pub fn sign(secret: &str, seconds: i64, body: &[u8]) -> String {
    let mac = mac(secret, seconds.to_string().as_bytes(), body);
    format!("t={seconds},s={}", hex::encode(mac.finalize().into_bytes()))
}

fn mac(secret: &str, seconds: &[u8], body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(seconds);
    mac.update(b".");
    mac.update(body);
    mac
}

/// Why a signature was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The header has another form.
    #[error("the signature header is not of the form t=<seconds>,s=<hex>")]
    Malformed,
    /// The time is further from now than the tolerance.
    #[error("the signature is too old, or from the future")]
    Stale,
    /// The signature belongs to another body, time or secret.
    #[error("the signature does not match the body")]
    Mismatch,
}

/// Checks a signature header against the exact bytes of the body, in constant time. `now` is in seconds since the epoch;
/// receivers allow 300 seconds by custom.
pub fn verify(secret: &str, header: &str, body: &[u8], now: i64, tolerance: i64) -> Result<(), SignatureError> {
    let (seconds, signature) =
        header.strip_prefix("t=").and_then(|rest| rest.split_once(",s=")).ok_or(SignatureError::Malformed)?;
    let time: i64 = seconds.parse().map_err(|_| SignatureError::Malformed)?;
    let signature = hex::decode(signature).map_err(|_| SignatureError::Malformed)?;
    mac(secret, seconds.as_bytes(), body).verify_slice(&signature).map_err(|_| SignatureError::Mismatch)?;
    if now.saturating_sub(time).saturating_abs() > tolerance { Err(SignatureError::Stale) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_verify_and_any_change_is_found() {
        let body = br#"{"event":"tiktok.ping"}"#;
        let header = sign("secret", 1_633_174_587, body);
        assert_eq!(verify("secret", &header, body, 1_633_174_600, 300), Ok(()));
        assert_eq!(verify("secret", &header, body, 1_633_174_900, 300), Err(SignatureError::Stale));
        assert_eq!(verify("other", &header, body, 1_633_174_600, 300), Err(SignatureError::Mismatch));
        assert_eq!(verify("secret", &header, b"{}", 1_633_174_600, 300), Err(SignatureError::Mismatch));
        let moved = header.replacen("t=1633174587", "t=1633174588", 1);
        assert_eq!(verify("secret", &moved, body, 1_633_174_600, 300), Err(SignatureError::Mismatch));
        for header in ["", "t=1", "t=x,s=00", "t=1,s=zz", "s=00,t=1"] {
            assert_eq!(verify("secret", header, body, 1, 300), Err(SignatureError::Malformed), "{header}");
        }
    }

    /// Computed with another implementation: `printf '1.{}' | openssl dgst -sha256 -hmac key`.
    #[test]
    fn a_known_signature() {
        assert_eq!(sign("key", 1, b"{}"), "t=1,s=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224");
    }

    #[test]
    fn content_is_json_in_a_string() {
        let event = Event::download_ready("aw1", 1_615_338_610, "open", RequestId::new(123_123_123_123_123).unwrap());
        let json = serde_json::to_string(&event).unwrap();
        assert!(json.contains(r#""content":"{\"request_id\":123123123123123}""#), "{json}");
        let removed = Event::authorization_removed("aw1", 1, "open", RemovedReason::Disconnected);
        assert_eq!(removed.content, r#"{"reason":1}"#);
    }
}
