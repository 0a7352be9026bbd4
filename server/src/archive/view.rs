//! `portward archive view`

use std::process::ExitCode;

use archive::manifest::Manifest;
use archive::read::{Contents, MemberKind, inspect_reader};
use archive::verify::manifest_of;
use clap::Args;
use comfy_table::{CellAlignment, Table};
use serde_json::{Value, json};

use super::verify::line;
use super::{WhichArchive, open};
use crate::demo::thousands;
use crate::out::say;

#[derive(Debug, Args)]
pub(super) struct ViewArgs {
    #[command(flatten)]
    which: WhichArchive,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn view(args: ViewArgs) -> anyhow::Result<ExitCode> {
    let file = open(&args.which.file)?;
    match manifest_of(file.try_clone()?)? {
        Some(manifest) if args.json => say!("{:#}", json!({ "manifest": manifest })),
        Some(manifest) => said(&manifest)?,
        None => {
            let contents = inspect_reader(file, None)?;
            if args.json {
                say!("{:#}", json!({ "manifest": null, "files": files(&contents) }));
            } else {
                seen(&contents)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn table(head: &[&str], numbers: &[usize]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_header(head);
    for at in numbers {
        if let Some(column) = table.column_mut(*at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// What an archive says of itself.
fn said(manifest: &Manifest) -> anyhow::Result<()> {
    let request = &manifest.request;
    let facts = [
        ("operator", Some(manifest.operator.name.clone())),
        ("app", Some(manifest.app.name.clone())),
        ("person", manifest.person.open_id.clone()),
        ("request", Some(request.id.clone())),
        ("asked", Some(request.applied_at.clone())),
        ("categories", Some(request.categories.join(", "))),
        ("format", Some(request.format.clone())),
        ("since", request.since.clone()),
        ("until", request.until.clone()),
        ("edition", Some(manifest.catalogue.edition.clone())),
        ("signed by", Some(manifest.signature.as_ref().map_or_else(|| "nobody".to_owned(), |signed| signed.kid.clone()))),
    ];
    for (name, fact) in facts.into_iter().filter_map(|(name, fact)| Some((name, fact?))) {
        say!("{name:<11} {}", line(&fact));
    }
    for source in &manifest.sources {
        let when = if source.from == source.to { source.from.clone() } else { format!("{} to {}", source.from, source.to) };
        let shows = match source.snapshot.as_str() {
            "request" => "one moment",
            "section" => "one moment for each section",
            _ => "no one moment",
        };
        say!("{:<11} {}: {shows}, {}", "source", line(&source.name), line(&when));
    }
    say!("");
    let mut rows = table(&["file", "section", "rows", "bytes"], &[2, 3]);
    for file in &manifest.files {
        rows.add_row([line(&file.name), String::new(), String::new(), thousands(file.bytes)]);
        for section in &file.sections {
            rows.add_row([String::new(), line(&section.name()), thousands(section.rows), String::new()]);
            for nested in &section.nested {
                rows.add_row([String::new(), format!("  in \"{}\"", line(&nested.field)), thousands(nested.rows), String::new()]);
            }
        }
    }
    say!("{rows}");
    if !manifest.omissions.is_empty() {
        say!("\nnot there, or not as it stands at its source:");
    }
    for omission in &manifest.omissions {
        let mut place = vec![omission.section.join(" / ")];
        place.extend(omission.field.iter().map(|field| format!("\"{field}\"")));
        let values = omission.values.map(|values| format!("{} x ", thousands(values))).unwrap_or_default();
        say!("  {}: {values}{}", line(&place.join(", ")), line(&omission.reason));
    }
    say!("\nThis is what the archive says of itself; `portward archive verify` checks it.");
    Ok(())
}

fn files(contents: &Contents) -> Vec<Value> {
    let file = |member: &archive::read::Member| {
        let mut file = json!({ "name": member.name, "bytes": member.size, "packed_bytes": member.compressed });
        match &member.kind {
            MemberKind::Json(sections) => {
                file["sections"] = sections.iter().map(|section| json!({ "path": section.path, "rows": section.rows })).collect();
            }
            MemberKind::Text { blocks, lines } => {
                file["blocks"] = json!(blocks);
                file["lines"] = json!(lines);
            }
            MemberKind::Other => {}
        }
        file
    };
    contents.members.iter().map(file).collect()
}

/// What is seen of an archive that says nothing of itself.
fn seen(contents: &Contents) -> anyhow::Result<()> {
    let mut rows = table(&["file", "section", "rows", "bytes"], &[2, 3]);
    for member in &contents.members {
        let count = match &member.kind {
            MemberKind::Text { blocks, .. } => thousands(*blocks),
            _ => String::new(),
        };
        rows.add_row([line(&member.name), String::new(), count, thousands(member.size)]);
        if let MemberKind::Json(sections) = &member.kind {
            for section in sections {
                rows.add_row([String::new(), line(&section.path.join(" / ")), thousands(section.rows), String::new()]);
            }
        }
    }
    say!("{rows}");
    say!("\nThe archive says nothing of itself; rows are as they were counted (of texts, their blocks).");
    Ok(())
}
