//! What goes over the wire: requests, answers, error codes, scopes, categories, statuses and events.
//!
//! The wire is TikTok's Data Portability API. This crate knows its grammar and its spelling; which categories and scopes
//! exist is the operator's catalogue, and who may do what is decided in `platform`. Nothing here does I/O.
#![doc(html_root_url = "https://docs.rs/portward-wire")]

mod data;
mod envelope;
mod error;
mod log_id;
mod oauth;
mod request_id;
mod scope;
mod user;
mod webhook;

pub use data::{AddBody, BadBody, CheckField, DataFormat, RequestStatus, check_fields, parse_id_body};
pub use envelope::{Added, Answer, Checked, ErrorBody};
pub use error::{ErrorCode, OAuthError, OAuthErrorCode};
pub use log_id::LogId;
pub use oauth::{ClientTokenAnswer, TokenAnswer, challenge_matches};
pub use request_id::RequestId;
pub use scope::{BadScope, Scope, ScopeKind, ScopeSet};
pub use user::{User, UserField};
pub use webhook::{
    Event, EventName, RemovedReason, SIGNATURE_HEADER, STANDARD_ID_HEADER, STANDARD_SIGNATURE_HEADER, STANDARD_TIME_HEADER,
    SignatureError, sign, standard_secret, standard_sign, verify,
};

/// The scope that every sign-in grants, whatever was asked for (`client-rules.md` 21).
pub const BASIC_SCOPE: &str = "user.info.basic";
/// The header that repeats `log_id` (contract 3.6).
pub const LOG_ID_HEADER: &str = "x-tt-logid";
