//! Sign-in and sign-out.

use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::failures::Attempt;
use platform::people::{self, SignIn};

use super::view::{self, SandboxPerson, SignInPage, SignInProblem};
use super::{Page, app_view, redirect, session};
use crate::api::{Params, authorize};
use crate::http::{self, CallId};
use crate::sandbox::{self, Synthetic};
use crate::state::State;

/// `GET /login`
pub(super) async fn show(With(state): With<State>, id: CallId, request: Request) -> Response {
    let params = Params::parse(request.uri().query().unwrap_or_default().as_bytes()).unwrap_or_default();
    let next = params.get("next").ok().flatten().unwrap_or_default().to_owned();
    let person = match session::person(&state, request.headers()).await {
        Ok(person) => person,
        Err(fault) => return Page::new(&state, &id).fault(&fault),
    };
    let page = Page::new(&state, &id);
    let page = if let Some(person) = &person { page.of(person) } else { page };
    form(&state, page, next, String::new(), None).await
}

/// Where sign-in leads: a path of ours, never elsewhere.
fn local(state: &State, next: &str) -> String {
    // Visible ASCII only: it goes into a header as it stands.
    view::local_path(next).filter(|next| next.bytes().all(|byte| byte.is_ascii_graphic())).map_or_else(|| state.path(view::CONNECTIONS), ToOwned::to_owned)
}

async fn form(state: &State, page: Page<'_>, next: String, username: String, problem: Option<SignInProblem>) -> Response {
    let query = next.strip_prefix("/v2/auth/authorize").and_then(|rest| rest.trim_start_matches('/').strip_prefix('?'));
    let (page, app) = match query {
        Some(query) => match authorize::origin_of(state, query).await {
            Some((origin, app)) => (page.leading_to(origin), Some(app_view(&app))),
            None => (page, None),
        },
        None => (page, None),
    };
    let status = match problem {
        None => StatusCode::OK,
        Some(SignInProblem::Missing) => StatusCode::BAD_REQUEST,
        Some(SignInProblem::Wrong) => StatusCode::UNAUTHORIZED,
        Some(SignInProblem::Limited { .. }) => StatusCode::TOO_MANY_REQUESTS,
    };
    page.show(status, &SignInPage { shell: page.shell(), next, app, username, problem, notice: None, people: people(state) })
}

/// Who can sign in with one press: in the sandbox, everybody.
fn people(state: &State) -> Vec<SandboxPerson> {
    let person = |person: &Synthetic| SandboxPerson {
        username: person.username.clone(),
        name: person.display_name.clone(),
        size: person.size_words(),
        region: person.region_words(),
    };
    state.world.people().iter().map(person).collect()
}

/// `POST /login`
pub(super) async fn sign_in(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match super::form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let (Ok(username), Ok(password), Ok(next)) = (params.get("username"), params.get("password"), params.get("next")) else {
        return page.problem(StatusCode::BAD_REQUEST);
    };
    // A form that was sent to its own page's address says there where to go on.
    let address = Params::parse(parts.uri.query().unwrap_or_default().as_bytes()).unwrap_or_default();
    let next = next.or(address.get("next").ok().flatten()).unwrap_or_default().to_owned();
    // One press in the sandbox fills in what could have been typed.
    let chosen = params.get("as").ok().flatten().filter(|_| state.world.is_sandbox());
    let (username, password) = chosen.map_or((username, password), |name| (Some(name), Some(sandbox::PASSWORD)));
    let (Some(username), Some(password)) = (username, password) else {
        return form(&state, page, next, username.unwrap_or_default().to_owned(), Some(SignInProblem::Missing)).await;
    };
    let attempts = match begin(&state, &parts, username) {
        Ok(attempts) => attempts,
        Err(wait) => {
            tracing::warn!("sign-in limited");
            let minutes = u32::try_from(wait.as_secs().div_ceil(60)).unwrap_or(u32::MAX).max(1);
            return form(&state, page, next, username.to_owned(), Some(SignInProblem::Limited { minutes })).await;
        }
    };
    let SignIn::Directory(directory) = &state.sign_in else { return page.problem(StatusCode::NOT_FOUND) };
    let person = match directory.check(&state.platform, username, password).await {
        Ok(Some(person)) => person,
        Ok(None) => {
            tracing::info!("sign-in failed");
            return form(&state, page, next, username.to_owned(), Some(SignInProblem::Wrong)).await;
        }
        Err(fault) => {
            // Not the person's failure.
            attempts.into_iter().for_each(Attempt::succeeded);
            return page.fault(&fault);
        }
    };
    attempts.into_iter().for_each(Attempt::succeeded);
    // A session that was there before is not carried on under another person.
    if let Some(old) = session::token(&state, &parts.headers)
        && let Err(fault) = people::end_session(&state.platform, &old).await
    {
        return page.fault(&fault);
    }
    match people::begin_session(&state.platform, person.person_id, people::Began::default()).await {
        Ok(token) => session::set(&state, redirect(&local(&state, &next)), Some(&token)),
        Err(fault) => page.fault(&fault),
    }
}

/// An attempt by account and one by address; both count as failed until the sign-in has succeeded.
fn begin(state: &State, parts: &axum::http::request::Parts, username: &str) -> Result<Vec<Attempt>, std::time::Duration> {
    let now = state.platform.now();
    // The name as it is looked up; a long one is nobody's and counts together with others of its kind.
    let name: String = username.trim().chars().take(200).collect();
    let mut attempts = Vec::new();
    if let Some(address) = http::caller(state, parts) {
        attempts.push(state.limits.addresses.begin(&http::household(address), now)?);
    }
    match state.limits.accounts.begin(&name, now) {
        Ok(attempt) => attempts.push(attempt),
        Err(wait) => {
            // Not tried, so not a failure of the address either.
            attempts.into_iter().for_each(Attempt::succeeded);
            return Err(wait);
        }
    }
    Ok(attempts)
}

/// `POST /logout`
pub(super) async fn sign_out(With(state): With<State>, id: CallId, request: Request) -> Response {
    if let Some(token) = session::token(&state, request.headers())
        && let Err(fault) = people::end_session(&state.platform, &token).await
    {
        return Page::new(&state, &id).fault(&fault);
    }
    session::set(&state, redirect(&state.path(view::SIGN_IN)), None)
}
