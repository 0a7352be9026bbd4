//! What the own API answers when it does not answer with data: RFC 9457.

use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use platform::Fault;
use serde::Serialize;
use wire::ErrorCode;

use crate::api::envelope::Refusal;
use crate::http::CallId;

/// A kind of problem. Its code is for programs, stays what it is, and is also the end of its `type`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) code: &'static str,
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    /// What to do next.
    pub(crate) cure: &'static str,
}

macro_rules! kinds {
    ($($name:ident $status:literal $code:literal $title:literal $cure:literal)*) => {
        $(pub(super) const $name: Kind = Kind { code: $code, status: $status, title: $title, cure: $cure };)*
        /// All of them, for the documentation.
        pub(crate) const KINDS: &[Kind] = &[$($name),*];
    };
}

kinds! {
    INVALID 400 "invalid_params" "The call cannot be taken as it is" "Correct what the detail names, and send it again."
    TOKEN 401 "access_token_invalid" "There is no valid access token" "Refresh the token; if that fails, ask the person again."
    SERVICE_TOKEN 401 "service_token_invalid" "There is no valid service token" "Send a token that `portward admin tokens add` made, and that lives."
    DENIED 403 "permission_denied" "The app may not use the API now" "Look at the app's page: it says what is missing, and whose move it is."
    SCOPE 403 "scope_not_authorized" "The person did not allow this" "Ask the person for the scope, or ask for other categories."
    UNKNOWN 404 "not_found" "There is nothing here" "Check the address and the number; requests of other people and other apps are not found."
    METHOD 405 "method_not_allowed" "The address does not take this method" "Use a method that Allow names."
    NOT_READY 409 "not_ready" "The archive is not ready yet" "Wait as long as Retry-After says, or for the webhook."
    ENDED 409 "already_ended" "The request has come to its end" "There is nothing to cancel any more."
    TOO_MANY_OPEN 409 "too_many_open" "Too many requests are open for this person" "Wait for one of them, or cancel it."
    GONE 410 "archive_gone" "The archive is gone" "Make a new request."
    SLOW 408 "body_too_slow" "The body did not come in time" "Send it again."
    PRECONDITION 412 "precondition_failed" "The archive is another" "Read the request again: it tells the hash of its archive."
    TOO_LARGE 413 "body_too_large" "The body is too large" "Send less."
    MEDIA_TYPE 415 "unsupported_media_type" "The body is of another type" "Send application/json."
    RANGE 416 "range_not_satisfiable" "The archive is shorter" "Ask for a range within the size that Content-Range tells."
    KEY_REUSED 422 "idempotency_key_reused" "The key was used for another request" "Send a new key with a new request."
    RATE 429 "rate_limit_exceeded" "The quota of this minute is used up" "Wait as long as Retry-After says."
    INTERNAL 500 "internal_error" "Something went wrong on our side" "Try again later; quote the log_id to support if it persists."
    UNAVAILABLE 503 "service_unavailable" "The service is not available now" "Wait as long as Retry-After says."
}

/// A problem on its way out.
#[derive(Debug)]
pub(super) struct Problem {
    kind: &'static Kind,
    detail: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Box<Fault>>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    log_id: String,
}

impl Problem {
    pub(super) fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), headers: Vec::new(), cause: None }
    }

    /// A method that the address does not take.
    pub(super) fn method(allow: &'static str) -> Self {
        Self::new(&METHOD, format!("Use one of: {allow}.")).with(ALLOW, HeaderValue::from_static(allow))
    }

    /// Nothing is there, or nothing of the caller's.
    pub(super) fn unknown() -> Self {
        Self::new(&UNKNOWN, "There is no request with this number for this app and person.")
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// So many seconds are to be waited.
    pub(super) fn after(self, seconds: u32) -> Self {
        self.with(RETRY_AFTER, HeaderValue::from(seconds))
    }

    pub(super) fn code(&self) -> &'static str {
        self.kind.code
    }

    pub(super) fn answer(self, id: &CallId) -> Response {
        match &self.cause {
            Some(fault) => tracing::error!(%fault, "call failed"),
            None => tracing::info!(code = self.kind.code, told = self.detail, "call refused"),
        }
        let body = Body {
            r#type: format!("/docs#problem-{}", self.kind.code),
            title: self.kind.title,
            status: self.kind.status,
            detail: &self.detail,
            code: self.kind.code,
            log_id: id.to_string(),
        };
        let status = StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let text = serde_json::to_vec(&body).unwrap_or_default();
        let mut response =
            (status, [(CONTENT_TYPE, "application/problem+json"), (CACHE_CONTROL, "no-store")], text).into_response();
        if self.kind == &TOKEN || self.kind == &SERVICE_TOKEN {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self { cause: Some(Box::new(fault)), ..Self::new(&INTERNAL, INTERNAL.cure) }
    }
}

/// What the two dialects have in common is refused in the wire's words and told in ours.
impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (code, status, detail, header, cause) = refusal.into_parts();
        let kind = match status {
            StatusCode::NOT_FOUND => &UNKNOWN,
            StatusCode::METHOD_NOT_ALLOWED => &METHOD,
            StatusCode::REQUEST_TIMEOUT => &SLOW,
            StatusCode::PRECONDITION_FAILED => &PRECONDITION,
            StatusCode::PAYLOAD_TOO_LARGE => &TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => &MEDIA_TYPE,
            StatusCode::RANGE_NOT_SATISFIABLE => &RANGE,
            _ => match code {
                ErrorCode::AccessTokenInvalid => &TOKEN,
                ErrorCode::PermissionDenied => &DENIED,
                ErrorCode::ScopeNotAuthorized | ErrorCode::ScopePermissionMissed => &SCOPE,
                ErrorCode::RateLimitExceeded => &RATE,
                ErrorCode::ServiceUnavailable => &UNAVAILABLE,
                ErrorCode::InternalError | ErrorCode::Ok => &INTERNAL,
                ErrorCode::InvalidParams => &INVALID,
            },
        };
        let headers = header.map(|(name, value)| (HeaderName::from_static(name), value)).into_iter().collect();
        Self { kind, detail, headers, cause }
    }
}
