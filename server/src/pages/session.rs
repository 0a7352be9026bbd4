//! The session cookie.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use platform::Fault;
use platform::people::{self, Person, Session};

use super::view;
use crate::state::State;

/// Over TLS the cookie is bound to this host and path by its prefix.
fn name(state: &State) -> &'static str {
    match (state.is_secure(), state.world.is_sandbox()) {
        (true, false) => "__Host-portward",
        (true, true) => "__Host-portward-sandbox",
        (false, false) => "portward",
        (false, true) => "portward-sandbox",
    }
}

/// The token of the cookie, if there is one.
pub(super) fn token(state: &State, headers: &HeaderMap) -> Option<String> {
    let jar = axum_extra::extract::CookieJar::from_headers(headers);
    jar.get(name(state)).map(|cookie| cookie.value().to_owned())
}

/// Who is signed in, and by which session.
pub(crate) async fn signed_in(state: &State, headers: &HeaderMap) -> Result<Option<(Person, Session)>, Fault> {
    match token(state, headers) {
        Some(token) if token.len() <= 100 => people::session(&state.platform, &token).await,
        _ => Ok(None),
    }
}

/// Who is signed in.
pub(crate) async fn person(state: &State, headers: &HeaderMap) -> Result<Option<Person>, Fault> {
    Ok(signed_in(state, headers).await?.map(|(person, _)| person))
}

/// Whether somebody proved who they are lately enough for what is sensitive; `more` is for the time that a page may stand open.
pub(crate) fn is_fresh(state: &State, session: &Session, more: Duration) -> bool {
    state.platform.now().since(session.fresh_at) <= state.platform.settings.sign_in.fresh.0 + more
}

/// How the browser names itself.
pub(super) fn agent(headers: &HeaderMap) -> &str {
    headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default()
}

/// Puts the cookie, or takes it away.
pub(super) fn set(state: &State, mut response: Response, token: Option<&str>) -> Response {
    let secure = if state.is_secure() { "; Secure" } else { "" };
    let age = if token.is_some() { state.platform.settings.sign_in.session.0.as_secs() } else { 0 };
    let cookie = format!("{}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age}{secure}", name(state), token.unwrap_or_default());
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// The sign-in page, and where to go from there.
pub(crate) fn sign_in_path(state: &State, next: &str) -> String {
    let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
    format!("{}?next={next}", state.path(view::SIGN_IN))
}

/// The same for somebody who must prove anew who they are.
pub(crate) fn fresh_sign_in_path(state: &State, next: &str) -> String {
    format!("{}&fresh=1", sign_in_path(state, next))
}
