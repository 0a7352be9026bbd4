//! Sign-in and sign-out.

use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::failures::Attempt;
use platform::people::{self, SignIn};

use super::view::{self, SandboxPerson, SignInPage, SignInProblem};
use super::{Page, provider, redirect, session};
use crate::api::{Params, authorize};
use crate::http::{self, CallId};
use crate::sandbox::{self, Synthetic};
use crate::state::State;

/// `GET /login`
pub(super) async fn show(With(state): With<State>, id: CallId, request: Request) -> Response {
    let params = Params::parse(request.uri().query().unwrap_or_default().as_bytes()).unwrap_or_default();
    let next = params.get("next").ok().flatten().unwrap_or_default().to_owned();
    let fresh = matches!(params.get("fresh"), Ok(Some(_)));
    let person = match session::person(&state, request.headers()).await {
        Ok(person) => person,
        Err(fault) => return Page::new(&state, &id).fault(&fault),
    };
    let page = Page::new(&state, &id);
    let page = if let Some(person) = &person { page.of(person) } else { page };
    let notice = (fresh && person.is_some()).then(|| ONCE_MORE.to_owned());
    let provider = provider(&state, &next, fresh);
    let shown = Form { next, notice, provider, ..Form::default() };
    form(&state, page, shown).await
}

/// Said to those who are signed in and must prove it once more.
const ONCE_MORE: &str = "This is about especially private data, so show once more that it is you.";

/// What the page is made of.
#[derive(Debug, Default)]
struct Form {
    next: String,
    username: String,
    problem: Option<SignInProblem>,
    notice: Option<String>,
    provider: Option<provider::Button>,
}

/// The button that takes the place of the form where people sign in at the operator's provider.
fn provider(state: &State, next: &str, fresh: bool) -> Option<provider::Button> {
    match &state.sign_in {
        SignIn::Provider(provider) => Some(provider::button(state, provider, provider::START, next, fresh)),
        SignIn::Directory(_) => None,
    }
}

/// Where sign-in leads: a path of ours, never elsewhere.
pub(super) fn local(state: &State, next: &str) -> String {
    local_or(next, &state.path(view::CONNECTIONS))
}

/// As [`local`], with another place for those who came from nowhere.
pub(super) fn local_or(next: &str, otherwise: &str) -> String {
    // Visible ASCII only: it goes into a header as it stands.
    let fits = |next: &&str| next.bytes().all(|byte| byte.is_ascii_graphic());
    view::local_path(next).filter(fits).unwrap_or(otherwise).to_owned()
}

async fn form(state: &State, page: Page<'_>, Form { next, username, problem, notice, provider }: Form) -> Response {
    let query = next.strip_prefix("/v2/auth/authorize").and_then(|rest| rest.trim_start_matches('/').strip_prefix('?'));
    let (page, app) = match query {
        Some(query) => match authorize::origin_of(state, query).await {
            Some((origin, app)) => (page.leading_to(origin), Some(app)),
            None => (page, None),
        },
        None => (page, None),
    };
    let status = match problem {
        None => StatusCode::OK,
        Some(SignInProblem::Missing) => StatusCode::UNPROCESSABLE_ENTITY,
        Some(SignInProblem::Wrong) => StatusCode::UNAUTHORIZED,
        Some(SignInProblem::Limited { .. }) => StatusCode::TOO_MANY_REQUESTS,
    };
    page.show(status, &SignInPage { shell: page.shell(), next, app, username, problem, notice, provider, people: people(state) })
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
    let SignIn::Directory(directory) = &state.sign_in else {
        // A form of a time before the operator had a provider.
        return redirect(&session::sign_in_path(&state, &next));
    };
    let again = |next: String, username: &str, problem: SignInProblem| {
        let shown = Form { next, username: username.to_owned(), problem: Some(problem), ..Form::default() };
        form(&state, Page::new(&state, &id), shown)
    };
    let (Some(username), Some(password)) = (username, password) else {
        return again(next, username.unwrap_or_default(), SignInProblem::Missing).await;
    };
    let attempts = match begin(&state, &parts, username) {
        Ok(attempts) => attempts,
        Err(wait) => {
            tracing::warn!("sign-in limited");
            let minutes = u32::try_from(wait.as_secs().div_ceil(60)).unwrap_or(u32::MAX).max(1);
            return again(next, username, SignInProblem::Limited { minutes }).await;
        }
    };
    let person = match directory.check(&state.platform, username, password).await {
        Ok(Some(person)) => person,
        Ok(None) => {
            tracing::info!("sign-in failed");
            return again(next, username, SignInProblem::Wrong).await;
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
    let began = people::Began { agent: session::agent(&parts.headers), ..people::Began::default() };
    match people::begin_session(&state.platform, person.person_id, began).await {
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

/// `POST /logout`: our session ends, and then the provider's.
pub(super) async fn sign_out(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let id_token = match session::token(&state, request.headers()) {
        Some(token) => match people::end_session(&state.platform, &token).await {
            Ok(id_token) => id_token,
            Err(fault) => return page.fault(&fault),
        },
        None => None,
    };
    let onward = match (&state.sign_in, id_token) {
        (SignIn::Provider(provider), Some(id_token)) => provider::after_logout(&state, &page, provider, &id_token).await,
        _ => None,
    };
    let response = onward.unwrap_or_else(|| redirect(&state.path(view::SIGN_IN)));
    session::set(&state, response, None)
}
