//! The way from rendering to writing: one buffer that is filled, and a short channel of full ones. Rendering overlaps deflate,
//! and a slow disk slows the reading down instead of filling memory.

use std::hash::{DefaultHasher, Hasher};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use super::{Failure, FileSummary, Progress};

/// A buffer goes on its way at this size: large enough that the hand-over costs nothing, small enough for the cache.
pub(super) const FULL: usize = 128 << 10;
/// Buffers under way at once, beside the one being filled and the one being deflated.
pub(super) const UNDER_WAY: usize = 4;

/// What the writing thread is told.
#[derive(Debug)]
pub(super) enum Message {
    /// A member begins.
    Member {
        /// Its name.
        name: String,
        /// Whether it is stored as it is, because it is compressed already.
        stored: bool,
    },
    /// More of it.
    Bytes(Vec<u8>),
    /// The running member ends; whoever asks is told what the members so far are.
    Report(oneshot::Sender<Vec<FileSummary>>),
    /// That was all. A channel that closes without this is an export that was given up.
    Finish,
}

/// Empty buffers on their way back.
pub(super) type Spare = Arc<Mutex<Vec<Vec<u8>>>>;

pub(super) fn give_back(spare: &Spare, mut buffer: Vec<u8>) {
    // One row of a hundred megabytes must not stay for ever.
    if buffer.capacity() <= 4 * FULL {
        buffer.clear();
        spare.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

pub(super) struct Out {
    pub(super) buffer: Vec<u8>,
    /// Whether the text file has its first block, so that a blank line comes before the next.
    pub(super) blocks: bool,
    sent: u64,
    /// Rows not told yet; below zero are those that were told before.
    rows: i64,
    trail: Option<Arc<Mutex<Trail>>>,
    replay: Option<Replay>,
    to: mpsc::Sender<Message>,
    spare: Spare,
    progress: Arc<Progress>,
}

impl Out {
    pub(super) fn new(to: mpsc::Sender<Message>, spare: Spare, progress: Arc<Progress>) -> Self {
        Self {
            buffer: Vec::with_capacity(FULL + (FULL >> 3)),
            blocks: false,
            sent: 0,
            rows: 0,
            trail: None,
            replay: None,
            to,
            spare,
            progress,
        }
    }

    /// Remembers this place, to go on from it when a section has to be read again.
    pub(super) fn mark(&mut self) -> Mark {
        let trail = Arc::new(Mutex::new(Trail::default()));
        self.trail = Some(trail.clone());
        Mark {
            buffer: self.buffer.clone(),
            blocks: self.blocks,
            sent: self.sent,
            trail,
            to: self.to.clone(),
            spare: self.spare.clone(),
            progress: self.progress.clone(),
        }
    }

    /// The section is whole: there is nothing to go back to. Fails if it was read again and is shorter than what went on its way.
    pub(super) fn settle(&mut self) -> Result<(), Failure> {
        self.trail = None;
        self.skip()?;
        if self.replay.is_some() { Err(Failure::Broken(CHANGED.to_owned())) } else { Ok(()) }
    }

    /// Leaves out what went on its way before the connection was lost, if it is the same.
    fn skip(&mut self) -> Result<(), Failure> {
        let Some(replay) = &mut self.replay else { return Ok(()) };
        let known = replay.left.min(self.buffer.len());
        replay.hash.write(&self.buffer[..known]);
        replay.left -= known;
        if replay.left == 0 {
            if replay.hash.finish() != replay.wanted {
                return Err(Failure::Broken(CHANGED.to_owned()));
            }
            self.replay = None;
        }
        self.buffer.drain(..known);
        self.sent += known as u64;
        Ok(())
    }

    /// Bytes so far, before compression.
    pub(super) fn total(&self) -> u64 {
        self.sent + self.buffer.len() as u64
    }

    /// Rows so far, with those that are not told yet. Only between sections: while one is read again, some are counted for a second time.
    pub(super) fn rows(&self) -> u64 {
        self.progress.rows.load(Ordering::Relaxed).saturating_add_signed(self.rows)
    }

    pub(super) fn is_full(&self) -> bool {
        self.buffer.len() >= FULL
    }

    /// Counts a row, which is told with the next buffer.
    pub(super) fn count_row(&mut self) {
        self.rows += 1;
    }

    fn take(&mut self) -> Message {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let next = spare.unwrap_or_else(|| Vec::with_capacity(FULL + (FULL >> 3)));
        let full = std::mem::replace(&mut self.buffer, next);
        self.sent += full.len() as u64;
        self.progress.bytes.fetch_add(full.len() as u64, Ordering::Relaxed);
        let rows = self.tell_rows();
        if let Some(trail) = &self.trail {
            let mut trail = trail.lock().unwrap_or_else(PoisonError::into_inner);
            trail.bytes += full.len();
            trail.rows += rows;
            trail.hash.write(&full);
        }
        Message::Bytes(full)
    }

    pub(super) fn tell_rows(&mut self) -> u64 {
        let rows = u64::try_from(self.rows).unwrap_or_default();
        if rows > 0 {
            self.rows = 0;
            self.progress.rows.fetch_add(rows, Ordering::Relaxed);
        }
        rows
    }

    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        self.skip()?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let message = self.take();
        self.send(message).await?;
        share().await;
        Ok(())
    }

    pub(super) fn flush_blocking(&mut self) -> Result<(), Failure> {
        self.skip()?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let message = self.take();
        self.to.blocking_send(message).map_err(|_| Failure::Stopped)
    }

    pub(super) async fn send(&mut self, message: Message) -> Result<(), Failure> {
        self.to.send(message).await.map_err(|_| Failure::Stopped)
    }
}

/// Lets the thread look at its sockets and timers. Rows that are always there and a writer that is never behind would keep it for
/// seconds: with as many such archives as threads, nobody else of the process is answered, and a withdrawal is not heard.
pub(super) async fn share() {
    tokio::task::yield_now().await;
}

const CHANGED: &str = "the connection was lost, and the rows had changed when they were read again";

/// What of a section has gone on its way. Memory stays flat: not the bytes are kept, but their number and their hash.
#[derive(Debug, Default)]
struct Trail {
    bytes: usize,
    rows: u64,
    hash: DefaultHasher,
}

/// What must come again before anything new does.
struct Replay {
    left: usize,
    hash: DefaultHasher,
    wanted: u64,
}

/// A place to go back to: where a section begins.
pub(super) struct Mark {
    buffer: Vec<u8>,
    blocks: bool,
    sent: u64,
    trail: Arc<Mutex<Trail>>,
    to: mpsc::Sender<Message>,
    spare: Spare,
    progress: Arc<Progress>,
}

impl Mark {
    /// As it was at the section's beginning, but that nothing goes on its way twice.
    pub(super) fn again(&self) -> Out {
        let (left, rows, wanted) = {
            let trail = self.trail.lock().unwrap_or_else(PoisonError::into_inner);
            (trail.bytes, trail.rows, trail.hash.finish())
        };
        Out {
            buffer: self.buffer.clone(),
            blocks: self.blocks,
            sent: self.sent,
            rows: -i64::try_from(rows).unwrap_or_default(),
            trail: Some(self.trail.clone()),
            replay: (left > 0).then(|| Replay { left, hash: DefaultHasher::new(), wanted }),
            to: self.to.clone(),
            spare: self.spare.clone(),
            progress: self.progress.clone(),
        }
    }
}
