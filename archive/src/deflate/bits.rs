//! Bits on their way into bytes, eight bytes at a time.

/// Writes bits, lowest first, over a slice that has room.
pub(super) struct Bits<'o> {
    out: &'o mut [u8],
    at: usize,
    held: u64,
    count: u32,
}

impl<'o> Bits<'o> {
    pub(super) fn new(out: &'o mut [u8]) -> Self {
        Self { out, at: 0, held: 0, count: 0 }
    }

    /// Adds bits. There must be room among the 64: after [`Bits::flush`] there is for 57.
    #[inline(always)]
    pub(super) fn add(&mut self, bits: u64, count: u32) {
        self.held |= bits << (self.count & 63);
        self.count += count;
    }

    /// Writes the whole bytes; fewer than eight bits stay.
    #[inline(always)]
    pub(super) fn flush(&mut self) {
        // Room is reserved for the worst case; a slice that ends is a fault of that sum, and shows as a short output.
        if let Some(eight) = self.out.get_mut(self.at..self.at + 8) {
            eight.copy_from_slice(&self.held.to_le_bytes());
        }
        self.at += (self.count >> 3) as usize;
        self.held >>= self.count & 56;
        self.count &= 7;
    }

    /// Fills the last byte with zeros; gives how many bits are needed up to it.
    pub(super) fn align(&mut self) {
        self.count = (self.count + 7) & !7;
        self.flush();
    }

    /// Copies whole bytes; the position is aligned.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if let Some(place) = self.out.get_mut(self.at..self.at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.at += bytes.len();
    }

    /// Bytes written.
    pub(super) fn len(&self) -> usize {
        self.at
    }
}
