//! The operator's own events: what became of a person elsewhere ends apps' access here. Called by the operator's systems with a service token.

use axum::extract::{Request, State as With};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use platform::people::events::{self, PersonEvent, TellError};
use platform::services::{self, ServiceScope, ServiceToken};
use serde_json::{Map, Value, json};

use super::problem::{DENIED, INVALID, KEY_REUSED, MEDIA_TYPE, Problem, RATE, SERVICE_TOKEN, UNKNOWN};
use super::{Number, answer, options};
use crate::http::{self, CallId};
use crate::state::State;

/// A body larger than this is no event.
const BODY_LIMIT: usize = 16 * 1024;
/// The longest subject that is looked for, in bytes.
const LONGEST_SUBJECT: usize = 512;
/// The longest key of an event.
const LONGEST_KEY: usize = 255;
/// The members of an event.
const MEMBERS: [&str; 2] = ["event", "event_id"];

/// `/v1/people/{id}/events`
pub(super) async fn events(With(state): With<State>, id: CallId, subject: Number, request: Request) -> Response {
    match *request.method() {
        Method::POST => tell(&state, &subject, request).await.unwrap_or_else(|problem| problem.answer(&id)),
        Method::OPTIONS => options("POST"),
        _ => Problem::method("POST").answer(&id),
    }
}

async fn tell(state: &State, subject: &Number, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let token = service(state, &parts, ServiceScope::PeopleEvents).await?;
    let body = http::read_body(&parts.headers, body, BODY_LIMIT).await;
    let body = body.map_err(|bad| Problem::from(crate::api::envelope::Refusal::status(bad.status(), bad.message())))?;
    if http::media_type(&parts.headers).is_some_and(|media_type| media_type != "application/json") {
        return Err(Problem::new(&MEDIA_TYPE, "Send the body as application/json."));
    }
    let (event, key) = read(&body)?;
    let nobody = || Problem::new(&UNKNOWN, TellError::Unknown.to_string());
    let subject = subject.as_ref().map_err(|_| nobody())?.0.as_str();
    if subject.len() > LONGEST_SUBJECT {
        return Err(nobody());
    }
    match events::tell(&state.platform, &token, subject, event, &key).await {
        Ok(told) => {
            let body = json!({ "event_id": key, "event": event.as_str(), "ended": told.ended, "replayed": told.replayed });
            Ok(answer(StatusCode::OK, &body))
        }
        Err(TellError::Unknown) => Err(nobody()),
        Err(TellError::KeyReused) => Err(Problem::new(&KEY_REUSED, TellError::KeyReused.to_string())),
        Err(TellError::Fault(fault)) => Err(fault.into()),
    }
}

/// The event, and the key by which it is known again.
fn read(body: &[u8]) -> Result<(PersonEvent, String), Problem> {
    let wrong = |text: String| Problem::new(&INVALID, text);
    let members: Map<String, Value> = match serde_json::from_slice(body) {
        Ok(Value::Object(members)) => members,
        Ok(_) => return Err(wrong("The body must be a JSON object.".into())),
        Err(_) => return Err(wrong("The body is not JSON.".into())),
    };
    if let Some(other) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(wrong(format!("`{}` is not known; {} are.", super::clip(other), MEMBERS.join(", "))));
    }
    let words = PersonEvent::ALL.iter().map(|event| event.as_str()).collect::<Vec<_>>().join(", ");
    let event = members.get("event").and_then(Value::as_str).and_then(PersonEvent::parse);
    let event = event.ok_or_else(|| wrong(format!("`event` is one of {words}.")))?;
    let key = match members.get("event_id") {
        Some(Value::String(key)) => Some(key.clone()),
        Some(_) => return Err(wrong("`event_id` is a text.".into())),
        None => None,
    };
    let key =
        key.ok_or_else(|| wrong("`event_id` is missing: a text of your own, the same when you tell the event again.".into()))?;
    if key.is_empty() || key.len() > LONGEST_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong(format!("`event_id` has 1 to {LONGEST_KEY} visible characters of ASCII and no blanks.")));
    }
    Ok((event, key))
}

/// Whose program calls. Wrong tokens are counted by address; a right one is never refused for what others tried.
async fn service(state: &State, parts: &Parts, scope: ServiceScope) -> Result<ServiceToken, Problem> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let secret = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok().and_then(|text| text.trim().split_once(' ')),
        _ => None,
    };
    let secret = secret.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, secret)| secret.trim());
    let found = match secret {
        Some(secret) => services::bearer(&state.platform, secret).await?,
        None => None,
    };
    let Some(token) = found else {
        let address = http::caller(state, parts).map(http::household).unwrap_or_default();
        return Err(match state.limits.services.begin(&address, state.platform.now()) {
            Ok(_counts_as_failed) => Problem::new(&SERVICE_TOKEN, "The service token is missing, wrong, expired or revoked."),
            Err(wait) => {
                let seconds = HeaderValue::from(wait.as_secs().max(1));
                Problem::new(&RATE, "Too many calls with wrong tokens came from this address.").with(header::RETRY_AFTER, seconds)
            }
        });
    };
    if token.may(scope) { Ok(token) } else { Err(Problem::new(&DENIED, format!("The service token lacks the scope {scope}."))) }
}
