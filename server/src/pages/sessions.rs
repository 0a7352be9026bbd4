//! Where a person is signed in, and how that ends.

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::people;

use super::view::{self, CONNECTIONS, Moment, SESSIONS_END, SIGN_IN, SIGN_OUT, Shell};
use super::{Page, form, moment, redirect, session};
use crate::api::Params;
use crate::http::CallId;
use crate::state::State;

/// A person's sessions.
#[derive(Debug, Template)]
#[template(path = "sessions.html")]
pub(crate) struct SessionsPage {
    /// What surrounds it.
    pub shell: Shell,
    /// The newest first.
    pub sessions: Vec<Entry>,
    /// What was just done.
    pub done: Option<&'static str>,
}

/// One session.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// By which it is ended.
    pub id: String,
    /// Browser and system, as far as they can be told.
    pub device: String,
    /// When it began.
    pub since: Moment,
    /// When it was last used.
    pub seen: Moment,
    /// Whether it is the one that looks.
    pub own: bool,
}

/// `GET /connections/sessions`
pub(super) async fn show(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (person, own) = match session::signed_in(&state, request.headers()).await {
        Ok(Some(found)) => found,
        Ok(None) => return redirect(&session::sign_in_path(&state, &state.path(view::SESSIONS))),
        Err(fault) => return page.fault(&fault),
    };
    let params = Params::parse(request.uri().query().unwrap_or_default().as_bytes()).unwrap_or_default();
    let done = match params.get("done").ok().flatten() {
        Some("one") => Some("Signed out there."),
        Some("others") => Some("Signed out everywhere else."),
        _ => None,
    };
    let sessions = match people::sessions(&state.platform, person.person_id).await {
        Ok(sessions) => sessions,
        Err(fault) => return page.fault(&fault),
    };
    let entry = |session: people::Session| Entry {
        id: session.session_id.to_string(),
        device: device(&session.agent),
        since: Moment::minute(moment(session.created_at)),
        seen: Moment::minute(moment(session.seen_at)),
        own: session.session_id == own.session_id,
    };
    let page = page.of(&person);
    page.show(StatusCode::OK, &SessionsPage { shell: page.shell(), sessions: sessions.into_iter().map(entry).collect(), done })
}

/// `POST /connections/sessions/end`: one of them, or all others.
pub(super) async fn end(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let (person, own) = match session::signed_in(&state, &parts.headers).await {
        Ok(Some(found)) => found,
        Ok(None) => return redirect(&session::sign_in_path(&state, &state.path(view::SESSIONS))),
        Err(fault) => return page.fault(&fault),
    };
    let done = match params.get("session").ok().flatten() {
        Some("others") => people::end_others(&state.platform, person.person_id, own.session_id).await.map(|_| "others"),
        Some(number) => match number.parse() {
            // Pressed twice, or ended meanwhile: it is over either way.
            Ok(session_id) => people::end_one(&state.platform, person.person_id, session_id).await.map(|_| "one"),
            Err(_) => return page.problem(StatusCode::BAD_REQUEST),
        },
        None => return page.problem(StatusCode::BAD_REQUEST),
    };
    match done {
        Ok(done) => redirect(&format!("{}?done={done}", state.path(view::SESSIONS))),
        Err(fault) => page.fault(&fault),
    }
}

/// Browser and system out of how a browser names itself; all of them name several, so the order decides.
pub(crate) fn device(agent: &str) -> String {
    let first =
        |known: &[(&'static str, &'static str)]| known.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    let browser = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(only), None) | (None, Some(only)) => only.to_owned(),
        (None, None) if agent.is_empty() => "A browser that does not name itself".to_owned(),
        (None, None) => agent.chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_told_in_words() {
        for (agent, words) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0",
                "Edge on Windows",
            ),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            ("curl/8.5.0", "curl/8.5.0"),
            ("", "A browser that does not name itself"),
        ] {
            assert_eq!(device(agent), words);
        }
    }
}
