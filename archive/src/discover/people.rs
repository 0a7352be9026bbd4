//! Two people side by side: no record may be of both, unless the catalogue says that it is shared.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Seek;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::{Finding, Level};
use crate::catalogue::{ALL_DATA, Catalogue};
use crate::source::Sources;
use crate::write::{ExportError, Format, Identity, Order, Progress};

/// Why two people could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// A section could not be read.
    #[error("{0}")]
    Export(#[from] ExportError),
    /// What was read could not be kept.
    #[error("the keys cannot be kept: {0}")]
    Io(#[from] std::io::Error),
}

/// Reads the keys of every section for both people, and tells the sections in which one key is of both.
pub async fn apart(
    catalogue: &Catalogue,
    sources: &Sources,
    people: [&str; 2],
    at: jiff::Timestamp,
) -> Result<Vec<Finding>, PeopleError> {
    let keys = Arc::new(catalogue.keys_only());
    let mut findings = Vec::new();
    if !keys.sections().is_empty() {
        let first = read(&keys, sources, people[0], at).await?;
        let second = read(&keys, sources, people[1], at).await?;
        let (_, seen) = collect(first, catalogue.sections().len(), None).await?;
        let (counts, _) = collect(second, catalogue.sections().len(), Some(seen)).await?;
        for (section, count) in catalogue.sections().iter().zip(counts) {
            if count > 0 && !section.shared {
                findings.push(Finding {
                    level: Level::Fault,
                    place: Some(section.place.clone()),
                    what: format!(
                        "section \"{}\": {count} record{} both people's, by the key {}",
                        section.name(),
                        if count == 1 { " is" } else { "s are" },
                        section.query.as_ref().map(|query| query.key.join(", ")).unwrap_or_default()
                    ),
                    cure: "correct the query's joins; if such records are of several people, write shared = true".to_owned(),
                });
            }
        }
    }
    for section in catalogue.sections() {
        if section.query.as_ref().is_some_and(|query| query.key.is_empty()) {
            findings.push(Finding {
                level: Level::Note,
                place: Some(section.place.clone()),
                what: format!("section \"{}\" has no key: its records were not compared", section.name()),
                cure: "name the columns that identify a record in `key`".to_owned(),
            });
        }
    }
    findings.sort_by_key(|finding| finding.level);
    Ok(findings)
}

async fn read(keys: &Arc<Catalogue>, sources: &Sources, person: &str, at: jiff::Timestamp) -> Result<File, PeopleError> {
    let file = tempfile::tempfile()?;
    let order = Order {
        subject: person.to_owned(),
        categories: vec![ALL_DATA.to_owned()],
        format: Format::Json,
        at,
        since: None,
        until: None,
        identity: Identity::default(),
        level: 1,
        documents: None,
    };
    let (progress, cancel) = (Arc::new(Progress::default()), CancellationToken::new());
    crate::write::write(keys.clone(), sources, order, file.try_clone()?, progress, cancel).await?;
    Ok(file)
}

/// Records by their section and the hash of their key.
type Seen = HashSet<(usize, u64)>;

/// Reads keys: notes them, or counts those that were noted, by section.
async fn collect(mut file: File, sections: usize, seen: Option<Seen>) -> Result<(Vec<u64>, Seen), std::io::Error> {
    let work = move || {
        file.rewind()?;
        let mut zip = zip::ZipArchive::new(file).map_err(std::io::Error::other)?;
        let member = zip.by_index(0).map_err(std::io::Error::other)?;
        let counting = seen.is_some();
        let mut keys = Keys { counts: vec![0; sections], seen: seen.unwrap_or_default(), counting };
        let mut read = serde_json::Deserializer::from_reader(std::io::BufReader::new(member));
        Document(&mut keys).deserialize(&mut read).map_err(std::io::Error::other)?;
        Ok((keys.counts, keys.seen))
    };
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

struct Keys {
    counts: Vec<u64>,
    seen: Seen,
    counting: bool,
}

struct Document<'k>(&'k mut Keys);

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("sections by their numbers")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(name) = map.next_key::<String>()? {
            map.next_value_seed(Records(name.parse().unwrap_or_default(), self.0))?;
        }
        Ok(())
    }
}

struct Records<'k>(usize, &'k mut Keys);

impl<'de> DeserializeSeed<'de> for Records<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Records<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list of keys")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut records: S) -> Result<(), S::Error> {
        let Self(section, keys) = self;
        while let Some(record) = records.next_element::<Box<RawValue>>()? {
            let mut hasher = DefaultHasher::new();
            record.get().hash(&mut hasher);
            let key = (section, hasher.finish());
            if !keys.counting {
                keys.seen.insert(key);
            } else if keys.seen.contains(&key)
                && let Some(count) = keys.counts.get_mut(section)
            {
                *count += 1;
            }
        }
        Ok(())
    }
}
