//! The front page, the landing page of demonstrations, and the assets.

use axum::extract::{Path, Request, State as With};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::view::{self, CallbackPage, HomePage};
use super::{Page, session};
use crate::api::Params;
use crate::http::CallId;
use crate::state::State;

const STYLES: &str = include_str!("../../assets/portward.css");
const PORTAL_STYLES: &str = include_str!("../../assets/portal.css");
const AUTOSAVE: &str = include_str!("../../assets/autosave.js");
const FAVICON: &str = include_str!("../../assets/favicon.svg");

/// `GET /`
pub(super) async fn home(With(state): With<State>, id: CallId, request: Request) -> Response {
    let person = match session::person(&state, request.headers()).await {
        Ok(person) => person,
        Err(fault) => return Page::new(&state, &id).fault(&fault),
    };
    let page = Page::new(&state, &id);
    let page = if let Some(person) = &person { page.of(person) } else { page };
    let categories = state.platform.catalogue.categories().iter().map(|category| {
        let english = |texts: &archive::catalogue::Texts| texts.get("en").unwrap_or_default().to_owned();
        (english(&category.title), english(&category.text))
    });
    let all = state.platform.settings.eligibility.regions.is_empty();
    let default = state.platform.settings.eligibility.regions == platform::regions::EEA_AND_UK;
    let eligible = match (all, default) {
        (true, _) => None,
        (_, true) => Some("the European Economic Area and the United Kingdom".to_owned()),
        _ => Some(state.platform.settings.eligibility.regions.join(", ")),
    };
    let shell = page.shell();
    page.show(StatusCode::OK, &HomePage { shell, categories: categories.collect(), eligible, developer_links: Vec::new() })
}

/// `GET /callback`: where `portward dev` sends people back when no other program waits for them.
pub(super) async fn callback(With(state): With<State>, id: CallId, request: Request) -> Response {
    let page = Page::new(&state, &id);
    if state.banner.is_none() {
        return page.problem(StatusCode::NOT_FOUND);
    }
    let params = Params::parse(request.uri().query().unwrap_or_default().as_bytes()).unwrap_or_default();
    let allowed = params.get("code").ok().flatten().is_some();
    let shell = page.shell();
    page.show(StatusCode::OK, &CallbackPage { shell, allowed, parameters: params.pairs().to_vec(), next_command: None })
}

/// `GET /avatars/{name}`: the pictures of the demonstration's people.
pub(super) async fn avatar(With(state): With<State>, id: CallId, Path(name): Path<String>) -> Response {
    match name.strip_suffix(".svg") {
        Some(name) if state.banner.is_some() => still("image/svg+xml", crate::demo::platform::avatar_svg(name)),
        _ => Page::new(&state, &id).problem(StatusCode::NOT_FOUND),
    }
}

/// `GET /assets/{name}`
pub(super) async fn asset(With(state): With<State>, id: CallId, Path(name): Path<String>) -> Response {
    let (kind, text) = match name.as_str() {
        "portward.css" => ("text/css; charset=utf-8", STYLES.to_owned()),
        "portal.css" => ("text/css; charset=utf-8", PORTAL_STYLES.to_owned()),
        "brand.css" => ("text/css; charset=utf-8", view::brand_css(&state.accent).unwrap_or_default()),
        "autosave.js" => ("text/javascript; charset=utf-8", AUTOSAVE.to_owned()),
        "favicon.svg" => ("image/svg+xml", FAVICON.to_owned()),
        _ => return Page::new(&state, &id).problem(StatusCode::NOT_FOUND),
    };
    still(kind, text)
}

fn still(kind: &'static str, text: String) -> Response {
    let headers = [
        (CONTENT_TYPE.as_str(), kind),
        (CACHE_CONTROL.as_str(), "public, max-age=3600"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),
    ];
    (headers, text).into_response()
}
