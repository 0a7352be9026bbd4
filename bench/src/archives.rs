//! Archive building: the heavy person's whole data from SQLite to a ZIP, by Portward and by a plain Python script.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, ensure};
use archive::catalogue::Catalogue;
use archive::source::Sources;
use archive::write::{Identity, Order, Progress};
use clap::Args;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::measured::{self, PYTHON, Taken};
use crate::{How, stats};

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    #[arg(long)]
    catalogue: PathBuf,
    #[arg(long)]
    subject: String,
    #[arg(long)]
    out: PathBuf,
    #[arg(long)]
    level: u32,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Made {
    rows: u64,
    json_bytes: u64,
}

/// What a worker does for a request, without a server around it.
pub(crate) fn export(args: ExportArgs) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let catalogue = Arc::new(Catalogue::load(&args.catalogue)?);
        let sources = Sources::open(&catalogue, args.catalogue.parent().unwrap_or(Path::new("."))).await?;
        let order = Order {
            subject: args.subject,
            categories: vec![archive::catalogue::ALL_DATA.into()],
            format: wire::DataFormat::Json,
            at: jiff::Timestamp::from_second(1_793_491_200)?,
            since: None,
            until: None,
            identity: Identity::default(),
            level: args.level,
        };
        let file = std::fs::File::create(&args.out)?;
        let made =
            archive::write::write(catalogue, &sources, order, file, Arc::<Progress>::default(), CancellationToken::new()).await?;
        let made = Made { rows: made.sections.iter().map(|section| section.rows).sum(), json_bytes: made.json_bytes };
        println!("{}", serde_json::to_string(&made)?);
        Ok(())
    })
}

/// A database with the heavy person, and the catalogue beside it.
struct Data {
    folder: TempDir,
    subject: String,
}

impl Data {
    fn make(rows: u64) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("portward-bench-").tempdir()?;
        let database = folder.path().join("clips.db");
        println!("making a database with {rows} rows of one person ...");
        let rows = rows.to_string();
        let made =
            Command::new(testkit::dev::binary()).args(["demo-data", "--heavy-rows", &rows, "--out"]).arg(&database).output()?;
        ensure!(made.status.success(), "portward demo-data: {}", String::from_utf8_lossy(&made.stderr));
        let shipped = crate::folder().join("../server/src/demo/catalog");
        std::fs::create_dir(folder.path().join("sections"))?;
        std::fs::copy(shipped.join("catalog.toml"), folder.path().join("catalog.toml"))?;
        for section in std::fs::read_dir(shipped.join("sections"))? {
            let section = section?;
            std::fs::copy(section.path(), folder.path().join("sections").join(section.file_name()))?;
        }
        let heaviest = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(\
                        'select user_id from watch_history group by user_id order by count(*) desc limit 1').fetchone()[0])";
        let found = Command::new(PYTHON).args(["-c", heaviest]).arg(&database).output().context("python3 is needed")?;
        ensure!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        Ok(Self { subject: String::from_utf8(found.stdout)?.trim().to_owned(), folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Size and CRC-32 of the one member: two archives that agree in both hold the same document.
fn member(path: &Path) -> anyhow::Result<(u64, u64)> {
    let script = "import sys, zipfile; (member,) = zipfile.ZipFile(sys.argv[1]).infolist(); print(member.file_size, member.CRC)";
    let found = Command::new(PYTHON).args(["-c", script]).arg(path).output()?;
    ensure!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    let text = String::from_utf8(found.stdout)?;
    let (size, crc) = text.trim().split_once(' ').context("size and CRC")?;
    Ok((size.parse()?, crc.parse()?))
}

#[derive(Clone, Copy)]
enum Contender {
    Python,
    Portward(u32),
}

const CONTENDERS: [Contender; 3] = [Contender::Python, Contender::Portward(6), Contender::Portward(3)];

impl Contender {
    fn name(self) -> String {
        match self {
            Self::Python => "Python: sqlite3, json, zipfile level 6".into(),
            Self::Portward(6) => "Portward, level 6".into(),
            Self::Portward(level) => format!("Portward, level {level}, its default"),
        }
    }

    fn run(self, data: &Data, out: &Path) -> anyhow::Result<Taken> {
        let (catalogue, out) = (data.path("catalog.toml"), out.display().to_string());
        let catalogue = catalogue.display().to_string();
        let command: Vec<String> = match self {
            Self::Python => {
                let script = crate::folder().join("peers/export.py").display().to_string();
                let database = data.path("clips.db").display().to_string();
                vec![PYTHON.into(), script, catalogue, database, data.subject.clone(), out, "6".into()]
            }
            Self::Portward(level) => {
                let own = std::env::current_exe()?.display().to_string();
                let level = level.to_string();
                vec![
                    own,
                    "export".into(),
                    "--catalogue".into(),
                    catalogue,
                    "--subject".into(),
                    data.subject.clone(),
                    "--out".into(),
                    out,
                    "--level".into(),
                    level,
                ]
            }
        };
        let (line, taken) = measured::run(&command)?;
        if let Self::Portward(_) = self {
            let made: Made = serde_json::from_str(&line).context("the export's line")?;
            ensure!(made.rows > 0, "no rows");
        }
        Ok(taken)
    }
}

pub(crate) fn measure(how: &How) -> anyhow::Result<String> {
    let data = Data::make(how.rows())?;
    let mut taken: [Vec<Taken>; CONTENDERS.len()] = Default::default();
    let (mut zipped, mut documents) = ([0; CONTENDERS.len()], Vec::new());
    for round in 0..how.rounds() {
        for (at, contender) in CONTENDERS.into_iter().enumerate() {
            let out = data.path("archive.zip");
            let one = contender.run(&data, &out)?;
            println!(
                "round {}: {:<40} {:6.2} s wall {:6.2} s CPU {:6.1} MiB",
                round + 1,
                contender.name(),
                one.wall,
                one.cpu,
                one.peak_mib()
            );
            taken[at].push(one);
            zipped[at] = std::fs::metadata(&out)?.len();
            if round == 0 {
                documents.push(member(&out)?);
            }
            std::fs::remove_file(&out)?;
        }
    }
    let json = documents[0].0 as f64 / 1e6;
    let same = documents.iter().all(|document| *document == documents[0]);
    let rows: Vec<_> = CONTENDERS
        .iter()
        .zip(&taken)
        .zip(zipped)
        .map(|((contender, runs), zipped)| {
            let ratio = stats::median(runs.iter().zip(&taken[0]).map(|(run, python)| (json / run.cpu) / (json / python.cpu)));
            vec![
                contender.name(),
                format!("{:.2}", stats::median(runs.iter().map(|run| run.wall))),
                format!("{:.2}", stats::median(runs.iter().map(|run| run.cpu))),
                format!("{:.1}", stats::median(runs.iter().map(|run| json / run.cpu))),
                format!("{:.1}", stats::median(runs.iter().map(|run| run.peak_mib()))),
                format!("{:.1}", zipped as f64 / 1e6),
                format!("{ratio:.2}"),
            ]
        })
        .collect();
    let table =
        stats::table(&["contender", "wall s", "CPU s", "MB/CPU-s", "peak MiB", "archive MB", "MB/CPU-s against Python"], &rows);
    let identical = if same { "All three write the same document, byte for byte." } else { "**The documents differ.**" };
    Ok(format!(
        "## Building an archive\n\n\
         One person with {} rows, {json:.1} MB of JSON, from SQLite to a ZIP; the whole process each time, start included. {identical}\n\n{table}",
        how.rows()
    ))
}
