//! Running a contender as a process of its own and asking the kernel what it took.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::Deserialize;

/// What one run of a process took.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Taken {
    exit: i32,
    /// Seconds by the clock on the wall.
    pub(crate) wall: f64,
    /// Seconds of CPU, user and system, of all its threads.
    pub(crate) cpu: f64,
    peak_kib: f64,
}

impl Taken {
    /// The largest resident set.
    pub(crate) fn peak_mib(self) -> f64 {
        self.peak_kib / 1024.0
    }
}

/// Python is needed for the peer, so it may do the measuring too: wait4 has no safe wrapper in std.
pub(crate) const PYTHON: &str = "python3";

/// Runs a command to its end; gives the last line of its standard output and what it took.
pub(crate) fn run<S: AsRef<OsStr>>(command: &[S]) -> anyhow::Result<(String, Taken)> {
    let output = Command::new(PYTHON)
        .arg(crate::folder().join("peers/measure.py"))
        .args(command)
        .stderr(Stdio::inherit())
        .output()
        .context("python3 is needed for the comparison: install it")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = text.trim_end().rsplit('\n');
    let taken: Taken = serde_json::from_str(lines.next().unwrap_or_default()).context("the measurement's line")?;
    let name = command.first().map(|name| name.as_ref().to_string_lossy().into_owned()).unwrap_or_default();
    ensure!(taken.exit == 0, "{name} ended with exit status {}", taken.exit);
    Ok((lines.next().unwrap_or_default().to_owned(), taken))
}

/// Values of a process that runs, from /proc.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    fn status(self, key: &str) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.0)).context("the server's status in /proc")?;
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')?.split_whitespace().next());
        Ok(value.with_context(|| format!("{key} in /proc"))?.parse::<f64>()? / 1024.0)
    }

    /// Resident now, in MiB.
    pub(crate) fn resident_mib(self) -> anyhow::Result<f64> {
        self.status("VmRSS")
    }

    /// Most ever resident, in MiB, since it began or was last reset.
    pub(crate) fn peak_mib(self) -> anyhow::Result<f64> {
        self.status("VmHWM")
    }

    /// Lets the peak count from here.
    pub(crate) fn reset_peak(self) -> anyhow::Result<()> {
        std::fs::write(format!("/proc/{}/clear_refs", self.0), "5").context("resetting the server's peak of memory")
    }

    /// CPU seconds so far, all threads.
    pub(crate) fn cpu(self) -> anyhow::Result<f64> {
        self.ticks(2)
    }

    /// The same, and of its children that have ended.
    pub(crate) fn cpu_with_ended(self) -> anyhow::Result<f64> {
        self.ticks(4)
    }

    fn ticks(self, fields: usize) -> anyhow::Result<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.0)).context("the server's stat in /proc")?;
        // The second field is the name in brackets and may hold blanks; utime and stime are the 14th and 15th, those of children follow.
        let (_, rest) = text.rsplit_once(") ").context("a stat line")?;
        let ticks: Vec<f64> = rest.split(' ').skip(11).take(fields).map(str::parse).collect::<Result<_, _>>()?;
        // USER_HZ is 100 on every architecture that Linux runs on today.
        Ok(ticks.iter().sum::<f64>() / 100.0)
    }
}
