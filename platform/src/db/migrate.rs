//! Embedded migrations: one folder of SQL for both engines.

use sqlx::migrate::{Migrate, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::{Db, Engine};

/// Version, name and text, in order. Texts that were released are never changed; a new one is added behind.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "first", include_str!("../../migrations/0001_first.sql")),
    (2, "portal", include_str!("../../migrations/0002_portal.sql")),
    (3, "own api", include_str!("../../migrations/0003_own_api.sql")),
    (4, "signing keys", include_str!("../../migrations/0004_signing_keys.sql")),
    (5, "brake", include_str!("../../migrations/0005_brake.sql")),
    (6, "webhooks", include_str!("../../migrations/0006_webhooks.sql")),
];

/// How the schema in a store stands to this program's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// As it should be.
    Current,
    /// So many migrations are to be run; on an empty store that is all of them.
    Behind(usize),
    /// Made by a later program, up to this version.
    Ahead(i64),
}

/// Migrations that failed, or must not be run.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The engine refused.
    #[error("the schema cannot be migrated: {0}")]
    Engine(#[from] sqlx::migrate::MigrateError),
    /// Reading the state failed.
    #[error("the schema cannot be read: {0}")]
    Read(#[from] sqlx::Error),
    /// A later program has been here.
    #[error(
        "the store has schema {found}, made by a later Portward; this one knows {known}. Run that later version, or restore a backup."
    )]
    Ahead {
        /// The store's version.
        found: i64,
        /// Ours.
        known: i64,
    },
}

impl Db {
    /// How the store's schema stands to ours. Changes nothing but the migrations' own table on an empty store.
    pub async fn schema(&self) -> Result<SchemaState, MigrateError> {
        let migrator = self.migrator();
        let applied = match &self.engine {
            Engine::Sqlite { write, .. } => applied(&mut *write.acquire().await?, &migrator.table_name).await?,
            Engine::Postgres(pool) => applied(&mut *pool.acquire().await?, &migrator.table_name).await?,
        };
        let known = MIGRATIONS.last().map_or(0, |(version, ..)| *version);
        if let Some(found) = applied.iter().copied().max().filter(|found| *found > known) {
            return Ok(SchemaState::Ahead(found));
        }
        match MIGRATIONS.iter().filter(|(version, ..)| !applied.contains(version)).count() {
            0 => Ok(SchemaState::Current),
            missing => Ok(SchemaState::Behind(missing)),
        }
    }

    /// Brings the schema up to ours.
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        let mut before = usize::MAX;
        let mut failed = None;
        loop {
            // After a failure: SQLite has no lock for this, and another program that started at the same time may have been faster.
            match (self.schema().await?, failed) {
                (SchemaState::Ahead(found), _) => {
                    return Err(MigrateError::Ahead { found, known: MIGRATIONS.last().map_or(0, |(version, ..)| *version) });
                }
                (SchemaState::Current, Some(_)) => return Ok(()),
                (SchemaState::Behind(missing), Some(cause)) if missing >= before => return Err(MigrateError::Engine(cause)),
                (SchemaState::Behind(missing), _) => before = missing,
                (SchemaState::Current, None) => {}
            }
            let migrator = self.migrator();
            let run = match &self.engine {
                Engine::Sqlite { write, .. } => migrator.run(write).await,
                Engine::Postgres(pool) => migrator.run(pool).await,
            };
            match run {
                Ok(()) => return Ok(()),
                Err(cause @ sqlx::migrate::MigrateError::ExecuteMigration(..)) => failed = Some(cause),
                Err(cause) => return Err(cause.into()),
            }
        }
    }

    fn migrator(&self) -> Migrator {
        let bytes = match self.engine {
            Engine::Sqlite { .. } => "blob",
            Engine::Postgres(_) => "bytea",
        };
        let migrations = MIGRATIONS.iter().map(|(version, name, text)| {
            let text = AssertSqlSafe(text.replace("{bytes}", bytes)).into_sql_str();
            Migration::new(*version, (*name).into(), MigrationType::Simple, text, false)
        });
        Migrator::with_migrations(migrations.collect())
    }
}

/// Looks under the migrations' own lock: two programs that start at once on an empty store would both make the table, and one fail.
async fn applied<C: Migrate>(connection: &mut C, table: &str) -> Result<Vec<i64>, MigrateError> {
    connection.lock().await?;
    let found = async {
        connection.ensure_migrations_table(table).await?;
        connection.list_applied_migrations(table).await
    }
    .await;
    connection.unlock().await?;
    Ok(found?.into_iter().map(|migration| migration.version).collect())
}
