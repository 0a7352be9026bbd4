//! The second factor: setting it up, and looking after it. It is set up by who has just proved who they are, or by staff who may not go on
//! without one.

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use platform::Fault;
use platform::accounts::{self, Account, Session};

use super::{FORM, Realm, encoded, must_prove, next, one, paused, query, show};
use crate::api::Params;
use crate::http::CallId;
use crate::pages::access::{set_token, signed_in, token};
use crate::pages::parts::{Copy, Form, Notice};
use crate::pages::{Page, form, redirect};
use crate::state::State;

#[derive(Template)]
#[template(path = "accounts/set_up.html")]
struct SetUpBody {
    root: &'static str,
    next: String,
    form: Form,
    problem: Notice,
    secret: Copy,
    /// Whether nothing else opens before.
    must: bool,
    /// Told apart from the picture of a time before, which a browser may still hold.
    stamp: i64,
}

#[derive(Template)]
#[template(path = "accounts/recovery_codes.html")]
struct CodesBody {
    codes: Vec<String>,
    next: String,
    /// Whether the second factor was only just switched on.
    first: bool,
}

#[derive(Template)]
#[template(path = "accounts/second_factor.html")]
struct SecondFactorBody {
    root: &'static str,
    form: Form,
    problem: Notice,
    left: i64,
    /// Whether it can be switched off, or only be replaced.
    needed: bool,
}

/// Who may set up a second factor now, or where they should be instead.
async fn enrolling<R: Realm>(
    state: &State,
    headers: &HeaderMap,
    to: &str,
) -> Result<Result<(Account, Session), Response>, Fault> {
    let here = format!("{}/login/second-factor?next={}", R::ROOT, encoded(to));
    let Some((account, session)) = signed_in(state, headers, R::KIND).await? else {
        return Ok(Err(redirect(&format!("{}/login?next={}", R::ROOT, encoded(to)))));
    };
    if account.has_second_factor() {
        let step = if session.complete { "account/second-factor" } else { "login/code" };
        return Ok(Err(redirect(&format!("{}/{step}", R::ROOT))));
    }
    if session.complete && !accounts::is_fresh(&state.platform, &session) {
        return Ok(Err(redirect(&format!("{}/login?fresh=1&next={}", R::ROOT, encoded(&here)))));
    }
    // A half session without a second factor is that of somebody who must set one up.
    Ok(Ok((account, session)))
}

async fn set_up_page<R: Realm>(
    state: &State,
    id: &CallId,
    (status, form, problem): (StatusCode, Form, Notice),
    known: &(Account, Session),
    to: String,
) -> Result<Response, Fault> {
    let page = Page::new(state, id);
    let (account, _) = known;
    let Some(enrolment) = accounts::enrolment(&state.platform, account, &state.brand.name).await? else {
        return Ok(redirect(&format!("{}/login/second-factor?next={}", R::ROOT, encoded(&to))));
    };
    let body = SetUpBody {
        root: R::ROOT,
        next: to,
        form,
        problem,
        secret: Copy::line("Or type this key into the app", enrolment.secret.as_str()),
        must: account.must_enrol(&state.platform),
        stamp: state.platform.now().0,
    };
    Ok(show::<R>(&page, status, R::entrance(state, Some(known)), "Set up the second step", FORM, &body))
}

/// `GET {root}/login/second-factor`
pub(crate) async fn set_up<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let to = next::<R>(one(&query(&parts), "next"));
    let shown = async {
        let known = match enrolling::<R>(&state, &parts.headers, &to).await? {
            Ok(found) => found,
            Err(elsewhere) => return Ok(elsewhere),
        };
        accounts::begin_second_factor(&state.platform, &known.0).await?;
        set_up_page::<R>(&state, &id, (StatusCode::OK, Form::new(), Notice::default()), &known, to).await
    };
    shown.await.unwrap_or_else(|fault: Fault| Page::new(&state, &id).fault(&fault))
}

/// `GET {root}/login/second-factor/qr.svg`: the picture that an authenticator app reads, while it is being set up.
pub(crate) async fn picture<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, _) = request.into_parts();
    let drawn = async {
        let Ok((account, _)) = enrolling::<R>(&state, &parts.headers, R::HOME).await? else { return Ok(None) };
        let Some(enrolment) = accounts::enrolment(&state.platform, &account, &state.brand.name).await? else { return Ok(None) };
        accounts::qr_svg(&enrolment.uri).map(Some)
    };
    match drawn.await {
        Ok(Some(svg)) => {
            let headers = [
                (CONTENT_TYPE, "image/svg+xml"),
                (CACHE_CONTROL, "no-store"),
                (X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (REFERRER_POLICY, "no-referrer"),
                (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
            ];
            (headers, svg).into_response()
        }
        Ok(None) => page.problem(StatusCode::NOT_FOUND),
        Err(fault) => page.fault(&fault),
    }
}

/// `POST {root}/login/second-factor`: the first code.
pub(crate) async fn confirm<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    take_first_code::<R>(&state, &id, &parts, &params).await.unwrap_or_else(|fault| page.fault(&fault))
}

async fn take_first_code<R: Realm>(state: &State, id: &CallId, parts: &Parts, params: &Params) -> Result<Response, Fault> {
    let to = next::<R>(one(params, "next"));
    let known = match enrolling::<R>(state, &parts.headers, &to).await? {
        Ok(found) => found,
        Err(elsewhere) => return Ok(elsewhere),
    };
    let (account, session) = &known;
    let code = one(params, "code");
    let mut form = Form::new();
    if code.is_empty() {
        form.wrong("code", "Enter the code that the app shows.");
        return set_up_page::<R>(state, id, (StatusCode::UNPROCESSABLE_ENTITY, form, Notice::default()), &known, to).await;
    }
    let platform = &state.platform;
    let attempt = match state.limits.codes.begin(&account.account_id.to_string(), platform.now()) {
        Ok(attempt) => attempt,
        Err(wait) => return set_up_page::<R>(state, id, (StatusCode::TOO_MANY_REQUESTS, form, paused(wait)), &known, to).await,
    };
    let Some(codes) = accounts::confirm_second_factor(platform, account, session.session_id, code).await? else {
        form.wrong(
            "code",
            "That code is not right. See that the clock of your device is right, and enter the code that the app shows now.",
        );
        return set_up_page::<R>(state, id, (StatusCode::UNAUTHORIZED, form, Notice::default()), &known, to).await;
    };
    attempt.succeeded();
    let old = token(state, &parts.headers, R::KIND).unwrap_or_default();
    let rotated = if session.complete {
        accounts::freshen(platform, account, &old).await?
    } else {
        accounts::complete_session(platform, account, &old).await?
    };
    let page = Page::new(state, id);
    let body = CodesBody { codes, next: to, first: true };
    let shown = show::<R>(&page, StatusCode::OK, R::entrance(state, Some(&known)), "Your recovery codes", FORM, &body);
    Ok(match rotated {
        Some(new) => set_token(state, shown, R::KIND, Some(&new)),
        None => shown,
    })
}

/// `GET {root}/account/second-factor`
pub(crate) async fn manage<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    manage_page::<R>(&state, &id, &parts, (StatusCode::OK, Form::new(), Notice::default())).await
}

async fn manage_page<R: Realm>(
    state: &State,
    id: &CallId,
    parts: &Parts,
    (status, form, problem): (StatusCode, Form, Notice),
) -> Response {
    let page = Page::new(state, id);
    let Some((account, _)) = R::holder(&parts.extensions) else { return page.problem(StatusCode::INTERNAL_SERVER_ERROR) };
    if !account.has_second_factor() {
        let set_up = format!("{0}/login/second-factor?next={0}/account", R::ROOT);
        return redirect(if account.provider_subject.is_some() { R::HOME } else { &set_up });
    }
    let left = async { accounts::recovery_codes_left(&mut state.platform.db.read().await?, account.account_id).await };
    let left = match left.await {
        Ok(left) => left,
        Err(fault) => return page.fault(&fault),
    };
    let body = SecondFactorBody { root: R::ROOT, form, problem, left, needed: account.needs_second_factor(&state.platform) };
    let frame = R::frame(state, &parts.extensions).at("account");
    show::<R>(&page, status, frame, "Two-step sign-in", FORM, &body)
}

/// `POST {root}/account/second-factor`: with a code, new recovery codes, or none of it any more.
pub(crate) async fn change<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    take_change::<R>(&state, &id, &parts, &params).await.unwrap_or_else(|fault| page.fault(&fault))
}

async fn take_change<R: Realm>(state: &State, id: &CallId, parts: &Parts, params: &Params) -> Result<Response, Fault> {
    let page = Page::new(state, id);
    let here = format!("{}/account/second-factor", R::ROOT);
    let Some((account, session)) = R::holder(&parts.extensions) else {
        return Ok(page.problem(StatusCode::INTERNAL_SERVER_ERROR));
    };
    if !account.has_second_factor() {
        return Ok(redirect(&here));
    }
    if let Some(proof) = must_prove::<R>(state, session, &here) {
        return Ok(proof);
    }
    let mut form = Form::new();
    let (what, code) = (one(params, "what"), one(params, "code"));
    if code.is_empty() {
        form.wrong("code", "Enter a code of your app, or a recovery code.");
        return Ok(manage_page::<R>(state, id, parts, (StatusCode::UNPROCESSABLE_ENTITY, form, Notice::default())).await);
    }
    let platform = &state.platform;
    let attempt = match state.limits.codes.begin(&account.account_id.to_string(), platform.now()) {
        Ok(attempt) => attempt,
        Err(wait) => return Ok(manage_page::<R>(state, id, parts, (StatusCode::TOO_MANY_REQUESTS, form, paused(wait))).await),
    };
    if !accounts::check_code(platform, account, code).await? {
        form.wrong("code", "That code is not right, or was used before.");
        return Ok(manage_page::<R>(state, id, parts, (StatusCode::UNAUTHORIZED, form, Notice::default())).await);
    }
    attempt.succeeded();
    match what {
        "codes" => {
            let codes = accounts::new_recovery_codes(platform, account).await?;
            let body = CodesBody { codes, next: format!("{}/account", R::ROOT), first: false };
            let frame = R::frame(state, &parts.extensions).at("account");
            Ok(show::<R>(&page, StatusCode::OK, frame, "Your recovery codes", FORM, &body))
        }
        "off" => {
            accounts::drop_second_factor(platform, account).await?;
            Ok(redirect(&format!("{}/account?done=second-factor-off", R::ROOT)))
        }
        _ => Ok(page.problem(StatusCode::BAD_REQUEST)),
    }
}
