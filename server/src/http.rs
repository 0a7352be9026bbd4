//! What all calls have in common: a log id, the caller's address, and bodies read within limits.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, FromRequestParts, Request, State as With};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt;
use tracing::Instrument;
use wire::LogId;

use crate::state::State;

/// The log id of a call: in its answer, in its header, and in each of its log lines.
#[derive(Clone, Debug)]
pub(crate) struct CallId(LogId);

impl std::fmt::Display for CallId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<S: Sync> FromRequestParts<S> for CallId {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        // The middleware below has put it there; a route outside of it has none to tell.
        Ok(parts.extensions.get().cloned().unwrap_or_else(|| Self(LogId::new(0, [0; 10]))))
    }
}

/// Gives the call its log id, opens the span that carries it, and counts the answer.
pub(crate) async fn identify(With(state): With<State>, mut request: Request, next: Next) -> Response {
    let platform = &state.platform;
    let begun = platform.now();
    let id = CallId(LogId::new(begun.0, platform.random.bytes()));
    request.extensions_mut().insert(id.clone());
    // The path only: queries carry codes and states.
    let span = tracing::info_span!("call", world = platform.world.as_str(), log_id = %id, method = %request.method(), path = request.uri().path());
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let took_ms = u64::try_from(platform.now().since(begun).as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::info!(status, took_ms, "answered"));
    metrics::counter!("portward_http_requests_total", "world" => platform.world.as_str(), "status" => status.to_string())
        .increment(1);
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(wire::LOG_ID_HEADER, value);
    }
    response
}

/// Who calls: the other end of the connection, or, as long as that is a proxy we trust, whom it names as the one before it.
pub(crate) fn caller(state: &State, parts: &Parts) -> Option<IpAddr> {
    let mut caller = parts.extensions.get::<ConnectInfo<SocketAddr>>()?.ip().to_canonical();
    let named: Vec<&str> = parts.headers.get_all("x-forwarded-for").iter().map(|value| value.to_str().unwrap_or("?")).collect();
    // From the last to the first. What does not read as an address ends the walk: it is not passed over, or callers could write what they like.
    for entry in named.iter().flat_map(|list| list.split(',')).rev() {
        if !state.trusted_proxies.contains(&caller) {
            break;
        }
        let entry = entry.trim();
        let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
        let address = bare.parse::<IpAddr>().or_else(|_| entry.parse::<SocketAddr>().map(|address| address.ip()));
        let Ok(address) = address else { break };
        caller = address.to_canonical();
    }
    Some(caller)
}

/// What limits count an address as: IPv6 by its /64, since one home has all of that.
pub(crate) fn household(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadBody {
    /// Longer than the limit.
    TooLarge,
    /// The connection broke.
    Broken,
    /// It did not come in time.
    Slow,
}

/// How long a body may take: a caller that promises more than it sends must not hold us for ever.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

impl BadBody {
    /// The status it is answered with.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Broken => StatusCode::BAD_REQUEST,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
        }
    }

    /// What the caller is told.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::TooLarge => "The body is larger than this call takes.",
            Self::Broken => "The body broke off.",
            Self::Slow => "The body did not come in time.",
        }
    }
}

/// How much of a body that is too large is read and thrown away before it is answered: a connection closed on unread bytes is reset, and its
/// caller never sees why.
const THROWN_AWAY: usize = 8 * 1024 * 1024;

/// A body that was read before the call reached its handler, and how that went.
#[derive(Clone, Debug)]
pub(crate) struct AlreadyRead(pub(crate) Result<Bytes, BadBody>);

/// Reads a body of at most `limit` bytes. Of a larger one nothing is kept.
pub(crate) async fn read_body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, BadBody> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let mut too_large = announced.is_some_and(|length| length > limit);
    // Who waits for our word before sending the body is told at once.
    if too_large && headers.contains_key(header::EXPECT) {
        return Err(BadBody::TooLarge);
    }
    let reading = async {
        let (mut body, mut kept, mut seen) = (body, Vec::new(), 0);
        while let Some(frame) = body.frame().await {
            let Ok(piece) = frame.map_err(|_| BadBody::Broken)?.into_data() else { continue };
            seen += piece.len();
            too_large |= seen > limit;
            if !too_large {
                kept.extend_from_slice(&piece);
            } else if seen > THROWN_AWAY {
                break;
            }
        }
        if too_large { Err(BadBody::TooLarge) } else { Ok(kept.into()) }
    };
    match tokio::time::timeout(BODY_TIMEOUT, reading).await {
        Ok(read) => read,
        Err(_) => Err(BadBody::Slow),
    }
}

/// The media type of the body, in lower case and without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().unwrap_or("?");
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}
