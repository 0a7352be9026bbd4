//! The bodies of the own API.

use archive::write::Format;
use platform::freezes::Living;
use platform::requests::{Request, RequestState, Told};
use platform::vault::ArchiveRow;
use platform::{Fault, Millis, export};
use serde_json::{Map, Value, json};

use crate::state::State;

/// More names than this are nobody's wish.
const MOST: usize = 100;
/// The longest name of a category that is worth a look.
const LONGEST: usize = 100;

/// What `POST /v1/requests` asks for.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) categories: Vec<String>,
    pub(super) format: Format,
    pub(super) since: Option<Millis>,
    pub(super) until: Option<Millis>,
    pub(super) documents: bool,
}

/// The members of a wish.
const MEMBERS: [&str; 5] = ["categories", "format", "since", "until", "documents"];

impl Wish {
    /// Reads the body; the error says what to correct.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let members: Map<String, Value> = match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => members,
            Ok(_) => return Err("The body must be a JSON object.".into()),
            Err(_) => return Err("The body is not JSON.".into()),
        };
        if let Some(other) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
            let other = super::clip(other);
            return Err(format!("`{other}` is not known; {} are.", MEMBERS.join(", ")));
        }
        let format = match members.get("format") {
            None => Format::Json,
            Some(word) => {
                word.as_str().and_then(|word| word.parse().ok()).ok_or("`format` is `json`, `txt`, `ndjson` or `csv`.")?
            }
        };
        let documents = match members.get("documents") {
            None => false,
            Some(documents) => documents.as_bool().ok_or("`documents` is true or false.")?,
        };
        let Some(list) = members.get("categories") else { return Err("`categories` is missing: name at least one.".into()) };
        let names = "`categories` is a list of names, each once.";
        let Value::Array(list) = list else { return Err(names.into()) };
        if list.is_empty() || list.len() > MOST {
            return Err(format!("`categories` has from 1 to {MOST} names."));
        }
        let mut categories: Vec<String> = Vec::with_capacity(list.len());
        for entry in list {
            match entry {
                Value::String(name) if !name.is_empty() && name.len() <= LONGEST && !categories.contains(name) => {
                    categories.push(name.clone());
                }
                _ => return Err(names.into()),
            }
        }
        let since = time(&members, "since")?;
        let until = time(&members, "until")?;
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            return Err("`since` must lie before `until`.".into());
        }
        Ok(Self { categories, format, since, until, documents })
    }
}

/// A moment: `2026-01-31T12:00:00Z`, with any offset; or a day, which begins at midnight UTC.
fn time(members: &Map<String, Value>, name: &str) -> Result<Option<Millis>, String> {
    let wrong = || format!("`{name}` is a time such as 2026-01-31T12:00:00Z, or a day such as 2026-01-31.");
    let text = match members.get(name) {
        None => return Ok(None),
        Some(Value::String(text)) if text.len() <= 64 && text.is_ascii() => text,
        Some(_) => return Err(wrong()),
    };
    let stamp = match text.parse::<jiff::Timestamp>() {
        Ok(stamp) => stamp,
        Err(_) if text.len() == 10 => {
            let day: jiff::civil::Date = text.parse().map_err(|_| wrong())?;
            day.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| wrong())?.timestamp()
        }
        Err(_) => return Err(wrong()),
    };
    Ok(Some(Millis(stamp.as_millisecond())))
}

/// A request as the own API tells it. Every member is always there; what does not apply is null.
pub(super) fn resource(
    state: &State,
    request: &Request,
    archive: Option<&ArchiveRow>,
    living: &Living,
    now: Millis,
) -> Result<Value, Fault> {
    let stands = request.state(now);
    let time = |at: Option<Millis>| at.map(|at| at.to_string());
    let progress = match stands {
        // This process knows it to the moment, if it is the one that works at it.
        RequestState::Running => {
            let here = state.platform.progress.of(request.request_id);
            here.and_then(|progress| export::told(&state.platform, request, &progress)).or_else(|| request.progress())
        }
        _ => None,
    };
    let archive = archive.map(|archive| {
        json!({
            "href": format!("/v1/requests/{}/archive", request.request_id),
            "media_type": "application/zip",
            "size": archive.len(),
            "sha256": archive.sha256,
        })
    });
    let failure = (stands == RequestState::Failed).then(|| failure(request.failure.as_deref().unwrap_or_default()));
    // Told of what can still come to something.
    let is_held = matches!(stands, RequestState::Queued | RequestState::Running | RequestState::Ready)
        && living.touches(&state.platform.catalogue, request.app_id, &request.categories()?);
    let held = is_held.then(|| {
        let next = if stands == RequestState::Ready {
            "Fetch the archive once this is null again. Should its time run out before, what the request spent is given back."
        } else {
            "Wait: the request goes on by itself once this is null again."
        };
        json!({ "code": "frozen", "title": "The operator has stopped this data for the moment", "next": next })
    });
    Ok(json!({
        "id": request.request_id.to_string(),
        "state": stands.as_str(),
        "categories": request.categories()?,
        "format": request.format()?.as_str(),
        "since": time(request.since_at),
        "until": time(request.until_at),
        "documents": request.documents,
        "created_at": time(Some(request.applied_at)),
        "started_at": time(request.collecting_at),
        "ready_at": time(request.ready_at),
        "expires_at": time(request.expires_at),
        "ended_at": time(request.ended_at.or(if stands == RequestState::Expired { request.expires_at } else { None })),
        "progress": progress.map(|told: Told| json!(told)),
        "archive": archive,
        "failure": failure,
        "held": held,
    }))
}

/// Why a request failed, as its caller may know it, and what to do next.
fn failure(reason: &str) -> Value {
    let (code, title, next) = match reason {
        "person_deleted" => ("person_deleted", "The person's account was deleted", "There is nothing to ask for any more."),
        "category_unknown" => (
            "category_unknown",
            "A category is no longer offered",
            "Ask for categories that the catalogue has now. What the request spent was given back.",
        ),
        "source_down" | "timeout" | "attempts_exhausted" | "disk_full" | "io" => (
            "temporarily_unavailable",
            "The data could not be read in time",
            "Make the same request again later. What the request spent was given back.",
        ),
        "held_too_long" => (
            "held_too_long",
            "What it asks for was stopped for too long",
            "Make the same request again later. What the request spent was given back.",
        ),
        _ => (
            "operator_fault",
            "Something is wrong on the operator's side",
            "The operator has to repair it; write to support with the number of the request. What it spent was given back.",
        ),
    };
    json!({ "code": code, "title": title, "next": next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_read_strictly() {
        let wish =
            Wish::parse(br#"{"categories":["activity"],"since":"2026-01-31","until":"2026-02-01T01:00:00+01:00"}"#).unwrap();
        assert_eq!((wish.format, wish.categories, wish.documents), (Format::Json, vec!["activity".to_owned()], false));
        assert_eq!((wish.since, wish.until), (Some(Millis(1_769_817_600_000)), Some(Millis(1_769_904_000_000))));
        for format in Format::ALL {
            let body = format!(r#"{{"categories":["activity"],"format":"{format}","documents":true}}"#);
            let wish = Wish::parse(body.as_bytes()).unwrap();
            assert_eq!((wish.format, wish.documents, wish.since, wish.until), (format, true, None, None));
        }
        for wrong in [
            &b""[..],
            b"[]",
            b"{}",
            b"\xff",
            br#"{"categories":[]}"#,
            br#"{"categories":"activity"}"#,
            br#"{"categories":[1]}"#,
            br#"{"categories":[""]}"#,
            br#"{"categories":["a","a"]}"#,
            br#"{"categories":["a"],"format":"zip"}"#,
            br#"{"categories":["a"],"format":null}"#,
            br#"{"categories":["a"],"format":"text"}"#,
            br#"{"categories":["a"],"documents":"yes"}"#,
            br#"{"categories":["a"],"documents":null}"#,
            br#"{"categories":["a"],"since":5}"#,
            br#"{"categories":["a"],"since":"yesterday"}"#,
            br#"{"categories":["a"],"since":"2026-02-30"}"#,
            br#"{"categories":["a"],"since":"2026-02-02","until":"2026-02-02"}"#,
            br#"{"categories":["a"],"scope":"all"}"#,
        ] {
            assert!(Wish::parse(wrong).is_err(), "{}", String::from_utf8_lossy(wrong));
        }
    }
}
