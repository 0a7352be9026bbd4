//! Sources that are down, slow or dying, requests that are cancelled, and disks that are full.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use archive::catalogue::Catalogue;
use archive::source::Sources;
use archive::write::{ExportError, Failure, Progress, Summary, write};
use tokio_util::sync::CancellationToken;
use wire::DataFormat;

use crate::support::{Db, Engine, export, head, order, parse};
use crate::three;

fn list(query: &str) -> String {
    format!(
        "[[section]]\ncategories = [\"activity\"]\npath = [\"L\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"o\"\nquery = '''{query}'''\n"
    )
}

/// Some four hundred thousand rows that no table holds.
fn many(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => {
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 400000) select :subject as o, i, 'some words to fill the row' as w from n"
        }
        Engine::Postgres => {
            "select cast(:subject as bigint) as o, i, 'some words to fill the row' as w from generate_series(1, 400000) i"
        }
        Engine::Mysql => "select cast(:subject as signed) as o, seq as i, 'some words to fill the row' as w from seq_1_to_400000",
    }
}

/// A query that takes a minute before its first row.
fn slow(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => {
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000000000) select :subject as o, count(*) as c from n"
        }
        Engine::Postgres => "select cast(:subject as bigint) as o, pg_sleep(60)::text as c",
        Engine::Mysql => "select cast(:subject as signed) as o, sleep(60) as c",
    }
}

/// A write on a task of its own, so that the test's own awaits do not share its time.
fn spawned(
    catalogue: Arc<Catalogue>,
    sources: Arc<Sources>,
    progress: Arc<Progress>,
) -> tokio::task::JoinHandle<Result<Summary, ExportError>> {
    tokio::spawn(async move {
        write(
            catalogue,
            &sources,
            order("activity", "1", DataFormat::Json),
            tempfile::tempfile().unwrap(),
            progress,
            CancellationToken::new(),
        )
        .await
    })
}

async fn a_source_that_is_down(engine: Engine) {
    let folder = tempfile::tempdir().unwrap();
    let url = match engine {
        Engine::Sqlite => "sqlite:missing/data.db",
        Engine::Postgres => "postgres://nobody@127.0.0.1:1/none",
        Engine::Mysql => "mysql://nobody@127.0.0.1:1/none",
    };
    let text = head(engine, url, "connect_timeout = \"500 ms\"") + &list("select o from t where o = :subject");
    let catalogue = Arc::new(parse(&text).unwrap());
    // Opening succeeds: a source that is down at start does not stop the server.
    let sources = Sources::open(&catalogue, folder.path()).await.unwrap();
    let Err(error) = export(&catalogue, &sources, "activity", "1", DataFormat::Json).await else { panic!("served") };
    assert_eq!((error.reason(), error.retryable()), ("source_down", true), "{error}");
    assert!(error.to_string().contains("source `db`"), "{error}");
    let faults = sources.check(&catalogue).await;
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].to_string().starts_with("catalog.toml:8: source `db`: the source is down"), "{}", faults[0]);
}

async fn what_is_missing_is_named(engine: Engine) {
    let db = Db::new(engine, "create table t (o bigint, a text);").await;
    for (section, words) in [
        (list("select o from nowhere where o = :subject"), "nowhere"),
        (list("select o, colour from t where o = :subject"), "colour"),
        (list("select a from t where o = :subject"), "no column `o`, which the section names as owner"),
        (list("select o from t where o = :subject"), "no column to write"),
        (list("select o, a, a from t where o = :subject"), "two columns are named `a`"),
        (
            list("select o, a from t where o = :subject").replace("owner =", "hidden = [\"A\"]\nowner ="),
            "no column `A`, which the section names as hidden",
        ),
        (list("select o, a from t where o = :subject").replace("owner =", "key = [\"id\"]\nowner ="), "part of its key"),
        (
            list("select o, a from t where o = :subject").replace("owner =", "text_line = \"{b}\"\nowner ="),
            "part of its text_line",
        ),
        (list("select o, a from t where o = :subject") + "[section.fields]\nb = { type = \"string\" }\n", "names as a field"),
        (list("select o, a, 1 as b from t where o = :subject").replace("\"list\"", "\"value\""), "a value has one column"),
    ] {
        let catalogue = db.catalogue(&section);
        let sources = db.sources(&catalogue).await;
        let faults = sources.check(&catalogue).await;
        assert!(faults.iter().any(|fault| fault.to_string().contains(words) && fault.line.is_some()), "{words}: {faults:?}");
        let Err(error) = export(&catalogue, &sources, "activity", "1", DataFormat::Json).await else { panic!("served: {words}") };
        assert!(["query_failed", "columns_mismatch"].contains(&error.reason()), "{error}");
        assert!(!error.retryable(), "another attempt would find it missing too: {error}");
    }
}

async fn nothing_can_be_written(engine: Engine) {
    let db = Db::new(engine, "create table t (o bigint); insert into t values (1);").await;
    let writing = match engine {
        // It passes the look at its first word; the engine is what stops it.
        Engine::Sqlite => "with x as (select 1) insert into t select :subject from x returning o, o as p",
        Engine::Postgres => "with x as (delete from t where o = :subject returning o) select o, o as p from x",
        Engine::Mysql => "select o, erase(:subject) as p from t where o = :subject",
    };
    if engine == Engine::Mysql {
        db.run("create function erase(who bigint) returns bigint begin delete from t where o = who; return 1; end").await;
    }
    let catalogue = db.catalogue(&list(writing));
    let Err(error) = db.export(&catalogue, "activity", "1", DataFormat::Json).await else { panic!("written") };
    assert_eq!(error.reason(), "query_failed", "{error}");
    let (_, summary) = db
        .export(&db.catalogue(&list("select o, o as p from t where o = :subject")), "activity", "1", DataFormat::Json)
        .await
        .unwrap();
    assert_eq!(summary.sections[0].rows, 1);
}

async fn a_slow_query_ends_at_its_limit(engine: Engine) {
    let db = Db::new(engine, "create table t (o bigint);").await;
    let catalogue = db.catalogue_with("statement_timeout = \"300 ms\"", &list(slow(engine)));
    let result = tokio::time::timeout(Duration::from_secs(20), db.export(&catalogue, "activity", "1", DataFormat::Json)).await;
    let Err(error) = result.expect("it went on") else { panic!("served") };
    assert!(matches!(&error, ExportError::Section { failure: Failure::Timeout("statement_timeout"), .. }), "{error}");
    assert_eq!((error.reason(), error.retryable()), ("timeout", true));
    let catalogue = db.catalogue_with("max_snapshot = \"300 ms\"", &list(slow(engine)));
    let Err(error) = db.export(&catalogue, "activity", "1", DataFormat::Json).await else { panic!("served") };
    assert!(matches!(&error, ExportError::Section { failure: Failure::Timeout("max_snapshot"), .. }), "{error}");
}

/// Cancelled before the first row, or among the rows: it ends at once, and the source is free for the next.
async fn cancellation_is_seen_everywhere(engine: Engine) {
    let db = Db::new(engine, "create table t (o bigint);").await;
    for query in [slow(engine), many(engine)] {
        let catalogue = db.catalogue_with("max_concurrent = 1", &list(query));
        let sources = db.sources(&catalogue).await;
        let (progress, cancel) = (Arc::new(Progress::default()), CancellationToken::new());
        let file = tempfile::tempfile().unwrap();
        let watch = {
            let (progress, cancel) = (progress.clone(), cancel.clone());
            let among_rows = query == many(engine);
            tokio::spawn(async move {
                while among_rows && progress.rows.load(Ordering::Relaxed) == 0 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                tokio::time::sleep(Duration::from_millis(if among_rows { 0 } else { 300 })).await;
                cancel.cancel();
            })
        };
        let result = tokio::time::timeout(
            Duration::from_secs(20),
            write(catalogue.clone(), &sources, order("activity", "1", DataFormat::Json), file, progress.clone(), cancel),
        )
        .await
        .expect("it went on");
        watch.await.unwrap();
        let error = result.expect_err("it was not cancelled");
        assert_eq!((error.reason(), error.retryable()), ("cancelled", false), "{error}");
        // The one turn is free again: work that nobody waits for has stopped.
        let other = list("select o from t where o = :subject").replace("select o", "select o, o as p");
        let next = Arc::new(parse(&(head(engine, db.url(), "max_concurrent = 1") + &other)).unwrap());
        tokio::time::timeout(Duration::from_secs(20), export(&next, &sources, "activity", "1", DataFormat::Json))
            .await
            .expect("the turn is still taken")
            .unwrap();
    }
}

/// A request that waits for its turn can be cancelled too, and `max_concurrent` is kept.
async fn turns_are_counted(engine: Engine) {
    let db = Db::new(engine, "create table t (o bigint);").await;
    let catalogue = db.catalogue_with("max_concurrent = 1\nstatement_timeout = \"2 s\"", &list(slow(engine)));
    let sources = Arc::new(db.sources(&catalogue).await);
    let first = {
        let (catalogue, sources) = (catalogue.clone(), sources.clone());
        tokio::spawn(async move { export(&catalogue, &sources, "activity", "1", DataFormat::Json).await.map(|_| ()) })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    let cancel = CancellationToken::new();
    let waiting = write(
        catalogue.clone(),
        &sources,
        order("activity", "1", DataFormat::Json),
        tempfile::tempfile().unwrap(),
        Arc::default(),
        cancel.clone(),
    );
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut waiting).await.is_err(), "two turns at once");
    cancel.cancel();
    assert_eq!(waiting.await.unwrap_err().reason(), "cancelled");
    assert_eq!(first.await.unwrap().unwrap_err().reason(), "timeout");
}

/// A request sees one moment of its source: what is written meanwhile is not in it.
async fn a_request_reads_one_snapshot(engine: Engine) {
    let db = Db::new(engine, "create table t (o bigint, n bigint); insert into t values (1, 1);").await;
    if engine == Engine::Sqlite {
        // Without WAL a writer waits for readers.
        db.run("pragma journal_mode = wal;").await;
    }
    let sections = list(many(engine)) + &list("select o, n from t where o = :subject").replace("\"L\"", "\"M\"");
    for (snapshot, wanted) in [("request", 1), ("section", 2)] {
        db.run("delete from t where n > 1;").await;
        let catalogue: Arc<Catalogue> = db.catalogue_with(&format!("snapshot = \"{snapshot}\""), &sections);
        let sources = Arc::new(db.sources(&catalogue).await);
        let progress = Arc::new(Progress::default());
        let watch = async {
            while progress.rows.load(Ordering::Relaxed) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            db.run("insert into t values (1, 2);").await;
        };
        let made = spawned(catalogue, sources, progress.clone());
        watch.await;
        assert_eq!(made.await.unwrap().unwrap().sections[1].rows, wanted, "{snapshot}");
    }
}

/// An operator who puts a new file in the old one's place is read from the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_replaced_is_noticed() {
    let db = Db::new(Engine::Sqlite, "create table t (o bigint, n bigint); insert into t values (1, 1);").await;
    let catalogue = db.catalogue(&list("select o, n from t where o = :subject"));
    let sources = db.sources(&catalogue).await;
    let (made, _) = export(&catalogue, &sources, "activity", "1", DataFormat::Json).await.unwrap();
    assert_eq!(made.json(), r#"{"L":[{"n":1}]}"#);
    let new = Db::new(Engine::Sqlite, "create table t (o bigint, n bigint); insert into t values (1, 2);").await;
    std::fs::rename(new.folder.path().join("data.db"), db.folder.path().join("data.db")).unwrap();
    let (made, _) = export(&catalogue, &sources, "activity", "1", DataFormat::Json).await.unwrap();
    assert_eq!(made.json(), r#"{"L":[{"n":2}]}"#);
}

/// `/dev/full` takes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told() {
    let db = Db::new(Engine::Sqlite, "create table t (o bigint);").await;
    let catalogue = db.catalogue(&list(many(Engine::Sqlite)));
    let sources = db.sources(&catalogue).await;
    let file = File::options().write(true).open("/dev/full").unwrap();
    let error =
        write(catalogue, &sources, order("activity", "1", DataFormat::Json), file, Arc::default(), CancellationToken::new())
            .await
            .unwrap_err();
    assert_eq!((error.reason(), error.retryable()), ("disk_full", true), "{error}");
}

async fn rows_that_do_not_make_the_shape(engine: Engine) {
    let db = Db::new(
        engine,
        "create table t (o bigint, g text, n bigint); insert into t values (1, 'a', 1), (1, 'b', 2), (1, 'a', 3), (2, null, 1);",
    )
    .await;
    for (shape, subject, words) in [
        ("\"groups\"\ngroup = \"g\"", "1", "came again"),
        ("\"map\"\ngroup = \"g\"", "1", "came again"),
        ("\"groups\"\ngroup = \"g\"", "2", "group is null"),
        ("\"object\"", "1", "a second row for an object"),
    ] {
        let section = list("select o, g, n from t where o = :subject order by n").replace("\"list\"", shape);
        for format in [DataFormat::Json, DataFormat::Text] {
            let Err(error) = db.export(&db.catalogue(&section), "activity", subject, format).await else {
                panic!("served: {words}")
            };
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!((error.reason(), error.retryable()), ("shape_mismatch", false));
        }
    }
    let section = list("select o, n from t where o = :subject").replace("\"list\"", "\"value\"");
    let Err(error) = db.export(&db.catalogue(&section), "activity", "1", DataFormat::Json).await else { panic!("served") };
    assert!(error.to_string().contains("a second row for a value"), "{error}");
}

three!(down, super::a_source_that_is_down);
three!(missing, super::what_is_missing_is_named);
three!(read_only, super::nothing_can_be_written);
three!(limits, super::a_slow_query_ends_at_its_limit);
three!(cancelled, super::cancellation_is_seen_everywhere);
three!(turns, super::turns_are_counted);
three!(snapshots, super::a_request_reads_one_snapshot);
three!(shapes, super::rows_that_do_not_make_the_shape);
