//! How developers come in: what the portal is, signing up, proving the address, signing in, and a forgotten password.

use askama::Template;
use axum::Extension;
use axum::extract::{Request, State as With};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use platform::accounts::{self, AccountKind, NewDeveloper, VerifyError};

use crate::http::CallId;
use crate::pages::access::{Act, Developer, Needs, act, see, set_token, token};
use crate::pages::entrance::account::flawed;
use crate::pages::entrance::forgot::{self, GoneBody, SentBody};
use crate::pages::entrance::{
    NARROW, Portal, Realm, WIDE, begin_mail, one, paused, query, second_factor, show, sign_in, succeed,
};
use crate::pages::parts::{Form, Notice};
use crate::pages::{Page, form, redirect};
use crate::state::State;

/// The acts of this room.
pub(super) fn acts() -> Vec<Act> {
    use Needs::Anyone;
    vec![
        see("/developers", Anyone, "see what the portal is", landing),
        see("/developers/sign-up", Anyone, "open the form for signing up", sign_up_form),
        act("/developers/sign-up", Anyone, "sign up", sign_up),
        see("/developers/sign-up/sent", Anyone, "be told to look for the mail", sign_up_sent),
        see("/developers/verify", Anyone, "open the mailed link that proves an address", verify_form),
        act("/developers/verify", Anyone, "prove an address", verify),
        see("/developers/login", Anyone, "open the form for signing in", sign_in::show::<Portal>),
        act("/developers/login", Anyone, "sign in", sign_in::sign_in::<Portal>),
        see("/developers/login/code", Anyone, "be asked for the second factor", sign_in::ask_for_code::<Portal>),
        act("/developers/login/code", Anyone, "give the second factor", sign_in::give_code::<Portal>),
        see("/developers/login/second-factor", Anyone, "set up a second factor", second_factor::set_up::<Portal>),
        act("/developers/login/second-factor", Anyone, "confirm a second factor", second_factor::confirm::<Portal>),
        see(
            "/developers/login/second-factor/qr.svg",
            Anyone,
            "see the picture of one's own new second factor",
            second_factor::picture::<Portal>,
        ),
        see("/developers/forgot", Anyone, "open the form for a forgotten password", forgot::form::<Portal>),
        act("/developers/forgot", Anyone, "ask for a new password", forgot::ask::<Portal>),
        see("/developers/forgot/sent", Anyone, "be told to look for the mail", forgot::sent::<Portal>),
        see("/developers/reset", Anyone, "open the mailed link for a new password", forgot::reset_form::<Portal>),
        act("/developers/reset", Anyone, "set a new password by a mailed link", forgot::reset::<Portal>),
        act("/developers/logout", Anyone, "sign out", sign_in::sign_out::<Portal>),
    ]
}

#[derive(Template)]
#[template(path = "accounts/landing.html")]
struct LandingBody {
    brand: String,
    categories: usize,
}

#[derive(Template)]
#[template(path = "accounts/sign_up.html")]
struct SignUpBody {
    form: Form,
    problem: Notice,
}

#[derive(Template)]
#[template(path = "accounts/verify.html")]
struct VerifyBody {
    token: String,
    email: String,
    form: Form,
    problem: Notice,
}

/// A page before anybody is signed in.
fn outside(state: &State, id: &CallId, status: StatusCode, title: &str, width: &'static str, body: &impl Template) -> Response {
    show::<Portal>(&Page::new(state, id), status, Portal::entrance(state, None), title, width, body)
}

/// `GET /developers`
async fn landing(With(state): With<State>, id: CallId, developer: Option<Extension<Developer>>) -> Response {
    if developer.is_some() {
        return redirect(Portal::HOME);
    }
    let body = LandingBody { brand: state.brand.name.clone(), categories: state.platform.catalogue.categories().len() };
    outside(&state, &id, StatusCode::OK, "For developers", WIDE, &body)
}

/// `GET /developers/sign-up`
async fn sign_up_form(With(state): With<State>, id: CallId, developer: Option<Extension<Developer>>) -> Response {
    if developer.is_some() {
        return redirect(Portal::HOME);
    }
    let body = SignUpBody { form: Form::new(), problem: Notice::default() };
    outside(&state, &id, StatusCode::OK, "Create an account", NARROW, &body)
}

/// `POST /developers/sign-up`
async fn sign_up(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let again =
        |status, form: Form, problem| outside(&state, &id, status, "Create an account", NARROW, &SignUpBody { form, problem });
    let attempt = match begin_mail(&state, &parts) {
        Ok(attempt) => attempt,
        Err(wait) => return again(StatusCode::TOO_MANY_REQUESTS, Form::of(&params), paused(wait)),
    };
    let text = |name| one(&params, name).to_owned();
    let new = NewDeveloper { email: text("email"), name: text("name"), password: text("password") };
    match accounts::sign_up(&state.platform, new).await {
        // The token goes by mail only.
        Ok(Ok(_)) => redirect("/developers/sign-up/sent"),
        Ok(Err(flaws)) => {
            succeed(attempt.into_iter().collect());
            let mut form = Form::of(&params);
            flawed(&mut form, flaws);
            again(StatusCode::UNPROCESSABLE_ENTITY, form, Notice::default())
        }
        Err(fault) => page.fault(&fault),
    }
}

/// `GET /developers/sign-up/sent`: the same for a new address and for one that has an account.
async fn sign_up_sent(With(state): With<State>, id: CallId) -> Response {
    outside(&state, &id, StatusCode::OK, "Look into your mail", NARROW, &SentBody { forgot: false, root: Portal::ROOT })
}

fn gone(state: &State, id: &CallId, advice: &'static str, link: (&'static str, &'static str)) -> Response {
    outside(state, id, StatusCode::GONE, "This link does not work any more", NARROW, &GoneBody { advice, link: Some(link) })
}

fn unproved(state: &State, id: &CallId) -> Response {
    let advice = "It was used already, or is older than a day. If you have used it, sign in; otherwise sign up again, and a new link comes.";
    gone(state, id, advice, ("Sign in", "/developers/login"))
}

/// `GET /developers/verify?token=`: a page with a button, so that programs that follow the links of a mail do not use them up.
async fn verify_form(With(state): With<State>, id: CallId, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let params = query(&parts);
    let link = one(&params, "token");
    match accounts::look_at_sign_up(&state.platform, link).await {
        Ok(Some(pending)) => verify_page(&state, &id, StatusCode::OK, link, pending.email, (Form::new(), Notice::default())),
        Ok(None) => unproved(&state, &id),
        Err(fault) => Page::new(&state, &id).fault(&fault),
    }
}

fn verify_page(
    state: &State,
    id: &CallId,
    status: StatusCode,
    link: &str,
    email: String,
    (form, problem): (Form, Notice),
) -> Response {
    let body = VerifyBody { token: link.to_owned(), email, form, problem };
    outside(state, id, status, "Confirm your address", NARROW, &body)
}

/// `POST /developers/verify`
async fn verify(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let (link, password) = (one(&params, "token"), one(&params, "password"));
    let pending = match accounts::look_at_sign_up(&state.platform, link).await {
        Ok(Some(pending)) => pending,
        Ok(None) => return unproved(&state, &id),
        Err(fault) => return page.fault(&fault),
    };
    let mut form = Form::new();
    let attempt = match state.limits.codes.begin(&format!("sign-up {}", pending.sign_up_id), state.platform.now()) {
        Ok(attempt) => attempt,
        Err(wait) => {
            return verify_page(&state, &id, StatusCode::TOO_MANY_REQUESTS, link, pending.email, (form, paused(wait)));
        }
    };
    match accounts::verify(&state.platform, link, password).await {
        Ok(account) => {
            attempt.succeeded();
            match begin(&state, &parts.headers, &account).await {
                Ok(new) => set_token(&state, redirect(Portal::HOME), AccountKind::Developer, Some(&new)),
                Err(fault) => page.fault(&fault),
            }
        }
        Err(VerifyError::Link) => unproved(&state, &id),
        Err(VerifyError::Password) => {
            form.wrong("password", "That is not the password that was chosen when signing up.");
            verify_page(&state, &id, StatusCode::UNAUTHORIZED, link, pending.email, (form, Notice::default()))
        }
        Err(VerifyError::Fault(fault)) => page.fault(&fault),
    }
}

/// Begins a session in the place of the one there was.
async fn begin(state: &State, headers: &HeaderMap, account: &accounts::Account) -> Result<String, platform::Fault> {
    if let Some(old) = token(state, headers, AccountKind::Developer) {
        accounts::end_session(&state.platform, &old).await?;
    }
    let agent = headers.get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    accounts::begin_session(&state.platform, account, true, &agent.unwrap_or_default()).await
}
