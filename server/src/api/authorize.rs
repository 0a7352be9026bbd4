//! Authorize (contract 3.1): what an app asks for, checked; then sign-in, consent, and the way back.
//!
//! Faults of the app's request are told on our own page, with `error` and `error_type` in its address; nobody is ever sent to an address that
//! is not registered. What the person decides is told to the app at its redirect URI.

use std::time::Duration;

use axum::extract::{Request, State as With};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use platform::apps::{self, App, RedirectUri};
use platform::people::Person;
use platform::{Fault, freezes, grants};
use wire::{OAuthErrorCode, ScopeSet};

use super::params::BadParams;
use super::{Params, is};
use crate::http::CallId;
use crate::pages::{self, Page, consent, session, view};
use crate::state::State;

/// The longest query that is repeated in an address.
const LONG: usize = 6000;

/// A request that can be put before the person.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) app: App,
    pub(crate) redirect_uri: String,
    /// All that is asked for, in its order; the basic scope first unless it was named.
    pub(crate) scopes: ScopeSet,
    pub(crate) state: Option<String>,
    pub(crate) challenge: Option<String>,
    /// Whether the page may be skipped when everything was allowed before.
    pub(crate) may_skip: bool,
}

/// What is wrong with a request: the code, and each faulty parameter.
#[derive(Debug)]
pub(crate) struct Faulty {
    pub(crate) error: OAuthErrorCode,
    pub(crate) faults: Vec<ParameterFault>,
    pub(crate) app_name: Option<String>,
}

/// One faulty parameter.
#[derive(Clone, Debug)]
pub(crate) struct ParameterFault {
    pub(crate) parameter: &'static str,
    pub(crate) problem: String,
    pub(crate) cure: &'static str,
}

/// A request that cannot be put before the person, or a fault of ours.
#[derive(Debug)]
pub(crate) enum Refused {
    Faulty(Faulty),
    /// The operator has stopped everything for the moment.
    Stopped,
    Fault(Fault),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<sqlx::Error> for Refused {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// `GET /v2/auth/authorize/`
pub(crate) async fn authorize(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    if !is(&request, &Method::GET) && !is(&request, &Method::HEAD) {
        let mut response = page.problem(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let query = request.uri().query().unwrap_or_default().to_owned();
    let signed_in = match session::signed_in(&state, request.headers()).await {
        Ok(signed_in) => signed_in,
        Err(fault) => return page.fault(&fault),
    };
    let asked = match Asked::read(&state, &query).await {
        Ok(asked) => asked,
        Err(Refused::Fault(fault)) => return page.fault(&fault),
        Err(Refused::Stopped) => return page.stopped(),
        Err(Refused::Faulty(faulty)) => return tell(&page, &query, &faulty),
    };
    let here = format!("/v2/auth/authorize/?{query}");
    let sensitive = consent::is_sensitive(&state, &asked.scopes);
    match signed_in {
        // A provider that knows them since yesterday is asked to have them prove it at once, not in a second round.
        None if sensitive => pages::redirect(&session::fresh_sign_in_path(&state, &here)),
        None => pages::redirect(&session::sign_in_path(&state, &here)),
        Some((person, own))
            if sensitive
                && !is_out_of_region(&state, &person, &asked.scopes)
                && !session::is_fresh(&state, &own, Duration::ZERO) =>
        {
            pages::redirect(&session::fresh_sign_in_path(&state, &here))
        }
        Some((person, _)) => proceed(&state, &page, &person, &asked, &query).await,
    }
}

/// The person is known: consent is asked for, unless it cannot or need not be.
async fn proceed(state: &State, page: &Page<'_>, person: &Person, asked: &Asked, query: &str) -> Response {
    let platform = &state.platform;
    if is_out_of_region(state, person, &asked.scopes) {
        tracing::info!(app_id = asked.app.app_id, person_id = person.person_id, "consent refused: region");
        return pages::redirect(&asked.denied(OUT_OF_REGION));
    }
    let portability = asked.scopes.iter().any(wire::Scope::is_portability);
    if asked.may_skip && !portability {
        match grants::covered(platform, asked.app.app_id, person.person_id, &asked.scopes).await {
            Ok(true) => return allow(state, page, person, asked, &asked.scopes).await,
            Ok(false) => {}
            Err(fault) => return page.fault(&fault),
        }
    }
    consent::show(state, page, person, asked, query).await
}

/// What the app is told of a person whose region is not served (`client-rules.md` 34).
pub(crate) const OUT_OF_REGION: &str = "data portability is not available to this user in their region";

/// Whether a person may not give consent to these scopes because of their region.
pub(crate) fn is_out_of_region(state: &State, person: &Person, scopes: &ScopeSet) -> bool {
    let eligibility = &state.platform.settings.eligibility;
    eligibility.at_consent && scopes.iter().any(wire::Scope::is_portability) && !eligibility.holds(&person.region)
}

/// Consent is given for these scopes: the person goes back with a code.
pub(crate) async fn allow(state: &State, page: &Page<'_>, person: &Person, asked: &Asked, scopes: &ScopeSet) -> Response {
    let challenge = asked.challenge.as_deref();
    match grants::allow(&state.platform, &asked.app, person.person_id, scopes, &asked.redirect_uri, challenge).await {
        Ok(code) => pages::redirect(&asked.back(&[("code", &code), ("scopes", &scopes.to_string())])),
        Err(fault) => page.fault(&fault),
    }
}

/// The page that tells what is wrong, under an address that says so too.
fn tell(page: &Page<'_>, query: &str, faulty: &Faulty) -> Response {
    let kind = faulty.faults.first().map_or("request", |fault| fault.parameter);
    tracing::info!(error = faulty.error.as_str(), error_type = kind, "authorize refused");
    let told = format!("error={}&error_type={kind}", faulty.error.as_str());
    if query.ends_with(&told) || query.len() > LONG {
        return page.oauth_error(faulty);
    }
    let joint = if query.is_empty() { "" } else { "&" };
    pages::redirect(&format!("/v2/auth/authorize/?{query}{joint}{told}"))
}

impl Asked {
    /// Reads and checks a query.
    pub(crate) async fn read(state: &State, query: &str) -> Result<Self, Refused> {
        let mut faults = Faults::default();
        let params = Params::parse(query.as_bytes()).unwrap_or_else(|bad| {
            faults.bad(bad);
            Params::default()
        });
        if !faults.0.is_empty() {
            return Err(faults.faulty(None));
        }
        let platform = &state.platform;
        let living = freezes::living(platform).await?;
        if living.everything() {
            return Err(Refused::Stopped);
        }
        let client_key = faults.take(params.get_either("client_key", "client_id"));
        let redirect_uri = faults.take(params.get("redirect_uri"));
        let scope = faults.take(params.get("scope"));
        let response_type = faults.take(params.get("response_type"));
        let sent_state = faults.take(params.get_even_empty("state"));
        let challenge = faults.take(params.get("code_challenge"));
        let method = faults.take(params.get("code_challenge_method"));
        let auto = faults.take(params.get("disable_auto_auth"));
        if !faults.0.is_empty() {
            return Err(faults.faulty(None));
        }

        let mut tx = platform.db.read().await?;
        let app = match client_key {
            None => {
                faults.add(OAuthErrorCode::InvalidRequest, "client_key", "It is missing.", "Send the client key of your app.");
                None
            }
            Some(key) => {
                let app = apps::by_client_key(&mut tx, key).await?;
                match &app {
                    None => {
                        let cure = "Copy it from your app's page; it is not the App ID.";
                        faults.add(OAuthErrorCode::InvalidClient, "client_key", "There is no app with this key.", cure);
                    }
                    Some(app) if !app.may_ask() => {
                        let problem = format!("The app is not live: its status is {}.", app.status.as_str().replace('_', " "));
                        faults.add(
                            OAuthErrorCode::UnauthorizedClient,
                            "client_key",
                            problem,
                            "See what is missing on your app's page.",
                        );
                    }
                    Some(app) if living.app(app.app_id) => {
                        let problem = "The operator has frozen the app for the moment.";
                        let cure = "See your app's page: it says why, and who looks at it.";
                        faults.add(OAuthErrorCode::UnauthorizedClient, "client_key", problem, cure);
                    }
                    Some(_) => {}
                }
                app
            }
        };
        let Some(app) = app else { return Err(faults.faulty(None)) };
        let registered = apps::redirects(&mut tx, app.app_id).await?;
        let enabled = apps::scopes(&mut tx, app.app_id).await?;
        drop(tx);

        match redirect_uri {
            None => faults.add(OAuthErrorCode::InvalidRequest, "redirect_uri", "It is missing.", REGISTER),
            Some(uri) if !registered.iter().any(|known| known.matches(uri)) => {
                faults.add(OAuthErrorCode::InvalidRequest, "redirect_uri", "It is not registered for this app.", REGISTER);
            }
            Some(_) => {}
        }
        let scopes = faults.scopes(scope, &enabled);
        match response_type {
            Some("code") => {}
            None => faults.add(OAuthErrorCode::InvalidRequest, "response_type", "It is missing.", "Send response_type=code."),
            Some(_) => {
                faults.add(
                    OAuthErrorCode::UnsupportedResponseType,
                    "response_type",
                    "It is not supported.",
                    "Send response_type=code.",
                );
            }
        }
        if let Some(method) = method.filter(|method| *method != "S256" && challenge.is_some()) {
            let problem = format!("{} is not supported.", if method == "plain" { "plain" } else { "This method" });
            faults.add(OAuthErrorCode::InvalidRequest, "code_challenge_method", problem, "Send code_challenge_method=S256.");
        }
        if challenge.is_none() && app.require_pkce {
            let cure = "Send the SHA-256 of your code verifier, in base64url or hexadecimal.";
            faults.add(OAuthErrorCode::InvalidRequest, "code_challenge", "It is missing, and this app requires it.", cure);
        }
        if challenge.is_some_and(|challenge| challenge.len() > 128 || challenge.chars().any(char::is_control)) {
            faults.add(
                OAuthErrorCode::InvalidRequest,
                "code_challenge",
                "It is no SHA-256.",
                "Send 43 characters of base64url, or 64 of hexadecimal.",
            );
        }
        match (faults.0.is_empty(), redirect_uri) {
            (true, Some(uri)) => Ok(Self {
                redirect_uri: uri.to_owned(),
                scopes,
                state: sent_state.map(ToOwned::to_owned),
                challenge: challenge.map(ToOwned::to_owned),
                may_skip: auto == Some("0"),
                app,
            }),
            _ => Err(faults.faulty(Some(app.name))),
        }
    }

    /// The redirect URI with an answer; `state` comes last, as it was sent (`client-rules.md` 20).
    pub(crate) fn back(&self, answer: &[(&str, &str)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(answer);
        if let Some(state) = &self.state {
            query.append_pair("state", state);
        }
        format!("{}?{}", self.redirect_uri, query.finish())
    }

    /// The way back when nothing is given.
    pub(crate) fn denied(&self, description: &str) -> String {
        self.back(&[("error", "access_denied"), ("error_description", description)])
    }

    /// Scheme, host and port of the redirect URI: what the page may send its form to (`client-rules.md` 35).
    pub(crate) fn origin(&self) -> String {
        url::Url::parse(&self.redirect_uri).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
    }
}

/// The origin to which a sign-in that goes on to this query may be redirected in the end: that of a registered URI only.
pub(crate) async fn origin_of(state: &State, query: &str) -> Option<(String, view::App)> {
    let params = Params::parse(query.as_bytes()).ok()?;
    let key = params.get_either("client_key", "client_id").ok()??.to_owned();
    let uri = params.get("redirect_uri").ok()??.to_owned();
    let mut tx = state.platform.db.read().await.ok()?;
    let app = apps::by_client_key(&mut tx, &key).await.ok()??;
    let registered: Vec<RedirectUri> = apps::redirects(&mut tx, app.app_id).await.ok()?;
    registered.iter().any(|known| known.matches(&uri)).then_some(())?;
    Some((url::Url::parse(&uri).ok()?.origin().ascii_serialization(), pages::app_view(&mut tx, &app).await.ok()?))
}

const REGISTER: &str = "Send one of your app's redirect URIs, the same to the letter.";

#[derive(Default)]
struct Faults(Vec<(OAuthErrorCode, ParameterFault)>);

impl Faults {
    fn add(&mut self, error: OAuthErrorCode, parameter: &'static str, problem: impl Into<String>, cure: &'static str) {
        self.0.push((error, ParameterFault { parameter, problem: problem.into(), cure }));
    }

    fn bad(&mut self, bad: BadParams) {
        let parameter = match &bad {
            BadParams::Repeated(name) => name,
            // Only names that we know are said back.
            BadParams::NotText(name) => KNOWN.iter().find(|known| *known == name).unwrap_or(&"request"),
        };
        self.add(OAuthErrorCode::InvalidRequest, parameter, format!("{bad}."), "Send it once, as UTF-8.");
    }

    fn take<'a>(&mut self, got: Result<Option<&'a str>, BadParams>) -> Option<&'a str> {
        got.unwrap_or_else(|bad| {
            self.bad(bad);
            None
        })
    }

    fn scopes(&mut self, text: Option<&str>, enabled: &ScopeSet) -> ScopeSet {
        let mut scopes = ScopeSet::default();
        let asked = match text.map(ScopeSet::parse) {
            None => {
                self.add(
                    OAuthErrorCode::InvalidScope,
                    "scope",
                    "It is missing.",
                    "Name at least one scope, such as user.info.basic.",
                );
                return scopes;
            }
            Some(Err(bad)) => {
                self.add(OAuthErrorCode::InvalidScope, "scope", format!("{bad}."), "Separate scopes by commas.");
                return scopes;
            }
            Some(Ok(asked)) => asked,
        };
        let off: Vec<&str> = asked
            .iter()
            .map(wire::Scope::as_str)
            .filter(|scope| *scope != wire::BASIC_SCOPE && !enabled.contains(scope))
            .collect();
        if asked.is_empty() {
            self.add(OAuthErrorCode::InvalidScope, "scope", "It is empty.", "Name at least one scope, such as user.info.basic.");
        } else if !off.is_empty() {
            let mut names = off.iter().take(5).copied().collect::<Vec<_>>().join(", ");
            if off.len() > 5 {
                names.push_str(", and others");
            }
            let cure = "Ask for scopes only that are switched on for your app.";
            self.add(OAuthErrorCode::InvalidScope, "scope", format!("Not switched on for this app: {names}."), cure);
        }
        // What was asked for is said back in its own order: clients compare. The basic scope comes with any sign-in.
        if !asked.contains(wire::BASIC_SCOPE)
            && let Ok(basic) = wire::Scope::parse(wire::BASIC_SCOPE)
        {
            scopes.insert(basic);
        }
        asked.iter().cloned().for_each(|scope| scopes.insert(scope));
        scopes
    }

    fn faulty(self, app_name: Option<String>) -> Refused {
        let error = self.0.first().map_or(OAuthErrorCode::InvalidRequest, |(error, _)| *error);
        Refused::Faulty(Faulty { error, faults: self.0.into_iter().map(|(_, fault)| fault).collect(), app_name })
    }
}

const KNOWN: [&str; 9] = [
    "client_key",
    "client_id",
    "redirect_uri",
    "scope",
    "response_type",
    "state",
    "code_challenge",
    "code_challenge_method",
    "disable_auto_auth",
];
