//! Chance that repeats itself: dice that depend on nothing but a seed, popularity by Zipf's law, and times.
//!
//! Only the raw words of the generator are used, never a library's distributions: those may change with a version, and
//! the same seed must give the same bytes for as long as this file stands. For the same reason there are no floats.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const DAY: i64 = 86_400_000;

/// A stream of chance of its own for each person and table, so that one table's length never moves another's rows.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    pub(super) fn new(seed: u64, who: i64, what: &str) -> Dice {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&who.to_le_bytes());
        key[16..24].copy_from_slice(&hash(what).to_le_bytes());
        Dice(ChaCha8Rng::from_seed(key))
    }

    /// A number from 0 to `end`, which is left out; 0 when `end` is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(end)) >> 64) as u64
    }

    pub(super) fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.below(to.saturating_sub(from).max(1) as u64) as i64
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// FNV-1a: short, stable and good enough to tell table names apart.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Spreads counted numbers over 32 bits without two ever meeting: an odd factor permutes them.
pub(super) fn scatter(nth: u64) -> i64 {
    i64::from((nth as u32).wrapping_mul(2_654_435_761))
}

/// A 19-digit id ordered by time, as the platform gives to videos and live rooms.
pub(super) fn snowflake(at: i64, nth: u64) -> i64 {
    ((at / 1000) << 32) | scatter(nth)
}

/// Rank 1 is drawn twice as often as rank 2, three times as often as rank 3, and so on.
pub(super) struct Zipf(Vec<u64>);

impl Zipf {
    pub(super) fn new(ranks: usize) -> Zipf {
        let mut sum = 0;
        let below = (1..=ranks as u64).map(|rank| {
            sum += (1 << 40) / rank;
            sum
        });
        Zipf(below.collect())
    }

    /// A rank, counted from 0.
    pub(super) fn draw(&self, dice: &mut Dice) -> usize {
        let at = dice.below(self.0.last().copied().unwrap_or(1));
        self.0.partition_point(|below| *below <= at)
    }
}

/// Moments at which date code breaks: both sides of daylight-saving changes, leap day, the turn of the year.
pub(super) const DELICATE: &[&str] = &[
    "2023-11-05T05:59:59.999Z",
    "2023-11-05T06:00:00Z",
    "2023-11-05T06:30:00Z",
    "2023-12-31T23:59:59.999Z",
    "2024-01-01T00:00:00Z",
    "2024-02-28T23:59:59.999Z",
    "2024-02-29T00:00:00Z",
    "2024-02-29T12:00:00Z",
    "2024-02-29T23:59:59.999Z",
    "2024-03-01T00:00:00Z",
    "2024-03-10T06:59:59Z",
    "2024-03-10T07:00:00Z",
    "2024-03-31T00:59:59Z",
    "2024-03-31T01:00:00Z",
    "2024-10-27T00:30:00Z",
    "2024-10-27T00:59:59.999Z",
    "2024-10-27T01:00:00Z",
    "2024-10-27T01:30:00Z",
    "2024-11-03T06:00:00Z",
    "2024-12-31T23:59:59.999Z",
    "2025-01-01T00:00:00Z",
    "2025-03-09T07:00:00Z",
    "2025-03-30T00:59:59Z",
    "2025-03-30T01:00:00Z",
    "2025-10-26T00:30:00Z",
    "2025-10-26T01:00:00Z",
    "2025-10-26T01:30:00Z",
    "2025-12-31T23:59:59.999Z",
    "2026-01-01T00:00:00Z",
    "2026-03-08T07:00:00Z",
    "2026-03-29T00:59:59.999Z",
    "2026-03-29T01:00:00Z",
    "2026-10-25T00:30:00Z",
    "2026-10-25T00:59:59Z",
    "2026-10-25T01:00:00Z",
    "2026-10-25T01:30:00Z",
];

/// The stretch of time in which everything of the data set happens, in Unix milliseconds.
pub(super) struct Span {
    pub(super) from: i64,
    pub(super) to: i64,
    delicate: Vec<i64>,
}

impl Span {
    pub(super) fn new(from: i64, to: i64) -> Span {
        let mut delicate: Vec<i64> = DELICATE
            .iter()
            .filter_map(|text| text.parse::<jiff::Timestamp>().ok())
            .map(|at| at.as_millisecond())
            .filter(|at| (from..to).contains(at))
            .collect();
        delicate.sort_unstable();
        Span { from, to, delicate }
    }

    /// The time of the `nth` of `of` events: later for a later one, anywhere within its share of the span. A share that
    /// holds a delicate moment takes it, always when shares are short, now and then when they are long.
    pub(super) fn moment(&self, dice: &mut Dice, nth: u64, of: u64) -> i64 {
        let edge = |n: u64| {
            let wide = i128::from(self.to - self.from) * i128::from(n) / i128::from(of.max(1));
            self.from + wide as i64
        };
        let (from, to) = (edge(nth), edge(nth + 1));
        let first = self.delicate.partition_point(|at| *at < from);
        let last = self.delicate.partition_point(|at| *at < to);
        if first < last && (to - from < DAY || dice.chance(25)) {
            return dice.pick(&self.delicate[first..last]);
        }
        dice.between(from, to)
    }
}
