//! The wire: OAuth, user info and the data calls, in TikTok's two dialects of error.

pub(crate) mod authorize;
mod data;
mod download;
mod envelope;
mod oauth;
mod params;
mod user;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::response::Response;
use axum::routing::{MethodRouter, any};

use crate::state::State;

pub(crate) use params::Params;

/// The routes of the wire. Each answers with and without its last slash; nothing is ever redirected there (`client-rules.md` 9).
pub(crate) fn routes() -> Router<State> {
    let mut router = Router::new().nest("/v2/user", unknown(envelope::not_found)).nest("/v2/oauth", unknown(oauth::not_found));
    let routes: [(&str, MethodRouter<State>); 8] = [
        ("/v2/auth/authorize", any(authorize::authorize)),
        ("/v2/oauth/token", any(oauth::token)),
        ("/v2/oauth/revoke", any(oauth::revoke)),
        ("/v2/user/info", any(user::info)),
        ("/v2/user/data/add", any(data::add)),
        ("/v2/user/data/check", any(data::check)),
        ("/v2/user/data/cancel", any(data::cancel)),
        ("/v2/user/data/download", any(download::download)),
    ];
    for (path, route) in routes {
        router = router.route(path, route.clone()).route(&format!("{path}/"), route);
    }
    router
}

fn unknown<F>(answer: fn(crate::http::CallId) -> F) -> Router<State>
where
    F: Future<Output = Response> + Send + 'static,
{
    Router::new().fallback(move |id: crate::http::CallId| answer(id))
}

/// Whether a request is of the method that its path wants.
fn is(request: &Request, method: &Method) -> bool {
    request.method() == method
}
