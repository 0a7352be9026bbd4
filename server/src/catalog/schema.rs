//! `portward catalog schema`: what archives hold, for programs and for people.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use archive::catalogue::contents::{Contents, Live};
use archive::catalogue::{Catalogue, dictionary, schema};
use archive::source::Sources;
use clap::Args;
use serde_json::{Map, Value};

use super::{WhichCatalogue, counted};
use crate::out::say;

#[derive(Debug, Args)]
pub(super) struct SchemaArgs {
    #[command(flatten)]
    which: WhichCatalogue,
    /// Write schemas and dictionaries into this folder, instead of printing the schemas
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only this category
    #[arg(long, value_name = "NAME")]
    category: Option<String>,
    /// Ask the sources for the types of columns that the catalogue does not declare
    #[arg(long)]
    live: bool,
}

pub(super) async fn schema(args: SchemaArgs) -> anyhow::Result<ExitCode> {
    let catalogue = args.which.load()?;
    let live = if args.live {
        let sources = Sources::open(&catalogue, args.which.folder()).await?;
        columns(&catalogue, &sources).await?
    } else {
        Live::new()
    };
    let contents = Contents::with(&catalogue, &live);
    let wanted: Vec<&str> = match &args.category {
        None => contents.categories.keys().map(String::as_str).collect(),
        Some(name) => {
            let (name, _) = contents.category(name).with_context(|| format!("the catalogue has no category {name}"))?;
            vec![name]
        }
    };
    match (&args.out, &args.category) {
        (Some(folder), _) => {
            let files = write(&contents, &wanted, folder)?;
            say!("{}, {} in {}", counted(wanted.len(), "category"), counted(files, "file"), folder.display());
        }
        (None, Some(_)) => say!("{:#}", schema::category(&contents, wanted.first().copied().unwrap_or_default())),
        (None, None) => {
            let all: Map<String, Value> =
                wanted.iter().map(|name| ((*name).to_owned(), schema::category(&contents, name))).collect();
            say!("{:#}", Value::Object(all));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What the sources say of their columns; all of them must be there to say it.
pub(super) async fn columns(catalogue: &Catalogue, sources: &Sources) -> anyhow::Result<Live> {
    let faults = sources.check(catalogue).await;
    if let Some(fault) = faults.first() {
        let more = if faults.len() > 1 { format!(" (and {} more)", faults.len() - 1) } else { String::new() };
        anyhow::bail!("the catalogue does not fit its sources: {fault}{more}");
    }
    Ok(sources.columns(catalogue).await)
}

/// For each category its schema and its dictionary twice; for each section the schema of a line of NDJSON.
fn write(contents: &Contents, categories: &[&str], folder: &Path) -> anyhow::Result<usize> {
    let mut files = Vec::new();
    for name in categories {
        files.push((format!("{name}.schema.json"), pretty(&schema::category(contents, name))));
        files.push((format!("{name}.dictionary.json"), pretty(&dictionary::as_json(contents, name))));
        files.push((format!("{name}.md"), dictionary::as_markdown(contents, name)));
    }
    for section in &contents.sections {
        if categories.iter().any(|name| contents.sections_of(name).any(|taken| taken.path == section.path)) {
            files.push((format!("lines/{}.schema.json", section.file), pretty(&schema::line(contents, section))));
        }
    }
    for (name, text) in &files {
        let path = folder.join(name);
        let within = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(within).with_context(|| format!("{} cannot be made", within.display()))?;
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(files.len())
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
