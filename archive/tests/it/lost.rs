//! Connections that are lost in mid-stream: the rows are read again, and none comes twice or is missing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use archive::catalogue::Catalogue;
use archive::source::Sources;
use archive::write::{ExportError, Failure, Format, Progress, write};
use tokio_util::sync::CancellationToken;
use wire::DataFormat;

use crate::proxy::{Plan, Proxy};
use crate::support::{Db, Engine, Made, export, head, mysql_is_there, order, parse, postgres_is_there};

const ROWS: usize = 40_000;

fn plan(cuts: usize, after: i64) -> Plan {
    let plan = Plan::default();
    plan.cuts.store(cuts, Ordering::Relaxed);
    plan.after.store(after, Ordering::Relaxed);
    plan
}

fn sections(query: &str) -> String {
    let section = |path: &str, query: &str| {
        format!(
            "[[section]]\ncategories = [\"activity\"]\npath = [\"{path}\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"o\"\nquery = '''{query}'''\n"
        )
    };
    section("Small", "select o, i from t where o = :subject and i < 3 order by i") + &section("Large", query)
}

async fn database(engine: Engine) -> Db {
    let numbers = match engine {
        Engine::Postgres => format!("select 1, i, md5(i::text) from generate_series(1, {ROWS}) i"),
        _ => format!("select 1, seq, md5(seq) from seq_1_to_{ROWS}"),
    };
    Db::new(engine, &format!("create table t (o bigint, i bigint primary key, w text); insert into t {numbers};")).await
}

async fn over(proxy: &Proxy, db: &Db, snapshot: &str, query: &str) -> (Arc<Catalogue>, Sources) {
    let text =
        head(db.engine, &proxy.url(db.url()), &format!("snapshot = \"{snapshot}\"\nmax_concurrent = 1")) + &sections(query);
    let catalogue = Arc::new(parse(&text).unwrap());
    let sources = Sources::open(&catalogue, db.folder.path()).await.unwrap();
    (catalogue, sources)
}

/// However often it was cut, the archive is the one that an unbroken connection gives.
async fn rows_come_once(engine: Engine) {
    let db = database(engine).await;
    let query = "select o, i, w from t where o = :subject order by i";
    for format in Format::ALL {
        let quiet = Proxy::before(db.url(), plan(0, 0)).await;
        let (catalogue, sources) = over(&quiet, &db, "request", query).await;
        let (whole, _) = export(&catalogue, &sources, "activity", "1", format).await.unwrap();
        for (snapshot, cuts) in [("request", 2), ("section", 3), ("none", 3)] {
            let proxy = Proxy::before(db.url(), plan(cuts, 900_000)).await;
            let (catalogue, sources) = over(&proxy, &db, snapshot, query).await;
            // The helper compares the progress with what was made.
            let (made, summary) = export(&catalogue, &sources, "activity", "1", format).await.unwrap();
            assert_eq!(proxy.plan.cuts.load(Ordering::Relaxed), 0, "nothing was cut");
            assert_eq!(proxy.plan.seen.load(Ordering::Relaxed), cuts + 1, "{snapshot}");
            assert_eq!(summary.sections[1].rows, ROWS as u64);
            assert!(made.members() == whole.members(), "{snapshot}: another archive");
        }
    }
}

/// Somebody who is always cut gets an error that another attempt may mend, and nothing else.
async fn it_gives_up(engine: Engine) {
    let db = database(engine).await;
    for (snapshot, connections) in [("request", 3), ("section", 4)] {
        let proxy = Proxy::before(db.url(), plan(1_000, 900_000)).await;
        let (catalogue, sources) = over(&proxy, &db, snapshot, "select o, i, w from t where o = :subject order by i").await;
        let Err(error) = export(&catalogue, &sources, "activity", "1", DataFormat::Json).await else { panic!("served") };
        assert_eq!((error.reason(), error.retryable()), ("source_down", true), "{error}");
        assert_eq!(proxy.plan.seen.load(Ordering::Relaxed), connections, "{snapshot}");
        // Its turn is free again.
        assert_eq!(proxy.plan.cuts.swap(0, Ordering::Relaxed) + connections, 1_000);
        tokio::time::timeout(std::time::Duration::from_secs(60), export(&catalogue, &sources, "activity", "1", DataFormat::Json))
            .await
            .expect("the turn is still taken")
            .unwrap();
    }
}

/// Rows that are others on the second reading are not glued to those of the first.
async fn changed_rows_are_not_mixed(engine: Engine) {
    let db = database(engine).await;
    for change in ["update t set w = 'other' where i = 10", "delete from t where i > 100"] {
        let proxy = Proxy::before(db.url(), plan(1, 900_000)).await;
        let (catalogue, sources) = over(&proxy, &db, "section", "select o, i, w from t where o = :subject order by i").await;
        proxy.plan.closing.store(true, Ordering::Relaxed);
        let making = write(
            catalogue,
            &sources,
            order("activity", "1", DataFormat::Json),
            tempfile::tempfile().unwrap(),
            Arc::default(),
            CancellationToken::new(),
        );
        // The change falls between the cut and the second reading.
        let changing = async {
            while !proxy.plan.closed.load(Ordering::Relaxed) {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            db.run(change).await;
            proxy.plan.closed.store(false, Ordering::Relaxed);
        };
        let (made, ()) = tokio::join!(making, changing);
        let error = made.expect_err("rows of two moments in one section");
        assert!(
            matches!(&error, ExportError::Section { failure: Failure::Broken(words), .. } if words.contains("changed")),
            "{error}"
        );
        assert!(error.retryable());
    }
}

/// Two connections that get each other's answers: neither person is served.
async fn mixed_up_connections_serve_nothing(engine: Engine) {
    let db =
        Db::new(engine, "create table t (o bigint, i bigint, w text); insert into t values (1, 1, 'hers'), (2, 2, 'his');").await;
    let proxy = Proxy::before(db.url(), plan(0, 0)).await;
    let section = "[[section]]\ncategories = [\"activity\"]\npath = [\"L\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"o\"\nquery = '''select o, i, w from t where o = :subject'''\n";
    let slow = match engine {
        Engine::Postgres => "select o, i, w, pg_sleep(0.5)::text as s from t where o = :subject",
        _ => "select o, i, w, sleep(0.5) as s from t where o = :subject",
    };
    // Without TLS, which would find the mixing out by itself.
    let glue = if engine == Engine::Postgres { "?sslmode=disable" } else { "?ssl-mode=DISABLED" };
    let url = proxy.url(db.url()) + glue;
    let settings = "snapshot = \"none\"\nmax_concurrent = 2\nstatement_timeout = \"10 s\"";
    let catalogue = Arc::new(
        parse(
            &(head(engine, &url, settings)
                + section
                + &section
                    .replace("\"L\"", "\"S\"")
                    .replace("\"activity\"", "")
                    .replace("select o, i, w from t where o = :subject", slow)),
        )
        .unwrap(),
    );
    let sources = Sources::open(&catalogue, db.folder.path()).await.unwrap();
    let both = async |category: &str| {
        tokio::join!(
            export(&catalogue, &sources, category, "1", DataFormat::Json),
            export(&catalogue, &sources, category, "2", DataFormat::Json)
        )
    };
    // Both connections are made and have prepared everything: from here on their talk has one form.
    for _ in 0..2 {
        let (one, two) = both("all_data").await;
        assert!(one.unwrap().0.json().contains("hers") && two.unwrap().0.json().contains("his"));
    }
    assert_eq!(proxy.plan.seen.load(Ordering::Relaxed), 2);
    // Each gets the other's rows, and nothing else is amiss.
    *proxy.plan.exchanged.lock().unwrap() = vec!["hers", "his"];
    let (one, two) = both("activity").await;
    for made in [one, two] {
        let error = made.map(|(made, _)| made.json()).expect_err("served");
        assert_eq!(error.reason(), "owner_mismatch", "{error}");
    }
    assert_eq!(proxy.plan.exchanges.load(Ordering::Relaxed), 2);
    proxy.plan.exchanged.lock().unwrap().clear();
    // Each gets whatever comes for the other: half an answer, none, that of another question. Whom it was no answer to begins anew on
    // a connection that this does not reach, and may be served what is theirs; nobody is served anything else.
    for _ in 0..4 {
        let first = proxy.plan.seen.load(Ordering::Relaxed);
        for _ in 0..2 {
            let (one, two) = both("all_data").await;
            assert!(one.unwrap().0.json().contains("hers") && two.unwrap().0.json().contains("his"));
        }
        let seen = proxy.plan.seen.load(Ordering::Relaxed);
        // Pairs are of an even number and the next one; others are left alone.
        let paired = first % 2 == 0 && seen == first + 2;
        proxy.plan.swapped.store(true, Ordering::Relaxed);
        let (one, two) = both("activity").await;
        proxy.plan.swapped.store(false, Ordering::Relaxed);
        let anew = proxy.plan.seen.load(Ordering::Relaxed) > seen;
        for (made, own, other) in [(one, "hers", "his"), (two, "his", "hers")] {
            let Ok((made, _)) = made else { continue };
            let json = made.json();
            assert!(json.contains(own) && !json.contains(other), "{json}");
            assert!(anew || !paired, "served over a connection that was mixed up: {json}");
        }
    }
}

/// A server that ends our sessions, rather than a network that does.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_in_mid_stream() {
    if !postgres_is_there() {
        return;
    }
    let db = Db::new(Engine::Postgres, "create table t (o bigint, i bigint);").await;
    // Each row takes a moment, so that there is a middle.
    let query = "select cast(:subject as bigint) as o, i, case when i % 4000 = 0 then pg_sleep(0.02)::text end as w from generate_series(1, 400000) i";
    let catalogue = db.catalogue(&sections(query));
    let sources = Arc::new(db.sources(&catalogue).await);
    for kills in [1, 3] {
        let progress = Arc::new(Progress::default());
        let killed = AtomicUsize::new(0);
        let file = tempfile::NamedTempFile::new().unwrap();
        // A task of its own: rows that are always there would leave the killing no share of this one's time.
        let mut making = tokio::spawn({
            let (catalogue, sources, out, progress) =
                (catalogue.clone(), sources.clone(), file.reopen().unwrap(), progress.clone());
            async move {
                write(catalogue, &sources, order("activity", "1", DataFormat::Json), out, progress, CancellationToken::new())
                    .await
            }
        });
        let killing = async {
            while killed.load(Ordering::Relaxed) < kills {
                if progress.rows.load(Ordering::Relaxed) > 0 {
                    db.run("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'portward' and datname = current_database()").await;
                    killed.fetch_add(1, Ordering::Relaxed);
                    // The next attempt counts from nothing.
                    while killed.load(Ordering::Relaxed) < kills && progress.rows.load(Ordering::Relaxed) > 0 {
                        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                    }
                }
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        let made = tokio::select! {
            made = &mut making => made,
            () = killing => making.await,
        };
        let made = made.unwrap();
        if kills == 1 {
            assert_eq!(made.unwrap().sections[1].rows, 400_000);
            let value = Made { file }.value();
            assert_eq!(value["Large"].as_array().unwrap().len(), 400_000);
            assert_eq!(value["Large"][399_999]["i"], 400_000);
        } else {
            let error = made.expect_err("it was served, cut short");
            assert_eq!((error.reason(), error.retryable()), ("source_down", true), "{error}");
        }
    }
}

macro_rules! servers {
    ($($name:ident: $body:ident),* $(,)?) => { $(
        mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn postgres() {
                if postgres_is_there() {
                    $body(Engine::Postgres).await;
                }
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn mysql() {
                if mysql_is_there() {
                    $body(Engine::Mysql).await;
                }
            }
        }
    )* };
}

servers!(once: rows_come_once, gives_up: it_gives_up, changed: changed_rows_are_not_mixed, mixed: mixed_up_connections_serve_nothing);
