//! The databases, and who is in them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::measured::PYTHON;

/// A database with the heavy person and others, the catalogue beside it, and the sections as the peers read them.
pub(super) struct Data {
    folder: TempDir,
    pub(super) heavy: String,
    pub(super) typical: String,
    /// Many, with commas between.
    pub(super) light: String,
}

/// Runs a command to its end and gives what it printed.
pub(super) fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// A script of the peers'.
pub(super) fn peer(name: &str) -> PathBuf {
    crate::folder().join("peers").join(name)
}

impl Data {
    pub(super) fn make(rows: u64) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("portward-bench-").tempdir()?;
        let database = folder.path().join("clips.db");
        println!("making a database with {rows} rows of one person ...");
        let rows = rows.to_string();
        run(Command::new(testkit::dev::binary()).args(["demo-data", "--heavy-rows", &rows, "--out"]).arg(&database))?;
        let shipped = crate::folder().join("../server/src/demo/catalog");
        std::fs::create_dir(folder.path().join("sections"))?;
        std::fs::copy(shipped.join("catalog.toml"), folder.path().join("catalog.toml"))?;
        for section in std::fs::read_dir(shipped.join("sections"))? {
            let section = section?;
            std::fs::copy(section.path(), folder.path().join("sections").join(section.file_name()))?;
        }
        let persons = run(Command::new(PYTHON).arg(peer("data.py")).arg("persons").arg(&database))?;
        let mut persons = persons.split_whitespace().map(str::to_owned);
        let mut person = || persons.next().context("persons of the data");
        let data = Self { heavy: person()?, typical: person()?, light: person()?, folder };
        let plan = run(Command::new(PYTHON).arg(peer("export.py")).arg(data.path("catalog.toml")).arg("--plan"))?;
        std::fs::write(data.path("plan.json"), plan)?;
        Ok(data)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same catalogue over PostgreSQL, and a copy of the data there.
    pub(super) fn to_postgres(&self, address: &str) -> anyhow::Result<()> {
        println!("copying it to PostgreSQL ...");
        run(Command::new(PYTHON).arg(peer("data.py")).arg("copy").arg(self.path("clips.db")).arg(address))?;
        let catalogue = std::fs::read_to_string(self.path("catalog.toml"))?
            .replace("kind = \"sqlite\"", "kind = \"postgres\"")
            .replace("\"sqlite:clips.db\"", &format!("{address:?}"));
        std::fs::write(self.path("postgres.toml"), catalogue)?;
        Ok(())
    }

    /// What `zip -6` makes of the person's document, in bytes.
    pub(super) fn zip_six(&self, person: &str) -> anyhow::Result<f64> {
        let (archive, zip) = (self.path("document.zip"), self.path("six.zip"));
        run(Command::new(PYTHON).arg(peer("export.py")).args([
            self.path("catalog.toml").as_os_str(),
            self.path("clips.db").as_os_str(),
            person.as_ref(),
            archive.as_os_str(),
            "1".as_ref(),
        ]))?;
        let pipe = "unzip -p \"$1\" | zip -q -6 \"$2\" -";
        run(Command::new("sh").args(["-c", pipe, "sh"]).arg(&archive).arg(&zip))?;
        Ok(size(&zip)?)
    }
}

pub(super) fn size(path: &Path) -> std::io::Result<f64> {
    Ok(std::fs::metadata(path)?.len() as f64)
}
