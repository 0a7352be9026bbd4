//! From a database to a catalogue: what tables there are, which of them are about a person, and a draft of the catalogue that exports them; and the
//! same look again, at a catalogue that serves.

mod check;
mod draft;
mod guess;
mod mysql;
mod people;
mod postgres;
mod preview;
mod probe;
mod quote;
mod schema;
mod service;
mod sqlite;
mod ways;
mod words;

use std::collections::HashMap;
use std::path::Path;

pub use check::{Finding, Level, inspect};
pub use draft::{Draft, Head};
pub use people::{PeopleError, apart};
pub use preview::{Preview, Read, SectionPreview, preview};
pub use schema::{Column, ColumnKind, ForeignKey, Schema, Table};
pub use service::{ServiceWish, draft_of_service};

use crate::catalogue::{Engine, Snapshot};
use crate::subject::SubjectType;
use guess::Value;
use probe::Probe;

/// What `init` is told.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The address of the database.
    pub url: String,
    /// The table that people are in, perhaps with its schema before it.
    pub person_table: String,
    /// The column that names a person; without it the primary key.
    pub person_key: Option<String>,
    /// What the draft says of itself.
    pub head: Head,
}

/// Why a database cannot be drafted from.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// The address is of no database that we know.
    #[error("{0}")]
    Address(String),
    /// The database does not answer, or not as it should.
    #[error("the database cannot be read: {0}")]
    Down(String),
    /// There is no such table.
    #[error("there is no table {name}; {hint}")]
    NoTable {
        /// What was asked for.
        name: String,
        /// What there is.
        hint: String,
    },
    /// The table's key does not name people.
    #[error("{0}")]
    Key(String),
}

/// Looks at the schema of a database.
pub async fn describe(url: &str, base_dir: &Path) -> Result<Schema, DiscoverError> {
    Probe::open(url, base_dir).await?.schema().await
}

/// Drafts a catalogue from a database. Relative paths of SQLite files begin at `base_dir`.
pub async fn draft(wish: &Wish, base_dir: &Path) -> Result<Draft, DiscoverError> {
    let mut probe = Probe::open(&wish.url, base_dir).await?;
    let engine = probe.engine();
    let schema = probe.schema().await?;
    let person = schema.find(&wish.person_table).ok_or_else(|| no_table(&schema, &wish.person_table))?;
    let key = key(&schema.tables[person], wish.person_key.as_deref())?;
    let ways = ways::find(&schema, person);
    let mut samples: HashMap<usize, draft::Sample> = HashMap::new();
    for at in ways.reached.iter().copied() {
        let table = &schema.tables[at];
        if !table.readable {
            continue;
        }
        let typed = engine == Engine::Sqlite;
        let columns: Vec<&Column> = table.columns.iter().filter(|column| guess::to_sample(column, engine)).collect();
        // The person's key is looked at too: SQLite types values, not columns.
        let key: Option<&Column> = table.column(&key).filter(|_| at == person && typed);
        let columns: Vec<&Column> = columns
            .into_iter()
            .filter(|column| Some(column.name.as_str()) != key.map(|key| key.name.as_str()))
            .chain(key)
            .collect();
        if !columns.is_empty() {
            samples.insert(at, probe.sample(table, &columns).await?);
        }
    }
    let subject = subject(engine, &schema.tables[person], &key, samples.get(&person));
    let snapshot = probe.snapshot().await;
    let ground =
        draft::Ground { engine, schema: &schema, ways: &ways, key: &key, subject, samples: &samples, head: &wish.head, snapshot };
    Ok(draft::draft(&ground))
}

fn no_table(schema: &Schema, name: &str) -> DiscoverError {
    let mut near: Vec<String> = schema
        .tables
        .iter()
        .filter(|table| {
            let stems = guess::singulars(&table.name);
            guess::singulars(name).iter().any(|stem| stems.contains(stem)) || table.name.eq_ignore_ascii_case(name)
        })
        .map(Table::full_name)
        .collect();
    if near.is_empty() {
        near = schema.tables.iter().filter(|table| table.view.is_none()).map(Table::full_name).take(30).collect();
    }
    let hint = if near.is_empty() { "there are no tables at all".to_owned() } else { format!("there are: {}", near.join(", ")) };
    DiscoverError::NoTable { name: name.to_owned(), hint }
}

/// The column that names a person.
fn key(table: &Table, wished: Option<&str>) -> Result<String, DiscoverError> {
    let names = || table.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
    match (wished, table.key()) {
        (Some(wished), _) => {
            let found = table.column(wished).or_else(|| table.columns.iter().find(|c| c.name.eq_ignore_ascii_case(wished)));
            found
                .map(|column| column.name.clone())
                .ok_or_else(|| DiscoverError::Key(format!("{} has no column {wished}; it has: {}", table.full_name(), names())))
        }
        (None, Some([only])) => Ok(only.clone()),
        (None, Some(several)) => Err(DiscoverError::Key(format!(
            "the key of {} has {} columns ({}): name the one that names a person with --person-key",
            table.full_name(),
            several.len(),
            several.join(", ")
        ))),
        (None, None) => Err(DiscoverError::Key(format!(
            "{} has no primary key: name the column that names a person with --person-key, one of: {}",
            table.full_name(),
            names()
        ))),
    }
}

fn subject(engine: Engine, table: &Table, key: &str, sample: Option<&draft::Sample>) -> SubjectType {
    let values = sample.and_then(|sample| sample.get(key));
    let kind = table.column(key).map(|column| column.kind);
    if engine == Engine::Sqlite
        && let Some(first) = values.and_then(|values| values.iter().find(|value| **value != Value::Null))
    {
        return if matches!(first, Value::Int(_)) { SubjectType::Integer } else { SubjectType::Text };
    }
    match kind {
        Some(ColumnKind::Integer | ColumnKind::Number) => SubjectType::Integer,
        Some(ColumnKind::Uuid) if engine != Engine::Sqlite => SubjectType::Uuid,
        _ => SubjectType::Text,
    }
}

/// How a source is read that nobody has said anything about.
const fn careful(journal_is_wal: bool) -> Snapshot {
    if journal_is_wal { Snapshot::Request } else { Snapshot::Section }
}
