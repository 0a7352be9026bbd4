//! Pictures of apps, from here and nowhere else: an icon that is fetched from an app's own server would tell it who looks.

use axum::body::Body;
use axum::extract::{Path, State as With};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use platform::Fault;
use platform::apps::{self, App, AppStatus};
use platform::uploads::{self, Purpose, Upload};

use super::Page;
use super::access::{Act, Needs, OfApp, REVIEWERS, see};
use crate::http::CallId;
use crate::state::State;

/// The acts of the portal: the picture of a draft, which only those who work on it see.
pub(super) fn portal_acts() -> Vec<Act> {
    vec![see("/developers/apps/{app}/icon/{upload}", Needs::Works, "See the icon of a draft", of_draft)]
}

/// The acts of the console: the picture that is under review.
pub(super) fn console_acts() -> Vec<Act> {
    vec![see("/console/icons/{upload}", REVIEWERS, "See the icon under review", under_review)]
}

/// Where people find the picture of an app; the address that the operator gave, or none.
pub(crate) fn address(app: &App) -> String {
    match app.icon_upload {
        // A new picture has a new address, so that the old one can be kept by browsers.
        Some(upload) => format!("/icons/{}?v={upload}", app.app_id),
        None => app.icon_url.clone(),
    }
}

/// Where those who work on an app find its picture, live or not.
pub(crate) fn own(app: &App) -> String {
    app.icon_upload.map_or_else(|| app.icon_url.clone(), |upload| draft(app, upload))
}

/// Where the picture of a draft is.
pub(super) fn draft(app: &App, upload: i64) -> String {
    format!("/developers/apps/{}/icon/{upload}", app.app_id)
}

/// Where a picture under review is.
pub(super) fn reviewed(upload: i64) -> String {
    format!("/console/icons/{upload}")
}

/// `GET /icons/{app}`: public, as the names of live apps are. What nobody has reviewed is not shown to the world from here.
pub(super) async fn public(With(state): With<State>, id: CallId, Path(app): Path<String>) -> Response {
    let page = Page::new(&state, &id);
    let found = async {
        let Ok(app_id) = app.parse() else { return Ok(None) };
        let mut tx = state.platform.db.read().await?;
        let seen = |app: &App| !matches!(app.status, AppStatus::Draft | AppStatus::InReview | AppStatus::NotApproved);
        let app = apps::by_id(&mut tx, app_id).await?.filter(|app| app.deleted_at.is_none() && seen(app));
        let Some(upload_id) = app.and_then(|app| app.icon_upload) else { return Ok(None) };
        let upload = uploads::by_id(&mut tx, upload_id).await?;
        Ok(upload.filter(|upload| upload.purpose == Purpose::Icon && upload.app_id == Some(app_id)))
    };
    match found.await {
        Ok(Some(upload)) => shown(&state, &page, &upload, "public, max-age=86400").await,
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(fault) => page.fault(&fault),
    }
}

async fn of_draft(With(state): With<State>, id: CallId, of: OfApp, Path((_, upload)): Path<(String, String)>) -> Response {
    one(&state, &Page::new(&state, &id), &upload, |found| found.app_id == Some(of.app.app_id)).await
}

async fn under_review(With(state): With<State>, id: CallId, Path(upload): Path<String>) -> Response {
    one(&state, &Page::new(&state, &id), &upload, |_| true).await
}

async fn one(state: &State, page: &Page<'_>, upload: &str, theirs: impl Fn(&Upload) -> bool) -> Response {
    let found = async {
        let Ok(upload_id) = upload.parse() else { return Ok(None) };
        let mut tx = state.platform.db.read().await?;
        uploads::by_id(&mut tx, upload_id).await
    };
    let found: Result<Option<Upload>, Fault> = found.await;
    match found {
        Ok(Some(upload)) if upload.purpose == Purpose::Icon && theirs(&upload) => {
            shown(state, page, &upload, "private, max-age=3600").await
        }
        Ok(_) => page.problem(StatusCode::NOT_FOUND),
        Err(fault) => page.fault(&fault),
    }
}

/// A picture, of the type that its bytes have; nothing in it can run.
async fn shown(state: &State, page: &Page<'_>, upload: &Upload, cache: &'static str) -> Response {
    let bytes = match uploads::open(&state.platform, upload).await {
        Ok(bytes) => bytes,
        Err(fault) => return page.fault(&fault),
    };
    let mut response = Response::new(Body::from_stream(bytes));
    let headers = response.headers_mut();
    let kind = match upload.media_type.as_str() {
        "image/png" => "image/png",
        "image/jpeg" => "image/jpeg",
        _ => return page.problem(StatusCode::NOT_FOUND),
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CONTENT_LENGTH, upload.size.into());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", upload.sha256)) {
        headers.insert(header::ETAG, tag);
    }
    response
}
