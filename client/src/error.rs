//! What can go wrong, so that a program can decide and a person can report it.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;
use wire::{ErrorCode, OAuthErrorCode, RequestStatus};

/// Why a call did not give what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server answered with an error of its own, in one of the wire's two dialects.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// No answer: no connection, a broken one, a certificate that is not trusted.
    #[error("no answer from the server: {}", causes(.0))]
    Transport(#[from] reqwest::Error),
    /// No byte within the limit.
    #[error("the server sent nothing for {} s", .0.as_secs_f32())]
    Silence(Duration),
    /// Something answered that does not speak this API; the text says what came instead.
    #[error("HTTP {status}, but not an answer of this API: {what}")]
    Unexpected {
        /// The HTTP status.
        status: u16,
        /// What came instead.
        what: String,
    },
    /// The request ended without an archive.
    #[error("the request ended as `{}`: there is no archive to download", .0.as_str())]
    Ended(RequestStatus),
    /// The archive was not ready within the limit given to `wait`; it may still become ready.
    #[error("the archive was not ready within {} s; the request goes on", .0.as_secs())]
    NotReady(Duration),
    /// What was downloaded is not what the server announced. Nothing was kept.
    #[error("the downloaded archive is damaged: {0}")]
    Damaged(String),
    /// The file could not be written.
    #[error("cannot write {path}: {cause}")]
    File {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The address, a certificate or another setting cannot be used.
    #[error("{0}")]
    Settings(String),
}

/// Which form the server's error had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `{"error": {"code", "message", "log_id"}}`, of user info and the data calls.
    Api,
    /// `{"error", "error_description", "log_id"}`, of the OAuth calls.
    OAuth,
}

/// An error as the server put it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// Which form it had.
    pub dialect: Dialect,
    /// The code as it was spelt; newer servers may send codes this crate does not know.
    pub code: String,
    /// What happened, in the server's words.
    pub message: String,
    /// To be quoted to the server's support.
    pub log_id: String,
    /// For how long the server wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (HTTP {})", self.code, self.status)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        if !self.log_id.is_empty() {
            write!(f, " [log_id {}]", self.log_id)?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}

impl Error {
    /// What the server said, if it said anything.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// Whether the server refused with this code of the data calls.
    pub fn is(&self, code: ErrorCode) -> bool {
        self.refusal().is_some_and(|refusal| refusal.dialect == Dialect::Api && refusal.code == code.as_str())
    }

    /// Whether the server refused with this code of the OAuth calls.
    pub fn is_oauth(&self, code: OAuthErrorCode) -> bool {
        self.refusal().is_some_and(|refusal| refusal.dialect == Dialect::OAuth && refusal.code == code.as_str())
    }

    /// Whether the same call may succeed later: over quota, a fault of the server or of the network. After an `add` that
    /// got no answer, the request may have been made all the same: give it a key ([`Client::add_once`](crate::Client::add_once)).
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused(refusal) => is_transient(refusal.status),
            Self::Unexpected { status, .. } => is_transient(*status),
            Self::Transport(cause) => !cause.is_builder(),
            Self::Silence(_) => true,
            _ => false,
        }
    }
}

fn is_transient(status: u16) -> bool {
    status == 429 || status >= 500
}

/// The causes of an error in one line: reqwest's own text stops at "error sending request".
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[derive(Deserialize)]
struct Nested {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    log_id: String,
}

/// What an answer says besides its body.
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    log_id: String,
    retry_after: Option<Duration>,
}

impl Head {
    pub(crate) fn of(response: &reqwest::Response) -> Self {
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        Self {
            status: response.status(),
            log_id: header(wire::LOG_ID_HEADER).unwrap_or_default().to_owned(),
            // The other form, a date, would need a clock that agrees with the server's.
            retry_after: header("retry-after").and_then(|value| value.trim().parse().ok()).map(Duration::from_secs),
        }
    }

    /// The error in a body, if there is one. Some servers send errors with status 200.
    pub(crate) fn error(&self, body: &[u8]) -> Option<Error> {
        let json: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |name: &str| json.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (dialect, code, message, log_id) = match json.get("error") {
            Some(Value::String(code)) => (Dialect::OAuth, code.clone(), text("error_description"), text("log_id")),
            Some(nested @ Value::Object(_)) => {
                let nested = Nested::deserialize(nested).ok()?;
                if nested.code == "ok" && self.status.is_success() {
                    return None;
                }
                (Dialect::Api, nested.code, nested.message, nested.log_id)
            }
            _ if self.status.is_success() => return None,
            _ => return Some(self.unexpected(body)),
        };
        let log_id = if log_id.is_empty() { self.log_id.clone() } else { log_id };
        let (status, retry_after) = (self.status.as_u16(), self.retry_after);
        Some(Error::Refused(Box::new(Refusal { status, dialect, code, message, log_id, retry_after })))
    }

    pub(crate) fn unexpected(&self, body: &[u8]) -> Error {
        // Enough to recognise a proxy's error page by, and no more: it goes into logs.
        let start = String::from_utf8_lossy(&body[..body.len().min(200)]);
        let start = start.split_whitespace().collect::<Vec<_>>().join(" ");
        let what = if start.is_empty() { "an empty body".into() } else { format!("a body that begins {start:?}") };
        Error::Unexpected { status: self.status.as_u16(), what }
    }
}
