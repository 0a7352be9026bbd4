//! The demo platform: somebody else's database, made up, so that Portward can be tried without one; and the commands that use it.

mod browser;
pub(crate) mod catalog;
mod dev;
mod inside;
mod journey;
pub(crate) mod platform;
mod portal;
mod receiver;
pub(crate) mod seed;
mod show;
pub(crate) mod tell;

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::out::say;

pub(crate) use dev::{DevArgs, dev};
pub(crate) use show::{DemoArgs, demo};
pub(crate) use tell::thousands;

/// `portward demo-data`
#[derive(Debug, Args)]
pub(crate) struct DemoDataArgs {
    /// The SQLite file to write; it must not exist yet
    #[arg(long, required_unless_present = "postgres")]
    out: Option<PathBuf>,
    /// An empty PostgreSQL database to fill instead
    #[arg(long, value_name = "URL", conflicts_with = "out")]
    postgres: Option<String>,
    /// How many people there are; those with names of their own are always there
    #[arg(long, default_value_t = platform::Plan::default().people)]
    people: u32,
    /// How many rows the heavy person has
    #[arg(long, default_value_t = 3_000_000)]
    heavy_rows: u64,
    /// Where chance begins: the same seed gives the same data
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Writes the made-up platform's database by itself.
pub(crate) async fn demo_data(args: DemoDataArgs) -> anyhow::Result<()> {
    let plan = platform::Plan { people: args.people, heavy_rows: args.heavy_rows, seed: args.seed, ..platform::Plan::default() };
    let bar = bar();
    let progress = |done: u64, total: u64| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let (report, place) = match (args.out, args.postgres) {
        (Some(out), _) => (platform::write_sqlite(&out, &plan, &progress)?, out.display().to_string()),
        (None, Some(url)) => (platform::write_postgres(&url, &plan, &progress).await?, "the database".to_owned()),
        (None, None) => anyhow::bail!("give --out FILE or --postgres URL"),
    };
    bar.finish_and_clear();
    say!("{} rows in {} tables written to {place}.", tell::thousands(report.rows), report.tables.len());
    for person in platform::people(&plan).iter().take(8) {
        say!("  subject {:<6} {:<12} {:<8} {}", person.subject, person.username, person.size.as_str(), person.region);
    }
    Ok(())
}

/// A bar on standard error; none where that is not a terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("  {bar:32} {human_pos} of {human_len} rows  {elapsed}") {
        bar.set_style(style);
    }
    bar
}

/// A folder that a command makes for itself: it carries a mark, and one without is never touched.
fn own_folder(folder: &std::path::Path, mark: &str, replace: bool) -> anyhow::Result<()> {
    let marked = folder.join(mark);
    if folder.exists() {
        let empty = std::fs::read_dir(folder).with_context(|| format!("{}", folder.display()))?.next().is_none();
        anyhow::ensure!(
            empty || marked.exists(),
            "{} exists and was not made by this command: give another folder, or move it away",
            folder.display()
        );
        if replace {
            std::fs::remove_dir_all(folder).with_context(|| format!("{} cannot be replaced", folder.display()))?;
        }
    }
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    std::fs::write(&marked, "This folder was made by portward and may be replaced by it.\n")?;
    Ok(())
}
