//! Connections that serve one person after another: nothing of the one before is left for the next.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use archive::source::Sources;
use archive::write::{Progress, write};
use tokio_util::sync::CancellationToken;
use wire::DataFormat;

use crate::support::{Db, Engine, export, mysql_is_there, order, postgres_is_there};
use crate::three;

fn list(categories: &str, path: &str, query: &str) -> String {
    format!(
        "[[section]]\ncategories = [{categories}]\npath = [\"{path}\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"o\"\nquery = '''{query}'''\n"
    )
}

/// So many rows of two people, and hundreds of kilobytes of them.
const ROWS: i64 = 30_000;

async fn two_people(engine: Engine) -> Db {
    let numbers = match engine {
        Engine::Sqlite => {
            format!("with recursive n(i) as (select 1 union all select i + 1 from n where i < {ROWS}) select {{}} from n")
        }
        Engine::Postgres => format!("select {{}} from generate_series(1, {ROWS}) i"),
        Engine::Mysql => format!("select {{}} from (select seq as i from seq_1_to_{ROWS}) n"),
    };
    let rows = |who: i64, words: &str| format!("insert into t {};", numbers.replace("{}", &format!("{who}, i, '{words}'")));
    let text = "create table t (o bigint, i bigint, w varchar(40)); ".to_owned()
        + &rows(1, "what she wrote to her friends")
        + &rows(2, "what he wrote to his friends");
    Db::new(engine, &text).await
}

/// The one connection is given up among the rows of the first person, again and again, each time somewhere else: the second one's
/// archive has all that is theirs, and nothing more.
async fn broken_off_in_mid_stream(engine: Engine) {
    let db = two_people(engine).await;
    let own = "select o, i, w from t where o = :subject order by i";
    // The first person's query runs into somebody else's rows, and ends there.
    let foreign = "select o, i, w from t where o = :subject or i > 20000 order by i, o";
    let text = list("\"activity\"", "L", own) + &list("", "M", foreign);
    for snapshot in ["request", "none"] {
        let catalogue = db.catalogue_with(&format!("snapshot = \"{snapshot}\"\nmax_concurrent = 1"), &text);
        let sources = Arc::new(db.sources(&catalogue).await);
        for round in 0..6 {
            let (progress, cancel) = (Arc::new(Progress::default()), CancellationToken::new());
            if round % 3 == 2 {
                let Err(error) = export(&catalogue, &sources, "all_data", "1", DataFormat::Json).await else { panic!("served") };
                assert_eq!(error.reason(), "owner_mismatch", "{error}");
            } else {
                let order = order("activity", "1", DataFormat::Json);
                let file = tempfile::tempfile().unwrap();
                let (catalogue, sources) = (catalogue.clone(), sources.clone());
                let making = {
                    let (progress, cancel) = (progress.clone(), cancel.clone());
                    tokio::spawn(async move { write(catalogue, &sources, order, file, progress, cancel).await })
                };
                while progress.rows.load(Ordering::Relaxed) <= round * 4_000 && !making.is_finished() {
                    tokio::task::yield_now().await;
                }
                // Cancelled as a person who withdraws does it; or nobody waits any more, as when the server stops.
                if round % 3 == 0 {
                    cancel.cancel()
                } else {
                    making.abort()
                }
                let _ = making.await;
            }
            let (made, summary) = export(&catalogue, &sources, "activity", "2", DataFormat::Json).await.unwrap();
            assert_eq!(summary.sections[0].rows, ROWS as u64, "{snapshot}, round {round}");
            let json = made.json();
            assert!(!json.contains("her friends"), "{snapshot}, round {round}");
            assert_eq!(json.matches("his friends").count(), ROWS as usize);
        }
    }
}

three!(broken_off, super::broken_off_in_mid_stream);

/// A query of the operator's that leaves something behind in its session, and another that relies on it: the person before must not be
/// served to the next one, whoever wrote such a catalogue.
async fn what_a_session_remembers(engine: Engine) {
    let db = Db::new(
        engine,
        "create table t (o bigint, w varchar(40)); insert into t values (1, 'hers'), (2, 'his'), (3, 'another''s');",
    )
    .await;
    let (remember, recall) = match engine {
        Engine::Postgres => ("set_config('shop.person', o::text, false)", "current_setting('shop.person')::bigint"),
        _ => {
            db.run("create function remember(who bigint) returns bigint begin set @who = who; return who; end").await;
            db.run("create function recall() returns bigint return @who").await;
            ("remember(o)", "recall()")
        }
    };
    let text = list("", "A", &format!("select o, {remember} as p from t where o = :subject"))
        + &list("\"activity\"", "B", &format!("select o, w from t where o = {recall} and :subject > 0"));
    let catalogue = db.catalogue_with("max_concurrent = 1", &text);
    let sources = Sources::open(&catalogue, db.folder.path()).await.unwrap();
    let (made, _) = export(&catalogue, &sources, "all_data", "1", DataFormat::Json).await.unwrap();
    assert_eq!(made.value()["B"][0]["w"], "hers");
    for other in ["2", "3"] {
        // Whose connection ended in an error gets a new one, which remembers nobody; PostgreSQL's forget with their transaction.
        match export(&catalogue, &sources, "activity", other, DataFormat::Json).await {
            Ok((made, _)) => assert_eq!(made.json(), r#"{"B":[]}"#),
            Err(error) => {
                assert!(["owner_mismatch", "query_failed"].contains(&error.reason()), "{error}");
                assert!(!error.to_string().contains("hers"), "{error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_postgres_session_remembers() {
    if postgres_is_there() {
        what_a_session_remembers(Engine::Postgres).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_mysql_session_remembers() {
    if mysql_is_there() {
        what_a_session_remembers(Engine::Mysql).await;
    }
}

/// SQLite's sessions remember nothing; what can be mixed up there is the file: somebody else's takes the place of one that is being read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_file_under_the_same_name() {
    let mine = Db::new(Engine::Sqlite, "create table t (o bigint, w text); insert into t values (1, 'hers');").await;
    let other = Db::new(Engine::Sqlite, "create table t (o bigint, w text); insert into t values (9, 'his');").await;
    // Without a condition on the person it would serve whatever the file holds.
    let catalogue = mine.catalogue(&list("\"activity\"", "L", "select o, w from t where :subject > 0"));
    let sources = mine.sources(&catalogue).await;
    let (made, _) = export(&catalogue, &sources, "activity", "1", DataFormat::Json).await.unwrap();
    assert_eq!(made.json(), r#"{"L":[{"w":"hers"}]}"#);
    std::fs::rename(other.folder.path().join("data.db"), mine.folder.path().join("data.db")).unwrap();
    let Err(error) = export(&catalogue, &sources, "activity", "1", DataFormat::Json).await else { panic!("served") };
    assert_eq!(error.reason(), "owner_mismatch", "{error}");
}
