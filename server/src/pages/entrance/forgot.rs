//! A forgotten password: a link for a new one is mailed to whoever has an account with a password of ours, and the page says the same to everybody.
//! The second factor stays as it is; who signs in at the operator's OpenID provider has nothing to forget here.

use std::time::Duration;

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use platform::accounts::{self, AccountKind, ResetError};

use super::account::flawed;
use super::{NARROW, Realm, begin_mail, one, paused, query, show};
use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{set_token, token};
use crate::pages::parts::{Form, Notice};
use crate::pages::{Page, form as posted, redirect};
use crate::state::State;

/// The form for the address.
#[derive(Template)]
#[template(path = "accounts/forgot.html")]
struct ForgotBody {
    root: &'static str,
    /// Whether an administrator can help.
    staff: bool,
    form: Form,
    problem: Notice,
}

/// "Look into your mail."
#[derive(Template)]
#[template(path = "accounts/sent.html")]
pub(crate) struct SentBody {
    /// Under which the pages of the realm are.
    pub(crate) root: &'static str,
    /// For a new password, not for a new account.
    pub(crate) forgot: bool,
}

/// A password set by a mailed link.
#[derive(Template)]
#[template(path = "accounts/set_password.html")]
pub(crate) struct SetPasswordBody {
    pub(crate) action: String,
    pub(crate) first: bool,
    pub(crate) token: String,
    pub(crate) email: String,
    pub(crate) form: Form,
}

/// A link that does not work any more.
#[derive(Template)]
#[template(path = "accounts/gone.html")]
pub(crate) struct GoneBody {
    /// What to do instead.
    pub(crate) advice: &'static str,
    /// Label and path of it.
    pub(crate) link: Option<(&'static str, &'static str)>,
}

fn outside<R: Realm>(state: &State, id: &CallId, status: StatusCode, title: &str, body: &impl Template) -> Response {
    show::<R>(&Page::new(state, id), status, R::entrance(state, None), title, NARROW, body)
}

fn page<R: Realm>(state: &State, id: &CallId, status: StatusCode, form: Form, problem: Notice) -> Response {
    let body = ForgotBody { root: R::ROOT, staff: R::KIND == AccountKind::Staff, form, problem };
    outside::<R>(state, id, status, "Forgotten password", &body)
}

/// `GET {root}/forgot`
pub(crate) async fn form<R: Realm>(With(state): With<State>, id: CallId) -> Response {
    page::<R>(&state, &id, StatusCode::OK, Form::new(), Notice::default())
}

/// How long the answer to a forgotten password takes at least: whether there is an account is not to be told by the time it takes to write a mail.
const AT_LEAST: Duration = Duration::from_millis(250);

/// `POST {root}/forgot`
pub(crate) async fn ask<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let problem = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match posted(&parts, body).await {
        Ok(params) => params,
        Err(status) => return problem.problem(status),
    };
    let email = one(&params, "email");
    let mut form = Form::of(&params);
    if !email.contains('@') {
        form.wrong("email", "Enter the e-mail address of your account.");
        return page::<R>(&state, &id, StatusCode::UNPROCESSABLE_ENTITY, form, Notice::default());
    }
    if let Err(wait) = begin_mail(&state, &parts) {
        return page::<R>(&state, &id, StatusCode::TOO_MANY_REQUESTS, form, paused(wait));
    }
    let (asked, ()) = tokio::join!(accounts::forgot(&state.platform, R::KIND, email), tokio::time::sleep(AT_LEAST));
    match asked {
        Ok(()) => redirect(&format!("{}/forgot/sent", R::ROOT)),
        Err(fault) => problem.fault(&fault),
    }
}

/// `GET {root}/forgot/sent`
pub(crate) async fn sent<R: Realm>(With(state): With<State>, id: CallId) -> Response {
    outside::<R>(&state, &id, StatusCode::OK, "Look into your mail", &SentBody { root: R::ROOT, forgot: true })
}

fn gone<R: Realm>(state: &State, id: &CallId) -> Response {
    let advice = "It was used already, or is older than an hour, or a newer one was asked for.";
    let body = GoneBody { advice, link: Some(("Ask for a new link", R::KIND.forgot_path())) };
    outside::<R>(state, id, StatusCode::GONE, "This link does not work any more", &body)
}

fn reset_page<R: Realm>(state: &State, id: &CallId, status: StatusCode, link: &str, email: String, form: Form) -> Response {
    let action = format!("{}/reset", R::ROOT);
    let body = SetPasswordBody { action, first: false, token: link.to_owned(), email, form };
    outside::<R>(state, id, status, "Choose a new password", &body)
}

/// `GET {root}/reset?token=`
pub(crate) async fn reset_form<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let params = query(&parts);
    let link = one(&params, "token");
    match accounts::look_at_reset(&state.platform, R::KIND, link).await {
        Ok(Some(account)) => reset_page::<R>(&state, &id, StatusCode::OK, link, account.email, Form::new()),
        Ok(None) => gone::<R>(&state, &id),
        Err(fault) => Page::new(&state, &id).fault(&fault),
    }
}

/// `POST {root}/reset`
pub(crate) async fn reset<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let problem = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match posted(&parts, body).await {
        Ok(params) => params,
        Err(status) => return problem.problem(status),
    };
    take::<R>(&state, &id, &parts, &params).await
}

async fn take<R: Realm>(state: &State, id: &CallId, parts: &Parts, params: &Params) -> Response {
    let problem = Page::new(state, id);
    let link = one(params, "token");
    match accounts::reset(&state.platform, R::KIND, link, one(params, "password")).await {
        Ok(_) => {
            // Whoever is at this browser signs in with the new password, and gives the second factor if there is one.
            if let Some(old) = token(state, &parts.headers, R::KIND)
                && let Err(fault) = accounts::end_session(&state.platform, &old).await
            {
                return problem.fault(&fault);
            }
            set_token(state, redirect(&format!("{}/login?done=password", R::ROOT)), R::KIND, None)
        }
        Err(ResetError::Link) => gone::<R>(state, id),
        Err(ResetError::Flaw(flaw)) => match accounts::look_at_reset(&state.platform, R::KIND, link).await {
            Ok(Some(account)) => {
                let mut form = Form::new();
                flawed(&mut form, [flaw]);
                reset_page::<R>(state, id, StatusCode::UNPROCESSABLE_ENTITY, link, account.email, form)
            }
            Ok(None) => gone::<R>(state, id),
            Err(fault) => problem.fault(&fault),
        },
        Err(ResetError::Fault(fault)) => problem.fault(&fault),
    }
}
