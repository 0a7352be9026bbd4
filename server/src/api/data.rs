//! Add, check and cancel (contract 4). The order of checks is that of `client-rules.md` 30.

use std::sync::Arc;

use axum::extract::{Request, State as With};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use platform::access_log;
use platform::freezes::{self, Living};
use platform::grants::{self, Bearer};
use platform::quotas::{Admission, RequestType};
use platform::requests::{self, AddRefusal, Asked, Cancelled};
use wire::{AddBody, Added, Answer, ErrorCode, RequestId};

use super::envelope::{Refusal, json};
use super::record::Heard;
use super::{Params, is};
use crate::http::{self, CallId};
use crate::state::State;

/// What the access log says of a call that was answered as it wished.
pub(super) const OK: &str = "ok";

/// A body larger than this is none of the wire's.
const BODY_LIMIT: usize = 64 * 1024;

/// A data call whose caller is known and within quota.
pub(super) struct Call {
    pub(super) bearer: Bearer,
    pub(super) headers: HeaderMap,
    query: Option<String>,
    pub(super) body: Bytes,
    pub(super) living: Arc<Living>,
}

/// What of an answer is decided before the call's own work: the quota's headers; and what the access log gets to know.
#[derive(Default)]
pub(super) struct Told {
    fields: HeaderMap,
    pub(super) heard: Heard,
    /// Whether bytes of an archive go out, which are noted when they end.
    pub(super) sends: bool,
}

impl Told {
    /// The `RateLimit` fields of the IETF draft, for the call's own request type.
    fn admission(&mut self, request_type: RequestType, admission: &Admission) {
        let name = request_type.as_str();
        let policy = format!("\"{name}\";q={};w=60", admission.limit);
        let left = format!("\"{name}\";r={};t={}", admission.remaining, admission.reset);
        for (field, text) in [("ratelimit-policy", policy), ("ratelimit", left)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                self.fields.insert(field, value);
            }
        }
    }

    pub(super) fn on(self, mut response: Response) -> Response {
        response.headers_mut().extend(self.fields);
        response
    }
}

/// Method and size, then the token, then the quota.
pub(super) async fn receive(
    state: &State,
    request: Request,
    request_type: RequestType,
    told: &mut Told,
) -> Result<Call, Refusal> {
    if !is(&request, &Method::POST) {
        return Err(Refusal::status(StatusCode::METHOD_NOT_ALLOWED, "Use POST.").with("allow", HeaderValue::from_static("POST")));
    }
    admit(state, request, request_type, told).await
}

/// The same once the method is known to be right.
pub(super) async fn admit(state: &State, request: Request, request_type: RequestType, told: &mut Told) -> Result<Call, Refusal> {
    let (parts, body) = request.into_parts();
    let body =
        http::read_body(&parts.headers, body, BODY_LIMIT).await.map_err(|bad| Refusal::status(bad.status(), bad.message()))?;
    let living = going(state).await?;
    let bearer = bearer(state, &parts.headers, Some(request_type)).await?;
    told.heard.bearer(&bearer);
    let own = bearer.per_minute.and_then(|limit| u32::try_from(limit).ok());
    let limit = own.unwrap_or(state.platform.settings.quotas.per_minute);
    let admission = state.platform.quotas.take(bearer.app_id, request_type, limit, state.platform.now());
    told.admission(request_type, &admission);
    if !admission.admitted {
        metrics::counter!("portward_quota_refused_total", "world" => state.platform.world.as_str(), "type" => request_type.as_str()).increment(1);
        let refusal = Refusal::new(ErrorCode::RateLimitExceeded, "The API rate limit was exceeded. Please try again later.");
        return Err(refusal.with("retry-after", HeaderValue::from(admission.reset)));
    }
    Ok(Call { bearer, headers: parts.headers, query: parts.uri.query().map(ToOwned::to_owned), body, living })
}

/// What is frozen, unless everything is: then nobody is asked who they are, and no quota is taken.
pub(super) async fn going(state: &State) -> Result<Arc<Living>, Refusal> {
    let living = freezes::living(&state.platform).await?;
    if living.everything() {
        return Err(stopped(state, "The operator has stopped all access for the moment. Try again later."));
    }
    Ok(living)
}

/// It is stopped, and may come back: the caller is told when to look (`client-rules.md` 34).
pub(super) fn stopped(state: &State, message: impl Into<String>) -> Refusal {
    let seconds = state.platform.settings.freezes.seconds();
    Refusal::new(ErrorCode::ServiceUnavailable, message).with("retry-after", HeaderValue::from(seconds))
}

/// Whose token it is. The word `Bearer` may be missing, as in the contract's own sample (4).
pub(super) async fn bearer(state: &State, headers: &HeaderMap, request_type: Option<RequestType>) -> Result<Bearer, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Refusal::token()) };
    let text = value.to_str().map_err(|_| Refusal::token())?.trim();
    let token = match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => text,
    };
    // A person's token only: a client's or a refresh token is refused without a look-up.
    if !token.starts_with("act.") || token.len() > 250 {
        return Err(Refusal::token());
    }
    grants::bearer(&state.platform, token, request_type).await?.ok_or_else(Refusal::token)
}

impl Call {
    pub(super) fn params(&self) -> Result<Params, Refusal> {
        Params::parse(self.query.as_deref().unwrap_or_default().as_bytes())
            .map_err(|bad| Refusal::params(format!("In the query, {bad}.")))
    }

    fn fields(&self) -> Result<Option<String>, Refusal> {
        let params = self.params()?;
        let fields = params.get("fields").map_err(|bad| Refusal::params(format!("In the query, {bad}.")))?;
        Ok(fields.map(ToOwned::to_owned))
    }

    /// The body, if it is JSON or says nothing of itself.
    pub(super) fn json(&self) -> Result<&[u8], Refusal> {
        match http::media_type(&self.headers).as_deref() {
            None | Some("application/json") => Ok(&self.body),
            Some(_) if self.body.is_empty() => Ok(&self.body),
            Some(_) => Err(Refusal::status(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Send the body as application/json.")),
        }
    }

    /// `request_id`: in the body, or in the query (`client-rules.md` 3).
    pub(super) fn request_id(&self) -> Result<RequestId, Refusal> {
        if let Some(id) = wire::parse_id_body(self.json()?).map_err(|bad| Refusal::params(bad.0))? {
            return Ok(id);
        }
        let params = self.params()?;
        let text = params.get("request_id").map_err(|bad| Refusal::params(format!("In the query, {bad}.")))?;
        let text = text.ok_or_else(|| Refusal::params("`request_id` is missing."))?;
        RequestId::parse(text).ok_or_else(incorrect_id)
    }

    pub(super) fn standing(&self) -> Result<(), Refusal> {
        may_ask(&self.bearer, &self.living)
    }

    /// Whether the archive of a request may go out, as far as its data is concerned.
    pub(super) fn unfrozen(&self, state: &State, found: &requests::Request) -> Result<(), Refusal> {
        match self.living.data(&state.platform.catalogue, &found.categories()?) {
            None => Ok(()),
            Some(name) => Err(stopped(state, AddRefusal::Frozen(name.to_owned()).to_string())),
        }
    }
}

/// Whether the app of a token may ask now.
pub(super) fn may_ask(bearer: &Bearer, living: &Living) -> Result<(), Refusal> {
    let may = bearer.app_status == platform::apps::AppStatus::Live && !living.app(bearer.app_id);
    if may { Ok(()) } else { Err(standing()) }
}

/// The app may not ask now (`client-rules.md` 34).
pub(super) fn standing() -> Refusal {
    Refusal::new(ErrorCode::PermissionDenied, "This app may not use the API now. Its status is shown on its page.")
}

pub(super) fn incorrect_id() -> Refusal {
    Refusal::params("Incorrect `request_id`. Please validate the request.")
}

/// `POST /v2/user/data/add/`
pub(crate) async fn add(With(state): With<State>, id: CallId, request: Request) -> Response {
    let mut told = Told::default();
    let answer = match add_request(&state, request, &mut told).await {
        Ok(request_id) => {
            told.heard.request(request_id);
            told.heard.note(&state, access_log::Call::Add, OK);
            json(StatusCode::OK, &Answer::ok(Some(Added { request_id }), id.to_string()))
        }
        Err(refusal) => {
            told.heard.note(&state, access_log::Call::Add, refusal.code.as_str());
            refusal.answer(&id, true, false)
        }
    };
    told.on(answer)
}

async fn add_request(state: &State, request: Request, told: &mut Told) -> Result<RequestId, Refusal> {
    let call = receive(state, request, RequestType::Add, told).await?;
    let fields = call.fields()?;
    if let Some(other) = fields.iter().flat_map(|list| list.split(',')).find(|field| !matches!(field.trim(), "request_id" | "")) {
        return Err(Refusal::params(format!("`fields` may hold request_id only, not `{}`.", clip(other))));
    }
    let key = idempotency_key(&call.headers)?;
    let body = AddBody::parse(call.json()?).map_err(|bad| Refusal::params(bad.0))?;
    let asked = Asked::new(body, &state.platform.catalogue).map_err(|unknown| {
        let names: Vec<&str> = state.platform.catalogue.categories().iter().map(|category| category.name.as_str()).collect();
        Refusal::params(format!("There is no category `{}`. The categories are {}.", clip(&unknown), names.join(", ")))
    })?;
    let added = requests::add(&state.platform, &call.bearer, &asked, key.as_deref()).await;
    added.map_err(|refusal| match refusal {
        AddRefusal::Fault(fault) => fault.into(),
        AddRefusal::Ended => Refusal::token(),
        AddRefusal::Spent | AddRefusal::Missing | AddRefusal::Region => {
            Refusal::new(ErrorCode::ScopeNotAuthorized, refusal.to_string())
        }
        AddRefusal::Standing => standing(),
        AddRefusal::Frozen(_) => stopped(state, refusal.to_string()),
        AddRefusal::OpenLimit(_) | AddRefusal::KeyReused => Refusal::params(refusal.to_string()),
    })
}

pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all("idempotency-key").iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) if !text.trim().is_empty() && text.len() <= 255 => Ok(Some(text.trim().to_owned())),
            _ => Err(Refusal::params("Idempotency-Key has 1 to 255 visible characters.")),
        },
        _ => Err(Refusal::params("Idempotency-Key is given more than once.")),
    }
}

/// What a caller sent, short enough to be said back.
pub(super) fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

/// `POST /v2/user/data/check/`
pub(crate) async fn check(With(state): With<State>, id: CallId, request: Request) -> Response {
    let mut told = Told::default();
    let answer = match check_request(&state, request, &mut told).await {
        Ok(checked) => {
            told.heard.note(&state, access_log::Call::Check, OK);
            json(StatusCode::OK, &Answer::ok(Some(checked), id.to_string()))
        }
        Err(refusal) => {
            told.heard.note(&state, access_log::Call::Check, refusal.code.as_str());
            refusal.answer(&id, true, false)
        }
    };
    told.on(answer)
}

async fn check_request(state: &State, request: Request, told: &mut Told) -> Result<wire::Checked, Refusal> {
    let call = receive(state, request, RequestType::Check, told).await?;
    let request_id = call.request_id()?;
    told.heard.request(request_id);
    let fields = wire::check_fields(call.fields()?.as_deref()).map_err(|bad| Refusal::params(bad.0))?;
    call.standing()?;
    let found = requests::of_bearer(&state.platform, &call.bearer, request_id).await?.ok_or_else(incorrect_id)?;
    Ok(found.checked(&fields, state.platform.now())?)
}

/// `POST /v2/user/data/cancel/`
pub(crate) async fn cancel(With(state): With<State>, id: CallId, request: Request) -> Response {
    let mut told = Told::default();
    let answer = match cancel_request(&state, request, &mut told).await {
        Ok(()) => {
            told.heard.note(&state, access_log::Call::Cancel, OK);
            json(StatusCode::OK, &Answer::<()>::ok(None, id.to_string()))
        }
        Err(refusal) => {
            told.heard.note(&state, access_log::Call::Cancel, refusal.code.as_str());
            refusal.answer(&id, false, false)
        }
    };
    told.on(answer)
}

async fn cancel_request(state: &State, request: Request, told: &mut Told) -> Result<(), Refusal> {
    let call = receive(state, request, RequestType::Cancel, told).await?;
    let request_id = call.request_id()?;
    told.heard.request(request_id);
    call.standing()?;
    match requests::cancel(&state.platform, &call.bearer, request_id).await? {
        Cancelled::Done => Ok(()),
        Cancelled::TooLate => Err(Refusal::params("The request has expired and cannot be cancelled.")),
        Cancelled::Unknown => Err(incorrect_id()),
    }
}
