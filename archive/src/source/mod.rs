//! The operator's databases. A source hands over rows as cells; what becomes of them is the business of `write`.

mod http;
mod http_lines;
mod known;
mod mysql;
mod mysql_types;
mod postgres;
mod postgres_types;
mod sqlite;

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(crate) use self::http::{ServiceRow, service_rows};
use crate::catalogue::contents::{Live, Type};
use crate::catalogue::{Address, Catalogue, Engine, Fault, Owner, Place, Section, SourceSpec};
use crate::store::Store;
use crate::subject::{Subject, SubjectType};
use crate::write::{Binds, Failure, Rows};

/// One value of a row, borrowed from the driver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'r> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number, which may be none of JSON's.
    Real(f64),
    /// An exact number, as digits.
    Number(&'r str),
    /// Text.
    Text(&'r str),
    /// Bytes.
    Blob(&'r [u8]),
    /// Well-formed JSON.
    Json(&'r str),
    /// A UUID.
    Uuid([u8; 16]),
    /// Microseconds since 1970, UTC.
    Timestamp(i64),
    /// Days since 1970.
    Date(i32),
}

/// One of `max_concurrent`, held by the request and by whatever works for it, also when nobody waits for that any more.
pub(crate) type Permit = Arc<OwnedSemaphorePermit>;

/// Columns by name, with their types.
pub(crate) type Columns = Vec<(String, Type)>;

/// Readings that all see one and the same state of the data.
pub(crate) type Together<'a> = Later<'a, Result<Vec<Box<dyn Reading>>, Failure>>;

pub(crate) type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A database, or whatever else answers a section's query with rows.
///
/// The engine around it keeps to `max_concurrent`, watches the clock and the cancellation token, and drops what it waits for
/// when either says so: a source must then stop its work by itself, soon.
pub(crate) trait Source: Send + Sync {
    /// Connects, prepares the query of every section, and tells what does not fit, as far as it can be told with values like these examples.
    fn check<'a>(&'a self, sections: Vec<&'a Section>, examples: &'a [Binds]) -> Later<'a, Vec<Fault>>;

    /// The columns of a section's query and their types, as far as the source tells them without running it.
    fn columns<'a>(&'a self, section: &'a Section) -> Later<'a, Result<Option<Columns>, Failure>> {
        let _ = section;
        Box::pin(async { Ok(None) })
    }

    /// Takes a connection for one request and, with `snapshot = "request"`, begins its snapshot. The permit is held as long
    /// as the connection is in use, also by work that nobody waits for any more.
    fn begin<'a>(&'a self, permit: Permit) -> Later<'a, Result<Box<dyn Reading>, Failure>>;

    /// Takes as many connections as `width` says, whose readings all see one and the same state of the data until they end. The permit
    /// counts for all of them. The catalogue asks this only of kinds that can (`Engine::reads_together`).
    fn begin_together<'a>(&'a self, permit: Permit, width: usize) -> Together<'a> {
        let _ = permit;
        Box::pin(async move { Err(Failure::Query(format!("this kind of source cannot read {width} queries at once"))) })
    }
}

/// One request's turn at a source.
pub(crate) trait Reading: Send {
    /// Runs a section's query for one person, and hands every row to `rows`.
    fn read<'a>(&'a mut self, section: &'a Section, binds: &'a Arc<Binds>, rows: Rows) -> Later<'a, Result<Rows, Failure>>;

    /// Whether the answers were ours, asked once after the last section: rows name their owner, but no rows name nobody, and a
    /// connection that was mixed up with another, or is an answer behind, may well give none.
    fn verify(&mut self) -> Later<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    /// Ends the snapshot and gives the connection back. A reading that is dropped instead closes its connection.
    fn end(self: Box<Self>) -> Later<'static, ()>;
}

/// The sources of a catalogue, opened: one pool and one semaphore each; and its object stores.
pub struct Sources {
    by_name: HashMap<String, Opened>,
    stores: HashMap<String, Store>,
}

pub(crate) struct Opened {
    pub(crate) spec: SourceSpec,
    pub(crate) source: Box<dyn Source>,
    pub(crate) permits: Arc<Semaphore>,
}

/// What a look at the sources has found.
#[derive(Clone, Debug, Default)]
pub struct Examined {
    /// What must be repaired.
    pub faults: Vec<Fault>,
    /// What serves and should be looked at.
    pub warnings: Vec<Fault>,
}

/// A source that cannot even be tried.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {what}")]
pub struct SourceError {
    /// Of which source or store.
    name: String,
    what: String,
}

impl Sources {
    /// Prepares every source of the catalogue. Nothing is connected yet: a source that is down does not stop the server.
    /// Relative paths are relative to `base_dir`, the catalogue's folder.
    pub async fn open(catalogue: &Catalogue, base_dir: &Path) -> Result<Self, SourceError> {
        let mut by_name = HashMap::new();
        for spec in catalogue.sources() {
            let fail = |what: String| SourceError { name: format!("source `{}`", spec.name), what };
            let url = address(spec, base_dir).await.map_err(fail)?;
            let sections = catalogue.queries().count();
            let source: Box<dyn Source> = match spec.kind {
                Engine::Sqlite => Box::new(sqlite::SqliteSource::new(spec, &url, base_dir, sections).map_err(fail)?),
                Engine::Postgres => Box::new(postgres::PostgresSource::new(spec, &url, sections).map_err(fail)?),
                Engine::Mysql => Box::new(mysql::MysqlSource::new(spec, &url, sections).map_err(fail)?),
                Engine::Http => Box::new(http::HttpSource::new(spec, &url, base_dir).map_err(fail)?),
            };
            let permits = Arc::new(Semaphore::new(spec.max_concurrent));
            by_name.insert(spec.name.clone(), Opened { spec: spec.clone(), source, permits });
        }
        let mut stores = HashMap::new();
        for spec in catalogue.stores() {
            let fail = |what: String| SourceError { name: format!("store `{}`", spec.name), what };
            stores.insert(spec.name.clone(), Store::open(spec, base_dir).await.map_err(fail)?);
        }
        Ok(Self { by_name, stores })
    }

    /// Connects to every source and prepares every query: names the tables and columns that are missing, and the sections
    /// whose owner is not checked. A fault is something to repair; an empty list is a catalogue that serves.
    pub async fn check(&self, catalogue: &Catalogue) -> Vec<Fault> {
        self.examine(catalogue).await.faults
    }

    /// As [`Self::check`], and tells also what serves and should be looked at: columns that a section with declared fields does not declare.
    pub async fn examine(&self, catalogue: &Catalogue) -> Examined {
        let mut faults = Vec::new();
        let examples = examples(catalogue);
        for spec in catalogue.sources() {
            let Some(opened) = self.by_name.get(&spec.name) else {
                faults.push(fault_at(
                    &spec.place,
                    format!("the source `{}` was not opened", spec.name),
                    "open the sources of this catalogue",
                ));
                continue;
            };
            let sections: Vec<&Section> = catalogue.queries().filter(|section| section.source_name() == spec.name).collect();
            faults.extend(opened.source.check(sections, &examples).await);
        }
        for spec in catalogue.stores() {
            if let Some(store) = self.store(&spec.name) {
                faults.extend(store.check().await);
            }
        }
        let (warnings, faults) = faults.into_iter().partition(|fault| fault.warning);
        Examined { faults, warnings }
    }

    /// The columns of every query and their types, as the sources tell them. What cannot be told is left out.
    pub async fn columns(&self, catalogue: &Catalogue) -> Live {
        let mut live = Live::new();
        for section in catalogue.sections() {
            let nests = section.nests.iter().map(|nest| {
                let path = section.path.iter().cloned().chain([nest.field.clone()]).collect();
                (path, &nest.section)
            });
            for (path, section) in std::iter::once((section.path.clone(), section)).chain(nests) {
                let Some(opened) = self.by_name.get(section.source_name()) else { continue };
                if let Ok(Some(columns)) = opened.source.columns(section).await {
                    live.insert(path, columns);
                }
            }
        }
        live
    }

    /// The sections whose rows carry no owner to compare, with the reason that the catalogue gives.
    pub fn unchecked(catalogue: &Catalogue) -> Vec<(&Section, &str)> {
        catalogue
            .queries()
            .filter_map(|section| match &section.query.as_ref()?.owner {
                // A key without an owner needs none where the rows that it finds have one.
                Owner::Unchecked(reason) if reason.is_empty() => None,
                Owner::Unchecked(reason) => Some((section, reason.as_str())),
                Owner::Column(_) => None,
            })
            .collect()
    }

    /// The object store of this name.
    pub fn store(&self, name: &str) -> Option<&Store> {
        self.stores.get(name)
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Opened> {
        self.by_name.get(name)
    }
}

/// What a request may bind, with a range and without.
fn examples(catalogue: &Catalogue) -> Vec<Binds> {
    let example = |kind| {
        Subject::parse(
            kind,
            match kind {
                SubjectType::Integer => "1",
                SubjectType::Text => "a",
                SubjectType::Uuid => "00000000-0000-0000-0000-000000000000",
            },
        )
    };
    let moment = jiff::Timestamp::from_second(1_700_000_000).ok();
    let Some(subject) = example(catalogue.subject) else { return Vec::new() };
    let whole = catalogue.keys().iter().fold(Binds::new(subject, None, None), |binds, key| match example(key.kind) {
        Some(value) => binds.with(&key.name, value),
        None => binds,
    });
    let ranged = whole.clone().between(moment, moment);
    vec![whole, ranged]
}

/// Where a source is, read from its file if it has one.
pub(crate) async fn address(spec: &SourceSpec, base_dir: &Path) -> Result<String, String> {
    match &spec.address {
        Address::Url(url) => Ok(url.clone()),
        Address::File(path) => {
            let path = base_dir.join(path);
            let text = tokio::fs::read_to_string(&path).await;
            let text = text.map_err(|error| format!("url_file {} cannot be read: {error}", path.display()))?;
            Ok(text.trim().to_owned())
        }
    }
}

pub(crate) fn fault_at(place: &Place, what: impl Into<String>, cure: impl Into<String>) -> Fault {
    Fault {
        file: place.file.to_string(),
        line: (place.line > 0).then_some(place.line),
        what: what.into(),
        cure: cure.into(),
        warning: false,
    }
}

/// The columns that a service is expected to give for a section.
pub(crate) fn service_columns(section: &Section) -> Vec<String> {
    http::columns(section)
}

/// What a query's columns lack, as faults of the section.
pub(crate) fn column_faults(section: &Section, columns: &[&str]) -> Vec<Fault> {
    let told = |what: String, cure: &str| fault_at(&section.place, format!("section \"{}\": {what}", section.name()), cure);
    let problems = crate::write::column_problems(section, columns);
    let undeclared = section.undeclared(columns).into_iter().map(|column| Fault {
        warning: true,
        ..told(format!("the column `{column}` is not declared"), "declare it in its fields, hide it, or do not select it")
    });
    problems.into_iter().map(|what| told(what, "correct the query or the section")).chain(undeclared).collect()
}

/// A word that no other connection is asked to repeat at the same time.
pub(crate) fn watchword() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{:016x}", RandomState::new().hash_one(NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// What a connection said instead.
pub(crate) fn mixed_up() -> Failure {
    Failure::Broken("the connection gave another one's answers".to_owned())
}

/// Gives the cells of the last row back as room for the next: the allocation is kept, the borrow is not.
pub(crate) fn recycle<'a, 'b>(mut cells: Vec<Cell<'a>>) -> Vec<Cell<'b>> {
    cells.clear();
    // Collecting in place keeps the allocation; there is nothing to convert.
    cells.into_iter().map(|_| Cell::Null).collect()
}
