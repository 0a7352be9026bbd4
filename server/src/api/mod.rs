//! The wire: OAuth, user info and the data calls, in TikTok's two dialects of error; and the own API beside it.

pub(crate) mod authorize;
mod data;
mod download;
mod envelope;
mod keys;
mod media;
mod oauth;
mod params;
mod record;
mod user;
mod v1;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{MethodRouter, any, get};

use crate::http::CallId;
use crate::state::State;

pub(crate) use oauth::{FORM_LIMIT, basic_user};
pub(crate) use params::Params;
pub(crate) use v1::{DOCUMENT, Kind, PROBLEMS};

/// The routes of the wire. Each answers with and without its last slash; nothing is ever redirected there (`client-rules.md` 9).
pub(crate) fn routes() -> Router<State> {
    let mut router = Router::new();
    for (path, route) in wire_paths() {
        router = router.route(path, route.clone()).route(&format!("{path}/"), route);
    }
    for (path, route) in v1::paths() {
        router = router.route(path, route);
    }
    router.route("/media/{request}/{token}", get(media::serve)).route(platform::signing::PUBLISHED_AT, get(keys::keys))
}

fn wire_paths() -> [(&'static str, MethodRouter<State>); 8] {
    [
        ("/v2/auth/authorize", any(authorize::authorize)),
        ("/v2/oauth/token", any(oauth::token)),
        ("/v2/oauth/revoke", any(oauth::revoke)),
        ("/v2/user/info", any(user::info)),
        ("/v2/user/data/add", any(data::add)),
        ("/v2/user/data/check", any(data::check)),
        ("/v2/user/data/cancel", any(data::cancel)),
        ("/v2/user/data/download", any(download::download)),
    ]
}

/// The answer to a path of the wire that means nothing, in the dialect of its neighbours; `None` for paths that are pages.
pub(crate) fn not_found(path: &str, id: &CallId) -> Option<Response> {
    let below = |root: &str| path == root || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'));
    if below("/v2/oauth") {
        Some(oauth::not_found(id))
    } else if below("/v2") && !below("/v2/auth") {
        Some(envelope::not_found(id))
    } else if below("/v1") {
        Some(v1::not_found(id))
    } else {
        None
    }
}

/// Whether a request is of the method that its path wants.
fn is(request: &Request, method: &Method) -> bool {
    request.method() == method
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn what_is_served_is_described_and_the_other_way_round() {
        let wire = wire_paths().into_iter().map(|(path, _)| format!("{path}/"));
        let served: BTreeSet<String> = wire.chain(v1::paths().into_iter().map(|(path, _)| path.to_owned())).collect();
        let described: BTreeSet<String> = DOCUMENT["paths"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(served, described);
    }
}
