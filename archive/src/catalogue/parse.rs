//! From TOML to types. What can be judged by looking at one table is judged here, the rest in `rules`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::excuse::{self, Excuse};
use super::fields::{TIME_FROM, one_line, read_fields, template, time_format};
use super::file::{At, File, Table};
use super::more::{read_key, read_lookups, read_nests};
use super::{
    Address, Catalogue, CatalogueError, Category, Empty, Engine, Fault, HttpSpec, Included, Owner, Query, Section, Sensitivity,
    Shape, Snapshot, SourceSpec, StoreSpec, SubjectKey, Texts, TimeFrom, media, rules,
};
use crate::subject::SubjectType;

/// Longer catalogues are somebody's mistake; the shipped one is a hundredth of it.
const MAX_FILE: usize = 16 << 20;

pub(super) fn catalogue(name: &str, text: &str, include: &mut dyn FnMut(&str) -> Included) -> Result<Catalogue, CatalogueError> {
    let faults = RefCell::new(Vec::new());
    let mut draft = Draft::default();
    draft.main_file(name, text, include, &faults);
    let mut catalogue = draft.build(name, &faults);
    rules::check(&catalogue, &faults);
    let mut faults = faults.into_inner();
    if faults.is_empty() {
        catalogue.write_out_batches();
        Ok(catalogue)
    } else {
        faults.sort_by(|a, b| (a.file != name, &a.file, a.line).cmp(&(b.file != name, &b.file, b.line)));
        faults.dedup();
        Err(CatalogueError { faults })
    }
}

/// What has been read so far.
#[derive(Default)]
struct Draft {
    edition: Option<String>,
    document: Option<String>,
    text_root: Option<String>,
    subject: Option<SubjectType>,
    keys: Vec<SubjectKey>,
    sources: Vec<SourceSpec>,
    stores: Vec<StoreSpec>,
    categories: Vec<Category>,
    sections: Vec<Section>,
    excuses: Vec<Excuse>,
}

impl Draft {
    fn build(self, name: &str, faults: &RefCell<Vec<Fault>>) -> Catalogue {
        if self.sections.is_empty() && faults.borrow().is_empty() {
            faults.borrow_mut().push(Fault {
                file: name.to_owned(),
                line: None,
                what: "there is no [[section]]".to_owned(),
                cure: "declare at least one section, here or in an included file".to_owned(),
                warning: false,
            });
        }
        let document = self.document.unwrap_or_else(|| "data.json".to_owned());
        Catalogue {
            edition: self.edition.unwrap_or_default(),
            text_root: self.text_root.unwrap_or_else(|| document.trim_end_matches(".json").to_owned()),
            document,
            subject: self.subject.unwrap_or(SubjectType::Text),
            keys: self.keys,
            sources: self.sources,
            stores: self.stores,
            categories: self.categories,
            sections: self.sections,
            excuses: self.excuses,
        }
    }

    fn main_file(&mut self, name: &str, text: &str, include: &mut dyn FnMut(&str) -> Included, faults: &RefCell<Vec<Fault>>) {
        let file = File::new(name, text, faults);
        let Some(document) = syntax(&file, text) else { return };
        let table = Table::new(&file, "the catalogue", document.get_ref(), 0);
        if !table.has("format") {
            table.missing("format", "write `format = 1`");
        }
        table.integer("format", 1..=1);
        self.edition = table.required("edition", "write the day it was made: edition = \"2026-08-28\"").map(|at| at.value);
        self.document = table
            .required("document", "name the JSON archive's one member: document = \"data.json\"")
            .filter(|at| file_name_is_safe(&table, "document", at))
            .map(|at| at.value);
        self.text_root = table.word("text_root").filter(|at| file_name_is_safe(&table, "text_root", at)).map(|at| at.value);
        match table.table("subject", "[subject]") {
            Some(subject) => {
                if !subject.has("type") {
                    subject.missing("type", "write type = \"integer\", \"text\" or \"uuid\"");
                }
                self.subject = subject.choice(
                    "type",
                    &[("integer", SubjectType::Integer), ("text", SubjectType::Text), ("uuid", SubjectType::Uuid)],
                );
                for (name, key) in subject.named("key", "subject.key") {
                    self.keys.extend(read_key(name, key));
                }
                subject.finish();
            }
            None if !table.has("subject") => {
                table.missing("subject", "write [subject] with type = \"integer\", \"text\" or \"uuid\"")
            }
            None => {}
        }
        let patterns = table.texts("include").unwrap_or_default();
        self.declarations(&table);
        table.finish();
        for pattern in patterns {
            match include(&pattern.value) {
                Ok(files) if files.is_empty() => file.fault_at(
                    &pattern.place,
                    format!("no file fits the pattern \"{}\"", pattern.value),
                    "write a path below this file's folder, or take the pattern out",
                ),
                Ok(files) => {
                    for (name, text) in files {
                        self.included_file(&name, &text, faults);
                    }
                }
                Err(what) => {
                    file.fault_at(&pattern.place, format!("\"{}\" cannot be included: {what}", pattern.value), "correct the path")
                }
            }
        }
    }

    fn included_file(&mut self, name: &str, text: &str, faults: &RefCell<Vec<Fault>>) {
        let file = File::new(name, text, faults);
        let Some(document) = syntax(&file, text) else { return };
        let table = Table::new(&file, "an included file", document.get_ref(), 0);
        self.declarations(&table);
        table.finish();
    }

    /// What may stand in the main file and in included ones alike.
    fn declarations(&mut self, table: &Table<'_, '_, '_>) {
        for (name, store) in table.named("store", "store") {
            self.stores.extend(media::read_store(name, store));
        }
        for (name, source) in table.named("source", "source") {
            self.sources.extend(read_source(name, source));
        }
        for category in table.tables("category", "[[category]]") {
            self.categories.extend(read_category(category));
        }
        for section in table.tables("section", "[[section]]") {
            self.sections.extend(read_section(section));
        }
        for excuse in table.tables("excuse", "[[excuse]]") {
            self.excuses.extend(excuse::read_excuse(excuse));
        }
    }
}

fn syntax<'i>(file: &File<'_>, text: &'i str) -> Option<Spanned<DeTable<'i>>> {
    if text.len() > MAX_FILE {
        file.fault(0, format!("the file has more than {} MiB", MAX_FILE >> 20), "split it, or give the right file");
        return None;
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        file.fault(
            error.span().map_or(0, |span| span.start),
            format!("this is not TOML: {}", error.message().trim()),
            "correct the line",
        );
    }
    errors.is_empty().then_some(document)
}

fn read_source(name: String, table: Table<'_, '_, '_>) -> Option<SourceSpec> {
    if !table.has("kind") {
        table.missing("kind", "write kind = \"sqlite\", \"postgres\", \"mysql\" or \"http\"");
    }
    let kind = table.choice(
        "kind",
        &[("sqlite", Engine::Sqlite), ("postgres", Engine::Postgres), ("mysql", Engine::Mysql), ("http", Engine::Http)],
    );
    let address = match (table.word("url"), table.word("url_file")) {
        (Some(url), None) => {
            let begins: &[&str] = match kind {
                Some(Engine::Sqlite) => &["sqlite:"],
                Some(Engine::Postgres) => &["postgres://", "postgresql://"],
                Some(Engine::Mysql) => &["mysql://", "mariadb://"],
                Some(Engine::Http) => &["https://", "http://"],
                None => &[""],
            };
            if !begins.iter().any(|begin| url.value.starts_with(begin)) {
                table.fault(
                    "url",
                    format!("`url` of [source.{name}] does not fit its kind"),
                    format!("begin it with {}", begins.join(" or ")),
                );
            }
            Some(Address::Url(url.value))
        }
        (None, Some(path)) => Some(Address::File(PathBuf::from(path.value))),
        (None, None) if !table.has("url") && !table.has("url_file") => {
            table.missing("url", "write url = \"sqlite:data.db\", or url_file with the path of a file that holds the address");
            None
        }
        (Some(_), Some(_)) => {
            table.fault("url_file", format!("[source.{name}] has `url` and `url_file`"), "keep one of them");
            None
        }
        _ => None,
    };
    let mut snapshot =
        table.choice("snapshot", &[("request", Snapshot::Request), ("section", Snapshot::Section), ("none", Snapshot::None)]);
    if kind == Some(Engine::Http) {
        if snapshot.is_some_and(|snapshot| snapshot != Snapshot::None) {
            table.fault("snapshot", "an HTTP service has no snapshots", "write snapshot = \"none\", or take it out");
        }
        snapshot = Some(Snapshot::None);
    }
    let http = read_http(&table, kind);
    let spec = SourceSpec {
        kind: kind.unwrap_or(Engine::Sqlite),
        address: address.unwrap_or_else(|| Address::Url(String::new())),
        snapshot: snapshot.unwrap_or(Snapshot::Request),
        max_snapshot: duration(&table, "max_snapshot").unwrap_or(Duration::from_secs(300)),
        max_concurrent: table.integer("max_concurrent", 1..=1_000).unwrap_or(4) as usize,
        statement_timeout: duration(&table, "statement_timeout").unwrap_or(Duration::from_secs(60)),
        connect_timeout: duration(&table, "connect_timeout").unwrap_or(Duration::from_secs(10)),
        person: excuse::read_person(&table),
        http,
        place: table.place(),
        name,
    };
    table.finish();
    Some(spec)
}

const HTTP_ONLY: &[&str] = &["token_file", "ca_file", "health", "first_byte_timeout", "idle_timeout", "max_line", "max_pages"];

fn read_http(table: &Table<'_, '_, '_>, kind: Option<Engine>) -> HttpSpec {
    for key in HTTP_ONLY {
        if kind.is_some_and(|kind| kind != Engine::Http) && table.has(key) {
            table.fault(key, format!("`{key}` is only for sources of kind \"http\""), "take it out");
        }
    }
    let health = table.word("health").map(|at| at.value);
    if health.as_ref().is_some_and(|path| !path.starts_with('/')) {
        table.fault("health", "`health` is not a path", "write health = \"/health\"");
    }
    let usual = HttpSpec::default();
    HttpSpec {
        token_file: table.word("token_file").map(|at| PathBuf::from(at.value)),
        ca_file: table.word("ca_file").map(|at| PathBuf::from(at.value)),
        health,
        first_byte_timeout: duration(table, "first_byte_timeout").unwrap_or(usual.first_byte_timeout),
        idle_timeout: duration(table, "idle_timeout").unwrap_or(usual.idle_timeout),
        max_line: size(table, "max_line", 1 << 30).map_or(usual.max_line, |bytes| bytes as usize),
        max_pages: table.integer("max_pages", 1..=1_000_000).map_or(usual.max_pages, |pages| pages as usize),
    }
}

/// `"64 KiB"`, `"128 MiB"`.
pub(super) fn size(table: &Table<'_, '_, '_>, key: &'static str, most: u64) -> Option<u64> {
    let text = table.text(key)?;
    let parsed = parse_size(&text.value).filter(|bytes| *bytes <= most);
    if parsed.is_none() {
        table.fault(
            key,
            format!("`{key}` is \"{}\"", text.value),
            format!("write a number and KiB, MiB or GiB, at most {} MiB: \"128 MiB\"", most >> 20),
        );
    }
    parsed
}

fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..split].parse().ok().filter(|number| (1..=1 << 20).contains(number))?;
    let shift = match text[split..].trim() {
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return None,
    };
    Some(number << shift)
}

/// `"60 s"`, `"5 min"`, `"1 h"`, `"500 ms"`.
pub(super) fn duration(table: &Table<'_, '_, '_>, key: &'static str) -> Option<Duration> {
    let text = table.text(key)?;
    let parsed = parse_duration(&text.value);
    if parsed.is_none() {
        table.fault(
            key,
            format!("`{key}` is \"{}\"", text.value),
            "write a number above 0 and a unit, ms, s, min or h: \"60 s\", \"5 min\"",
        );
    }
    parsed
}

fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..split].parse().ok().filter(|number| (1..=1_000_000).contains(number))?;
    let millis = match text[split..].trim() {
        "ms" => 1,
        "s" => 1_000,
        "min" | "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number * millis))
}

fn read_category(table: Table<'_, '_, '_>) -> Option<Category> {
    let name = table.required("name", "write the name that the wire uses: name = \"activity\"");
    let scope = table.required("scope", "name the family of scopes: scope = \"portability.activity\"");
    let title = texts(&table, "title", "title = { en = \"Your activity\" }");
    let text = texts(&table, "text", "text = { en = \"What you watched, and when\" }");
    let aliases = table.texts("aliases").unwrap_or_default();
    for word in name.iter().chain(&aliases) {
        let plain =
            !word.value.is_empty() && word.value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !plain {
            table.file.fault_at(
                &word.place,
                format!("\"{}\" cannot be a category's name", word.value),
                "use the letters a to z, digits and _",
            );
        }
    }
    if let Some(scope) = &scope
        && (wire::Scope::parse(&format!("{}.single", scope.value)).is_err()
            || scope.value.ends_with(".single")
            || scope.value.ends_with(".ongoing"))
    {
        table.file.fault_at(
            &scope.place,
            format!("\"{}\" cannot be a family of scopes", scope.value),
            "use words of a to z, digits and _ with dots between them, without .single or .ongoing",
        );
    }
    let sensitivity = table.choice("sensitivity", &[("normal", Sensitivity::Normal), ("sensitive", Sensitivity::Sensitive)]);
    let category = Category {
        name: name?.value,
        aliases: aliases.into_iter().map(|at| at.value).collect(),
        scope: scope.map(|at| at.value).unwrap_or_default(),
        title,
        text,
        sensitivity: sensitivity.unwrap_or(Sensitivity::Normal),
        place: table.place(),
    };
    table.finish();
    Some(category)
}

fn texts(table: &Table<'_, '_, '_>, key: &'static str, example: &str) -> Texts {
    if !table.has(key) {
        table.get(key);
        table.missing(key, format!("people read it when they are asked: {example}"));
        return Texts::default();
    }
    let Some(languages) = table.table(key, format!("`{key}`")) else { return Texts::default() };
    let mut words = BTreeMap::new();
    for (language, span, value) in languages.entries() {
        match value.get_ref() {
            DeValue::String(text) if !text.trim().is_empty() => {
                words.insert(language.to_owned(), text.to_string());
            }
            _ => table.file.fault(span.start, format!("`{key}` has no words for \"{language}\""), format!("write {example}")),
        }
    }
    if !words.contains_key("en") {
        table.fault(key, format!("`{key}` has no English words"), format!("add `en`, the language of last resort: {example}"));
    }
    Texts(words)
}

const RESERVED_IN_SECTION: &[&str] = &["changed", "lag", "deleted"];

fn read_section(table: Table<'_, '_, '_>) -> Option<Section> {
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
    let media = if constant { None } else { media::read_media(&table) };
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
pub(super) fn read_owner(table: &Table<'_, '_, '_>) -> (Owner, Option<String>) {
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
pub(super) fn time_from(table: &Table<'_, '_, '_>) -> Option<TimeFrom> {
    table.choice("time_from", TIME_FROM)
}

fn file_name_is_safe(table: &Table<'_, '_, '_>, key: &'static str, name: &At<String>) -> bool {
    let fault = rules::unsafe_file_name(&name.value);
    if let Some(fault) = fault {
        table.fault(key, format!("\"{}\" cannot be a name in an archive: {fault}", name.value), "choose a plain name");
    }
    // A text root that is not named is the document's name without its ending.
    let taken =
        [name.value.as_str(), name.value.trim_end_matches(".json")].into_iter().find(|name| crate::manifest::is_reserved(name));
    if let Some(taken) = taken {
        let what = format!("\"{taken}\" is what archives that say what they are have beside the data");
        table.fault(key, what, "choose another name");
    }
    fault.is_none() && taken.is_none()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("64 KiB"), Some(65_536));
        assert_eq!(parse_size("128MiB"), Some(128 << 20));
        assert_eq!(parse_size("5 GiB"), Some(5 << 30));
        for text in ["", "64", "0 MiB", "64 MB", "-1 MiB", "99999999 KiB"] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, millis) in [("60 s", 60_000), ("5 min", 300_000), ("1h", 3_600_000), ("500 ms", 500), (" 2 m ", 120_000)] {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "60", "0 s", "-1 s", "1.5 s", "5 days", "s", "99999999999999999999 s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
