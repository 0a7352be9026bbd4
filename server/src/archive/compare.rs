//! `portward archive compare`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use archive::catalogue::Catalogue;
use archive::compare::{By, Compared, Comparison, Question, compare as weigh};
use archive::source::Sources;
use archive::verify::{Verdict, verify as judge};
use clap::Args;
use comfy_table::{CellAlignment, Table};
use platform::Clock;
use serde_json::json;

use super::keys::WhichKeys;
use super::open;
use super::verify::line;
use crate::demo::thousands;
use crate::out::say;

#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// The catalogue's file
    #[arg(long, value_name = "FILE", default_value = "catalog.toml")]
    catalog: PathBuf,
    /// The person, as the catalogue's subject names one
    #[arg(long, value_name = "ID")]
    person: String,
    /// The archive
    #[arg(long, value_name = "FILE")]
    archive: PathBuf,
    /// What the archive was asked for, where it does not say so itself; repeat for more. Everything by default
    #[arg(long, value_name = "CATEGORY")]
    category: Vec<String>,
    #[command(flatten)]
    keys: WhichKeys,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn compare(args: CompareArgs) -> anyhow::Result<ExitCode> {
    let keys = args.keys.read().await?;
    let catalogue = Catalogue::load(&args.catalog).map_err(|fault| anyhow::anyhow!("the catalogue cannot be used:\n{fault}"))?;
    let catalogue = Arc::new(catalogue);
    let file = open(&args.archive)?;
    // What is broken, or somebody else's, says nothing of the sources.
    let judged = file.try_clone()?;
    let report = tokio::task::spawn_blocking(move || judge(judged, &keys.keys)).await??;
    if let (Verdict::Broken, Some(finding)) = (report.verdict(), report.findings.first()) {
        anyhow::bail!(
            "the archive is broken ({} {}): run `portward archive verify`",
            finding.file.as_deref().unwrap_or("it"),
            finding.what
        );
    }
    let edition = report.manifest.as_ref().map(|manifest| manifest.catalogue.edition.clone());
    let sources = Sources::open(&catalogue, args.catalog.parent().unwrap_or(Path::new(""))).await?;
    let question = Question {
        person: args.person.clone(),
        categories: (!args.category.is_empty()).then(|| args.category.clone()),
        manifest: report.manifest,
        at: jiff::Timestamp::from_millisecond(Clock::System.now().0).unwrap_or_default(),
    };
    let found = weigh(catalogue.clone(), &sources, &file, question).await?;
    if args.json {
        say!(
            "{:#}",
            json!({ "same": found.is_same(), "edition": catalogue.edition, "archive_edition": edition, "comparison": found })
        );
    } else {
        if let Some(other) = edition.filter(|edition| *edition != catalogue.edition) {
            say!("the archive was made by edition {} of the catalogue, and this is {}\n", line(&other), line(&catalogue.edition));
        }
        tell(&found)?;
    }
    Ok(if found.is_same() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn tell(found: &Comparison) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["section", "archive", "source", "missing", "extra", "changed", ""]);
    for at in 1..=5 {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for section in &found.sections {
        let numbers = [section.archive_rows, section.source_rows, section.missing, section.extra, section.changed];
        let mut row = vec![line(&section.section)];
        row.extend(numbers.map(thousands));
        row.push(verdict(section).to_owned());
        table.add_row(row);
    }
    say!("{table}");
    for section in found.sections.iter().filter(|section| !section.records.is_empty()) {
        say!("\n{}", line(&section.section));
        for record in &section.records {
            say!("  {}", line(record));
        }
    }
    for (section, bytes) in found.sections.iter().filter_map(|section| Some((section, section.bytes?))) {
        say!(
            "\n{}: {} bytes in the archive, {} in the object stores",
            line(&section.section),
            thousands(bytes.archive),
            thousands(bytes.source)
        );
    }
    let ruled = found.sections.iter().any(|section| !section.omitted.is_empty() || !section.not_compared.is_empty());
    if ruled {
        say!("\nby the catalogue's rules:");
    }
    for section in &found.sections {
        for omitted in &section.omitted {
            let how = if omitted.left_out { "left out" } else { "altered" };
            let unseen = if section.not_compared.contains(&omitted.field) { ", not compared" } else { "" };
            say!("  {}, \"{}\": {how} ({}){unseen}", line(&section.section), line(&omitted.field), omitted.rule);
        }
    }
    for name in &found.unknown {
        say!("\nthe archive has {}, which the catalogue does not know or which was not asked for", line(name));
    }
    say!(
        "\n{}",
        if found.is_same() {
            "SAME: the archive holds what the sources hold now"
        } else {
            "DIFFERENT: the archive is not what the sources hold now"
        }
    );
    Ok(())
}

fn verdict(section: &Compared) -> &'static str {
    match (section.is_same(), section.by) {
        (true, By::Count) => "as many",
        (true, _) => "same",
        (false, _) if section.reordered => "in another order",
        (false, By::Key) => "differs",
        (false, By::Content) => "differs; a changed record is both missing and extra",
        (false, By::Count) => "not as many",
    }
}
