//! The metadata store: two engines, one SQL text.
//!
//! `Db` holds the pools, `Tx` one transaction or one connection for reading, and `sql!` runs the same text on either.
//! Columns are BIGINT, INTEGER, DOUBLE PRECISION, BOOLEAN, TEXT and bytes; time is BIGINT milliseconds; ids come from us.
//! What differs between the engines stays in this room: `BEGIN IMMEDIATE`, the lock clause of a claim, `LISTEN`.

mod migrate;
pub(crate) mod run;

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Postgres, Sqlite, SqliteConnection, SqlitePool, Transaction};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use migrate::{MigrateError, SchemaState};

/// The channel on which PostgreSQL tells workers of new jobs.
const CHANNEL: &str = "portward_jobs";

/// The pools of one metadata store.
#[derive(Clone, Debug)]
pub struct Db {
    engine: Engine,
    /// Counts the commits that brought jobs; runners watch it.
    wake: Arc<watch::Sender<u64>>,
    /// The channel on which this store's processes tell each other of jobs.
    channel: Arc<str>,
}

#[derive(Clone, Debug)]
enum Engine {
    /// One writer connection, several that only read: an upgrade from reading to writing would fail at once.
    Sqlite {
        read: SqlitePool,
        write: SqlitePool,
    },
    Postgres(PgPool),
}

/// A store that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address is none of the two engines'.
    #[error("store.url must begin with sqlite: or postgres://")]
    Unknown,
    /// The engine refused; its own words follow in the log.
    #[error("the metadata store cannot be opened: {0}")]
    Engine(#[from] sqlx::Error),
}

impl Db {
    /// Opens `sqlite:PATH` (made when absent) or `postgres://..`. `connections` bounds the pool.
    pub async fn open(url: &str, connections: u32) -> Result<Self, OpenError> {
        Self::open_in(url, None, connections).await
    }

    /// As [`Db::open`]; on PostgreSQL in a schema of its own, made when absent, so that nothing of another store in the same database has a name
    /// here. SQLite's stores are files, and apart anyway.
    pub async fn open_apart(url: &str, schema: &'static str, connections: u32) -> Result<Self, OpenError> {
        Self::open_in(url, Some(schema), connections).await
    }

    async fn open_in(url: &str, schema: Option<&'static str>, connections: u32) -> Result<Self, OpenError> {
        let engine = if let Some(path) = url.strip_prefix("sqlite:") {
            Self::open_sqlite(Path::new(path.trim_start_matches("//")), connections).await?
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let mut options = PgConnectOptions::from_str(url)?.application_name("portward");
            if let Some(schema) = schema {
                make_schema(&options, schema).await?;
                options = options.options([("search_path", schema)]);
            }
            let pool = PgPoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(Duration::from_secs(10))
                .connect_with(options)
                .await?;
            Engine::Postgres(pool)
        } else {
            return Err(OpenError::Unknown);
        };
        let channel = schema.map_or_else(|| CHANNEL.into(), |schema| format!("{CHANNEL}_{schema}").into());
        Ok(Self { engine, wake: Arc::new(watch::Sender::new(0)), channel })
    }

    async fn open_sqlite(path: &Path, connections: u32) -> Result<Engine, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL, so that what was answered after its commit outlives a power cut (docs/decisions/0002).
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(10))
            .foreign_keys(true)
            .statement_cache_capacity(200);
        // A file does not hang up: asking each connection whether it lives before its use would double the cost of a look.
        let write = SqlitePoolOptions::new().max_connections(1).test_before_acquire(false).connect_with(options.clone()).await?;
        let read = SqlitePoolOptions::new()
            .max_connections(connections.max(1))
            .test_before_acquire(false)
            .connect_with(options.pragma("query_only", "on"))
            .await?;
        Ok(Engine::Sqlite { read, write })
    }

    /// Begins a transaction that writes.
    pub async fn begin(&self) -> Result<Tx, sqlx::Error> {
        let kind = match &self.engine {
            Engine::Sqlite { write, .. } => Kind::Sqlite(write.begin_with("begin immediate").await?),
            Engine::Postgres(pool) => Kind::Postgres(pool.begin().await?),
        };
        Ok(Tx { kind, wakes: false, wake: Arc::clone(&self.wake), channel: Arc::clone(&self.channel) })
    }

    /// A connection for reading, each statement by itself.
    pub async fn read(&self) -> Result<Tx, sqlx::Error> {
        let kind = match &self.engine {
            Engine::Sqlite { read, .. } => Kind::SqliteRead(read.acquire().await?),
            Engine::Postgres(pool) => Kind::PostgresRead(pool.acquire().await?),
        };
        Ok(Tx { kind, wakes: false, wake: Arc::clone(&self.wake), channel: Arc::clone(&self.channel) })
    }

    /// `sqlite` or `postgres`.
    pub fn engine(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite { .. } => "sqlite",
            Engine::Postgres(_) => "postgres",
        }
    }

    /// Changes when a job was committed: by this process, or by any while [`Db::hear`] runs.
    pub fn wakes(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }

    /// Passes on what other processes tell of new jobs, until it is stopped. SQLite has no such word; there the polling must do.
    pub async fn hear(&self, stop: CancellationToken) {
        let Engine::Postgres(pool) = &self.engine else { return };
        while !stop.is_cancelled() {
            let heard = async {
                let mut listener = PgListener::connect_with(pool).await?;
                listener.listen(&self.channel).await?;
                loop {
                    listener.recv().await?;
                    self.wake.send_modify(|count| *count += 1);
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                ended = heard => {
                    let ended: Result<(), sqlx::Error> = ended;
                    tracing::warn!(cause = ended.err().map(tracing::field::display), "listening for jobs was cut off; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// Closes the pools.
    pub async fn close(&self) {
        match &self.engine {
            Engine::Sqlite { read, write } => {
                read.close().await;
                write.close().await;
            }
            Engine::Postgres(pool) => pool.close().await,
        }
    }
}

/// Makes a schema. It is looked for first: who may use one need not be allowed to make one; and of two programs at once the slower finds it made.
async fn make_schema(options: &PgConnectOptions, schema: &'static str) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    let there = "select count(*) from pg_namespace where nspname = $1";
    let count: i64 = sqlx::query_scalar(there).bind(schema).fetch_one(&mut connection).await?;
    if count == 0 {
        let made = sqlx::query(AssertSqlSafe(format!("create schema {schema}"))).execute(&mut connection).await;
        let count: i64 = sqlx::query_scalar(there).bind(schema).fetch_one(&mut connection).await?;
        if count == 0 {
            made?;
        }
    }
    connection.close().await
}

/// One transaction, or one connection for reading. Dropped without `commit`, it changes nothing.
#[derive(Debug)]
pub struct Tx {
    kind: Kind,
    /// Whether a job was enqueued.
    wakes: bool,
    wake: Arc<watch::Sender<u64>>,
    channel: Arc<str>,
}

#[derive(Debug)]
enum Kind {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
    SqliteRead(PoolConnection<Sqlite>),
    PostgresRead(PoolConnection<Postgres>),
}

/// What `sql!` runs a statement on.
#[derive(Debug)]
pub enum Handle<'a> {
    /// SQLite.
    Sqlite(&'a mut SqliteConnection),
    /// PostgreSQL.
    Postgres(&'a mut PgConnection),
}

impl Tx {
    /// The connection beneath.
    pub fn handle(&mut self) -> Handle<'_> {
        match &mut self.kind {
            Kind::Sqlite(tx) => Handle::Sqlite(tx),
            Kind::SqliteRead(connection) => Handle::Sqlite(connection),
            Kind::Postgres(tx) => Handle::Postgres(tx),
            Kind::PostgresRead(connection) => Handle::Postgres(connection),
        }
    }

    /// Makes it so, then wakes the runners if a job was enqueued.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        if self.wakes
            && let Kind::Postgres(tx) = &mut self.kind
        {
            sqlx::query("select pg_notify($1, '')").bind(&*self.channel).execute(&mut **tx).await?;
        }
        match self.kind {
            Kind::Sqlite(tx) => tx.commit().await?,
            Kind::Postgres(tx) => tx.commit().await?,
            Kind::SqliteRead(_) | Kind::PostgresRead(_) => {}
        }
        if self.wakes {
            self.wake.send_modify(|count| *count += 1);
        }
        Ok(())
    }

    /// Notes that runners are to be woken by the commit.
    pub(crate) fn wake_runners(&mut self) {
        self.wakes = true;
    }

    /// Whether the engine needs to be told that a claim passes over rows which another claim holds; SQLite's single writer does so by itself.
    pub(crate) fn skips_locked(&self) -> bool {
        matches!(self.kind, Kind::Postgres(_) | Kind::PostgresRead(_))
    }
}

/// Runs one SQL text on whichever engine a [`Tx`] is of: `one`, `optional` and `all` give rows of a type, `execute` the number of rows
/// changed; `value`, `found` and `values` are the same three for a single column. Placeholders are `$1`, `$2`, ..
macro_rules! sql {
    ($tx:expr, execute, $sql:expr $(, $bind:expr)* $(,)?) => {
        match $tx.handle() {
            $crate::db::Handle::Sqlite(c) => $crate::db::run::sqlite::execute(c, sqlx::query($sql)$(.bind($bind))*).await,
            $crate::db::Handle::Postgres(c) => $crate::db::run::postgres::execute(c, sqlx::query($sql)$(.bind($bind))*).await,
        }
    };
    ($tx:expr, one $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => { $crate::db::sql!(@ $tx, fetch_one, $row, $sql $(, $bind)*) };
    ($tx:expr, optional $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => { $crate::db::sql!(@ $tx, fetch_optional, $row, $sql $(, $bind)*) };
    ($tx:expr, all $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => { $crate::db::sql!(@ $tx, fetch_all, $row, $sql $(, $bind)*) };
    ($tx:expr, value $column:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::db::sql!(@ $tx, fetch_one, ($column,), $sql $(, $bind)*).map(|(value,)| value)
    };
    ($tx:expr, found $column:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::db::sql!(@ $tx, fetch_optional, ($column,), $sql $(, $bind)*).map(|found| found.map(|(value,)| value))
    };
    ($tx:expr, values $column:ty, $sql:expr $(, $bind:expr)* $(,)?) => {
        $crate::db::sql!(@ $tx, fetch_all, ($column,), $sql $(, $bind)*).map(|rows| rows.into_iter().map(|(value,)| value).collect::<Vec<_>>())
    };
    (@ $tx:expr, $fetch:ident, $row:ty, $sql:expr $(, $bind:expr)*) => {
        match $tx.handle() {
            $crate::db::Handle::Sqlite(c) => {
                $crate::db::run::sqlite::$fetch(c, sqlx::query($sql)$(.bind($bind))*).await.and_then($crate::db::run::$fetch::<$row, _>)
            }
            $crate::db::Handle::Postgres(c) => {
                $crate::db::run::postgres::$fetch(c, sqlx::query($sql)$(.bind($bind))*).await.and_then($crate::db::run::$fetch::<$row, _>)
            }
        }
    };
}
pub(crate) use sql;

/// An enum whose values are words, spelt once for the store, the logs and the pages.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value of a word.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl<DB: sqlx::Database> sqlx::Type<DB> for $name where str: sqlx::Type<DB> {
            fn type_info() -> DB::TypeInfo { <str as sqlx::Type<DB>>::type_info() }
            fn compatible(ty: &DB::TypeInfo) -> bool { <str as sqlx::Type<DB>>::compatible(ty) }
        }

        impl<'q, DB: sqlx::Database> sqlx::Encode<'q, DB> for $name where &'static str: sqlx::Encode<'q, DB> {
            fn encode_by_ref(&self, buffer: &mut DB::ArgumentBuffer) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
                sqlx::Encode::<DB>::encode_by_ref(&self.as_str(), buffer)
            }
        }

        impl<'r, DB: sqlx::Database> sqlx::Decode<'r, DB> for $name where &'r str: sqlx::Decode<'r, DB> {
            fn decode(value: DB::ValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
                let word = <&str as sqlx::Decode<DB>>::decode(value)?;
                Self::parse(word).ok_or_else(|| format!("{word:?} is not a word of {}", stringify!($name)).into())
            }
        }
    };
}
pub(crate) use words;
