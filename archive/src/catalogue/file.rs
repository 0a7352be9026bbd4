//! Walking one TOML file by hand, so that every fault is told at once, with its line and its cure.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Fault, Place};

/// One file of a catalogue: its name, where its lines begin, and the list that its faults go to.
pub(super) struct File<'f> {
    name: Arc<str>,
    line_starts: Vec<usize>,
    faults: &'f RefCell<Vec<Fault>>,
}

impl<'f> File<'f> {
    pub(super) fn new(name: &str, text: &str, faults: &'f RefCell<Vec<Fault>>) -> Self {
        let line_starts =
            std::iter::once(0).chain(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1)).collect();
        Self { name: Arc::from(name), line_starts, faults }
    }

    pub(super) fn place(&self, at: usize) -> Place {
        let line = self.line_starts.partition_point(|start| *start <= at);
        Place { file: self.name.clone(), line }
    }

    pub(super) fn fault(&self, at: usize, what: impl Into<String>, cure: impl Into<String>) {
        self.fault_at(&self.place(at), what, cure);
    }

    pub(super) fn fault_at(&self, place: &Place, what: impl Into<String>, cure: impl Into<String>) {
        self.faults.borrow_mut().push(Fault {
            file: place.file.to_string(),
            line: (place.line > 0).then_some(place.line),
            what: what.into(),
            cure: cure.into(),
            warning: false,
        });
    }
}

/// A value with the place it was read from.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// One table of the file. Keys that nobody asked for are unknown, and refused by [`Table::finish`].
pub(super) struct Table<'t, 'i, 'f> {
    pub(super) file: &'t File<'f>,
    table: &'t DeTable<'i>,
    /// What to call the table in a message: `[[section]]`.
    title: String,
    at: usize,
    known: RefCell<Vec<&'static str>>,
}

impl<'t, 'i, 'f> Table<'t, 'i, 'f> {
    pub(super) fn new(file: &'t File<'f>, title: impl Into<String>, table: &'t DeTable<'i>, at: usize) -> Self {
        Self { file, table, title: title.into(), at, known: RefCell::default() }
    }

    pub(super) fn place(&self) -> Place {
        self.file.place(self.at)
    }

    pub(super) fn get(&self, key: &'static str) -> Option<&'t Spanned<DeValue<'i>>> {
        self.known.borrow_mut().push(key);
        self.table.get(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Where the key stands, or the table when it is missing.
    pub(super) fn place_of(&self, key: &str) -> Place {
        match self.table.get_key_value(key) {
            Some((key, _)) => self.file.place(key.span().start),
            None => self.place(),
        }
    }

    pub(super) fn fault(&self, key: &str, what: impl Into<String>, cure: impl Into<String>) {
        self.file.fault_at(&self.place_of(key), what, cure);
    }

    pub(super) fn missing(&self, key: &str, cure: impl Into<String>) {
        self.file.fault(self.at, format!("{} has no `{key}`", self.title), cure);
    }

    fn wrong_type(&self, key: &str, value: &Spanned<DeValue<'i>>, wanted: &str) {
        self.file.fault(
            value.span().start,
            format!("`{key}` of {} is {} {}", self.title, article(value.get_ref().type_str()), value.get_ref().type_str()),
            format!("write {wanted}"),
        );
    }

    pub(super) fn text(&self, key: &'static str) -> Option<At<String>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(At { value: text.to_string(), place: self.file.place(value.span().start) }),
            _ => {
                self.wrong_type(key, value, "a string in quotes");
                None
            }
        }
    }

    /// A string that must not be empty.
    pub(super) fn word(&self, key: &'static str) -> Option<At<String>> {
        let text = self.text(key)?;
        if text.value.trim().is_empty() {
            self.fault(key, format!("`{key}` of {} is empty", self.title), "give it a value or leave the key out");
            return None;
        }
        Some(text)
    }

    pub(super) fn required(&self, key: &'static str, cure: &str) -> Option<At<String>> {
        if !self.has(key) {
            self.get(key);
            self.missing(key, cure);
            return None;
        }
        self.word(key)
    }

    /// A string out of a fixed list.
    pub(super) fn choice<T: Clone>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        if let Some((_, chosen)) = choices.iter().find(|(name, _)| *name == text.value) {
            return Some(chosen.clone());
        }
        let list = choices.iter().map(|(name, _)| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        self.fault(key, format!("`{key}` of {} is \"{}\"", self.title, text.value), format!("write one of {list}"));
        None
    }

    pub(super) fn integer(&self, key: &'static str, allowed: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let value = self.get(key)?;
        let DeValue::Integer(digits) = value.get_ref() else {
            self.wrong_type(key, value, "a whole number without quotes");
            return None;
        };
        match i64::from_str_radix(digits.as_str(), digits.radix()) {
            Ok(number) if allowed.contains(&number) => Some(number),
            _ => {
                self.fault(
                    key,
                    format!("`{key}` of {} is {}", self.title, digits.as_str()),
                    format!("write a number from {} to {}", allowed.start(), allowed.end()),
                );
                None
            }
        }
    }

    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => {
                self.wrong_type(key, value, "true or false, without quotes");
                None
            }
        }
    }

    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<At<String>>> {
        let value = self.get(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(key, value, "a list of strings: [\"a\", \"b\"]");
            return None;
        };
        let mut texts = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::String(text) => texts.push(At { value: text.to_string(), place: self.file.place(item.span().start) }),
                _ => self.wrong_type(key, item, "only strings in this list"),
            }
        }
        Some(texts)
    }

    pub(super) fn table(&self, key: &'static str, title: impl Into<String>) -> Option<Table<'t, 'i, 'f>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Table::new(self.file, title, table, start_of(value, self.file, self.place_of(key)))),
            _ => {
                self.wrong_type(key, value, "a table");
                None
            }
        }
    }

    /// The tables of `[[key]]`, or nothing.
    pub(super) fn tables(&self, key: &'static str, title: &str) -> Vec<Table<'t, 'i, 'f>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            self.wrong_type(key, value, &format!("{title}, with two brackets"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(table) => tables.push(Table::new(self.file, title, table, item.span().start)),
                _ => self.wrong_type(key, item, &format!("{title}, with two brackets")),
            }
        }
        tables
    }

    /// The tables of `[title.NAME]`, by name, in the order of the file.
    pub(super) fn named(&self, key: &'static str, title: &str) -> Vec<(String, Table<'t, 'i, 'f>)> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let DeValue::Table(names) = value.get_ref() else {
            self.wrong_type(key, value, &format!("[{title}.NAME]"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (name, value) in names {
            match value.get_ref() {
                DeValue::Table(table) => {
                    let at = name.span().start;
                    tables.push((
                        name.get_ref().to_string(),
                        Table::new(self.file, format!("[{title}.{}]", name.get_ref()), table, at),
                    ));
                }
                _ => self.wrong_type(key, value, &format!("[{title}.NAME]")),
            }
        }
        tables
    }

    /// All entries, for tables whose keys are the operator's own words.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'t str, Range<usize>, &'t Spanned<DeValue<'i>>)> {
        self.table.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span(), value))
    }

    /// Refuses what a later version will know, by name: a redaction rule that is silently ignored would leak.
    pub(super) fn reserved(&self, keys: &[&'static str]) {
        for key in keys {
            if self.get(key).is_some() {
                self.fault(
                    key,
                    format!("`{key}` of {} is not supported by this version", self.title),
                    "take it out; it is reserved, and is refused rather than ignored",
                );
            }
        }
    }

    /// Refuses every key that was not asked for.
    pub(super) fn finish(self) {
        let known = self.known.borrow();
        for (key, span, _) in self.entries() {
            if known.contains(&key) {
                continue;
            }
            let near = known.iter().filter(|name| distance(name, key) <= 2).min_by_key(|name| distance(name, key));
            let cure = match near {
                Some(name) => format!("did you mean `{name}`?"),
                None => {
                    let mut names: Vec<_> = known.to_vec();
                    names.sort_unstable();
                    names.dedup();
                    format!("take it out; known here are {}", names.join(", "))
                }
            };
            self.file.fault(span.start, format!("{} has an unknown key `{key}`", self.title), cure);
        }
    }
}

/// A `[table]` has the span of its header; an empty span means it was only implied, and then its key says more.
fn start_of(value: &Spanned<DeValue<'_>>, file: &File<'_>, key: Place) -> usize {
    if value.span().is_empty() { file.line_starts.get(key.line - 1).copied().unwrap_or(0) } else { value.span().start }
}

pub(super) fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// Levenshtein's distance, for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
