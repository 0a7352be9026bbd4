//! `portward catalog publish`: freezes an edition. And the editions that were frozen, for whoever compares the catalogue with them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use archive::catalogue::Catalogue;
use archive::catalogue::contents::{Contents, Live, Type};
use archive::catalogue::edition::{Change, Edition, Editions, Refusal, changes};
use archive::discover::{Finding, Level};
use archive::source::Sources;
use clap::Args;
use jiff::civil::Date;
use serde_json::json;

use super::{WhichCatalogue, now};
use crate::out::say;

#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    #[command(flatten)]
    which: WhichCatalogue,
    /// The day from which the edition holds; needed where it breaks readers of the one before
    #[arg(long, value_name = "DATE")]
    from: Option<Date>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The folder of editions, beside the catalogue.
const FOLDER: &str = "editions";
const CHANGELOG: &str = "CHANGELOG.md";

pub(super) async fn publish(args: PublishArgs) -> anyhow::Result<ExitCode> {
    let catalogue = args.which.load()?;
    let sources = Sources::open(&catalogue, args.which.folder()).await?;
    let live = super::schema::columns(&catalogue, &sources).await?;
    let undeclared = undeclared(&catalogue, &live);
    if !undeclared.is_empty() {
        let what = "some sections declare fields, and have columns that none of them declares. Declare, hide or leave out:";
        return refuse(&args, what, &undeclared);
    }
    let folder = args.which.folder().join(FOLDER);
    let editions = read(&folder)?;
    match editions.publish(Contents::with(&catalogue, &live), args.from, today()) {
        Err(refusal) => {
            let told = match &refusal {
                Refusal::Frozen { changes, .. } | Refusal::Breaking { changes, .. } => changes.iter().map(words).collect(),
                _ => Vec::new(),
            };
            refuse(&args, &refusal.to_string(), &told)
        }
        Ok(None) => {
            // The changelog is made from the editions, whoever has changed it since.
            put(&folder.join(CHANGELOG), &editions.changelog())?;
            if args.json {
                say!("{}", json!({ "published": false, "edition": catalogue.edition }));
            } else {
                say!("edition {} is published, as it is", catalogue.edition);
            }
            Ok(ExitCode::SUCCESS)
        }
        Ok(Some(edition)) => {
            std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
            let file = folder.join(format!("{}.json", edition.edition));
            let mut text = serde_json::to_string_pretty(&edition)?;
            text.push('\n');
            keep(&file, &text)?;
            if args.json {
                let changes = serde_json::to_value(&edition.changes)?;
                say!(
                    "{}",
                    json!({ "published": true, "edition": edition.edition, "file": file.display().to_string(), "changes": changes })
                );
            } else {
                let from = edition.holds_from.map_or(String::new(), |day| format!(", and holds from {day}"));
                say!("edition {} is published in {}{from}", edition.edition, file.display());
                for change in &edition.changes {
                    say!("  {}", words(change));
                }
            }
            put(&folder.join(CHANGELOG), &editions.with(edition).changelog())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The columns that sections with declared fields do not declare, as far as may be as the line that would declare them.
fn undeclared(catalogue: &Catalogue, live: &Live) -> Vec<String> {
    let mut told = Vec::new();
    for section in catalogue.sections() {
        let nests =
            section.nests.iter().map(|nest| (section.path.iter().cloned().chain([nest.field.clone()]).collect(), &nest.section));
        for (path, query) in std::iter::once((section.path.clone(), section)).chain(nests) {
            let Some(columns) = live.get(&path) else { continue };
            let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
            for name in query.undeclared(&names) {
                let line = match columns.iter().find(|(column, _)| *column == name) {
                    Some((_, kind)) if *kind != Type::Any => format!("{name:?} = {{ type = \"{}\" }}", kind.as_str()),
                    _ => format!("{name:?}"),
                };
                told.push(format!("{}: {}: {line}", section.place, path.join(" / ")));
            }
        }
    }
    told
}

fn refuse(args: &PublishArgs, what: &str, why: &[String]) -> anyhow::Result<ExitCode> {
    if args.json {
        say!("{}", json!({ "published": false, "refused": what, "because": why }));
        return Ok(ExitCode::FAILURE);
    }
    let mut text = what.to_owned();
    for line in why {
        // Writing into a string does not fail.
        let _ = write!(text, "\n  {line}");
    }
    anyhow::bail!("nothing is published: {text}")
}

fn words(change: &Change) -> String {
    format!("{}{}: {}", if change.breaking { "breaking: " } else { "" }, change.at, change.what)
}

/// Today, in UTC.
fn today() -> Date {
    now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// The editions in a folder; none where there is no folder.
fn read(folder: &Path) -> anyhow::Result<Editions> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Editions::default()),
        Err(error) => return Err(error).with_context(|| format!("{} cannot be read", folder.display())),
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let edition: Edition =
            serde_json::from_str(&text).with_context(|| format!("{} is not an edition of a catalogue", path.display()))?;
        anyhow::ensure!(
            path.file_stem().is_some_and(|stem| stem == edition.edition.as_str()),
            "{} holds edition {}: it must have its name",
            path.display(),
            edition.edition
        );
        found.push(edition);
    }
    Editions::in_order(found).with_context(|| format!("the editions in {} do not fit together", folder.display()))
}

/// Writes a file that must not be there yet, whole or not at all.
fn keep(path: &Path, text: &str) -> anyhow::Result<()> {
    let scratch = scratch(path, text)?;
    scratch.persist_noclobber(path).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(())
}

/// Writes a file, whole or not at all, if it is not as it should be.
fn put(path: &Path, text: &str) -> anyhow::Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|known| known == text) {
        return Ok(());
    }
    scratch(path, text)?.persist(path).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(())
}

fn scratch(path: &Path, text: &str) -> anyhow::Result<tempfile::NamedTempFile> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let made = || {
        let mut scratch = tempfile::NamedTempFile::new_in(folder)?;
        scratch.write_all(text.as_bytes())?;
        Ok(scratch)
    };
    made().map_err(|error: std::io::Error| anyhow::anyhow!("{} cannot be written: {error}", path.display()))
}

/// What is different between the catalogue and the editions that stand beside it. It is compared only where it fits its sources, which say what it
/// does not declare.
pub(super) async fn drift(catalogue: &Catalogue, folder: &Path, sources: &Sources, sound: bool) -> Vec<Finding> {
    let editions = match read(&folder.join(FOLDER)) {
        Ok(editions) => editions,
        Err(error) => {
            return vec![finding(Level::Fault, format!("{error:#}"), "restore the files of the editions as they were published")];
        }
    };
    let Some(last) = editions.last() else { return Vec::new() };
    let mut found: Vec<Finding> = early(&editions, catalogue).into_iter().collect();
    if !sound {
        return found;
    }
    let contents = Contents::with(catalogue, &sources.columns(catalogue).await);
    let known = editions.get(&catalogue.edition);
    let (before, cure, level) = match known {
        Some(known) => (known, "give the catalogue another `edition`, and publish it", Level::Warning),
        None => (last, "publish it with `portward catalog publish`", Level::Note),
    };
    for change in changes(&before.contents, &contents) {
        let (level, cure) = match (known, change.breaking) {
            (None, true) => (Level::Warning, "it breaks readers: publish it with `portward catalog publish --from DATE`"),
            _ => (level, cure),
        };
        found.push(finding(
            level,
            format!("since edition {} was published: {}: {}", before.edition, change.at, change.what),
            cure,
        ));
    }
    if known.is_none() && found.is_empty() {
        found.push(finding(Level::Note, format!("edition {} is not published", catalogue.edition), cure));
    }
    found
}

/// A catalogue that is served before the day that readers were told.
fn early(editions: &Editions, catalogue: &Catalogue) -> Option<Finding> {
    let known = editions.get(&catalogue.edition)?;
    let day = known.holds_from.filter(|day| *day > today())?;
    Some(finding(
        Level::Warning,
        format!("edition {} holds from {day}: it is not that day yet", known.edition),
        "serve the edition before it until then",
    ))
}

fn finding(level: Level, what: String, cure: &str) -> Finding {
    Finding { level, place: None, what, cure: cure.to_owned() }
}

/// Said in the log when a server starts on a catalogue whose day has not come.
pub(crate) fn warn_of_early(catalogue: &Catalogue, file: &Path) {
    let folder = file.parent().unwrap_or(Path::new("")).join(FOLDER);
    match read(&folder) {
        Ok(editions) => {
            if let Some(found) = early(&editions, catalogue) {
                tracing::warn!(edition = catalogue.edition, "{}; {}", found.what, found.cure);
            }
        }
        Err(error) => tracing::warn!(folder = %folder.display(), "{error:#}"),
    }
}
