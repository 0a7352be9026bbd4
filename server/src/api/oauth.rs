//! The token and revoke endpoints, in the flat dialect (contract 3.3 to 3.6).

use axum::extract::{Request, State as With};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use platform::apps::{self, App};
use platform::{Fault, access_log, freezes, grants};
use wire::{OAuthError, OAuthErrorCode};

use super::data::OK;
use super::envelope::json;
use super::record::Heard;
use super::{Params, is};
use crate::http::{self, CallId};
use crate::state::State;

/// The longest form.
pub(crate) const FORM_LIMIT: usize = 64 * 1024;

/// A call that is not answered with tokens.
#[derive(Debug)]
pub(crate) struct Refusal {
    error: OAuthErrorCode,
    status: StatusCode,
    description: String,
    /// Whose failure it is, once the client key is known.
    app: Option<i64>,
    retry_after: Option<u64>,
    cause: Option<Box<Fault>>,
}

impl Refusal {
    fn new(error: OAuthErrorCode, description: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::BAD_REQUEST);
        Self { error, status, description: description.into(), app: None, retry_after: None, cause: None }
    }

    fn status(status: StatusCode, description: impl Into<String>) -> Self {
        Self { status, ..Self::new(OAuthErrorCode::InvalidRequest, description) }
    }

    fn request(description: impl Into<String>) -> Self {
        Self::new(OAuthErrorCode::InvalidRequest, description)
    }

    fn of(self, app: &App) -> Self {
        Self { app: Some(app.app_id), ..self }
    }

    fn answer(self, id: &CallId) -> Response {
        match &self.cause {
            Some(fault) => tracing::error!(%fault, "call failed"),
            None => {
                tracing::info!(error = self.error.as_str(), description = self.description, app_id = self.app, "call refused")
            }
        }
        let body = OAuthError { error: self.error, error_description: self.description, log_id: id.to_string() };
        let mut response = no_store(json(self.status, &body));
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::METHOD_NOT_ALLOWED {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let description = "Something went wrong on our side. Try again later, and quote the log_id to support if it persists.";
        Self { cause: Some(Box::new(fault)), ..Self::new(OAuthErrorCode::ServerError, description) }
    }
}

fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// A path below `/v2/oauth` that means nothing.
pub(super) fn not_found(id: &CallId) -> Response {
    Refusal::status(StatusCode::NOT_FOUND, "There is no such call. The paths are in the documentation.").answer(id)
}

/// `POST /v2/oauth/token/`
pub(crate) async fn token(With(state): With<State>, id: CallId, request: Request) -> Response {
    let mut heard = Heard::default();
    let answer = grant(&state, request, &mut heard).await;
    settle(&state, &id, access_log::Call::Token, heard, answer)
}

/// Notes a call, and answers it.
fn settle(state: &State, id: &CallId, call: access_log::Call, mut heard: Heard, answer: Result<Response, Refusal>) -> Response {
    match answer {
        Ok(response) => {
            heard.note(state, call, OK);
            no_store(response)
        }
        Err(refusal) => {
            if let Some(app_id) = refusal.app {
                heard.app(app_id);
            }
            heard.note(state, call, refusal.error.as_str());
            limited(state, refusal).answer(id)
        }
    }
}

/// Counts a failure of an app; beyond the limit it is told to wait. Calls that would succeed are never refused: a stranger who knows
/// the client key cannot shut the app out.
fn limited(state: &State, refusal: Refusal) -> Refusal {
    // A fault of ours is not the app's failure.
    let Some(app_id) = refusal.app.filter(|_| refusal.cause.is_none()) else { return refusal };
    match state.limits.apps.begin(&app_id.to_string(), state.platform.now()) {
        Ok(_counts_as_failed) => refusal,
        Err(wait) => Refusal {
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: Some(wait.as_secs().max(1)),
            ..Refusal::new(OAuthErrorCode::TemporarilyUnavailable, "Too many failed calls of this app. Wait before the next one.")
        },
    }
}

async fn grant(state: &State, request: Request, heard: &mut Heard) -> Result<Response, Refusal> {
    let (params, headers) = form(request).await?;
    let get = |name| params.get(name).map_err(|bad| Refusal::request(format!("The request parameters are malformed: {bad}.")));
    let grant_type =
        get("grant_type")?.ok_or_else(|| Refusal::request("The request parameters are malformed: grant_type is missing."))?;
    if !matches!(grant_type, "authorization_code" | "refresh_token" | "client_credentials") {
        let known = "grant_type must be authorization_code, refresh_token or client_credentials.";
        return Err(Refusal::new(OAuthErrorCode::UnsupportedGrantType, known));
    }
    let living = freezes::living(&state.platform).await?;
    if living.everything() {
        let description = "The operator has stopped all access for the moment. Try again later.";
        let refusal = Refusal::new(OAuthErrorCode::TemporarilyUnavailable, description);
        return Err(Refusal { retry_after: Some(state.platform.settings.freezes.seconds().into()), ..refusal });
    }
    let app = client(state, &params, &headers).await?;
    heard.app(app.app_id);
    // Giving a token back works in any standing; getting one does not (`client-rules.md` 34).
    if !app.may_ask() || living.app(app.app_id) {
        let description = "This app may not ask for tokens now. Its status is shown on its page.";
        return Err(Refusal::new(OAuthErrorCode::UnauthorizedClient, description));
    }
    let missing = |name: &str| Refusal::request(format!("The request parameters are malformed: {name} is missing."));
    match grant_type {
        "authorization_code" => {
            let code = get("code")?.ok_or_else(|| missing("code"))?;
            let redirect_uri = get("redirect_uri")?.ok_or_else(|| missing("redirect_uri"))?;
            let verifier = get("code_verifier")?;
            let answer = grants::exchange(&state.platform, app.app_id, code, redirect_uri, verifier).await;
            Ok(json(StatusCode::OK, &answer.map_err(|refusal| refuse(refusal).of(&app))?))
        }
        "refresh_token" => {
            let token = get("refresh_token")?.ok_or_else(|| missing("refresh_token"))?;
            let answer = grants::refresh(&state.platform, app.app_id, token).await;
            Ok(json(StatusCode::OK, &answer.map_err(|refusal| refuse(refusal).of(&app))?))
        }
        _ => Ok(json(StatusCode::OK, &grants::client_token(&state.platform, app.app_id).await?)),
    }
}

fn refuse(refusal: grants::Refusal) -> Refusal {
    use grants::Refusal as R;
    let text = refusal.to_string();
    match refusal {
        R::Invalid | R::Expired => Refusal::new(OAuthErrorCode::InvalidGrant, text),
        R::Redirect | R::Verifier => Refusal::request(text),
        R::Fault(fault) => fault.into(),
    }
}

/// `POST /v2/oauth/revoke/`
pub(crate) async fn revoke(With(state): With<State>, id: CallId, request: Request) -> Response {
    let mut heard = Heard::default();
    let done = async {
        let (params, headers) = form(request).await?;
        let app = client(&state, &params, &headers).await?;
        heard.app(app.app_id);
        let token =
            params.get("token").map_err(|bad| Refusal::request(format!("The request parameters are malformed: {bad}.")))?;
        let token = token.ok_or_else(|| Refusal::request("The request parameters are malformed: token is missing."))?;
        grants::revoke(&state.platform, app.app_id, token).await?;
        Ok(json(StatusCode::OK, &serde_json::json!({})))
    };
    let answer = done.await;
    settle(&state, &id, access_log::Call::Revoke, heard, answer)
}

async fn form(request: Request) -> Result<(Params, HeaderMap), Refusal> {
    if !is(&request, &Method::POST) {
        return Err(Refusal::status(StatusCode::METHOD_NOT_ALLOWED, "Use POST."));
    }
    let (mut parts, body) = request.into_parts();
    let read = match parts.extensions.remove() {
        Some(http::AlreadyRead(read)) => read,
        None => http::read_body(&parts.headers, body, FORM_LIMIT).await,
    };
    let body = read.map_err(|bad| Refusal::status(bad.status(), bad.message()))?;
    if !body.is_empty() && http::media_type(&parts.headers).as_deref() != Some("application/x-www-form-urlencoded") {
        let description = "The request parameters are malformed: send them as application/x-www-form-urlencoded.";
        return Err(Refusal::status(StatusCode::UNSUPPORTED_MEDIA_TYPE, description));
    }
    let params = Params::parse(&body).map_err(|bad| Refusal::request(format!("The request parameters are malformed: {bad}.")))?;
    Ok((params, parts.headers))
}

/// The app that proves itself: by `client_key` (or `client_id`) and `client_secret` in the body, or by HTTP Basic (RFC 6749 2.3.1).
async fn client(state: &State, params: &Params, headers: &HeaderMap) -> Result<App, Refusal> {
    let malformed = |bad| Refusal::request(format!("The request parameters are malformed: {bad}."));
    let key = params.get_either("client_key", "client_id").map_err(malformed)?;
    let secret = params.get("client_secret").map_err(malformed)?;
    let basic = if secret.is_none() { basic(headers) } else { None };
    let (key, secret) = match (&basic, key, secret) {
        (Some((user, password)), key, _) if key.is_none_or(|key| key == user) => (user.as_str(), password.as_str()),
        (_, Some(key), Some(secret)) => (key, secret),
        (_, None, _) => return Err(Refusal::new(OAuthErrorCode::InvalidClient, "client_key is missing in the request.")),
        _ => return Err(Refusal::new(OAuthErrorCode::InvalidClient, "Client secret is missed in request.")),
    };
    let wrong = || Refusal::new(OAuthErrorCode::InvalidClient, "The client key or the client secret is wrong.");
    let mut tx = state.platform.db.read().await.map_err(Fault::from)?;
    let app = apps::by_client_key(&mut tx, key).await?.ok_or_else(wrong)?;
    if !apps::holds_secret(&state.platform, &mut tx, app.app_id, secret).await? {
        return Err(wrong().of(&app));
    }
    Ok(app)
}

/// The user of HTTP Basic, which is a client key.
pub(crate) fn basic_user(headers: &HeaderMap) -> Option<String> {
    basic(headers).map(|(user, _)| user)
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, rest) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let text = if scheme.eq_ignore_ascii_case("basic") { STANDARD.decode(rest.trim()).ok()? } else { return None };
    let (user, password) = std::str::from_utf8(&text).ok()?.split_once(':')?;
    // Both are form-encoded within (RFC 6749 2.3.1); ours hold no character that this would change.
    Some((user.to_owned(), password.to_owned()))
}
