//! `GET /.well-known/portward-keys.json`: the keys that verify what archives say of themselves.

use archive::sign::KeySet;
use axum::Json;
use axum::extract::State as With;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL};
use axum::response::{IntoResponse, Response};
use platform::{Fault, signing};

use crate::http::CallId;
use crate::pages::Page;
use crate::state::State;

/// Five minutes: a key made now must soon be known.
const CACHED: &str = "public, max-age=300";

pub(super) async fn keys(With(state): With<State>, id: CallId) -> Response {
    match published(&state).await {
        // Whoever verifies in a browser may read it from any site: there is no secret in it.
        Ok(keys) => ([(CACHE_CONTROL, CACHED), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")], Json(keys)).into_response(),
        Err(fault) => Page::new(&state, &id).fault(&fault),
    }
}

/// The keys of this world, and of the sandbox behind it.
async fn published(state: &State) -> Result<KeySet, Fault> {
    let mut keys = signing::published(&state.platform).await?;
    if let Some(sandbox) = state.world.sandbox() {
        keys.extend(signing::published(&sandbox.platform).await?);
    }
    Ok(KeySet { keys })
}
