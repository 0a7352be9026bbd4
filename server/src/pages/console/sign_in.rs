//! How staff come in: signing in, the second factor, a forgotten password, and the first password by a mailed link; and their own account.

use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::accounts::{self, AccountKind, ResetError};

use crate::http::CallId;
use crate::pages::access::{ALL_STAFF, Act, Needs, act, see, set_token, token};
use crate::pages::entrance::account::{change_password, end_others, end_session, flawed, name, overview, password, rename};
use crate::pages::entrance::forgot::{self, GoneBody, SetPasswordBody};
use crate::pages::entrance::{Console, NARROW, Realm, one, query, second_factor, show, sign_in};
use crate::pages::parts::Form;
use crate::pages::{Page, form, redirect};
use crate::state::State;

/// The acts of this room.
pub(super) fn acts() -> Vec<Act> {
    use Needs::Anyone;
    vec![
        see("/console/login", Anyone, "open the form for signing in", sign_in::show::<Console>),
        act("/console/login", Anyone, "sign in", sign_in::sign_in::<Console>),
        see("/console/login/code", Anyone, "be asked for the second factor", sign_in::ask_for_code::<Console>),
        act("/console/login/code", Anyone, "give the second factor", sign_in::give_code::<Console>),
        see("/console/login/second-factor", Anyone, "set up a second factor", second_factor::set_up::<Console>),
        act("/console/login/second-factor", Anyone, "confirm a second factor", second_factor::confirm::<Console>),
        see(
            "/console/login/second-factor/qr.svg",
            Anyone,
            "see the picture of one's own new second factor",
            second_factor::picture::<Console>,
        ),
        see("/console/forgot", Anyone, "open the form for a forgotten password", forgot::form::<Console>),
        act("/console/forgot", Anyone, "ask for a new password", forgot::ask::<Console>),
        see("/console/forgot/sent", Anyone, "be told to look for the mail", forgot::sent::<Console>),
        see("/console/reset", Anyone, "open the mailed link for a new password", forgot::reset_form::<Console>),
        act("/console/reset", Anyone, "set a new password by a mailed link", forgot::reset::<Console>),
        see("/console/welcome", Anyone, "open the mailed link for a first password", welcome_form),
        act("/console/welcome", Anyone, "set a first password by a mailed link", welcome),
        act("/console/logout", Anyone, "sign out", sign_in::sign_out::<Console>),
        see("/console/account", ALL_STAFF, "see one's account", overview::<Console>),
        see("/console/account/name", ALL_STAFF, "open the form for another name", name::<Console>),
        act("/console/account/name", ALL_STAFF, "change one's name", rename::<Console>),
        see("/console/account/password", ALL_STAFF, "open the form for another password", password::<Console>),
        act("/console/account/password", ALL_STAFF, "change one's password", change_password::<Console>),
        see("/console/account/second-factor", ALL_STAFF, "see one's second factor", second_factor::manage::<Console>),
        act("/console/account/second-factor", ALL_STAFF, "change one's second factor", second_factor::change::<Console>),
        act("/console/account/sessions/end", ALL_STAFF, "end one of one's sessions", end_session::<Console>),
        act("/console/account/sessions/end-others", ALL_STAFF, "end all of one's other sessions", end_others::<Console>),
    ]
}

fn unwelcome(state: &State, id: &CallId) -> Response {
    let advice = "It was used already, or is too old. If you have set your password, sign in; otherwise ask an administrator for a new link.";
    let body = GoneBody { advice, link: Some(("Sign in", "/console/login")) };
    let frame = Console::entrance(state, None);
    show::<Console>(&Page::new(state, id), StatusCode::GONE, frame, "This link does not work any more", NARROW, &body)
}

fn welcome_page(state: &State, id: &CallId, status: StatusCode, link: &str, email: String, form: Form) -> Response {
    let body = SetPasswordBody { action: "/console/welcome".into(), first: true, token: link.to_owned(), email, form };
    let frame = Console::entrance(state, None);
    show::<Console>(&Page::new(state, id), status, frame, "Choose your password", NARROW, &body)
}

/// `GET /console/welcome?token=`
async fn welcome_form(With(state): With<State>, id: CallId, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let params = query(&parts);
    let link = one(&params, "token");
    match accounts::look_at_welcome(&state.platform, link).await {
        Ok(Some(account)) => welcome_page(&state, &id, StatusCode::OK, link, account.email, Form::new()),
        Ok(None) => unwelcome(&state, &id),
        Err(fault) => Page::new(&state, &id).fault(&fault),
    }
}

/// `POST /console/welcome`
async fn welcome(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let link = one(&params, "token");
    match accounts::first_password(&state.platform, link, one(&params, "password")).await {
        Ok(_) => {
            if let Some(old) = token(&state, &parts.headers, AccountKind::Staff)
                && let Err(fault) = accounts::end_session(&state.platform, &old).await
            {
                return page.fault(&fault);
            }
            set_token(&state, redirect("/console/login?done=password"), AccountKind::Staff, None)
        }
        Err(ResetError::Link) => unwelcome(&state, &id),
        Err(ResetError::Flaw(flaw)) => match accounts::look_at_welcome(&state.platform, link).await {
            Ok(Some(account)) => {
                let mut form = Form::new();
                flawed(&mut form, [flaw]);
                welcome_page(&state, &id, StatusCode::UNPROCESSABLE_ENTITY, link, account.email, form)
            }
            Ok(None) => unwelcome(&state, &id),
            Err(fault) => page.fault(&fault),
        },
        Err(ResetError::Fault(fault)) => page.fault(&fault),
    }
}
