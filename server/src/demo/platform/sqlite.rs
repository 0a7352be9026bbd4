//! The platform as a SQLite file.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Statement};

use super::schema::{Engine, Sink, TABLES, Value};
use super::world::World;
use super::{Plan, Progress, Report, STEP};

/// Writes the platform to a new file at `path`. A file that is there already is refused.
///
/// The file appears under its name when it is complete; until then it is called `.NAME.partial` beside it.
pub(crate) fn write_sqlite(path: &Path, plan: &Plan, progress: Progress<'_>) -> Result<Report> {
    refuse(path)?;
    let partial = partial(path)?;
    // What an earlier run left behind when it was killed is ours to remove.
    let _ = std::fs::remove_file(&partial);
    let written = write(&partial, plan, progress).and_then(|report| {
        refuse(path)?;
        std::fs::rename(&partial, path).with_context(|| format!("cannot name the finished file {}", path.display()))?;
        Ok(report)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written
}

fn refuse(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        bail!("{} exists already; name another file, or remove it first", path.display());
    }
    Ok(())
}

fn partial(path: &Path) -> Result<PathBuf> {
    let Some(name) = path.file_name() else {
        bail!("{} is not a file name", path.display());
    };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".partial");
    Ok(path.with_file_name(hidden))
}

fn write(path: &Path, plan: &Plan, progress: Progress<'_>) -> Result<Report> {
    let world = World::new(plan);
    let total = world.expected();
    let db = Connection::open(path).with_context(|| format!("cannot create {}", path.display()))?;
    // Nothing needs to survive a crash: a file that is not complete never gets its name.
    db.execute_batch(
        "pragma journal_mode = off; pragma synchronous = off; pragma locking_mode = exclusive;
         pragma cache_size = -65536; begin",
    )?;
    let mut tables = Vec::new();
    let mut done = 0;
    for table in TABLES {
        db.execute_batch(&table.create(Engine::Sqlite))?;
        let marks = vec!["?"; table.columns.len()].join(", ");
        let insert = db.prepare(&format!("insert into {} values ({marks})", table.name))?;
        let mut rows = Insert { insert, before: done, rows: 0, total, progress };
        (table.fill)(&world, &mut rows).with_context(|| format!("filling {}", table.name))?;
        tables.push((table.name, rows.rows));
        done += rows.rows;
    }
    for statement in TABLES.iter().flat_map(|table| table.create_indexes(Engine::Sqlite)) {
        db.execute_batch(&statement)?;
    }
    db.execute_batch("commit; analyze")?;
    db.close().map_err(|(_, error)| error)?;
    std::fs::File::open(path)?.sync_all()?;
    progress(total, total);
    Ok(Report::new(tables))
}

struct Insert<'a> {
    insert: Statement<'a>,
    before: u64,
    rows: u64,
    total: u64,
    progress: Progress<'a>,
}

impl Sink for Insert<'_> {
    fn row(&mut self, row: &[Value<'_>]) -> Result<()> {
        for (at, value) in row.iter().enumerate() {
            self.insert.raw_bind_parameter(at + 1, value)?;
        }
        self.insert.raw_execute()?;
        self.rows += 1;
        if self.rows.is_multiple_of(STEP) {
            (self.progress)((self.before + self.rows).min(self.total), self.total);
        }
        Ok(())
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Int(number) => ValueRef::Integer(*number),
            Value::Flag(flag) => ValueRef::Integer(i64::from(*flag)),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Null => ValueRef::Null,
        }))
    }
}
