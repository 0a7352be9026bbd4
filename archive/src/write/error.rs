//! Why an archive could not be made. Messages are for the operator and the log; none of them quotes a row.

use std::io;

use crate::subject::SubjectType;

/// Why an archive could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The person's subject is not of the catalogue's type.
    #[error("the person's subject is not of the type {0}, as [subject] in the catalogue says")]
    Subject(SubjectType),
    /// The request names a category that the catalogue does not have (any more).
    #[error("the catalogue has no category \"{0}\"")]
    Category(String),
    /// A key of the person could not be found.
    #[error("the key `{key}` of the person cannot be used: {what}")]
    Key {
        /// The key's name.
        key: String,
        /// What is wrong, without a value.
        what: &'static str,
        /// Whether there is none.
        missing: bool,
    },
    /// A section could not be read.
    #[error("source `{source_name}`, section \"{section}\": {failure}")]
    Section {
        /// The source's name.
        source_name: String,
        /// The section's path.
        section: String,
        /// What happened.
        failure: Failure,
    },
    /// Somebody withdrew it.
    #[error("the export was cancelled")]
    Cancelled,
    /// There is no room for the file.
    #[error("the disk is full")]
    DiskFull,
    /// The file cannot be written.
    #[error("the archive cannot be written: {0}")]
    Io(#[source] io::Error),
}

impl ExportError {
    /// One word for it, for rows, metrics and alerts.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Subject(_) => "subject_invalid",
            Self::Category(_) => "category_unknown",
            Self::Key { missing: true, .. } => "key_missing",
            Self::Key { missing: false, .. } => "key_invalid",
            Self::Section { failure, .. } => failure.reason(),
            Self::Cancelled => "cancelled",
            Self::DiskFull => "disk_full",
            Self::Io(_) => "io",
        }
    }

    /// Whether another attempt may succeed without anybody repairing something.
    pub fn retryable(&self) -> bool {
        match self {
            Self::Subject(_) | Self::Category(_) | Self::Key { .. } | Self::Cancelled => false,
            Self::Section { failure, .. } => matches!(failure, Failure::Down(_) | Failure::Timeout(_) | Failure::Broken(_)),
            Self::DiskFull | Self::Io(_) => true,
        }
    }

    /// Whether a source could not be reached, or was lost.
    pub(super) fn is_down(&self) -> bool {
        matches!(self, Self::Section { failure: Failure::Down(_), .. })
    }

    pub(super) fn from_io(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::DiskFull,
            _ => Self::Io(error),
        }
    }
}

/// What went wrong with a section.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// A row is somebody else's. Nothing of it was written.
    #[error("the query returned a row that is not the person's; nothing is served")]
    Owner,
    /// The source cannot be reached.
    #[error("the source is down: {0}")]
    Down(String),
    /// It took longer than this setting allows.
    #[error("it took longer than `{0}` allows")]
    Timeout(&'static str),
    /// The database does not take the query: what it names is not there, or it makes no sense to it.
    #[error("the query failed: {0}")]
    Query(String),
    /// The query broke off.
    #[error("the query broke off: {0}")]
    Broken(String),
    /// The query's columns are not what the catalogue says.
    #[error("the query does not fit the catalogue: {0}")]
    Columns(String),
    /// A value is not what the catalogue says.
    #[error("a value of the column `{column}` {what}")]
    Value {
        /// The column.
        column: String,
        /// What is wrong with the value, without the value.
        what: &'static str,
    },
    /// The rows do not make the shape.
    #[error("{0}")]
    Shape(&'static str),
    /// Nested rows do not come in the order of the rows that they stand in.
    #[error("{0}")]
    Order(&'static str),
    /// It was cancelled; the writing side may know why.
    #[error("it was broken off")]
    Stopped,
}

impl Failure {
    fn reason(&self) -> &'static str {
        match self {
            Self::Owner => "owner_mismatch",
            Self::Down(_) => "source_down",
            Self::Timeout(_) => "timeout",
            Self::Query(_) | Self::Broken(_) => "query_failed",
            Self::Columns(_) => "columns_mismatch",
            Self::Value { .. } => "value_invalid",
            Self::Shape(_) => "shape_mismatch",
            Self::Order(_) => "order_mismatch",
            Self::Stopped => "cancelled",
        }
    }
}
