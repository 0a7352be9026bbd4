//! The two dialects of error: nested for the API (contract 6), flat for OAuth (contract 3.6).

use serde::{Deserialize, Serialize};

/// Codes of the nested dialect, with the HTTP status each is sent with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// Success.
    Ok,
    /// No token, or one that is unknown, expired, revoked or not a person's.
    AccessTokenInvalid,
    /// A fault of ours.
    InternalError,
    /// A field is absent or wrong; the message names it.
    InvalidParams,
    /// The app may not use the data calls now: not live, suspended, frozen, revoked.
    PermissionDenied,
    /// Over quota.
    RateLimitExceeded,
    /// The person did not grant the scope, or the single one is used.
    ScopeNotAuthorized,
    /// Some of the asked fields need further scopes.
    ScopePermissionMissed,
    /// The operator has stopped all access for the moment.
    ServiceUnavailable,
}

impl ErrorCode {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::AccessTokenInvalid => "access_token_invalid",
            Self::InternalError => "internal_error",
            Self::InvalidParams => "invalid_params",
            Self::PermissionDenied => "permission_denied",
            Self::RateLimitExceeded => "rate_limit_exceeded",
            Self::ScopeNotAuthorized => "scope_not_authorized",
            Self::ScopePermissionMissed => "scope_permission_missed",
            Self::ServiceUnavailable => "service_unavailable",
        }
    }

    /// The HTTP status the code is sent with (contract 6, `client-rules.md` 34).
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Ok => 200,
            Self::AccessTokenInvalid | Self::PermissionDenied | Self::ScopeNotAuthorized => 401,
            Self::InvalidParams | Self::ScopePermissionMissed => 400,
            Self::RateLimitExceeded => 429,
            Self::InternalError => 500,
            Self::ServiceUnavailable => 503,
        }
    }
}

/// Codes of the flat dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OAuthErrorCode {
    /// The person or the server refused.
    AccessDenied,
    /// Unknown client, or its secret is missing or wrong.
    InvalidClient,
    /// A code or refresh token that is unknown, used, expired, revoked or another client's.
    InvalidGrant,
    /// A parameter is absent, repeated or malformed.
    InvalidRequest,
    /// A scope is unknown or not enabled for the app.
    InvalidScope,
    /// The app may not ask for codes or tokens now.
    UnauthorizedClient,
    /// The grant type is none of the three.
    UnsupportedGrantType,
    /// The response type is not `code`.
    UnsupportedResponseType,
    /// A fault of ours.
    ServerError,
    /// Too many failures, or access is stopped for the moment.
    TemporarilyUnavailable,
}

impl OAuthErrorCode {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidScope => "invalid_scope",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }

    /// The HTTP status: 401 for a client that did not prove itself, 400 for the rest, 5xx for the last two
    /// (contract 3.6, `client-rules.md` 17).
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidClient => 401,
            Self::ServerError => 500,
            Self::TemporarilyUnavailable => 503,
            _ => 400,
        }
    }
}

/// The flat body of an OAuth error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OAuthError {
    /// Which kind.
    pub error: OAuthErrorCode,
    /// What happened and what to do, for the developer.
    pub error_description: String,
    /// To be quoted to support.
    pub log_id: String,
}
