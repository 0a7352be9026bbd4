//! Running a statement, compiled once for each engine.
//!
//! An async function is compiled by the crate that awaits it, again in every binary. The drivers' ones are large and generic over the row;
//! boxed here, they are compiled with this crate and only there, and the thousand places of `sql!` await one small type.

use std::future::Future;
use std::pin::Pin;

use sqlx::{FromRow, Row};

/// What a statement comes to.
type Run<'a, T> = Pin<Box<dyn Future<Output = Result<T, sqlx::Error>> + Send + 'a>>;

macro_rules! engine {
    ($room:ident, $engine:ty, $connection:ty, $row:ty, $arguments:ty) => {
        pub(crate) mod $room {
            use super::Run;

            type Query<'a> = sqlx::query::Query<'a, $engine, $arguments>;

            /// The number of rows changed.
            pub(crate) fn execute<'a>(on: &'a mut $connection, query: Query<'a>) -> Run<'a, u64> {
                Box::pin(async move { Ok(query.execute(on).await?.rows_affected()) })
            }

            /// The first row, which must be there.
            pub(crate) fn fetch_one<'a>(on: &'a mut $connection, query: Query<'a>) -> Run<'a, $row> {
                Box::pin(query.fetch_one(on))
            }

            /// The first row, if there is one.
            pub(crate) fn fetch_optional<'a>(on: &'a mut $connection, query: Query<'a>) -> Run<'a, Option<$row>> {
                Box::pin(query.fetch_optional(on))
            }

            /// Every row.
            pub(crate) fn fetch_all<'a>(on: &'a mut $connection, query: Query<'a>) -> Run<'a, Vec<$row>> {
                Box::pin(query.fetch_all(on))
            }
        }
    };
}

engine!(sqlite, sqlx::Sqlite, sqlx::SqliteConnection, sqlx::sqlite::SqliteRow, sqlx::sqlite::SqliteArguments);
engine!(postgres, sqlx::Postgres, sqlx::PgConnection, sqlx::postgres::PgRow, sqlx::postgres::PgArguments);

/// One row as a type.
pub(crate) fn fetch_one<T: for<'r> FromRow<'r, R>, R: Row>(row: R) -> Result<T, sqlx::Error> {
    T::from_row(&row)
}

/// A row, if there was one, as a type.
pub(crate) fn fetch_optional<T: for<'r> FromRow<'r, R>, R: Row>(row: Option<R>) -> Result<Option<T>, sqlx::Error> {
    row.as_ref().map(T::from_row).transpose()
}

/// Every row as a type.
pub(crate) fn fetch_all<T: for<'r> FromRow<'r, R>, R: Row>(rows: Vec<R>) -> Result<Vec<T>, sqlx::Error> {
    rows.iter().map(T::from_row).collect()
}
