//! User info (contract 3.8, `client-rules.md` 21 and 22).

use axum::extract::{Request, State as With};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use platform::{Fault, access_log, grants, people};
use serde_json::{Map, Value};
use wire::{Answer, ErrorCode, User, UserField};

use super::data::{OK, bearer, going, may_ask};
use super::envelope::{Refusal, json};
use super::record::Heard;
use super::{Params, is};
use crate::http::CallId;
use crate::state::State;

/// `GET /v2/user/info/`
pub(crate) async fn info(With(state): With<State>, id: CallId, request: Request) -> Response {
    let mut heard = Heard::default();
    match user(&state, request, &mut heard).await {
        Ok(user) => {
            heard.note(&state, access_log::Call::UserInfo, OK);
            json(StatusCode::OK, &Answer::ok(Some(User { user }), id.to_string()))
        }
        Err(refusal) => {
            heard.note(&state, access_log::Call::UserInfo, refusal.code.as_str());
            refusal.answer(&id, true, false)
        }
    }
}

async fn user(state: &State, request: Request, heard: &mut Heard) -> Result<Map<String, Value>, Refusal> {
    if !is(&request, &Method::GET) && !is(&request, &Method::HEAD) {
        return Err(Refusal::status(StatusCode::METHOD_NOT_ALLOWED, "Use GET.").with("allow", HeaderValue::from_static("GET")));
    }
    let living = going(state).await?;
    let bearer = bearer(state, request.headers(), None).await?;
    heard.bearer(&bearer);
    let params = Params::parse(request.uri().query().unwrap_or_default().as_bytes());
    let params = params.map_err(|bad| Refusal::params(format!("In the query, {bad}.")))?;
    let fields = params.get("fields").map_err(|bad| Refusal::params(format!("In the query, {bad}.")))?;
    let fields = fields.ok_or_else(|| Refusal::params("`fields` is missing: name at least one, such as open_id."))?;
    let asked: Vec<UserField> = fields.split(',').filter_map(|name| UserField::named(name.trim())).collect();
    may_ask(&bearer, &living)?;
    let mut tx = state.platform.db.read().await.map_err(Fault::from)?;
    let scopes = grants::unspent(&mut tx, bearer.grant_id).await?;
    let person = people::by_id(&mut tx, bearer.person_id).await?.ok_or_else(Refusal::token)?;
    drop(tx);
    let allowed = |field: &UserField| field.scope == wire::BASIC_SCOPE || scopes.contains(field.scope);
    let refused = asked.iter().filter(|field| !allowed(field)).count();
    if refused > 0 && (refused == asked.len() || state.user_info_strict) {
        let message = "The user did not authorize the scope required for completing this request.";
        return Err(Refusal::new(ErrorCode::ScopeNotAuthorized, message));
    }
    let union_id = grants::union_id(&state.platform, bearer.app_id, bearer.person_id).await?.unwrap_or_default();
    let info = person.info();
    let mut user = Map::new();
    for field in asked.into_iter().filter(allowed) {
        let value = match field.name {
            "open_id" => Value::from(bearer.open_id.clone()),
            "union_id" => Value::from(union_id.clone()),
            "display_name" => Value::from(person.display_name.clone()),
            "avatar_url" | "avatar_url_100" | "avatar_large_url" => {
                info.get(field.name).cloned().unwrap_or_else(|| Value::from(person.avatar_url.clone()))
            }
            "username" => Value::from(person.username.clone().unwrap_or_default()),
            "is_verified" => info.get(field.name).cloned().unwrap_or(Value::Bool(false)),
            name if name.ends_with("_count") => info.get(name).cloned().unwrap_or_else(|| Value::from(0)),
            name => info.get(name).cloned().unwrap_or_else(|| Value::from("")),
        };
        user.insert(field.name.to_owned(), value);
    }
    Ok(user)
}
