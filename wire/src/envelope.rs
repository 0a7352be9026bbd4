//! The nested envelope around every API answer (contract 6).

use serde::{Deserialize, Serialize};

use crate::{DataFormat, ErrorCode, RequestId, RequestStatus};

/// `{"data": .., "error": {..}}`; `data` is left out on cancel and empty on failures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer<T> {
    /// What was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default = "Option::default")]
    pub data: Option<T>,
    /// `ok`, or what went wrong.
    pub error: ErrorBody,
}

/// ErrorStructV2 of the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Which kind.
    pub code: ErrorCode,
    /// Only in failures of download, where TikTok shows it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub http_status_code: Option<u16>,
    /// Empty on success.
    pub message: String,
    /// To be quoted to support.
    pub log_id: String,
}

impl<T> Answer<T> {
    /// A successful answer.
    pub fn ok(data: Option<T>, log_id: impl Into<String>) -> Self {
        let error = ErrorBody { code: ErrorCode::Ok, http_status_code: None, message: String::new(), log_id: log_id.into() };
        Self { data, error }
    }
}

/// The data of an answer to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// The new request.
    pub request_id: RequestId,
}

/// The data of an answer to check; fields that were not asked for are left out (`client-rules.md` 4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Seconds since the epoch at which the request was made.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub apply_time: Option<i64>,
    /// What was asked for, as it was spelt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub category_selection_list: Option<Vec<String>>,
    /// Seconds since the epoch at which collection began; 0 before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub collect_time: Option<i64>,
    /// The form of the archive.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub data_format: Option<DataFormat>,
    /// Which request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub request_id: Option<RequestId>,
    /// One of the wire's four.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<RequestStatus>,
}
