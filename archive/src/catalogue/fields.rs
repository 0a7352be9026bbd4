//! The fields of a section, and the one-line texts around them.

use toml::de::DeValue;

use super::file::Table;
use super::{Field, FieldKind, Format, Origin, Part, Query, Rule, Stable, Template, TimeField, TimeFormat, TimeFrom, Whose};

/// The words for how a time is stored.
pub(super) const TIME_FROM: &[(&str, TimeFrom)] =
    &[("unix_ms", TimeFrom::Millis), ("unix_s", TimeFrom::Seconds), ("unix_us", TimeFrom::Micros), ("text", TimeFrom::Text)];

pub(super) fn read_fields(table: &Table<'_, '_, '_>, query: Option<&Query>, title: &str) -> Vec<Field> {
    let Some(fields) = table.table("fields", title) else { return Vec::new() };
    let mut read = Vec::new();
    for (name, span, value) in fields.entries() {
        let DeValue::Table(entries) = value.get_ref() else {
            fields.file.fault(span.start, format!("`{name}` in {title} is not a table"), "write NAME = { type = \"string\" }");
            continue;
        };
        let field = Table::new(fields.file, format!("the field `{name}`"), entries, span.start);
        if let Some(kind) = read_field_kind(&field) {
            read.push(declared(&field, name, kind));
        }
        if query.is_some_and(|query| query.hidden.iter().any(|column| column == name)) {
            field.file.fault(
                span.start,
                format!("the field `{name}` is also hidden"),
                "take it out of `hidden` or out of the fields",
            );
        }
        for key in ["label", "whose", "rule", "stable", "meaning", "origin", "format"] {
            field.get(key);
        }
        field.finish();
    }
    read
}

/// What is said of a field beside its type; what does not go together is refused here.
fn declared(table: &Table<'_, '_, '_>, name: &str, kind: FieldKind) -> Field {
    let whose = table.choice("whose", Whose::WORDS);
    let rule = table.choice("rule", Rule::WORDS);
    let stable = table.choice("stable", Stable::WORDS);
    let format = table.choice("format", Format::WORDS);
    if whose == Some(Whose::Other) && !table.has("rule") {
        table.fault(
            "whose",
            format!("the field `{name}` is somebody else's, and nothing says what becomes of it"),
            "add rule = \"keep\", \"minimal\", \"pseudonym\" or \"omit\"",
        );
    }
    if rule == Some(Rule::OpenId) && whose != Some(Whose::Own) {
        table.fault(
            "rule",
            format!("the field `{name}` is to become the person's open_id, but is not said to be theirs"),
            "add whose = \"self\", or choose rule = \"pseudonym\"",
        );
    }
    if stable.is_some() && rule != Some(Rule::Pseudonym) {
        table.fault("stable", "`stable` is only for rule = \"pseudonym\"", "take it out, or choose that rule");
    }
    if matches!(rule, Some(Rule::Pseudonym | Rule::OpenId | Rule::Minimal)) && !matches!(kind, FieldKind::String) {
        table.fault(
            "rule",
            format!("the rule of the field `{name}` writes a text, and its type is another"),
            "write type = \"string\", or choose rule = \"omit\"",
        );
    }
    if rule == Some(Rule::Minimal) && !matches!(format, Some(Format::Email | Format::Phone | Format::Name)) {
        table.fault(
            "rule",
            "the rule \"minimal\" knows e-mail addresses, telephone numbers and names only",
            "add format = \"email\", \"phone\" or \"name\", or choose rule = \"pseudonym\" or \"omit\"",
        );
    }
    if format.is_some() && !matches!(kind, FieldKind::String) {
        table.fault("format", "`format` is only for the type \"string\"", "take it out, or change the type");
    }
    Field {
        name: name.to_owned(),
        kind,
        label: one_line(table, "label"),
        whose,
        rule: rule.unwrap_or_default(),
        stable: stable.unwrap_or_default(),
        meaning: one_line(table, "meaning"),
        origin: table.choice("origin", Origin::WORDS),
        format,
    }
}

fn read_field_kind(field: &Table<'_, '_, '_>) -> Option<FieldKind> {
    let from = field.choice("from", TIME_FROM);
    let json = time_format(field, "as");
    let text = time_format(field, "text_as");
    if !field.has("type") {
        field.missing(
            "type",
            "write type = \"string\", \"integer\", \"number\", \"boolean\", \"timestamp\", \"date\", \"json\" or \"any\"",
        );
    }
    let kind = field.choice(
        "type",
        &[
            ("string", FieldKind::String),
            ("integer", FieldKind::Integer),
            ("number", FieldKind::Number),
            ("boolean", FieldKind::Boolean),
            ("json", FieldKind::Json),
            ("any", FieldKind::Any),
            ("timestamp", FieldKind::Timestamp(timestamp(from, json.clone(), text.clone()))),
            ("date", FieldKind::Date(date(from, json, text))),
        ],
    )?;
    if !matches!(kind, FieldKind::Timestamp(_) | FieldKind::Date(_)) {
        for key in ["from", "as", "text_as"] {
            if field.has(key) {
                field.fault(
                    key,
                    format!("`{key}` is only for the types \"timestamp\" and \"date\""),
                    "take it out, or change the type",
                );
            }
        }
    }
    Some(kind)
}

fn timestamp(from: Option<TimeFrom>, json: Option<(String, TimeFormat)>, text: Option<(String, TimeFormat)>) -> TimeField {
    // TXT says the zone; JSON does not, unless the catalogue asks for it.
    let text = text.map(|(_, format)| format).unwrap_or_else(|| match &json {
        None => TimeFormat::date_time(" UTC"),
        Some((written, format)) if written.ends_with("UTC") => format.clone(),
        Some((written, format)) => TimeFormat::parse(&format!("{written} UTC")).unwrap_or_else(|_| format.clone()),
    });
    TimeField { from, json: json.map_or_else(|| TimeFormat::date_time(""), |(_, format)| format), text }
}

fn date(from: Option<TimeFrom>, json: Option<(String, TimeFormat)>, text: Option<(String, TimeFormat)>) -> TimeField {
    let json = json.map_or_else(TimeFormat::date, |(_, format)| format);
    TimeField { from, text: text.map_or_else(|| json.clone(), |(_, format)| format), json }
}

pub(super) fn time_format(field: &Table<'_, '_, '_>, key: &'static str) -> Option<(String, TimeFormat)> {
    let text = one_line(field, key)?;
    match TimeFormat::parse(&text) {
        Ok(format) => Some((text, format)),
        Err(what) => {
            field.fault(key, format!("\"{text}\" is not a strftime format: {what}"), "write one like \"%Y-%m-%d %H:%M:%S\"");
            None
        }
    }
}

pub(super) fn one_line(table: &Table<'_, '_, '_>, key: &'static str) -> Option<String> {
    let text = table.word(key)?;
    if text.value.chars().any(char::is_control) {
        table.fault(key, format!("`{key}` has a line break or another control character"), "write one line");
        return None;
    }
    Some(text.value)
}

/// `{Date} {From}: {Content}`; a doubled brace is a brace.
pub(super) fn template(table: &Table<'_, '_, '_>, key: &'static str) -> Option<Template> {
    let text = one_line(table, key)?;
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            literal.push_str(brace);
            rest = after;
            continue;
        }
        match rest.split_once('}').filter(|(name, _)| brace == "{" && !name.is_empty() && !name.contains('{')) {
            Some((name, after)) => {
                if !literal.is_empty() {
                    parts.push(Part::Literal(std::mem::take(&mut literal)));
                }
                parts.push(Part::Column(name.to_owned()));
                rest = after;
            }
            None => {
                table.fault(
                    key,
                    format!("`{key}` has a brace that names no column"),
                    "write {Column}, and {{ or }} for a brace itself",
                );
                return None;
            }
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Some(Template(parts))
}
