//! JSON Schema (2020-12) of what archives hold.
//!
//! Only keywords of the standard are used, and none whose meaning depends on a validator's settings: no `format`, since a database may hold an
//! e-mail address that is none, and the archive is right to tell it as it is.

use serde_json::{Map, Value, json};

use super::contents::{Contents, FieldContents, SectionContents, Type};
use super::{ALL_DATA, Catalogue};

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of a category's part of the document, by the catalogue alone. Null when there is no such category.
pub fn of_category(catalogue: &Catalogue, name: &str) -> Value {
    category(&Contents::of(catalogue), name)
}

/// The schema of a category's part of the document. It holds for archives of several categories too, but for that of `all_data`, which allows
/// nothing beside its sections. Null when there is no such category.
pub fn category(contents: &Contents, name: &str) -> Value {
    let Some((name, category)) = contents.category(name) else { return Value::Null };
    let best = |texts: &std::collections::BTreeMap<String, String>| texts.get("en").cloned().unwrap_or_default();
    let whole = name == ALL_DATA;
    let mut tree = Tree::default();
    let mut rows = Map::new();
    for section in contents.sections_of(name) {
        let reference = if section.shape == "value" || section.constant.is_some() {
            None
        } else {
            let key = definition(&section.path, &rows);
            rows.insert(key.clone(), row(section));
            Some(json!({ "$ref": format!("#/$defs/{key}") }))
        };
        tree.insert(&section.path, value(section, reference));
    }
    let mut schema = Map::new();
    schema.insert("$schema".into(), DRAFT.into());
    schema.insert("$id".into(), id(contents, name, "document").into());
    schema.insert("title".into(), best(&category.title).into());
    schema.insert("description".into(), best(&category.text).into());
    let comment = if whole {
        format!("{}, edition {}: everything", contents.document, contents.edition)
    } else {
        format!(
            "{}, edition {}, category {name}; sections of other categories may stand beside its own",
            contents.document, contents.edition
        )
    };
    schema.insert("$comment".into(), comment.into());
    schema.extend(tree.schema(whole));
    if !rows.is_empty() {
        schema.insert("$defs".into(), Value::Object(rows));
    }
    Value::Object(schema)
}

/// The schema of one line of the section's NDJSON file.
pub fn line(contents: &Contents, section: &SectionContents) -> Value {
    let mut schema = Map::new();
    schema.insert("$schema".into(), DRAFT.into());
    schema.insert("$id".into(), id(contents, &section.file, "line").into());
    let Value::Object(row) = line_of(section) else { return Value::Null };
    schema.extend(row);
    Value::Object(schema)
}

fn line_of(section: &SectionContents) -> Value {
    let last = section.path.last().cloned().unwrap_or_default();
    let one = |schema: Value| {
        json!({
            "title": section.name(),
            "type": "object",
            "properties": { last.as_str(): schema },
            "required": [last.as_str()],
            "additionalProperties": false,
        })
    };
    if let Some(constant) = &section.constant {
        return one(json!({ "const": constant }));
    }
    if section.shape == "value" {
        return one(only_field(section));
    }
    let mut schema = row(section);
    if let (Some(key), Some(object)) = (&section.key, schema.as_object_mut()) {
        let mut properties = Map::new();
        properties.insert(key.name.clone(), json!({ "type": "string", "description": key_words(section) }));
        if let Some(Value::Object(others)) = object.get("properties") {
            properties.extend(others.clone());
        }
        object.insert("properties".into(), properties.into());
        let mut required = vec![Value::from(key.name.as_str())];
        if let Some(Value::Array(others)) = object.get("required") {
            required.extend(others.iter().cloned());
        }
        object.insert("required".into(), required.into());
    }
    schema
}

fn key_words(section: &SectionContents) -> String {
    let words = section.key.as_ref().map(about).unwrap_or_default();
    match section.shape.as_str() {
        "groups" => join("The group that the row is of.", &words),
        _ => join("The key of the row.", &words),
    }
}

fn join(first: &str, second: &str) -> String {
    if second.is_empty() { first.to_owned() } else { format!("{first} {second}") }
}

/// `urn:portward:shop_data.json:2026-11-22:orders:document`; what a name may not hold is written as `%..`.
fn id(contents: &Contents, name: &str, of: &str) -> String {
    let mut id = "urn:portward".to_owned();
    for part in [contents.document.as_str(), contents.edition.as_str(), name, of] {
        id.push(':');
        for byte in part.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => id.push(char::from(byte)),
                _ => id.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    id
}

/// A name for a section's rows that needs no escaping in a reference.
fn definition(path: &[String], taken: &Map<String, Value>) -> String {
    let plain = |key: &String| key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect::<String>();
    let name = path.iter().map(plain).collect::<Vec<_>>().join(".");
    let mut unique = name.clone();
    let mut number = 1;
    while taken.contains_key(&unique) {
        number += 1;
        unique = format!("{name}-{number}");
    }
    unique
}

/// The objects that lead to sections.
#[derive(Default)]
struct Tree {
    nodes: Vec<(String, Node)>,
}

enum Node {
    Inner(Tree),
    Section(Value),
}

impl Tree {
    fn insert(&mut self, path: &[String], schema: Value) {
        let Some((key, rest)) = path.split_first() else { return };
        if rest.is_empty() {
            self.nodes.push((key.clone(), Node::Section(schema)));
            return;
        }
        let known = self.nodes.iter().position(|(name, _)| name == key);
        let at = known.unwrap_or_else(|| {
            self.nodes.push((key.clone(), Node::Inner(Tree::default())));
            self.nodes.len() - 1
        });
        if let Some((_, Node::Inner(tree))) = self.nodes.get_mut(at) {
            tree.insert(rest, schema);
        }
    }

    fn schema(self, whole: bool) -> Map<String, Value> {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for (key, node) in self.nodes {
            required.push(Value::from(key.as_str()));
            let schema = match node {
                Node::Section(schema) => schema,
                Node::Inner(tree) => Value::Object(tree.schema(whole)),
            };
            properties.insert(key, schema);
        }
        let mut schema = Map::new();
        schema.insert("type".into(), "object".into());
        schema.insert("properties".into(), properties.into());
        schema.insert("required".into(), required.into());
        if whole {
            schema.insert("additionalProperties".into(), false.into());
        }
        schema
    }
}

/// A section's value in the document.
fn value(section: &SectionContents, row: Option<Value>) -> Value {
    let mut schema = Map::new();
    schema.insert("title".into(), section.path.last().cloned().unwrap_or_default().into());
    schema.insert("description".into(), words(section).into());
    if let Some(constant) = &section.constant {
        schema.insert("const".into(), constant.clone());
        return Value::Object(schema);
    }
    let empty: Value = serde_json::from_str(&section.empty).unwrap_or_default();
    let row = row.unwrap_or(Value::Bool(true));
    let full = match section.shape.as_str() {
        "list" => json!({ "type": "array", "items": row, "minItems": 1 }),
        "groups" => json!({
            "type": "object",
            "minProperties": 1,
            "additionalProperties": { "type": "array", "items": row, "minItems": 1 },
        }),
        "map" => json!({ "type": "object", "minProperties": 1, "additionalProperties": row }),
        "value" => only_field(section),
        _ => row,
    };
    match (full, &empty) {
        // A list that may be empty, an object that may be, and what may also be null, are said shortly.
        (Value::Object(mut full), Value::Array(_)) if full.get("type") == Some(&json!("array")) => {
            full.remove("minItems");
            schema.extend(full);
        }
        (Value::Object(mut full), Value::Object(_)) if full.contains_key("minProperties") => {
            full.remove("minProperties");
            schema.extend(full);
        }
        (Value::Object(mut full), Value::Null) if full.get("type").is_some_and(Value::is_string) => {
            let kind = full.get("type").cloned().unwrap_or_default();
            full.insert("type".into(), json!([kind, "null"]));
            schema.extend(full);
        }
        // Anything, whatever stands for none.
        (full, _) if is_anything(&full) => {}
        (full, empty) => {
            schema.insert("anyOf".into(), json!([full, { "const": empty }]));
        }
    }
    Value::Object(schema)
}

fn is_anything(schema: &Value) -> bool {
    match schema {
        Value::Bool(true) => true,
        Value::Object(object) => object.keys().all(|key| matches!(key.as_str(), "title" | "description")),
        _ => false,
    }
}

fn only_field(section: &SectionContents) -> Value {
    match section.fields.as_slice() {
        [only] => field(only),
        _ => Value::Object(Map::new()),
    }
}

/// What the section is, in a sentence or two.
pub(super) fn words(section: &SectionContents) -> String {
    let shape = match section.shape.as_str() {
        "list" => "A list, one object a row.",
        "object" => "One object.",
        "groups" => "An object: each group's key holds the list of its rows.",
        "map" => "An object: each row under its key.",
        "value" => "One value.",
        _ => "Always the same.",
    };
    let mut words = shape.to_owned();
    if section.constant.is_none() {
        words.push_str(&format!(" Where there is no data, it is {}.", section.empty));
    }
    if section.ranged {
        words.push_str(" A request's since and until hold for it.");
    }
    words
}

/// A row, as it stands in the document.
fn row(section: &SectionContents) -> Value {
    let mut schema = object(&section.fields, section.open);
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".into(), section.name().into());
    }
    schema
}

fn object(fields: &[FieldContents], open: bool) -> Value {
    let mut schema = Map::new();
    if open {
        schema.insert(
            "description".into(),
            "The catalogue does not declare all of its fields: those that are listed are what is known of them, and there may be others.".into(),
        );
    }
    schema.insert("type".into(), "object".into());
    let properties: Map<String, Value> = fields.iter().map(|of| (of.name.clone(), field(of))).collect();
    schema.insert("properties".into(), properties.into());
    let required: Vec<&str> = fields.iter().filter(|field| field.is_promised()).map(|field| field.name.as_str()).collect();
    schema.insert("required".into(), required.into());
    schema.insert("additionalProperties".into(), open.into());
    Value::Object(schema)
}

fn field(field: &FieldContents) -> Value {
    let mut schema = Map::new();
    let about = about(field);
    if !about.is_empty() {
        schema.insert("description".into(), about.into());
    }
    match field.kind {
        Type::String | Type::Timestamp | Type::Date => {
            schema.insert("type".into(), json!(["string", "null"]));
            if field.rule.as_deref() == Some("pseudonym") {
                schema.insert("pattern".into(), "^[0-9a-f]{24}$".into());
            }
        }
        Type::Integer => {
            schema.insert("type".into(), json!(["integer", "null"]));
        }
        Type::Number => {
            schema.insert("anyOf".into(), json!([{ "type": ["number", "null"] }, { "enum": ["NaN", "Infinity", "-Infinity"] }]));
        }
        Type::Boolean => {
            schema.insert("type".into(), json!(["boolean", "null"]));
        }
        Type::Json | Type::Any => {}
        Type::Rows => {
            schema.insert("type".into(), "array".into());
            schema.insert("items".into(), object(&field.fields, field.open));
        }
    }
    Value::Object(schema)
}

/// What there is to say about a field, in sentences.
pub(super) fn about(field: &FieldContents) -> String {
    let mut said: Vec<String> = Vec::new();
    if let Some(meaning) = &field.meaning {
        let end = if meaning.trim_end().ends_with(['.', '!', '?']) { "" } else { "." };
        said.push(format!("{}{end}", meaning.trim_end()));
    }
    match field.kind {
        Type::Timestamp => said.push(format!("A moment in UTC, written as {}.", field.written.as_deref().unwrap_or_default())),
        Type::Date => said.push(format!("A day, written as {}.", field.written.as_deref().unwrap_or_default())),
        Type::Json => said.push("JSON, as the source holds it.".to_owned()),
        Type::Any if !field.declared => said.push("The catalogue does not say what it is.".to_owned()),
        Type::Rows => said.push("Rows that belong to this one; an empty list where there are none.".to_owned()),
        _ => {}
    }
    said.extend(field.format.as_deref().filter(|_| field.rule.is_none()).map(|form| format!("{}.", form_words(form))));
    let rule = match field.rule.as_deref() {
        Some("minimal") => Some("Of the value only as little is told as tells one from another."),
        Some("pseudonym") if field.stable.is_some() => Some("A pseudonym stands for the value, the same throughout one archive."),
        Some("pseudonym") => Some("A pseudonym stands for the value, the same in all archives of a grant."),
        Some("open_id") => Some("The person, as the app knows them."),
        _ => None,
    };
    said.extend(rule.map(str::to_owned));
    let whose = match field.whose.as_deref() {
        Some("other") => Some("It is somebody else's data."),
        Some("shared") => Some("It is the person's and others' data."),
        _ => None,
    };
    said.extend(whose.map(str::to_owned));
    let origin = match field.origin.as_deref() {
        Some("provided") => Some("The person gave it."),
        Some("observed") => Some("It was seen as the person used the service."),
        Some("derived") => Some("It was worked out from other data."),
        _ => None,
    };
    said.extend(origin.map(str::to_owned));
    said.join(" ")
}

fn form_words(form: &str) -> &str {
    match form {
        "email" => "An e-mail address",
        "phone" => "A telephone number",
        "name" => "A person's name",
        "uri" => "A URI",
        "uuid" => "A UUID",
        "ipv4" => "An IPv4 address",
        "ipv6" => "An IPv6 address",
        "hostname" => "A host's name",
        "country" => "A country's code of ISO 3166",
        "language" => "A language's tag of BCP 47",
        "currency" => "A currency's code of ISO 4217",
        other => other,
    }
}
