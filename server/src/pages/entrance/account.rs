//! An account's own page: what is known about its holder, how they sign in, and where they are signed in.

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use platform::Fault;
use platform::accounts::{self, Account, AccountKind, Flaw, Session};

use super::{FORM, NARROW, Realm, must_prove, one, query, show};
use crate::http::CallId;
use crate::pages::parts::{Badge, Form, Row, Summary, Tone};
use crate::pages::view::Moment;
use crate::pages::{Page, form, moment, redirect};
use crate::state::State;

/// A session, as its holder sees it.
#[derive(Clone, Debug)]
struct SessionLine {
    id: i64,
    agent: String,
    began: Moment,
    seen: Moment,
    own: bool,
}

#[derive(Template)]
#[template(path = "accounts/account.html")]
struct AccountBody {
    root: &'static str,
    summary: Summary,
    sessions: Vec<SessionLine>,
    /// For developers: mail, and closing the account.
    developer: bool,
    notify: bool,
}

#[derive(Template)]
#[template(path = "accounts/name.html")]
struct NameBody {
    root: &'static str,
    form: Form,
}

#[derive(Template)]
#[template(path = "accounts/password.html")]
struct PasswordBody {
    root: &'static str,
    form: Form,
    email: String,
}

/// What was done, by the word in the address.
fn done(word: &str) -> Option<&'static str> {
    Some(match word {
        "name" => "Your name is changed.",
        "password" => "Your password is changed. You are signed out everywhere else.",
        "email" => "Your e-mail address is changed.",
        "notify" => "Your choice about mail is saved.",
        "session" => "That session is ended.",
        "sessions" => "You are signed out everywhere else.",
        "second-factor-off" => "Two-step sign-in is off.",
        _ => return None,
    })
}

/// `GET {root}/account`
pub(crate) async fn overview<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let page = Page::new(&state, &id);
    let Some((account, session)) = R::holder(&parts.extensions) else { return page.problem(StatusCode::INTERNAL_SERVER_ERROR) };
    let platform = &state.platform;
    let found = async {
        let mut tx = platform.db.read().await?;
        let left = accounts::recovery_codes_left(&mut tx, account.account_id).await?;
        Ok::<_, Fault>((left, accounts::sessions(&mut tx, account.account_id, platform.now()).await?))
    };
    let (left, sessions) = match found.await {
        Ok(found) => found,
        Err(fault) => return page.fault(&fault),
    };
    let line = |held: &Session| SessionLine {
        id: held.session_id,
        agent: browser(&held.agent),
        began: Moment::minute(moment(held.created_at)),
        seen: Moment::minute(moment(held.seen_at)),
        own: held.session_id == session.session_id,
    };
    let body = AccountBody {
        root: R::ROOT,
        summary: summary::<R>(account, left),
        sessions: sessions.iter().map(line).collect(),
        developer: R::KIND == AccountKind::Developer,
        notify: account.notify,
    };
    let frame = R::frame(&state, &parts.extensions).at("account").done(done(one(&query(&parts), "done")));
    show::<R>(&page, StatusCode::OK, frame, "Your account", FORM, &body)
}

fn summary<R: Realm>(account: &Account, left: i64) -> Summary {
    let path = |page: &str| format!("{}/account/{page}", R::ROOT);
    let (name, email) = (Row::new("Name").text(&account.name), Row::new("E-mail address").text(&account.email));
    if account.provider_subject.is_some() {
        let note = "You sign in through your organisation, which keeps your name, your address and your roles.";
        return Summary(vec![name, email, Row::new("Sign-in").text(note)]);
    }
    let email = if R::KIND == AccountKind::Developer { email.change(path("email")) } else { email };
    let second = match (account.has_second_factor(), left) {
        (true, 0) => Row::new("Two-step sign-in")
            .badge(Badge::new(Tone::Action, "On, no recovery codes left"))
            .note("Make new recovery codes: without them and without your app, nobody gets in."),
        (true, left) => {
            Row::new("Two-step sign-in").badge(Badge::new(Tone::Good, "On")).note(format!("{left} recovery codes left."))
        }
        (false, _) => Row::new("Two-step sign-in")
            .badge(Badge::new(Tone::Plain, "Off"))
            .note("With it, a password that somebody has found out is not enough to sign in."),
    };
    let password = Row::new("Password").text("Set").change(path("password"));
    Summary(vec![name.change(path("name")), email, password, second.change(path("second-factor"))])
}

/// "Firefox on Linux": what a browser says it is, in words.
fn browser(agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| names.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    // Many say they are others, too: the more special first.
    let browser = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS", "Firefox"),
        ("Chrome/", "Chrome"),
        ("CriOS", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
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
        (Some(browser), None) => browser.to_owned(),
        (None, Some(system)) => format!("A browser on {system}"),
        (None, None) => "An unknown browser".to_owned(),
    }
}

/// Puts flaws that the rules found to their fields.
pub(crate) fn flawed(form: &mut Form, flaws: impl IntoIterator<Item = Flaw>) {
    for flaw in flaws {
        form.wrong(flaw.field, flaw.message);
    }
}

fn name_page<R: Realm>(state: &State, id: &CallId, parts: &Parts, status: StatusCode, form: Form) -> Response {
    let frame = R::frame(state, &parts.extensions).at("account");
    show::<R>(&Page::new(state, id), status, frame, "Change your name", NARROW, &NameBody { root: R::ROOT, form })
}

/// `GET {root}/account/name`
pub(crate) async fn name<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let mut form = Form::new();
    if let Some((account, _)) = R::holder(&parts.extensions) {
        form.set("name", &account.name);
    }
    name_page::<R>(&state, &id, &parts, StatusCode::OK, form)
}

/// `POST {root}/account/name`
pub(crate) async fn rename<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let Some((account, _)) = R::holder(&parts.extensions) else { return page.problem(StatusCode::INTERNAL_SERVER_ERROR) };
    if account.provider_subject.is_some() {
        return page.problem(StatusCode::FORBIDDEN);
    }
    match accounts::rename(&state.platform, account, one(&params, "name")).await {
        Ok(Ok(())) => redirect(&format!("{}/account?done=name", R::ROOT)),
        Ok(Err(flaw)) => {
            let mut form = Form::of(&params);
            flawed(&mut form, [flaw]);
            name_page::<R>(&state, &id, &parts, StatusCode::UNPROCESSABLE_ENTITY, form)
        }
        Err(fault) => page.fault(&fault),
    }
}

fn password_page<R: Realm>(state: &State, id: &CallId, parts: &Parts, status: StatusCode, form: Form) -> Response {
    let frame = R::frame(state, &parts.extensions).at("account");
    let email = R::holder(&parts.extensions).map(|(account, _)| account.email.clone()).unwrap_or_default();
    let body = PasswordBody { root: R::ROOT, form, email };
    show::<R>(&Page::new(state, id), status, frame, "Change your password", NARROW, &body)
}

/// `GET {root}/account/password`
pub(crate) async fn password<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    match changing_password::<R>(&state, &id, &parts) {
        Ok(_) => password_page::<R>(&state, &id, &parts, StatusCode::OK, Form::new()),
        Err(elsewhere) => *elsewhere,
    }
}

/// Who may change their password now, or where they should be instead.
fn changing_password<'a, R: Realm>(
    state: &State,
    id: &CallId,
    parts: &'a Parts,
) -> Result<(&'a Account, &'a Session), Box<Response>> {
    let page = Page::new(state, id);
    let (account, session) =
        R::holder(&parts.extensions).ok_or_else(|| Box::new(page.problem(StatusCode::INTERNAL_SERVER_ERROR)))?;
    if account.provider_subject.is_some() {
        return Err(Box::new(page.problem(StatusCode::FORBIDDEN)));
    }
    match must_prove::<R>(state, session, &format!("{}/account/password", R::ROOT)) {
        Some(proof) => Err(Box::new(proof)),
        None => Ok((account, session)),
    }
}

/// `POST {root}/account/password`
pub(crate) async fn change_password<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let (account, session) = match changing_password::<R>(&state, &id, &parts) {
        Ok(found) => found,
        Err(elsewhere) => return *elsewhere,
    };
    match accounts::change_password(&state.platform, account, session.session_id, one(&params, "password")).await {
        Ok(Ok(())) => redirect(&format!("{}/account?done=password", R::ROOT)),
        Ok(Err(flaw)) => {
            let mut form = Form::new();
            flawed(&mut form, [flaw]);
            password_page::<R>(&state, &id, &parts, StatusCode::UNPROCESSABLE_ENTITY, form)
        }
        Err(fault) => page.fault(&fault),
    }
}

/// `POST {root}/account/sessions/end`: one of them.
pub(crate) async fn end_session<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let Some((account, _)) = R::holder(&parts.extensions) else { return page.problem(StatusCode::INTERNAL_SERVER_ERROR) };
    let Ok(session_id) = one(&params, "session").parse::<i64>() else { return page.problem(StatusCode::BAD_REQUEST) };
    match accounts::end_session_of(&state.platform, account, session_id).await {
        Ok(true) => redirect(&format!("{}/account?done=session", R::ROOT)),
        // Of somebody else, or ended already: the list shows what there is.
        Ok(false) => redirect(&format!("{}/account", R::ROOT)),
        Err(fault) => page.fault(&fault),
    }
}

/// `POST {root}/account/sessions/end-others`
pub(crate) async fn end_others<R: Realm>(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let Some((account, session)) = R::holder(request.extensions()) else {
        return page.problem(StatusCode::INTERNAL_SERVER_ERROR);
    };
    match accounts::end_sessions_but(&state.platform, account, session.session_id).await {
        Ok(_) => redirect(&format!("{}/account?done=sessions", R::ROOT)),
        Err(fault) => page.fault(&fault),
    }
}

#[cfg(test)]
mod tests {
    use super::browser;

    #[test]
    fn browsers_in_words() {
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1";
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0";
        assert_eq!(
            [firefox, safari, edge, "", "<script>"].map(browser),
            ["Firefox on Linux", "Safari on iPhone", "Edge on Windows", "An unknown browser", "An unknown browser"]
        );
    }
}
