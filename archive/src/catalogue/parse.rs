//! From TOML to types. What can be judged by looking at one table is judged here, the rest in `rules`.

mod sections;
mod sources;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use self::sections::read_section;
pub(super) use self::sections::{read_owner, time_from};
use self::sources::read_source;
use super::excuse::{self, Excuse};
use super::file::{At, File, Table};
use super::more::read_key;
use super::{
    Catalogue, CatalogueError, Category, Fault, Included, Section, Sensitivity, SourceSpec, StoreSpec, SubjectKey, Texts, media,
    rules,
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
