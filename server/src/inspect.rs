//! `portward inspect-pdf`, a command for our own use: reads a PDF that an outsider handed in from standard input, and prints what is in it. It
//! gives up everything it does not need before the first byte is read, so that a file made to break its reader breaks this process only.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use platform::settings::Settings;
use platform::uploads::{self, Inspector};
use rlimit::Resource;

/// Address space: a PDF of 5 MB and what it inflates to, many times over.
const MEMORY: u64 = 1024 * 1024 * 1024;
/// Seconds of a processor; whoever started us waits no longer.
const SECONDS: u64 = 8;
/// The longest PDF that is read.
const LONGEST: u64 = 64 * 1024 * 1024;

/// The hidden command.
pub(crate) fn inspect_pdf() -> ExitCode {
    // No further files, nothing written, no core to leave outsiders' bytes in, no processes.
    let limits = [
        (Resource::AS, MEMORY),
        (Resource::CPU, SECONDS),
        (Resource::NOFILE, 3),
        (Resource::FSIZE, 0),
        (Resource::CORE, 0),
        (Resource::NPROC, 0),
    ];
    for (resource, limit) in limits {
        // A limit that the machine does not know is not kept; the memory's and the time's must be.
        let set = rlimit::setrlimit(resource, limit, limit);
        if set.is_err() && (resource == Resource::AS || resource == Resource::CPU) {
            return ExitCode::FAILURE;
        }
    }
    let mut bytes = Vec::new();
    if std::io::stdin().lock().take(LONGEST).read_to_end(&mut bytes).is_err() {
        return ExitCode::FAILURE;
    }
    let Ok(report) = serde_json::to_vec(&uploads::pdf::inspect(&bytes)) else { return ExitCode::FAILURE };
    match std::io::stdout().lock().write_all(&report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// What reads PDFs for this gateway: this very program, even if another lies in its place by now.
pub(crate) fn inspector(settings: &Settings) -> anyhow::Result<Inspector> {
    let own = Path::new("/proc/self/exe");
    let program = if own.exists() {
        PathBuf::from(own)
    } else {
        std::env::current_exe().context("the path of this program, which reads PDFs in a process of its own")?
    };
    Ok(Inspector::program(program, settings.uploads.inspections as usize))
}
