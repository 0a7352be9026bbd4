//! `[[section]]`.

use serde_spanned::Spanned;
use toml::de::DeValue;

use crate::catalogue::fields::{TIME_FROM, one_line, read_fields, template, time_format};
use crate::catalogue::file::Table;
use crate::catalogue::more::{read_lookups, read_nests};
use crate::catalogue::{Empty, Owner, Query, Section, Shape, TimeFrom, excuse, media, rules};

const RESERVED_IN_SECTION: &[&str] = &["changed", "lag", "deleted"];

pub(super) fn read_section(table: Table<'_, '_, '_>) -> Option<Section> {
    let path = table.texts("path");
    if !table.has("path") {
        table.missing("path", "write the keys that lead to it: path = [\"Your Activity\", \"Searches\", \"SearchList\"]");
    }
    let path: Vec<String> = path.unwrap_or_default().into_iter().map(|at| at.value).collect();
    if table.has("path") && (path.is_empty() || path.len() > 16 || path.iter().any(|key| key.is_empty())) {
        table.fault(
            "path",
            "`path` must have between 1 and 16 keys, none of them empty",
            "write path = [\"Your Activity\", \"Searches\"]",
        );
    }
    let categories = table.texts("categories");
    if categories.is_none() && !table.has("categories") {
        table.missing("categories", "write categories = [\"activity\"], or [] for what only all_data takes");
    }
    let shape = read_shape(&table);
    let constant = matches!(shape, Shape::Constant(_));
    let text = match table.word("text") {
        Some(text) => Some(text.value).filter(|name| text_path_is_safe(&table, "text", name)),
        None if constant || table.has("text") => None,
        None => {
            let name = path.iter().take(2).map(String::as_str).collect::<Vec<_>>().join("/") + ".txt";
            text_path_is_safe(&table, "path", &name).then_some(name)
        }
    };
    let default_empty = match shape {
        Shape::List => Empty::List,
        Shape::Value | Shape::Constant(_) => Empty::Null,
        _ => Empty::Object,
    };
    let empty =
        table.choice("empty", &[("null", Empty::Null), ("[]", Empty::List), ("{}", Empty::Object)]).unwrap_or(default_empty);
    let query = if constant {
        for key in [
            "source",
            "query",
            "owner",
            "owner_is",
            "owner_reason",
            "reason",
            "key",
            "time",
            "time_from",
            "time_as",
            "hidden",
            "fields",
            "text_line",
            "nest",
            "lookup",
            "media",
        ] {
            // Asked for, so that it is not told a second time as unknown.
            if table.get(key).is_some() {
                table.fault(key, format!("a constant has no `{key}`"), "take it out, or choose another shape");
            }
        }
        None
    } else {
        read_query(&table, &shape)
    };
    let fields = if constant { Vec::new() } else { read_fields(&table, query.as_ref(), "[section.fields]") };
    let media = if constant { None } else { media::read_media(&table, "[section.media]") };
    let nests = if constant { Vec::new() } else { read_nests(&table, &path, query.as_ref()) };
    let lookups = if constant { Vec::new() } else { read_lookups(&table, &path) };
    let text_line = if constant { None } else { template(&table, "text_line") };
    let text_group = template(&table, "text_group");
    let mut section = Section {
        categories: categories.unwrap_or_default().into_iter().map(|at| at.value).collect(),
        path,
        text,
        empty,
        query,
        fields,
        media,
        nests,
        lookups,
        text_line,
        text_group,
        text_title: one_line(&table, "text_title"),
        text_empty: one_line(&table, "text_empty"),
        shared: excuse::read_shared(&table, constant),
        shape,
        place: table.place(),
    };
    let range = section.time_unit();
    for query in section.nests.iter_mut().filter_map(|nest| nest.section.query.as_mut()) {
        query.range = range.clone();
    }
    table.reserved(RESERVED_IN_SECTION);
    table.finish();
    Some(section)
}

fn read_shape(table: &Table<'_, '_, '_>) -> Shape {
    #[derive(Clone, Copy, PartialEq)]
    enum Word {
        List,
        Object,
        Groups,
        Map,
        Value,
        Constant,
    }
    if !table.has("shape") {
        table.missing("shape", "write shape = \"list\", \"object\", \"groups\", \"map\", \"value\" or \"constant\"");
    }
    let word = table.choice(
        "shape",
        &[
            ("list", Word::List),
            ("object", Word::Object),
            ("groups", Word::Groups),
            ("map", Word::Map),
            ("value", Word::Value),
            ("constant", Word::Constant),
        ],
    );
    let grouped = matches!(word, Some(Word::Groups | Word::Map));
    let key_is_text = table.get("key").is_some_and(|value| value.get_ref().is_str());
    let mut column = table.word("group").map(|at| at.value);
    if key_is_text && grouped && column.is_none() {
        column = table.word("key").map(|at| at.value);
    }
    if grouped && column.is_none() && !table.has("group") {
        table.missing("group", "name the column whose values become the keys: group = \"chat\"");
    }
    if !grouped && word.is_some() && table.has("group") {
        table.fault("group", "`group` is only for the shapes \"groups\" and \"map\"", "take it out, or choose one of them");
    }
    if !grouped && word.is_some() && table.has("text_group") {
        table.fault(
            "text_group",
            "`text_group` is only for the shapes \"groups\" and \"map\"",
            "take it out, or choose one of them",
        );
    }
    if word != Some(Word::Constant) && word.is_some() && table.has("value") {
        table.fault("value", "`value` is only for the shape \"constant\"", "take it out, or choose that shape");
    }
    let value = table.get("value");
    match word {
        Some(Word::Object) => Shape::Object,
        Some(Word::Groups) => Shape::Groups(column.unwrap_or_default()),
        Some(Word::Map) => Shape::Map(column.unwrap_or_default()),
        Some(Word::Value) => Shape::Value,
        Some(Word::Constant) => {
            let json = match value {
                Some(value) => match to_json(value) {
                    Ok(json) => json.to_string(),
                    Err(at) => {
                        table.file.fault(at, "this value has no form in JSON", "write a string instead of a date, inf or nan");
                        "null".to_owned()
                    }
                },
                None => match table.get("empty").and_then(|value| value.get_ref().as_str()) {
                    Some(empty) => empty.to_owned(),
                    None => {
                        table.missing("value", "write value = 0, or empty = \"{}\" for one of the three empties");
                        "null".to_owned()
                    }
                },
            };
            Shape::Constant(json)
        }
        Some(Word::List) | None => Shape::List,
    }
}

fn to_json(value: &Spanned<DeValue<'_>>) -> Result<serde_json::Value, usize> {
    use serde_json::Value;
    let at = value.span().start;
    Ok(match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).map_err(|_| at)?.into(),
        DeValue::Float(number) => {
            let number: f64 = number.as_str().parse().map_err(|_| at)?;
            Value::Number(serde_json::Number::from_f64(number).ok_or(at)?)
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(_) => return Err(at),
        DeValue::Array(items) => Value::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        DeValue::Table(table) => Value::Object(
            table.iter().map(|(key, value)| Ok((key.get_ref().to_string(), to_json(value)?))).collect::<Result<_, usize>>()?,
        ),
    })
}

fn read_query(table: &Table<'_, '_, '_>, shape: &Shape) -> Option<Query> {
    let source = table.required("source", "name one of the [source.NAME] tables");
    let sql = table.required("query", "write the select that reads one person's rows, with :subject for the person");
    let (owner, owner_is) = read_owner(table);
    let grouped = matches!(shape, Shape::Groups(_) | Shape::Map(_));
    let key_is_text = table.get("key").is_some_and(|value| value.get_ref().is_str());
    let key = if grouped && key_is_text && !table.has("group") { None } else { table.texts("key") };
    let time = table.word("time").map(|at| at.value);
    let (time_from, time_as) = (time_from(table), time_format(table, "time_as").map(|(_, format)| format));
    if time.is_none() {
        for key in ["time_from", "time_as"] {
            if table.has(key) {
                table.fault(key, format!("`{key}` is given, but no `time`"), "name the column of `time`, or take it out");
            }
        }
    }
    if time_as.is_some() && time_from.is_some_and(|from| from != TimeFrom::Text) {
        table.fault("time_as", "`time_as` is only for times that are texts", "take it out, or write time_from = \"text\"");
    }
    let hidden = table.texts("hidden").unwrap_or_default();
    let sql = sql?;
    rules::query(table, &sql, time.as_deref());
    Some(Query {
        source: source.map(|at| at.value).unwrap_or_default(),
        sql: sql.value,
        owner,
        owner_is,
        key: key.unwrap_or_default().into_iter().map(|at| at.value).collect(),
        time,
        time_from,
        time_as,
        hidden: hidden.into_iter().map(|at| at.value).collect(),
        range: None,
        paired: Vec::new(),
    })
}

/// Whose rows these are, and the key that says so where it is not the subject.
pub(in crate::catalogue) fn read_owner(table: &Table<'_, '_, '_>) -> (Owner, Option<String>) {
    let reason = table.word("owner_reason").or_else(|| table.word("reason"));
    let owner_is = table.word("owner_is");
    let owner = match table.word("owner") {
        Some(owner) if owner.value == "unchecked" => match &reason {
            Some(reason) => Owner::Unchecked(reason.value.clone()),
            None => {
                table.fault(
                    "owner",
                    "the owner of these rows is not checked, and nothing says why",
                    "name the owner's column, or add owner_reason = \"..\"; `portward check` lists it",
                );
                Owner::Unchecked(String::new())
            }
        },
        Some(owner) => {
            if reason.is_some() {
                table.fault(
                    "owner",
                    "a reason is given, but the owner is checked",
                    "take the reason out, or write owner = \"unchecked\"",
                );
            }
            Owner::Column(owner.value)
        }
        None => {
            if !table.has("owner") {
                table.missing(
                    "owner",
                    "name the column that says whose row it is, so that a wrong join serves nobody else's rows; \
                     owner = \"unchecked\" needs an owner_reason",
                );
            }
            Owner::Unchecked(String::new())
        }
    };
    if let (Some(_), Owner::Unchecked(_)) = (&owner_is, &owner) {
        table.fault(
            "owner_is",
            "`owner_is` is given, but no column of the owner",
            "name the owner's column, or take `owner_is` out",
        );
    }
    (owner, owner_is.map(|at| at.value))
}

/// How the compared column of `time` stores its times.
pub(in crate::catalogue) fn time_from(table: &Table<'_, '_, '_>) -> Option<TimeFrom> {
    table.choice("time_from", TIME_FROM)
}

fn text_path_is_safe(table: &Table<'_, '_, '_>, key: &'static str, path: &str) -> bool {
    let fault = if path.split('/').count() > 8 {
        Some("it is nested too deep")
    } else {
        path.split('/').find_map(rules::unsafe_file_name)
    };
    if let Some(fault) = fault {
        table.fault(
            key,
            format!("\"{path}\" cannot be a file in a TXT archive: {fault}"),
            "write text = \"Folder/File.txt\" with names that every system can hold",
        );
    }
    fault.is_none()
}
