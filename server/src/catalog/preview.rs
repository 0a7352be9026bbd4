//! `portward catalog preview`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use archive::catalogue::{ALL_DATA, Catalogue};
use archive::discover::{Read, preview as read};
use archive::source::Sources;
use archive::write::{Identity, Order, Progress, Summary, write};
use clap::Args;
use comfy_table::{CellAlignment, Table};
use platform::Clock;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{WhichCatalogue, counted, now};
use crate::demo::thousands;
use crate::out::say;

/// So many of a section's rows are shown.
const ROWS: usize = 3;
/// A row on the screen is no longer than this.
const WIDTH: usize = 110;

#[derive(Debug, Args)]
pub(super) struct PreviewArgs {
    #[command(flatten)]
    which: WhichCatalogue,
    /// The person, as the catalogue's subject names one
    #[arg(long, value_name = "ID")]
    person: String,
    /// Build the archive too, in this file
    #[arg(long, value_name = "FILE")]
    archive: Option<PathBuf>,
    /// The archive's form: json, txt, ndjson or csv
    #[arg(long, value_name = "FORMAT", default_value = "json")]
    format: archive::write::Format,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn preview(args: PreviewArgs) -> anyhow::Result<ExitCode> {
    let catalogue = Arc::new(args.which.load()?);
    let sources = Sources::open(&catalogue, args.which.folder()).await?;
    let seen = read(&catalogue, &sources, &args.person, ROWS, now(), || Clock::System.now().0).await?;
    let failed = seen.sections.iter().filter(|section| section.read.is_err()).count();
    let archive = match &args.archive {
        Some(file) if failed == 0 => Some((file, build(&catalogue, &sources, &args, file).await?)),
        _ => None,
    };
    if args.json {
        let sections: Vec<Value> = seen
            .sections
            .iter()
            .map(|section| match &section.read {
                Ok(read) => json!({
                    "section": section.name, "rows": read.rows, "bytes": read.bytes, "millis": section.millis, "first": read.first,
                }),
                Err(why) => json!({ "section": section.name, "millis": section.millis, "failed": why }),
            })
            .collect();
        let made = archive.as_ref().map(|(file, made)| {
            json!({ "file": file.display().to_string(), "members": made.files.len(), "bytes": made.json_bytes, "size": size_of(file) })
        });
        say!("{}", json!({ "edition": catalogue.edition, "sections": sections, "archive": made }));
        return Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(["section", "rows", "bytes", "ms"]);
    for at in 1..=3 {
        if let Some(column) = table.column_mut(at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let (mut rows, mut bytes, mut millis) = (0, 0, 0);
    for section in &seen.sections {
        millis += section.millis;
        match &section.read {
            Ok(read) => {
                rows += read.rows;
                bytes += read.bytes;
                table.add_row([section.name.clone(), thousands(read.rows), thousands(read.bytes), thousands(section.millis)]);
            }
            Err(_) => {
                table.add_row([section.name.clone(), "FAULT".to_owned(), String::new(), thousands(section.millis)]);
            }
        }
    }
    table.add_row(["together".to_owned(), thousands(rows), thousands(bytes), thousands(millis)]);
    say!("{table}");
    for section in &seen.sections {
        match &section.read {
            Ok(read) if read.rows == 0 => {}
            Ok(read) => {
                say!("\n{}", section.name);
                tell_first(read)?;
            }
            Err(why) => say!("\n{}\n  FAULT   {why}", section.name),
        }
    }
    if let Some((file, made)) = archive {
        let size = thousands(size_of(file));
        say!(
            "\n{}: {}, {size} bytes, of {} before compression",
            file.display(),
            counted(made.files.len(), "member"),
            thousands(made.json_bytes)
        );
    }
    match failed {
        0 => Ok(ExitCode::SUCCESS),
        count => {
            say!(
                "\n{} cannot be read{}",
                counted(count, "section"),
                if args.archive.is_some() { "; no archive was built" } else { "" }
            );
            Ok(ExitCode::FAILURE)
        }
    }
}

fn size_of(file: &Path) -> u64 {
    std::fs::metadata(file).map(|found| found.len()).unwrap_or_default()
}

fn tell_first(read: &Read) -> anyhow::Result<()> {
    for row in &read.first {
        let text: String = row.to_string();
        let short: String = text.chars().take(WIDTH).collect();
        say!("  {short}{}", if short.len() < text.len() { " .." } else { "" });
    }
    let more = read.rows.saturating_sub(read.first.len() as u64);
    if more > 0 {
        say!("  and {} more", thousands(more));
    }
    Ok(())
}

/// The whole archive, as a request for everything would get it.
async fn build(catalogue: &Arc<Catalogue>, sources: &Sources, args: &PreviewArgs, file: &Path) -> anyhow::Result<Summary> {
    let categories = match catalogue.category(ALL_DATA) {
        Some(_) => vec![ALL_DATA.to_owned()],
        None => catalogue.categories().iter().map(|category| category.name.clone()).collect(),
    };
    let format = args.format;
    let identity = Identity::default();
    let order = Order {
        subject: args.person.clone(),
        categories,
        format,
        at: now(),
        since: None,
        until: None,
        identity,
        level: 6,
        documents: None,
    };
    // A half-written archive must not lie where a whole one is looked for.
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let scratch = tempfile::NamedTempFile::new_in(folder).with_context(|| format!("{} cannot be written", file.display()))?;
    let (progress, cancel) = (Arc::new(Progress::default()), CancellationToken::new());
    let made = write(catalogue.clone(), sources, order, scratch.reopen()?, progress, cancel).await?;
    scratch.persist(file).with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(made)
}
