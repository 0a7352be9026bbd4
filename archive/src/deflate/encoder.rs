//! Our own encoder: fast on data that repeats itself, as rows of JSON do.
//!
//! What it does is what the measurements in `docs/decisions/0013-deflate.md` left: a table of two places for each hash of six bytes, because
//! matches of four and five digits far away cost more bits than their literals; the longer of two is taken and nothing is tried behind
//! it; within a match only its ends enter the table. Branches that cannot be foretold are what costs time, so both places are
//! compared without one.

use super::bits::Bits;
use super::block::{self, Counts, Step};
use super::symbols::{END, FURTHEST, LENGTH_SYMBOL, LONGEST, distance_symbol};
use super::window::{PIECE, Window};

/// Places of the table: 64 KiB, a part of the second cache.
const HASH_BITS: u32 = 14;
/// The shortest match.
const SHORTEST: usize = 6;
/// Bytes of a block at most: a code of its own pays from some 30 KiB on, and half a piece needs no third block for the rest.
const BLOCK: usize = PIECE / 2;
/// Matches of a block at most.
const STEPS: usize = 16 << 10;
/// After so many literals in a row the next is looked at less closely: text that does not repeat, such as base64.
const DULL: usize = 128;

/// Bytes that hold any compressed piece: at worst six stored blocks with their heads (a block has at least `STEPS * SHORTEST` bytes or
/// ends a half), the mark at the end, and eight bytes that are written together.
pub(super) const ROOM: usize = PIECE + 128;

/// Two positions each, modulo 64 KiB: the younger in the lower half. One that is out of date is told from others by comparing, as every
/// one is.
type Table = [u32; 1 << HASH_BITS];

/// The state, which is the same at the beginning of each piece.
pub(super) struct Encoder {
    table: Vec<u32>,
    steps: Vec<Step>,
}

#[inline(always)]
fn hash(word: u64) -> usize {
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    (begins(word).wrapping_mul(SPREAD) >> (64 - HASH_BITS)) as usize
}

/// The bytes that a match must have, and nothing else of the word.
#[inline(always)]
fn begins(word: u64) -> u64 {
    word << (64 - 8 * SHORTEST)
}

#[inline(always)]
fn insert(table: &mut Table, window: &Window, at: usize) {
    let place = &mut table[hash(window.eight(at))];
    *place = *place << 16 | u32::from(at as u16);
}

/// How many bytes two positions have in common, of sixteen: `low` and `high` are their differences.
#[inline(always)]
fn common(low: u64, high: u64) -> usize {
    let bits = if low == 0 { 64 + high.trailing_zeros() } else { low.trailing_zeros() };
    (bits >> 3) as usize
}

/// The length of a match whose first sixteen bytes are the same.
#[inline(always)]
fn extend(window: &Window, at: usize, from: usize, most: usize) -> usize {
    let mut length = 16;
    while length < most {
        let differ = window.eight(at + length) ^ window.eight(from + length);
        if differ != 0 {
            return most.min(length + (differ.trailing_zeros() >> 3) as usize);
        }
        length += 8;
    }
    most
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self { table: vec![0; 1 << HASH_BITS], steps: vec![Step::default(); STEPS] }
    }

    /// Compresses the window's piece into `out`, which has [`ROOM`]; gives the length.
    pub(super) fn piece(&mut self, window: &Window, last: bool, out: &mut [u8]) -> usize {
        let mut bits = Bits::new(out);
        let (from, to) = window.range();
        if let (Some(table), Some(steps)) = (self.table.first_chunk_mut(), self.steps.first_chunk_mut()) {
            if from < to {
                begin(table, window, from);
            }
            let mut at = from;
            while at < to {
                at = block(table, steps, window, at, to, last, &mut bits);
            }
        }
        if !last {
            // An empty stored block: the end of a byte, which the next piece begins at.
            block::stored(&[], 0, &mut bits);
        } else {
            if from == to {
                block::empty(&mut bits);
            }
            bits.align();
        }
        bits.len()
    }
}

/// Forgets the piece before, and learns the history: every second position, which costs a thousandth in size.
fn begin(table: &mut Table, window: &Window, from: usize) {
    table.fill(0);
    for at in (from.saturating_sub(FURTHEST)..from.saturating_sub(SHORTEST)).step_by(2) {
        insert(table, window, at);
    }
}

/// Compresses a block that begins at `start`; gives where it ends.
fn block(
    table: &mut Table,
    steps: &mut [Step; STEPS],
    window: &Window,
    start: usize,
    to: usize,
    last: bool,
    bits: &mut Bits<'_>,
) -> usize {
    let mut counts = Counts::NONE;
    let end = to.min(start + BLOCK);
    let (mut at, mut literals_from) = (start, start);
    let mut made = 0;
    while at < end {
        let word = window.eight(at);
        let place = &mut table[hash(word)];
        let known = *place;
        *place = known << 16 | u32::from(at as u16);
        let younger = usize::from((at as u16).wrapping_sub(known as u16));
        let older = usize::from((at as u16).wrapping_sub((known >> 16) as u16));
        let (at_younger, at_older) = (at.wrapping_sub(younger), at.wrapping_sub(older));
        let differ_younger = word ^ window.eight(at_younger);
        let differ_older = word ^ window.eight(at_older);
        if (begins(differ_younger) == 0) | (begins(differ_older) == 0) {
            let high = window.next_eight(at);
            let most = LONGEST.min(end - at);
            // Positions before the history hold anything; a distance of 0 is a position of 64 KiB ago.
            let reach = at.min(FURTHEST);
            let length_at = |back: usize, low: u64, from: usize| {
                if back.wrapping_sub(1) < reach { common(low, high ^ window.next_eight(from)).min(most) } else { 0 }
            };
            let one = length_at(younger, differ_younger, at_younger);
            let two = length_at(older, differ_older, at_older);
            let (length, back, from) = if two > one { (two, older, at_older) } else { (one, younger, at_younger) };
            let length = if length == 16 { extend(window, at, from, most) } else { length };
            if length >= SHORTEST {
                let back = (back - 1) as u16;
                steps[made] = Step { literals: (at - literals_from) as u32, length: length as u16, back };
                made += 1;
                counts.literals[END + 1 + usize::from(LENGTH_SYMBOL[length.min(LONGEST)])] += 1;
                counts.distances[distance_symbol(back)] += 1;
                let next = at + length;
                for inside in [at + 1, at + 2, next - 3, next - 2, next - 1] {
                    insert(table, window, inside);
                }
                at = next;
                literals_from = next;
                if made == STEPS - 1 {
                    break;
                }
                continue;
            }
        }
        counts.literals[usize::from(window.byte(at))] += 1;
        at += 1;
        if at - literals_from > DULL {
            for _ in 0..((at - literals_from) / DULL).min(end - at).min(15) {
                counts.literals[usize::from(window.byte(at))] += 1;
                at += 1;
            }
        }
    }
    steps[made] = Step { literals: (at - literals_from) as u32, length: 0, back: 0 };
    counts.literals[END] += 1;
    block::write(window.part(start, at), &steps[..=made], &counts, last && at == to, bits);
    at
}
