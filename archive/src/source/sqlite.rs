//! SQLite files, opened read-only, read on blocking threads without copying a value.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement};

use super::{Cell, Columns, Later, Permit, Reading, Source, column_faults, fault_at, recycle};
use crate::catalogue::contents::Type;
use crate::catalogue::sql::Bind;
use crate::catalogue::{Fault, Section, Snapshot, SourceSpec};
use crate::write::{Binds, Edge, Failure, Flow, Rows, edge};

/// How many of SQLite's steps pass between two looks at the stop flag: some tenths of a millisecond.
const STEPS_BETWEEN_LOOKS: i32 = 10_000;

pub(super) struct SqliteSource {
    path: PathBuf,
    spec: SourceSpec,
    statements: usize,
    idle: Arc<Mutex<Vec<Handle>>>,
}

/// A connection and the flag that stops what it runs.
struct Handle {
    connection: Connection,
    stop: Arc<AtomicBool>,
    file: Option<(u64, u64)>,
}

/// Which file a path names now. An operator who puts a new file in the old one's place must not be read from the old one for ever.
fn identity(path: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        None
    }
}

impl SqliteSource {
    pub(super) fn new(spec: &SourceSpec, url: &str, base_dir: &Path, statements: usize) -> Result<Self, String> {
        let path = url.strip_prefix("sqlite:").ok_or("its address does not begin with sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path == ":memory:" {
            return Err("its address names no file".to_owned());
        }
        Ok(Self { path: base_dir.join(path), spec: spec.clone(), statements, idle: Arc::default() })
    }

    fn opener(&self) -> impl FnOnce() -> Result<Handle, Failure> + Send + 'static {
        let (path, idle, statements, wait) = (self.path.clone(), self.idle.clone(), self.statements, self.spec.connect_timeout);
        move || {
            let now = identity(&path);
            let kept = {
                let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
                idle.retain(|handle| handle.file == now);
                idle.pop()
            };
            match kept {
                Some(handle) => Ok(handle),
                None => open(&path, statements, wait)
                    .map_err(|error| Failure::Down(format!("{} cannot be opened: {}", path.display(), plain(&error)))),
            }
        }
    }
}

fn open(path: &Path, statements: usize, busy: Duration) -> rusqlite::Result<Handle> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(busy)?;
    // No mmap: it would make the operator's whole file resident. 2 MiB of cache hold the inner pages of
    // the indexes; what else is read of one person is read once.
    connection
        .execute_batch("pragma query_only = on; pragma mmap_size = 0; pragma cache_size = -2048; pragma trusted_schema = off;")?;
    // The header is read only now, and says whether this is a database at all.
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))?;
    connection.set_prepared_statement_cache_capacity(statements.max(16));
    let stop = Arc::new(AtomicBool::new(false));
    let seen = stop.clone();
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(move || seen.load(Ordering::Relaxed)))?;
    Ok(Handle { connection, stop, file: identity(path) })
}

impl Source for SqliteSource {
    fn check<'a>(&'a self, sections: Vec<&'a Section>, _: &'a [Binds]) -> Later<'a, Vec<Fault>> {
        Box::pin(async move {
            let opener = self.opener();
            let sections: Vec<Section> = sections.into_iter().cloned().collect();
            let (idle, place, name) = (self.idle.clone(), self.spec.place.clone(), self.spec.name.clone());
            let checked = tokio::task::spawn_blocking(move || {
                let handle = match opener() {
                    Ok(handle) => handle,
                    Err(failure) => {
                        return vec![fault_at(
                            &place,
                            format!("source `{name}`: {failure}"),
                            "correct `url`; relative paths begin at the catalogue's folder",
                        )];
                    }
                };
                let faults = sections.iter().flat_map(|section| check_section(&handle.connection, section)).collect();
                give_back(&idle, handle);
                faults
            });
            checked.await.unwrap_or_else(|error| vec![fault_at(&self.spec.place, error.to_string(), "report this")])
        })
    }

    /// Names only: any value may stand in any column, whatever its table says.
    fn columns<'a>(&'a self, section: &'a Section) -> Later<'a, Result<Option<Columns>, Failure>> {
        Box::pin(async move {
            let Some(query) = &section.query else { return Ok(None) };
            let (opener, idle, sql) = (self.opener(), self.idle.clone(), query.sql.clone());
            blocking(move || {
                let handle = opener()?;
                let names = handle
                    .connection
                    .prepare(&sql)
                    .map_err(|error| failure_of(&error))
                    .map(|statement| statement.column_names().into_iter().map(|name| (name.to_owned(), Type::Any)).collect());
                give_back(&idle, handle);
                names.map(Some)
            })
            .await
        })
    }

    fn begin<'a>(&'a self, permit: Permit) -> Later<'a, Result<Box<dyn Reading>, Failure>> {
        Box::pin(async move {
            let opener = self.opener();
            let whole = self.spec.snapshot == Snapshot::Request;
            let handle = blocking(move || {
                let handle = opener()?;
                if whole {
                    // A deferred transaction has its snapshot from the first read on.
                    let begun = handle.connection.execute_batch("begin; select 1 from sqlite_schema limit 1;");
                    begun.map_err(|error| failure_of(&error))?;
                }
                Ok(handle)
            })
            .await?;
            let reading = SqliteReading { handle: Some(handle), permit, idle: self.idle.clone(), whole };
            Ok(Box::new(reading) as Box<dyn Reading>)
        })
    }

    /// Each connection has a snapshot of its own, so they are taken until nothing was written in between.
    fn begin_together<'a>(&'a self, permit: Permit, width: usize) -> Later<'a, Result<Vec<Box<dyn Reading>>, Failure>> {
        Box::pin(async move {
            let openers: Vec<_> = (0..width).map(|_| self.opener()).collect();
            let handles = blocking(move || {
                let handles = openers.into_iter().map(|opener| opener()).collect::<Result<Vec<_>, _>>()?;
                begin_alike(&handles)?;
                Ok(handles)
            })
            .await?;
            let reading = |handle| {
                let (permit, idle) = (permit.clone(), self.idle.clone());
                Box::new(SqliteReading { handle: Some(handle), permit, idle, whole: true }) as Box<dyn Reading>
            };
            Ok(handles.into_iter().map(reading).collect())
        })
    }
}

/// How often snapshots are taken anew when something was written meanwhile: each try takes some tens of microseconds.
const TRIES: usize = 1_000;

/// Begins a snapshot on each connection, all of one state. `data_version` of a connection changes with what others commit: if it is after its
/// own snapshot what it was before the first one's, nothing was committed in between.
fn begin_alike(handles: &[Handle]) -> Result<(), Failure> {
    let version = |handle: &Handle| {
        handle.connection.query_row("pragma data_version", [], |row| row.get::<_, i64>(0)).map_err(|error| failure_of(&error))
    };
    for attempt in 0..TRIES {
        let before = handles.iter().map(version).collect::<Result<Vec<_>, _>>()?;
        for handle in handles {
            let begun = handle.connection.execute_batch("begin; select 1 from sqlite_schema limit 1;");
            begun.map_err(|error| failure_of(&error))?;
        }
        if handles.iter().map(version).collect::<Result<Vec<_>, _>>()? == before {
            return Ok(());
        }
        for handle in handles {
            handle.connection.execute_batch("rollback").map_err(|error| failure_of(&error))?;
        }
        // Whoever writes without a pause is waited for a little longer each time.
        std::thread::sleep(Duration::from_micros(attempt as u64));
    }
    Err(Failure::Broken("it is written to without a pause, so two queries cannot see the same".to_owned()))
}

struct SqliteReading {
    handle: Option<Handle>,
    permit: Permit,
    idle: Arc<Mutex<Vec<Handle>>>,
    whole: bool,
}

/// Stops the query when nobody waits for it any more.
struct StopOnDrop(Option<Arc<AtomicBool>>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(stop) = &self.0 {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

impl Reading for SqliteReading {
    fn read<'a>(&'a mut self, section: &'a Section, binds: &'a Arc<Binds>, rows: Rows) -> Later<'a, Result<Rows, Failure>> {
        Box::pin(async move {
            let section = section.clone();
            let Some(handle) = self.handle.take() else { return Err(Failure::Query("the connection was given up".to_owned())) };
            let binds = binds.clone();
            let permit = self.permit.clone();
            let mut stop = StopOnDrop(Some(handle.stop.clone()));
            let (handle, rows) = blocking(move || {
                let rows = read(&handle.connection, &section, &binds, rows)?;
                drop(permit);
                Ok((handle, rows))
            })
            .await?;
            stop.0 = None;
            self.handle = Some(handle);
            Ok(rows)
        })
    }

    fn end(mut self: Box<Self>) -> Later<'static, ()> {
        Box::pin(async move {
            let Some(handle) = self.handle.take() else { return };
            if self.whole && handle.connection.execute_batch("commit").is_err() {
                return;
            }
            give_back(&self.idle, handle);
        })
    }
}

fn give_back(idle: &Mutex<Vec<Handle>>, handle: Handle) {
    idle.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Failure::Broken(format!("the reading thread ended: {error}"))),
    }
}

fn read(connection: &Connection, section: &Section, binds: &Binds, mut rows: Rows) -> Result<Rows, Failure> {
    let Some(query) = &section.query else { return Ok(rows) };
    let mut statement = connection.prepare_cached(&query.sql).map_err(|error| failure_of(&error))?;
    readable(&statement).map_err(Failure::Query)?;
    bind(&mut statement, section, binds)?;
    rows.columns(&statement.column_names())?;
    let count = statement.column_count();
    let mut found = statement.raw_query();
    let mut cells = Vec::with_capacity(count);
    // An error in mid-stream may quote a value, so the code's own words are told, not the message.
    while let Some(row) = found.next().map_err(|error| failure_in_stream(&error))? {
        let mut broken = false;
        for at in 0..count {
            cells.push(match row.get_ref(at).map_err(|error| failure_in_stream(&error))? {
                ValueRef::Null => Cell::Null,
                ValueRef::Integer(number) => Cell::Int(number),
                ValueRef::Real(number) => Cell::Real(number),
                ValueRef::Blob(bytes) => Cell::Blob(bytes),
                ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                    Ok(text) => Cell::Text(text),
                    Err(_) => {
                        broken = true;
                        Cell::Null
                    }
                },
            });
        }
        let flow = if broken {
            let repaired: Vec<String> = (0..count)
                .map(|at| match row.get_ref(at) {
                    Ok(ValueRef::Text(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
                    _ => String::new(),
                })
                .collect();
            let mut whole = cells.clone();
            for (at, text) in repaired.iter().enumerate() {
                if let Ok(ValueRef::Text(bytes)) = row.get_ref(at) {
                    whole[at] = Cell::Text(text);
                    rows.repaired(u64::from(text.as_bytes() != bytes));
                }
            }
            rows.row(&whole)?
        } else {
            rows.row(&cells)?
        };
        if flow == Flow::Flush {
            rows.flush_blocking()?;
        }
        cells = recycle(cells);
    }
    drop(found);
    Ok(rows)
}

/// A query must only read, and must answer with columns.
fn readable(statement: &Statement<'_>) -> Result<(), String> {
    if !statement.readonly() || statement.column_count() == 0 {
        return Err("the query is not a select".to_owned());
    }
    Ok(())
}

/// SQLite compares by storage class first: numbers, then texts, then blobs. So the least number and a blob enclose every value of
/// a numeric column. A column of texts turns the number into a text before it compares, and there the empty text is the least;
/// which of both it is, the fields say by `from = "text"`.
fn bind(statement: &mut Statement<'_>, section: &Section, binds: &Binds) -> Result<(), Failure> {
    let whole = |at, until: bool, statement: &mut Statement<'_>| match until {
        true => statement.raw_bind_parameter(at, [0xff_u8; 8].as_slice()),
        false if section.time_is_text() => statement.raw_bind_parameter(at, ""),
        false => statement.raw_bind_parameter(at, f64::NEG_INFINITY),
    };
    for at in 1..=statement.parameter_count() {
        let bind = Bind::named(statement.parameter_name(at).unwrap_or_default().trim_start_matches(':'));
        let bound = match (&bind, binds.value(&bind)) {
            (Bind::Since | Bind::Until, _) => match binds.edge(&bind) {
                None => whole(at, bind == Bind::Until, statement),
                Some(moment) => match edge(section, moment)? {
                    Edge::Int(number) => statement.raw_bind_parameter(at, number),
                    Edge::Real(number) => statement.raw_bind_parameter(at, number),
                    Edge::Text(text) => statement.raw_bind_parameter(at, text),
                },
            },
            (_, Some(value)) => match value.integer() {
                Some(number) => statement.raw_bind_parameter(at, number),
                None => statement.raw_bind_parameter(at, value.as_str()),
            },
            (_, None) => return Err(Failure::Query("it has a parameter that nothing fills".to_owned())),
        };
        bound.map_err(|error| failure_of(&error))?;
    }
    Ok(())
}

fn check_section(connection: &Connection, section: &Section) -> Vec<Fault> {
    let Some(query) = &section.query else { return Vec::new() };
    let fault = |what: String| {
        vec![fault_at(&section.place, format!("section \"{}\": {what}", section.name()), "correct the query or the database")]
    };
    match connection.prepare(&query.sql) {
        Ok(statement) => match readable(&statement) {
            Ok(()) => column_faults(section, &statement.column_names()),
            Err(what) => fault(what),
        },
        Err(error) => fault(plain(&error)),
    }
}

/// The engine's message without the query, which `Display` would repeat.
fn plain(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

fn failure_of(error: &rusqlite::Error) -> Failure {
    match error.sqlite_error_code() {
        Some(code) if is_down(code) => Failure::Down(plain(error)),
        _ => Failure::Query(plain(error)),
    }
}

fn failure_in_stream(error: &rusqlite::Error) -> Failure {
    let words = match error {
        rusqlite::Error::SqliteFailure(cause, _) => cause.to_string(),
        other => other.to_string(),
    };
    match error.sqlite_error_code() {
        Some(code) if is_down(code) => Failure::Down(words),
        _ => Failure::Broken(words),
    }
}

fn is_down(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CannotOpen
            | ErrorCode::NotADatabase
            | ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::PermissionDenied
    )
}
