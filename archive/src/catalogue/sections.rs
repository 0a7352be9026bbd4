//! What stands in an archive and where: `[[section]]`, its query and its fields.

use super::{Format, Lookup, Media, Nest, Origin, Place, Rule, Stable, TimeFormat, TimeUnit, Whose};

/// One place in the archive, and how it is filled.
#[derive(Clone, Debug)]
pub struct Section {
    /// The categories that take it. `all_data` takes every section.
    pub categories: Vec<String>,
    /// The keys that lead to it in the JSON document.
    pub path: Vec<String>,
    /// Its file below `text_root` in a TXT archive. Constants have none unless they say so.
    pub text: Option<String>,
    /// How its rows become a value.
    pub shape: Shape,
    /// What stands in the JSON document when there is no row.
    pub empty: Empty,
    /// The query; constants have none.
    pub query: Option<Query>,
    /// What is known of the columns, by name.
    pub fields: Vec<Field>,
    /// What of it lies in an object store.
    pub media: Option<Media>,
    /// Rows of other queries that stand within its rows.
    pub nests: Vec<Nest>,
    /// What is fetched for its rows by their values.
    pub lookups: Vec<Lookup>,
    /// One line a row, instead of a block.
    pub text_line: Option<Template>,
    /// The heading of a group.
    pub text_group: Option<Template>,
    /// The heading before the section's rows.
    pub text_title: Option<String>,
    /// What the file says when there is no data.
    pub text_empty: Option<String>,
    /// Whether one record may be of several people.
    pub shared: bool,
    /// Where it was declared.
    pub place: Place,
}

impl Section {
    /// The path as messages name it: `Your Activity / Watch History / VideoList`.
    pub fn name(&self) -> String {
        self.path.join(" / ")
    }

    /// What is known of a column.
    pub fn field(&self, column: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == column)
    }

    /// Whether the column of `time` holds texts, as far as the fields say.
    pub(crate) fn time_is_text(&self) -> bool {
        if let Some(query) = &self.query
            && let Some(from) = query.time_from.or_else(|| query.range.as_ref().map(|unit| unit.from))
        {
            return from == TimeFrom::Text;
        }
        let is_text = |field: &Field| match &field.kind {
            FieldKind::Timestamp(time) | FieldKind::Date(time) => time.from == Some(TimeFrom::Text),
            _ => false,
        };
        let time = self.query.as_ref().and_then(|query| query.time.as_deref());
        match time.and_then(|time| self.field(time)) {
            Some(field) => is_text(field),
            None => self.fields.iter().any(is_text),
        }
    }

    /// The column whose values group rows or name them.
    pub(crate) fn group_column(&self) -> Option<&str> {
        match &self.shape {
            Shape::Groups(column) | Shape::Map(column) => Some(column),
            _ => None,
        }
    }
}

/// How the rows of a section become one JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A list of objects, one a row.
    List,
    /// One object; a second row is an error.
    Object,
    /// `{ group: [rows] }`, by this column; the rows of a group come one after another.
    Groups(String),
    /// `{ key: row }`, by this column.
    Map(String),
    /// The one value of one row of one column.
    Value,
    /// No query, always this JSON.
    Constant(String),
}

/// What stands for "no row".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// `null`
    Null,
    /// `[]`
    List,
    /// `{}`
    Object,
}

impl Empty {
    /// The JSON literal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::List => "[]",
            Self::Object => "{}",
        }
    }
}

/// What fills a section.
#[derive(Clone, Debug)]
pub struct Query {
    /// The source's name.
    pub source: String,
    /// The statement, as written, without a trailing semicolon.
    pub sql: String,
    /// Whose row it is.
    pub owner: Owner,
    /// The key of the person that the owner's column is compared with, by its name; without one it is the subject.
    pub owner_is: Option<String>,
    /// The columns that identify a record.
    pub key: Vec<String>,
    /// What `since` and `until` compare with.
    pub time: Option<String>,
    /// How the compared column stores its times, if the fields do not say so.
    pub time_from: Option<TimeFrom>,
    /// How the compared column writes its times, if it holds texts.
    pub time_as: Option<TimeFormat>,
    /// Columns that are read but never written.
    pub hidden: Vec<String>,
    /// How the section that these rows are nested in compares its times.
    pub(crate) range: Option<TimeUnit>,
    /// Columns of nested rows that only say which row they stand in: written, like the owner's, if they are also fields.
    pub paired: Vec<String>,
}

/// How a row tells whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// By this column, compared on every row.
    Column(String),
    /// It does not, for this reason, which `portward check` lists.
    Unchecked(String),
}

/// What is known of a column.
#[derive(Clone, Debug)]
pub struct Field {
    /// The column's name in the query's result, and the key in the archive.
    pub name: String,
    /// What its values are.
    pub kind: FieldKind,
    /// The key in a TXT archive.
    pub label: Option<String>,
    /// Whose data it is.
    pub whose: Option<Whose>,
    /// What becomes of it.
    pub rule: Rule,
    /// How long a pseudonym stays the same.
    pub stable: Stable,
    /// What it means, in the operator's words.
    pub meaning: Option<String>,
    /// How the operator came by it.
    pub origin: Option<Origin>,
    /// What form its texts have.
    pub format: Option<Format>,
}

/// What the values of a column are.
#[derive(Clone, Debug)]
pub enum FieldKind {
    /// Text, whatever the database holds.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false; 0 and 1 serve.
    Boolean,
    /// A moment, UTC.
    Timestamp(TimeField),
    /// A day.
    Date(TimeField),
    /// Text that holds JSON, written through.
    Json,
    /// Whatever the database holds, written as it would be undeclared.
    Any,
}

/// How a moment is stored and written.
#[derive(Clone, Debug)]
pub struct TimeField {
    /// How numbers and texts are read; what the database itself types as a time needs none.
    pub from: Option<TimeFrom>,
    /// How it is written in JSON.
    pub json: TimeFormat,
    /// How it is written in TXT.
    pub text: TimeFormat,
}

/// How a column without a time type stores a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeFrom {
    /// Seconds since 1970.
    Seconds,
    /// Milliseconds since 1970.
    Millis,
    /// Microseconds since 1970.
    Micros,
    /// `2026-01-31 23:59:59`, also with `T`, a fraction, `Z` or an offset.
    Text,
}

/// A line with places for columns: `{Date} {From}: {Content}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(pub(crate) Vec<Part>);

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Literal(String),
    Column(String),
}
