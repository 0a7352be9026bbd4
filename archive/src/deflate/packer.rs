//! Who compresses a piece: our own encoder or zlib.

use std::io;

use flate2::{Compress, Compression, FlushCompress, Status};

use super::encoder::{Encoder, ROOM};
use super::window::Window;

/// How hard to compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Our own encoder: several times as fast as zlib's 6, for some 4 % more bytes.
    Fast,
    /// zlib, from 2 to 9.
    Zlib(u32),
}

impl Level {
    /// What a level from 0 to 9 means; 0 does not compress.
    pub fn of(level: u32) -> Option<Self> {
        match level {
            0 => None,
            1 => Some(Self::Fast),
            more => Some(Self::Zlib(more.min(9))),
        }
    }
}

/// Compresses pieces, one at a time; what our own encoder needs is made once and serves again.
#[derive(Default)]
pub struct Packer {
    fast: Option<Encoder>,
    out: Vec<u8>,
    length: usize,
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packer({} bytes)", self.length)
    }
}

impl Packer {
    /// Compresses the window's piece. `last` says that it ends the stream.
    pub fn pack(&mut self, window: &Window, level: Level, last: bool) -> io::Result<()> {
        self.length = 0;
        // zlib's incompressible blocks are smaller than ours, so it needs a little more than they do.
        self.out.resize(ROOM + 4096, 0);
        self.length = match level {
            Level::Fast => self.fast.get_or_insert_with(Encoder::new).piece(window, last, &mut self.out),
            Level::Zlib(level) => self.zlib(window, level, last)?,
        };
        Ok(())
    }

    /// What [`Packer::pack`] made.
    pub fn packed(&self) -> &[u8] {
        self.out.get(..self.length).unwrap_or_default()
    }

    fn zlib(&mut self, window: &Window, level: u32, last: bool) -> io::Result<usize> {
        // A fresh one for each piece: what zlib-rs makes after a reset depends on what it compressed before, and the same data must
        // give the same bytes.
        let mut zlib = Compress::new(Compression::new(level), false);
        if !window.history().is_empty() {
            zlib.set_dictionary(window.history()).map_err(io::Error::other)?;
        }
        let flush = if last { FlushCompress::Finish } else { FlushCompress::Sync };
        let status = zlib.compress(window.piece(), &mut self.out, flush).map_err(io::Error::other)?;
        let whole = zlib.total_in() == window.piece().len() as u64 && (!last || status == Status::StreamEnd);
        if !whole || zlib.total_out() == self.out.len() as u64 {
            return Err(io::Error::other("a piece does not fit its buffer"));
        }
        Ok(zlib.total_out() as usize)
    }
}
