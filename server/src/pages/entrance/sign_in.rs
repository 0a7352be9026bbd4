//! Signing in by a password and, where there is one, a second factor; proving once more who one is; signing out.

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use platform::Fault;
use platform::accounts::{self, Account, AccountKind, Outcome, Session};

use super::{NARROW, Realm, agent, begin_attempt, encoded, next, one, paused, query, show as framed, succeed};
use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{set_token, signed_in, token};
use crate::pages::parts::{Form, Notice};
use crate::pages::provider::{self, Button};
use crate::pages::{Page, form, redirect};
use crate::state::State;

#[derive(Template)]
#[template(path = "accounts/sign_in.html")]
struct SignInBody {
    root: &'static str,
    next: String,
    form: Form,
    /// The address of who is signed in already and has to prove it once more.
    known: Option<String>,
    problem: Notice,
    notice: Notice,
    /// The way to the operator's provider, where there is one.
    provider: Option<Button>,
    /// Whether there is a password to sign in with.
    by_password: bool,
    /// Whether one can sign up, and get a new password, by oneself.
    open: bool,
}

#[derive(Template)]
#[template(path = "accounts/code.html")]
struct CodeBody {
    root: &'static str,
    next: String,
    form: Form,
    problem: Notice,
}

/// What a page of sign-in says besides its form.
#[derive(Default)]
struct Said {
    problem: Notice,
    notice: Notice,
}

/// `GET {root}/login`
pub(crate) async fn show<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let params = query(&parts);
    let to = next::<R>(one(&params, "next"));
    let signed_in = match signed_in(&state, &parts.headers, R::KIND).await {
        Ok(found) => found.filter(|(_, session)| session.complete),
        Err(fault) => return Page::new(&state, &id).fault(&fault),
    };
    if signed_in.is_some() && one(&params, "fresh") != "1" {
        return redirect(&to);
    }
    let notice = match one(&params, "done") {
        "password" => Notice::status("Your password is set. Sign in with it."),
        "closed" => Notice::status("Your account is closed, and what named you is erased."),
        _ => Notice::default(),
    };
    page::<R>(&state, &id, StatusCode::OK, to, Form::new(), signed_in.as_ref(), Said { notice, ..Said::default() })
}

fn page<R: Realm>(
    state: &State,
    id: &CallId,
    status: StatusCode,
    to: String,
    form: Form,
    known: Option<&(Account, Session)>,
    said: Said,
) -> Response {
    let body = SignInBody {
        root: R::ROOT,
        provider: (state.staff_provider.as_ref().filter(|_| R::KIND == AccountKind::Staff))
            .map(|it| provider::button(state, it, provider::STAFF_START, &to, known.is_some())),
        next: to,
        form,
        known: known.map(|(account, _)| account.email.clone()),
        problem: said.problem,
        notice: said.notice,
        by_password: known.is_none_or(|(account, _)| account.provider_subject.is_none()),
        open: R::KIND == AccountKind::Developer,
    };
    let title = if known.is_some() { "Confirm that it is you" } else { "Sign in" };
    framed::<R>(&Page::new(state, id), status, R::entrance(state, known), title, NARROW, &body)
}

/// `POST {root}/login`
pub(crate) async fn sign_in<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let problem = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return problem.problem(status),
    };
    match take::<R>(&state, &id, &parts, &params).await {
        Ok(response) => response,
        Err(fault) => problem.fault(&fault),
    }
}

async fn take<R: Realm>(state: &State, id: &CallId, parts: &Parts, params: &Params) -> Result<Response, Fault> {
    let to = next::<R>(one(params, "next"));
    let password = one(params, "password");
    let signed_in = signed_in(state, &parts.headers, R::KIND).await?.filter(|(_, session)| session.complete);
    // Only who is signed in can prove it once more; anybody else signs in.
    let known = signed_in.filter(|_| one(params, "fresh") == "1");
    let email = known.as_ref().map_or_else(|| one(params, "email"), |(account, _)| account.email.as_str());
    let mut form = Form::new();
    form.set("email", email);
    if email.is_empty() {
        form.wrong("email", "Enter your e-mail address.");
    }
    if password.is_empty() {
        form.wrong("password", "Enter your password.");
    }
    if !form.is_right() {
        return Ok(page::<R>(state, id, StatusCode::UNPROCESSABLE_ENTITY, to, form, known.as_ref(), Said::default()));
    }
    let attempts = match begin_attempt::<R>(state, parts, email) {
        Ok(attempts) => attempts,
        Err(wait) => {
            tracing::warn!(kind = %R::KIND, "sign-in limited");
            let said = Said { problem: paused(wait), ..Said::default() };
            return Ok(page::<R>(state, id, StatusCode::TOO_MANY_REQUESTS, to, form, known.as_ref(), said));
        }
    };
    let platform = &state.platform;
    let checked = match &known {
        Some((account, _)) => accounts::proves_who_it_is(platform, account, password)
            .await
            .map(|right| if right { Outcome::In(account.clone()) } else { Outcome::Wrong }),
        None => accounts::sign_in(platform, R::KIND, email, password).await,
    };
    let (account, half) = match checked {
        Ok(Outcome::In(account)) => (account, None),
        Ok(Outcome::SecondFactor(account)) => (account, Some("code")),
        Ok(Outcome::Enrol(account)) => (account, Some("second-factor")),
        Ok(Outcome::Wrong) => {
            tracing::info!(kind = %R::KIND, "sign-in failed");
            let problem = if known.is_some() {
                Notice::danger("That did not match.").text("Check the password, and try again.")
            } else {
                Notice::danger("That did not match.").text("Check the e-mail address and the password, and try again.")
            };
            return Ok(page::<R>(
                state,
                id,
                StatusCode::UNAUTHORIZED,
                to,
                form,
                known.as_ref(),
                Said { problem, ..Said::default() },
            ));
        }
        Err(fault) => {
            // Not their failure.
            succeed(attempts);
            return Err(fault);
        }
    };
    succeed(attempts);
    let old = token(state, &parts.headers, R::KIND);
    if known.is_some() {
        let new = match old {
            Some(old) => accounts::freshen(platform, &account, &old).await?,
            None => None,
        };
        // Ended meanwhile: they sign in anew.
        return Ok(new.map_or_else(|| redirect(R::OUTSIDE), |new| set_token(state, redirect(&to), R::KIND, Some(&new))));
    }
    // A session that was there before is not carried on, be it another's or one that somebody else knows.
    if let Some(old) = old {
        accounts::end_session(platform, &old).await?;
    }
    let new = accounts::begin_session(platform, &account, half.is_none(), &agent(&parts.headers)).await?;
    let to = half.map_or_else(|| to.clone(), |step| format!("{}/login/{step}?next={}", R::ROOT, encoded(&to)));
    Ok(set_token(state, redirect(&to), R::KIND, Some(&new)))
}

/// Who has given a password and not yet a code, or where they should be instead.
async fn half<R: Realm>(state: &State, headers: &HeaderMap, to: &str) -> Result<Result<(Account, Session), Response>, Fault> {
    let elsewhere = |path: String| Ok(Err(redirect(&path)));
    match signed_in(state, headers, R::KIND).await? {
        None => elsewhere(format!("{}/login?next={}", R::ROOT, encoded(to))),
        Some((_, session)) if session.complete => elsewhere(to.to_owned()),
        Some((account, _)) if !account.has_second_factor() => {
            elsewhere(format!("{}/login/second-factor?next={}", R::ROOT, encoded(to)))
        }
        Some(half) => Ok(Ok(half)),
    }
}

fn code_page<R: Realm>(state: &State, id: &CallId, status: StatusCode, to: String, form: Form, problem: Notice) -> Response {
    let body = CodeBody { root: R::ROOT, next: to, form, problem };
    framed::<R>(&Page::new(state, id), status, R::entrance(state, None), "Second step", NARROW, &body)
}

/// `GET {root}/login/code`
pub(crate) async fn ask_for_code<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let to = next::<R>(one(&query(&parts), "next"));
    match half::<R>(&state, &parts.headers, &to).await {
        Ok(Ok(_)) => code_page::<R>(&state, &id, StatusCode::OK, to, Form::new(), Notice::default()),
        Ok(Err(elsewhere)) => elsewhere,
        Err(fault) => Page::new(&state, &id).fault(&fault),
    }
}

/// `POST {root}/login/code`
pub(crate) async fn give_code<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let problem = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return problem.problem(status),
    };
    match take_code::<R>(&state, &id, &parts, &params).await {
        Ok(response) => response,
        Err(fault) => problem.fault(&fault),
    }
}

async fn take_code<R: Realm>(state: &State, id: &CallId, parts: &Parts, params: &Params) -> Result<Response, Fault> {
    let to = next::<R>(one(params, "next"));
    let (account, _) = match half::<R>(state, &parts.headers, &to).await? {
        Ok(half) => half,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let code = one(params, "code");
    let mut form = Form::new();
    if code.is_empty() {
        form.wrong("code", "Enter the code.");
        return Ok(code_page::<R>(state, id, StatusCode::UNPROCESSABLE_ENTITY, to, form, Notice::default()));
    }
    let platform = &state.platform;
    let attempt = match state.limits.codes.begin(&account.account_id.to_string(), platform.now()) {
        Ok(attempt) => attempt,
        Err(wait) => {
            tracing::warn!(account = account.account_id, "codes limited");
            return Ok(code_page::<R>(state, id, StatusCode::TOO_MANY_REQUESTS, to, form, paused(wait)));
        }
    };
    if !accounts::check_code(platform, &account, code).await? {
        form.wrong(
            "code",
            "That code is not right, or was used before. Wait for the next one in your app, or use a recovery code.",
        );
        return Ok(code_page::<R>(state, id, StatusCode::UNAUTHORIZED, to, form, Notice::default()));
    }
    attempt.succeeded();
    let new = match token(state, &parts.headers, R::KIND) {
        Some(old) => accounts::complete_session(platform, &account, &old).await?,
        None => None,
    };
    Ok(match new {
        Some(new) => set_token(state, redirect(&to), R::KIND, Some(&new)),
        // It took too long.
        None => redirect(&format!("{}/login?next={}", R::ROOT, encoded(&to))),
    })
}

/// `POST {root}/logout`
pub(crate) async fn sign_out<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let Some(token) = token(&state, request.headers(), R::KIND) else {
        return set_token(&state, redirect(R::OUTSIDE), R::KIND, None);
    };
    // Asked for before the session ends: who came from the operator's provider signs out there, too.
    let id_token = if R::KIND == AccountKind::Staff { provider::staff_id_token(&state, &token).await } else { None };
    if let Err(fault) = accounts::end_session(&state.platform, &token).await {
        return page.fault(&fault);
    }
    let onward = match (&state.staff_provider, id_token) {
        (Some(it), Some(id_token)) => provider::after_logout(&state, &page, it, &id_token).await,
        _ => None,
    };
    set_token(&state, onward.unwrap_or_else(|| redirect(R::OUTSIDE)), R::KIND, None)
}
