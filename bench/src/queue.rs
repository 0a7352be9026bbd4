//! The queue of applications with 1,000 of them against the same with 10: the page and the search, over HTTP, on two servers in turn.
//!
//! The applications of the larger are copies of those that `dev` seeds by the pages' own functions; that many submissions would take longer than all
//! that is measured.

use anyhow::{Context, ensure};
use rusqlite::{Connection, params};
use testkit::dev::{Dev, Options};
use testkit::visitor::Visitor;

use crate::clock::Stopwatch;
use crate::{How, stats};

/// How many there are in the two queues.
const SIZES: [i64; 2] = [10, 1000];
/// Calls of one round.
const CALLS: usize = 20;
/// What is measured, and which address asks for it.
const PAGES: [(&str, &str); 4] = [
    ("the queue", "/console/applications"),
    ("a search that finds many", "/console/applications?q=clips"),
    ("a search that finds one", "/console/applications?q=number+7x"),
    ("a search that finds nothing", "/console/applications?q=nothing+of+that+kind"),
];

struct Queue {
    _dev: Dev,
    reviewer: Visitor,
}

/// The columns of a table, for copying a row with some of them changed.
fn columns(store: &Connection, table: &str) -> anyhow::Result<Vec<String>> {
    let mut names = store.prepare(&format!("select name from pragma_table_info('{table}')"))?;
    let names = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(names)
}

/// Copies one row of a table, with other values for some columns.
fn copy(store: &Connection, table: &str, key: &str, id: i64, other: &[(&str, String)]) -> anyhow::Result<()> {
    let names = columns(store, table)?;
    let values: Vec<String> = names
        .iter()
        .map(|name| other.iter().find(|(held, _)| held == name).map_or_else(|| format!("\"{name}\""), |(_, value)| value.clone()))
        .collect();
    let list: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    let sql = format!("insert into {table} ({}) select {} from {table} where {key} = ?1", list.join(", "), values.join(", "));
    ensure!(store.execute(&sql, params![id])? == 1, "no row of {table} to copy");
    Ok(())
}

/// Brings the number of open applications to what it should be.
fn fill(store: &Connection, wanted: i64) -> anyhow::Result<()> {
    let open = "select count(*) from applications where ended_at is null and due_at is not null";
    let have: i64 = store.query_row(open, [], |row| row.get(0))?;
    let (id, app): (i64, i64) = store
        .query_row("select application_id, app_id from applications where ended_at is null and due_at is not null order by due_at limit 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .context("dev seeds applications")?;
    store.execute_batch("begin immediate")?;
    for number in have..wanted {
        let new = 9_000_000_000 + number;
        let name = format!("'Clips number {number}x'");
        copy(
            store,
            "apps",
            "app_id",
            app,
            &[("app_id", new.to_string()), ("client_key", format!("'bench{number:011}'")), ("name", name)],
        )?;
        let search = format!(
            "' lantern labs {number} clips number {number}x mara{number}@lantern.example dp-{number:011} scope:portability.activity '"
        );
        copy(
            store,
            "applications",
            "application_id",
            id,
            &[
                ("application_id", new.to_string()),
                ("app_id", new.to_string()),
                ("search", search),
                ("due_at", format!("due_at + {} * 60000", number)),
                ("previous_id", "null".into()),
            ],
        )?;
    }
    store.execute_batch("commit; analyze")?;
    Ok(())
}

async fn start(size: i64) -> anyhow::Result<Queue> {
    let dev = Options::default().start();
    let store = Connection::open(dev.info.data_dir.join("portward.db"))?;
    store.busy_timeout(std::time::Duration::from_secs(20))?;
    fill(&store, size)?;
    drop(store);
    let who = dev.info.staff.iter().find(|who| who.role == "reviewer").context("dev has a reviewer")?;
    let reviewer = Visitor::new(&dev.info.base_url);
    let form = reviewer.open("/console/login").await.form("/console/login");
    let seen = reviewer.send(form.set("email", &who.username).set("password", &who.password)).await;
    ensure!(seen.status == 200, "signing in: {}", seen.status);
    Ok(Queue { _dev: dev, reviewer })
}

/// The middle time of a page, in milliseconds.
async fn time(queue: &Queue, path: &str) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..CALLS {
        let watch = Stopwatch::start();
        let seen = queue.reviewer.get(path).await;
        times.push(watch.elapsed().as_secs_f64() * 1000.0);
        ensure!(seen.status == 200, "{path}: {}", seen.status);
    }
    Ok(stats::median(times))
}

/// Measures both.
pub(crate) fn measure(how: &How) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (small, large) = (start(SIZES[0]).await?, start(SIZES[1]).await?);
        let mut rows = Vec::new();
        let mut rounds: Vec<Vec<(f64, f64)>> = vec![Vec::new(); PAGES.len()];
        for round in 0..=how.rounds() {
            for (page, (name, path)) in PAGES.iter().enumerate() {
                let (one, other) = (time(&small, path).await?, time(&large, path).await?);
                // The first warms caches up.
                if round > 0 {
                    println!("round {round}: {name}: {one:.2} ms, {other:.2} ms");
                    rounds[page].push((one, other));
                }
            }
        }
        for (page, (name, _)) in PAGES.iter().enumerate() {
            let of = |pick: fn(&(f64, f64)) -> f64| stats::median(rounds[page].iter().map(pick));
            rows.push(vec![
                (*name).to_owned(),
                format!("{:.2}", of(|pair| pair.0)),
                format!("{:.2}", of(|pair| pair.1)),
                format!("{:.1}", of(|pair| pair.1 / pair.0)),
            ]);
        }
        let head = ["page", "with 10, ms", "with 1,000, ms", "ratio"];
        Ok(format!(
            "## The queue of applications\n\nThe console's queue and its search with 1,000 open applications against 10, over HTTP, each page whole: {} calls a \
             round. A page holds at most 50 lines, so a part of the difference is lines. Required is the same order of time, a ratio below 10.\n\n{}",
            CALLS,
            stats::table(&head, &rows)
        ))
    })
}
