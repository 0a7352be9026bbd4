//! `portward archive`: what somebody does with an archive that lies before them.

mod compare;
mod keys;
mod verify;
mod view;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct ArchiveArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check that an archive is whole, and who made it. Ends with 0 when it is whole and signed by a given key, with 1 when something is wrong
    /// with it, and with 2 when nothing is wrong and nothing proves who made it, or when it could not be looked at
    Verify(verify::VerifyArgs),
    /// Show what is in an archive
    View(view::ViewArgs),
    /// Compare an archive with what its sources hold now. Ends with 0 when it is the same, with 1 when it is not, and with 2 when they could not
    /// be compared
    Compare(compare::CompareArgs),
}

/// An archive's file.
#[derive(Clone, Debug, Args)]
struct WhichArchive {
    /// The archive
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// What could not be looked at.
const UNJUDGED: u8 = 2;

/// `portward archive`
pub(crate) async fn archive(args: ArchiveArgs) -> ExitCode {
    let done = match args.verb {
        Verb::Verify(args) => verify::verify(args).await,
        Verb::View(args) => view::view(args),
        Verb::Compare(args) => compare::compare(args).await,
    };
    done.unwrap_or_else(|fault| {
        eprintln!("portward: {fault:#}");
        ExitCode::from(UNJUDGED)
    })
}

fn open(path: &Path) -> anyhow::Result<File> {
    File::open(path).with_context(|| format!("{} cannot be read", path.display()))
}
