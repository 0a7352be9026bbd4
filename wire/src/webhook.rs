//! Events sent to apps, and their signature (contract 7, `client-rules.md` 23).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
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
    /// An archive could not be made. Ours, as are those that follow: an app is sent them if it asks for them.
    #[serde(rename = "portability.download.failed")]
    DownloadFailed,
    /// An archive was not downloaded in its time.
    #[serde(rename = "portability.download.expired")]
    DownloadExpired,
    /// A request was cancelled, by whomever.
    #[serde(rename = "portability.download.cancelled")]
    DownloadCancelled,
    /// An archive will soon be gone.
    #[serde(rename = "portability.download.expiring")]
    DownloadExpiring,
    /// The review of the app, or of an application of it, stands elsewhere than before.
    #[serde(rename = "review.changed")]
    ReviewChanged,
}

impl EventName {
    /// Those that the compatible wire does not have. Receivers written for it do not know them, so that they go only to apps that ask for them.
    pub const EXTRA: [Self; 5] =
        [Self::DownloadFailed, Self::DownloadExpired, Self::DownloadCancelled, Self::DownloadExpiring, Self::ReviewChanged];

    /// As it is on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationRemoved => "authorization.removed",
            Self::DownloadReady => "portability.download.ready",
            Self::Ping => "tiktok.ping",
            Self::DownloadFailed => "portability.download.failed",
            Self::DownloadExpired => "portability.download.expired",
            Self::DownloadCancelled => "portability.download.cancelled",
            Self::DownloadExpiring => "portability.download.expiring",
            Self::ReviewChanged => "review.changed",
        }
    }

    /// The extra event of that name.
    pub fn extra(name: &str) -> Option<Self> {
        Self::EXTRA.into_iter().find(|event| event.as_str() == name)
    }
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
    /// `authorization.removed`.
    pub fn authorization_removed(client_key: &str, create_time: i64, open_id: &str, reason: RemovedReason) -> Self {
        let content = serde_json::json!({ "reason": reason.code() }).to_string();
        Self::new(client_key, EventName::AuthorizationRemoved, create_time, Some(open_id), content)
    }

    /// `portability.download.ready`, or one of the extra events about a request; `more` is what its content says beside the request's number.
    pub fn about_download(
        event: EventName,
        client_key: &str,
        create_time: i64,
        open_id: &str,
        request_id: RequestId,
        more: &[(&str, serde_json::Value)],
    ) -> Self {
        let mut content = serde_json::json!({ "request_id": request_id });
        for (key, value) in more {
            content[*key] = value.clone();
        }
        Self::new(client_key, event, create_time, Some(open_id), content.to_string())
    }

    /// `review.changed`: `of` is `app` or `application`, `id` its number, `status` where it stands now.
    pub fn review_changed(client_key: &str, create_time: i64, of: &str, id: i64, status: &str) -> Self {
        let content = serde_json::json!({ "of": of, "id": id.to_string(), "status": status }).to_string();
        Self::new(client_key, EventName::ReviewChanged, create_time, None, content)
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

/// The header of [Standard Webhooks](https://www.standardwebhooks.com) with the number of a message: the same at every attempt.
pub const STANDARD_ID_HEADER: &str = "webhook-id";
/// Its header with the time of an attempt, seconds since the epoch.
pub const STANDARD_TIME_HEADER: &str = "webhook-timestamp";
/// Its header with the signatures, one for each secret in force, with blanks between.
pub const STANDARD_SIGNATURE_HEADER: &str = "webhook-signature";

/// A client secret as libraries for Standard Webhooks want it: they sign with what its Base64 stands for, which is the client secret.
pub fn standard_secret(secret: &str) -> String {
    format!("whsec_{}", STANDARD.encode(secret))
}

/// The value of [`STANDARD_SIGNATURE_HEADER`] for one secret: `v1,<Base64>` over `<id>.<seconds>.<body>`.
pub fn standard_sign(secret: &str, id: &str, seconds: i64, body: &[u8]) -> String {
    let mac = mac(secret, format!("{id}.{seconds}").as_bytes(), body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
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

    /// Computed with another implementation: `printf 'msg_1.1.{}' | openssl dgst -sha256 -hmac key -binary | base64`.
    #[test]
    fn a_known_standard_signature() {
        assert_eq!(standard_sign("key", "msg_1", 1, b"{}"), "v1,jKGHVBDuJf5ZbCMVrrutoMHDN1OlFFCE9iogVIO9MLQ=");
        assert_eq!(standard_secret("key"), "whsec_a2V5");
    }

    #[test]
    fn extra_events_are_named_as_they_are_serialised() {
        for event in EventName::EXTRA {
            assert_eq!(serde_json::to_value(event).unwrap(), event.as_str());
            assert_eq!(EventName::extra(event.as_str()), Some(event));
        }
        assert_eq!(EventName::extra("tiktok.ping"), None);
    }

    #[test]
    fn content_is_json_in_a_string() {
        let event = Event::about_download(
            EventName::DownloadReady,
            "aw1",
            1_615_338_610,
            "open",
            RequestId::new(123_123_123_123_123).unwrap(),
            &[],
        );
        let json = serde_json::to_string(&event).unwrap();
        assert!(json.contains(r#""content":"{\"request_id\":123123123123123}""#), "{json}");
        let removed = Event::authorization_removed("aw1", 1, "open", RemovedReason::Disconnected);
        assert_eq!(removed.content, r#"{"reason":1}"#);
    }
}
