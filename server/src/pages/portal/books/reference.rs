//! `/docs`: both surfaces of the API for people, made of the description that programs read.

use askama::Template;
use axum::Extension;
use axum::extract::State as With;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use crate::api::{DOCUMENT, Kind, PROBLEMS};
use crate::http::CallId;
use crate::pages::Page;
use crate::pages::access::Developer;
use crate::pages::frame::Frame;
use crate::state::State;

#[derive(Debug, Template)]
#[template(path = "portal/docs.html")]
struct DocsPage {
    shell: Frame,
    base: String,
    groups: Vec<Group>,
    objects: Vec<Object>,
    problems: &'static [Kind],
}

/// The calls of one surface.
#[derive(Debug)]
struct Group {
    id: String,
    title: String,
    text: String,
    calls: Vec<Operation>,
}

#[derive(Debug)]
struct Operation {
    id: String,
    method: String,
    path: String,
    title: String,
    text: String,
    parameters: Vec<Member>,
    body: Vec<Member>,
    answers: Vec<Answered>,
    example: String,
}

#[derive(Debug)]
struct Member {
    name: String,
    place: String,
    kind: String,
    required: bool,
    text: String,
}

#[derive(Debug)]
struct Answered {
    status: String,
    text: String,
    kind: String,
}

/// A schema that answers refer to.
#[derive(Debug)]
struct Object {
    name: String,
    text: String,
    members: Vec<Member>,
}

impl DocsPage {
    /// What stands between backticks is code.
    fn pieces(&self, text: impl AsRef<str>) -> Vec<(bool, String)> {
        let pieces = text.as_ref().split('`').enumerate();
        pieces.map(|(at, piece)| (at % 2 == 1, piece.to_owned())).filter(|(_, piece)| !piece.is_empty()).collect()
    }
}

/// `GET /docs`
pub(super) async fn show(With(state): With<State>, id: CallId, developer: Option<Extension<Developer>>) -> Response {
    let page = Page::new(&state, &id);
    let document = &*DOCUMENT;
    let told = DocsPage {
        shell: Frame::public(&state, developer.as_deref()).at("docs"),
        base: state.base_url.clone(),
        groups: groups(document),
        objects: objects(document),
        problems: PROBLEMS,
    };
    page.show(StatusCode::OK, &told)
}

fn words(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// What a `$ref` leads to; anything else is itself.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let path = value["$ref"].as_str().and_then(|path| path.strip_prefix('#'));
    path.and_then(|path| document.pointer(path)).unwrap_or(value)
}

fn groups(document: &Value) -> Vec<Group> {
    let tag = |tag: &Value| {
        let name = words(&tag["name"]);
        let mut calls = Vec::new();
        for (path, entries) in members(&document["paths"]) {
            for (method, operation) in members(entries) {
                if items(&operation["tags"]).any(|held| held.as_str() == Some(&name)) {
                    calls.push(call(document, path, method, operation, &entries["parameters"]));
                }
            }
        }
        Group { id: words(&tag["x-id"]), title: name, text: words(&tag["description"]), calls }
    };
    items(&document["tags"]).map(tag).collect()
}

fn call(document: &Value, path: &str, method: &str, operation: &Value, shared: &Value) -> Operation {
    let parameter = |parameter: &Value| {
        let parameter = resolved(document, parameter);
        Member {
            name: words(&parameter["name"]),
            place: words(&parameter["in"]),
            kind: kind(document, &parameter["schema"]),
            required: parameter["required"].as_bool().unwrap_or(false),
            text: words(&parameter["description"]),
        }
    };
    let content = members(&operation["requestBody"]["content"]).next();
    let schema = content.map(|(_, content)| resolved(document, &content["schema"]));
    let answer = |(status, answer): (&String, &Value)| {
        let answer = resolved(document, answer);
        let content = members(&answer["content"]).next();
        Answered {
            status: status.clone(),
            text: words(&answer["description"]),
            kind: content
                .map(|(media, content)| match content["schema"]["$ref"].as_str() {
                    Some(_) => kind(document, &content["schema"]),
                    None => media.clone(),
                })
                .unwrap_or_default(),
        }
    };
    Operation {
        id: words(&operation["operationId"]),
        method: method.to_ascii_uppercase(),
        path: path.to_owned(),
        title: words(&operation["summary"]),
        text: words(&operation["description"]),
        parameters: items(shared).chain(items(&operation["parameters"])).map(parameter).collect(),
        body: schema.map(|schema| fields(document, schema)).unwrap_or_default(),
        answers: members(&operation["responses"]).map(answer).collect(),
        example: words(&operation["x-example"]),
    }
}

fn objects(document: &Value) -> Vec<Object> {
    members(&document["components"]["schemas"])
        .filter(|(_, schema)| schema["properties"].is_object())
        .map(|(name, schema)| Object {
            name: name.clone(),
            text: words(&schema["description"]),
            members: fields(document, schema),
        })
        .collect()
}

fn fields(document: &Value, schema: &Value) -> Vec<Member> {
    let required = |name: &str| items(&schema["required"]).any(|held| held.as_str() == Some(name));
    members(&schema["properties"])
        .map(|(name, field)| Member {
            name: name.clone(),
            place: String::new(),
            kind: kind(document, field),
            required: required(name),
            text: words(&field["description"]),
        })
        .collect()
}

/// The type of a value in a few words.
fn kind(document: &Value, schema: &Value) -> String {
    if let Some(path) = schema["$ref"].as_str() {
        let name = path.rsplit('/').next().unwrap_or_default();
        let held = resolved(document, schema);
        // Which categories there are is the operator's to say; here is only that they are names of some.
        let named = held["properties"].is_object() || held["enum"].as_array().is_some_and(Vec::is_empty);
        return if named { name.to_owned() } else { kind(document, held) };
    }
    if let Some(options) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        return options.iter().map(|option| kind(document, option)).collect::<Vec<_>>().join(" or ");
    }
    if let Some(constant) = schema.get("const") {
        return constant.to_string();
    }
    if let Some(choices) = schema["enum"].as_array() {
        let words: Vec<String> =
            choices.iter().map(|choice| choice.as_str().map_or_else(|| choice.to_string(), str::to_owned)).collect();
        return words.join(" | ");
    }
    let named = |kind: &Value| match kind.as_str() {
        Some("array") => format!("list of {}", kind_of_items(document, schema)),
        Some("string") => schema["format"].as_str().map_or("string".to_owned(), str::to_owned),
        Some(kind) => kind.to_owned(),
        None => "any".to_owned(),
    };
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().map(named).collect::<Vec<_>>().join(" or "),
        one => named(one),
    }
}

fn kind_of_items(document: &Value, schema: &Value) -> String {
    kind(document, &schema["items"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_whole() {
        let document = &*DOCUMENT;
        assert_eq!(document["openapi"], "3.1.0");
        let groups = groups(document);
        let count: usize =
            members(&document["paths"]).map(|(_, path)| members(path).filter(|(name, _)| *name != "parameters").count()).sum();
        assert_eq!(groups.iter().map(|group| group.calls.len()).sum::<usize>(), count, "each call has one tag");
        for call in groups.iter().flat_map(|group| &group.calls) {
            assert!(!call.title.is_empty() && !call.text.is_empty() && !call.answers.is_empty(), "{call:?}");
            assert!(
                call.parameters.iter().chain(&call.body).all(|member| !member.name.is_empty() && !member.text.is_empty()),
                "{call:?}"
            );
        }
        assert!(objects(document).iter().all(|object| !object.text.is_empty()));
        // Every problem that a call can answer with is among those that are described.
        let codes = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].as_array().unwrap();
        let known: Vec<&str> = PROBLEMS.iter().map(|kind| kind.code).collect();
        assert_eq!(codes.iter().filter_map(Value::as_str).collect::<Vec<_>>(), known);
    }
}
