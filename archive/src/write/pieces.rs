//! Pieces of a member on their way through the compressor, on this thread and, when cores are free, on others.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::sync::{LazyLock, Mutex, PoisonError};

use tokio::runtime::Handle;

use crate::deflate::{Level, Packer, Window};

/// A piece and who compresses it: some 700 KiB, which serve again and again.
#[derive(Debug, Default)]
pub(super) struct Work {
    pub(super) window: Window,
    packer: Packer,
}

static CORES: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));

/// Works at rest, of all archives of the process: as many as can be busy when every core compresses.
#[expect(clippy::vec_box, reason = "they go from hand to hand, and are too large to be moved")]
static POOL: Mutex<Vec<Box<Work>>> = Mutex::new(Vec::new());

impl Work {
    pub(super) fn new() -> Box<Self> {
        let pooled = POOL.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut work = pooled.unwrap_or_default();
        work.window.clear();
        work
    }

    pub(super) fn rest(self: Box<Self>) {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.len() <= 2 * *CORES {
            pool.push(self);
        }
    }

    pub(super) fn pack(&mut self, level: Level, last: bool) -> io::Result<&[u8]> {
        self.packer.pack(&self.window, level, last)?;
        Ok(self.packer.packed())
    }

    /// What [`Work::pack`] made.
    pub(super) fn packed(&self) -> &[u8] {
        self.packer.packed()
    }
}

/// How many threads may help at once. Each archive has one of its own; others come when there are cores for them.
#[derive(Debug)]
pub(super) struct Helpers {
    free: AtomicUsize,
    all: usize,
}

impl Helpers {
    pub(super) fn new(all: usize) -> Self {
        Self { free: AtomicUsize::new(all), all }
    }

    /// Those of the process: every core but the archive's own.
    pub(super) fn of_process() -> &'static Self {
        static OF_PROCESS: LazyLock<Helpers> = LazyLock::new(|| Helpers::new(*CORES - 1));
        &OF_PROCESS
    }

    fn take(&'static self) -> Option<Helper> {
        let taken = self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, |free| free.checked_sub(1));
        taken.is_ok().then(|| Helper { of: self })
    }
}

/// The right to one thread more.
struct Helper {
    of: &'static Helpers,
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.of.free.fetch_add(1, Ordering::AcqRel);
    }
}

enum Piece {
    Packed(Box<Work>),
    Away(Receiver<io::Result<Box<Work>>>),
}

/// The pieces under way, in their order.
pub(super) struct Pieces {
    under_way: VecDeque<Piece>,
    level: Level,
    helpers: &'static Helpers,
    runtime: Option<Handle>,
}

impl Pieces {
    pub(super) fn new(level: Level, helpers: &'static Helpers) -> Self {
        Self { under_way: VecDeque::new(), level, helpers, runtime: Handle::try_current().ok() }
    }

    pub(super) fn level(&self) -> Level {
        self.level
    }

    /// Compresses a piece, elsewhere if somebody is free.
    pub(super) fn push(&mut self, mut work: Box<Work>, last: bool) -> io::Result<()> {
        let level = self.level;
        let piece = match (&self.runtime, self.helpers.take()) {
            (Some(runtime), Some(helper)) => {
                let (to, from) = sync_channel(1);
                runtime.spawn_blocking(move || {
                    let done = work.pack(level, last).map(|_| ()).map(|()| work);
                    drop(helper);
                    // Nobody waits for it when the archive was given up.
                    let _ = to.send(done);
                });
                Piece::Away(from)
            }
            _ => {
                work.pack(level, last)?;
                Piece::Packed(work)
            }
        };
        self.under_way.push_back(piece);
        Ok(())
    }

    /// The next piece in order, if it is ready; `wait` waits for it. None when there is none.
    pub(super) fn next(&mut self, wait: bool) -> io::Result<Option<Box<Work>>> {
        // More than the helpers and this thread can have in hand would be memory without speed.
        let wait = wait || self.under_way.len() > self.helpers.all + 1;
        match self.under_way.pop_front() {
            None => Ok(None),
            Some(Piece::Packed(work)) => Ok(Some(work)),
            Some(Piece::Away(from)) if wait => from.recv().map_err(io::Error::other)?.map(Some),
            Some(Piece::Away(from)) => match from.try_recv() {
                Ok(done) => done.map(Some),
                Err(TryRecvError::Empty) => {
                    self.under_way.push_front(Piece::Away(from));
                    Ok(None)
                }
                Err(gone) => Err(io::Error::other(gone)),
            },
        }
    }
}
