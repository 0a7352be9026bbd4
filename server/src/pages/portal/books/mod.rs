//! The open books: what can be exported and how it has changed, how applications are reviewed and how long that takes. Anyone may read them.

mod catalogue;
mod checks;
mod reference;
mod review;
mod sample;

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, State as With};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use platform::applications::statistics::{self, Statistics};
use platform::editions::{self, Edition, Sizes};
use platform::{Fault, Millis};
use tokio::sync::Mutex;

use crate::http::CallId;
use crate::pages::Page;
use crate::pages::access::{Act, Developer, Needs, see};
use crate::pages::frame::Frame;
use crate::state::State;

/// Where the catalogue stands.
const CATALOGUE: &str = "/developers/catalogue";
/// Where its editions can be followed.
const FEED: &str = "/developers/catalogue/feed.atom";
/// Since when decisions are counted.
const COUNTED: Duration = Duration::from_secs(90 * 86_400);
/// For how long what was counted is told again: anyone may ask.
const FRESH: Duration = Duration::from_secs(300);

pub(super) fn acts() -> Vec<Act> {
    vec![
        see(CATALOGUE, Needs::Anyone, "Read the catalogue", catalogue),
        see(FEED, Needs::Anyone, "Follow the catalogue's editions", feed),
        see("/developers/catalogue/sample/{file}", Needs::Anyone, "Download a sample archive", sample),
        see("/developers/review", Needs::Anyone, "Read how applications are reviewed", review),
        see("/docs", Needs::Anyone, "Read the API's reference", reference::show),
    ]
}

/// What the books keep for the next reader.
#[derive(Debug, Default)]
pub(crate) struct Books {
    live: Mutex<Option<(Millis, Arc<Live>)>>,
    /// One sample is made at a time.
    sample: Mutex<()>,
}

/// What is counted in the store.
#[derive(Debug)]
struct Live {
    statistics: Statistics,
    sizes: Vec<Sizes>,
    editions: Vec<Edition>,
}

async fn live(state: &State) -> Result<Arc<Live>, Fault> {
    let platform = &state.platform;
    let now = platform.now();
    let mut kept = state.books.live.lock().await;
    if let Some((at, live)) = &*kept
        && now.since(*at) < FRESH
    {
        return Ok(Arc::clone(live));
    }
    let statistics = statistics::read(&mut platform.db.read().await?, now - COUNTED).await?;
    let (sizes, editions) = (editions::sizes(platform).await?, editions::list(platform).await?);
    let live = Arc::new(Live { statistics, sizes, editions });
    *kept = Some((now, Arc::clone(&live)));
    Ok(live)
}

async fn catalogue(With(state): With<State>, id: CallId, developer: Option<Extension<Developer>>) -> Response {
    let page = Page::new(&state, &id);
    let shell = Frame::public(&state, developer.as_deref()).at("catalogue");
    let read = async {
        let live = live(&state).await?;
        // Its size is told. A sample that cannot be made is no reason to show nothing.
        let sample = match sample::current(&state).await {
            Ok(sample) => Some(sample),
            Err(cause) => {
                tracing::error!(%cause, "the sample archive cannot be made");
                None
            }
        };
        Ok::<_, Fault>(catalogue::page(&state, shell, &live, sample.as_deref()))
    };
    match read.await {
        Ok(shown) => page.show(StatusCode::OK, &shown),
        Err(fault) => page.fault(&fault),
    }
}

async fn feed(With(state): With<State>, id: CallId) -> Response {
    let page = Page::new(&state, &id);
    match live(&state).await {
        Ok(live) => match askama::Template::render(&catalogue::feed(&state, &live)) {
            Ok(text) => still("application/atom+xml; charset=utf-8", None, text),
            Err(fault) => {
                tracing::error!(%fault, "the feed cannot be rendered");
                page.problem(StatusCode::INTERNAL_SERVER_ERROR)
            }
        },
        Err(fault) => page.fault(&fault),
    }
}

async fn sample(With(state): With<State>, id: CallId, Path(file): Path<String>) -> Response {
    let page = Page::new(&state, &id);
    let Some(edition) = file.strip_suffix(".zip") else { return page.problem(StatusCode::NOT_FOUND) };
    let found = if edition == state.platform.catalogue.edition {
        sample::current(&state).await.map(Some)
    } else {
        editions::sample(&state.platform, edition).await.map_err(Into::into)
    };
    match found {
        Ok(Some(bytes)) => {
            let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '_' };
            let name: String = edition.chars().take(60).map(plain).collect();
            still("application/zip", Some(format!("attachment; filename=\"sample-{name}.zip\"")), bytes)
        }
        Ok(None) => page.problem(StatusCode::NOT_FOUND),
        Err(cause) => {
            tracing::error!(%cause, "the sample archive cannot be given");
            page.problem(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

async fn review(With(state): With<State>, id: CallId, developer: Option<Extension<Developer>>) -> Response {
    let page = Page::new(&state, &id);
    let shell = Frame::public(&state, developer.as_deref()).at("review");
    match live(&state).await {
        Ok(live) => page.show(StatusCode::OK, &review::page(&state, shell, &live.statistics)),
        Err(fault) => page.fault(&fault),
    }
}

/// What changes seldom, and may be kept for an hour.
fn still(kind: &'static str, disposition: Option<String>, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox; default-src 'none'"));
    if let Some(value) = disposition.and_then(|text| HeaderValue::from_str(&text).ok()) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    response
}

/// The path of an edition's sample.
fn sample_path(edition: &str) -> String {
    const UNDER: &str = "/developers/catalogue/sample/";
    let Ok(mut url) = url::Url::parse("http://localhost") else { return UNDER.to_owned() };
    if let Ok(mut pieces) = url.path_segments_mut() {
        pieces.extend(["developers", "catalogue", "sample"]).push(&format!("{edition}.zip"));
    }
    url.path().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_of_an_edition_makes_a_path() {
        assert_eq!(sample_path("2026-08-28"), "/developers/catalogue/sample/2026-08-28.zip");
        assert_eq!(sample_path("a b/c?d"), "/developers/catalogue/sample/a%20b%2Fc%3Fd.zip");
    }
}
