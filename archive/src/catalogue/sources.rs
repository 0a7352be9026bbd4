//! Where sections are read: databases and services, as `[source.NAME]` says.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::Place;
use super::excuse::PersonTable;
use super::sql;

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
