//! A short-video platform as one finds it in the wild, with everybody's data in one database.
//!
//! The same plan gives the same rows, to the byte, in SQLite and in PostgreSQL: chance comes from the seed and the present
//! moment is an argument. `docs/demo-platform.md` says what is in it and why.

mod draw;
mod fill;
mod people;
mod postgres;
mod schema;
mod sqlite;
mod words;
mod world;

#[cfg(test)]
mod tests;

pub(crate) use people::{DemoPerson, Size, avatar_svg, people};
pub(crate) use postgres::write_postgres;
pub(crate) use sqlite::write_sqlite;

/// What to make. The same plan makes the same data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How many people can sign in; those with names of their own are always there.
    pub(crate) people: u32,
    /// Rows that belong to the heavy person, in all tables together.
    pub(crate) heavy_rows: u64,
    /// Where chance begins.
    pub(crate) seed: u64,
    /// The present moment of the data set, in Unix milliseconds. Nothing in it is later; the earliest is three years before.
    pub(crate) now: i64,
}

/// 2026-11-01, midnight UTC.
const NOW: i64 = 1_793_491_200_000;

impl Default for Plan {
    fn default() -> Plan {
        Plan { people: people::NAMED, heavy_rows: 100_000, seed: 1, now: NOW }
    }
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report {
    /// Rows in all tables.
    pub(crate) rows: u64,
    /// Rows of each table, in the order of filling.
    pub(crate) tables: Vec<(&'static str, u64)>,
}

impl Report {
    fn new(tables: Vec<(&'static str, u64)>) -> Report {
        Report { rows: tables.iter().map(|(_, rows)| rows).sum(), tables }
    }
}

/// Told after some rows: how many there are now, and how many there will be, about.
pub(crate) type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// Rows between two words of progress.
const STEP: u64 = 20_000;
