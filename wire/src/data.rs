//! The bodies and fields of the four data calls (contract 4).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::RequestId;

/// The form of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataFormat {
    /// One member with all of it.
    Json,
    /// Folders of text files.
    Text,
}

impl DataFormat {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Text => "text",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Json, Self::Text].into_iter().find(|format| format.as_str() == word)
    }
}

/// The wire's four statuses; clients fail on any other (`client-rules.md` 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestStatus {
    /// Still being collected.
    Pending,
    /// Ready to be downloaded, whatever the word says.
    Downloading,
    /// No longer to be had.
    Expired,
    /// Cancelled by the caller.
    Cancelled,
}

impl RequestStatus {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Downloading => "downloading",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A body that cannot be used; the text names the field and says what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadBody(pub String);

fn bad<T>(message: impl Into<String>) -> Result<T, BadBody> {
    Err(BadBody(message.into()))
}

/// Categories in one call beyond which nobody can mean it.
const MAX_CATEGORIES: usize = 100;

/// The body of add. Categories are as they were spelt, each once; the catalogue says which exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddBody {
    /// The form of the archive.
    pub data_format: DataFormat,
    /// What is asked for: at least one, each once.
    pub categories: Vec<String>,
}

#[derive(Deserialize)]
struct RawAdd {
    data_format: Option<Value>,
    category_selection_list: Option<Value>,
}

impl AddBody {
    /// Reads the JSON body of add (contract 4.1).
    pub fn parse(body: &[u8]) -> Result<Self, BadBody> {
        let raw: RawAdd = object(body)?;
        let data_format = match &raw.data_format {
            None | Some(Value::Null) => return bad("`data_format` is missing: send `json` or `text`."),
            Some(Value::String(word)) => match DataFormat::parse(word) {
                Some(format) => format,
                None => return bad("`data_format` must be `json` or `text`."),
            },
            Some(_) => return bad("`data_format` must be a string: `json` or `text`."),
        };
        let list = match raw.category_selection_list {
            None | Some(Value::Null) => return bad("`category_selection_list` is missing: name at least one category."),
            Some(Value::Array(list)) => list,
            Some(_) => return bad("`category_selection_list` must be a list of strings."),
        };
        if list.is_empty() {
            return bad("`category_selection_list` is empty: name at least one category.");
        }
        if list.len() > MAX_CATEGORIES {
            return bad(format!("`category_selection_list` has more than {MAX_CATEGORIES} entries."));
        }
        let mut categories = Vec::with_capacity(list.len());
        for entry in list {
            let Value::String(name) = entry else {
                return bad("`category_selection_list` must hold strings only.");
            };
            if !categories.contains(&name) {
                categories.push(name);
            }
        }
        Ok(Self { data_format, categories })
    }
}

#[derive(Deserialize)]
struct RawId {
    request_id: Option<Value>,
}

/// Reads `request_id` from the JSON body of check, cancel or download; `Ok(None)` when the body is empty or names none
/// (`client-rules.md` 3).
pub fn parse_id_body(body: &[u8]) -> Result<Option<RequestId>, BadBody> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let raw: RawId = object(body)?;
    match raw.request_id {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match RequestId::deserialize(value) {
            Ok(id) => Ok(Some(id)),
            Err(_) => bad("Incorrect `request_id`. Please validate the request."),
        },
    }
}

fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, BadBody> {
    // A struct of serde's reads an array too; the wire sends objects.
    if body.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return bad("The body must be a JSON object.");
    }
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        // A duplicate key is the only fault of data that these types can have.
        serde_json::error::Category::Data => BadBody("The body names a field twice.".into()),
        _ => BadBody(format!("The body is not JSON: line {}, column {}.", error.line(), error.column())),
    })
}

/// What check can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckField {
    /// `request_id`
    RequestId,
    /// `apply_time`
    ApplyTime,
    /// `collect_time`
    CollectTime,
    /// `status`
    Status,
    /// `data_format`
    DataFormat,
    /// `category_selection_list`
    Categories,
}

/// Reads the `fields` of check (contract 4.2, `client-rules.md` 4). Absent or empty means all: the contract marks it required
/// and asks for leniency.
pub fn check_fields(fields: Option<&str>) -> Result<Vec<CheckField>, BadBody> {
    use CheckField::{ApplyTime, Categories, CollectTime, DataFormat, RequestId, Status};
    let mut asked = Vec::new();
    for name in fields.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty()) {
        asked.push(match name {
            "request_id" => RequestId,
            "apply_time" => ApplyTime,
            "collect_time" => CollectTime,
            "status" => Status,
            "data_format" => DataFormat,
            "category_selection_list" => Categories,
            _ => {
                return bad(
                    "`fields` may hold request_id, apply_time, collect_time, status, data_format and category_selection_list.",
                );
            }
        });
    }
    if asked.is_empty() {
        asked = vec![RequestId, ApplyTime, CollectTime, Status, DataFormat, Categories];
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn add_bodies() {
        let good = AddBody::parse(br#" {"data_format":"json","category_selection_list":["activity","video","activity"],"x":1}"#)
            .unwrap();
        assert_eq!(good.data_format, DataFormat::Json);
        assert_eq!(good.categories, ["activity", "video"]);
        for (body, word) in [
            ("", "JSON object"),
            ("[]", "JSON object"),
            ("[\"json\",[\"activity\"]]", "JSON object"),
            ("{", "not JSON"),
            ("{\"data_format\":\"json\"}", "category_selection_list"),
            ("{\"category_selection_list\":[\"a\"]}", "data_format"),
            ("{\"data_format\":\"xml\",\"category_selection_list\":[\"a\"]}", "data_format"),
            ("{\"data_format\":1,\"category_selection_list\":[\"a\"]}", "data_format"),
            ("{\"data_format\":\"json\",\"category_selection_list\":[]}", "empty"),
            ("{\"data_format\":\"json\",\"category_selection_list\":\"a\"}", "list"),
            ("{\"data_format\":\"json\",\"category_selection_list\":[1]}", "strings"),
            ("{\"data_format\":\"json\",\"data_format\":\"text\",\"category_selection_list\":[\"a\"]}", "twice"),
        ] {
            let BadBody(message) = AddBody::parse(body.as_bytes()).unwrap_err();
            assert!(message.contains(word), "{body}: {message}");
        }
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        assert!(AddBody::parse(deep.as_bytes()).is_err());
        assert!(AddBody::parse(b"{\"data_format\":\"\xff\"}").is_err());
    }

    #[test]
    fn ids_in_bodies() {
        assert_eq!(parse_id_body(b"  ").unwrap(), None);
        assert_eq!(parse_id_body(b"{}").unwrap(), None);
        assert_eq!(parse_id_body(br#"{"request_id":5}"#).unwrap(), RequestId::new(5));
        assert_eq!(parse_id_body(br#"{"request_id":"5"}"#).unwrap(), RequestId::new(5));
        for body in [r#"{"request_id":-5}"#, r#"{"request_id":1.0}"#, r#"{"request_id":[5]}"#, "5", "\0"] {
            assert!(parse_id_body(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn fields_of_check() {
        assert_eq!(check_fields(None).unwrap().len(), 6);
        assert_eq!(check_fields(Some("status, request_id")).unwrap(), [CheckField::Status, CheckField::RequestId]);
        assert!(check_fields(Some("status,password")).is_err());
    }
}
