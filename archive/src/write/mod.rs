//! From a catalogue, a person and a list of categories to an archive.
//!
//! Two sides work at once: the sources read and render (`rows`, `json`, `text`), one thread compresses and writes (`container`), others help it
//! while there are cores for them (`pieces`). Between them goes a short channel of buffers (`out`), so memory is flat whatever the
//! person's size.

mod binds;
pub(crate) mod container;
mod csv;
pub(crate) mod documents;
mod error;
mod format;
mod intake;
mod join;
pub(crate) mod json;
mod keys;
mod lookup;
mod media;
mod out;
mod pieces;
mod plan;
mod readme;
mod rows;
mod rules;
pub(crate) mod text;
mod turns;
pub(crate) mod value;
pub(crate) mod zip;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Seek;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::container::{ContainerError, Form};
use self::documents::{Asked, Known, Place};
use self::join::Reader;
use self::keys::Keys;
use self::media::Collected;
use self::out::{Mark, Message, Out, Spare, UNDER_WAY};
use self::pieces::Helpers;
use self::plan::Step;
use self::rows::{Render, tables};
use self::rules::Guise;
use self::turns::Turns;
use crate::catalogue::{Catalogue, Section, Shape};
use crate::source::Sources;
use crate::subject::Subject;

pub(crate) use self::binds::{Binds, Edge, edge, nanos_per_unit, whole_days, whole_units};
pub use self::documents::{Documents, Now};
pub use self::error::{ExportError, Failure};
pub use self::format::{Format, UnknownFormat};
pub(crate) use self::intake::{Flow, Rows};
pub(crate) use self::media::folder as media_folder;
pub use self::media::{Links, MediaSummary, mime};
pub use self::rules::{Identity, Ruled};

/// What is to be made.
#[derive(Clone, Debug)]
pub struct Order {
    /// The person, as the operator's databases name them.
    pub subject: String,
    /// What is asked for; names and aliases both serve.
    pub categories: Vec<String>,
    /// The form of the archive.
    pub format: Format,
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
    /// Whether the archive says what it is: manifest, signature, schemas and words for people stand behind the data.
    pub documents: Option<Documents>,
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
    sections: Mutex<Sections>,
}

/// What each section has come to.
#[derive(Debug, Default)]
struct Sections {
    done: Vec<(Vec<String>, u64, u64)>,
    /// The one being read, and the rows and bytes before it. It stays one when its rows are read again after a lost connection, and what
    /// was told of them is not told again.
    running: Option<(Vec<String>, u64, u64)>,
}

impl Progress {
    /// Rows and bytes so far of each section that has begun, by its path.
    pub fn by_section(&self) -> BTreeMap<Vec<String>, (u64, u64)> {
        let sections = self.sections.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: BTreeMap<_, _> = sections.done.iter().map(|(path, rows, bytes)| (path.clone(), (*rows, *bytes))).collect();
        if let Some((path, rows, bytes)) = &sections.running {
            let since = |now: &AtomicU64, then: u64| now.load(Ordering::Relaxed).saturating_sub(then);
            found.insert(path.clone(), (since(&self.rows, *rows), since(&self.bytes, *bytes)));
        }
        found
    }

    fn begin_section(&self, path: &[String], rows: u64, bytes: u64) {
        let mut sections = self.sections.lock().unwrap_or_else(PoisonError::into_inner);
        sections.running = Some((path.to_vec(), rows, bytes));
    }

    fn end_section(&self, summary: &SectionSummary) {
        let mut sections = self.sections.lock().unwrap_or_else(PoisonError::into_inner);
        sections.running = None;
        sections.done.push((summary.path.clone(), summary.rows, summary.bytes));
        self.sections_done.fetch_add(1, Ordering::Relaxed);
    }

    /// Begins anew, for another attempt at the same archive.
    fn reset(&self, total: u64) {
        self.rows.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        self.sections_done.store(0, Ordering::Relaxed);
        self.sections_total.store(total, Ordering::Relaxed);
        *self.sections.lock().unwrap_or_else(PoisonError::into_inner) = Sections::default();
    }
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Each section that was read, in the order of the archive.
    pub sections: Vec<SectionSummary>,
    /// The members of the ZIP, in order.
    pub files: Vec<FileSummary>,
    /// What became of media, by section.
    pub media: BTreeMap<String, MediaSummary>,
    /// Bytes before compression, of all members but media.
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
    /// What is known of its bytes, where documents are wanted.
    pub digests: Option<Digests>,
}

/// What is known of a member's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Digests {
    /// The SHA-256 of what it holds, in hexadecimal.
    pub sha256: String,
    /// The same of its bytes in the archive.
    pub packed_sha256: String,
    /// Of texts, their blocks.
    pub blocks: Option<u64>,
    /// Of texts, their lines.
    pub lines: Option<u64>,
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
    /// The values that look-ups did not find, by the column that is looked up.
    pub missing: Vec<(String, u64)>,
    /// Whether a range was asked for and the section has no times, so that it is whole.
    pub whole: bool,
    /// What was not asked for, because the person has no value of a key.
    pub keyless: Vec<Keyless>,
}

/// Rows that were not asked for, because the person has no value of the key that they are found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyless {
    /// The field, where it is rows within rows.
    pub nest: Option<String>,
    /// The key.
    pub key: String,
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
        asked: order.documents.map(|documents| Asked {
            documents,
            categories: order.categories.clone(),
            format: order.format,
            at: order.at,
            since: order.since,
            until: order.until,
            open_id: order.identity.open_id.clone(),
            links: order.identity.links.is_some(),
        }),
        identity: order.identity,
        keys: Keys::default(),
        format: order.format,
        media_folder: media::folder(&catalogue, order.format),
        // The compatible archive has one member.
        media_as_links: order.format == Format::Json,
        catalogue,
        sources,
        progress,
        cancel,
        snapshot_lost: AtomicBool::new(false),
    };
    let digests = export.asked.is_some();
    let form = Form { at: order.at, level: order.level, small, digests, helpers: Helpers::of_process() };
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
    }
}

/// How long to wait before a section is read again whose connection was lost.
const PAUSES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];
/// How often a whole archive is begun anew for that, as the snapshot is lost with the connection.
const ANEW: usize = 2;

/// What was rendered: the sections, the media of each, and bytes before compression without media.
type Rendered = (Vec<SectionSummary>, BTreeMap<String, MediaSummary>, u64);

struct Export<'s> {
    catalogue: Arc<Catalogue>,
    sources: &'s Sources,
    steps: Vec<Step>,
    subject: Subject,
    /// The person and the range.
    binds: Binds,
    keys: Keys,
    identity: Identity,
    /// What documents tell of the order, where they are wanted.
    asked: Option<Asked>,
    format: Format,
    /// Where media lie in the archive, and whether they are links instead.
    media_folder: String,
    media_as_links: bool,
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
            (Ok(rendered), Ok(files)) => {
                let (sections, media, json_bytes) = rendered;
                Ok(Summary { sections, files, media, json_bytes })
            }
            (_, Err(ContainerError::Io(error))) => Err(ExportError::from_io(error)),
            (Err(error), _) => Err(error),
            (Ok(_), Err(ContainerError::Abandoned)) => {
                Err(ExportError::Io(std::io::Error::other("the archive was not finished")))
            }
        }
    }

    async fn render(&mut self, mut out: Out) -> Result<Rendered, ExportError> {
        let sections: Vec<&Section> = self
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Rows(index) => self.catalogue.sections().get(*index),
                _ => None,
            })
            .collect();
        self.progress.reset(sections.len() as u64);
        let keys = keys::needed(&self.catalogue, &sections);
        let read: Vec<&Section> = keys.iter().map(|key| &key.section).chain(sections.iter().copied()).collect();
        let mut turns = Turns::take(&self.catalogue, self.sources, &read, &self.cancel).await?;
        turns.note_looks(self.asked.as_ref().map(|asked| asked.documents.now.clone()));
        self.keys = Keys::find(&keys, &self.subject, &mut turns, &self.cancel).await?;
        let own = std::iter::once(&self.subject).chain(self.keys.all()).cloned().collect();
        let media = Arc::new(Collected::new(self.media_folder.clone(), self.identity.links.clone(), self.media_as_links));
        let guise = Arc::new(Guise::new(self.identity.clone(), own, media.clone()));
        let mut done = Vec::with_capacity(sections.len());
        let mut places: Vec<Place> = Vec::with_capacity(sections.len());
        let mut members = 0;
        let catalogue = self.catalogue.clone();
        for step in &self.steps {
            match step {
                Step::Member(name) => {
                    out.flush().await.map_err(|_| ExportError::Cancelled)?;
                    out.send(Message::Member { name: name.clone(), stored: false }).await.map_err(|_| ExportError::Cancelled)?;
                    out.blocks = false;
                    members += 1;
                }
                Step::Bytes(bytes) => out.buffer.extend_from_slice(bytes),
                Step::Constant(index) if !matches!(self.format, Format::Json | Format::Text) => {
                    tables::constant(&catalogue.sections()[*index], self.format, &mut out.buffer);
                }
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
                    self.progress.begin_section(&section.path, out.rows(), out.total());
                    let (back, summary) = self.section(&section, &mut turns, &guise, out).await?;
                    out = back;
                    if summary.repaired > 0 {
                        tracing::warn!(
                            section = section.name(),
                            texts = summary.repaired,
                            "texts of the source are not UTF-8 and were repaired"
                        );
                    }
                    self.progress.end_section(&summary);
                    done.push(summary);
                    places.push(Place { member: members - 1, section: *index });
                }
            }
            if out.is_full() {
                out.flush().await.map_err(|_| ExportError::Cancelled)?;
            }
        }
        let total = out.total();
        let looks = turns.looks();
        // The databases are not kept waiting for what is fetched elsewhere.
        drop(turns);
        let media = media::write(&media, &catalogue, self.sources, &mut out, &self.cancel).await?;
        if let Some(asked) = &self.asked {
            let known = Known { catalogue: &catalogue, sections: &done, places: &places, media: &media, looks };
            asked.write(known, &mut out).await?;
        }
        out.flush().await.map_err(|_| ExportError::Cancelled)?;
        out.send(Message::Finish).await.map_err(|_| ExportError::Cancelled)?;
        Ok((done, media, total))
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
            let by_text = (self.format == Format::Csv).then(|| section.columns_by_text(&self.catalogue)).flatten();
            let render = Render::new(out, section.clone(), guise.clone(), self.format).headed_by(by_text);
            let error = match read(&reader, section, turns, render).await {
                Ok(render) => break render,
                Err(error) => error,
            };
            if guise.media.is_foreign() {
                return Err(failed(section, Failure::Owner));
            }
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
        let keyless = self.keys.keyless(&self.catalogue, section);
        Ok((out, SectionSummary { whole: ranged && whole, keyless, ..summary }))
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
