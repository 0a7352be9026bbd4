//! Download (contract 4.4): the archive as it lies in the vault, opened while it is sent, with ranges.

use std::ops::Range;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State as With};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use platform::access_log;
use platform::quotas::RequestType;
use platform::requests::{self, Standing};
use platform::{Fault, Millis};
use wire::RequestStatus;

use super::data::{Call, Told, incorrect_id, receive};
use super::envelope::Refusal;
use super::record::Sending;
use crate::http::CallId;
use crate::state::State;

/// How often a running download looks whether the archive may still be read.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// `POST /v2/user/data/download/`
pub(crate) async fn download(With(state): With<State>, id: CallId, request: Request) -> Response {
    let mut told = Told::default();
    let answer = match open(&state, request, &mut told).await {
        Ok(response) => response,
        Err(refusal) => {
            told.heard.note(&state, access_log::Call::Download, refusal.code.as_str());
            refusal.answer(&id, true, true)
        }
    };
    told.on(answer)
}

async fn open(state: &State, request: Request, told: &mut Told) -> Result<Response, Refusal> {
    let call = receive(state, request, RequestType::Download, told).await?;
    let request_id = call.request_id()?;
    told.heard.request(request_id);
    call.standing()?;
    let platform = &state.platform;
    let found = requests::of_bearer(platform, &call.bearer, request_id).await?.ok_or_else(incorrect_id)?;
    match found.status(platform.now()) {
        RequestStatus::Downloading => {}
        RequestStatus::Pending => {
            return Err(Refusal::params("The archive is not ready yet. Wait for the webhook, or check the status."));
        }
        RequestStatus::Expired => return Err(Refusal::params("The archive has expired. Make a new request.")),
        RequestStatus::Cancelled => return Err(Refusal::params("The request was cancelled.")),
    }
    send(state, &call, &found, told, &Method::POST).await
}

/// Sends the archive of a request that is ready; to `GET` only if the caller does not hold it already, to `HEAD` without a byte of it.
pub(super) async fn send(
    state: &State,
    call: &Call,
    found: &requests::Request,
    told: &mut Told,
    method: &Method,
) -> Result<Response, Refusal> {
    call.unfrozen(state, found)?;
    let platform = &state.platform;
    let mut tx = platform.db.read().await.map_err(Fault::from)?;
    let archive = requests::archive_of(&mut tx, found.request_id).await?.ok_or_else(incorrect_id)?;
    drop(tx);
    let size = archive.len();
    let etag = format!("\"{}\"", archive.sha256);
    let name = format!("attachment; filename=\"{}.zip\"", found.request_id);
    if method != Method::POST
        && call.headers.contains_key(header::IF_MATCH)
        && !names(&call.headers, header::IF_MATCH, &etag, false)
    {
        return Err(Refusal::status(StatusCode::PRECONDITION_FAILED, "The archive is another than If-Match names."));
    }
    if method != Method::POST && names(&call.headers, header::IF_NONE_MATCH, &etag, true) {
        return Ok(answer(StatusCode::NOT_MODIFIED, Body::empty(), &etag, &name));
    }
    if method == Method::HEAD {
        let mut response = answer(StatusCode::OK, Body::empty(), &etag, &name);
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(size));
        return Ok(response);
    }
    let range = asked_range(call, &etag, size)?;
    let (part, status) = match range {
        Some(range) => (range, StatusCode::PARTIAL_CONTENT),
        None => (0..size, StatusCode::OK),
    };
    let detail = if status == StatusCode::OK { "whole".to_owned() } else { format!("bytes {}-{}", part.start, part.end - 1) };
    // The record comes first: nothing leaves without it.
    if requests::begin_download(platform, &call.bearer, found, &detail).await?.is_none() {
        return Err(incorrect_id());
    }
    metrics::counter!("portward_downloads_total", "world" => platform.world.as_str()).increment(1);
    let key = archive.key(platform)?;
    let bytes = platform.vault.read(&archive.object, &key, size, part.clone());
    told.sends = true;
    let sending =
        Sending::new(told.heard, state.clone(), access_log::Call::Download, status == StatusCode::OK, part.end - part.start);
    let body = Body::from_stream(watched(state.clone(), found.request_id, bytes, sending));
    let mut response = answer(status, body, &etag, &name);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
    if status == StatusCode::PARTIAL_CONTENT {
        headers.insert(header::CONTENT_RANGE, text(&format!("bytes {}-{}/{size}", part.start, part.end - 1)));
    }
    Ok(response)
}

fn answer(status: StatusCode, body: Body, etag: &str, disposition: &str) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(header::CONTENT_DISPOSITION, text(disposition));
    headers.insert(header::ETAG, text(etag));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// Whether a condition names this archive. `If-Match` compares strongly, `If-None-Match` weakly (RFC 9110 13.1.1, 13.1.2).
fn names(headers: &HeaderMap, condition: header::HeaderName, etag: &str, weakly: bool) -> bool {
    let lists = headers.get_all(condition).iter().filter_map(|value| value.to_str().ok());
    let same = |tag: &str| tag == "*" || tag == etag || (weakly && tag.strip_prefix("W/") == Some(etag));
    lists.flat_map(|list| list.split(',')).map(str::trim).any(same)
}

/// The one range that is asked for, if `If-Range` agrees (RFC 9110 13.1.5, 14.2).
fn asked_range(call: &Call, etag: &str, size: u64) -> Result<Option<Range<u64>>, Refusal> {
    let held = |name: header::HeaderName| call.headers.get(name).and_then(|value| value.to_str().ok());
    if held(header::IF_RANGE).is_some_and(|tag| tag != etag) {
        return Ok(None);
    }
    match parse_range(&call.headers, size) {
        Asked::Whole => Ok(None),
        Asked::Part(range) => Ok(Some(range)),
        Asked::Nowhere => {
            let refusal = Refusal::status(StatusCode::RANGE_NOT_SATISFIABLE, format!("The archive has {size} bytes."));
            Err(match HeaderValue::from_str(&format!("bytes */{size}")) {
                Ok(value) => refusal.with("content-range", value),
                Err(_) => refusal,
            })
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Whole,
    Part(Range<u64>),
    Nowhere,
}

/// Reads `Range: bytes=a-b`. Anything else than one range of bytes is passed over, and the whole is sent, as RFC 9110 14.2 allows.
pub(super) fn parse_range(headers: &HeaderMap, size: u64) -> Asked {
    let mut values = headers.get_all(header::RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Asked::Whole };
    let spec = value.to_str().ok().and_then(|text| text.trim().strip_prefix("bytes=")).and_then(|spec| spec.split_once('-'));
    let Some((from, to)) = spec.map(|(from, to)| (from.trim(), to.trim())) else { return Asked::Whole };
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().unwrap_or(u64::MAX));
    match (from, number(from), to, number(to)) {
        ("", _, _, Some(last)) if !to.is_empty() => {
            if last == 0 {
                Asked::Nowhere
            } else {
                Asked::Part(size.saturating_sub(last)..size)
            }
        }
        (_, Some(from_byte), "", _) if !from.is_empty() => {
            if from_byte < size {
                Asked::Part(from_byte..size)
            } else {
                Asked::Nowhere
            }
        }
        (_, Some(from_byte), _, Some(to_byte)) if !from.is_empty() && from_byte <= to_byte => {
            if from_byte < size {
                Asked::Part(from_byte..to_byte.saturating_add(1).min(size))
            } else {
                Asked::Nowhere
            }
        }
        _ => Asked::Whole,
    }
}

/// Ends the stream with a fault when the archive is no longer to be read: withdrawn, cancelled, expired, its app suspended or revoked, or a freeze
/// made. What was sent until then is a torn file, which no reader takes for whole.
pub(super) fn watched(
    state: State,
    request_id: i64,
    bytes: impl Stream<Item = Result<Bytes, Fault>> + Send + 'static,
    sending: Sending,
) -> impl Stream<Item = Result<Bytes, Fault>> + Send + 'static {
    let span = tracing::Span::current();
    let begun = state.platform.now();
    let start = (Box::pin(bytes), state, begun, Some((span, sending)));
    stream::unfold(
        start,
        move |(mut bytes, state, looked, open): (_, State, Millis, Option<(tracing::Span, Sending)>)| async move {
            let (span, mut sending) = open?;
            let mut looked = looked;
            let now = state.platform.now();
            // A clock that jumped back must not put off the next look.
            if now < looked || now.since(looked) >= LOOK_EVERY {
                looked = now;
                match requests::may_read(&state.platform, request_id).await {
                    Ok(Standing::Free) => {}
                    Ok(standing) => {
                        span.in_scope(|| {
                            tracing::info!(request_id, ?standing, "download ended: the archive may not be read now")
                        });
                        let gone = std::io::Error::other("the archive may not be read now");
                        return Some((Err(gone.into()), (bytes, state, looked, None)));
                    }
                    Err(fault) => return Some((Err(fault), (bytes, state, looked, None))),
                }
            }
            match bytes.next().await? {
                Ok(piece) => {
                    sending.sent(piece.len());
                    Some((Ok(piece), (bytes, state, looked, Some((span, sending)))))
                }
                Err(fault) => {
                    span.in_scope(|| tracing::error!(request_id, %fault, "download broke off"));
                    Some((Err(fault), (bytes, state, looked, None)))
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(value: &str) -> Asked {
        let mut headers = HeaderMap::new();
        headers.insert(header::RANGE, HeaderValue::from_str(value).unwrap());
        parse_range(&headers, 100)
    }

    #[test]
    fn conditions_name_an_archive() {
        let named = |condition: &str, weakly| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, HeaderValue::from_str(condition).unwrap());
            names(&headers, header::IF_MATCH, "\"ab\"", weakly)
        };
        for (condition, strongly, weakly) in [
            ("\"ab\"", true, true),
            ("*", true, true),
            ("\"x\", \"ab\"", true, true),
            ("W/\"ab\"", false, true),
            ("W/\"x\"", false, false),
            ("ab", false, false),
            ("\"abc\"", false, false),
            ("", false, false),
        ] {
            assert_eq!((named(condition, false), named(condition, true)), (strongly, weakly), "{condition}");
        }
    }

    #[test]
    fn ranges() {
        assert_eq!(range("bytes=0-0"), Asked::Part(0..1));
        assert_eq!(range("bytes=10-"), Asked::Part(10..100));
        assert_eq!(range("bytes=10-1000"), Asked::Part(10..100));
        assert_eq!(range("bytes=-10"), Asked::Part(90..100));
        assert_eq!(range("bytes=-1000"), Asked::Part(0..100));
        for nowhere in ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(range(nowhere), Asked::Nowhere, "{nowhere}");
        }
        for whole in ["bytes=", "bytes=-", "bytes=5-1", "bytes=a-b", "items=0-1", "bytes=0-1,5-6", "bytes=+1-2", "0-1"] {
            assert_eq!(range(whole), Asked::Whole, "{whole}");
        }
        assert_eq!(parse_range(&HeaderMap::new(), 100), Asked::Whole);
    }
}
