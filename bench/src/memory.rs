//! How much memory the server takes to build and to hand out the heavy person's archive.

use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::json;
use testkit::dev::{Dev, Options};
use testkit::person;

use crate::measured::Process;
use crate::{How, stats};

/// Required: less than this above idle.
const LIMIT_MIB: f64 = 64.0;

pub(crate) fn measure(how: &How) -> anyhow::Result<String> {
    println!("starting a server with {} rows of one person ...", how.rows());
    let mut dev = Options::default().args(["--heavy-rows".to_owned(), how.rows().to_string()]).start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tokens = runtime.block_on(person::tokens(&dev, "heavy", "portability.all.ongoing"));
    // A fresh process: making the data and hashing a password leave more than idle memory behind, in which an archive could hide.
    dev.restart();
    runtime.block_on(requests(&dev, &tokens, how))
}

async fn requests(dev: &Dev, tokens: &serde_json::Value, how: &How) -> anyhow::Result<String> {
    let token = tokens["access_token"].as_str().context("an access token")?;
    let server = Process(dev.pid().context("the server runs")?);
    let idle = server.resident_mib()?;
    let mut rows = Vec::new();
    let mut worst: f64 = 0.0;
    for round in 0..how.rounds() {
        server.reset_peak()?;
        let before = server.cpu()?;
        let body = json!({ "data_format": "json", "category_selection_list": ["all_data"] });
        let added = person::data(dev, "add", token, "request_id", &body).await;
        ensure!(added.status == 200, "add: {}", added.json);
        let id = json!({ "request_id": added.request_id() });
        loop {
            let checked = person::data(dev, "check", token, "status", &id).await;
            match checked.json["data"]["status"].as_str() {
                Some("pending") => tokio::time::sleep(Duration::from_millis(100)).await,
                Some("downloading") => break,
                _ => anyhow::bail!("check: {}", checked.json),
            }
        }
        let (built, cpu) = (server.peak_mib()?, server.cpu()? - before);
        server.reset_peak()?;
        let mut response = person::http().post(dev.url("/v2/user/data/download/")).bearer_auth(token).json(&id).send().await?;
        let mut bytes = 0;
        while let Some(chunk) = response.chunk().await? {
            bytes += chunk.len();
        }
        let handed_out = server.peak_mib()?;
        worst = worst.max(built - idle).max(handed_out - idle);
        println!("round {}: idle {idle:.1}, building {built:.1}, handing out {handed_out:.1} MiB", round + 1);
        rows.push([server.resident_mib()?, built - idle, handed_out - idle, cpu, bytes as f64 / 1e6]);
    }
    let median = |at: usize| stats::median(rows.iter().map(|row| row[at]));
    let table = stats::table(
        &["", "MiB"],
        &[
            vec!["idle, just started".into(), format!("{idle:.1}")],
            vec!["building, above idle".into(), format!("{:.1}", median(1))],
            vec!["handing out, above idle".into(), format!("{:.1}", median(2))],
            vec!["the most above idle in any round".into(), format!("{worst:.1}")],
            vec!["resident after each request".into(), format!("{:.1}", median(0))],
        ],
    );
    let verdict = if worst < LIMIT_MIB { "which holds" } else { "**which does not hold**" };
    Ok(format!(
        "## Memory of the server\n\n\
         A request for everything of a person with {} rows over HTTP, then its download ({:.1} MB), {} times on a server just started. Building \
         took {:.1} s of the server's CPU. Required is less than {LIMIT_MIB:.0} MiB above idle, {verdict}.\n\n{table}",
        how.rows(),
        median(4),
        how.rounds(),
        median(3),
    ))
}
