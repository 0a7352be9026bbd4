//! `portward catalog check`, and the part of it that `portward check` shares.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use archive::catalogue::{Catalogue, Place};
use archive::discover::{Finding, Level, apart, inspect};
use archive::source::Sources;
use clap::Args;
use serde_json::json;

use super::{WhichCatalogue, counted, now};
use crate::config::Config;
use crate::out::say;
use crate::state;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    which: WhichCatalogue,
    /// Read every section for two people, and fail if a record is both people's
    #[arg(long, value_name = "A,B", value_delimiter = ',', num_args = 1)]
    people: Vec<String>,
    /// The configuration, to compare with the edition that was published last
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Fail on warnings too
    #[arg(long)]
    strict: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Everything there is to say about a catalogue and its sources, the worst first.
pub(crate) async fn findings(catalogue: &Catalogue, folder: &Path) -> Result<(Sources, Vec<Finding>), Finding> {
    let sources = Sources::open(catalogue, folder).await.map_err(|fault| Finding {
        level: Level::Fault,
        place: None,
        what: fault.to_string(),
        cure: "correct the source's address".to_owned(),
    })?;
    let examined = sources.examine(catalogue).await;
    let mut found: Vec<Finding> = examined
        .faults
        .into_iter()
        .chain(examined.warnings)
        .map(|fault| Finding {
            level: if fault.warning { Level::Warning } else { Level::Fault },
            place: Some(Place { file: fault.file.into(), line: fault.line.unwrap_or(0) }),
            what: fault.what,
            cure: fault.cure,
        })
        .collect();
    found.extend(inspect(catalogue, folder).await);
    found.extend(Sources::unchecked(catalogue).into_iter().map(|(section, reason)| Finding {
        level: Level::Note,
        place: Some(section.place.clone()),
        what: format!("section \"{}\": the owner of its rows is not checked: {reason}", section.name()),
        cure: "name the owner's column, if there is one".to_owned(),
    }));
    let sound = found.iter().all(|finding| finding.level != Level::Fault);
    found.extend(super::publish::drift(catalogue, folder, &sources, sound).await);
    found.sort_by_key(|finding| finding.level);
    Ok((sources, found))
}

pub(super) async fn check(args: CheckArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(args.people.is_empty() || args.people.len() == 2, "--people takes two people: --people A,B");
    let catalogue = match args.which.load() {
        Ok(catalogue) => catalogue,
        Err(fault) if args.json => {
            say!("{}", json!({ "faults": 1, "warnings": 0, "findings": [{ "level": "fault", "what": fault.to_string() }] }));
            return Ok(ExitCode::FAILURE);
        }
        Err(fault) => return Err(fault),
    };
    let mut found = match findings(&catalogue, args.which.folder()).await {
        Ok((sources, mut found)) => {
            let sound = found.iter().all(|finding| finding.level != Level::Fault);
            if let [first, second] = args.people.as_slice() {
                if sound {
                    found.extend(people(&catalogue, &sources, [first, second]).await);
                } else {
                    found.push(Finding {
                        level: Level::Note,
                        place: None,
                        what: "the two people were not compared, because of the faults".to_owned(),
                        cure: "correct the faults first".to_owned(),
                    });
                }
            }
            found
        }
        Err(fault) => vec![fault],
    };
    if let Some(config) = &args.config {
        found.extend(drift(&catalogue, config).await?);
    }
    found.sort_by_key(|finding| finding.level);
    let count = |level: Level| found.iter().filter(|finding| finding.level == level).count();
    let (faults, warnings) = (count(Level::Fault), count(Level::Warning));
    if args.json {
        let listed: Vec<_> = found.iter().map(as_json).collect();
        say!("{}", json!({ "faults": faults, "warnings": warnings, "findings": listed }));
    } else {
        for finding in &found {
            tell(finding)?;
        }
        say!(
            "{}, {}, edition {}: {}",
            counted(catalogue.categories().len(), "category"),
            counted(catalogue.sections().len(), "section"),
            catalogue.edition,
            match (faults, warnings) {
                (0, 0) => "it serves".to_owned(),
                (0, warnings) => format!("it serves, with {}", counted(warnings, "warning")),
                (faults, 0) => counted(faults, "fault"),
                (faults, warnings) => format!("{}, {}", counted(faults, "fault"), counted(warnings, "warning")),
            }
        );
    }
    let fine = faults == 0 && (warnings == 0 || !args.strict);
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn people(catalogue: &Catalogue, sources: &Sources, people: [&str; 2]) -> Vec<Finding> {
    let fault = |what: String, cure: &str| vec![Finding { level: Level::Fault, place: None, what, cure: cure.to_owned() }];
    if people[0] == people[1] {
        return fault("--people names one person twice".to_owned(), "name two people");
    }
    match apart(catalogue, sources, people, now()).await {
        Ok(found) => found,
        Err(error) => fault(format!("the two people cannot be compared: {error}"), "correct what it says, then try again"),
    }
}

/// What is different from the edition that was published last.
async fn drift(catalogue: &Catalogue, config: &Path) -> anyhow::Result<Vec<Finding>> {
    let config = Config::read(config)?;
    let db = state::open_store(&config).await?;
    let drift = platform::editions::drift(&db, catalogue).await;
    db.close().await;
    let Some(drift) = drift? else { return Ok(Vec::new()) };
    let same = drift.edition == catalogue.edition;
    let found = drift.changes.into_iter().map(|change| Finding {
        level: if same { Level::Warning } else { Level::Note },
        place: None,
        what: format!("since edition {} was published: {change}", drift.edition),
        cure: if same { "give the catalogue another `edition`, so that developers are told" } else { "developers will be told" }
            .to_owned(),
    });
    Ok(found.collect())
}

fn as_json(finding: &Finding) -> serde_json::Value {
    let place = finding.place.as_ref();
    json!({
        "level": finding.level.as_str(),
        "file": place.map(|place| place.file.to_string()),
        "line": place.map(|place| place.line),
        "what": finding.what,
        "cure": finding.cure,
    })
}

/// As `portward check` has it: the level, where, what, and what to do.
fn tell(finding: &Finding) -> anyhow::Result<()> {
    let level = match finding.level {
        Level::Fault => "FAULT",
        Level::Warning => "warning",
        Level::Note => "note",
    };
    let place = match &finding.place {
        Some(place) if place.line > 0 => format!("{place}: "),
        Some(place) => format!("{}: ", place.file),
        None => String::new(),
    };
    say!("{level:<8}{place}{}\n        {}", finding.what, finding.cure);
    Ok(())
}
