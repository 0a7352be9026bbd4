//! Two worlds behind one listener: production, and the sandbox. A call says by what it carries which of them it is for: a client key that begins with `sb`,
//! a token with the sandbox's mark, or a page below `/sandbox`. Each world has a router and a state of its own and cannot reach the other's; a call that
//! mixes the two fails in the world it chose, as one with made-up credentials does.

use axum::Router;
use axum::extract::{Request, State as With};
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;

use crate::api::{self, Params};
use crate::http;
use crate::sandbox::{KEY_MARK, ROOT, Synthetic, TOKEN_MARK};
use crate::state::State;

/// Which world a state is of.
#[derive(Debug)]
pub(crate) enum World {
    /// The operator's, with the way to the sandbox's state for the portal.
    Production {
        /// None if the operator switched it off.
        sandbox: Option<State>,
    },
    /// The sandbox.
    Sandbox {
        /// Who can sign in there.
        people: Vec<Synthetic>,
    },
}

impl World {
    /// The path before the paths of its pages; no slash at the end.
    pub(crate) fn root(&self) -> &'static str {
        match self {
            Self::Production { .. } => "",
            Self::Sandbox { .. } => ROOT,
        }
    }

    /// Whether it is the sandbox.
    pub(crate) fn is_sandbox(&self) -> bool {
        matches!(self, Self::Sandbox { .. })
    }

    /// The sandbox, as production sees it.
    pub(crate) fn sandbox(&self) -> Option<&State> {
        match self {
            Self::Production { sandbox } => sandbox.as_ref(),
            Self::Sandbox { .. } => None,
        }
    }

    /// Who can sign in with one press.
    pub(crate) fn people(&self) -> &[Synthetic] {
        match self {
            Self::Production { .. } => &[],
            Self::Sandbox { people } => people,
        }
    }
}

/// The routers of both.
#[derive(Clone, Debug)]
struct Worlds {
    production: Router,
    sandbox: Router,
}

/// One router in front of two.
pub(crate) fn router(production: Router, sandbox: Router) -> Router {
    Router::new().fallback(dispatch).with_state(Worlds { production, sandbox })
}

async fn dispatch(With(worlds): With<Worlds>, request: Request) -> Response {
    let (is_sandboxed, request) = choose(request).await;
    let world = if is_sandboxed { worlds.sandbox } else { worlds.production };
    match world.oneshot(request).await {
        Ok(response) => response.into_response(),
        Err(never) => match never {},
    }
}

/// Whether a call is for the sandbox, and the call as it was. Paths that carry no credentials of an app are decided by their beginning alone.
async fn choose(request: Request) -> (bool, Request) {
    let path = request.uri().path();
    if path.starts_with("/v1/") {
        return (bears_mark(request.headers()), request);
    }
    let Some(call) = path.strip_prefix("/v2/") else {
        let below = path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        return (below, request);
    };
    match call.trim_end_matches('/') {
        "auth/authorize" => (names_sandbox(request.uri().query().unwrap_or_default().as_bytes()), request),
        "oauth/token" | "oauth/revoke" if request.method() == Method::POST => by_form(request).await,
        _ => (bears_mark(request.headers()), request),
    }
}

/// The token and revoke endpoints name the app in the form, or by HTTP Basic. The form is read here within the endpoint's limits and handed on as it was read.
async fn by_form(request: Request) -> (bool, Request) {
    if api::basic_user(request.headers()).is_some_and(|user| user.starts_with(KEY_MARK)) {
        return (true, request);
    }
    let (mut parts, body) = request.into_parts();
    let read = http::read_body(&parts.headers, body, api::FORM_LIMIT).await;
    let is_sandboxed = read.as_ref().is_ok_and(|bytes| names_sandbox(bytes));
    parts.extensions.insert(http::AlreadyRead(read));
    (is_sandboxed, Request::from_parts(parts, axum::body::Body::empty()))
}

/// Whether parameters name an app of the sandbox. Those that cannot be read are production's to refuse.
fn names_sandbox(params: &[u8]) -> bool {
    let params = Params::parse(params).unwrap_or_default();
    matches!(params.get_either("client_key", "client_id"), Ok(Some(key)) if key.starts_with(KEY_MARK))
}

/// Whether the token that a call bears is the sandbox's. The word before it may be missing, as in `data::bearer`.
fn bears_mark(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return false };
    let text = value.as_bytes().trim_ascii();
    let token = match text.iter().position(|byte| *byte == b' ') {
        Some(at) if text[..at].eq_ignore_ascii_case(b"bearer") => text[at..].trim_ascii(),
        _ => text,
    };
    // Whatever its kind: a refresh token where an access token should be is refused by its own world.
    token.get(4..).is_some_and(|rest| rest.starts_with(TOKEN_MARK.as_bytes())) && token.get(3) == Some(&b'.')
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn goes_to_sandbox(request: Request) -> bool {
        choose(request).await.0
    }

    fn get(path: &str) -> Request {
        Request::get(path).body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn a_call_goes_where_its_credentials_say() {
        for (path, expected) in [
            ("/v2/auth/authorize/?client_key=sb0123456789abcdef&scope=x", true),
            ("/v2/auth/authorize?client_id=sb0123456789abcdef", true),
            ("/v2/auth/authorize/?client_key=aw0123456789abcd", false),
            ("/v2/auth/authorize/?client_key=aw0123456789abcd&client_key=sb0123456789abcdef", false),
            ("/v2/auth/authorize/?client_key=aw0&state=client_key%3Dsb0", false),
            ("/v2/auth/authorize/", false),
            ("/sandbox", true),
            ("/sandbox/login", true),
            ("/sandboxes", false),
            ("/login", false),
            ("/", false),
        ] {
            assert_eq!(goes_to_sandbox(get(path)).await, expected, "{path}");
        }
        for (value, expected) in [
            ("Bearer act.sb.abc", true),
            ("bearer  act.sb.abc ", true),
            ("act.sb.abc", true),
            ("Bearer rft.sb.abc", true),
            ("Bearer act.abc", false),
            ("Bearer act.xsb.abc", false),
            ("Bearer sb.abc", false),
            ("Basic act.sb.abc", false),
            ("Bearer", false),
        ] {
            for path in ["/v2/user/data/add/", "/v1/requests", "/v1/requests/1/archive"] {
                let call = Request::post(path).header("authorization", value).body(Body::empty()).unwrap();
                assert_eq!(goes_to_sandbox(call).await, expected, "{path} {value}");
            }
        }
    }

    #[tokio::test]
    async fn a_form_is_read_once_and_handed_on() {
        for (body, expected) in [("client_key=sb1&client_secret=x", true), ("client_key=aw1&code=sb", false), ("%ff", false)] {
            let call = Request::post("/v2/oauth/token/").body(Body::from(body)).unwrap();
            let (is_sandboxed, mut call) = choose(call).await;
            assert_eq!(is_sandboxed, expected, "{body}");
            let read = call.extensions_mut().remove::<http::AlreadyRead>().unwrap();
            assert_eq!(read.0.unwrap(), body.as_bytes());
        }
        let call =
            Request::post("/v2/oauth/revoke").header("authorization", "Basic c2IxOng=").body(Body::from("token=x")).unwrap();
        assert!(goes_to_sandbox(call).await);
        let huge = Request::post("/v2/oauth/token").body(Body::from(vec![b'a'; api::FORM_LIMIT + 1])).unwrap();
        let (is_sandboxed, mut huge) = choose(huge).await;
        assert!(!is_sandboxed);
        assert!(huge.extensions_mut().remove::<http::AlreadyRead>().unwrap().0.is_err());
    }
}
