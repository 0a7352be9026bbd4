//! What sources do that nobody asked for: rows of a hundred megabytes, tables that change meanwhile, shut doors, broken files.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use archive::source::Sources;
use archive::write::{Progress, write};
use tokio_util::sync::CancellationToken;
use wire::DataFormat;

use crate::support::{Db, Engine, Made, export, head, order, parse, postgres_is_there};
use crate::three;

fn list(path: &str, query: &str) -> String {
    format!(
        "[[section]]\ncategories = [\"activity\"]\npath = [\"{path}\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"o\"\nquery = '''{query}'''\n"
    )
}

/// A row of a hundred megabytes goes through, between small ones.
async fn a_huge_row(engine: Engine) {
    let repeated = match engine {
        Engine::Sqlite => "replace(hex(zeroblob(5000000)), '0', '0123456789')",
        _ => "repeat('0123456789', 10000000)",
    };
    let kind = if engine == Engine::Mysql { "longtext" } else { "text" };
    let db = Db::new(
        engine,
        &format!("create table t (o bigint, i bigint, w {kind}); insert into t values (1, 1, 'small'), (1, 2, {repeated}), (1, 3, 'last');"),
    )
    .await;
    let catalogue = db.catalogue(&list("L", "select o, w from t where o = :subject order by i"));
    let (made, summary) = db.export(&catalogue, "activity", "1", DataFormat::Json).await.unwrap();
    assert_eq!(summary.sections[0].rows, 3);
    let json = made.json();
    assert_eq!(json.len(), 100_000_000 + r#"{"L":[{"w":"small"},{"w":""},{"w":"last"}]}"#.len());
    assert!(json.ends_with(r#"0123456789"},{"w":"last"}]}"#));
}

/// Some rows that take a while, in each of which nothing is to be seen.
fn many(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => {
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 60000) select :subject as o, i, 'some words' as w from n"
        }
        Engine::Postgres => "select cast(:subject as bigint) as o, i, 'some words' as w from generate_series(1, 60000) i",
        Engine::Mysql => "select cast(:subject as signed) as o, seq as i, 'some words' as w from seq_1_to_60000",
    }
}

/// The operator's own programs change a table while a request is among the rows of another one. The request has the table as it was, or
/// fails and says so; never is a column's value under another's name, or a row without the column.
async fn a_table_that_changes_meanwhile(engine: Engine) {
    for (change, snapshot) in [
        ("alter table t drop column b", "request"),
        ("alter table t drop column b", "section"),
        ("alter table t rename column b to c; alter table t rename column a to b", "request"),
        ("alter table t rename column b to c; alter table t rename column a to b", "section"),
        ("drop table t", "section"),
        ("alter table t add column z bigint default 5", "section"),
    ] {
        let db =
            Db::new(engine, "create table t (o bigint, a varchar(9), b varchar(9)); insert into t values (1, 'of a', 'of b');")
                .await;
        if engine == Engine::Sqlite {
            // Without WAL a writer waits for readers.
            db.run("pragma journal_mode = wal;").await;
        }
        let sections = list("L", many(engine)) + &list("M", "select o, a, b from t where o = :subject");
        let catalogue = db.catalogue_with(&format!("snapshot = \"{snapshot}\""), &sections);
        let sources = Arc::new(db.sources(&catalogue).await);
        // The connection knows the query already.
        export(&catalogue, &sources, "activity", "1", DataFormat::Json).await.unwrap();
        let progress = Arc::new(Progress::default());
        let file = tempfile::NamedTempFile::new().unwrap();
        let making = {
            let (catalogue, sources, progress, out) =
                (catalogue.clone(), sources.clone(), progress.clone(), file.reopen().unwrap());
            tokio::spawn(async move {
                write(catalogue, &sources, order("activity", "1", DataFormat::Json), out, progress, CancellationToken::new())
                    .await
            })
        };
        while progress.rows.load(Ordering::Relaxed) == 0 && !making.is_finished() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        for statement in change.split("; ") {
            db.run(statement).await;
        }
        match making.await.unwrap() {
            Ok(_) => {
                let value = Made { file }.value();
                assert_eq!(value["M"], serde_json::json!([{ "a": "of a", "b": "of b" }]), "{change}, {snapshot}");
            }
            Err(error) => {
                assert!(
                    ["query_failed", "columns_mismatch", "source_down"].contains(&error.reason()),
                    "{change}, {snapshot}: {error}"
                );
                assert!(error.to_string().contains("\"M\""), "{change}, {snapshot}: {error}");
            }
        }
        // What the next request meets is the table as it is.
        let next = export(&catalogue, &sources, "activity", "1", DataFormat::Json).await;
        match (change.contains("add"), next) {
            (true, next) => assert_eq!(next.unwrap().0.value()["M"], serde_json::json!([{ "a": "of a", "b": "of b" }])),
            (false, Err(error)) => assert!(["query_failed", "columns_mismatch"].contains(&error.reason()), "{change}: {error}"),
            (false, Ok((made, _))) => panic!("{change}: served {}", made.value()["M"]),
        }
    }
}

three!(huge_row, super::a_huge_row);
three!(changes, super::a_table_that_changes_meanwhile);

/// Roles that may not sign in, and databases that are none.
#[tokio::test(flavor = "multi_thread")]
async fn postgres_refuses_sign_in() {
    if !postgres_is_there() {
        return;
    }
    let db = Db::new(Engine::Postgres, "create table t (o bigint, w text); insert into t values (1, 'hers');").await;
    let (shut, poor) = (format!("shut_{}", std::process::id()), format!("poor_{}", std::process::id()));
    db.run(&format!("create role {shut} nologin; create role {poor} login;")).await;
    let name = db.url().rsplit('/').next().unwrap().to_owned();
    let as_role = |role: &str| {
        let mut url: url::Url = db.url().parse().unwrap();
        url.set_username(role).unwrap();
        url.set_password(Some("hunter2")).unwrap();
        url.to_string()
    };
    for (url, reason) in [
        (as_role(&shut), "source_down"),
        (as_role("nobody_of_that_name"), "source_down"),
        (db.url().replace(&name, "no_such_database"), "source_down"),
        // It may sign in, and may not read.
        (as_role(&poor), "query_failed"),
    ] {
        let text =
            head(Engine::Postgres, &url, "connect_timeout = \"2 s\"") + &list("L", "select o, w from t where o = :subject");
        let catalogue = Arc::new(parse(&text).unwrap());
        let sources = Sources::open(&catalogue, db.folder.path()).await.unwrap();
        let Err(error) = export(&catalogue, &sources, "activity", "1", DataFormat::Json).await else { panic!("served: {url}") };
        assert_eq!(error.reason(), reason, "{error}");
        assert_eq!(error.retryable(), reason == "source_down", "{error}");
        let told = sources.check(&catalogue).await;
        assert_eq!(told.len(), usize::from(reason == "source_down"), "a right to read is only asked for by reading: {told:?}");
        assert!(!format!("{error} {told:?}").contains("hunter2"), "a password is told: {error} {told:?}");
    }
    db.run(&format!("drop role {shut}; drop role {poor};")).await;
}

/// A folder in a file's place, a file that is no database, one that ends in the middle, one with a page of noise.
#[tokio::test(flavor = "multi_thread")]
async fn sqlite_files_that_are_none() {
    let rows = "create table t (o bigint, w text);
        insert into t with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000) select 1, 'row ' || i from n;";
    let good = Db::new(Engine::Sqlite, rows).await;
    let whole = std::fs::read(good.folder.path().join("data.db")).unwrap();
    let mut noisy = whole.clone();
    let middle = whole.len() / 2 / 4096 * 4096;
    noisy[middle..middle + 4096].fill(0xa5);
    for (what, bytes) in [
        (
            "a page",
            Some(
                b"<!doctype html><html><body>This is a page and no database, long enough for a header of one</body></html>"
                    .to_vec(),
            ),
        ),
        ("half of it", Some(whole[..middle].to_vec())),
        ("noise", Some(noisy)),
        ("a folder", None),
    ] {
        let db = Db::new(Engine::Sqlite, "create table t (o bigint, w text);").await;
        let catalogue = db.catalogue(&list("L", "select o, w from t where o = :subject"));
        let path = db.folder.path().join("data.db");
        std::fs::remove_file(&path).unwrap();
        match bytes {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::create_dir(&path).unwrap(),
        }
        let Err(error) = db.export(&catalogue, "activity", "1", DataFormat::Json).await else { panic!("served: {what}") };
        assert_eq!((error.reason(), error.retryable()), ("source_down", true), "{what}: {error}");
        assert!(error.to_string().contains("source `db`"), "{what}: {error}");
    }
}

/// A PostgreSQL database that promises no encoding holds bytes that are none: the server itself refuses to send them.
#[tokio::test(flavor = "multi_thread")]
async fn invalid_utf8_in_postgres() {
    if !postgres_is_there() {
        return;
    }
    let db = Db::new(Engine::Postgres, "create table unused (o bigint);").await;
    let name = format!("ascii_{}", std::process::id());
    db.run(&format!("create database {name} encoding 'SQL_ASCII' template template0 lc_collate 'C' lc_ctype 'C'")).await;
    let base = db.url().rsplit_once('/').unwrap().0.to_owned();
    let url = format!("{base}/{name}");
    {
        use sqlx::{Connection, Executor};
        let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
        let rows = "create table t (o bigint, w text); insert into t values (1, E'a\\xffb'), (1, 'fine'), (1, E'\\xc3')";
        connection.execute(sqlx::raw_sql(rows)).await.unwrap();
        connection.close().await.unwrap();
    }
    let text = head(Engine::Postgres, &url, "") + &list("L", "select o, w from t where o = :subject order by w");
    let catalogue = Arc::new(parse(&text).unwrap());
    let sources = Sources::open(&catalogue, db.folder.path()).await.unwrap();
    let made = export(&catalogue, &sources, "activity", "1", DataFormat::Json).await;
    drop(sources);
    let Err(error) = made else { panic!("served") };
    assert!(error.reason() == "query_failed" && error.to_string().contains("22021"), "{error}");
    db.run(&format!("drop database {name} with (force)")).await;
}
