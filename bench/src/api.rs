//! How often a second the server answers a check, against a bare hyper route in the same round.
//!
//! The server has one core and the load generator another, so that neither takes the other's time. CPU microseconds a request
//! are told too: they stay true where the generator is the slower side.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::json;
use testkit::dev::{Dev, Options};
use testkit::person;

use crate::load::Loaded;
use crate::measured::Process;
use crate::{How, stats};

/// The first two cores that this process may use, if there are two and something to pin with.
fn cores() -> Option<(String, String)> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?.trim();
    let mut cores = list.split(',').flat_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let bounds = first.parse::<u32>().ok().zip(last.parse::<u32>().ok());
        bounds.into_iter().flat_map(|(first, last)| first..=last)
    });
    let found = (cores.next()?.to_string(), cores.next()?.to_string());
    Command::new("taskset").arg("--version").output().ok()?.status.success().then_some(found)
}

/// Runs the measurement in a child that has one core, and hands on what it prints last.
pub(crate) fn measure(how: &How) -> anyhow::Result<String> {
    let own = std::env::current_exe()?;
    let mut child = match cores() {
        Some((server, load)) => {
            let mut child = Command::new("taskset");
            child.args(["-c", &server]).arg(own).env("PORTWARD_BENCH_LOAD_CORE", load);
            child
        }
        None => Command::new(own),
    };
    let rounds = how.rounds().to_string();
    let seconds = how.seconds().to_string();
    child.args(["api", "--rounds", &rounds, "--seconds", &seconds]).stdout(Stdio::piped());
    let mut child = child.spawn()?;
    let (mut text, mut section) = (String::new(), false);
    for line in BufReader::new(child.stdout.take().context("the child's output")?).lines() {
        let line = line?;
        section |= line.starts_with("## ");
        if section {
            text.push_str(&line);
            text.push('\n');
        } else {
            println!("{line}");
        }
    }
    ensure!(child.wait()?.success(), "the measurement of the check call failed");
    Ok(text)
}

/// A process that is ended with this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One round against one server.
struct Round {
    loaded: Loaded,
    cpu: f64,
}

impl Round {
    fn rate(&self) -> f64 {
        self.loaded.requests as f64 / self.loaded.seconds
    }

    fn cpu_us(&self) -> f64 {
        self.cpu * 1e6 / self.loaded.requests as f64
    }
}

fn load(server: Process, address: &str, token: &str, body: &str, seconds: u64) -> anyhow::Result<Round> {
    let own = std::env::current_exe()?;
    let mut command = match std::env::var("PORTWARD_BENCH_LOAD_CORE") {
        Ok(core) => {
            let mut command = Command::new("taskset");
            command.args(["-c", &core]).arg(own);
            command
        }
        Err(_) => Command::new(own),
    };
    let path = "/v2/user/data/check/?fields=request_id,apply_time,collect_time,status,data_format,category_selection_list";
    command.args([
        "load",
        "--address",
        address,
        "--path",
        path,
        "--token",
        token,
        "--body",
        body,
        "--seconds",
        &seconds.to_string(),
    ]);
    let before = server.cpu()?;
    let output = command.stderr(Stdio::inherit()).output()?;
    let cpu = server.cpu()? - before;
    ensure!(output.status.success(), "the load generator failed");
    let loaded: Loaded = serde_json::from_slice(&output.stdout)?;
    ensure!(loaded.refused == 0, "{} of {} checks were refused", loaded.refused, loaded.requests);
    Ok(Round { loaded, cpu })
}

pub(crate) fn pinned(how: &How) -> anyhow::Result<()> {
    let mut bare = Ended(Command::new(std::env::current_exe()?).arg("bare").stdout(Stdio::piped()).spawn()?);
    let mut port = String::new();
    BufReader::new(bare.0.stdout.take().context("the bare server's output")?).read_line(&mut port)?;
    let bare_address = format!("127.0.0.1:{}", port.trim());

    // The quota is not what is measured, but it is kept: far above what can be reached.
    let dev = Options::default().env("PORTWARD__QUOTAS__PER_MINUTE", "1000000000").start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (token, id) = runtime.block_on(ready(&dev))?;
    let address = dev.info.base_url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let body = json!({ "request_id": id }).to_string();

    let (bare, server) = (Process(bare.0.id()), Process(dev.pid().context("the server runs")?));
    let (mut bares, mut servers) = (Vec::new(), Vec::new());
    for round in 0..=how.rounds() {
        let one = load(bare, &bare_address, &token, &body, how.seconds())?;
        let other = load(server, &address, &token, &body, how.seconds())?;
        if round == 0 {
            // Warms caches and connections up.
            continue;
        }
        println!(
            "round {round}: hyper {:.0}/s {:.1} us, Portward {:.0}/s {:.1} us",
            one.rate(),
            one.cpu_us(),
            other.rate(),
            other.cpu_us()
        );
        bares.push(one);
        servers.push(other);
    }
    let row = |name: &str, rounds: &[Round]| {
        let rates = stats::median(rounds.iter().zip(&bares).map(|(round, bare)| round.rate() / bare.rate()));
        let cpus = stats::median(rounds.iter().zip(&bares).map(|(round, bare)| round.cpu_us() / bare.cpu_us()));
        vec![
            name.to_owned(),
            format!("{:.0}", stats::median(rounds.iter().map(Round::rate))),
            format!("{rates:.2}"),
            format!("{:.1}", stats::median(rounds.iter().map(Round::cpu_us))),
            format!("{cpus:.2}"),
            format!("{:.2}", stats::median(rounds.iter().map(|round| round.loaded.p50_ms))),
            format!("{:.2}", stats::median(rounds.iter().map(|round| round.loaded.p99_ms))),
        ]
    };
    let rates: Vec<f64> = servers.iter().zip(&bares).map(|(server, bare)| server.rate() / bare.rate()).collect();
    let (low, high) = stats::range(&rates);
    let table = stats::table(
        &["server", "checks/s", "against hyper", "CPU us a request", "against hyper", "p50 ms", "p99 ms"],
        &[row("bare hyper, fixed answer of the same size", &bares), row("Portward, metadata in SQLite", &servers)],
    );
    let pinned = if std::env::var_os("PORTWARD_BENCH_LOAD_CORE").is_some() {
        "The server has one core and the load another"
    } else {
        "Server and load share the cores"
    };
    let text = format!(
        "## The check call\n\n\
         `POST /v2/user/data/check/` with a bearer token and all fields, over 32 connections that are kept, {} s a round. {pinned}. Token, quota, scope \
         and request are looked up for every call. The rounds' ratios lay between {low:.2} and {high:.2}.\n\n{table}",
        how.seconds()
    );
    println!("{text}");
    std::io::stdout().flush()?;
    Ok(())
}

/// A token, and a request whose archive is ready.
async fn ready(dev: &Dev) -> anyhow::Result<(String, i64)> {
    let tokens = person::tokens(dev, "empty", "portability.all.ongoing").await;
    let token = tokens["access_token"].as_str().context("an access token")?.to_owned();
    let body = json!({ "data_format": "json", "category_selection_list": ["all_data"] });
    let added = person::data(dev, "add", &token, "request_id", &body).await;
    ensure!(added.status == 200, "add: {}", added.json);
    let id = added.request_id();
    for _ in 0..600 {
        let checked = person::data(dev, "check", &token, "status", &json!({ "request_id": id })).await;
        if checked.json["data"]["status"] == "downloading" {
            return Ok((token, id));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("the archive of an empty person was not ready within 30 s")
}
