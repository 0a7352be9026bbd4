//! A fresh PostgreSQL database for one test.
//!
//! The cluster is started by the test command (`./test`), which hands its address over in `TEST_DATABASE_URL`.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use url::Url;

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A database that exists as long as this value does.
#[derive(Debug)]
pub struct Database {
    url: String,
    server: String,
    name: String,
}

impl Database {
    /// The address of the database, `postgres://...`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Runs SQL that has no parameters: a schema, some rows.
    pub fn execute(&self, sql: &str) {
        run(&self.url, &[sql.to_owned()]).unwrap_or_else(|error| panic!("{error} in: {sql}"));
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Connections of the test may still be open: force. A cluster that is already gone has nothing to clean.
        let _ = run(&self.server, &[format!("drop database if exists {} with (force)", self.name)]);
    }
}

/// A fresh, empty database on `TEST_DATABASE_URL`. `None` only if `PORTWARD_SKIP_POSTGRES=1` says that this run does
/// without.
///
/// # Panics
/// When neither variable is set, or the server does not answer: a test that needs PostgreSQL is never skipped silently.
pub fn database() -> Option<Database> {
    let Ok(server) = std::env::var("TEST_DATABASE_URL") else {
        if std::env::var("PORTWARD_SKIP_POSTGRES").is_ok_and(|value| value == "1") {
            eprintln!("PORTWARD_SKIP_POSTGRES=1: not run on PostgreSQL");
            return None;
        }
        panic!(
            "TEST_DATABASE_URL is not set. Run ./test, which starts a PostgreSQL for the tests, or set it to a server \
             on which databases may be made (postgres://postgres@127.0.0.1:5432/postgres), or set \
             PORTWARD_SKIP_POSTGRES=1 to do without."
        );
    };
    // Each test binary, and under nextest each test, is a process of its own; what a killed one left is dropped first.
    let name = format!("portward_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    run(
        &server,
        &[
            format!("drop database if exists {name} with (force)"),
            format!("create database {name} encoding 'UTF8' lc_collate 'C' lc_ctype 'C' template template0"),
        ],
    )
    .unwrap_or_else(|error| panic!("cannot make a database at {server}: {error}"));
    let mut url = Url::parse(&server).unwrap_or_else(|error| panic!("TEST_DATABASE_URL {server}: {error}"));
    url.set_path(&name);
    Some(Database { url: url.into(), server, name })
}

fn run(url: &str, statements: &[String]) -> Result<(), sqlx::Error> {
    crate::apart(async {
        let mut connection = PgConnection::connect(url).await?;
        for statement in statements {
            connection.execute(sqlx::raw_sql(AssertSqlSafe(statement.as_str()))).await?;
        }
        connection.close().await
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_and_it_goes_with_the_value() {
        let Some(one) = database() else { return };
        let Some(other) = database() else { return };
        one.execute("create table t (a bigint)");
        other.execute("create table t (a bigint)");
        let gone = one.url().to_owned();
        drop(one);
        let error = run(&gone, &["select 1".into()]).expect_err("the database is dropped");
        assert!(error.to_string().contains("does not exist"), "{error}");
    }
}
