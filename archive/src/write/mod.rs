//! From a catalogue, a person and a list of categories to an archive.
//!
//! Two sides work at once: the sources read and render (`rows`, `json`, `text`), one thread compresses and writes (`container`), others help it
//! while there are cores for them (`pieces`). Between them goes a short channel of buffers (`out`), so memory is flat whatever the
//! person's size.

mod binds;
mod container;
mod error;
mod intake;
mod join;
pub(crate) mod json;
mod keys;
mod lookup;
mod out;
mod pieces;
mod plan;
mod rows;
mod rules;
mod text;
mod turns;
pub(crate) mod value;
mod zip;

use std::fs::File;
use std::io::Seek;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::DataFormat;

use self::container::{ContainerError, Form};
use self::join::Reader;
use self::keys::Keys;
use self::out::{Mark, Message, Out, Spare, UNDER_WAY};
use self::pieces::Helpers;
use self::plan::Step;
use self::rows::Render;
use self::rules::Guise;
use self::turns::Turns;
use crate::catalogue::{Catalogue, Section, Shape};
use crate::source::Sources;
use crate::subject::Subject;

pub(crate) use self::binds::{Binds, Edge, edge, nanos_per_unit, whole_days, whole_units};
pub use self::error::{ExportError, Failure};
pub(crate) use self::intake::{Flow, Rows};
pub use self::rules::{Identity, Ruled};

/// What is to be made.
#[derive(Clone, Debug)]
pub struct Order {
    /// The person, as the operator's databases name them.
    pub subject: String,
    /// What is asked for; names and aliases both serve.
    pub categories: Vec<String>,
    /// JSON or TXT.
    pub format: DataFormat,
    /// The time of the members: handed in, so that the same order gives the same bytes.
    pub at: jiff::Timestamp,
    /// The first moment that is asked for, where a section has times.
    pub since: Option<jiff::Timestamp>,
    /// The first moment that is not.
    pub until: Option<jiff::Timestamp>,
    /// What stands for the person and for others.
    pub identity: Identity,
    /// How hard to compress: 0 stores, 1 is our own encoder, the fastest, and 2 to 9 are zlib's levels.
    pub level: u32,
}

/// How far it is. Read it at any time.
#[derive(Debug, Default)]
pub struct Progress {
    /// Rows rendered.
    pub rows: AtomicU64,
    /// Bytes rendered, before compression.
    pub bytes: AtomicU64,
    /// Sections done.
    pub sections_done: AtomicU64,
    /// Sections to do, constants not counted.
    pub sections_total: AtomicU64,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Each section that was read, in the order of the archive.
    pub sections: Vec<SectionSummary>,
    /// The members of the ZIP, in order.
    pub files: Vec<FileSummary>,
    /// Bytes before compression, of all members.
    pub json_bytes: u64,
}

/// A member of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSummary {
    /// Its name.
    pub name: String,
    /// Its bytes before compression.
    pub bytes: u64,
    /// Its bytes in the archive.
    pub packed: u64,
    /// The CRC-32 of what it holds.
    pub crc: u32,
}

/// What was made of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionSummary {
    /// Its path.
    pub path: Vec<String>,
    /// Its rows.
    pub rows: u64,
    /// Its bytes before compression.
    pub bytes: u64,
    /// Texts in it that were not UTF-8, and had U+FFFD put in their broken places.
    pub repaired: u64,
    /// The rows within its rows, by the field that holds them.
    pub nested: Vec<(String, u64)>,
    /// The fields that were not written as they are.
    pub ruled: Vec<Ruled>,
    /// Whether a range was asked for and the section has no times, so that it is whole.
    pub whole: bool,
}

/// Makes an archive in `file`, which must be empty and able to seek. On an error the file holds nothing of use. When the returned
/// future is dropped, the work stops by itself.
pub async fn write(
    catalogue: Arc<Catalogue>,
    sources: &Sources,
    order: Order,
    file: File,
    progress: Arc<Progress>,
    cancel: CancellationToken,
) -> Result<Summary, ExportError> {
    write_with(catalogue, sources, order, file, progress, cancel, container::SMALL).await
}

/// As [`write`], with another size from which a member is written as a large one, so that a test needs no four gigabytes.
#[doc(hidden)]
pub async fn write_with(
    catalogue: Arc<Catalogue>,
    sources: &Sources,
    order: Order,
    mut file: File,
    progress: Arc<Progress>,
    cancel: CancellationToken,
    small: u64,
) -> Result<Summary, ExportError> {
    let subject = Subject::parse(catalogue.subject, &order.subject).ok_or(ExportError::Subject(catalogue.subject))?;
    for name in &order.categories {
        if catalogue.category(name).is_none() {
            return Err(ExportError::Category(name.clone()));
        }
    }
    let mut export = Export {
        steps: plan::steps(&catalogue, &order.categories, order.format),
        binds: Binds::new(subject.clone(), order.since, order.until),
        subject,
        identity: order.identity,
        keys: Keys::default(),
        as_text: order.format == DataFormat::Text,
        catalogue,
        sources,
        progress,
        cancel,
        snapshot_lost: AtomicBool::new(false),
    };
    let form = Form { at: order.at, level: order.level, small, helpers: Helpers::of_process() };
    let mut again = PAUSES[..ANEW].iter();
    loop {
        let error = match export.make(&file, form).await {
            Ok(summary) => return Ok(summary),
            Err(error) => error,
        };
        match again.next() {
            Some(pause) if export.snapshot_lost.swap(false, Ordering::Relaxed) => {
                tracing::warn!(%error, "a snapshot was lost with its connection: the archive is begun anew");
                export.pause(*pause).await?;
            }
            _ => return Err(error),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(ExportError::from_io)?;
        export.progress.rows.store(0, Ordering::Relaxed);
        export.progress.bytes.store(0, Ordering::Relaxed);
    }
}

/// How long to wait before a section is read again whose connection was lost.
const PAUSES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];
/// How often a whole archive is begun anew for that, as the snapshot is lost with the connection.
const ANEW: usize = 2;

struct Export<'s> {
    catalogue: Arc<Catalogue>,
    sources: &'s Sources,
    steps: Vec<Step>,
    subject: Subject,
    /// The person and the range.
    binds: Binds,
    keys: Keys,
    identity: Identity,
    as_text: bool,
    progress: Arc<Progress>,
    cancel: CancellationToken,
    /// Whether the last attempt ended because a connection was lost that held a snapshot.
    snapshot_lost: AtomicBool,
}

impl Export<'_> {
    async fn make(&mut self, file: &File, form: Form) -> Result<Summary, ExportError> {
        let file = file.try_clone().map_err(ExportError::from_io)?;
        let spare = Spare::default();
        let (to, from) = mpsc::channel(UNDER_WAY);
        let out = Out::new(to, spare.clone(), self.progress.clone());
        let writer = tokio::task::spawn_blocking(move || container::write(file, form, from, &spare));
        let rendered = self.render(out).await;
        // The channel is closed now, so the writer ends too.
        let written = writer.await.map_err(|error| ExportError::Io(std::io::Error::other(error)))?;
        match (rendered, written) {
            (Ok((sections, json_bytes)), Ok(files)) => Ok(Summary { sections, files, json_bytes }),
            (_, Err(ContainerError::Io(error))) => Err(ExportError::from_io(error)),
            (Err(error), _) => Err(error),
            (Ok(_), Err(ContainerError::Abandoned)) => {
                Err(ExportError::Io(std::io::Error::other("the archive was not finished")))
            }
        }
    }

    async fn render(&mut self, mut out: Out) -> Result<(Vec<SectionSummary>, u64), ExportError> {
        let sections: Vec<&Section> = self
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Rows(index) => self.catalogue.sections().get(*index),
                _ => None,
            })
            .collect();
        self.progress.sections_total.store(sections.len() as u64, Ordering::Relaxed);
        self.progress.sections_done.store(0, Ordering::Relaxed);
        let keys = keys::needed(&self.catalogue, &sections);
        let read: Vec<&Section> = keys.iter().map(|key| &key.section).chain(sections.iter().copied()).collect();
        let mut turns = Turns::take(&self.catalogue, self.sources, &read, &self.cancel).await?;
        self.keys = Keys::find(&keys, &self.subject, &mut turns, &self.cancel).await?;
        let own = std::iter::once(&self.subject).chain(self.keys.all()).cloned().collect();
        let guise = Arc::new(Guise::new(self.identity.clone(), own));
        let mut done = Vec::with_capacity(sections.len());
        let catalogue = self.catalogue.clone();
        for step in &self.steps {
            match step {
                Step::Member(name) => {
                    out.flush().await.map_err(|_| ExportError::Cancelled)?;
                    out.send(Message::Member { name: name.clone(), stored: false }).await.map_err(|_| ExportError::Cancelled)?;
                    out.blocks = false;
                }
                Step::Bytes(bytes) => out.buffer.extend_from_slice(bytes),
                Step::Constant(index) => {
                    let section = &catalogue.sections()[*index];
                    if let (Shape::Constant(json), Some(key)) = (&section.shape, section.path.last()) {
                        let value: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
                        // What holds nothing is not told; if nothing else is, the file says so.
                        if matches!(json.as_str(), "null" | "[]" | "{}") {
                            continue;
                        }
                        text::constant(&text::label(key), &value, &mut out.buffer, &mut out.blocks);
                    }
                }
                Step::EndOfText { title, words } => {
                    if !out.blocks {
                        text::heading(title, &mut out.buffer, &mut out.blocks);
                        text::heading(words, &mut out.buffer, &mut out.blocks);
                    }
                }
                Step::Rows(index) => {
                    let section = Arc::new(catalogue.sections()[*index].clone());
                    let (back, summary) = self.section(&section, &mut turns, &guise, out).await?;
                    out = back;
                    if summary.repaired > 0 {
                        tracing::warn!(
                            section = section.name(),
                            texts = summary.repaired,
                            "texts of the source are not UTF-8 and were repaired"
                        );
                    }
                    done.push(summary);
                    self.progress.sections_done.fetch_add(1, Ordering::Relaxed);
                }
            }
            if out.is_full() {
                out.flush().await.map_err(|_| ExportError::Cancelled)?;
            }
        }
        let total = out.total();
        out.flush().await.map_err(|_| ExportError::Cancelled)?;
        out.send(Message::Finish).await.map_err(|_| ExportError::Cancelled)?;
        Ok((done, total))
    }

    async fn section(
        &self,
        section: &Arc<Section>,
        turns: &mut Turns<'_>,
        guise: &Arc<Guise>,
        mut out: Out,
    ) -> Result<(Out, SectionSummary), ExportError> {
        let ranged = self.binds.has_range();
        let whole = section.query.as_ref().is_some_and(|query| query.time.is_none());
        // What has no times is whole, also what is nested in it.
        let binds = if whole { self.binds.clone().between(None, None) } else { self.binds.clone() };
        let runs = self.keys.runs(&self.catalogue, section, &binds);
        let nested: Vec<_> = section
            .nests
            .iter()
            // Where there are no rows, there are none within them.
            .map(|nest| if runs.is_empty() { Vec::new() } else { self.keys.runs(&self.catalogue, &nest.section, &binds) })
            .collect();
        let reader = Reader { person: &self.subject, cancel: &self.cancel, runs: &runs, nested: &nested };
        // A snapshot of the whole request cannot be gone back to.
        let mark: Option<Mark> = (!turns.is_snapshot(section)).then(|| out.mark());
        let mut again = PAUSES.iter();
        let render = loop {
            let render = Render::new(out, section.clone(), guise.clone(), self.as_text);
            let error = match read(&reader, section, turns, render).await {
                Ok(render) => break render,
                Err(error) => error,
            };
            let lost = error.is_down() && turns.have_begun(section);
            let Some(mark) = &mark else {
                self.snapshot_lost.store(lost, Ordering::Relaxed);
                return Err(error);
            };
            match again.next() {
                Some(pause) if lost => {
                    tracing::warn!(section = section.name(), %error, "the connection was lost: the section is read again");
                    self.pause(*pause).await?;
                    out = mark.again();
                }
                _ => return Err(error),
            }
        };
        let (mut out, summary) = render.finish();
        out.settle().map_err(|failure| failed(section, failure))?;
        Ok((out, SectionSummary { whole: ranged && whole, ..summary }))
    }

    async fn pause(&self, pause: Duration) -> Result<(), ExportError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(ExportError::Cancelled),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }
}

/// Reads a section once, with the connections that it needs.
async fn read(reader: &Reader<'_>, section: &Arc<Section>, turns: &mut Turns<'_>, render: Render) -> Result<Render, ExportError> {
    let mut lent = turns.lend(section).await?;
    let render = if section.nests.is_empty() && section.lookups.is_empty() {
        reader.plain(section, &mut lent, render).await?
    } else {
        reader.joined(section, &mut lent, render).await?
    };
    turns.take_back(section, lent).await?;
    Ok(render)
}

fn failed(section: &Section, failure: Failure) -> ExportError {
    match failure {
        Failure::Stopped => ExportError::Cancelled,
        failure => ExportError::Section { source_name: section.source_name().to_owned(), section: section.name(), failure },
    }
}

/// What a query's columns lack for a section.
pub(crate) fn column_problems(section: &Section, columns: &[&str]) -> Vec<String> {
    rows::Plan::new(section, columns, None).err().unwrap_or_default()
}
