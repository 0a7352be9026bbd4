//! Connections: what a person has allowed, and the button that ends it.

use axum::extract::{Request, State as With};
use axum::http::StatusCode;
use axum::response::Response;
use platform::freezes::{self, Living};
use platform::people::Person;
use platform::requests::{self, RequestState};
use platform::{Fault, apps, grants};
use wire::{Scope, ScopeKind};

use super::view::{self, Connection, ConnectionsPage, Consent, GrantedScope, Moment, OpenRequest, Term};
use super::{Page, app_view, consent, form, moment, redirect, session};
use crate::api::Params;
use crate::http::CallId;
use crate::state::State;

/// Requests looked at for each app.
const REQUESTS: i64 = 50;

/// `GET /connections`
pub(super) async fn show(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let person = match session::person(&state, request.headers()).await {
        Ok(Some(person)) => person,
        Ok(None) => return redirect(&session::sign_in_path(&state, &state.path(view::CONNECTIONS))),
        Err(fault) => return page.fault(&fault),
    };
    let params = Params::parse(request.uri().query().unwrap_or_default().as_bytes()).unwrap_or_default();
    let withdrawn = match params.get("withdrawn").ok().flatten().and_then(|text| text.parse().ok()) {
        Some(app_id) => name_of(&state, app_id).await,
        None => Ok(None),
    };
    let page = page.of(&person);
    match (connections(&state, &person).await, withdrawn) {
        (Ok(connections), Ok(withdrawn)) => {
            page.show(StatusCode::OK, &ConnectionsPage { shell: page.shell(), withdrawn, connections })
        }
        (Err(fault), _) | (_, Err(fault)) => page.fault(&fault),
    }
}

async fn name_of(state: &State, app_id: i64) -> Result<Option<String>, Fault> {
    let mut tx = state.platform.db.read().await?;
    Ok(apps::by_id(&mut tx, app_id).await?.map(|app| app.name))
}

/// One entry an app, with every consent that lives.
async fn connections(state: &State, person: &Person) -> Result<Vec<Connection>, Fault> {
    let platform = &state.platform;
    let now = platform.now();
    let living = freezes::living(platform).await?;
    let mut tx = platform.db.read().await?;
    let mut connections: Vec<(i64, Connection)> = Vec::new();
    for grant in grants::live_of_person(&mut tx, person.person_id).await? {
        let scopes = grants::held(&mut tx, grant.grant_id).await?;
        let consent = Consent {
            since: Moment::day(moment(grant.created_at)),
            until: platform.settings.tokens.grant_ends(grant.created_at).map(|end| Moment::day(moment(end))),
            // The basic profile comes with every consent; the page says so once.
            scopes: scopes
                .iter()
                .filter(|held| held.scope.as_str() != wire::BASIC_SCOPE)
                .map(|held| granted(state, &held.scope, held.spent))
                .collect(),
        };
        if let Some((_, connection)) = connections.iter_mut().find(|(app_id, _)| *app_id == grant.app_id) {
            connection.consents.push(consent);
            continue;
        }
        let Some(app) = apps::by_id(&mut tx, grant.app_id).await? else { continue };
        let latest = requests::latest_of_pair(&mut tx, app.app_id, person.person_id, REQUESTS).await?;
        let open = latest.iter().filter(|request| {
            request.status.is_open() || request.status == RequestState::Ready && request.expires_at.is_some_and(|end| end > now)
        });
        let open = open.map(|request| {
            let categories = request.categories()?;
            Ok(OpenRequest {
                asked: Moment::minute(moment(request.applied_at)),
                what: titles(state, &categories),
                held: !app.may_ask() || living.touches(&platform.catalogue, app.app_id, &categories),
                ready_until: request.expires_at.map(|end| Moment::minute(moment(end))),
            })
        });
        let last_downloaded = requests::last_download(&mut tx, app.app_id, person.person_id).await?;
        let connection = Connection {
            app: app_view(&mut tx, &app).await?,
            grant: app.app_id.to_string(),
            consents: vec![consent],
            last_requested: latest.first().map(|request| Moment::minute(moment(request.applied_at))),
            last_downloaded: last_downloaded.map(|at| Moment::minute(moment(at))),
            requests: open.collect::<Result<_, Fault>>()?,
            stopped: stopped(&app, &living),
        };
        connections.push((app.app_id, connection));
    }
    Ok(connections.into_iter().map(|(_, connection)| connection).collect())
}

/// What keeps an app from getting anything now, in the person's words.
fn stopped(app: &apps::App, living: &Living) -> Option<&'static str> {
    if app.status == apps::AppStatus::Suspended || living.app(app.app_id) {
        Some(
            "We have stopped this app for the moment. Until that ends it gets nothing. What you allowed stays, unless you withdraw it.",
        )
    } else if living.everything() {
        Some(
            "All access to data is stopped for the moment. Until that ends no app gets anything. What you allowed stays, unless you withdraw it.",
        )
    } else {
        None
    }
}

fn granted(state: &State, scope: &Scope, used: bool) -> GrantedScope {
    let (title, holds, _) = consent::words(state, scope);
    let text = holds.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ");
    let term = match scope.kind() {
        ScopeKind::Single => Term::Once,
        ScopeKind::Ongoing => Term::Ongoing,
        ScopeKind::Plain => Term::Connected,
    };
    GrantedScope { title, text, term, used }
}

fn titles(state: &State, categories: &[String]) -> String {
    let title = |name: &String| {
        let category = state.platform.catalogue.category(name);
        category.and_then(|category| category.title.get("en").map(ToOwned::to_owned)).unwrap_or_else(|| name.clone())
    };
    categories.iter().map(title).collect::<Vec<_>>().join(", ")
}

/// `POST /connections/withdraw`
pub(super) async fn withdraw(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    let (parts, body) = request.into_parts();
    let params = match form(&parts, body).await {
        Ok(params) => params,
        Err(status) => return page.problem(status),
    };
    let person = match session::person(&state, &parts.headers).await {
        Ok(Some(person)) => person,
        Ok(None) => return redirect(&session::sign_in_path(&state, &state.path(view::CONNECTIONS))),
        Err(fault) => return page.fault(&fault),
    };
    let Some(app_id) = params.get("grant").ok().flatten().and_then(|text| text.parse().ok()) else {
        return page.problem(StatusCode::BAD_REQUEST);
    };
    match grants::withdraw(&state.platform, app_id, person.person_id).await {
        // Pressed twice, or ended meanwhile: it is withdrawn either way.
        Ok(ended) => {
            let told = if ended { format!("?withdrawn={app_id}") } else { String::new() };
            redirect(&format!("{}{told}", state.path(view::CONNECTIONS)))
        }
        Err(fault) => page.fault(&fault),
    }
}
