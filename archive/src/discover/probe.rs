//! A connection of our own to a source, to ask what its sections' queries never do: for its schema, a few values, and plans.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, MySqlConnection, PgConnection, Row};

use super::draft::{Sample, sample_query};
use super::guess::Value;
use super::quote::{backticked, escaped, literal, quoted};
use super::schema::{Column, ColumnKind, Schema, Table};
use super::{DiscoverError, careful, mysql, postgres, sqlite};
use crate::catalogue::sql::{Bind, Dialect, scan};
use crate::catalogue::{Engine, Section, Snapshot, TimeFrom};

/// So many values say what a column holds.
const SAMPLED: usize = 1_000;
/// So many rows are looked at for an exception.
const LOOKED_AT: usize = 200_000;
/// No question of ours may take longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

/// An open source.
pub(super) enum Probe {
    Sqlite(PathBuf),
    Postgres(Box<PgConnection>),
    Mysql(Box<MySqlConnection>, Mysql),
}

/// What has to be known of a MySQL or MariaDB server.
pub(super) struct Mysql {
    mariadb: bool,
    /// Somebody to ask for: the plan is one for values.
    person: Option<String>,
}

fn down(error: impl std::fmt::Display) -> DiscoverError {
    DiscoverError::Down(error.to_string())
}

impl Probe {
    /// Connects, read-only.
    pub(super) async fn open(url: &str, base_dir: &Path) -> Result<Self, DiscoverError> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = base_dir.join(path.strip_prefix("//").unwrap_or(path));
            let probe = Self::Sqlite(path.clone());
            // The file is read only now, and says whether it is a database at all.
            probe
                .with(move |connection| connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(())))
                .await
                .map_err(|error| {
                    DiscoverError::Down(format!(
                        "{}: {}",
                        path.display(),
                        error.to_string().trim_start_matches("the database cannot be read: ")
                    ))
                })?;
            return Ok(probe);
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options: PgConnectOptions =
                url.parse().map_err(|_| DiscoverError::Address("the address is not one of PostgreSQL".to_owned()))?;
            let options = options.application_name("portward catalog").disable_statement_logging();
            let connecting = options.connect();
            let mut connection =
                tokio::time::timeout(PATIENCE, connecting).await.map_err(|_| down("no connection in time"))?.map_err(down)?;
            let session = format!(
                "set default_transaction_read_only = on; set timezone = 'UTC'; set statement_timeout = {}; set plan_cache_mode = force_generic_plan",
                PATIENCE.as_millis()
            );
            connection.execute(sqlx::raw_sql(AssertSqlSafe(session))).await.map_err(down)?;
            return Ok(Self::Postgres(Box::new(connection)));
        }
        if url.starts_with("mysql://") || url.starts_with("mariadb://") {
            return Self::open_mysql(url).await;
        }
        Err(DiscoverError::Address("the address begins with none of sqlite:, postgres:// and mysql://".to_owned()))
    }

    async fn open_mysql(url: &str) -> Result<Self, DiscoverError> {
        let address = |what: &str| DiscoverError::Address(what.to_owned());
        let options: MySqlConnectOptions = url.parse().map_err(|_| address("the address is not one of MySQL"))?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err(address("the address names no database: mysql://host/database"));
        }
        let options = options
            .charset("utf8mb4")
            .timezone("+00:00".to_owned())
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .disable_statement_logging();
        let connecting = options.connect();
        let mut connection =
            tokio::time::timeout(PATIENCE, connecting).await.map_err(|_| down("no connection in time"))?.map_err(down)?;
        let version: String = sqlx::query_scalar("select version()").fetch_one(&mut connection).await.map_err(down)?;
        let mariadb = version.contains("MariaDB");
        // MySQL remembers for a day how many rows there were.
        let patience = if mariadb {
            format!("max_statement_time = {}", PATIENCE.as_secs())
        } else {
            format!("max_execution_time = {}, session information_schema_stats_expiry = 0", PATIENCE.as_millis())
        };
        let session = format!("set session sql_mode = '', session {patience}; set session transaction read only");
        connection.execute(sqlx::raw_sql(AssertSqlSafe(session))).await.map_err(down)?;
        Ok(Self::Mysql(Box::new(connection), Mysql { mariadb, person: None }))
    }

    /// Looks for somebody to ask for, where plans depend on it.
    pub(super) async fn ask_for_one_of(&mut self, table: &Table, key: &str) {
        let Self::Mysql(connection, server) = self else { return };
        let (key, table) = (backticked(key), backticked(&table.name));
        let sql = format!("select cast({key} as char) from {table} where {key} is not null limit 1");
        server.person =
            connection.fetch_optional(sqlx::raw_sql(AssertSqlSafe(sql))).await.ok().flatten().and_then(|row| row.try_get(0).ok());
    }

    pub(super) fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
            Self::Mysql(..) => Engine::Mysql,
        }
    }

    /// Work on a SQLite connection, on a thread of its own.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, DiscoverError> {
        let Self::Sqlite(path) = self else { return Err(down("it is no SQLite file")) };
        let path = path.clone();
        let done = tokio::task::spawn_blocking(move || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(PATIENCE)?;
            connection.execute_batch("pragma query_only = on; pragma mmap_size = 0; pragma trusted_schema = off;")?;
            work(&connection)
        });
        done.await.map_err(down)?.map_err(|error| match error {
            rusqlite::Error::SqliteFailure(_, Some(message)) => down(message),
            other => down(other),
        })
    }

    pub(super) async fn schema(&mut self) -> Result<Schema, DiscoverError> {
        match self {
            Self::Sqlite(_) => self.with(sqlite::describe).await,
            Self::Postgres(connection) => postgres::describe(connection).await.map_err(down),
            Self::Mysql(connection, server) => mysql::describe(connection, server.mariadb).await.map_err(down),
        }
    }

    /// How sections are best read.
    pub(super) async fn snapshot(&mut self) -> Snapshot {
        match self {
            Self::Sqlite(_) => {
                let mode =
                    self.with(|connection| connection.query_row("pragma journal_mode", [], |row| row.get::<_, String>(0))).await;
                careful(mode.is_ok_and(|mode| mode == "wal"))
            }
            Self::Postgres(_) | Self::Mysql(..) => Snapshot::Request,
        }
    }

    /// Some values of some columns: the table's first ones, and of SQLite's also its last.
    pub(super) async fn sample(&mut self, table: &Table, columns: &[&Column]) -> Result<Sample, DiscoverError> {
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let sql = sample_query(self.engine(), table, &names, SAMPLED);
        match self {
            Self::Sqlite(_) => {
                let table = quoted(&table.name);
                let kinds: Vec<ColumnKind> = columns.iter().map(|column| column.kind).collect();
                self.with(move |connection| {
                    let mut sample = Sample::new();
                    read_sample(connection, &sql, &names, &mut sample)?;
                    // Views and tables without row numbers have no last rows.
                    let last = sql.replace(&format!(" limit {SAMPLED}"), &format!(" order by rowid desc limit {SAMPLED}"));
                    let _ = read_sample(connection, &last, &names, &mut sample);
                    for (name, kind) in names.iter().zip(kinds) {
                        if mixed(connection, &table, name, kind) {
                            sample.entry(name.clone()).or_default().push(Value::Other);
                        }
                    }
                    Ok(sample)
                })
                .await
            }
            Self::Postgres(connection) => {
                let mut sample = Sample::new();
                // A view may fail on its own data; its sections are checked later, and nothing is known until then.
                let Ok(rows) = connection.fetch_all(AssertSqlSafe(sql)).await else { return Ok(sample) };
                for row in rows {
                    for (at, column) in columns.iter().enumerate() {
                        let value = from_text(row.try_get(at).unwrap_or_default(), column.kind);
                        sample.entry(column.name.clone()).or_default().push(value);
                    }
                }
                Ok(sample)
            }
            Self::Mysql(connection, _) => {
                let mut sample = Sample::new();
                let Ok(rows) = connection.fetch_all(sqlx::raw_sql(AssertSqlSafe(sql))).await else { return Ok(sample) };
                for row in rows {
                    for (at, column) in columns.iter().enumerate() {
                        let value = from_text(row.try_get(at).unwrap_or_default(), column.kind);
                        sample.entry(column.name.clone()).or_default().push(value);
                    }
                }
                for column in columns.iter().filter(|column| column.kind == ColumnKind::Boolean) {
                    let (name, table) = (backticked(&column.name), backticked(&table.name));
                    let sql = format!(
                        "select exists (select 1 from (select {name} as v from {table} limit {LOOKED_AT}) as looked_at where v not in (0, 1))"
                    );
                    let other =
                        connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql))).await.and_then(|row| row.try_get::<i64, _>(0));
                    if other.map_or(true, |other| other != 0) {
                        sample.entry(column.name.clone()).or_default().push(Value::Other);
                    }
                }
                Ok(sample)
            }
        }
    }

    /// The tables that a query reads whole, by name and schema, as the engine plans it.
    pub(super) async fn scans(&mut self, section: &Section) -> Result<Vec<(Option<String>, String)>, DiscoverError> {
        let Some(query) = &section.query else { return Ok(Vec::new()) };
        match self {
            Self::Sqlite(_) => {
                let sql = format!("explain {}", query.sql);
                self.with(move |connection| sqlite_scans(connection, &sql)).await
            }
            Self::Postgres(connection) => postgres_scans(connection, &query.sql).await.map_err(down),
            Self::Mysql(connection, server) => {
                let from = section.time_unit().map(|unit| unit.from);
                let numbers = matches!(from, Some(TimeFrom::Seconds | TimeFrom::Millis | TimeFrom::Micros));
                let sql = with_values(&query.sql, server.person.as_deref(), numbers);
                let found = mysql::scans(connection, sql).await.map_err(down)?;
                Ok(found.into_iter().map(|name| (None, name)).collect())
            }
        }
    }

    /// Whether a column is null in one of the rows that are looked at.
    pub(super) async fn has_null(&mut self, table: &Table, column: &str) -> Result<bool, DiscoverError> {
        let sql = sample_query(self.engine(), table, &[column.to_owned()], LOOKED_AT);
        match self {
            Self::Sqlite(_) => {
                let column = quoted(column);
                let sql = format!("select exists (select 1 from ({sql}) where {column} is null)");
                self.with(move |connection| connection.query_row(&sql, [], |row| row.get(0))).await
            }
            Self::Postgres(connection) => {
                let sql = format!("select exists (select 1 from ({sql}) as looked_at (value) where value is null)");
                let row = connection.fetch_one(AssertSqlSafe(sql)).await.map_err(down)?;
                row.try_get(0).map_err(down)
            }
            Self::Mysql(connection, _) => {
                let (column, table) = (backticked(column), backticked(&table.name));
                let sql = format!(
                    "select exists (select 1 from (select {column} as v from {table} limit {LOOKED_AT}) as looked_at where v is null)"
                );
                let row = connection.fetch_one(sqlx::raw_sql(AssertSqlSafe(sql))).await.map_err(down)?;
                row.try_get::<i64, _>(0).map(|found| found != 0).map_err(down)
            }
        }
    }
}

/// A value that was asked for as text.
fn from_text(text: Option<String>, kind: ColumnKind) -> Value {
    match (text, kind) {
        (None, _) => Value::Null,
        (Some(text), ColumnKind::Integer | ColumnKind::Number | ColumnKind::Boolean) => match (text.parse(), text.parse()) {
            (Ok(number), _) => Value::Int(number),
            (_, Ok(number)) => Value::Real(number),
            _ => Value::Other,
        },
        (Some(text), _) => Value::Text(text),
    }
}

/// A query of MySQL with values in the place of its binds: it plans for values, and not for whatever may be bound.
fn with_values(sql: &str, person: Option<&str>, numbers: bool) -> String {
    let found = scan(sql, Dialect::Mysql);
    let (mut text, mut from) = (String::with_capacity(sql.len()), 0);
    for (range, bind) in found.binds.iter().filter(|(range, _)| range.end <= found.end) {
        text.push_str(&sql[from..range.start]);
        text.push_str(&match (bind, numbers) {
            (Bind::Subject, _) => {
                let person = person.unwrap_or("1");
                let digits = !person.is_empty() && person.len() < 19 && person.bytes().all(|byte| byte.is_ascii_digit());
                if digits { person.to_owned() } else { escaped(person) }
            }
            (Bind::Key(_), _) => "1".to_owned(),
            (Bind::Since, true) => i64::MIN.to_string(),
            (Bind::Until, true) => i64::MAX.to_string(),
            (Bind::Since, false) => "'0000-00-00 00:00:00'".to_owned(),
            (Bind::Until, false) => "'9999-12-31 23:59:59'".to_owned(),
        });
        from = range.end;
    }
    text.push_str(&sql[from..found.end]);
    text
}

fn read_sample(connection: &Connection, sql: &str, names: &[String], sample: &mut Sample) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for (at, name) in names.iter().enumerate() {
            let value = match row.get_ref(at)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => Value::Int(number),
                ValueRef::Real(number) => Value::Real(number),
                ValueRef::Text(bytes) => std::str::from_utf8(bytes).map_or(Value::Other, |text| Value::Text(text.to_owned())),
                ValueRef::Blob(_) => Value::Other,
            };
            sample.entry(name.clone()).or_default().push(value);
        }
    }
    Ok(())
}

/// Whether a column holds, beyond the sample, what the sample does not let expect: one such value would fail a person's archive.
fn mixed(connection: &Connection, table: &str, name: &str, kind: ColumnKind) -> bool {
    let name = quoted(name);
    let rows = format!("(select {name} as value from {table} limit {LOOKED_AT})");
    let sql = match kind {
        ColumnKind::Boolean => format!("select exists (select 1 from {rows} where value not in (0, 1))"),
        _ => format!(
            "select count(distinct typeof(value)) > 1 or exists (select 1 from {rows} where substr(value, 1, 1) in ('{{', '[') and not json_valid(value))
             from {rows} where value is not null"
        ),
    };
    connection.query_row(&sql, [], |row| row.get(0)).unwrap_or(true)
}

/// SQLite's program for a query: a cursor that is opened on a table or an index of it and then rewound reads it from end to end.
fn sqlite_scans(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<(Option<String>, String)>> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.raw_query();
    let (mut opened, mut whole): (Vec<(i64, i64)>, Vec<i64>) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        let (code, p1, p2): (String, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
        match code.as_str() {
            "OpenRead" | "ReopenIdx" => opened.push((p1, p2)),
            "Rewind" | "Last" => whole.push(p1),
            _ => {}
        }
    }
    drop(rows);
    let mut found = Vec::new();
    for (cursor, page) in opened {
        if whole.contains(&cursor) {
            let name: Option<String> =
                connection.query_row("select tbl_name from sqlite_schema where rootpage = ?1", [page], |row| row.get(0)).ok();
            found.extend(name.map(|name| (None, name)));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// The generic plan, which serves any person.
async fn postgres_scans(connection: &mut PgConnection, sql: &str) -> Result<Vec<(Option<String>, String)>, sqlx::Error> {
    let found = scan(sql, Dialect::Postgres);
    let (mut text, mut from, mut count) = (String::from("prepare portward_plan as "), 0, 0);
    for (range, _) in found.binds.iter().filter(|(range, _)| range.end <= found.end) {
        count += 1;
        text.push_str(&sql[from..range.start]);
        text.push_str(&format!("${count}"));
        from = range.end;
    }
    text.push_str(&sql[from..found.end]);
    connection.execute(sqlx::raw_sql(AssertSqlSafe(text))).await?;
    let nulls = vec!["null"; count].join(", ");
    let arguments = if count == 0 { String::new() } else { format!(" ({nulls})") };
    let explained = connection
        .fetch_one(sqlx::raw_sql(AssertSqlSafe(format!("explain (verbose, format json) execute portward_plan{arguments}"))))
        .await;
    connection.execute(sqlx::raw_sql("deallocate portward_plan")).await?;
    let explained = explained?;
    let plan = explained.try_get_raw(0)?;
    let plan: serde_json::Value = plan.as_str().ok().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mut found = Vec::new();
    walk(&plan, &mut found);
    found.sort();
    found.dedup();
    Ok(found)
}

fn walk(node: &serde_json::Value, found: &mut Vec<(Option<String>, String)>) {
    match node {
        serde_json::Value::Array(nodes) => nodes.iter().for_each(|node| walk(node, found)),
        serde_json::Value::Object(keys) => {
            let text = |key: &str| keys.get(key).and_then(|value| value.as_str());
            let whole = match text("Node Type") {
                Some("Seq Scan") => true,
                Some("Index Scan" | "Index Only Scan") => !keys.contains_key("Index Cond"),
                _ => false,
            };
            if let (true, Some(name)) = (whole, text("Relation Name")) {
                let schema = text("Schema").filter(|schema| *schema != "public").map(str::to_owned);
                found.push((schema, name.to_owned()));
            }
            for (_, inner) in keys {
                walk(inner, found);
            }
        }
        _ => {}
    }
}

/// The statement that makes an index.
pub(super) fn create_index(engine: Engine, table: &Table, columns: &[String]) -> String {
    use super::quote::identifier;
    let name = match &table.schema {
        Some(schema) => format!("{}.{}", identifier(engine, schema), identifier(engine, &table.name)),
        None => identifier(engine, &table.name),
    };
    let columns: Vec<String> = columns.iter().map(|column| identifier(engine, column)).collect();
    if engine != Engine::Postgres {
        let index: Vec<String> = super::guess::words(&format!("{} {}", table.name, columns.join(" ")));
        return format!("create index {} on {name} ({})", identifier(engine, &index.join("_")), columns.join(", "));
    }
    format!("create index concurrently on {name} ({})", columns.join(", "))
}

/// A partition is its table, to whoever reads the table: the name of the table that a part of a plan belongs to is asked for here.
pub(super) async fn parent_of(probe: &mut Probe, schema: Option<&str>, name: &str) -> Option<(Option<String>, String)> {
    let Probe::Postgres(connection) = probe else { return None };
    let sql = format!(
        "select n.nspname::text, c.relname::text
         from pg_partition_ancestors({}::regclass) a join pg_class c on c.oid = a.relid join pg_namespace n on n.oid = c.relnamespace
         where not c.relispartition",
        literal(&format!("{}.{}", quoted(schema.unwrap_or("public")), quoted(name)))
    );
    let row = connection.fetch_optional(AssertSqlSafe(sql)).await.ok()??;
    let (schema, name): (String, String) = (row.try_get(0).ok()?, row.try_get(1).ok()?);
    Some(((schema != "public").then_some(schema), name))
}
