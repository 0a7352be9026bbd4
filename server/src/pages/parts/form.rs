//! Forms: what was typed, what is wrong with it, and the fields.

use askama::Template;

use crate::api::Params;

/// What stands in a form: values, and what is wrong with them. All errors are shown at once, and nothing that was typed is lost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form {
    values: Vec<(String, String)>,
    errors: Vec<(String, String)>,
}

impl Form {
    /// An empty form.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A form as it was posted.
    pub(crate) fn of(params: &Params) -> Self {
        Self { values: params.pairs().to_vec(), errors: Vec::new() }
    }

    /// Puts a value in the place of the one there is.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.values.retain(|(held, _)| held != name);
        self.add(name, value)
    }

    /// Adds a value: one more box that is ticked.
    pub(crate) fn add(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.values.push((name.to_owned(), value.into()));
        self
    }

    /// The first value of a name, without the spaces around it; empty if there is none.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.values.iter().find(|(held, _)| held == name).map_or("", |(_, value)| value.trim())
    }

    /// Every value of a name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values.iter().filter(move |(held, _)| held == name).map(|(_, value)| value.as_str())
    }

    /// Whether a box is ticked.
    pub(crate) fn has(&self, name: &str, value: &str) -> bool {
        self.all(name).any(|held| held == value)
    }

    /// Says what is wrong with a field: "Enter a name". Errors appear in this order in the summary.
    pub(crate) fn wrong(&mut self, name: &str, message: impl Into<String>) -> &mut Self {
        self.errors.push((name.to_owned(), message.into()));
        self
    }

    /// Whether nothing was found wrong.
    pub(crate) fn is_right(&self) -> bool {
        self.errors.is_empty()
    }

    fn error(&self, name: &str) -> String {
        self.errors.iter().find(|(held, _)| held == name).map(|(_, message)| message.clone()).unwrap_or_default()
    }

    /// The list of all errors, each a link to its field; nothing while there is none. Stands above the heading.
    pub(crate) fn errors(&self) -> Errors {
        Errors(self.errors.clone())
    }

    fn field(&self, kind: Kind, name: &str, label: &str) -> Field {
        let value = self.values.iter().find(|(held, _)| held == name).map(|(_, value)| value.clone()).unwrap_or_default();
        Field {
            kind,
            name: name.to_owned(),
            label: label.to_owned(),
            value,
            error: self.error(name),
            ticked: self.all(name).map(str::to_owned).collect(),
            ..Field::default()
        }
    }

    /// One line of text.
    pub(crate) fn text(&self, name: &str, label: &str) -> Field {
        self.field(Kind::Line("text"), name, label)
    }

    /// A mail address.
    pub(crate) fn email(&self, name: &str, label: &str) -> Field {
        self.field(Kind::Line("email"), name, label).autocomplete("email")
    }

    /// A web address.
    pub(crate) fn url(&self, name: &str, label: &str) -> Field {
        self.field(Kind::Line("url"), name, label)
    }

    /// A password; what was typed is never shown again. `autocomplete` is `new-password` or `current-password`.
    pub(crate) fn password(&self, name: &str, label: &str, autocomplete: &'static str) -> Field {
        Field { value: String::new(), ..self.field(Kind::Line("password"), name, label).autocomplete(autocomplete) }
    }

    /// A code of the second factor, or one that was mailed.
    pub(crate) fn code(&self, name: &str, label: &str) -> Field {
        Field { inputmode: "numeric", ..self.field(Kind::Line("text"), name, label).autocomplete("one-time-code").short() }
    }

    /// A day, as the browser offers to choose it.
    pub(crate) fn date(&self, name: &str, label: &str) -> Field {
        self.field(Kind::Line("date"), name, label).short()
    }

    /// Several lines of text.
    pub(crate) fn area(&self, name: &str, label: &str) -> Field {
        Field { rows: 6, ..self.field(Kind::Area, name, label) }
    }

    /// One of many, from a list that opens.
    pub(crate) fn select(&self, name: &str, label: &str, choices: &[Choice]) -> Field {
        Field { choices: choices.to_vec(), ..self.field(Kind::Select, name, label) }
    }

    /// One of a few.
    pub(crate) fn radios(&self, name: &str, label: &str, choices: &[Choice]) -> Field {
        Field { choices: choices.to_vec(), ..self.field(Kind::Radios, name, label) }
    }

    /// Some of a few.
    pub(crate) fn checks(&self, name: &str, label: &str, choices: &[Choice]) -> Field {
        Field { choices: choices.to_vec(), ..self.field(Kind::Checks, name, label) }
    }

    /// One box, with the value `yes` when it is ticked.
    pub(crate) fn check(&self, name: &str, label: &str) -> Field {
        self.field(Kind::Check, name, label)
    }

    /// A file. The form needs `enctype="multipart/form-data"`.
    pub(crate) fn file(&self, name: &str, label: &str, accept: &str) -> Field {
        Field { accept: accept.to_owned(), ..self.field(Kind::File, name, label) }
    }
}

/// The list of all errors of a form.
#[derive(Clone, Debug, Template)]
#[template(path = "parts/errors.html")]
pub(crate) struct Errors(pub Vec<(String, String)>);

/// One of the things to choose from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    /// What is posted.
    pub value: String,
    /// What it is called.
    pub label: String,
    /// A line below it; may be empty.
    pub help: String,
}

impl Choice {
    pub(crate) fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self { value: value.into(), label: label.into(), help: String::new() }
    }

    /// Adds a line below it.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: help.into(), ..self }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    Line(&'static str),
    #[default]
    Area,
    Select,
    Radios,
    Checks,
    Check,
    File,
}

/// A field with its label, its help, its error and what was typed.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "parts/field.html")]
pub(crate) struct Field {
    kind: Kind,
    name: String,
    label: String,
    value: String,
    ticked: Vec<String>,
    error: String,
    help: String,
    purpose: String,
    optional: bool,
    max: usize,
    rows: u8,
    short: bool,
    many: bool,
    hide_label: bool,
    choices: Vec<Choice>,
    accept: String,
    autocomplete: &'static str,
    inputmode: &'static str,
}

impl Field {
    /// A line below the label.
    pub(crate) fn help(self, help: impl Into<String>) -> Self {
        Self { help: help.into(), ..self }
    }

    /// What it is asked for, said below the field.
    pub(crate) fn purpose(self, purpose: impl Into<String>) -> Self {
        Self { purpose: purpose.into(), ..self }
    }

    /// Says that it may be left empty. Fields that do not say so must be filled.
    pub(crate) fn optional(self) -> Self {
        Self { optional: true, ..self }
    }

    /// Says how many characters it takes. Nothing is cut off while typing; the handler refuses.
    pub(crate) fn max(self, max: usize) -> Self {
        Self { max, ..self }
    }

    /// How tall it is.
    pub(crate) fn rows(self, rows: u8) -> Self {
        Self { rows, ..self }
    }

    /// As narrow as a number or a day.
    pub(crate) fn short(self) -> Self {
        Self { short: true, ..self }
    }

    /// Takes several files.
    pub(crate) fn many(self) -> Self {
        Self { many: true, ..self }
    }

    /// Keeps the label for those who do not see the page, where a heading says it already.
    pub(crate) fn hide_label(self) -> Self {
        Self { hide_label: true, ..self }
    }

    /// What the browser may fill in.
    pub(crate) fn autocomplete(self, autocomplete: &'static str) -> Self {
        Self { autocomplete, ..self }
    }

    fn kind_of_line(&self) -> &'static str {
        if let Kind::Line(kind) = self.kind { kind } else { "" }
    }

    fn is_ticked(&self, value: &str) -> bool {
        self.ticked.iter().any(|held| held == value)
    }

    /// The ids of what describes the field.
    fn described(&self) -> String {
        let parts = [(&self.help, "help"), (&self.purpose, "purpose"), (&self.error, "error")];
        let mut ids: Vec<String> =
            parts.iter().filter(|(text, _)| !text.is_empty()).map(|(_, part)| format!("{}-{part}", self.name)).collect();
        if self.max > 0 {
            ids.push(format!("{}-max", self.name));
        }
        ids.join(" ")
    }

    /// How many characters it takes, and how many more or fewer there are.
    fn counter(&self) -> String {
        let typed = self.value.chars().filter(|c| *c != '\r').count();
        match (self.max, typed) {
            (max, 0) => format!("At most {max} characters."),
            (max, typed) if typed > max => format!("{typed} characters, {} too many.", typed - max),
            (max, typed) => format!("{typed} of at most {max} characters."),
        }
    }

    fn is_over(&self) -> bool {
        self.max > 0 && self.value.chars().filter(|c| *c != '\r').count() > self.max
    }
}

super::parts!(Errors, Field);
