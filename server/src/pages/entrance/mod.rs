//! The ways in for developers and staff: what the portal's and the console's sign-in, second factor and account pages have in common. One side is a
//! [`Realm`]; the handlers are written once.

pub(crate) mod account;
pub(crate) mod forgot;
pub(crate) mod second_factor;
pub(crate) mod sign_in;

use std::time::Duration;

use askama::Template;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, StatusCode, header};
use axum::response::Response;
use platform::accounts::{self, Account, AccountKind, Session};
use platform::failures::Attempt;

use super::access::{Developer, Staff};
use super::frame::Frame;
use super::parts::Notice;
use super::{Page, redirect, view};
use crate::api::Params;
use crate::http;
use crate::state::State;

/// The portal or the console.
pub(crate) trait Realm: Send + Sync + 'static {
    /// Whose accounts it is for.
    const KIND: AccountKind;
    /// Under which all its pages are.
    const ROOT: &'static str;
    /// Where sign-in leads when nothing else was wanted.
    const HOME: &'static str;
    /// Where signing out leads.
    const OUTSIDE: &'static str;

    /// The frame of its pages, and who is signed in, as the guard found out.
    fn frame(state: &State, extensions: &Extensions) -> Frame;

    /// The frame of a page of its entrance, which does not know who looks unless it is told.
    fn entrance(state: &State, known: Option<&(Account, Session)>) -> Frame;

    /// Who is signed in, as the guard found out.
    fn holder(extensions: &Extensions) -> Option<(&Account, &Session)>;

    /// A page of it.
    fn show(page: &Page<'_>, status: StatusCode, framed: Framed) -> Response;
}

/// The developers' side.
#[derive(Debug)]
pub(crate) struct Portal;

/// The staff's side.
#[derive(Debug)]
pub(crate) struct Console;

impl Realm for Portal {
    const KIND: AccountKind = AccountKind::Developer;
    const ROOT: &'static str = "/developers";
    const HOME: &'static str = "/developers/apps";
    const OUTSIDE: &'static str = "/developers";

    fn frame(state: &State, extensions: &Extensions) -> Frame {
        Frame::public(state, extensions.get::<Developer>())
    }

    fn entrance(state: &State, known: Option<&(Account, Session)>) -> Frame {
        let known = known.filter(|(_, session)| session.complete);
        let developer = known.map(|(account, session)| Developer { account: account.clone(), session: session.clone() });
        Frame::public(state, developer.as_ref())
    }

    fn holder(extensions: &Extensions) -> Option<(&Account, &Session)> {
        extensions.get::<Developer>().map(|developer| (&developer.account, &developer.session))
    }

    fn show(page: &Page<'_>, status: StatusCode, framed: Framed) -> Response {
        page.show(status, &InPortal { shell: framed.frame, page: framed.words, body: framed.body })
    }
}

impl Realm for Console {
    const KIND: AccountKind = AccountKind::Staff;
    const ROOT: &'static str = "/console";
    const HOME: &'static str = "/console";
    const OUTSIDE: &'static str = "/console/login";

    fn frame(state: &State, extensions: &Extensions) -> Frame {
        extensions.get::<Staff>().map_or_else(|| Frame::entrance(state), |staff| Frame::staff(state, staff))
    }

    fn entrance(state: &State, _: Option<&(Account, Session)>) -> Frame {
        Frame::entrance(state)
    }

    fn holder(extensions: &Extensions) -> Option<(&Account, &Session)> {
        extensions.get::<Staff>().map(|staff| (&staff.account, &staff.session))
    }

    fn show(page: &Page<'_>, status: StatusCode, framed: Framed) -> Response {
        page.show(status, &InConsole { shell: framed.frame, page: framed.words, body: framed.body })
    }
}

/// What stands in the head of a page.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    title: String,
    /// Whether something is wrong with what was sent.
    wrong: bool,
    width: &'static str,
}

/// What a page shows within the frame of its realm: HTML that a template has written.
#[derive(Clone, Debug)]
pub(crate) struct Body(String);

impl std::fmt::Display for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Body {}

/// A page of either realm.
#[derive(Debug)]
pub(crate) struct Framed {
    frame: Frame,
    words: Words,
    body: Body,
}

#[derive(Template)]
#[template(path = "accounts/in_portal.html")]
struct InPortal {
    shell: Frame,
    page: Words,
    body: Body,
}

#[derive(Template)]
#[template(path = "accounts/in_console.html")]
struct InConsole {
    shell: Frame,
    page: Words,
    body: Body,
}

/// Shows a page in the frame of its realm. A status of failure says so in the title.
pub(crate) fn show<R: Realm>(
    page: &Page<'_>,
    status: StatusCode,
    frame: Frame,
    title: &str,
    width: &'static str,
    body: &impl Template,
) -> Response {
    match body.render() {
        Ok(body) => {
            let words = Words { title: title.to_owned(), wrong: status.is_client_error(), width };
            R::show(page, status, Framed { frame, words, body: Body(body) })
        }
        Err(fault) => {
            tracing::error!(%fault, "a page cannot be rendered");
            page.problem(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

/// The width of a page with one short form, of one with a longer form, and of any other.
pub(crate) const NARROW: &str = "narrow";
pub(crate) const FORM: &str = "form";
pub(crate) const WIDE: &str = "";

/// The one value of a name; empty if there is none, or several.
pub(crate) fn one<'a>(params: &'a Params, name: &'static str) -> &'a str {
    params.get(name).ok().flatten().unwrap_or_default()
}

/// The parameters of the address.
pub(crate) fn query(parts: &Parts) -> Params {
    Params::parse(parts.uri.query().unwrap_or_default().as_bytes()).unwrap_or_default()
}

/// Where to go on: a page of the same realm that is not part of its entrance, or its home.
pub(crate) fn next<R: Realm>(wanted: &str) -> String {
    // Visible ASCII only: it goes into a header as it stands.
    let local = view::local_path(wanted).filter(|path| path.len() <= 4000 && path.bytes().all(|byte| byte.is_ascii_graphic()));
    let within =
        |path: &str, root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    let fits =
        |path: &&str| within(path, R::ROOT) && !path.contains('\\') && !path.contains("/login") && !path.contains("/logout");
    local.filter(fits).unwrap_or(R::HOME).to_owned()
}

/// A text in an address.
pub(crate) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Before what only the account's holder may do: unless they have just proved who they are, sends them to do so, and from there to `then`.
pub(crate) fn must_prove<R: Realm>(state: &State, session: &Session, then: &str) -> Option<Response> {
    let fresh = accounts::is_fresh(&state.platform, session);
    (!fresh).then(|| redirect(&format!("{}/login?fresh=1&next={}", R::ROOT, encoded(then))))
}

/// The browser, as it names itself.
fn agent(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    agent.unwrap_or_default()
}

/// "Wait 3 minutes."
fn wait_words(wait: Duration) -> String {
    let minutes = wait.as_secs().div_ceil(60).max(1);
    format!("Wait {}, then try again.", view::counted(usize::try_from(minutes).unwrap_or(usize::MAX), "minute", "minutes"))
}

/// That something is paused after too many tries.
pub(crate) fn paused(wait: Duration) -> Notice {
    Notice::danger("Too many attempts.").text(format!("To protect this account, it is paused. {}", wait_words(wait)))
}

/// An attempt by address and one by account; both count as failed until they are told to have succeeded.
pub(crate) fn begin_attempt<R: Realm>(state: &State, parts: &Parts, name: &str) -> Result<Vec<Attempt>, Duration> {
    let now = state.platform.now();
    // As it is looked up; a long one is nobody's and counts together with others of its kind.
    let name: String = name.trim().to_ascii_lowercase().chars().take(260).collect();
    let mut attempts = Vec::new();
    if let Some(address) = http::caller(state, parts) {
        attempts.push(state.limits.addresses.begin(&http::household(address), now)?);
    }
    match state.limits.holders.begin(&format!("{} {name}", R::KIND), now) {
        Ok(attempt) => attempts.push(attempt),
        Err(wait) => {
            // Not tried, so not a failure of the address either.
            succeed(attempts);
            return Err(wait);
        }
    }
    Ok(attempts)
}

/// Attempts that did not fail after all.
pub(crate) fn succeed(attempts: Vec<Attempt>) {
    attempts.into_iter().for_each(Attempt::succeeded);
}

/// One more mail that somebody asks for without being known; counts whatever comes of it.
pub(crate) fn begin_mail(state: &State, parts: &Parts) -> Result<Option<Attempt>, Duration> {
    match http::caller(state, parts) {
        Some(address) => state.limits.mails.begin(&http::household(address), state.platform.now()).map(Some),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sign_in_leads_to_a_page_of_its_own_realm_only() {
        for kept in ["/developers", "/developers/apps?x=1", "/developers/account/email/confirm?token=lnk.x"] {
            assert_eq!(next::<Portal>(kept), kept);
        }
        for lost in [
            "",
            "https://evil.example/developers",
            "//evil.example/developers",
            "/\\evil.example",
            "/console",
            "/developersX",
            "/developers/login?next=x",
            "/developers/logout",
            "/developers/\r\nSet-Cookie: x=y",
            "/developers\\..\\x",
            "javascript:alert(1)",
            "/developers/\u{e4}",
        ] {
            assert_eq!(next::<Portal>(lost), "/developers/apps", "{lost}");
        }
        assert_eq!(next::<Console>("/console/applications/7"), "/console/applications/7");
        assert_eq!(next::<Console>("/developers/apps"), "/console");
    }
}
