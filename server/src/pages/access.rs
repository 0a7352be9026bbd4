//! Who may do what in the portal and the console. Every route of both is an [`Act`], which says what it needs; the guard in front of it looks
//! before the handler runs, and the authorisation matrix in the tests tries each act as everybody.

use axum::Router;
use axum::extract::{FromRequestParts, RawPathParams, Request, State as With};
use axum::handler::Handler;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use platform::Fault;
use platform::accounts::{self, Account, AccountKind, Role, Session};
use platform::apps::{self, App};
use platform::organisations::{self, Organisation, Seat};

use super::{Page, redirect};
use crate::http::CallId;
use crate::state::State;

/// What an act needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: a public page, or one that a mailed link opens.
    Anyone,
    /// A developer who is signed in.
    Developer,
    /// A member of the organisation in the path, `{organisation}`.
    Member,
    /// An owner or admin of it.
    Admin,
    /// The owner of it.
    Owner,
    /// Somebody who works on the app in the path, `{app}`: its owner, an admin of its organisation, or one of its managers. A path with
    /// `{application}` means the app of that application.
    Works,
    /// Somebody whose app it is: its owner, or an owner or admin of its organisation.
    Owns,
    /// A member of staff with one of these roles.
    Staff(&'static [Role]),
}

impl std::fmt::Display for Needs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Developer => f.write_str("developer"),
            Self::Member => f.write_str("member of the organisation"),
            Self::Admin => f.write_str("owner or admin of the organisation"),
            Self::Owner => f.write_str("owner of the organisation"),
            Self::Works => f.write_str("works on the app"),
            Self::Owns => f.write_str("owns the app"),
            Self::Staff(roles) => {
                let roles: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
                write!(f, "staff: {}", roles.join(", "))
            }
        }
    }
}

/// All roles of staff.
pub(crate) const ALL_STAFF: Needs = Needs::Staff(&[Role::Reviewer, Role::Support, Role::Compliance, Role::Administrator]);
/// Who decides about apps and applications.
pub(crate) const REVIEWERS: Needs = Needs::Staff(&[Role::Reviewer]);
/// Who answers tickets.
pub(crate) const SUPPORT: Needs = Needs::Staff(&[Role::Support]);
/// Who says who is staff.
pub(crate) const ADMINISTRATORS: Needs = Needs::Staff(&[Role::Administrator]);

/// One thing that can be done in the portal or the console.
pub(crate) struct Act {
    /// `GET` or `POST`.
    pub(crate) method: &'static str,
    /// With its parameters in braces.
    pub(crate) path: &'static str,
    /// What it needs.
    pub(crate) needs: Needs,
    /// What it is, in a few words, as the table in the documentation names it.
    pub(crate) what: &'static str,
    route: MethodRouter<State>,
}

/// An act by GET.
pub(crate) fn see<T: 'static, H: Handler<T, State>>(path: &'static str, needs: Needs, what: &'static str, handler: H) -> Act {
    Act { method: "GET", path, needs, what, route: on(MethodFilter::GET, handler) }
}

/// An act by POST.
pub(crate) fn act<T: 'static, H: Handler<T, State>>(path: &'static str, needs: Needs, what: &'static str, handler: H) -> Act {
    Act { method: "POST", path, needs, what, route: on(MethodFilter::POST, handler) }
}

/// The routes of acts, each behind its guard.
pub(crate) fn router(acts: Vec<Act>, state: &State) -> Router<State> {
    acts.into_iter().fold(Router::new(), |router, act| {
        let guarded = axum::middleware::from_fn_with_state((state.clone(), act.needs), guard);
        router.route(act.path, act.route.route_layer(guarded))
    })
}

/// A developer who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Developer {
    pub(crate) account: Account,
    pub(crate) session: Session,
}

/// A member of staff who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Staff {
    pub(crate) account: Account,
    pub(crate) session: Session,
    pub(crate) roles: Vec<Role>,
}

impl Staff {
    /// Whether they hold a role.
    pub(crate) fn is(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// The app in the path, and how the developer stands to it.
#[derive(Clone, Debug)]
pub(crate) struct OfApp {
    pub(crate) app: App,
    pub(crate) seat: Seat,
}

/// The organisation in the path, and how the developer stands to it.
#[derive(Clone, Debug)]
pub(crate) struct OfOrganisation {
    pub(crate) organisation: Organisation,
    pub(crate) seat: Seat,
}

macro_rules! from_guard {
    ($($name:ident),*) => {$(
        impl<S: Sync> FromRequestParts<S> for $name {
            type Rejection = StatusCode;
            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
                // The guard has put it there; an act that does not need it must not ask for it.
                parts.extensions.get().cloned().ok_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    )*};
}
from_guard!(Developer, Staff, OfApp, OfOrganisation);

/// Why the guard does not let somebody through.
enum Stop {
    /// Nobody is signed in.
    SignIn,
    /// The second factor is still to be given.
    SecondFactor,
    /// Signed in, but not for this.
    Forbidden,
    /// Not theirs to know of.
    Unknown,
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<sqlx::Error> for Stop {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

async fn guard(
    With((state, needs)): With<(State, Needs)>,
    id: CallId,
    path: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&state, needs, &path, &mut parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(stop) => {
            let page = Page::new(&state, &id);
            let wanted = if parts.method == axum::http::Method::GET { parts.uri.to_string() } else { String::new() };
            let wanted: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
            let staff = matches!(needs, Needs::Staff(_));
            let entrance = if staff { "/console/login" } else { "/developers/login" };
            match stop {
                Stop::SignIn => redirect(&format!("{entrance}?next={wanted}")),
                Stop::SecondFactor => redirect(&format!("{entrance}/code?next={wanted}")),
                Stop::Forbidden => page.problem(StatusCode::FORBIDDEN),
                Stop::Unknown => page.problem(StatusCode::NOT_FOUND),
                Stop::Fault(fault) => page.fault(&fault),
            }
        }
    }
}

async fn admit(state: &State, needs: Needs, path: &RawPathParams, parts: &mut Parts) -> Result<(), Stop> {
    let platform = &state.platform;
    let number = |name: &str| path.iter().find(|(held, _)| *held == name).and_then(|(_, value)| value.parse::<i64>().ok());
    if let Needs::Staff(allowed) = needs {
        let (account, session) = signed_in(state, &parts.headers, AccountKind::Staff).await?.ok_or(Stop::SignIn)?;
        if !session.complete {
            return Err(Stop::SecondFactor);
        }
        let roles = accounts::roles(&mut platform.db.read().await?, account.account_id).await?;
        if !roles.iter().any(|role| allowed.contains(role)) {
            return Err(Stop::Forbidden);
        }
        parts.extensions.insert(Staff { account, session, roles });
        return Ok(());
    }
    let developer = signed_in(state, &parts.headers, AccountKind::Developer).await?;
    if needs == Needs::Anyone {
        if let Some((account, session)) = developer.filter(|(_, session)| session.complete) {
            parts.extensions.insert(Developer { account, session });
        }
        return Ok(());
    }
    let (account, session) = developer.ok_or(Stop::SignIn)?;
    if !session.complete {
        return Err(Stop::SecondFactor);
    }
    let account_id = account.account_id;
    parts.extensions.insert(Developer { account, session });
    let mut tx = platform.db.read().await?;
    match needs {
        Needs::Anyone | Needs::Developer | Needs::Staff(_) => {}
        Needs::Member | Needs::Admin | Needs::Owner => {
            let organisation_id = number("organisation").ok_or(Stop::Unknown)?;
            let organisation = organisations::by_id(&mut tx, organisation_id).await?.ok_or(Stop::Unknown)?;
            let seat = organisations::seat(&mut tx, organisation_id, account_id).await?.ok_or(Stop::Unknown)?;
            let enough = match needs {
                Needs::Owner => seat == Seat::Owner,
                Needs::Admin => matches!(seat, Seat::Owner | Seat::Admin),
                _ => true,
            };
            if !enough {
                return Err(Stop::Forbidden);
            }
            parts.extensions.insert(OfOrganisation { organisation, seat });
        }
        Needs::Works | Needs::Owns => {
            let app_id = match (number("app"), number("application")) {
                (Some(app_id), _) => app_id,
                (None, Some(application)) => {
                    organisations::app_of_application(&mut tx, application).await?.ok_or(Stop::Unknown)?
                }
                (None, None) => return Err(Stop::Unknown),
            };
            let app = apps::by_id(&mut tx, app_id).await?.filter(|app| app.deleted_at.is_none()).ok_or(Stop::Unknown)?;
            let seat = organisations::seat_at_app(&mut tx, &app, account_id).await?.ok_or(Stop::Unknown)?;
            if needs == Needs::Owns && !matches!(seat, Seat::Owner | Seat::Admin) {
                return Err(Stop::Forbidden);
            }
            parts.extensions.insert(OfApp { app, seat });
        }
    }
    Ok(())
}

fn cookie(state: &State, kind: AccountKind) -> String {
    let prefix = if state.is_secure() { "__Host-" } else { "" };
    format!("{prefix}portward-{kind}")
}

/// The token of an account's session cookie. Developers and staff have one each, so that one browser can hold both.
pub(crate) fn token(state: &State, headers: &HeaderMap, kind: AccountKind) -> Option<String> {
    let jar = axum_extra::extract::CookieJar::from_headers(headers);
    jar.get(&cookie(state, kind)).map(|cookie| cookie.value().to_owned()).filter(|token| token.len() <= 100)
}

/// Puts that cookie, or takes it away.
pub(crate) fn set_token(state: &State, mut response: Response, kind: AccountKind, token: Option<&str>) -> Response {
    let secure = if state.is_secure() { "; Secure" } else { "" };
    let age = if token.is_some() { state.platform.settings.accounts.session.0.as_secs() } else { 0 };
    let cookie =
        format!("{}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={age}{secure}", cookie(state, kind), token.unwrap_or_default());
    match HeaderValue::from_str(&cookie) {
        Ok(cookie) => response.headers_mut().append(header::SET_COOKIE, cookie),
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    response
}

/// Who of that kind is signed in, the second factor given or not.
pub(crate) async fn signed_in(
    state: &State,
    headers: &HeaderMap,
    kind: AccountKind,
) -> Result<Option<(Account, Session)>, Fault> {
    match token(state, headers, kind) {
        Some(token) => accounts::of_session(&state.platform, kind, &token).await,
        None => Ok(None),
    }
}
