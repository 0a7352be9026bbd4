//! A developer's account: what both realms have, and the address, mail and the end of it.

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use platform::accounts::{self, Account, AccountKind, CloseError, EmailError, Session};

use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, act, see, set_token};
use crate::pages::entrance::account::{change_password, end_others, end_session, flawed, name, overview, password, rename};
use crate::pages::entrance::forgot::GoneBody;
use crate::pages::entrance::{NARROW, Portal, Realm, begin_mail, encoded, must_prove, one, paused, query, second_factor, show};
use crate::pages::parts::{Form, Notice};
use crate::pages::{Page, form, redirect};
use crate::state::State;

/// The acts of this room.
pub(super) fn acts() -> Vec<Act> {
    use Needs::Developer;
    vec![
        see("/developers/account", Developer, "see one's account", overview::<Portal>),
        see("/developers/account/name", Developer, "open the form for another name", name::<Portal>),
        act("/developers/account/name", Developer, "change one's name", rename::<Portal>),
        see("/developers/account/password", Developer, "open the form for another password", password::<Portal>),
        act("/developers/account/password", Developer, "change one's password", change_password::<Portal>),
        see("/developers/account/email", Developer, "open the form for another address", email_form),
        act("/developers/account/email", Developer, "ask for another address", ask_for_email),
        see("/developers/account/email/confirm", Developer, "open the mailed link for another address", confirm_form),
        act("/developers/account/email/confirm", Developer, "change one's address", confirm),
        see("/developers/account/second-factor", Developer, "see one's second factor", second_factor::manage::<Portal>),
        act("/developers/account/second-factor", Developer, "change one's second factor", second_factor::change::<Portal>),
        act("/developers/account/notify", Developer, "say which mail one wants", notify),
        act("/developers/account/sessions/end", Developer, "end one of one's sessions", end_session::<Portal>),
        act("/developers/account/sessions/end-others", Developer, "end all of one's other sessions", end_others::<Portal>),
        see("/developers/account/close", Developer, "open the form for closing the account", close_form),
        act("/developers/account/close", Developer, "close one's account", close),
    ]
}

#[derive(Template)]
#[template(path = "accounts/email.html")]
struct EmailBody {
    form: Form,
    problem: Notice,
    email: String,
    sent: bool,
}

#[derive(Template)]
#[template(path = "accounts/email_confirm.html")]
struct ConfirmBody {
    token: String,
    email: String,
    old: String,
}

#[derive(Template)]
#[template(path = "accounts/close.html")]
struct CloseBody {
    form: Form,
    problem: Notice,
}

fn inside(state: &State, id: &CallId, parts: &Parts, status: StatusCode, title: &str, body: &impl Template) -> Response {
    let frame = Portal::frame(state, &parts.extensions).at("account");
    show::<Portal>(&Page::new(state, id), status, frame, title, NARROW, body)
}

fn holder(parts: &Parts) -> Option<(Account, Session)> {
    let developer = parts.extensions.get::<Developer>()?;
    Some((developer.account.clone(), developer.session.clone()))
}

const EMAIL: &str = "/developers/account/email";

/// `GET /developers/account/email`
async fn email_form(With(state): With<State>, id: CallId, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let Some((account, session)) = holder(&parts) else {
        return Page::new(&state, &id).problem(StatusCode::INTERNAL_SERVER_ERROR);
    };
    if let Some(proof) = must_prove::<Portal>(&state, &session, EMAIL) {
        return proof;
    }
    let sent = one(&query(&parts), "sent") == "1";
    let body = EmailBody { form: Form::new(), problem: Notice::default(), email: account.email, sent };
    inside(&state, &id, &parts, StatusCode::OK, "Change your address", &body)
}

/// `POST /developers/account/email`: the same answer whether or not the new address has an account.
async fn ask_for_email(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let Some((account, session)) = holder(&parts) else { return page.problem(StatusCode::INTERNAL_SERVER_ERROR) };
    if let Some(proof) = must_prove::<Portal>(&state, &session, EMAIL) {
        return proof;
    }
    let again = |status, form: Form, problem: Notice| {
        let body = EmailBody { form, problem, email: account.email.clone(), sent: false };
        inside(&state, &id, &parts, status, "Change your address", &body)
    };
    if let Err(wait) = begin_mail(&state, &parts) {
        return again(StatusCode::TOO_MANY_REQUESTS, Form::of(&params), paused(wait));
    }
    match accounts::ask_for_email(&state.platform, &account, one(&params, "email")).await {
        Ok(Ok(())) => redirect("/developers/account/email?sent=1"),
        Ok(Err(flaw)) => {
            let mut form = Form::of(&params);
            flawed(&mut form, [flaw]);
            again(StatusCode::UNPROCESSABLE_ENTITY, form, Notice::default())
        }
        Err(fault) => page.fault(&fault),
    }
}

fn unchanged(state: &State, id: &CallId, parts: &Parts) -> Response {
    let advice = "It was used already, is older than a day, or was made for another account than the one you are signed in to.";
    let body = GoneBody { advice, link: Some(("Go to your account", "/developers/account")) };
    inside(state, id, parts, StatusCode::GONE, "This link does not work any more", &body)
}

/// `GET /developers/account/email/confirm?token=`
async fn confirm_form(With(state): With<State>, id: CallId, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let page = Page::new(&state, &id);
    let Some((account, _)) = holder(&parts) else { return page.problem(StatusCode::INTERNAL_SERVER_ERROR) };
    let params = query(&parts);
    let token = one(&params, "token");
    match accounts::look_at_email(&state.platform, &account, token).await {
        Ok(Some(pending)) => {
            let body = ConfirmBody { token: token.to_owned(), email: pending.email, old: account.email };
            inside(&state, &id, &parts, StatusCode::OK, "Confirm your new address", &body)
        }
        Ok(None) => unchanged(&state, &id, &parts),
        Err(fault) => page.fault(&fault),
    }
}

/// `POST /developers/account/email/confirm`
async fn confirm(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let Some((account, session)) = holder(&parts) else { return page.problem(StatusCode::INTERNAL_SERVER_ERROR) };
    let token = one(&params, "token");
    if let Some(proof) = must_prove::<Portal>(&state, &session, &format!("{EMAIL}/confirm?token={}", encoded(token))) {
        return proof;
    }
    match accounts::confirm_email(&state.platform, &account, token).await {
        Ok(_) => redirect("/developers/account?done=email"),
        Err(EmailError::Link) => unchanged(&state, &id, &parts),
        Err(EmailError::Fault(fault)) => page.fault(&fault),
    }
}

/// `POST /developers/account/notify`
async fn notify(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let Some((account, _)) = holder(&parts) else { return page.problem(StatusCode::INTERNAL_SERVER_ERROR) };
    match accounts::set_notify(&state.platform, &account, one(&params, "notify") == "yes").await {
        Ok(()) => redirect("/developers/account?done=notify"),
        Err(fault) => page.fault(&fault),
    }
}

/// `GET /developers/account/close`
async fn close_form(With(state): With<State>, id: CallId, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let Some((_, session)) = holder(&parts) else { return Page::new(&state, &id).problem(StatusCode::INTERNAL_SERVER_ERROR) };
    if let Some(proof) = must_prove::<Portal>(&state, &session, "/developers/account/close") {
        return proof;
    }
    let body = CloseBody { form: Form::new(), problem: Notice::default() };
    inside(&state, &id, &parts, StatusCode::OK, "Close your account", &body)
}

/// `POST /developers/account/close`
async fn close(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let Some((account, session)) = holder(&parts) else { return page.problem(StatusCode::INTERNAL_SERVER_ERROR) };
    if let Some(proof) = must_prove::<Portal>(&state, &session, "/developers/account/close") {
        return proof;
    }
    let again = |status, form: Form, problem: Notice| {
        inside(&state, &id, &parts, status, "Close your account", &CloseBody { form, problem })
    };
    if one(&params, "sure") != "yes" {
        let mut form = Form::new();
        form.wrong("sure", "Tick the box if you want to close your account.");
        return again(StatusCode::UNPROCESSABLE_ENTITY, form, Notice::default());
    }
    let refused = match accounts::close(&state.platform, &account).await {
        Ok(()) => return set_token(&state, redirect("/developers/login?done=closed"), AccountKind::Developer, None),
        Err(CloseError::OwnsApps) => {
            Notice::danger("You, or an organisation that you own, have apps.").text("Delete them first, or hand them over.")
        }
        Err(CloseError::OwnsOrganisation) => Notice::danger("You own an organisation that others belong to.")
            .text("Delete the organisation first, or take its members out."),
        Err(CloseError::Staff) => return page.problem(StatusCode::FORBIDDEN),
        Err(CloseError::Fault(fault)) => return page.fault(&fault),
    };
    again(StatusCode::CONFLICT, Form::new(), refused)
}
