//! MySQL and MariaDB, read row by row inside of a read-only transaction.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlPool, MySqlPoolOptions, MySqlRow};
use sqlx::pool::PoolConnection;
use sqlx::{
    Arguments, AssertSqlSafe, Column, ColumnOrigin, ConnectOptions, Connection, Decode, Executor, MySql, MySqlConnection, Row,
    SqlSafeStr, Statement,
};

use super::known::Known;
use super::mysql_types::{self, BadCell, Form, Scratch};
use super::{Cell, Columns, Later, Permit, Reading, Source, column_faults, fault_at, mixed_up, recycle, watchword};
use crate::catalogue::contents::Type;
use crate::catalogue::sql::{Bind, Dialect, scan};
use crate::catalogue::{Fault, Query, Section, Snapshot, SourceSpec, TimeFrom};
use crate::write::{Binds, Edge, Failure, Flow, Rows, edge, whole_units};

const BEGIN: &str = "start transaction with consistent snapshot, read only";

pub(super) struct MysqlSource {
    spec: SourceSpec,
    pool: MySqlPool,
    known: Arc<Known<Prepared>>,
}

/// A query as the server runs it.
#[derive(Debug)]
struct Prepared {
    sql: Arc<String>,
    binds: Vec<Bind>,
    names: Vec<String>,
    forms: Vec<Form>,
    /// Which columns are MariaDB's JSON.
    json: Vec<bool>,
}

impl MysqlSource {
    pub(super) fn new(spec: &SourceSpec, url: &str, sections: usize) -> Result<Self, String> {
        let options: MySqlConnectOptions = url.parse().map_err(|_| "its address is not one of MySQL".to_owned())?;
        let options = options
            .charset("utf8mb4")
            .timezone("+00:00".to_owned())
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .statement_cache_capacity(sections + 16)
            .disable_statement_logging();
        let limit = spec.statement_timeout;
        let pool = MySqlPoolOptions::new()
            .max_connections(spec.max_concurrent as u32)
            .acquire_timeout(spec.connect_timeout)
            .idle_timeout(Duration::from_secs(600))
            .after_connect(move |connection, _| Box::pin(session(connection, limit)))
            .connect_lazy_with(options);
        Ok(Self { spec: spec.clone(), pool, known: Arc::default() })
    }
}

/// The session's settings. The mode is ours, so that the server reads a query as the catalogue's rules did; a text that
/// `group_concat` cuts off would be lost without a word.
async fn session(connection: &mut MySqlConnection, limit: Duration) -> Result<(), sqlx::Error> {
    let limit = limit.max(Duration::from_millis(1));
    let timeout = if is_mariadb(connection).await? {
        format!("max_statement_time = {:.3}", limit.as_secs_f64())
    } else {
        format!("max_execution_time = {}", limit.as_millis())
    };
    let sql = format!(
        "set session sql_mode = '', session group_concat_max_len = 1073741824, session net_write_timeout = {}, session {timeout};
         set session transaction isolation level repeatable read, read only",
        limit.as_secs().clamp(60, 86_400)
    );
    connection.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map(|_| ())
}

async fn is_mariadb(connection: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
    let version: String = sqlx::query_scalar("select version()").fetch_one(connection).await?;
    Ok(version.contains("MariaDB"))
}

impl Source for MysqlSource {
    fn check<'a>(&'a self, sections: Vec<&'a Section>, examples: &'a [Binds]) -> Later<'a, Vec<Fault>> {
        Box::pin(async move {
            let mut connection = match self.pool.acquire().await {
                Ok(connection) => connection,
                Err(error) => {
                    let what = format!("source `{}`: {}", self.spec.name, at_the_door(&error));
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
            let mut connection = self.pool.acquire().await.map_err(|error| at_the_door(&error))?;
            let prepared = prepare(&mut connection, query).await.map_err(|error| failure(&error))?;
            let kinds =
                prepared.forms.iter().zip(&prepared.json).map(|(form, json)| if *json { Type::Json } else { form.kind() });
            Ok(Some(prepared.names.into_iter().zip(kinds).collect()))
        })
    }

    fn begin<'a>(&'a self, permit: Permit) -> Later<'a, Result<Box<dyn Reading>, Failure>> {
        Box::pin(async move {
            let connection = self.pool.acquire().await.map_err(|error| at_the_door(&error))?;
            let mut reading = MysqlReading {
                connection: Some(connection),
                snapshot: self.spec.snapshot,
                known: self.known.clone(),
                _permit: permit,
            };
            if self.spec.snapshot == Snapshot::Request {
                run(reading.connection()?, BEGIN).await?;
            }
            Ok(Box::new(reading) as Box<dyn Reading>)
        })
    }
}

struct MysqlReading {
    connection: Option<PoolConnection<MySql>>,
    snapshot: Snapshot,
    known: Arc<Known<Prepared>>,
    _permit: Permit,
}

impl Drop for MysqlReading {
    fn drop(&mut self) {
        // Broken off in the middle: rows may still be coming. Closing is cheaper than reading them all.
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

impl MysqlReading {
    fn connection(&mut self) -> Result<&mut MySqlConnection, Failure> {
        self.connection.as_deref_mut().ok_or(Failure::Stopped)
    }
}

impl Reading for MysqlReading {
    fn read<'a>(&'a mut self, section: &'a Section, binds: &'a Arc<Binds>, rows: Rows) -> Later<'a, Result<Rows, Failure>> {
        Box::pin(async move {
            let Some(query) = &section.query else { return Ok(rows) };
            let (known, snapshot) = (self.known.clone(), self.snapshot);
            let connection = self.connection()?;
            if snapshot == Snapshot::Section {
                run(connection, BEGIN).await?;
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

async fn run(connection: &mut MySqlConnection, sql: &'static str) -> Result<(), Failure> {
    connection.execute(sqlx::raw_sql(sql)).await.map(|_| ()).map_err(|error| failure(&error))
}

/// Each occurrence of a bind becomes a parameter of its own: the engine knows them by their place only.
fn marked(query: &Query) -> (String, Vec<Bind>) {
    let found = scan(&query.sql, Dialect::Mysql);
    let mut sql = String::with_capacity(query.sql.len());
    let mut binds = Vec::new();
    let mut from = 0;
    for (range, bind) in found.binds.into_iter().filter(|(range, _)| range.end <= found.end) {
        sql.push_str(&query.sql[from..range.start]);
        sql.push('?');
        binds.push(bind);
        from = range.end;
    }
    sql.push_str(&query.sql[from..found.end]);
    (sql, binds)
}

/// Asks the server for the query's columns.
async fn prepare(connection: &mut MySqlConnection, query: &Query) -> Result<Prepared, sqlx::Error> {
    // What this connection remembers of the query may be older than its tables.
    connection.clear_cached_statements().await?;
    let (sql, binds) = marked(query);
    let statement = connection.prepare(AssertSqlSafe(sql.clone()).into_sql_str()).await?;
    let names = statement.columns().iter().map(|column| column.name().to_owned()).collect();
    let forms = statement.columns().iter().map(|column| mysql_types::form(column.type_info())).collect();
    let origins: Vec<Option<(String, String)>> = statement
        .columns()
        .iter()
        .map(|column| match column.origin() {
            ColumnOrigin::Table(origin) if mysql_types::may_be_json(column.type_info()) => {
                Some((origin.table.to_string(), origin.name.to_string()))
            }
            _ => None,
        })
        .collect();
    let json = json_columns(connection, &origins).await?;
    Ok(Prepared { sql: Arc::new(sql), binds, names, forms, json })
}

/// MariaDB has no type for JSON but a check, `json_valid`, on a long text.
async fn json_columns(connection: &mut MySqlConnection, origins: &[Option<(String, String)>]) -> Result<Vec<bool>, sqlx::Error> {
    let mut json = vec![false; origins.len()];
    if origins.iter().all(Option::is_none) || !is_mariadb(connection).await? {
        return Ok(json);
    }
    let mut checks: HashMap<&str, Vec<String>> = HashMap::new();
    for (at, origin) in origins.iter().enumerate() {
        let Some((table, column)) = origin else { continue };
        if !checks.contains_key(table.as_str()) {
            let (schema, name) = table.split_once('.').unwrap_or(("", table));
            let found = sqlx::query_scalar(
                "select check_clause from information_schema.check_constraints where constraint_schema = ? and table_name = ?",
            );
            checks.insert(table, found.bind(schema).bind(name).fetch_all(&mut *connection).await?);
        }
        let wanted = format!("json_valid(`{}`)", column.replace('`', "``"));
        json[at] = checks.get(table.as_str()).is_some_and(|clauses| clauses.contains(&wanted));
    }
    Ok(json)
}

/// What `:since` and `:until` are when the request has no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extremes {
    Number,
    Moment,
}

/// The engine does not say what a parameter is compared with, so the column of `time` says it.
fn extremes(section: &Section, prepared: &Prepared) -> Result<Extremes, String> {
    let Some(time) = section.query.as_ref().and_then(|query| query.time.as_deref()) else { return Ok(Extremes::Moment) };
    let from = section.time_unit().map(|unit| unit.from);
    if matches!(from, Some(TimeFrom::Seconds | TimeFrom::Millis | TimeFrom::Micros)) {
        return Ok(Extremes::Number);
    }
    match prepared.names.iter().position(|name| name == time).and_then(|at| prepared.forms.get(at)) {
        Some(form) if form.is_number() => Ok(Extremes::Number),
        Some(form) if form.is_time() => Ok(Extremes::Moment),
        Some(_) => Err(format!(
            "`{time}`, which `time` names, is neither a time nor a number, so :since and :until have no extremes: cast it, as in cast({time} as datetime(6))"
        )),
        None if from == Some(TimeFrom::Text) => Err(format!("`{time}`, which `time` names, is a text, which has no extremes")),
        None => Ok(Extremes::Moment),
    }
}

fn arguments(section: &Section, prepared: &Prepared, binds: &Binds) -> Result<MySqlArguments, String> {
    let mut arguments = MySqlArguments::default();
    for bind in &prepared.binds {
        let added = match (bind, binds.edge(bind)) {
            (Bind::Subject | Bind::Key(_), _) => {
                let value = binds.value(bind).ok_or("nothing fills a parameter of the query")?;
                match value.integer() {
                    Some(number) => arguments.add(number),
                    None => arguments.add(value.as_str()),
                }
            }
            (Bind::Since | Bind::Until, Some(at)) => match extremes(section, prepared)? {
                Extremes::Number => match edge(section, at).map_err(|failure| failure.to_string())? {
                    Edge::Int(units) => arguments.add(units),
                    Edge::Real(units) => arguments.add(units),
                    Edge::Text(text) => arguments.add(text),
                },
                Extremes::Moment => arguments.add(moment(at)),
            },
            (Bind::Since | Bind::Until, None) => match (extremes(section, prepared)?, bind) {
                (Extremes::Number, Bind::Since) => arguments.add(i64::MIN),
                (Extremes::Number, _) => arguments.add(i64::MAX),
                (Extremes::Moment, Bind::Since) => arguments.add("0000-00-00 00:00:00"),
                (Extremes::Moment, _) => arguments.add("9999-12-31 23:59:59.999999"),
            },
        };
        added.map_err(|error| error.to_string())?;
    }
    Ok(arguments)
}

/// The first microsecond that is not before the moment, in the session's zone, which is UTC.
fn moment(at: jiff::Timestamp) -> String {
    let at = jiff::Timestamp::from_microsecond(whole_units(at, 1_000)).unwrap_or(at);
    at.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
}

async fn read(
    connection: &mut MySqlConnection,
    prepared: &Prepared,
    section: &Section,
    binds: &Binds,
    mut rows: Rows,
) -> Result<Rows, Failure> {
    if prepared.names.is_empty() {
        return Err(Failure::Query("the query is not a select".to_owned()));
    }
    let arguments = arguments(section, prepared, binds).map_err(Failure::Query)?;
    let names: Vec<&str> = prepared.names.iter().map(String::as_str).collect();
    rows.columns(&names)?;
    let malformed = |_| Failure::Query("the server sent a value in another form than it said".to_owned());
    let mut stream = sqlx::query_with(AssertSqlSafe(prepared.sql.clone()), arguments).fetch(connection);
    let mut forms = Vec::new();
    let mut scratch = Scratch::default();
    let mut cells = Vec::with_capacity(names.len());
    while let Some(row) = stream.try_next().await.map_err(|error| failure(&error))? {
        if forms.is_empty() {
            forms = row_forms(&row, prepared)?;
        }
        scratch.clear();
        for (at, form) in forms.iter().enumerate() {
            if let Some(bytes) = bytes(&row, at) {
                scratch.prepare(at, *form, bytes).map_err(malformed)?;
            }
        }
        if fill(&row, &forms, &scratch, &mut cells) == Err(BadCell::NotUtf8) {
            cells = recycle(cells);
            for (at, form) in forms.iter().enumerate() {
                let broken = bytes(&row, at).is_some_and(|bytes| scratch.repair(at, *form, bytes));
                rows.repaired(u64::from(broken));
            }
            fill(&row, &forms, &scratch, &mut cells).map_err(malformed)?;
        }
        if cells.len() != forms.len() {
            return Err(malformed(BadCell::Malformed));
        }
        let flow = rows.row(&cells)?;
        cells = recycle(cells);
        drop(row);
        if flow == Flow::Flush {
            rows.flush().await?;
        }
    }
    drop(stream);
    Ok(rows)
}

/// The columns as they are now: the table may have changed since the query was prepared, and types of expressions with parameters
/// are known only when those are.
fn row_forms(row: &MySqlRow, prepared: &Prepared) -> Result<Vec<Form>, Failure> {
    let same = row.columns().len() == prepared.names.len()
        && row.columns().iter().zip(&prepared.names).all(|(column, name)| column.name() == name);
    if !same {
        return Err(Failure::Broken("the query's columns have changed since it was prepared".to_owned()));
    }
    let form = |(column, json): (&sqlx::mysql::MySqlColumn, &bool)| match mysql_types::form(column.type_info()) {
        Form::Text if *json => Form::LenientJson,
        form => form,
    };
    Ok(row.columns().iter().zip(&prepared.json).map(form).collect())
}

fn fill<'r>(row: &'r MySqlRow, forms: &[Form], scratch: &'r Scratch, cells: &mut Vec<Cell<'r>>) -> Result<(), BadCell> {
    for (at, form) in forms.iter().enumerate() {
        cells.push(match bytes(row, at) {
            None => Cell::Null,
            Some(bytes) => scratch.cell(at, *form, bytes)?,
        });
    }
    Ok(())
}

/// The bytes of a value. Only null has none; the driver's own "is it null" would call a zero date one.
fn bytes(row: &MySqlRow, at: usize) -> Option<&[u8]> {
    row.try_get_raw(at).ok().and_then(|value| <&[u8] as Decode<MySql>>::decode(value).ok())
}

async fn check_section(connection: &mut MySqlConnection, section: &Section, examples: &[Binds]) -> Vec<Fault> {
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
        // The keys of a batch come with the batch; a range is for what knows its time.
        let open = |bind: &Bind| matches!(bind, Bind::Key(_)) && example.value(bind).is_none();
        if prepared.binds.iter().any(open) || (example.has_range() && query.time.is_none()) {
            continue;
        }
        let problem = arguments(section, &prepared, example).err().map(fault);
        faults.extend(problem.filter(|fault| !faults.contains(fault)));
    }
    faults
}

/// A connection that does not come about: whatever the reason, the source is down.
fn at_the_door(error: &sqlx::Error) -> Failure {
    Failure::Down(words(error))
}

/// The error as a failure of the section. Messages of some classes quote values of rows; of those only the code is told.
fn failure(error: &sqlx::Error) -> Failure {
    match error {
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default().into_owned();
            match (number(error), code.get(..2).unwrap_or_default()) {
                // Told by MariaDB, and by MySQL.
                (1969 | 3024, _) => Failure::Timeout("statement_timeout"),
                (1153, _) => Failure::Query("a row is larger than the server's max_allowed_packet: raise it there".to_owned()),
                // Shutting down, killed, too many connections, an account that may not.
                (1053 | 1317 | 1927 | 1203 | 1226 | 3169 | 1040 | 1044 | 1045 | 1049 | 4031, _) | (_, "08" | "28") => {
                    Failure::Down(words(error))
                }
                // Writing in a transaction that only reads; syntax, names that are not there, rights; and values that the query
                // cannot work with.
                (_, "25" | "42" | "22" | "21" | "45") => Failure::Query(words(error)),
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

fn number(error: &sqlx::Error) -> u16 {
    match error {
        sqlx::Error::Database(database) => {
            database.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>().map_or(0, |error| error.number())
        }
        _ => 0,
    }
}

fn words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => {
            let (code, number) = (database.code().unwrap_or_default(), number(error));
            match code.get(..2).unwrap_or_default() {
                "08" | "25" | "28" | "42" | "70" => format!("{} (error {number}, SQLSTATE {code})", database.message()),
                _ => format!("error {number}, SQLSTATE {code} (its message may quote a row)"),
            }
        }
        sqlx::Error::PoolTimedOut => "no connection within `connect_timeout`".to_owned(),
        other => other.to_string(),
    }
}
