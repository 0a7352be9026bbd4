//! A piece of a member and what came before it, in one row.

use super::symbols::FURTHEST;

/// Bytes of a window; a power of two, so that a masked position is within it.
const SIZE: usize = 256 << 10;
/// Brings any position into the window.
const MASK: usize = SIZE - 1;
/// Sixteen bytes can be read from each position.
const BEYOND: usize = 16;

/// A member is cut every so many bytes. Its 32 KiB of history make a window full; larger pieces gain nothing that can be measured.
pub const PIECE: usize = SIZE - FURTHEST;

/// A piece being filled: history, then new bytes.
pub struct Window {
    bytes: Box<[u8; SIZE + BEYOND]>,
    from: usize,
    to: usize,
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Window({}..{})", self.from, self.to)
    }
}

impl Default for Window {
    fn default() -> Self {
        let zeros = vec![0; SIZE + BEYOND].into_boxed_slice();
        // A slice of just that size is such an array; the other way would cross the stack.
        let bytes = zeros.try_into().unwrap_or_else(|_| Box::new([0; SIZE + BEYOND]));
        Self { bytes, from: 0, to: 0 }
    }
}

impl Window {
    /// Begins a member: no history, nothing in it.
    pub fn clear(&mut self) {
        (self.from, self.to) = (0, 0);
    }

    /// Begins the piece after `before`.
    pub fn follow(&mut self, before: &Self) {
        let history = &before.filled()[before.to.saturating_sub(FURTHEST)..];
        self.bytes[..history.len()].copy_from_slice(history);
        (self.from, self.to) = (history.len(), history.len());
    }

    /// Takes as many bytes as the piece still holds; gives the rest.
    #[must_use]
    pub fn fill<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let (taken, rest) = bytes.split_at(bytes.len().min(self.from + PIECE - self.to));
        self.bytes[self.to..self.to + taken.len()].copy_from_slice(taken);
        self.to += taken.len();
        rest
    }

    /// Whether the piece is full. A full piece is not the last unless told: an empty one may follow.
    pub fn is_full(&self) -> bool {
        self.to - self.from == PIECE
    }

    /// The piece.
    pub fn piece(&self) -> &[u8] {
        &self.bytes[self.from..self.to]
    }

    /// What came before it, as far as a match reaches.
    pub fn history(&self) -> &[u8] {
        &self.bytes[..self.from]
    }

    fn filled(&self) -> &[u8] {
        &self.bytes[..self.to]
    }

    /// Where the piece begins and ends.
    pub(super) fn range(&self) -> (usize, usize) {
        (self.from, self.to)
    }

    /// A part of it.
    pub(super) fn part(&self, from: usize, to: usize) -> &[u8] {
        self.bytes.get(from..to).unwrap_or_default()
    }

    /// Eight bytes from a position, taken modulo the window's size: nothing to check, and nothing that can fail.
    #[inline(always)]
    pub(super) fn eight(&self, at: usize) -> u64 {
        word(&self.bytes, at & MASK)
    }

    /// The eight bytes after those.
    #[inline(always)]
    pub(super) fn next_eight(&self, at: usize) -> u64 {
        word(&self.bytes, (at & MASK) + 8)
    }

    /// One byte.
    #[inline(always)]
    pub(super) fn byte(&self, at: usize) -> u8 {
        self.bytes[at & MASK]
    }
}

/// The compiler sees that a masked position and sixteen bytes more are within the array, and drops both checks.
#[inline(always)]
fn word(bytes: &[u8; SIZE + BEYOND], at: usize) -> u64 {
    match bytes[at..].first_chunk() {
        Some(eight) => u64::from_le_bytes(*eight),
        None => 0,
    }
}
