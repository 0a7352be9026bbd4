//! The platform in a PostgreSQL database.

use anyhow::{Context, Result, bail};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::mpsc;

use super::schema::{Engine, Sink, TABLES, Value};
use super::world::World;
use super::{Plan, Progress, Report};

/// Bytes that are sent at once.
const CHUNK: usize = 256 * 1024;

enum Piece {
    /// Rows in the text form of `COPY`, and how many they are.
    Rows(Vec<u8>, u64),
    /// The table is complete.
    End,
}

/// Fills a database with the platform, in one transaction. One that has a table of the same name already is refused.
pub(crate) async fn write_postgres(url: &str, plan: &Plan, progress: Progress<'_>) -> Result<Report> {
    let mut db = PgConnection::connect(url).await.context("cannot connect to PostgreSQL")?;
    let mut tx = db.begin().await?;
    for table in TABLES {
        let taken: bool = sqlx::query_scalar("select to_regclass($1) is not null").bind(table.name).fetch_one(&mut *tx).await?;
        if taken {
            bail!("the database has a table {} already; give an empty database", table.name);
        }
        tx.execute(AssertSqlSafe(table.create(Engine::Postgres))).await?;
    }

    let plan = *plan;
    let world = tokio::task::spawn_blocking(move || World::new(&plan)).await?;
    let total = world.expected();
    // Rows are made on a thread of their own, while earlier ones travel.
    let (send, mut pieces) = mpsc::channel(4);
    let maker = tokio::task::spawn_blocking(move || {
        for table in TABLES {
            let mut copy = Copy { buffer: Vec::with_capacity(CHUNK + 4096), rows: 0, send: &send };
            (table.fill)(&world, &mut copy).with_context(|| format!("filling {}", table.name))?;
            copy.flush()?;
            send.blocking_send(Piece::End).context("the database went away")?;
        }
        Ok(())
    });
    let sent = receive(&mut tx, &mut pieces, total, progress).await;
    // Without a receiver the maker stops at its next piece.
    drop(pieces);
    let made: Result<()> = maker.await?;
    let tables = sent?;
    made?;

    for statement in TABLES.iter().flat_map(|table| table.create_indexes(Engine::Postgres)) {
        tx.execute(AssertSqlSafe(statement)).await?;
    }
    tx.execute("analyze").await?;
    tx.commit().await?;
    progress(total, total);
    Ok(Report::new(tables))
}

async fn receive(
    db: &mut PgConnection,
    pieces: &mut mpsc::Receiver<Piece>,
    total: u64,
    progress: Progress<'_>,
) -> Result<Vec<(&'static str, u64)>> {
    let mut tables = Vec::new();
    let mut done = 0;
    for table in TABLES {
        let mut copy = db.copy_in_raw(&format!("copy {} ({}) from stdin", table.name, table.column_list())).await?;
        let mut rows = 0;
        let complete = loop {
            match pieces.recv().await {
                Some(Piece::Rows(bytes, count)) => {
                    copy.send(bytes).await?;
                    rows += count;
                    progress((done + rows).min(total), total);
                }
                Some(Piece::End) => break true,
                None => break false,
            }
        };
        if !complete {
            copy.abort("the rows stopped coming").await?;
            bail!("the rows of {} stopped coming", table.name);
        }
        copy.finish().await.with_context(|| format!("filling {}", table.name))?;
        tables.push((table.name, rows));
        done += rows;
    }
    Ok(tables)
}

struct Copy<'a> {
    buffer: Vec<u8>,
    rows: u64,
    send: &'a mpsc::Sender<Piece>,
}

impl Copy<'_> {
    fn flush(&mut self) -> Result<()> {
        if self.rows > 0 {
            let full = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK + 4096));
            self.send.blocking_send(Piece::Rows(full, self.rows)).context("the database went away")?;
            self.rows = 0;
        }
        Ok(())
    }
}

impl Sink for Copy<'_> {
    fn row(&mut self, row: &[Value<'_>]) -> Result<()> {
        use std::io::Write;
        for (at, value) in row.iter().enumerate() {
            if at > 0 {
                self.buffer.push(b'\t');
            }
            match value {
                Value::Int(number) => write!(self.buffer, "{number}")?,
                Value::Flag(flag) => self.buffer.push(if *flag { b't' } else { b'f' }),
                Value::Text(text) => escape(text, &mut self.buffer),
                Value::Null => self.buffer.extend_from_slice(b"\\N"),
            }
        }
        self.buffer.push(b'\n');
        self.rows += 1;
        if self.buffer.len() >= CHUNK { self.flush() } else { Ok(()) }
    }
}

/// The text form of `COPY` gives a meaning to four characters.
fn escape(text: &str, into: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'\\' => into.extend_from_slice(b"\\\\"),
            b'\t' => into.extend_from_slice(b"\\t"),
            b'\n' => into.extend_from_slice(b"\\n"),
            b'\r' => into.extend_from_slice(b"\\r"),
            other => into.push(other),
        }
    }
}
