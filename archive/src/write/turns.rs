//! Turns at the sources: each request waits for one at every source it needs, and gives it back as early as it can.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::binds::Binds;
use super::intake::Rows;
use super::{ExportError, Failure, failed};
use crate::catalogue::{Catalogue, Section, Snapshot, SourceSpec};
use crate::source::{Opened, Reading, Sources};

/// A future that ends with the first failure of any kind.
pub(super) type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, ExportError>> + Send + 'a>>;

/// One request's turns.
pub(super) struct Turns<'s> {
    by_name: HashMap<String, Turn<'s>>,
    cancel: CancellationToken,
}

/// One request's turn at one source.
struct Turn<'s> {
    opened: &'s Opened,
    /// Until the one connection is taken, which then holds it.
    permit: Option<OwnedSemaphorePermit>,
    /// Where several connections are taken, again and again.
    held: Option<Arc<OwnedSemaphorePermit>>,
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
            let (permit, held) = if width == 1 { (Some(permit), None) } else { (None, Some(Arc::new(permit))) };
            let turn = Turn { opened, permit, held, width, idle: Vec::new(), deadline: None, uses };
            by_name.insert(spec.name.clone(), turn);
        }
        Ok(Self { by_name, cancel: cancel.clone() })
    }

    /// The readings that a section needs, by source.
    pub(super) async fn lend(&mut self, section: &Section) -> Result<Lent, ExportError> {
        let mut lent = Lent { readings: HashMap::new(), deadline: None };
        for (name, count) in section.needs() {
            let fail = |failure| failed(section, failure);
            let Some(turn) = self.by_name.get_mut(name) else {
                return Err(fail(Failure::Down("it is not declared".to_owned())));
            };
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

    /// Takes them back, and gives up the turns that are over.
    pub(super) async fn take_back(&mut self, lent: Lent) {
        for (name, readings) in lent.readings {
            let Some(turn) = self.by_name.get_mut(&name) else { continue };
            turn.uses = turn.uses.saturating_sub(1);
            // Snapshots that were taken for one section end with it.
            let keep = turn.uses > 0 && (turn.width == 1 || turn.opened.spec.snapshot == Snapshot::Request);
            if keep {
                turn.idle = readings.free;
            } else {
                for reading in readings.free {
                    reading.end().await;
                }
            }
            if turn.uses == 0 {
                self.by_name.remove(&name);
            }
        }
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
        let begun = match (self.permit.take(), &self.held) {
            (Some(permit), _) => vec![within(limit, "connect_timeout", self.opened.source.begin(permit)).await?],
            (None, Some(held)) => {
                let width = if spec.snapshot == Snapshot::Request { self.width } else { count };
                within(limit, "connect_timeout", self.opened.source.begin_together(held.clone(), width)).await?
            }
            (None, None) => return Err(Failure::Stopped),
        };
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
            rows = within(self.limit, "statement_timeout", self.reading.read(section, binds, rows)).await?;
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
