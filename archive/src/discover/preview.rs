//! What a person's archive would hold, section by section, with the time that each takes.

use std::fs::File;
use std::io::Seek;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::catalogue::{ALL_DATA, Catalogue, Section, Shape};
use crate::source::Sources;
use crate::write::{ExportError, Format, Identity, Order, Progress};

/// Every section for one person.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The sections that have a query, in the catalogue's order.
    pub sections: Vec<SectionPreview>,
}

/// One section for one person.
#[derive(Clone, Debug)]
pub struct SectionPreview {
    /// The section's path.
    pub name: String,
    /// How many rows, how many bytes of JSON, and the first rows; or why there are none.
    pub read: Result<Read, String>,
    /// How long it took, in milliseconds.
    pub millis: u64,
}

/// What was read of a section.
#[derive(Clone, Debug)]
pub struct Read {
    /// Its rows.
    pub rows: u64,
    /// Its bytes before compression.
    pub bytes: u64,
    /// Its first rows; of groups, the first ones with their rows.
    pub first: Vec<Value>,
}

/// Reads every section for a person, one after another, each as a request would. `now` is a clock in milliseconds.
pub async fn preview(
    catalogue: &Catalogue,
    sources: &Sources,
    person: &str,
    rows: usize,
    at: jiff::Timestamp,
    now: impl Fn() -> i64,
) -> Result<Preview, ExportError> {
    let mut sections = Vec::new();
    for (index, section) in catalogue.sections().iter().enumerate() {
        if section.query.is_none() {
            continue;
        }
        let begun = now();
        let read = read(catalogue, sources, index, person, rows, at).await;
        let millis = u64::try_from(now() - begun).unwrap_or_default();
        let read = match read {
            // What holds for all sections alike is told once.
            Err(error @ (ExportError::Subject(_) | ExportError::DiskFull | ExportError::Io(_))) => return Err(error),
            Err(ExportError::Section { failure, .. }) => Err(failure.to_string()),
            Err(error) => Err(error.to_string()),
            Ok(read) => Ok(read),
        };
        sections.push(SectionPreview { name: section.name(), read, millis });
    }
    Ok(Preview { sections })
}

async fn read(
    catalogue: &Catalogue,
    sources: &Sources,
    index: usize,
    person: &str,
    rows: usize,
    at: jiff::Timestamp,
) -> Result<Read, ExportError> {
    let one = Arc::new(catalogue.only(index));
    let file = tempfile::tempfile().map_err(ExportError::Io)?;
    let order = Order {
        subject: person.to_owned(),
        categories: vec![ALL_DATA.to_owned()],
        format: Format::Json,
        at,
        since: None,
        until: None,
        identity: Identity::default(),
        level: 3,
        documents: None,
    };
    let (progress, cancel) = (Arc::new(Progress::default()), CancellationToken::new());
    let out = file.try_clone().map_err(ExportError::Io)?;
    let summary = crate::write::write(one.clone(), sources, order, out, progress, cancel).await?;
    let listed = one.sections().first().is_some_and(is_listed);
    let first = tokio::task::spawn_blocking(move || first(file, rows, listed)).await.map_err(std::io::Error::other);
    let first = first.and_then(|first| first).map_err(ExportError::Io)?;
    let (rows, bytes) = summary.sections.first().map_or((0, 0), |section| (section.rows, section.bytes));
    Ok(Read { rows, bytes, first })
}

fn is_listed(section: &Section) -> bool {
    section.shape == Shape::List
}

fn first(mut file: File, rows: usize, listed: bool) -> std::io::Result<Vec<Value>> {
    file.rewind()?;
    let mut zip = zip::ZipArchive::new(file).map_err(std::io::Error::other)?;
    let member = zip.by_index(0).map_err(std::io::Error::other)?;
    let mut read = serde_json::Deserializer::from_reader(std::io::BufReader::new(member));
    let mut found = Vec::new();
    match (First { rows, listed, found: &mut found }).deserialize(&mut read) {
        Err(error) if found.len() < rows => Err(std::io::Error::other(error)),
        _ => Ok(found),
    }
}

/// The first rows of `{"rows": ..}`. When they are there, it stops with an error: behind them may be gigabytes.
struct First<'f> {
    rows: usize,
    listed: bool,
    found: &'f mut Vec<Value>,
}

impl<'de> DeserializeSeed<'de> for First<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for First<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a section's rows")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(IgnoredAny) = map.next_key()? {
            if self.listed {
                map.next_value_seed(First { rows: self.rows, listed: true, found: &mut *self.found })?;
            } else {
                let value: Value = map.next_value()?;
                if !value.is_null() && value != Value::Object(serde_json::Map::new()) {
                    self.found.push(value);
                }
            }
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut rows: S) -> Result<(), S::Error> {
        while let Some(row) = rows.next_element()? {
            self.found.push(row);
            if self.found.len() >= self.rows {
                return Err(S::Error::custom("enough"));
            }
        }
        Ok(())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Ok(())
    }
}
