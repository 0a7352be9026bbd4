//! `portward catalog`: from a database to a catalogue, and the questions that are asked of a catalogue before it serves.

pub(crate) mod check;
mod init;
mod preview;
pub(crate) mod publish;
mod schema;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use archive::catalogue::Catalogue;
use clap::{Args, Subcommand};
use platform::Clock;

#[derive(Debug, Args)]
pub(crate) struct CatalogArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Draft a catalogue from a database: its tables, their keys, and what refers to people
    Init(init::InitArgs),
    /// Check a catalogue against its sources: queries, owners, indexes, and tables that were forgotten
    Check(check::CheckArgs),
    /// Show what a person's archive would hold, section by section
    Preview(preview::PreviewArgs),
    /// Write JSON Schemas and data dictionaries of what archives hold
    Schema(schema::SchemaArgs),
    /// Freeze an edition: refuses what would break its readers unless it is told in advance
    Publish(publish::PublishArgs),
}

/// `portward catalog`. The exit code is 0 when all is well, 1 when there are faults.
pub(crate) async fn catalog(args: CatalogArgs) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Init(args) => init::init(args).await.map(|()| ExitCode::SUCCESS),
        Verb::Check(args) => check::check(args).await,
        Verb::Preview(args) => preview::preview(args).await,
        Verb::Schema(args) => schema::schema(args).await,
        Verb::Publish(args) => publish::publish(args).await,
    }
}

/// The catalogue that a command is about.
#[derive(Clone, Debug, Args)]
struct WhichCatalogue {
    /// The catalogue's file
    #[arg(long, value_name = "FILE", default_value = "catalog.toml")]
    catalog: PathBuf,
}

impl WhichCatalogue {
    fn load(&self) -> anyhow::Result<Catalogue> {
        Catalogue::load(&self.catalog).map_err(|fault| anyhow::anyhow!("the catalogue cannot be used:\n{fault}"))
    }

    /// Relative paths in it begin here.
    fn folder(&self) -> &Path {
        self.catalog.parent().unwrap_or(Path::new(""))
    }
}

/// The time that members of an archive carry.
fn now() -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(Clock::System.now().0).unwrap_or_default()
}

/// `1 section`, `2 sections`.
fn counted(count: usize, word: &str) -> String {
    if count == 1 {
        return format!("1 {word}");
    }
    match word.strip_suffix('y') {
        Some(stem) => format!("{count} {stem}ies"),
        None => format!("{count} {word}s"),
    }
}
