//! The pages that people see: sign-in, consent, connections, and what is said when something is wrong.

pub(crate) mod access;
pub(crate) mod cases;
pub(crate) mod connections;
pub(crate) mod consent;
mod console;
pub(crate) mod entrance;
pub(crate) mod frame;
mod home;
pub(crate) mod icons;
pub(crate) mod parts;
pub(crate) mod portal;
pub(crate) mod provider;
pub(crate) mod session;
mod sessions;
mod sign_in;
mod ticket;
pub(crate) mod upload;
pub(crate) mod view;

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use platform::apps::OwnerKind;
use platform::people::Person;
use platform::{Fault, organisations};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use crate::api::Params;
use crate::api::authorize::Faulty;
use crate::http::{self, CallId};
use crate::state::State;

/// Everything that can be done in the portal and the console.
pub(crate) fn acts() -> Vec<access::Act> {
    portal::acts().into_iter().chain(console::acts()).chain(provider::acts()).collect()
}

/// The routes of the pages. Forms are taken from our own pages only.
pub(crate) fn routes(state: &State) -> Router<State> {
    Router::new().merge(access::router(acts(), state)).layer(csrf()).merge(of_people()).route("/assets/{name}", get(home::asset))
}

/// The routes of the pages that people see, which each world has.
pub(crate) fn of_people() -> Router<State> {
    Router::new()
        .route("/", get(home::home))
        .route("/callback", get(home::callback))
        .route(view::SIGN_IN, get(sign_in::show).post(sign_in::sign_in))
        .route(provider::START, get(provider::start))
        .route(provider::CALLBACK, get(provider::come_back))
        .route(view::SIGN_OUT, post(sign_in::sign_out))
        .route(view::CONSENT, post(consent::decide))
        .route(view::CONNECTIONS, get(connections::show))
        .route(view::WITHDRAW, post(connections::withdraw))
        .route(view::SESSIONS, get(sessions::show))
        .route(view::SESSIONS_END, post(sessions::end))
        .layer(csrf())
        .route("/avatars/{name}", get(home::avatar))
        .route("/icons/{app}", get(icons::public))
}

fn csrf() -> CsrfLayer<fn(ProtectionError) -> Response> {
    CsrfLayer::new().with_rejection_response(|_| StatusCode::FORBIDDEN.into_response())
}

/// What every page needs.
pub(crate) struct Page<'a> {
    state: &'a State,
    id: &'a CallId,
    person: Option<&'a Person>,
    form_origin: Option<String>,
    scripted: bool,
}

impl<'a> Page<'a> {
    pub(crate) fn new(state: &'a State, id: &'a CallId) -> Self {
        Self { state, id, person: None, form_origin: None, scripted: false }
    }

    /// For somebody who is signed in.
    pub(crate) fn of(self, person: &'a Person) -> Self {
        Self { person: Some(person), ..self }
    }

    /// Whose form may lead to another origin in the end.
    pub(crate) fn leading_to(self, origin: String) -> Self {
        Self { form_origin: Some(origin), ..self }
    }

    /// One that saves itself while it is written: it may run our own script, and call us.
    pub(crate) fn scripted(self) -> Self {
        Self { scripted: true, ..self }
    }

    pub(crate) fn shell(&self) -> view::Shell {
        view::Shell {
            brand: Arc::clone(&self.state.brand),
            banner: self.state.banner.clone(),
            signed_in: self.person.map(|person| person.display_name.clone()),
            root: self.state.world.root(),
        }
    }

    pub(crate) fn log_id(&self) -> String {
        self.id.to_string()
    }

    /// A page with its headers (`client-rules.md` 35).
    pub(crate) fn show(&self, status: StatusCode, page: &impl Template) -> Response {
        self.answer(status, page.render())
    }

    /// Apart from [`Page::show`], so that it is compiled once and not for each page.
    fn answer(&self, status: StatusCode, body: askama::Result<String>) -> Response {
        let body = match body {
            Ok(body) => body,
            Err(fault) => {
                tracing::error!(%fault, "a page cannot be rendered");
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            }
        };
        let mut policy = "default-src 'none'; style-src 'self'; img-src 'self' https: data:; form-action 'self'".to_owned();
        if let Some(origin) = self.form_origin.as_deref().filter(|origin| origin.starts_with("http")) {
            policy.push(' ');
            policy.push_str(origin);
        }
        if self.scripted {
            policy.push_str("; script-src 'self'; connect-src 'self'");
        }
        policy.push_str("; base-uri 'none'; frame-ancestors 'none'");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert(CONTENT_SECURITY_POLICY, policy);
        }
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert("x-frame-options", HeaderValue::from_static("DENY"));
        if self.state.is_secure() {
            headers.insert("strict-transport-security", HeaderValue::from_static("max-age=31536000"));
        }
        response
    }

    pub(crate) fn problem(&self, status: StatusCode) -> Response {
        let problem = view::Problem::of_status(status.as_u16());
        self.show(status, &view::ProblemPage { shell: self.shell(), problem, log_id: self.log_id() })
    }

    /// Everything is frozen: the page says so, and the browser when to come again.
    pub(crate) fn stopped(&self) -> Response {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let problem = view::Problem::Frozen;
        let mut response = self.show(status, &view::ProblemPage { shell: self.shell(), problem, log_id: self.log_id() });
        let seconds = HeaderValue::from(self.state.platform.settings.freezes.seconds());
        response.headers_mut().insert(axum::http::header::RETRY_AFTER, seconds);
        response
    }

    pub(crate) fn fault(&self, fault: &Fault) -> Response {
        tracing::error!(%fault, "page failed");
        self.problem(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) fn oauth_error(&self, faulty: &Faulty) -> Response {
        let faults = faulty.faults.iter().map(|fault| view::ParameterFault {
            parameter: fault.parameter.to_owned(),
            problem: fault.problem.clone(),
            cure: fault.cure.to_owned(),
        });
        let page = view::OAuthErrorPage {
            shell: self.shell(),
            app_name: faulty.app_name.clone(),
            error: faulty.error.as_str().to_owned(),
            faults: faults.collect(),
            log_id: self.log_id(),
        };
        self.show(StatusCode::BAD_REQUEST, &page)
    }
}

/// The longest form: a sign-in that goes on to the longest of queries.
const FORM_LIMIT: usize = 256 * 1024;

/// Reads a form that was posted; what cannot be read is answered by a page of that status.
pub(crate) async fn form(parts: &Parts, body: Body) -> Result<Params, StatusCode> {
    if http::media_type(&parts.headers).as_deref() != Some("application/x-www-form-urlencoded") {
        return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let body = http::read_body(&parts.headers, body, FORM_LIMIT).await.map_err(http::BadBody::status)?;
    Params::parse(&body).map_err(|_| StatusCode::BAD_REQUEST)
}

/// Sends a browser elsewhere by GET.
pub(crate) fn redirect(to: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    match HeaderValue::from_str(to) {
        Ok(to) => headers.insert(LOCATION, to),
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// How an app is shown to people, with the organisation that it belongs to. A developer's own name is not for people who look at an app.
pub(crate) async fn app_view(tx: &mut platform::db::Tx, app: &platform::apps::App) -> Result<view::App, Fault> {
    let organisation = match app.owner_kind {
        OwnerKind::Organisation => organisations::by_id(tx, app.owner_id).await?.map(|organisation| organisation.name),
        OwnerKind::Account | OwnerKind::Operator => None,
    };
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Ok(view::App {
        name: app.name.clone(),
        icon_url: some(&icons::address(app)),
        description: app.description.clone(),
        organisation,
        terms_url: some(&app.terms_url),
        privacy_url: some(&app.privacy_url),
    })
}

/// A time as pages tell it.
pub(crate) fn moment(at: platform::Millis) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.0).unwrap_or_default()
}
