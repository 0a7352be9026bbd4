//! One block of DEFLATE: which of the three kinds is the smallest, and its bits.

use super::bits::Bits;
use super::huffman::{self, LONGEST_DISTANCE, LONGEST_LENGTH, LONGEST_LITERAL};
use super::symbols::{
    DISTANCE_EXTRA, DISTANCES, END, LENGTH_BASE, LENGTH_EXTRA, LENGTH_SYMBOL, LITERALS, LONGEST, distance_symbol,
};

/// Literals as they stand in the input, and the match that follows them; a length of 0 is no match.
#[derive(Clone, Copy, Default)]
pub(super) struct Step {
    pub(super) literals: u32,
    pub(super) length: u16,
    /// The distance less one: 32,768 then fits 15 bits.
    pub(super) back: u16,
}

/// How often each symbol occurs in a block.
pub(super) struct Counts {
    pub(super) literals: [u32; LITERALS],
    pub(super) distances: [u32; 32],
}

impl Counts {
    pub(super) const NONE: Self = Self { literals: [0; LITERALS], distances: [0; 32] };
}

/// Bits of a code in the lower 24, how many in the upper 8.
#[derive(Clone, Copy)]
struct Entry(u32);

impl Entry {
    fn new(bits: u32, count: u8) -> Self {
        Self(bits | u32::from(count) << 24)
    }

    #[inline(always)]
    fn bits(self) -> u64 {
        u64::from(self.0 & 0x00ff_ffff)
    }

    #[inline(always)]
    fn count(self) -> u32 {
        self.0 >> 24
    }
}

/// The codes of a block, ready to be written.
struct Codes {
    literals: [Entry; 256],
    end: Entry,
    /// Each length with its extra bits; 0 is the longest entry that is not used.
    lengths: [Entry; LONGEST + 1],
    distances: [Entry; 32],
}

impl Codes {
    fn new(literal_lengths: &[u8; LITERALS], distance_lengths: &[u8; 32]) -> Self {
        let (mut literals, mut distances) = ([0u16; LITERALS], [0u16; 32]);
        huffman::codes(literal_lengths, &mut literals);
        huffman::codes(distance_lengths, &mut distances);
        let entry = |symbol: usize| Entry::new(u32::from(literals[symbol]), literal_lengths[symbol]);
        let mut lengths = [Entry(0); LONGEST + 1];
        for (length, place) in lengths.iter_mut().enumerate().skip(3) {
            let symbol = usize::from(LENGTH_SYMBOL[length]);
            let extra = (length - usize::from(LENGTH_BASE[symbol])) as u32;
            let code = entry(END + 1 + symbol);
            *place = Entry::new(code.bits() as u32 | extra << code.count(), code.count() as u8 + LENGTH_EXTRA[symbol]);
        }
        Self {
            literals: std::array::from_fn(entry),
            end: entry(END),
            lengths,
            distances: std::array::from_fn(|symbol| Entry::new(u32::from(distances[symbol]), distance_lengths[symbol])),
        }
    }

    fn write(&self, steps: &[Step], mut input: &[u8], bits: &mut Bits<'_>) {
        for step in steps {
            let Some((literals, after)) = input.split_at_checked(step.literals as usize) else { return };
            let mut at = 0;
            // Four at a time, beyond the run too: what is not of it counts no bits. So a run's last few cost no branch.
            while at < literals.len() {
                let left = literals.len() - at;
                let entry = |ahead: usize| {
                    let byte = input.get(at + ahead).copied().unwrap_or(0);
                    let entry = self.literals[usize::from(byte)];
                    if ahead < left { entry } else { Entry(0) }
                };
                let (a, b, c, d) = (entry(0), entry(1), entry(2), entry(3));
                let (first, last) = (a.count() + b.count(), c.count() + d.count());
                let low = a.bits() | b.bits() << a.count();
                let high = c.bits() | d.bits() << c.count();
                bits.add(low | high << first, first + last);
                bits.flush();
                at += 4;
            }
            if step.length > 0 {
                let length = self.lengths[usize::from(step.length).min(LONGEST)];
                let symbol = distance_symbol(step.back);
                let distance = self.distances[symbol];
                // What the distance is above the first of its symbol. Those, less one, are multiples of their ranges: the lowest bits.
                let extra_bits = u32::from(DISTANCE_EXTRA[symbol]);
                let extra = u64::from(step.back) & ((1 << extra_bits) - 1);
                let of_distance = distance.bits() | extra << distance.count();
                bits.add(length.bits() | of_distance << length.count(), length.count() + distance.count() + extra_bits);
                bits.flush();
            }
            let Some((_, after)) = after.split_at_checked(usize::from(step.length)) else { return };
            input = after;
        }
        bits.add(self.end.bits(), self.end.count());
        bits.flush();
    }
}

/// The order in which the lengths of the code of lengths are written.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// The head of a dynamic block: both codes' lengths, with repetitions.
struct Head {
    /// How many lengths of literals and distances are told.
    literals: usize,
    distances: usize,
    /// The symbols of the lengths, each with its extra bits.
    told: [(u8, u8); LITERALS + 32],
    count: usize,
    lengths: [u8; 19],
    /// How many lengths of the code of lengths are told.
    ordered: usize,
}

impl Head {
    fn new(literal_lengths: &[u8; LITERALS], distance_lengths: &[u8; 32]) -> Self {
        let until =
            |lengths: &[u8], least: usize| lengths.iter().rposition(|length| *length > 0).map_or(0, |at| at + 1).max(least);
        let (literals, distances) = (until(&literal_lengths[..286], 257), until(&distance_lengths[..DISTANCES], 1));
        let mut all = [0u8; LITERALS + 32];
        all[..literals].copy_from_slice(&literal_lengths[..literals]);
        all[literals..literals + distances].copy_from_slice(&distance_lengths[..distances]);
        let all = &all[..literals + distances];
        let (mut told, mut count, mut counts) = ([(0, 0); LITERALS + 32], 0, [0u32; 19]);
        let mut tell = |symbol: u8, extra: usize| {
            told[count] = (symbol, extra as u8);
            count += 1;
            counts[usize::from(symbol)] += 1;
        };
        let mut at = 0;
        while at < all.len() {
            let length = all[at];
            let mut run = all[at..].iter().take_while(|other| **other == length).count();
            at += run;
            if length == 0 {
                while run >= 11 {
                    let taken = run.min(138);
                    tell(18, taken - 11);
                    run -= taken;
                }
                if run >= 3 {
                    tell(17, run - 3);
                    run = 0;
                }
            } else {
                tell(length, 0);
                run -= 1;
                while run >= 3 {
                    let taken = run.min(6);
                    tell(16, taken - 3);
                    run -= taken;
                }
            }
            for _ in 0..run {
                tell(length, 0);
            }
        }
        let mut lengths = [0; 19];
        huffman::lengths(&counts, LONGEST_LENGTH, &mut lengths);
        let ordered = ORDER.iter().rposition(|symbol| lengths[*symbol] > 0).map_or(4, |at| at + 1).max(4);
        Self { literals, distances, told, count, lengths, ordered }
    }

    fn extra_bits(symbol: u8) -> u32 {
        match symbol {
            16 => 2,
            17 => 3,
            18 => 7,
            _ => 0,
        }
    }

    fn size(&self) -> u64 {
        let told: u32 = self.told[..self.count]
            .iter()
            .map(|(symbol, _)| u32::from(self.lengths[usize::from(*symbol)]) + Self::extra_bits(*symbol))
            .sum();
        14 + 3 * self.ordered as u64 + u64::from(told)
    }

    fn write(&self, bits: &mut Bits<'_>) {
        let mut codes = [0u16; 19];
        huffman::codes(&self.lengths, &mut codes);
        bits.add((self.literals - 257) as u64, 5);
        bits.add((self.distances - 1) as u64, 5);
        bits.add((self.ordered - 4) as u64, 4);
        bits.flush();
        for symbol in &ORDER[..self.ordered] {
            bits.add(u64::from(self.lengths[*symbol]), 3);
            bits.flush();
        }
        for (symbol, extra) in &self.told[..self.count] {
            let at = usize::from(*symbol);
            bits.add(u64::from(codes[at]), u32::from(self.lengths[at]));
            bits.add(u64::from(*extra), Self::extra_bits(*symbol));
            bits.flush();
        }
    }
}

/// The lengths of the fixed codes.
const FIXED_LITERALS: [u8; LITERALS] = {
    let (mut lengths, mut at) = ([8; LITERALS], 144);
    while at < 280 {
        lengths[at] = if at < 256 { 9 } else { 7 };
        at += 1;
    }
    lengths
};
const FIXED_DISTANCES: [u8; 32] = [5; 32];

fn size(counts: &Counts, literals: &[u8; LITERALS], distances: &[u8; 32]) -> u64 {
    let sum = |counts: &[u32], lengths: &[u8]| -> u64 {
        counts.iter().zip(lengths).map(|(count, length)| u64::from(*count) * u64::from(*length)).sum()
    };
    sum(&counts.literals, literals) + sum(&counts.distances, distances)
}

fn extra_size(counts: &Counts) -> u64 {
    let sum = |counts: &[u32], extra: &[u8]| -> u64 {
        counts.iter().zip(extra).map(|(count, extra)| u64::from(*count) * u64::from(*extra)).sum()
    };
    sum(&counts.literals[END + 1..], &LENGTH_EXTRA) + sum(&counts.distances, &DISTANCE_EXTRA)
}

/// The most that one stored block holds.
const STORED: usize = 65_535;

/// Writes `input` as the smallest kind of block. `steps` tell how it is made; `counts` count their symbols, the end included.
pub(super) fn write(input: &[u8], steps: &[Step], counts: &Counts, last: bool, bits: &mut Bits<'_>) {
    let (mut literal_lengths, mut distance_lengths) = ([0; LITERALS], [0; 32]);
    huffman::lengths(&counts.literals, LONGEST_LITERAL, &mut literal_lengths);
    huffman::lengths(&counts.distances[..DISTANCES], LONGEST_DISTANCE, &mut distance_lengths[..DISTANCES]);
    let head = Head::new(&literal_lengths, &distance_lengths);
    let extra = extra_size(counts);
    let dynamic = 3 + head.size() + size(counts, &literal_lengths, &distance_lengths) + extra;
    let fixed = 3 + size(counts, &FIXED_LITERALS, &FIXED_DISTANCES) + extra;
    // Up to 7 bits to the next byte, which are taken as needed all.
    let stored = 8 * (input.len() as u64 + 5 * input.len().div_ceil(STORED).max(1) as u64) + 7;
    let last = u64::from(last);
    if stored < dynamic.min(fixed) {
        self::stored(input, last, bits);
    } else if fixed <= dynamic {
        bits.add(last | 0b01 << 1, 3);
        Codes::new(&FIXED_LITERALS, &FIXED_DISTANCES).write(steps, input, bits);
    } else {
        bits.add(last | 0b10 << 1, 3);
        head.write(bits);
        Codes::new(&literal_lengths, &distance_lengths).write(steps, input, bits);
    }
}

/// Bytes as they are; none of them are a block too, which ends at a byte's end.
pub(super) fn stored(input: &[u8], last: u64, bits: &mut Bits<'_>) {
    let mut rest = input;
    loop {
        let (now, after) = rest.split_at(rest.len().min(STORED));
        bits.add(if after.is_empty() { last } else { 0 }, 3);
        bits.flush();
        bits.align();
        let length = now.len() as u16;
        bits.bytes(&length.to_le_bytes());
        bits.bytes(&(!length).to_le_bytes());
        bits.bytes(now);
        rest = after;
        if rest.is_empty() {
            return;
        }
    }
}

/// The last block of all, with nothing in it: ten bits with the fixed codes.
pub(super) fn empty(bits: &mut Bits<'_>) {
    bits.add(0b011, 10);
    bits.flush();
}
