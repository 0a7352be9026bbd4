//! From a catalogue, a person and a list of categories to an archive.
//!
//! Two sides work at once: the sources read and render (`rows`, `json`, `text`), one thread deflates and writes (`container`).
//! Between them goes a short channel of buffers (`out`), so memory is flat whatever the person's size.

mod container;
mod error;
pub(crate) mod json;
mod out;
mod plan;
mod rows;
mod text;
pub(crate) mod value;

use std::collections::HashMap;
use std::fs::File;
use std::future::Future;
use std::io::Seek;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::DataFormat;

use self::container::{ContainerError, Form};
use self::out::{Mark, Message, Out, Spare, UNDER_WAY};
use self::plan::Step;
use crate::catalogue::{Catalogue, Query, Section, Shape, Snapshot};
use crate::source::{Opened, Permit, Reading, Sources};
use crate::subject::Subject;

pub use self::error::{ExportError, Failure};
pub(crate) use self::rows::{Flow, Rows};

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
    /// How hard to compress: 0 stores, 1 to 9 deflate. 3 is the measured optimum for such archives.
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
    /// Members of the ZIP.
    pub members: u64,
    /// Bytes before compression, of all members.
    pub json_bytes: u64,
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
        subject: Arc::new(subject),
        as_text: order.format == DataFormat::Text,
        catalogue,
        sources,
        progress,
        cancel,
        snapshot_lost: AtomicBool::new(false),
    };
    let mut form = Form { at: order.at, level: order.level, large: false, small };
    let mut again = PAUSES[..ANEW].iter();
    loop {
        match export.attempt(&file, form).await {
            Ok(Some(summary)) => return Ok(summary),
            Ok(None) if form.large => return Err(ExportError::Io(std::io::Error::other("a member is too large for ZIP64"))),
            Ok(None) => {
                tracing::info!("a member has more than 4 GiB: the archive is written anew with ZIP64 headers");
                form.large = true;
            }
            Err(error) => match again.next() {
                Some(pause) if export.snapshot_lost.swap(false, Ordering::Relaxed) => {
                    tracing::warn!(%error, "a snapshot was lost with its connection: the archive is begun anew");
                    export.pause(*pause).await?;
                }
                _ => return Err(error),
            },
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
    subject: Arc<Subject>,
    as_text: bool,
    progress: Arc<Progress>,
    cancel: CancellationToken,
    /// Whether the last attempt ended because a connection was lost that held a snapshot.
    snapshot_lost: AtomicBool,
}

impl Export<'_> {
    /// Writes the archive; none if a member needs large headers.
    async fn attempt(&mut self, file: &File, form: Form) -> Result<Option<Summary>, ExportError> {
        let file = file.try_clone().map_err(ExportError::from_io)?;
        let spare = Spare::default();
        let (to, from) = mpsc::channel(UNDER_WAY);
        let out = Out::new(to, spare.clone(), self.progress.clone());
        let writer = tokio::task::spawn_blocking(move || container::write(file, form, from, &spare));
        let rendered = self.render(out).await;
        // The channel is closed now, so the writer ends too.
        let written = writer.await.map_err(|error| ExportError::Io(std::io::Error::other(error)))?;
        match (rendered, written) {
            (Ok((sections, json_bytes)), Ok(members)) => Ok(Some(Summary { sections, members, json_bytes })),
            (_, Err(ContainerError::TooLarge)) => Ok(None),
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
        let mut turns = self.take_turns(&sections).await?;
        let mut done = Vec::with_capacity(sections.len());
        let catalogue = self.catalogue.clone();
        for step in &self.steps {
            match step {
                Step::Member(name) => {
                    out.flush().await.map_err(|_| ExportError::Cancelled)?;
                    out.send(Message::Member(name.clone())).await.map_err(|_| ExportError::Cancelled)?;
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
                    let section = &catalogue.sections()[*index];
                    let (back, summary) = self.section(section, *index, &mut turns, out).await?;
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

    /// Waits for a turn at every source that is needed, in one order for all requests: two that each hold what the other
    /// waits for would wait for ever.
    async fn take_turns(&self, sections: &[&Section]) -> Result<HashMap<String, Turn<'_>>, ExportError> {
        let mut turns = HashMap::new();
        for spec in self.catalogue.sources() {
            let uses = sections.iter().filter(|section| source_of(section) == Some(spec.name.as_str())).count();
            if uses == 0 {
                continue;
            }
            let Some(opened) = self.sources.get(&spec.name) else {
                return Err(failed(
                    sections.iter().find(|section| source_of(section) == Some(&spec.name)),
                    Failure::Down("it was not opened".to_owned()),
                ));
            };
            let permit = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(ExportError::Cancelled),
                permit = opened.permits.clone().acquire_owned() => permit.map_err(|_| ExportError::Cancelled)?,
            };
            turns.insert(
                spec.name.clone(),
                Turn { opened, permit: Some(Arc::new(permit)), reading: None, begun: false, snapshot: None, uses },
            );
        }
        Ok(turns)
    }

    async fn section(
        &self,
        section: &Section,
        index: usize,
        turns: &mut HashMap<String, Turn<'_>>,
        mut out: Out,
    ) -> Result<(Out, SectionSummary), ExportError> {
        let failed = |failure| failed(Some(&section), failure);
        let turn = source_of(section)
            .and_then(|name| turns.get_mut(name))
            .ok_or_else(|| failed(Failure::Down("it is not declared".to_owned())))?;
        // A snapshot of the whole request cannot be gone back to.
        let mark: Option<Mark> = (turn.opened.spec.snapshot != Snapshot::Request).then(|| out.mark());
        let mut again = PAUSES.iter();
        let rows = loop {
            let rows = Rows::new(out, self.catalogue.clone(), index, self.subject.clone(), self.as_text);
            let result = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(ExportError::Cancelled),
                result = turn.read(section, &self.subject, rows) => result,
            };
            match (result, &mark) {
                (Ok(rows), _) => break rows,
                (Err(failure @ Failure::Down(_)), None) => {
                    self.snapshot_lost.store(turn.begun, Ordering::Relaxed);
                    return Err(failed(failure));
                }
                (Err(failure @ Failure::Down(_)), Some(mark)) if turn.begun => {
                    let Some(pause) = again.next() else { return Err(failed(failure)) };
                    tracing::warn!(section = section.name(), %failure, "the connection was lost: the section is read again");
                    turn.reading = None;
                    self.pause(*pause).await?;
                    out = mark.again();
                }
                (Err(failure), _) => return Err(failed(failure)),
            }
        };
        turn.uses -= 1;
        if turn.uses == 0
            && let Some(mut reading) = turn.reading.take()
        {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(ExportError::Cancelled),
                verified = within(turn.opened.spec.statement_timeout, "statement_timeout", reading.verify()) => verified.map_err(failed)?,
            }
            reading.end().await;
            turn.permit = None;
        }
        let (mut out, summary) = rows.finish();
        out.settle().map_err(failed)?;
        Ok((out, summary))
    }

    async fn pause(&self, pause: Duration) -> Result<(), ExportError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(ExportError::Cancelled),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }
}

fn source_of(section: &Section) -> Option<&str> {
    section.query.as_ref().map(|query: &Query| query.source.as_str())
}

fn failed(section: Option<&&Section>, failure: Failure) -> ExportError {
    match failure {
        Failure::Stopped => ExportError::Cancelled,
        failure => ExportError::Section {
            source_name: section.and_then(|section| source_of(section)).unwrap_or_default().to_owned(),
            section: section.map(|section| section.name()).unwrap_or_default(),
            failure,
        },
    }
}

/// One request's turn at one source.
struct Turn<'s> {
    opened: &'s Opened,
    /// Kept while sections are still to be read: who loses a connection must not queue for another one behind others.
    permit: Option<Permit>,
    reading: Option<Box<dyn Reading>>,
    /// Whether there has been a connection.
    begun: bool,
    /// When the snapshot has been held long enough.
    snapshot: Option<Pin<Box<tokio::time::Sleep>>>,
    /// Sections still to be read from it.
    uses: usize,
}

impl Turn<'_> {
    async fn read(&mut self, section: &Section, subject: &Arc<Subject>, rows: Rows) -> Result<Rows, Failure> {
        let spec = &self.opened.spec;
        if self.reading.is_none() {
            let permit = self.permit.clone().ok_or(Failure::Stopped)?;
            // A little longer than the source's own limit, whose words say more.
            let limit = spec.connect_timeout + Duration::from_secs(1);
            let begun = within(limit, "connect_timeout", self.opened.source.begin(permit)).await?;
            self.reading = Some(begun);
            self.begun = true;
            if spec.snapshot == Snapshot::Request {
                self.snapshot = Some(Box::pin(tokio::time::sleep(spec.max_snapshot)));
            }
        }
        let Some(reading) = self.reading.as_mut() else { return Err(Failure::Stopped) };
        // Drivers take what a server sends for well-formed, and some of them panic when it is not.
        let guarded = AssertUnwindSafe(reading.read(section, subject, rows)).catch_unwind().map(|result| {
            result.unwrap_or_else(|_| Err(Failure::Broken("the driver could not make sense of what the server sent".to_owned())))
        });
        let read = within(spec.statement_timeout, "statement_timeout", guarded);
        match &mut self.snapshot {
            None => read.await,
            // The deadline first: a source that always has a row would leave it no share of the task's time.
            Some(deadline) => tokio::select! {
                biased;
                () = deadline.as_mut() => Err(Failure::Timeout("max_snapshot")),
                result = read => result,
            },
        }
    }
}

async fn within<T>(limit: Duration, setting: &'static str, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(Failure::Timeout(setting)),
    }
}

/// What a query's columns lack for a section.
pub(crate) fn column_problems(section: &Section, columns: &[&str]) -> Vec<String> {
    rows::Plan::new(section, columns).err().unwrap_or_default()
}
