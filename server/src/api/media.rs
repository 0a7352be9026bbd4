//! `/media/{request}/{token}`: what an archive's link leads to, for as long as the archive can be read. Bytes pass through, so that a link ends
//! with its archive whatever the store can do; they are served so that no browser takes them for a page.

use archive::store::{Object, StoreError};
use axum::body::Body;
use axum::extract::{Path, State as With};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use platform::Fault;
use platform::access_log::Call;
use platform::media::{self, Linked};
use platform::requests::Standing;

use super::download::{Asked, parse_range, watched};
use super::record::{Heard, Sending};
use crate::state::State;

/// `GET` and `HEAD`
pub(crate) async fn serve(
    With(state): With<State>,
    Path((request_id, token)): Path<(i64, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    match answer(&state, request_id, &token, &method, &headers).await {
        Ok(response) => response,
        Err(status) => {
            let mut response = (status, [(header::CACHE_CONTROL, "no-store")], Body::empty()).into_response();
            if status == StatusCode::SERVICE_UNAVAILABLE {
                let seconds = HeaderValue::from(state.platform.settings.freezes.seconds());
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
            }
            response
        }
    }
}

async fn answer(
    state: &State,
    request_id: i64,
    token: &str,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, StatusCode> {
    let fault = |fault: Fault| {
        tracing::error!(request_id, %fault, "a link to media cannot be served");
        StatusCode::INTERNAL_SERVER_ERROR
    };
    let opened = media::open(&state.platform, request_id, token).await.map_err(fault)?;
    let (linked, standing) = opened.ok_or(StatusCode::NOT_FOUND)?;
    if standing != Standing::Free {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let store = state.platform.sources.store(&linked.store).ok_or(StatusCode::NOT_FOUND)?;
    let refused = |error: StoreError| refusal(&linked, &error);
    let size = store.size(&linked.key).await.map_err(refused)?;
    let range = match parse_range(headers, size) {
        Asked::Whole => None,
        Asked::Part(range) => Some(range),
        Asked::Nowhere => return Err(StatusCode::RANGE_NOT_SATISFIABLE),
    };
    let object = store.get(&linked.key, range.clone()).await.map_err(refused)?;
    let part = range.clone().unwrap_or(0..size);
    let etag = object.etag.clone();
    let mut response = if *method == Method::HEAD {
        Response::new(Body::empty())
    } else {
        body(state, linked, object, range.is_none(), part.end - part.start)
    };
    *response.status_mut() = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    if let Some(Ok(etag)) = etag.map(|etag| HeaderValue::from_str(&etag)) {
        headers.insert(header::ETAG, etag);
    }
    if range.is_some()
        && let Ok(told) = HeaderValue::from_str(&format!("bytes {}-{}/{size}", part.start, part.end - 1))
    {
        headers.insert(header::CONTENT_RANGE, told);
    }
    Ok(response)
}

/// The bytes, noted when they have gone, and stopped when the archive ends.
fn body(state: &State, linked: Linked, object: Object, whole: bool, length: u64) -> Response {
    let heard = Heard::of(&linked.request);
    let sending = Sending::new(heard, state.clone(), Call::Media, whole, length);
    let bytes = object.bytes().map(|piece| piece.map_err(|error| Fault::from(std::io::Error::other(error))));
    // What a store gives at once may be large; the archive is looked at between pieces.
    let bytes = bytes.flat_map(|piece| {
        let pieces: Vec<Result<Bytes, Fault>> = match piece {
            Ok(piece) if piece.len() > PIECE => {
                (0..piece.len()).step_by(PIECE).map(|at| Ok(piece.slice(at..(at + PIECE).min(piece.len())))).collect()
            }
            other => vec![other],
        };
        stream::iter(pieces)
    });
    Response::new(Body::from_stream(watched(state.clone(), linked.request.request_id, bytes, sending)))
}

const PIECE: usize = 256 << 10;

fn refusal(linked: &Linked, error: &StoreError) -> StatusCode {
    match error {
        StoreError::Missing | StoreError::Key => StatusCode::NOT_FOUND,
        StoreError::Timeout => StatusCode::GATEWAY_TIMEOUT,
        StoreError::Down(_) | StoreError::Refused(_) | StoreError::Broken(_) => {
            tracing::warn!(store = linked.store, %error, "a link to media cannot be served");
            StatusCode::BAD_GATEWAY
        }
    }
}
