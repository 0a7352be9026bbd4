//! The store itself: its schema, and what a transaction that is not committed leaves.

use platform::Db;
use platform::db::{MigrateError, OpenError, SchemaState};

use crate::db_test;
use crate::support::{Engine, World};

/// An empty store, and what must live as long as it.
async fn empty(engine: Engine) -> (String, tempfile::TempDir, Option<testkit::postgres::Database>) {
    let folder = tempfile::tempdir().unwrap();
    let database = (engine == Engine::Postgres).then(|| testkit::postgres::database().unwrap());
    let url = match &database {
        Some(database) => database.url().to_owned(),
        None => format!("sqlite:{}", folder.path().join("store.db").display()),
    };
    (url, folder, database)
}

db_test! {
    async fn a_fresh_store_is_migrated_once(engine) {
        let (url, _folder, _database) = empty(engine).await;
        let db = Db::open(&url, 4).await.unwrap();
        assert_eq!(db.engine(), if engine == Engine::Sqlite { "sqlite" } else { "postgres" });
        assert_eq!(db.schema().await.unwrap(), SchemaState::Behind(6));
        db.migrate().await.unwrap();
        assert_eq!(db.schema().await.unwrap(), SchemaState::Current);
        db.migrate().await.unwrap();
        assert_eq!(db.schema().await.unwrap(), SchemaState::Current);
        db.close().await;
        let again = Db::open(&url, 1).await.unwrap();
        assert_eq!(again.schema().await.unwrap(), SchemaState::Current);
    }
}

db_test! {
    async fn two_that_start_at_once_migrate_it_once(engine) {
        let (url, _folder, _database) = empty(engine).await;
        let (one, two) = tokio::join!(Db::open(&url, 2), Db::open(&url, 2));
        let (one, two) = (one.unwrap(), two.unwrap());
        let (first, second) = tokio::join!(one.migrate(), two.migrate());
        first.unwrap();
        second.unwrap();
        assert_eq!(one.schema().await.unwrap(), SchemaState::Current);
    }
}

db_test! {
    async fn a_newer_schema_is_not_touched(engine) {
        let w = World::new(engine).await;
        w.execute(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
             select 9, 'later', success, checksum, 0 from _sqlx_migrations where version = 1",
        )
        .await;
        let db = Db::open(w.store_url(), 2).await.unwrap();
        assert_eq!(db.schema().await.unwrap(), SchemaState::Ahead(9));
        let refused = db.migrate().await.unwrap_err();
        assert!(matches!(refused, MigrateError::Ahead { found: 9, known: 6 }), "{refused}");
    }
}

db_test! {
    async fn a_migration_that_was_changed_after_it_ran_is_noticed(engine) {
        let w = World::new(engine).await;
        w.execute("update _sqlx_migrations set checksum = checksum").await;
        w.platform.db.migrate().await.unwrap();
        let other = if w.is_postgres() { "'\\x00'::bytea" } else { "x'00'" };
        w.execute(format!("update _sqlx_migrations set checksum = {other}")).await;
        assert!(matches!(w.platform.db.migrate().await, Err(MigrateError::Engine(_))));
    }
}

db_test! {
    async fn what_is_not_committed_never_was(engine) {
        let w = World::new(engine).await;
        let mut tx = w.platform.db.begin().await.unwrap();
        platform::audit::Entry::new(platform::audit::Actor::System, "never.was").write(&mut tx, &w.platform.random, w.platform.now()).await.unwrap();
        drop(tx);
        assert_eq!(w.number("select count(*) from audit where action = 'never.was'").await, 0);
        // And the next writer is not held up.
        w.execute("delete from sessions").await;
    }
}

#[test]
fn an_address_of_another_engine_is_refused() {
    crate::support::run(async {
        for url in ["", "mysql://localhost/x", "store.db", "postgres:/x"] {
            assert!(matches!(Db::open(url, 1).await, Err(OpenError::Unknown)), "{url}");
        }
        let nowhere = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}/no/such/folder/store.db", nowhere.path().display());
        assert!(matches!(Db::open(&url, 1).await, Err(OpenError::Engine(_))));
    });
}
