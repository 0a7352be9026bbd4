//! The nested dialect: every answer of user info and the data calls (contract 6).

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use platform::Fault;
use serde::Serialize;
use wire::{Answer, ErrorBody, ErrorCode};

use crate::http::CallId;

/// A call that is not answered with data. It decides status, body and what is logged.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: ErrorCode,
    /// The code's own, but for 404, 405, 413, 415 and 416, which keep theirs (`client-rules.md` 34).
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    /// A header that belongs to the refusal, such as `Allow`.
    header: Option<(&'static str, Box<HeaderValue>)>,
    cause: Option<Box<Fault>>,
}

/// Code, status, message, a header, and the cause.
pub(super) type Parts = (ErrorCode, StatusCode, String, Option<(&'static str, HeaderValue)>, Option<Box<Fault>>);

impl Refusal {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { code, status, message: message.into(), header: None, cause: None }
    }

    pub(crate) fn params(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::InvalidParams, message)
    }

    pub(crate) fn status(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, ..Self::params(message) }
    }

    pub(crate) fn token() -> Self {
        Self::new(ErrorCode::AccessTokenInvalid, "The access token is invalid or not found in the request.")
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<HeaderValue>) -> Self {
        self.header = Some((name, Box::new(value.into())));
        self
    }

    /// What it is made of, for the dialect of the own API.
    pub(super) fn into_parts(self) -> Parts {
        (self.code, self.status, self.message, self.header.map(|(name, value)| (name, *value)), self.cause)
    }

    /// The answer: `data` is empty, or left out where the call has none.
    pub(crate) fn answer(self, id: &CallId, has_data: bool, tells_status: bool) -> Response {
        match &self.cause {
            Some(fault) => tracing::error!(%fault, "call failed"),
            None => tracing::info!(code = self.code.as_str(), told = self.message, "call refused"),
        }
        let error = ErrorBody {
            code: self.code,
            http_status_code: tells_status.then_some(self.status.as_u16()),
            message: self.message,
            log_id: id.to_string(),
        };
        let data = has_data.then(|| serde_json::json!({}));
        let mut response = json(self.status, &Answer { data, error });
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, *value);
        }
        response
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let message = "Something went wrong on our side. Try again later, and quote the log_id to support if it persists.";
        Self { cause: Some(Box::new(fault)), ..Self::new(ErrorCode::InternalError, message) }
    }
}

/// A JSON body of any status; not to be kept by anybody on the way.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(body) => {
            (status, [(CONTENT_TYPE, "application/json; charset=utf-8"), (CACHE_CONTROL, "no-store")], body).into_response()
        }
        Err(fault) => {
            tracing::error!(%fault, "an answer cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A path below `/v2/user` that means nothing.
pub(super) fn not_found(id: &CallId) -> Response {
    Refusal::status(StatusCode::NOT_FOUND, "There is no such call. The paths are in the documentation.").answer(id, true, false)
}
