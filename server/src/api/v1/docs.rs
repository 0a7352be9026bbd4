//! The description of both surfaces for programs: `/openapi.json`. For people it is `/docs`, made of the same text.

use std::sync::LazyLock;

use axum::extract::State as With;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::state::State;

/// OpenAPI 3.1, without what only this server knows: its address, its categories and scopes.
const DESCRIPTION: &str = include_str!("openapi.json");

/// The description as it was written.
pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(DESCRIPTION).unwrap_or_default());

/// `GET /openapi.json`
pub(super) async fn openapi(With(state): With<State>) -> Response {
    let mut document = DOCUMENT.clone();
    let names: Vec<&str> = state
        .platform
        .catalogue
        .categories()
        .iter()
        .flat_map(|category| std::iter::once(category.name.as_str()).chain(category.aliases.iter().map(String::as_str)))
        .collect();
    document["servers"] = json!([{ "url": state.base_url, "description": state.brand.name }]);
    document["components"]["schemas"]["Category"]["enum"] = json!(names);
    let mut scopes = Map::new();
    scopes.insert(wire::BASIC_SCOPE.to_owned(), json!("Who the person is to the app"));
    for category in state.platform.catalogue.categories() {
        for kind in ["single", "ongoing"] {
            scopes.insert(format!("{}.{kind}", category.scope), json!(category.title.best("en")));
        }
    }
    let flow = &mut document["components"]["securitySchemes"]["person"]["flows"]["authorizationCode"];
    flow["authorizationUrl"] = json!(format!("{}/v2/auth/authorize/", state.base_url));
    flow["tokenUrl"] = json!(format!("{}/v2/oauth/token/", state.base_url));
    flow["scopes"] = Value::Object(scopes);
    let text = serde_json::to_string_pretty(&document).unwrap_or_default();
    ([(CONTENT_TYPE, "application/json"), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")], text).into_response()
}
