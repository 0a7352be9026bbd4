//! Sign-in at the operator's OpenID provider: the way there, and the way back.

use askama::Template;
use axum::extract::{Request, State as With};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use platform::Millis;
use platform::accounts::{self, AccountKind, ProviderRefusal};
use platform::people::{self, Began, NotAdmitted, SignIn};
use platform::provider::{self, Arrived, Provider, Returned, Stopped, Why};

use super::access::{Act, Needs, see, set_token, token};
use super::view::Shell;
use super::{Page, redirect, session, sign_in};
use crate::api::Params;
use crate::http::{self, CallId};
use crate::state::State;

/// Where people begin.
pub(crate) const START: &str = "/login/provider";
/// Where the provider sends them back to.
pub(crate) const CALLBACK: &str = "/login/provider/callback";
/// Where staff begin.
pub(crate) const STAFF_START: &str = "/console/login/provider";
const STAFF_ENTRANCE: &str = "/console/login";

/// How long a browser is known by its cookie: as long as a sign-in may take.
const BROWSER: u32 = 600;

/// The acts of staff.
pub(super) fn acts() -> Vec<Act> {
    vec![
        see(STAFF_START, Needs::Anyone, "Go to the operator's provider to sign in", start_staff),
        see("/console/login/provider/callback", Needs::Anyone, "Come back from the operator's provider", come_back_staff),
    ]
}

/// Why a sign-in ended without a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// A check failed.
    Failed,
    /// They turned back.
    Cancelled,
    /// The provider does not answer.
    Down,
    /// The provider does not say who they are to the operator.
    NotKnown,
    /// They were deleted here.
    Deleted,
    /// They hold no role here.
    NoRole,
    /// Their account was closed, or its address is another account's.
    Closed,
}

impl Ending {
    fn status(self) -> StatusCode {
        match self {
            Self::Failed | Self::Cancelled => StatusCode::BAD_REQUEST,
            Self::Down => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotKnown | Self::Deleted | Self::NoRole | Self::Closed => StatusCode::FORBIDDEN,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Failed => "Sign-in could not be completed",
            Self::Cancelled => "You did not sign in",
            Self::Down => "Sign-in is not available at the moment",
            Self::NotKnown => "This account cannot be used here",
            Self::Deleted => "This account was deleted here",
            Self::NoRole => "You have no role here",
            Self::Closed => "This account is closed",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Failed => {
                "Nothing was changed, and nobody was signed in. This happens when a sign-in was left open for more than ten minutes, \
                 was begun in another browser, or when the page was opened a second time. Begin again from here."
            }
            Self::Cancelled => "You turned back before signing in. Nothing was shared and nothing was changed.",
            Self::Down => {
                "The service where you sign in does not answer as it should. It is not your account, and nothing you did is lost. \
                 Try again in a few minutes."
            }
            Self::NotKnown => {
                "You signed in, but your account does not carry what is needed to find your data here. Only the operator can add it: \
                 ask for help, and quote the reference below."
            }
            Self::Deleted => {
                "Your account here was deleted, so it is not made anew by signing in. If you want to come back, ask for help, and quote \
                 the reference below."
            }
            Self::NoRole => {
                "You signed in, but no role in this console belongs to your account, or it has no mail address. Ask whoever looks after \
                 accounts in your organisation, then sign in again."
            }
            Self::Closed => {
                "Your account in this console was closed, or its mail address belongs to another account. Ask an administrator of the \
                 console."
            }
        }
    }
}

/// The page that says so.
#[derive(Debug, Template)]
#[template(path = "provider_stop.html")]
pub(crate) struct StopPage {
    /// What surrounds it.
    pub shell: Shell,
    /// What happened.
    pub ending: Ending,
    /// Where to begin again.
    pub again: String,
    /// To quote when asking for help.
    pub log_id: String,
}

/// The page between here and the provider's own sign-out.
#[derive(Debug, Template)]
#[template(path = "signed_out.html")]
pub(crate) struct SignedOutPage {
    /// What surrounds it.
    pub shell: Shell,
    /// What the provider is called.
    pub name: String,
    /// Its own sign-out; from the provider's discovery document, which the operator names.
    pub onward: String,
}

/// What the button says, and where it leads.
#[derive(Clone, Debug)]
pub(crate) struct Button {
    /// What the provider is called.
    pub name: String,
    /// Where it leads.
    pub path: String,
}

/// The button that leads to the provider and on to `next`.
pub(crate) fn button(state: &State, provider: &Provider, start: &str, next: &str, fresh: bool) -> Button {
    let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
    let fresh = if fresh { "&fresh=1" } else { "" };
    Button { name: name(state, provider), path: format!("{start}?next={next}{fresh}") }
}

fn name(state: &State, provider: &Provider) -> String {
    provider.name().unwrap_or(&state.brand.name).to_owned()
}

fn stop(page: &Page<'_>, ending: Ending, again: String) -> Response {
    page.show(ending.status(), &StopPage { shell: page.shell(), ending, again, log_id: page.log_id() })
}

/// The page for a sign-in that was stopped on the way. Its reason is written down, without anything of the person.
fn stopped(page: &Page<'_>, realm: &str, stopped: &Stopped, again: String) -> Response {
    let ending = match &stopped.why {
        Why::Refused(_) => Ending::Failed,
        Why::Cancelled => Ending::Cancelled,
        Why::Down(_) => Ending::Down,
        Why::Fault(fault) => return page.fault(fault),
    };
    match ending {
        Ending::Down => tracing::error!(realm, why = %stopped.why, "sign-in at the provider is not possible"),
        _ => tracing::info!(realm, why = %stopped.why, "sign-in at the provider ended"),
    }
    stop(page, ending, again)
}

/// The cookie by which the browser that began is known again when it comes back.
fn browser_cookie(state: &State) -> &'static str {
    if state.is_secure() { "__Host-portward-signing-in" } else { "portward-signing-in" }
}

fn browser(state: &State, headers: &HeaderMap) -> Option<String> {
    let jar = axum_extra::extract::CookieJar::from_headers(headers);
    let value = jar.get(browser_cookie(state)).map(|cookie| cookie.value().to_owned())?;
    (value.len() == 47 && value.starts_with("brw.")).then_some(value)
}

/// Sends a browser to the provider.
async fn go(state: &State, id: &CallId, provider: &Provider, request: Request, staff: bool) -> Response {
    let page = Page::new(state, id);
    let (parts, _) = request.into_parts();
    let params = Params::parse(parts.uri.query().unwrap_or_default().as_bytes()).unwrap_or_default();
    let next = params.get("next").ok().flatten().unwrap_or_default();
    if next.len() > LONGEST_NEXT || next.contains('\0') {
        return page.problem(StatusCode::BAD_REQUEST);
    }
    if let Some(address) = http::caller(state, &parts)
        && state.limits.sign_ins.begin(&http::household(address), state.platform.now()).is_err()
    {
        return page.problem(StatusCode::TOO_MANY_REQUESTS);
    }
    let fresh = matches!(params.get("fresh"), Ok(Some(_))).then_some(state.platform.settings.sign_in.fresh.0);
    // One cookie serves all sign-ins of a browser, so that two tabs do not take it from each other.
    let browser = browser(state, &parts.headers).unwrap_or_else(|| state.platform.random.token("brw."));
    match provider.begin(&state.platform, &browser, next, fresh).await {
        Ok(url) => {
            let mut response = redirect(url.as_str());
            let secure = if state.is_secure() { "; Secure" } else { "" };
            let cookie =
                format!("{}={browser}; Path=/; HttpOnly; SameSite=Lax; Max-Age={BROWSER}{secure}", browser_cookie(state));
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            response
        }
        Err(why) => {
            let (realm, again) =
                if staff { ("staff", again_staff(next)) } else { ("people", session::sign_in_path(state, next)) };
            stopped(&page, realm, &why, again)
        }
    }
}

/// The longest address to go on to: that of authorize with the longest query.
const LONGEST_NEXT: usize = 16 * 1024;

fn again_staff(next: &str) -> String {
    let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
    format!("{STAFF_ENTRANCE}?next={next}")
}

/// What came back. A parameter that is there twice is nobody's honest answer.
async fn come(state: &State, provider: &Provider, headers: &HeaderMap, query: &str) -> Result<Arrived, Stopped> {
    let nonsense = || Stopped { why: Why::Refused("the answer cannot be read"), next: String::new() };
    let params = Params::parse(query.as_bytes()).map_err(|_| nonsense())?;
    let get = |name| params.get(name).map_err(|_| nonsense());
    let returned = Returned { state: get("state")?, code: get("code")?, error: get("error")?, iss: get("iss")? };
    let fresh = state.platform.settings.sign_in.fresh.0;
    provider.finish(&state.platform, browser(state, headers).as_deref(), returned, fresh).await
}

/// `GET /login/provider`
pub(super) async fn start(With(state): With<State>, id: CallId, request: Request) -> Response {
    match &state.sign_in {
        SignIn::Provider(provider) => go(&state, &id, provider, request, false).await,
        SignIn::Directory(_) => Page::new(&state, &id).problem(StatusCode::NOT_FOUND),
    }
}

/// `GET /login/provider/callback`
pub(super) async fn come_back(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let SignIn::Provider(provider) = &state.sign_in else { return page.problem(StatusCode::NOT_FOUND) };
    let (parts, _) = request.into_parts();
    let arrived = match come(&state, provider, &parts.headers, parts.uri.query().unwrap_or_default()).await {
        Ok(arrived) => arrived,
        Err(why) => return stopped(&page, "people", &why, session::sign_in_path(&state, &why.next)),
    };
    let again = session::sign_in_path(&state, &arrived.next);
    let end = |ending: Ending, why: &str| {
        tracing::warn!(realm = "people", why, "sign-in at the provider ended");
        stop(&page, ending, again.clone())
    };
    let Some(claimed) = provider.person(&arrived) else {
        return end(Ending::NotKnown, "the provider names no subject by the claim that is set");
    };
    let person = match people::of_provider(&state.platform, &claimed).await {
        Ok(person) => person,
        Err(NotAdmitted::Deleted) => return end(Ending::Deleted, "the person was deleted"),
        Err(NotAdmitted::Fault(fault)) => return page.fault(&fault),
        Err(why @ (NotAdmitted::Shared | NotAdmitted::Changed)) => return end(Ending::NotKnown, &why.to_string()),
    };
    // A session that was there before is not carried on under another person.
    if let Some(old) = session::token(&state, &parts.headers)
        && let Err(fault) = people::end_session(&state.platform, &old).await
    {
        return page.fault(&fault);
    }
    // A provider that does not tell when they proved who they are may have known them since yesterday.
    let proved_at = Some(arrived.proved_at.unwrap_or(Millis(0)));
    let began = Began { agent: session::agent(&parts.headers), proved_at, id_token: Some(&arrived.id_token) };
    match people::begin_session(&state.platform, person.person_id, began).await {
        Ok(token) => session::set(&state, redirect(&sign_in::local(&state, &arrived.next)), Some(&token)),
        Err(fault) => page.fault(&fault),
    }
}

/// `GET /console/login/provider`
async fn start_staff(With(state): With<State>, id: CallId, request: Request) -> Response {
    match &state.staff_provider {
        Some(provider) => go(&state, &id, provider, request, true).await,
        None => Page::new(&state, &id).problem(StatusCode::NOT_FOUND),
    }
}

/// `GET /console/login/provider/callback`
async fn come_back_staff(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let Some(provider) = &state.staff_provider else { return page.problem(StatusCode::NOT_FOUND) };
    let (parts, _) = request.into_parts();
    let arrived = match come(&state, provider, &parts.headers, parts.uri.query().unwrap_or_default()).await {
        Ok(arrived) => arrived,
        Err(why) => return stopped(&page, "staff", &why, again_staff(&why.next)),
    };
    let end = |ending: Ending, why: &str| {
        tracing::warn!(realm = "staff", why, "sign-in at the provider ended");
        stop(&page, ending, again_staff(&arrived.next))
    };
    let Some(member) = provider.staff_member(&arrived) else {
        return end(Ending::NoRole, "no address in the claim that is set");
    };
    let made =
        accounts::of_provider(&state.platform, AccountKind::Staff, &member.subject, &member.email, &member.name, &member.roles);
    let account = match made.await {
        Ok(account) => account,
        Err(ProviderRefusal::Fault(fault)) => return page.fault(&fault),
        Err(ProviderRefusal::NoRole) => return end(Ending::NoRole, "the claim names no role of ours"),
        Err(ProviderRefusal::Flaw(_)) => return end(Ending::NoRole, "address, name or subject cannot be kept"),
        Err(why) => return end(Ending::Closed, &why.to_string()),
    };
    if let Some(old) = token(&state, &parts.headers, AccountKind::Staff)
        && let Err(fault) = accounts::end_session(&state.platform, &old).await
    {
        return page.fault(&fault);
    }
    let begun = async {
        // The second factor is the provider's business.
        let token = accounts::begin_session(&state.platform, &account, true, session::agent(&parts.headers)).await?;
        provider::keep_staff_id_token(&state.platform, &token, &arrived.id_token).await?;
        Ok::<_, platform::Fault>(token)
    };
    match begun.await {
        Ok(token) => {
            let next = sign_in::local_or(&arrived.next, "/console");
            set_token(&state, redirect(&next), AccountKind::Staff, Some(&token))
        }
        Err(fault) => page.fault(&fault),
    }
}

/// What follows our own sign-out: the provider's, where it offers one. A form's answer must not lead to another origin (the policy of our
/// pages forbids it), so a page stands in between, which goes on by itself.
pub(crate) async fn after_logout(state: &State, page: &Page<'_>, provider: &Provider, id_token: &str) -> Option<Response> {
    let onward = provider.logout(&state.platform, id_token).await?.to_string();
    let refresh = HeaderValue::from_str(&format!("0; url={onward}")).ok()?;
    let name = name(state, provider);
    let mut response = page.show(StatusCode::OK, &SignedOutPage { shell: page.shell(), name, onward });
    response.headers_mut().insert(header::REFRESH, refresh);
    Some(response)
}

/// The provider's sign-out for a session of staff; to be asked for before the session is ended.
pub(crate) async fn staff_id_token(state: &State, session: &str) -> Option<String> {
    state.staff_provider.as_ref()?;
    provider::take_staff_id_token(&state.platform, session).await.ok().flatten()
}
