//! An archive against its sources: every section is read and rendered again, and its rows are compared with the archive's as a multiset. This is what an
//! operator shows to whoever asks whether an archive was whole.

mod ledger;
mod units;

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use self::ledger::{Hash, Side};
use self::units::{Plan, Strangers, Unit, Which};
use crate::catalogue::{ALL_DATA, Catalogue};
use crate::manifest::Manifest;
use crate::source::Sources;
use crate::write::{ExportError, Format, Identity, Order, Progress, SectionSummary};

/// Records that are named for each section.
const NAMED: usize = 10;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The categories that were read again.
    pub categories: Vec<String>,
    /// Each section, or each text file with its sections, and the folder of media, if they are members.
    pub sections: Vec<Compared>,
    /// What the archive holds and the catalogue does not know.
    pub unknown: Vec<String>,
}

/// A section on both sides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// Its path.
    pub section: String,
    /// Its rows in the archive (of texts, their blocks).
    pub archive_rows: u64,
    /// Its rows at the source, now.
    pub source_rows: u64,
    /// Of media: the bytes of its files in the archive and in the object stores. Rows are files there, compared by their names and their bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Bytes>,
    /// Records that the source has and the archive has not.
    pub missing: u64,
    /// Records that the archive has and the source has not.
    pub extra: u64,
    /// Records that both have, and that differ.
    pub changed: u64,
    /// Whether the same records come in another order.
    pub reordered: bool,
    /// How records were told apart: by the section's `key`, or by all that they hold. Then a changed one is both missing and extra.
    pub by: By,
    /// The first of the records that differ, by their keys.
    pub records: Vec<String>,
    /// What the catalogue's rules leave out or alter.
    pub omitted: Vec<Omitted>,
    /// Fields of which only is compared whether they have a value, because they are written anew for every grant or archive: pseudonyms, links.
    pub not_compared: Vec<String>,
}

/// Bytes of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bytes {
    /// In the archive.
    pub archive: u64,
    /// At the source.
    pub source: u64,
}

/// How records are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// By the columns of the section's `key`.
    Key,
    /// By all that they hold.
    #[default]
    Content,
    /// Not at all: they were counted.
    Count,
}

/// A field that is not written as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Omitted {
    /// The field.
    pub field: String,
    /// The rule.
    pub rule: String,
    /// Whether it is not there at all.
    pub left_out: bool,
}

impl Compared {
    /// Whether both sides are the same.
    pub fn is_same(&self) -> bool {
        (self.missing, self.extra, self.changed) == (0, 0, 0) && !self.reordered && self.archive_rows == self.source_rows
    }
}

impl Comparison {
    /// Whether the archive holds what the sources hold.
    pub fn is_same(&self) -> bool {
        self.unknown.is_empty() && self.sections.iter().all(Compared::is_same)
    }
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The archive, or the room for the other one.
    #[error("the archive cannot be read: {0}")]
    Archive(#[from] io::Error),
    /// The sources.
    #[error(transparent)]
    Source(#[from] ExportError),
    /// A time of the manifest.
    #[error("the manifest's {0} cannot be read")]
    Manifest(&'static str),
}

/// What is compared.
#[derive(Clone, Debug)]
pub struct Question {
    /// The person, as the operator's databases name them.
    pub person: String,
    /// What the archive was asked for; without it, what its manifest says, or everything.
    pub categories: Option<Vec<String>>,
    /// What the archive says of itself.
    pub manifest: Option<Manifest>,
    /// The time of the archive that is made to compare with.
    pub at: jiff::Timestamp,
}

/// Compares an archive, which should have been verified, with what its sources hold now.
pub async fn compare(
    catalogue: Arc<Catalogue>,
    sources: &Sources,
    archive: &File,
    question: Question,
) -> Result<Comparison, CompareError> {
    let asked = question.manifest.as_ref().map(|manifest| &manifest.request);
    let categories = question.categories.clone().or_else(|| asked.map(|asked| asked.categories.clone()));
    let categories = categories.unwrap_or_else(|| everything(&catalogue));
    let format = match asked {
        Some(asked) => asked.format.parse().map_err(|_| CompareError::Manifest("format"))?,
        None => guess(archive)?,
    };
    let moment = |text: Option<&String>, what| -> Result<Option<jiff::Timestamp>, CompareError> {
        text.map(|text| text.parse().map_err(|_| CompareError::Manifest(what))).transpose()
    };
    let open_id = question.manifest.as_ref().and_then(|manifest| manifest.person.open_id.clone());
    let knows_open_id = open_id.is_some();
    let order = Order {
        subject: question.person,
        categories: categories.clone(),
        format,
        at: question.at,
        since: moment(asked.and_then(|asked| asked.since.as_ref()), "since")?,
        until: moment(asked.and_then(|asked| asked.until.as_ref()), "until")?,
        // Fields that need a secret are there, and are not compared.
        identity: Identity {
            open_id: Some(open_id.unwrap_or_else(|| "-".to_owned())),
            grant_secret: Some([0; 32]),
            archive_secret: Some([0; 32]),
            links: None,
        },
        level: 1,
        documents: None,
    };
    let fresh = tempfile::tempfile()?;
    let (progress, cancel) = (Arc::new(Progress::default()), CancellationToken::new());
    let summary = crate::write::write(catalogue.clone(), sources, order, fresh.try_clone()?, progress, cancel).await?;
    let archive = archive.try_clone()?;
    let done = tokio::task::spawn_blocking(move || {
        let plan = Plan::new(&catalogue, &categories, format, knows_open_id);
        let (sections, unknown) = sides(&plan, &catalogue, &archive, &fresh, &summary.sections)?;
        Ok(Comparison { categories, sections, unknown })
    });
    done.await.map_err(io::Error::other)?
}

fn everything(catalogue: &Catalogue) -> Vec<String> {
    match catalogue.category(ALL_DATA) {
        Some(_) => vec![ALL_DATA.to_owned()],
        None => catalogue.categories().iter().map(|category| category.name.clone()).collect(),
    }
}

/// The form of an archive that does not say it, by its members' names.
fn guess(archive: &File) -> io::Result<Format> {
    let mut file = archive.try_clone()?;
    io::Seek::rewind(&mut file)?;
    let zip = zip::ZipArchive::new(io::BufReader::new(file)).map_err(io::Error::other)?;
    let names: Vec<String> = (0..zip.len()).filter_map(|at| Some(zip.name_for_index(at)?.ok()?.into_owned())).collect();
    let has = |end: &str| names.iter().any(|name| name.ends_with(end));
    Ok(match () {
        () if has(".ndjson") => Format::Ndjson,
        () if has(".csv") => Format::Csv,
        () if has(".json") => Format::Json,
        () => Format::Text,
    })
}

/// What was seen of one side.
struct Seen {
    side: Side,
    rows: Vec<u64>,
    bytes: Vec<u64>,
    order: Vec<Sha256>,
    /// Places whose records were told apart by their keys.
    keyed: Vec<bool>,
    strangers: Strangers,
}

fn see(plan: &Plan, which: Which, archive: &File) -> io::Result<Seen> {
    let count = plan.places.len();
    let (mut side, mut rows, mut order) = (Side::default(), vec![0; count], vec![Sha256::new(); count]);
    let (mut keyed, mut bytes) = (vec![true; count], vec![0; count]);
    let strangers = plan.walk(which, archive, &mut |unit: Unit<'_>| {
        rows[unit.place] += 1;
        bytes[unit.place] += unit.bytes;
        order[unit.place].update(unit.content);
        keyed[unit.place] &= unit.key != unit.content;
        side.add(u32::try_from(unit.place).unwrap_or(u32::MAX), &unit.key, &unit.content)
    })?;
    Ok(Seen { side, rows, bytes, order, keyed, strangers })
}

fn sides(
    plan: &Plan,
    catalogue: &Catalogue,
    archive: &File,
    fresh: &File,
    summaries: &[SectionSummary],
) -> Result<(Vec<Compared>, Vec<String>), CompareError> {
    let mut left = see(plan, Which::Given, archive)?;
    let mut right = see(plan, Which::Fresh, fresh)?;
    let mut compared: Vec<Compared> = Vec::with_capacity(plan.places.len());
    for (at, place) in plan.places.iter().enumerate() {
        let mut omitted = Vec::new();
        for section in place.sections.iter().filter_map(|index| catalogue.sections().get(*index)) {
            let summary = summaries.iter().find(|summary| summary.path == section.path);
            omitted.extend(summary.into_iter().flat_map(|summary| &summary.ruled).map(|ruled| Omitted {
                field: ruled.column.clone(),
                rule: ruled.rule.as_str().to_owned(),
                left_out: ruled.left_out,
            }));
        }
        compared.push(Compared {
            section: place.name.clone(),
            archive_rows: left.rows[at],
            source_rows: right.rows[at],
            bytes: place.files.then(|| Bytes { archive: left.bytes[at], source: right.bytes[at] }),
            by: match (place.counted_only, left.rows[at] + right.rows[at] > 0 && left.keyed[at] && right.keyed[at]) {
                (true, _) => By::Count,
                (_, true) => By::Key,
                (_, false) => By::Content,
            },
            omitted,
            not_compared: place.masked.clone(),
            ..Compared::default()
        });
    }
    let mut unlike: Vec<(usize, Hash)> = Vec::new();
    let mut named = vec![0usize; compared.len()];
    ledger::compare(&mut left.side, &mut right.side, |place, key, found| {
        let Some(section) = compared.get_mut(place as usize) else { return };
        let both = found.left.min(found.right);
        section.changed += both;
        section.extra += found.left - both;
        section.missing += found.right - both;
        if section.by == By::Key && named[place as usize] < NAMED {
            named[place as usize] += 1;
            unlike.push((place as usize, key));
        }
    })?;
    for (at, section) in compared.iter_mut().enumerate() {
        let same = (section.missing, section.extra, section.changed) == (0, 0, 0);
        section.reordered = same && left.order[at].clone().finalize() != right.order[at].clone().finalize();
    }
    name(plan, archive, fresh, &unlike, &mut compared)?;
    Ok((compared, left.strangers.0))
}

/// Names the records that differ: their keys are in the archives, and were not kept.
fn name(plan: &Plan, archive: &File, fresh: &File, unlike: &[(usize, Hash)], compared: &mut [Compared]) -> io::Result<()> {
    if unlike.is_empty() {
        return Ok(());
    }
    let wanted: HashSet<(usize, Hash)> = unlike.iter().copied().collect();
    let mut words: [Vec<(usize, Hash, String)>; 2] = Default::default();
    for (words, (which, file)) in words.iter_mut().zip([(Which::Given, archive), (Which::Fresh, fresh)]) {
        plan.walk(which, file, &mut |unit: Unit<'_>| {
            if wanted.contains(&(unit.place, unit.key)) && words.len() < 4 * wanted.len() {
                words.push((unit.place, unit.key, unit.words.to_owned()));
            }
            Ok(())
        })?;
    }
    let [left, right] = words;
    for (place, key) in unlike {
        let find =
            |among: &[(usize, Hash, String)]| among.iter().find(|one| (one.0, one.1) == (*place, *key)).map(|one| one.2.clone());
        let told = match (find(&left), find(&right)) {
            (Some(words), Some(_)) => format!("changed: {words}"),
            (Some(words), None) => format!("extra: {words}"),
            (None, Some(words)) => format!("missing: {words}"),
            (None, None) => continue,
        };
        if let Some(section) = compared.get_mut(*place) {
            section.records.push(told);
        }
    }
    compared.iter_mut().for_each(|section| section.records.sort());
    Ok(())
}
