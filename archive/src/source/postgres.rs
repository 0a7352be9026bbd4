//! PostgreSQL, read row by row inside of a read-only transaction.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions, PgRow, PgTypeInfo};
use sqlx::{
    Arguments, AssertSqlSafe, Column, ConnectOptions, Either, Executor, PgConnection, Postgres, Row, SqlSafeStr, Statement,
    ValueRef,
};

use super::known::Known;
use super::postgres_types::{self, BadCell, Cast, Form};
use super::{Cell, Columns, Later, Permit, Reading, Source, column_faults, fault_at, mixed_up, recycle, watchword};
use crate::catalogue::sql::{Bind, Dialect, scan};
use crate::catalogue::{Fault, Query, Section, Snapshot, SourceSpec};
use crate::write::{Binds, Failure, Flow, Rows};

pub(super) struct PostgresSource {
    spec: SourceSpec,
    pool: PgPool,
    known: Arc<Known<Prepared>>,
}

/// A query as the server runs it.
#[derive(Debug)]
struct Prepared {
    sql: Arc<String>,
    binds: Vec<(Bind, PgTypeInfo)>,
    names: Vec<String>,
    forms: Vec<Form>,
}

impl PostgresSource {
    pub(super) fn new(spec: &SourceSpec, url: &str, sections: usize) -> Result<Self, String> {
        let options: PgConnectOptions = url.parse().map_err(|_| "its address is not one of PostgreSQL".to_owned())?;
        let options = options
            .application_name("portward")
            // Each query is prepared once as it is written and perhaps once with casts.
            .statement_cache_capacity(sections * 2 + 16)
            .disable_statement_logging();
        let session = session(spec.statement_timeout);
        let pool = PgPoolOptions::new()
            .max_connections(spec.max_concurrent as u32)
            .acquire_timeout(spec.connect_timeout)
            .idle_timeout(Duration::from_secs(600))
            .after_connect(move |connection, _| {
                let session = session.clone();
                Box::pin(async move { connection.execute(sqlx::raw_sql(AssertSqlSafe(session))).await.map(|_| ()) })
            })
            .connect_lazy_with(options);
        Ok(Self { spec: spec.clone(), pool, known: Arc::default() })
    }
}

/// The session's settings. Where the server can, it looks now and then whether we are still there, so that a query whose
/// request was cancelled does not run on.
fn session(statement_timeout: Duration) -> String {
    format!(
        "set default_transaction_read_only = on;
         set timezone = 'UTC';
         set datestyle = 'ISO, YMD';
         set intervalstyle = 'iso_8601';
         set statement_timeout = {};
         select set_config(name, '2000', false) from pg_catalog.pg_settings where name = 'client_connection_check_interval'",
        statement_timeout.as_millis()
    )
}

impl Source for PostgresSource {
    fn check<'a>(&'a self, sections: Vec<&'a Section>, examples: &'a [Binds]) -> Later<'a, Vec<Fault>> {
        Box::pin(async move {
            let mut connection = match self.pool.acquire().await {
                Ok(connection) => connection,
                Err(error) => {
                    let what = format!("source `{}`: {}", self.spec.name, failure(&error));
                    return vec![fault_at(&self.spec.place, what, "correct `url`, or start the server")];
                }
            };
            let mut faults = Vec::new();
            for section in sections {
                faults.extend(check_section(&mut connection, section, examples).await);
            }
            faults
        })
    }

    fn columns<'a>(&'a self, section: &'a Section) -> Later<'a, Result<Option<Columns>, Failure>> {
        Box::pin(async move {
            let Some(query) = &section.query else { return Ok(None) };
            let mut connection = self.pool.acquire().await.map_err(|error| Failure::Down(words(&error)))?;
            let prepared = prepare(&mut connection, query).await.map_err(|error| failure(&error))?;
            Ok(Some(prepared.names.into_iter().zip(prepared.forms.iter().map(|form| form.kind())).collect()))
        })
    }

    fn begin<'a>(&'a self, permit: Permit) -> Later<'a, Result<Box<dyn Reading>, Failure>> {
        Box::pin(async move {
            let connection = self.pool.acquire().await.map_err(|error| Failure::Down(words(&error)))?;
            let mut reading = PostgresReading {
                connection: Some(connection),
                snapshot: self.spec.snapshot,
                known: self.known.clone(),
                _permit: permit,
            };
            if self.spec.snapshot == Snapshot::Request {
                run(reading.connection()?, "begin isolation level repeatable read read only").await?;
            }
            Ok(Box::new(reading) as Box<dyn Reading>)
        })
    }

    /// The first transaction hands its snapshot to the others.
    fn begin_together<'a>(&'a self, permit: Permit, width: usize) -> Later<'a, Result<Vec<Box<dyn Reading>>, Failure>> {
        Box::pin(async move {
            let mut readings: Vec<PostgresReading> = Vec::with_capacity(width);
            let mut exported: Option<String> = None;
            for _ in 0..width {
                let connection = self.pool.acquire().await.map_err(|error| Failure::Down(words(&error)))?;
                let mut reading = PostgresReading {
                    connection: Some(connection),
                    // Until it ends, whatever the source says: rows and what is nested in them must fit.
                    snapshot: Snapshot::Request,
                    known: self.known.clone(),
                    _permit: permit.clone(),
                };
                let connection = reading.connection()?;
                run(connection, "begin isolation level repeatable read read only").await?;
                match &exported {
                    None if width == 1 => {}
                    None => exported = Some(export(connection).await?),
                    Some(snapshot) => {
                        let sql = format!("set transaction snapshot '{snapshot}'");
                        connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map_err(|error| failure(&error))?;
                    }
                }
                readings.push(reading);
            }
            Ok(readings.into_iter().map(|reading| Box::new(reading) as Box<dyn Reading>).collect())
        })
    }
}

/// The name of a transaction's snapshot, by which another can see the same.
async fn export(connection: &mut PgConnection) -> Result<String, Failure> {
    let name: String =
        sqlx::query_scalar("select pg_export_snapshot()").fetch_one(connection).await.map_err(|error| failure(&error))?;
    // It is written into a statement.
    if !name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        return Err(Failure::Broken("the server named its snapshot strangely".to_owned()));
    }
    Ok(name)
}

struct PostgresReading {
    connection: Option<PoolConnection<Postgres>>,
    snapshot: Snapshot,
    known: Arc<Known<Prepared>>,
    _permit: Permit,
}

impl Drop for PostgresReading {
    fn drop(&mut self) {
        // Broken off in the middle: rows may still be coming. Closing is cheaper than reading them all.
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

impl PostgresReading {
    fn connection(&mut self) -> Result<&mut PgConnection, Failure> {
        self.connection.as_deref_mut().ok_or(Failure::Stopped)
    }
}

impl Reading for PostgresReading {
    fn read<'a>(&'a mut self, section: &'a Section, binds: &'a Arc<Binds>, rows: Rows) -> Later<'a, Result<Rows, Failure>> {
        Box::pin(async move {
            let Some(query) = &section.query else { return Ok(rows) };
            let (known, snapshot) = (self.known.clone(), self.snapshot);
            let connection = self.connection()?;
            if snapshot == Snapshot::Section {
                run(connection, "begin isolation level repeatable read read only").await?;
            }
            let remembered = known.get(&query.sql);
            let anew = remembered.is_none();
            let prepared = match remembered {
                Some(prepared) => prepared,
                None => known.keep(&query.sql, prepare(connection, query).await.map_err(|error| failure(&error))?),
            };
            let result = read(connection, &prepared, section, binds, rows).await;
            let rows = known.judge(&query.sql, anew, result)?;
            if snapshot == Snapshot::Section {
                run(connection, "commit").await?;
            }
            Ok(rows)
        })
    }

    fn verify(&mut self) -> Later<'_, Result<(), Failure>> {
        Box::pin(async move {
            let word = watchword();
            // Sent as it stands and not prepared: an answer to anything else has another form.
            let asked = sqlx::raw_sql(AssertSqlSafe(format!("select '{word}'")));
            let said = asked.fetch_optional(self.connection()?).await.map_err(|error| failure(&error))?;
            let said = said.and_then(|row| row.try_get::<String, _>(0).ok());
            if said.is_some_and(|said| said == word) { Ok(()) } else { Err(mixed_up()) }
        })
    }

    fn end(mut self: Box<Self>) -> Later<'static, ()> {
        Box::pin(async move {
            let whole = self.snapshot == Snapshot::Request;
            let Ok(connection) = self.connection() else { return };
            if whole && run(connection, "commit").await.is_err() {
                return;
            }
            // Given back to the pool by its own drop.
            self.connection.take();
        })
    }
}

async fn run(connection: &mut PgConnection, sql: &'static str) -> Result<(), Failure> {
    connection.execute(sqlx::raw_sql(sql)).await.map(|_| ()).map_err(|error| failure(&error))
}

/// Each occurrence of a bind becomes a parameter of its own, so that the server infers each by where it stands.
fn numbered(query: &Query) -> (String, Vec<Bind>) {
    let found = scan(&query.sql, Dialect::Postgres);
    let mut sql = String::with_capacity(query.sql.len() + 8);
    let mut binds = Vec::new();
    let mut from = 0;
    for (range, bind) in found.binds.into_iter().filter(|(range, _)| range.end <= found.end) {
        sql.push_str(&query.sql[from..range.start]);
        binds.push(bind);
        sql.push('$');
        sql.push_str(&binds.len().to_string());
        from = range.end;
    }
    sql.push_str(&query.sql[from..found.end]);
    (sql, binds)
}

/// Asks the server for the query's parameters and columns, and wraps it in casts where a column has no plain form.
async fn prepare(connection: &mut PgConnection, query: &Query) -> Result<Prepared, sqlx::Error> {
    let (sql, binds) = numbered(query);
    let statement = connection.prepare(AssertSqlSafe(sql.clone()).into_sql_str()).await?;
    let infos = match statement.parameters() {
        Some(Either::Left(infos)) => infos.to_vec(),
        _ => Vec::new(),
    };
    let names: Vec<String> = statement.columns().iter().map(|column| column.name().to_owned()).collect();
    let (forms, casts): (Vec<Form>, Vec<Cast>) =
        statement.columns().iter().map(|column| postgres_types::form(column.type_info())).unzip();
    let sql = if casts.iter().all(|cast| *cast == Cast::None) { sql } else { wrapped(&sql, &casts) };
    Ok(Prepared { sql: Arc::new(sql), binds: binds.into_iter().zip(infos).collect(), names, forms })
}

fn wrapped(sql: &str, casts: &[Cast]) -> String {
    let columns: Vec<String> = (0..casts.len()).map(|at| format!("c{at}")).collect();
    let selected: Vec<String> = columns
        .iter()
        .zip(casts)
        .map(|(column, cast)| match cast {
            Cast::None => column.clone(),
            Cast::Text => format!("{column}::text"),
            Cast::Output => format!("to_jsonb({column}) #>> '{{}}'"),
            Cast::Json => format!("to_jsonb({column})::text"),
        })
        .collect();
    // The line breaks keep a comment at the query's end from swallowing the bracket.
    format!("select {}\nfrom (\n{sql}\n) as portward ({})", selected.join(", "), columns.join(", "))
}

async fn read(
    connection: &mut PgConnection,
    prepared: &Prepared,
    section: &Section,
    binds: &Binds,
    mut rows: Rows,
) -> Result<Rows, Failure> {
    let mut arguments = PgArguments::default();
    for (bind, info) in &prepared.binds {
        let parameter = postgres_types::parameter(bind, section, binds, info).map_err(Failure::Query)?;
        arguments.add(parameter).map_err(|error| Failure::Query(error.to_string()))?;
    }
    let names: Vec<&str> = prepared.names.iter().map(String::as_str).collect();
    rows.columns(&names)?;
    let mut stream = sqlx::query_with(AssertSqlSafe(prepared.sql.clone()), arguments).fetch(connection);
    let mut cells = Vec::with_capacity(prepared.forms.len());
    while let Some(row) = stream.try_next().await.map_err(|error| failure(&error))? {
        let flow = match fill(&row, &prepared.forms, &mut cells) {
            Ok(()) => rows.row(&cells)?,
            Err(BadCell::NotUtf8) => repaired(&row, &prepared.forms, &mut rows)?,
            Err(BadCell::Malformed) => {
                return Err(Failure::Query("the server sent a value in another form than it said".to_owned()));
            }
        };
        cells = recycle(cells);
        drop(row);
        if flow == Flow::Flush {
            rows.flush().await?;
        }
    }
    drop(stream);
    Ok(rows)
}

fn fill<'r>(row: &'r PgRow, forms: &[Form], cells: &mut Vec<Cell<'r>>) -> Result<(), BadCell> {
    for (at, form) in forms.iter().enumerate() {
        cells.push(match bytes(row, at)? {
            None => Cell::Null,
            Some(bytes) => postgres_types::cell(*form, bytes)?,
        });
    }
    Ok(())
}

fn bytes(row: &PgRow, at: usize) -> Result<Option<&[u8]>, BadCell> {
    let value = row.try_get_raw(at).map_err(|_| BadCell::Malformed)?;
    if value.is_null() { Ok(None) } else { value.as_bytes().map(Some).map_err(|_| BadCell::Malformed) }
}

/// A row with texts that are not UTF-8, as a database in SQL_ASCII can hold: they are repaired and counted.
fn repaired(row: &PgRow, forms: &[Form], rows: &mut Rows) -> Result<Flow, Failure> {
    let malformed = |_| Failure::Query("the server sent a value in another form than it said".to_owned());
    let mut texts = Vec::with_capacity(forms.len());
    for at in 0..forms.len() {
        texts.push(String::from_utf8_lossy(bytes(row, at).map_err(malformed)?.unwrap_or_default()).into_owned());
    }
    let mut cells = Vec::with_capacity(forms.len());
    for (at, form) in forms.iter().enumerate() {
        cells.push(match bytes(row, at).map_err(malformed)? {
            None => Cell::Null,
            Some(bytes) => match postgres_types::cell(*form, bytes) {
                Ok(cell) => cell,
                Err(BadCell::NotUtf8) => {
                    rows.repaired(1);
                    Cell::Text(&texts[at])
                }
                Err(bad) => return Err(malformed(bad)),
            },
        });
    }
    rows.row(&cells)
}

async fn check_section(connection: &mut PgConnection, section: &Section, examples: &[Binds]) -> Vec<Fault> {
    let Some(query) = &section.query else { return Vec::new() };
    let fault = |what: String| {
        fault_at(&section.place, format!("section \"{}\": {what}", section.name()), "correct the query or the database")
    };
    let prepared = match prepare(connection, query).await {
        Ok(prepared) => prepared,
        Err(error) => return vec![fault(words(&error))],
    };
    let names: Vec<&str> = prepared.names.iter().map(String::as_str).collect();
    let mut faults = column_faults(section, &names);
    if names.is_empty() {
        faults.push(fault("the query is not a select".to_owned()));
    }
    for example in examples {
        for (bind, info) in &prepared.binds {
            // The values of a look-up are of any type; and only what has times is asked for a range of them.
            let of_any = matches!(bind, Bind::Key(_)) && example.value(bind).is_none();
            if of_any || (example.edge(bind).is_some() && query.time.is_none()) {
                continue;
            }
            let problem = postgres_types::parameter(bind, section, example, info).err().map(fault);
            faults.extend(problem.filter(|fault| !faults.contains(fault)));
        }
    }
    faults
}

/// The error as a failure of the section. Messages of some classes quote values of rows; of those only the code is told.
fn failure(error: &sqlx::Error) -> Failure {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default().into_owned();
            match code.get(..2).unwrap_or_default() {
                _ if code == "57014" => Failure::Timeout("statement_timeout"),
                _ if code == "53300" || code == "25P03" => Failure::Down(words(error)),
                "08" | "28" | "3D" | "57" | "58" => Failure::Down(words(error)),
                // Syntax, names that are not there, rights; and values that the query cannot work with.
                "42" | "22" => Failure::Query(words(error)),
                _ => Failure::Broken(words(error)),
            }
        }
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Failure::Down(words(error)),
        other => Failure::Broken(words(other)),
    }
}

fn words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            match code.get(..2).unwrap_or_default() {
                "22" | "23" | "P0" => format!("SQLSTATE {code} (its message may quote a row)"),
                _ => format!("{} (SQLSTATE {code})", database.message()),
            }
        }
        sqlx::Error::PoolTimedOut => "no connection within `connect_timeout`".to_owned(),
        other => other.to_string(),
    }
}
