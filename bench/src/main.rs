//! Measures Portward against what it should be compared with, in pairs on the same machine, and writes a table.
//!
//! `bench/run` builds and starts it. Absolute numbers belong to a machine; what is promised are ratios, so each round runs every
//! contender once, in turn, and the medians are of rounds.

mod api;
mod archives;
mod bare;
mod clock;
mod load;
mod machine;
mod measured;
mod memory;
mod queue;
mod report;
mod stats;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Measures archives, memory and the check call, and writes bench/RESULTS.md.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    inner: Option<Inner>,
    #[command(flatten)]
    how: How,
}

/// How much is measured.
#[derive(Clone, Debug, Args)]
struct How {
    /// A quick look: 200,000 rows, three rounds of one second, and nothing written.
    #[arg(long)]
    short: bool,
    /// Rows of the heavy person [default: 3000000, with --short 200000]
    #[arg(long)]
    rows: Option<u64>,
    /// Rounds, each with every contender in turn [default: 5, with --short 3]
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds of load in each round of the check call [default: 4, with --short 1]
    #[arg(long)]
    seconds: Option<u64>,
    /// Measure only some of it.
    #[arg(long, value_delimiter = ',', value_enum)]
    only: Vec<Part>,
    /// Where the table goes [default: bench/RESULTS.md, with --short or --only nowhere]
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Archive building against what one would write oneself.
    Archive,
    /// Memory of the server while it builds one.
    Memory,
    /// The check call against a bare hyper route.
    Api,
    /// The queue of applications with 1,000 against 10.
    Queue,
}

impl How {
    fn rows(&self) -> u64 {
        self.rows.unwrap_or(if self.short { 200_000 } else { 3_000_000 })
    }

    fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.short { 3 } else { 5 }).max(1)
    }

    fn seconds(&self) -> u64 {
        self.seconds.unwrap_or(if self.short { 1 } else { 4 }).max(1)
    }

    fn wants(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    fn out(&self) -> Option<PathBuf> {
        let whole = !self.short && self.only.is_empty();
        self.out.clone().or_else(|| whole.then(|| folder().join("RESULTS.md")))
    }
}

/// What runs in processes of its own, so that its CPU and memory can be told from the rest.
#[derive(Debug, Subcommand)]
enum Inner {
    /// Builds one archive.
    #[command(hide = true)]
    Export(archives::ExportArgs),
    /// Does only some of it.
    #[command(hide = true)]
    Probe(archives::ProbeArgs),
    /// Serves one fixed answer with bare hyper, and prints the port.
    #[command(hide = true)]
    Bare,
    /// Sends a request over and over, and prints how often it was answered.
    #[command(hide = true)]
    Load(load::LoadArgs),
    /// The part that measures the check call; pinned to one core by its parent.
    #[command(hide = true)]
    Api(How),
}

/// The folder of this crate, where the peers are.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    match cli.inner {
        Some(Inner::Export(args)) => archives::export(args),
        Some(Inner::Probe(args)) => archives::probe(args),
        Some(Inner::Bare) => bare::serve(),
        Some(Inner::Load(args)) => load::run(args),
        Some(Inner::Api(how)) => api::pinned(&how),
        None => everything(&cli.how),
    }
}

fn everything(how: &How) -> anyhow::Result<()> {
    let mut report = report::Report::new(how);
    if how.wants(Part::Archive) {
        report.section(archives::measure(how)?);
    }
    if how.wants(Part::Memory) {
        report.section(memory::measure(how)?);
    }
    if how.wants(Part::Api) {
        report.section(api::measure(how)?);
    }
    if how.wants(Part::Queue) {
        report.section(queue::measure(how)?);
    }
    report.finish(how.out())
}
