//! Turns at the sources: each request waits for one at every source it needs, and gives it back as early as it can.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::binds::Binds;
use super::documents::{Looks, Now};
use super::intake::Rows;
use super::{ExportError, Failure, failed};
use crate::catalogue::{Catalogue, Section, Snapshot, SourceSpec};
use crate::source::{Opened, Permit, Reading, Sources};

/// A future that ends with the first failure of any kind.
pub(super) type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, ExportError>> + Send + 'a>>;

/// One request's turns.
pub(super) struct Turns<'s> {
    by_name: HashMap<String, Turn<'s>>,
    cancel: CancellationToken,
    /// Tells when a source is looked at, where that is wanted.
    now: Option<Now>,
    looks: Looks,
}

/// One request's turn at one source.
struct Turn<'s> {
    opened: &'s Opened,
    /// Kept while something is still to be read: who loses a connection must not queue for another one behind others.
    permit: Permit,
    /// Whether there has been a connection.
    begun: bool,
    /// Connections that it may have at once.
    width: usize,
    idle: Vec<Box<dyn Reading>>,
    /// When the snapshot has been held long enough.
    deadline: Option<Instant>,
    /// What is still to be read from it.
    uses: usize,
}

impl<'s> Turns<'s> {
    /// Waits for a turn at every source that is needed, in one order for all requests: two that each hold what the other
    /// waits for would wait for ever. `queries` are what is read one after another, each with what it needs at once.
    pub(super) async fn take(
        catalogue: &Catalogue,
        sources: &'s Sources,
        queries: &[&Section],
        cancel: &CancellationToken,
    ) -> Result<Self, ExportError> {
        let mut by_name = HashMap::new();
        for spec in catalogue.sources() {
            let needs = |section: &&&Section| section.needs().into_iter().any(|(name, _)| name == spec.name);
            let Some(first) = queries.iter().find(needs) else { continue };
            let uses = queries.iter().filter(needs).count();
            let width = queries.iter().flat_map(|section| section.needs()).filter(|(name, _)| *name == spec.name);
            let width = width.map(|(_, count)| count).max().unwrap_or(1);
            let Some(opened) = sources.get(&spec.name) else {
                return Err(failed(first, Failure::Down("it was not opened".to_owned())));
            };
            let permit = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(ExportError::Cancelled),
                permit = opened.permits.clone().acquire_many_owned(width as u32) => permit.map_err(|_| ExportError::Cancelled)?,
            };
            let permit = Arc::new(permit);
            let turn = Turn { opened, permit, begun: false, width, idle: Vec::new(), deadline: None, uses };
            by_name.insert(spec.name.clone(), turn);
        }
        Ok(Self { by_name, cancel: cancel.clone(), now: None, looks: Looks::new() })
    }

    /// Has it noted when each source is looked at.
    pub(super) fn note_looks(&mut self, now: Option<Now>) {
        self.now = now;
    }

    /// When each source was looked at.
    pub(super) fn looks(&mut self) -> Looks {
        std::mem::take(&mut self.looks)
    }

    /// The readings that a section needs, by source.
    pub(super) async fn lend(&mut self, section: &Section) -> Result<Lent, ExportError> {
        let mut lent = Lent { readings: HashMap::new(), deadline: None };
        for (name, count) in section.needs() {
            let fail = |failure| failed(section, failure);
            let Some(turn) = self.by_name.get_mut(name) else {
                return Err(fail(Failure::Down("it is not declared".to_owned())));
            };
            // What is left of a snapshot of the request is no new look.
            if let Some(now) = &self.now
                && (turn.idle.is_empty() || turn.opened.spec.snapshot != Snapshot::Request)
            {
                let at = now();
                self.looks.entry(name.to_owned()).or_insert((at, at)).1 = at;
            }
            let readings = tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Err(ExportError::Cancelled),
                readings = turn.lend(count) => readings.map_err(fail)?,
            };
            lent.deadline = lent.deadline.into_iter().chain(turn.deadline).min();
            lent.readings.insert(name.to_owned(), Readings { spec: turn.opened.spec.clone(), free: readings });
        }
        Ok(lent)
    }

    /// Whether a section is part of a snapshot of the whole request.
    pub(super) fn is_snapshot(&self, section: &Section) -> bool {
        self.of(section).any(|turn| turn.opened.spec.snapshot == Snapshot::Request)
    }

    /// Whether there have been connections for a section: what was never there was not lost.
    pub(super) fn have_begun(&self, section: &Section) -> bool {
        self.of(section).all(|turn| turn.begun)
    }

    fn of(&self, section: &Section) -> impl Iterator<Item = &Turn<'s>> {
        let needs: Vec<String> = section.needs().into_iter().map(|(name, _)| name.to_owned()).collect();
        needs.into_iter().filter_map(|name| self.by_name.get(&name))
    }

    /// Takes them back, and gives up the turns that are over, once their connections have said that the answers were ours.
    pub(super) async fn take_back(&mut self, section: &Section, lent: Lent) -> Result<(), ExportError> {
        for (name, readings) in lent.readings {
            let Some(turn) = self.by_name.get_mut(&name) else { continue };
            turn.uses = turn.uses.saturating_sub(1);
            // Snapshots that were taken for one section end with it.
            let keep = turn.uses > 0 && (turn.width == 1 || turn.opened.spec.snapshot == Snapshot::Request);
            if keep {
                turn.idle = readings.free;
            } else {
                for mut reading in readings.free {
                    tokio::select! {
                        biased;
                        () = self.cancel.cancelled() => return Err(ExportError::Cancelled),
                        verified = within(readings.spec.statement_timeout, "statement_timeout", reading.verify()) =>
                            verified.map_err(|failure| failed(section, failure))?,
                    }
                    reading.end().await;
                }
            }
            if turn.uses == 0 {
                self.by_name.remove(&name);
            }
        }
        Ok(())
    }
}

impl Turn<'_> {
    async fn lend(&mut self, count: usize) -> Result<Vec<Box<dyn Reading>>, Failure> {
        let spec = &self.opened.spec;
        if !self.idle.is_empty() {
            return Ok(std::mem::take(&mut self.idle));
        }
        // A little longer than the source's own limit, whose words say more.
        let limit = spec.connect_timeout + Duration::from_secs(1);
        let (source, permit) = (&self.opened.source, self.permit.clone());
        let begun = if self.width == 1 {
            vec![within(limit, "connect_timeout", source.begin(permit)).await?]
        } else {
            let width = if spec.snapshot == Snapshot::Request { self.width } else { count };
            within(limit, "connect_timeout", source.begin_together(permit, width)).await?
        };
        self.begun = true;
        if spec.snapshot == Snapshot::Request {
            self.deadline = Some(tokio::time::sleep(spec.max_snapshot).deadline());
        }
        Ok(begun)
    }
}

/// What one section reads with.
pub(super) struct Lent {
    readings: HashMap<String, Readings>,
    deadline: Option<Instant>,
}

struct Readings {
    spec: SourceSpec,
    free: Vec<Box<dyn Reading>>,
}

/// One reading of a source, and how long a query may take there.
pub(super) struct Borrowed {
    name: String,
    reading: Box<dyn Reading>,
    limit: Duration,
}

impl Lent {
    /// Takes one of a source's readings.
    pub(super) fn borrow(&mut self, section: &Section) -> Result<Borrowed, ExportError> {
        let name = section.source_name();
        let taken =
            self.readings.get_mut(name).and_then(|readings| Some((readings.free.pop()?, readings.spec.statement_timeout)));
        let Some((reading, limit)) = taken else {
            return Err(failed(section, Failure::Down("it has no connection left".to_owned())));
        };
        Ok(Borrowed { name: name.to_owned(), reading, limit })
    }

    /// Puts it back.
    pub(super) fn put(&mut self, borrowed: Borrowed) {
        if let Some(readings) = self.readings.get_mut(&borrowed.name) {
            readings.free.push(borrowed.reading);
        }
    }

    /// How long its snapshots may be held.
    pub(super) fn limits(&self) -> Limits {
        Limits { deadline: self.deadline }
    }
}

/// When the first of a section's snapshots has been held long enough.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    deadline: Option<Instant>,
}

impl Limits {
    /// Waits for work on a section, not longer than the snapshots may be held.
    pub(super) async fn watch<T>(
        self,
        section: &Section,
        cancel: &CancellationToken,
        work: impl Future<Output = Result<T, ExportError>>,
    ) -> Result<T, ExportError> {
        let deadline = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        // The deadline first: a source that always has a row would leave it no share of the task's time.
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(ExportError::Cancelled),
            () = deadline => Err(failed(section, Failure::Timeout("max_snapshot"))),
            result = work => result,
        }
    }
}

impl Borrowed {
    /// Whether it reads from this source.
    pub(super) fn is_of(&self, source: &str) -> bool {
        self.name == source
    }

    /// Runs a query for each of these, its rows one after another.
    pub(super) async fn read(&mut self, section: &Section, runs: &[Arc<Binds>], mut rows: Rows) -> Result<Rows, Failure> {
        for binds in runs {
            rows.begin(binds)?;
            // Drivers take what a server sends for well-formed, and some of them panic when it is not.
            let read = AssertUnwindSafe(self.reading.read(section, binds, rows)).catch_unwind().map(|result| {
                let broken = "the driver could not make sense of what the server sent";
                result.unwrap_or_else(|_| Err(Failure::Broken(broken.to_owned())))
            });
            rows = within(self.limit, "statement_timeout", read).await?;
        }
        Ok(rows)
    }
}

async fn within<T>(limit: Duration, setting: &'static str, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(Failure::Timeout(setting)),
    }
}
