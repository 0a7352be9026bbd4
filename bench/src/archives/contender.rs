//! Who is compared, and what a run took.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use serde::Deserialize;

use super::data::{self, Data, peer};
use crate::measured::{self, PYTHON};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Contender {
    Python,
    Node,
    PsqlZip,
    /// At a level.
    Portward(u32),
    /// At a level, held to one core.
    OneCore(u32),
    /// So many archives of the same person at once.
    Several(usize),
    /// A floor: reading, rendering, or both and the encoder.
    Probe(&'static str),
}

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) wall: f64,
    /// CPU seconds of the contender and of its database's server.
    pub(super) client: f64,
    pub(super) server: f64,
    /// The largest resident set in MiB, of the client.
    pub(super) peak: f64,
    /// The archive in MB.
    pub(super) archive: f64,
    /// MB of JSON, where the contender says.
    pub(super) json: f64,
}

impl Run {
    pub(super) fn cpu(&self) -> f64 {
        self.client + self.server
    }

    pub(super) fn rate(&self) -> f64 {
        self.json / self.cpu()
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:7.2} s wall {:7.2} + {:5.2} s CPU {:7.1} MiB {:8.2} MB",
            self.wall, self.client, self.server, self.peak, self.archive
        )
    }
}

/// What Portward and the probes print.
#[derive(Debug, Deserialize)]
struct Made {
    json_bytes: u64,
}

/// A server of its own, whose CPU time can be told: that of its main process and of the sessions that it has seen end.
pub(super) struct Postgres {
    pub(super) address: String,
    process: u32,
}

impl Postgres {
    /// The one that `bench/run` started, with the data copied to it.
    pub(super) fn of_environment(data: &Data) -> anyhow::Result<Option<Self>> {
        let (Ok(address), Ok(folder)) = (std::env::var("BENCH_POSTGRES"), std::env::var("BENCH_POSTGRES_DATA")) else {
            return Ok(None);
        };
        data.to_postgres(&address)?;
        let pid = std::fs::read_to_string(Path::new(&folder).join("postmaster.pid"))?;
        let process = pid.lines().next().context("the server's process")?.trim().parse()?;
        Ok(Some(Self { address, process }))
    }

    fn cpu(&self) -> anyhow::Result<f64> {
        // A session's process ends a little after its client.
        std::thread::sleep(std::time::Duration::from_millis(200));
        measured::Process(self.process).cpu_with_ended()
    }
}

/// Where the peers' packages are.
fn tools() -> Option<PathBuf> {
    std::env::var_os("BENCH_TOOLS").map(PathBuf::from)
}

impl Contender {
    pub(super) fn name(self) -> String {
        match self {
            Self::Python => "Python: sqlite3 or psycopg, json, zipfile, level 6".into(),
            Self::Node => "Node: better-sqlite3 or pg, archiver, level 6".into(),
            Self::PsqlZip => "psql COPY row_to_json piped to zip -6".into(),
            Self::Portward(1) => "Portward, level 1, its default".into(),
            Self::Portward(level) => format!("Portward, level {level}"),
            Self::OneCore(level) => format!("Portward, level {level}, on one core"),
            Self::Several(jobs) => format!("Portward, level 1, {jobs} archives at once"),
            Self::Probe("pack") => "floor: read, render, our encoder, write".into(),
            Self::Probe("render") => "floor: read and render".into(),
            Self::Probe(_) => "floor: read".into(),
        }
    }

    /// None where what it needs is not installed.
    pub(super) fn run(self, data: &Data, postgres: Option<&Postgres>, person: &str) -> anyhow::Result<Option<Run>> {
        let out = data.path("archive.zip");
        let Some(command) = self.command(data, postgres, person, &out)? else { return Ok(None) };
        let before = postgres.map(Postgres::cpu).transpose()?;
        let (line, taken) = measured::run(&command)?;
        let server = match (postgres, before) {
            (Some(postgres), Some(before)) => postgres.cpu()? - before,
            _ => 0.0,
        };
        let json = serde_json::from_str::<Made>(&line).map_or(0.0, |made| made.json_bytes as f64 / 1e6);
        let archive = data::size(&out).map_or(0.0, |size| size / 1e6);
        let _ = std::fs::remove_file(&out);
        Ok(Some(Run { wall: taken.wall, client: taken.cpu, server, peak: taken.peak_mib(), archive, json }))
    }

    fn command(self, data: &Data, postgres: Option<&Postgres>, person: &str, out: &Path) -> anyhow::Result<Option<Vec<String>>> {
        let text = |path: &Path| path.display().to_string();
        let database = postgres.map_or_else(|| text(&data.path("clips.db")), |postgres| postgres.address.clone());
        let catalogue = text(&data.path(if postgres.is_some() { "postgres.toml" } else { "catalog.toml" }));
        let own = text(&std::env::current_exe()?);
        let portward = |level: u32, jobs: usize| {
            let (level, jobs) = (level.to_string(), jobs.to_string());
            let arguments: [&str; 12] = [
                &own,
                "export",
                "--catalogue",
                &catalogue,
                "--subject",
                person,
                "--level",
                &level,
                "--jobs",
                &jobs,
                "--out",
                &text(out),
            ];
            arguments.map(str::to_owned).to_vec()
        };
        Ok(Some(match self {
            Self::Python => {
                let python = match (postgres, tools()) {
                    (None, _) => PYTHON.to_owned(),
                    (Some(_), Some(tools)) => text(&tools.join("python/bin/python")),
                    (Some(_), None) => return Ok(None),
                };
                vec![
                    python,
                    text(&peer("export.py")),
                    text(&data.path("catalog.toml")),
                    database,
                    person.into(),
                    text(out),
                    "6".into(),
                ]
            }
            Self::Node => {
                let Some(_) = tools().filter(|tools| tools.join("node_modules/archiver").is_dir()) else { return Ok(None) };
                let plan = text(&data.path("plan.json"));
                vec!["node".into(), text(&peer("export.mjs")), plan, database, person.into(), text(out), "6".into()]
            }
            Self::PsqlZip => {
                let script = data.path("psql.sql");
                let sql = data::run(Command::new(PYTHON).arg(peer("psql.py")).arg(data.path("plan.json")).arg(person))?;
                std::fs::write(&script, sql)?;
                let pipe = format!("psql -q '{database}' -f {} | zip -q -6 {} -", text(&script), text(out));
                vec!["sh".into(), "-c".into(), pipe]
            }
            Self::Portward(level) => portward(level, 1),
            Self::OneCore(level) => ["taskset", "-c", "0"].map(str::to_owned).into_iter().chain(portward(level, 1)).collect(),
            Self::Several(jobs) => portward(1, jobs),
            Self::Probe(mode) => [
                &own,
                "probe",
                "--mode",
                mode,
                "--plan",
                &text(&data.path("plan.json")),
                "--database",
                &database,
                "--subject",
                person,
                "--out",
                &text(out),
            ]
            .map(|argument| argument.to_owned())
            .to_vec(),
        }))
    }
}
