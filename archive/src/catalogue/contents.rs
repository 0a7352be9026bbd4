//! What readers of archives can rely on, as data: the categories, sections, shapes and fields of a catalogue, without its sources and queries.
//! Schemas and dictionaries are made from it, editions are frozen as it, and two of them can be compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::synthetic::outputs;
use super::{Catalogue, Engine, Field, FieldKind, Owner, Rule, Section, Shape, Stable, Texts};

/// Contents of a catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contents {
    /// The name of the edition.
    pub edition: String,
    /// The name of a JSON archive's one member.
    pub document: String,
    /// The folder that holds everything in a TXT archive.
    pub text_root: String,
    /// By name.
    pub categories: BTreeMap<String, CategoryContents>,
    /// In order of declaration.
    pub sections: Vec<SectionContents>,
}

/// A category, as developers and people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryContents {
    /// Other names for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The family of its scopes.
    pub scope: String,
    /// Its heading, by language.
    pub title: BTreeMap<String, String>,
    /// What it holds, by language.
    pub text: BTreeMap<String, String>,
    /// Whether it is given with more care.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sensitive: bool,
}

/// A place in the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SectionContents {
    /// The keys that lead to it in the document.
    pub path: Vec<String>,
    /// The categories that take it, beside `all_data`.
    pub categories: Vec<String>,
    /// Its file in a TXT archive, below `text_root`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its file in an NDJSON or CSV archive, without the ending.
    pub file: String,
    /// How its rows become a value: `list`, `object`, `groups`, `map`, `value` or `constant`.
    pub shape: String,
    /// What stands for no rows.
    pub empty: String,
    /// The value of a constant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constant: Option<serde_json::Value>,
    /// The field that holds a group's or a row's key in NDJSON and CSV, where it is no field of the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<FieldContents>,
    /// Whether `since` and `until` hold for it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ranged: bool,
    /// Whether its rows may have fields that are not listed, because the catalogue does not declare them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub open: bool,
    /// The fields of its rows, in the order in which they are written as far as it is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldContents>,
}

/// A field of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldContents {
    /// Its key.
    pub name: String,
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Whether the catalogue declares it. The type of one that it does not is taken from the source, if it was asked.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub declared: bool,
    /// How a time is written in JSON, NDJSON and CSV.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
    /// Its key in TXT, if it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What becomes of its values, if they are not written as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How long a pseudonym stays the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<String>,
    /// Whose data it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whose: Option<String>,
    /// What it means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
    /// How the operator came by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// What form its texts have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Whether nested rows may have fields that are not listed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub open: bool,
    /// The fields of nested rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldContents>,
}

/// What the values of a field are. Every one of them may also be null, but nested rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// Text.
    String,
    /// A whole number of any size.
    Integer,
    /// A number; what JSON has no number for is text.
    Number,
    /// True or false.
    Boolean,
    /// A moment, as text.
    Timestamp,
    /// A day, as text.
    Date,
    /// Any JSON.
    Json,
    /// Nobody says what.
    Any,
    /// Nested rows.
    Rows,
}

impl Type {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Timestamp => "timestamp",
            Self::Date => "date",
            Self::Json => "json",
            Self::Any => "any",
            Self::Rows => "rows",
        }
    }
}

fn yes() -> bool {
    true
}

// serde hands references to these.
fn is_true(flag: &bool) -> bool {
    *flag
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// The columns of queries and their types, as their sources tell them: by the path of the section, and of its nests with the field behind it.
pub type Live = BTreeMap<Vec<String>, Vec<(String, Type)>>;

impl Contents {
    /// What the catalogue says by itself.
    pub fn of(catalogue: &Catalogue) -> Self {
        Self::with(catalogue, &Live::new())
    }

    /// What the catalogue says, and for what it does not declare, what its sources say.
    pub fn with(catalogue: &Catalogue, live: &Live) -> Self {
        let categories = catalogue.categories.iter().map(|category| {
            let contents = CategoryContents {
                aliases: category.aliases.clone(),
                scope: category.scope.clone(),
                title: texts(&category.title),
                text: texts(&category.text),
                sensitive: category.sensitivity == super::Sensitivity::Sensitive,
            };
            (category.name.clone(), contents)
        });
        let files = catalogue.file_names();
        let sections = catalogue.sections.iter().zip(files);
        Self {
            edition: catalogue.edition.clone(),
            document: catalogue.document.clone(),
            text_root: catalogue.text_root.clone(),
            categories: categories.collect(),
            sections: sections.map(|(section, file)| section_contents(catalogue, section, file, live)).collect(),
        }
    }

    /// The category's name, also for one of its aliases.
    pub fn category(&self, name_or_alias: &str) -> Option<(&str, &CategoryContents)> {
        self.categories
            .iter()
            .find(|(name, category)| *name == name_or_alias || category.aliases.iter().any(|alias| alias == name_or_alias))
            .map(|(name, category)| (name.as_str(), category))
    }

    /// The sections that a request for the category takes.
    pub fn sections_of<'c>(&'c self, category: &'c str) -> impl Iterator<Item = &'c SectionContents> {
        let taken = move |section: &&SectionContents| {
            category == super::ALL_DATA || section.categories.iter().any(|name| name == category)
        };
        self.sections.iter().filter(taken)
    }
}

impl SectionContents {
    /// The path as messages name it.
    pub fn name(&self) -> String {
        self.path.join(" / ")
    }
}

fn texts(texts: &Texts) -> BTreeMap<String, String> {
    texts.iter().map(|(language, words)| (language.to_owned(), words.to_owned())).collect()
}

fn section_contents(catalogue: &Catalogue, section: &Section, file: String, live: &Live) -> SectionContents {
    let (shape, constant) = match &section.shape {
        Shape::List => ("list", None),
        Shape::Object => ("object", None),
        Shape::Groups(_) => ("groups", None),
        Shape::Map(_) => ("map", None),
        Shape::Value => ("value", None),
        Shape::Constant(json) => ("constant", Some(serde_json::from_str(json).unwrap_or_default())),
    };
    let (mut fields, open) = row(catalogue, section, &section.path, live);
    for nest in &section.nests {
        let mut path = section.path.clone();
        path.push(nest.field.clone());
        let (inner, open) = row(catalogue, &nest.section, &path, live);
        fields.push(FieldContents { open, fields: inner, ..FieldContents::new(&nest.field, Type::Rows) });
    }
    SectionContents {
        path: section.path.clone(),
        categories: section.categories.clone(),
        text: section.text.clone(),
        file,
        shape: shape.to_owned(),
        empty: section.empty.as_str().to_owned(),
        constant,
        key: section.group_column().map(|column| match section.field(column) {
            Some(field) => FieldContents::of(field),
            None => FieldContents { declared: false, ..FieldContents::new(column, Type::String) },
        }),
        ranged: section.query.as_ref().is_some_and(|query| query.time.is_some()),
        open,
        fields,
    }
}

/// The fields of a query's rows, and whether there may be more.
fn row(catalogue: &Catalogue, section: &Section, path: &[String], live: &Live) -> (Vec<FieldContents>, bool) {
    let Some(query) = &section.query else { return (Vec::new(), false) };
    let told = live.get(path);
    let names = match told {
        Some(columns) => Some(columns.iter().map(|(name, _)| name.clone()).collect()),
        None => section.columns_by_text(catalogue),
    };
    let owner = match &query.owner {
        Owner::Column(name) => Some(name.as_str()),
        Owner::Unchecked(_) => None,
    };
    let kept_back = |name: &str| {
        query.hidden.iter().any(|hidden| hidden == name)
            || section.group_column() == Some(name)
            || ((owner == Some(name) || query.paired.iter().any(|paired| paired == name)) && section.field(name).is_none())
            || section.field(name).is_some_and(|field| field.rule == Rule::Omit)
    };
    let looked_up = |column: &str| -> Vec<String> {
        let of = section.lookups.iter().filter(|lookup| lookup.column == column);
        of.flat_map(|lookup| lookup.fields.iter().map(|(_, field)| field.clone())).collect()
    };
    let all_looked_up: Vec<String> =
        section.lookups.iter().flat_map(|lookup| lookup.fields.iter().map(|(_, field)| field.clone())).collect();
    let mut written: Vec<String> = Vec::new();
    for name in names.as_deref().unwrap_or_default() {
        written.extend((!kept_back(name)).then(|| name.clone()));
        written.extend(looked_up(name));
    }
    // What is declared is there: the query is refused otherwise.
    let rest = section
        .fields
        .iter()
        .map(|field| field.name.clone())
        .filter(|name| !kept_back(name))
        .chain(all_looked_up.iter().cloned());
    for name in rest {
        if !written.contains(&name) {
            written.push(name);
        }
    }
    let mut undeclared = false;
    let fields = written
        .iter()
        .map(|name| match section.field(name) {
            Some(field) => FieldContents::of(field),
            None => {
                undeclared |= !all_looked_up.contains(name);
                let kind = told
                    .and_then(|columns| columns.iter().find(|(column, _)| column == name))
                    .map_or(Type::Any, |(_, kind)| *kind);
                FieldContents { declared: false, ..FieldContents::new(name, kind) }
            }
        })
        .collect();
    (fields, section.fields.is_empty() || undeclared)
}

impl Section {
    /// The columns that its query gives, in order, if the text of the query says them.
    pub(crate) fn columns_by_text(&self, catalogue: &Catalogue) -> Option<Vec<String>> {
        let query = self.query.as_ref()?;
        match catalogue.source(&query.source)?.kind {
            Engine::Http => Some(crate::source::service_columns(self)),
            _ => outputs(&query.sql),
        }
    }
}

impl FieldContents {
    fn new(name: &str, kind: Type) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            declared: true,
            written: None,
            label: None,
            rule: None,
            stable: None,
            whose: None,
            meaning: None,
            origin: None,
            format: None,
            open: false,
            fields: Vec::new(),
        }
    }

    fn of(field: &Field) -> Self {
        let (kind, written) = match &field.kind {
            FieldKind::String => (Type::String, None),
            FieldKind::Integer => (Type::Integer, None),
            FieldKind::Number => (Type::Number, None),
            FieldKind::Boolean => (Type::Boolean, None),
            FieldKind::Timestamp(time) => (Type::Timestamp, Some(time.json.as_text())),
            FieldKind::Date(time) => (Type::Date, Some(time.json.as_text())),
            FieldKind::Json => (Type::Json, None),
            FieldKind::Any => (Type::Any, None),
        };
        let ruled = field.rule != Rule::Keep;
        Self {
            // What stands for a value is text, whatever the value is.
            kind: if ruled { Type::String } else { kind },
            written: written.filter(|_| !ruled),
            label: field.label.clone(),
            rule: ruled.then(|| field.rule.as_str().to_owned()),
            stable: (field.rule == Rule::Pseudonym && field.stable != Stable::Grant).then(|| field.stable.as_str().to_owned()),
            whose: field.whose.map(|whose| whose.as_str().to_owned()),
            meaning: field.meaning.clone(),
            origin: field.origin.map(|origin| origin.as_str().to_owned()),
            format: field.format.map(|format| format.as_str().to_owned()),
            ..Self::new(&field.name, kind)
        }
    }

    /// Whether the field is always there. What stands for a value may need what a request does not have, and what is not declared is known
    /// from the text of a query only.
    pub fn is_promised(&self) -> bool {
        self.declared && !matches!(self.rule.as_deref(), Some("pseudonym" | "open_id"))
    }
}
