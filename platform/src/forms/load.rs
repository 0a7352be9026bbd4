//! Reading a form's file. Every fault is told at once, with its line.

use std::fmt;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Field, Form, Kind, Role, SCOPES, Step};
use crate::uploads::Purpose;

/// One fault of a form's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormFault {
    /// Which file.
    pub file: String,
    /// Counted from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// All faults of the forms' files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct FormError(pub Vec<FormFault>);

impl fmt::Display for FormError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            let gap = if at == 0 { "" } else { "\n" };
            match fault.line {
                0 => write!(f, "{gap}{}: {}", fault.file, fault.message)?,
                line => write!(f, "{gap}{}:{line}: {}", fault.file, fault.message)?,
            }
        }
        Ok(())
    }
}

/// The longest text of labels and helps.
const WORDS: usize = 2000;
/// The longest answer that a form may take; all of them together have a megabyte.
const LONGEST: usize = 20_000;
/// The most files of one question.
const FILES: usize = 10;

/// Reads a form; `brand` takes the place of `{brand}` in its words.
pub fn parse(file: &str, text: &str, brand: &str) -> Result<Form, FormError> {
    let mut reader = Reader { file, text, brand, faults: Vec::new() };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        reader.fault(at, error.message().to_owned());
    }
    let form = if errors.is_empty() {
        reader.form(document.get_ref())
    } else {
        Form { name: String::new(), version: 0, title: String::new(), text: String::new(), steps: Vec::new() }
    };
    if reader.faults.is_empty() {
        Ok(form)
    } else {
        reader.faults.sort_by_key(|fault| fault.line);
        Err(FormError(reader.faults))
    }
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    brand: &'a str,
    faults: Vec<FormFault>,
}

/// A field that was read, where it begins, and where its condition stands.
struct Read {
    field: Field,
    at: usize,
    when_at: usize,
}

impl Reader<'_> {
    fn fault(&mut self, at: usize, message: impl Into<String>) {
        let line = self.text.get(..at).unwrap_or(self.text).matches('\n').count() + 1;
        self.faults.push(FormFault { file: self.file.to_owned(), line, message: message.into() });
    }

    fn known(&mut self, table: &DeTable<'_>, keys: &[&str]) {
        for key in table.keys() {
            if !keys.contains(&key.get_ref().as_ref()) {
                self.fault(key.span().start, format!("there is no key {:?} here; there are {}", key.get_ref(), keys.join(", ")));
            }
        }
    }

    fn string(&mut self, table: &DeTable<'_>, at: usize, key: &str, needed: bool) -> String {
        match table.get(key) {
            None if needed => {
                self.fault(at, format!("{key} is missing"));
                String::new()
            }
            None => String::new(),
            Some(value) => match value.get_ref() {
                DeValue::String(text) if needed && text.trim().is_empty() => {
                    self.fault(value.span().start, format!("{key} is empty"));
                    String::new()
                }
                DeValue::String(text) => text.to_string(),
                _ => {
                    self.fault(value.span().start, format!("{key} must be a text in quotes"));
                    String::new()
                }
            },
        }
    }

    /// Words for people, with the operator's name in its places.
    fn words(&mut self, table: &DeTable<'_>, at: usize, key: &str, needed: bool) -> String {
        let text = self.string(table, at, key, needed);
        let place = table.get(key).map_or(at, |value| value.span().start);
        if text.chars().count() > WORDS {
            self.fault(place, format!("{key} has more than {WORDS} characters"));
        }
        let words = text.replace("{brand}", self.brand);
        if let Some(from) = text.replace("{brand}", "").find(['{', '}']) {
            let _ = from;
            self.fault(place, format!("{key} has a brace: the only placeholder is {{brand}}"));
        }
        words
    }

    fn name(&mut self, table: &DeTable<'_>, at: usize) -> String {
        let name = self.string(table, at, "name", true);
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let fits = name.len() <= 50 && name.chars().all(plain) && name.starts_with(|c: char| c.is_ascii_lowercase());
        if !name.is_empty() && !fits {
            let place = table.get("name").map_or(at, |value| value.span().start);
            self.fault(
                place,
                format!("name {name:?} must begin with a small letter and hold at most 50 small letters, digits and underscores"),
            );
        }
        name
    }

    fn number(&mut self, table: &DeTable<'_>, key: &str, range: RangeInclusive<usize>) -> Option<usize> {
        let value = table.get(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(number) => number.to_string().parse().ok(),
            _ => None,
        };
        if number.is_none_or(|number| !range.contains(&number)) {
            self.fault(value.span().start, format!("{key} must be a whole number from {} to {}", range.start(), range.end()));
        }
        number
    }

    fn tables<'t, 'i>(&mut self, table: &'t DeTable<'i>, at: usize, key: &str) -> Vec<(usize, &'t DeTable<'i>)> {
        let Some(value) = table.get(key) else {
            self.fault(at, format!("there is no [[{key}]]"));
            return Vec::new();
        };
        let DeValue::Array(items) = value.get_ref() else {
            self.fault(value.span().start, format!("{key} must be written [[{key}]]"));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for item in items.iter() {
            match item.get_ref() {
                DeValue::Table(table) => tables.push((item.span().start, table)),
                _ => self.fault(item.span().start, format!("{key} must hold tables")),
            }
        }
        tables
    }

    fn form(&mut self, table: &DeTable<'_>) -> Form {
        self.known(table, &["name", "version", "title", "text", "step"]);
        let name = self.name(table, 0);
        if !table.contains_key("version") {
            self.fault(0, "version is missing");
        }
        let version = self.number(table, "version", 1..=100_000).and_then(|version| u32::try_from(version).ok()).unwrap_or(1);
        let title = self.words(table, 0, "title", true);
        let text = self.words(table, 0, "text", false);
        let (mut steps, mut read): (Vec<Step>, Vec<Read>) = (Vec::new(), Vec::new());
        for (at, step) in self.tables(table, 0, "step") {
            self.known(step, &["name", "title", "text", "field"]);
            let name = self.name(step, at);
            if steps.iter().any(|known| known.name == name) {
                self.fault(at, format!("there is another step {name:?} already"));
            }
            let (title, text) = (self.words(step, at, "title", true), self.words(step, at, "text", false));
            let mut fields = Vec::new();
            for (at, table) in self.tables(step, at, "field") {
                let (field, when_at) = self.field(table, at);
                if read.iter().any(|known| known.field.name == field.name) {
                    self.fault(at, format!("there is another field {:?} already", field.name));
                }
                self.condition(&field, when_at, &read);
                fields.push(field.clone());
                read.push(Read { field, at, when_at });
            }
            steps.push(Step { name, title, text, fields });
        }
        self.whole(&read);
        Form { name, version, title, text, steps }
    }

    fn field(&mut self, table: &DeTable<'_>, at: usize) -> (Field, usize) {
        const KEYS: [&str; 14] = [
            "name",
            "label",
            "kind",
            "required",
            "max",
            "rows",
            "role",
            "when",
            "help",
            "purpose",
            "guidance",
            "options",
            "upload",
            "autocomplete",
        ];
        self.known(table, &KEYS);
        let place = |key: &str| table.get(key).map_or(at, |value: &Spanned<DeValue<'_>>| value.span().start);
        let kind = self.string(table, at, "kind", true);
        let kind = Kind::parse(&kind).unwrap_or_else(|| {
            if !kind.is_empty() {
                let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.as_str()).collect();
                self.fault(place("kind"), format!("kind {kind:?} is none of {}", known.join(", ")));
            }
            Kind::Text
        });
        let required = match table.get("required").map(|value| value.get_ref()) {
            Some(DeValue::Boolean(required)) => *required,
            Some(_) => {
                self.fault(place("required"), "required must be true or false");
                false
            }
            None => {
                self.fault(at, "required is missing: say whether the answer is needed");
                false
            }
        };
        let (range, usual) = match kind {
            Kind::LongText => (1..=LONGEST, 0),
            Kind::Upload => (1..=FILES, 1),
            Kind::Email => (1..=254, 254),
            Kind::Url => (1..=2048, 2048),
            _ => (1..=1000, 200),
        };
        let max = self.number(table, "max", range).unwrap_or(usual);
        if kind == Kind::LongText && !table.contains_key("max") {
            self.fault(at, "max is missing: a long text needs a limit");
        }
        let role = self.string(table, at, "role", false);
        let role = if role.is_empty() {
            None
        } else {
            Role::parse(&role).or_else(|| {
                let known: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
                self.fault(place("role"), format!("role {role:?} is none of {}", known.join(", ")));
                None
            })
        };
        let upload = self.upload(table, at, kind);
        let when = self.string(table, at, "when", false);
        let when = match when.split_once('=') {
            Some((field, value)) => Some((field.trim().to_owned(), value.trim().to_owned())),
            None if when.is_empty() => None,
            None => {
                self.fault(place("when"), "when must be written \"field=value\"");
                None
            }
        };
        let field = Field {
            name: self.name(table, at),
            label: self.words(table, at, "label", true),
            kind,
            required,
            max,
            rows: self.number(table, "rows", 2..=40).and_then(|rows| u8::try_from(rows).ok()).unwrap_or(6),
            role,
            when,
            help: self.words(table, at, "help", true),
            purpose: self.words(table, at, "purpose", true),
            guidance: self.words(table, at, "guidance", true),
            options: self.options(table, at, kind),
            upload,
            autocomplete: self.string(table, at, "autocomplete", false),
        };
        (field, place("when"))
    }

    fn upload(&mut self, table: &DeTable<'_>, at: usize, kind: Kind) -> Purpose {
        let named = self.string(table, at, "upload", kind == Kind::Upload);
        match named.as_str() {
            "mockups" => Purpose::Mockups,
            "evidence" | "" => Purpose::Evidence,
            other => {
                self.fault(
                    table.get("upload").map_or(at, |value| value.span().start),
                    format!("upload {other:?} is neither mockups nor evidence"),
                );
                Purpose::Evidence
            }
        }
    }

    fn options(&mut self, table: &DeTable<'_>, at: usize, kind: Kind) -> Vec<(String, String)> {
        let wanted = matches!(kind, Kind::Choice | Kind::Choices);
        match table.get("options") {
            None if wanted => self.fault(at, "options is missing: say what can be chosen"),
            Some(value) if !wanted => self.fault(value.span().start, format!("a field of kind {kind} has no options")),
            _ => {}
        }
        if !wanted || !table.contains_key("options") {
            return Vec::new();
        }
        let mut options: Vec<(String, String)> = Vec::new();
        for (at, option) in self.tables(table, at, "options") {
            self.known(option, &["value", "label"]);
            let (value, label) = (self.string(option, at, "value", true), self.words(option, at, "label", true));
            if options.iter().any(|(known, _)| *known == value) {
                self.fault(at, format!("there is another option {value:?} already"));
            }
            options.push((value, label));
        }
        if options.is_empty() {
            self.fault(table.get("options").map_or(at, |value| value.span().start), "options is empty");
        }
        options
    }

    /// A condition names a question that was asked before, and an answer that it can have.
    fn condition(&mut self, field: &Field, at: usize, before: &[Read]) {
        let Some((name, value)) = &field.when else { return };
        let Some(other) = before.iter().map(|read| &read.field).find(|other| other.name == *name) else {
            self.fault(at, format!("when: there is no field {name:?} before this one"));
            return;
        };
        match other.kind {
            Kind::Scopes => {}
            Kind::Choice | Kind::Choices | Kind::YesNo => {
                if !other.choices(&[]).iter().any(|(known, _)| known == value) {
                    self.fault(at, format!("when: {name:?} cannot be {value:?}"));
                }
            }
            kind => self.fault(at, format!("when: {name:?} is of kind {kind}; a condition needs a choice")),
        }
    }

    /// What the house needs of every form.
    fn whole(&mut self, read: &[Read]) {
        let mut one = |what: &str, kind: Kind, holds: &dyn Fn(&Field) -> bool| {
            let found: Vec<&Read> = read.iter().filter(|read| holds(&read.field)).collect();
            match found.as_slice() {
                [one] => {
                    if one.field.kind != kind || !one.field.required || one.field.when.is_some() {
                        self.fault(one.at, format!("{what} must be of kind {kind}, required, and without a condition"));
                    }
                }
                [] => self.fault(0, format!("the form has no field {what}")),
                [.., last] => self.fault(last.at, format!("the form has more than one field {what}")),
            }
        };
        one("of kind scopes", Kind::Scopes, &|field| field.kind == Kind::Scopes);
        one("with the role contact_email", Kind::Email, &|field| field.role == Some(Role::ContactEmail));
        one("with the role organisation", Kind::Text, &|field| field.role == Some(Role::Organisation));
        for read in read {
            if read.field.kind == Kind::Scopes && read.field.name != SCOPES {
                self.fault(read.at, format!("the field of kind scopes must have the name {SCOPES}"));
            }
            if read.field.kind != Kind::Scopes && read.field.name == SCOPES {
                self.fault(read.at, "only the field of kind scopes may have that name");
            }
            let _ = read.when_at;
        }
        for role in [Role::Applicant, Role::Website, Role::UseCase, Role::Mockups] {
            if let Some(second) = read.iter().filter(|read| read.field.role == Some(role)).nth(1) {
                self.fault(second.at, format!("another field has the role {role} already"));
            }
        }
    }
}
