//! The way from rendering to writing: one buffer that is filled, and a short channel of full ones. Rendering overlaps deflate,
//! and a slow disk slows the reading down instead of filling memory.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::{Failure, Progress};

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
    rows: u64,
    to: mpsc::Sender<Message>,
    spare: Spare,
    progress: Arc<Progress>,
}

impl Out {
    pub(super) fn new(to: mpsc::Sender<Message>, spare: Spare, progress: Arc<Progress>) -> Self {
        Self { buffer: Vec::with_capacity(FULL + (FULL >> 3)), blocks: false, sent: 0, rows: 0, to, spare, progress }
    }

    /// Bytes so far, before compression.
    pub(super) fn total(&self) -> u64 {
        self.sent + self.buffer.len() as u64
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
        self.tell_rows();
        Message::Bytes(full)
    }

    pub(super) fn tell_rows(&mut self) {
        self.progress.rows.fetch_add(std::mem::take(&mut self.rows), Ordering::Relaxed);
    }

    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let message = self.take();
        self.send(message).await
    }

    pub(super) fn flush_blocking(&mut self) -> Result<(), Failure> {
        let message = self.take();
        self.to.blocking_send(message).map_err(|_| Failure::Stopped)
    }

    pub(super) async fn send(&mut self, message: Message) -> Result<(), Failure> {
        self.to.send(message).await.map_err(|_| Failure::Stopped)
    }
}
