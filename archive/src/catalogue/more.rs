//! Keys of the person, nested rows and look-ups, from TOML to types.

use toml::de::DeValue;

use super::fields::read_fields;
use super::file::Table;
use super::media::read_media;
use super::parse::{read_owner, time_from};
use super::{Lookup, Missing, Nest, Owner, Query, Section, SubjectKey};
use crate::subject::SubjectType;

const SUBJECT_TYPES: &[(&str, SubjectType)] =
    &[("integer", SubjectType::Integer), ("text", SubjectType::Text), ("uuid", SubjectType::Uuid)];

/// The binds that are no keys.
const TAKEN: [&str; 4] = ["subject", "since", "until", "keys"];

/// `[subject.key.NAME]`
pub(super) fn read_key(name: String, table: Table<'_, '_, '_>) -> Option<SubjectKey> {
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 40;
    if !plain || TAKEN.contains(&name.as_str()) {
        table.file.fault_at(
            &table.place(),
            format!("\"{name}\" cannot be the name of a key"),
            "use the letters a to z, digits and _, beginning with a letter, and not subject, since, until or keys",
        );
    }
    if !table.has("type") {
        table.missing("type", "say what its values are: type = \"integer\", \"text\" or \"uuid\"");
    }
    let kind = table.choice("type", SUBJECT_TYPES).unwrap_or(SubjectType::Text);
    let source = table.required("source", "name one of the [source.NAME] tables");
    let sql = table.required("query", "write the select that finds the person's values, with :subject for the person");
    let (owner, owner_is) = if table.has("owner") { read_owner(&table) } else { (Owner::Unchecked(String::new()), None) };
    if owner_is.is_some() {
        table.fault("owner_is", "the owner of a key is the subject", "take `owner_is` out");
    }
    let place = table.place();
    let query = Query {
        source: source.map(|at| at.value).unwrap_or_default(),
        sql: sql.map(|at| at.value).unwrap_or_default(),
        owner,
        owner_is: None,
        key: Vec::new(),
        time: None,
        time_from: None,
        time_as: None,
        hidden: Vec::new(),
        range: None,
        paired: Vec::new(),
    };
    let key = SubjectKey {
        many: table.flag("many").unwrap_or(false),
        missing: table.choice("missing", Missing::WORDS).unwrap_or(Missing::Fail),
        kind,
        section: Section {
            shape: super::Shape::Value,
            ..Section::inner(vec![format!("[subject.key.{name}]")], query, Vec::new(), place.clone())
        },
        name,
        place,
    };
    table.get("owner_reason");
    table.get("reason");
    table.finish();
    Some(key)
}

/// The tables of `[[section.nest]]`.
pub(super) fn read_nests(section: &Table<'_, '_, '_>, path: &[String], outer: Option<&Query>) -> Vec<Nest> {
    section.tables("nest", "[[section.nest]]").into_iter().filter_map(|table| read_nest(table, path, outer)).collect()
}

fn read_nest(table: Table<'_, '_, '_>, path: &[String], outer: Option<&Query>) -> Option<Nest> {
    let field = table.required("field", "name the key that holds the rows: field = \"Items\"");
    let source = table.word("source").map(|at| at.value).or_else(|| outer.map(|query| query.source.clone()));
    let sql = table.required("query", "write the select that reads the rows of all of the person's, in the section's order");
    let (owner, owner_is) = read_owner(&table);
    let hidden = table.texts("hidden").unwrap_or_default();
    let on = read_on(&table);
    let query = Query {
        source: source.unwrap_or_default(),
        sql: sql.as_ref().map(|at| at.value.clone()).unwrap_or_default(),
        owner,
        owner_is,
        key: on.iter().map(|(_, inner)| inner.clone()).collect(),
        range: None,
        paired: on.iter().map(|(_, inner)| inner.clone()).collect(),
        time: None,
        time_from: time_from(&table),
        time_as: None,
        hidden: hidden.into_iter().map(|at| at.value).collect(),
    };
    let fields = read_fields(&table, Some(&query), "[section.nest.fields]");
    let media = read_media(&table, "[section.nest.media]");
    let place = table.place();
    table.finish();
    let field = field?.value;
    let mut path = path.to_vec();
    path.push(field.clone());
    let section = Section { media, ..Section::inner(path, query, fields, place) };
    sql.map(|_| Nest { field, section, on })
}

/// `on = ["order_id"]`, or `on = { id = "order_id" }` where the columns have other names.
fn read_on(table: &Table<'_, '_, '_>) -> Vec<(String, String)> {
    const CURE: &str =
        "name the columns that must be equal: on = [\"order_id\"], or on = { id = \"order_id\" }, the section's column first";
    let Some(value) = table.get("on") else {
        table.missing("on", CURE);
        return Vec::new();
    };
    let on = match value.get_ref() {
        DeValue::Array(_) => {
            table.texts("on").unwrap_or_default().into_iter().map(|at| (at.value.clone(), at.value)).collect::<Vec<_>>()
        }
        DeValue::Table(pairs) => pairs
            .iter()
            .filter_map(|(outer, inner)| Some((outer.get_ref().to_string(), inner.get_ref().as_str()?.to_owned())))
            .collect(),
        _ => Vec::new(),
    };
    let whole = match value.get_ref() {
        DeValue::Table(pairs) => pairs.len(),
        DeValue::Array(items) => items.len(),
        _ => 0,
    };
    if on.is_empty() || on.len() != whole || on.len() > 8 {
        table.fault("on", "`on` does not pair one to eight columns", CURE);
    }
    on
}

/// The tables of `[[section.lookup]]`.
pub(super) fn read_lookups(section: &Table<'_, '_, '_>, path: &[String]) -> Vec<Lookup> {
    section.tables("lookup", "[[section.lookup]]").into_iter().filter_map(|table| read_lookup(table, path)).collect()
}

fn read_lookup(table: Table<'_, '_, '_>, path: &[String]) -> Option<Lookup> {
    let column = table.required("column", "name the section's column that holds the value: column = \"product_id\"");
    let source = table.required("source", "name one of the [source.NAME] tables");
    let sql = table.required("query", "write the select that fetches them: select id, name from products where id in (:keys)");
    let key = table.required("key", "name the query's column that holds the value: key = \"id\"");
    let mut fields = Vec::new();
    match table.table("fields", "`fields` of [[section.lookup]]") {
        Some(entries) => {
            for (name, span, value) in entries.entries() {
                match value.get_ref() {
                    DeValue::String(field) if !field.is_empty() => fields.push((name.to_owned(), field.to_string())),
                    _ => table.file.fault(
                        span.start,
                        format!("`{name}` in `fields` of [[section.lookup]] is no name"),
                        "write fields = { name = \"Product\" }: the query's column, and what it is called in the archive",
                    ),
                }
            }
        }
        None if !table.has("fields") => {
            table.missing("fields", "say what is written: fields = { name = \"Product\" }");
        }
        None => {}
    }
    if !table.has("owner") {
        table.missing(
            "owner",
            "look-ups are of things and not of people: write owner = \"unchecked\" and an owner_reason that says so",
        );
        table.get("owner");
    }
    let (owner, _) = if table.has("owner") { read_owner(&table) } else { (Owner::Unchecked(String::new()), None) };
    if let Owner::Column(_) = owner {
        table.fault(
            "owner",
            "a look-up fetches by values and not by person, so it has no owner to compare",
            "write owner = \"unchecked\" and an owner_reason; people's data belongs into a section or [[section.nest]]",
        );
    }
    for name in ["owner_reason", "reason", "owner_is"] {
        table.get(name);
    }
    let batch = table.integer("batch", 1..=1_000).unwrap_or(500) as usize;
    let kind = table.choice("type", SUBJECT_TYPES);
    let place = table.place();
    table.finish();
    let (column, sql, key) = (column?.value, sql?.value, key?.value);
    let mut path = path.to_vec();
    path.push(format!("look-up of {column}"));
    let mut columns = vec![key.clone()];
    columns.extend(fields.iter().map(|(name, _)| name.clone()).filter(|name| *name != key));
    let query = Query {
        source: source.map(|at| at.value).unwrap_or_default(),
        sql,
        owner,
        owner_is: None,
        key: columns,
        time: None,
        time_from: None,
        time_as: None,
        hidden: Vec::new(),
        range: None,
        paired: Vec::new(),
    };
    Some(Lookup { column, section: Section::inner(path, query, Vec::new(), place), key, fields, kind, batch })
}
