//! The catalogue: what can be exported. The operator's file, parsed and checked into types that cannot be wrong.

pub mod contents;
mod declared;
pub mod dictionary;
pub mod edition;
mod excuse;
mod fields;
mod file;
mod file_names;
mod joined;
mod media;
mod more;
mod parse;
mod rules;
pub mod schema;
pub(crate) mod sql;
mod synthetic;
mod time_format;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

pub use declared::{Format, Lookup, Missing, Nest, Origin, Rule, Stable, SubjectKey, Whose};
pub(crate) use declared::{MAX_KEY_VALUES, TimeUnit, batch_name};
pub use excuse::{Excuse, PersonTable};
pub use media::{Absent, Media, MediaType, Placed, StoreSpec};
pub use time_format::TimeFormat;
pub(crate) use time_format::{DayCache, Stamp};

use crate::subject::SubjectType;

/// The category of this name takes every section, and its scope covers every category.
pub const ALL_DATA: &str = "all_data";

/// The files that a pattern of `include` names, each with its name and text, or what is wrong.
pub type Included = Result<Vec<(String, String)>, String>;

/// What can be exported, and for which categories and scopes.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// Which state of the catalogue this is, in the operator's words: `2026-08-28`.
    pub edition: String,
    /// The name of the one member of a JSON archive: `user_data_tiktok.json`.
    pub document: String,
    /// The folder that holds everything in a TXT archive: `TikTok`.
    pub text_root: String,
    /// What names a person in the operator's databases.
    pub subject: SubjectType,
    keys: Vec<SubjectKey>,
    sources: Vec<SourceSpec>,
    stores: Vec<StoreSpec>,
    categories: Vec<Category>,
    sections: Vec<Section>,
    excuses: Vec<Excuse>,
}

impl Catalogue {
    /// Reads a catalogue and the files it includes. Every fault is told at once.
    pub fn load(path: &Path) -> Result<Self, CatalogueError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            CatalogueError::one(
                path.display().to_string(),
                format!("cannot be read: {error}"),
                "give the path of a catalogue file",
            )
        })?;
        let base = path.parent().unwrap_or(Path::new(""));
        Self::parse(&path.display().to_string(), &text, &mut |pattern| included(base, pattern))
    }

    /// Reads a catalogue from text. `include` answers a pattern of `include` with the files it names, sorted, or with
    /// what is wrong.
    pub fn parse(name: &str, text: &str, include: &mut dyn FnMut(&str) -> Included) -> Result<Self, CatalogueError> {
        parse::catalogue(name, text, include)
    }

    /// The categories, in order of declaration.
    pub fn categories(&self) -> &[Category] {
        &self.categories
    }

    /// The category of this name or alias.
    pub fn category(&self, name_or_alias: &str) -> Option<&Category> {
        self.categories
            .iter()
            .find(|category| category.name == name_or_alias || category.aliases.iter().any(|alias| alias == name_or_alias))
    }

    /// The sources, in order of declaration.
    pub fn sources(&self) -> &[SourceSpec] {
        &self.sources
    }

    /// Reads the one SQLite source from another file. Fails when there is none, or more than one.
    pub fn read_from_sqlite(&mut self, file: &Path) -> Result<(), SourceChoice> {
        let mut found = self.sources.iter_mut().filter(|source| source.kind == Engine::Sqlite);
        match (found.next(), found.next()) {
            (Some(source), None) => {
                source.address = Address::Url(format!("sqlite:{}", file.display()));
                Ok(())
            }
            _ => Err(SourceChoice),
        }
    }

    /// The source of this name.
    pub fn source(&self, name: &str) -> Option<&SourceSpec> {
        self.sources.iter().find(|source| source.name == name)
    }

    /// The sections, in order of declaration.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The sections that a request for these categories takes. Names and aliases both serve.
    pub fn sections_of(&self, categories: &[impl AsRef<str>]) -> impl Iterator<Item = &Section> {
        self.indexes_of(categories).into_iter().filter_map(|index| self.sections.get(index))
    }

    /// The same, by their places in [`Self::sections`].
    pub(crate) fn indexes_of(&self, categories: &[impl AsRef<str>]) -> Vec<usize> {
        let names: Vec<&str> = categories.iter().filter_map(|name| Some(self.category(name.as_ref())?.name.as_str())).collect();
        let all = names.contains(&ALL_DATA);
        let taken = |section: &Section| all || section.categories.iter().any(|name| names.contains(&name.as_str()));
        (0..self.sections.len()).filter(|index| taken(&self.sections[*index])).collect()
    }
}

/// A database that sections are read from.
#[derive(Clone, Debug)]
pub struct SourceSpec {
    /// Its name, as sections use it.
    pub name: String,
    /// Which engine it speaks to.
    pub kind: Engine,
    /// Where it is.
    pub address: Address,
    /// What is read at one moment in time.
    pub snapshot: Snapshot,
    /// How long the snapshot of a request may be held.
    pub max_snapshot: Duration,
    /// How many requests may read from it at once.
    pub max_concurrent: usize,
    /// How long one query may take, reading included.
    pub statement_timeout: Duration,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// Where its people are, if the catalogue says so.
    pub person: Option<PersonTable>,
    /// What only sources of kind `http` have.
    pub http: HttpSpec,
    /// Where it was declared.
    pub place: Place,
}

/// What a source of kind `http` has beside its address.
#[derive(Clone, Debug)]
pub struct HttpSpec {
    /// The file that holds the bearer token, read for every request.
    pub token_file: Option<PathBuf>,
    /// Certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The path that tells whether the service is well.
    pub health: Option<String>,
    /// How long an answer may take to begin.
    pub first_byte_timeout: Duration,
    /// How long an answer may pause.
    pub idle_timeout: Duration,
    /// How many bytes a line may have.
    pub max_line: usize,
    /// How many pages one section may have.
    pub max_pages: usize,
}

impl Default for HttpSpec {
    fn default() -> Self {
        Self {
            token_file: None,
            ca_file: None,
            health: None,
            first_byte_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(30),
            max_line: 128 << 20,
            max_pages: 10_000,
        }
    }
}

/// A catalogue whose source cannot be chosen for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the catalogue must have exactly one source of kind sqlite")]
pub struct SourceChoice;

/// The kinds of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// A SQLite file.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
    /// A MySQL or MariaDB server.
    Mysql,
    /// A service that streams NDJSON.
    Http,
}

impl Engine {
    /// The word of the catalogue file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Http => "http",
        }
    }

    /// Whether two queries can be read from it at once and see the same.
    pub(crate) fn reads_together(self) -> bool {
        matches!(self, Self::Sqlite | Self::Postgres)
    }

    pub(crate) fn dialect(self) -> sql::Dialect {
        match self {
            Self::Sqlite => sql::Dialect::Sqlite,
            Self::Postgres => sql::Dialect::Postgres,
            Self::Mysql => sql::Dialect::Mysql,
            Self::Http => sql::Dialect::Path,
        }
    }
}

/// Where a source is. Both may hold or name a password, and neither is ever printed.
#[derive(Clone)]
pub enum Address {
    /// The address itself.
    Url(String),
    /// A file that holds the address, read when the source is opened.
    File(PathBuf),
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(_) => f.write_str("Url(..)"),
            Self::File(_) => f.write_str("File(..)"),
        }
    }
}

/// What is read at one moment in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Snapshot {
    /// All sections of a request that come from this source.
    Request,
    /// Each section by itself.
    Section,
    /// Nothing is promised.
    None,
}

impl Snapshot {
    /// The word of the catalogue file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Section => "section",
            Self::None => "none",
        }
    }
}

/// A kind of data that can be asked for.
#[derive(Clone, Debug)]
pub struct Category {
    /// What the wire calls it: `activity`.
    pub name: String,
    /// Other names that the wire accepts for it.
    pub aliases: Vec<String>,
    /// The family of scopes, without `.single` and `.ongoing`: `portability.activity`.
    pub scope: String,
    /// The consent page's heading.
    pub title: Texts,
    /// The consent page's words on what it holds.
    pub text: Texts,
    /// How carefully it is given.
    pub sensitivity: Sensitivity,
    /// Where it was declared.
    pub place: Place,
}

/// How carefully a category is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitivity {
    /// As usual.
    Normal,
    /// With a fresh sign-in and two reviewers.
    Sensitive,
}

/// Words in several languages. English is always among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(BTreeMap<String, String>);

impl Texts {
    /// The words in this language, if they were given.
    pub fn get(&self, language: &str) -> Option<&str> {
        self.0.get(language).map(String::as_str)
    }

    /// The words in this language, or else in English.
    pub fn best(&self, language: &str) -> &str {
        self.get(language).or_else(|| self.get("en")).unwrap_or_default()
    }

    /// All of them, by language.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(language, words)| (language.as_str(), words.as_str()))
    }
}

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

/// A line of a catalogue file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file's path, as it was given.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Something wrong in a catalogue, or between a catalogue and its sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The line, where there is one.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub cure: String,
    /// Whether everything works as it is, and yet somebody should look at it.
    pub warning: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}; {}", self.what, self.cure)
    }
}

/// Everything wrong in a catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueError {
    /// Each fault, by file and line.
    pub faults: Vec<Fault>,
}

impl CatalogueError {
    fn one(file: String, what: String, cure: &str) -> Self {
        Self { faults: vec![Fault { file, line: None, what, cure: cure.to_owned(), warning: false }] }
    }
}

impl fmt::Display for CatalogueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.faults.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for CatalogueError {}

/// The files that a pattern of `include` names: a path below the catalogue's folder, with `*` in its last part only.
fn included(base: &Path, pattern: &str) -> Included {
    let (folder, name) = pattern.rsplit_once('/').unwrap_or(("", pattern));
    if folder.contains('*') {
        return Err("`*` may stand in the file's name only, not in a folder's".to_owned());
    }
    let folder = base.join(folder);
    let mut paths = Vec::new();
    if name.contains('*') {
        let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries {
            let entry = entry.map_err(|error| format!("{}: {error}", folder.display()))?;
            if entry.file_name().to_str().is_some_and(|found| fits(name, found)) {
                paths.push(entry.path());
            }
        }
        paths.sort();
    } else {
        paths.push(folder.join(name));
    }
    paths
        .into_iter()
        .map(|path| match std::fs::read_to_string(&path) {
            Ok(text) => Ok((path.display().to_string(), text)),
            Err(error) => Err(format!("{}: {error}", path.display())),
        })
        .collect()
}

/// Whether a name fits a pattern with `*`.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, wanted) in [
            ("*.toml", "a.toml", true),
            ("*.toml", "a.toml~", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c", false),
            ("*", "x", true),
            ("a*a", "a", false),
            ("x.toml", "x.toml", true),
        ] {
            assert_eq!(fits(pattern, name), wanted, "{pattern} {name}");
        }
    }
}
