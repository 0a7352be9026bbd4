//! What was measured on what.

use std::process::Command;

fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    output.lines().next().unwrap_or("unknown").trim().to_owned()
}

fn read(path: &str, key: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
}

/// Processor, cores, memory and kernel.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let memory = read("/proc/meminfo", "MemTotal");
    let kib: f64 = memory.split(' ').next().and_then(|kib| kib.parse().ok()).unwrap_or(f64::NAN);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let processor = read("/proc/cpuinfo", "model name");
    // Other work on the machine makes every number worse, and not all of them alike.
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    format!("{cores} cores of {processor}, {:.0} GiB, Linux {}, load {load} before it began", kib / 1_048_576.0, kernel.trim())
}

/// Versions of both sides.
pub(crate) fn versions() -> String {
    let rustc = first_line(Command::new("rustc").arg("--version"));
    let python = first_line(Command::new(crate::measured::PYTHON).args([
        "-c",
        "import sys, sqlite3, zlib; print(f'Python {sys.version.split()[0]} with SQLite {sqlite3.sqlite_version} and zlib {zlib.ZLIB_RUNTIME_VERSION}')",
    ]));
    let commit = first_line(Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(crate::folder()));
    format!("Portward {} at {commit}, {rustc}; {python}", env!("CARGO_PKG_VERSION"))
}
