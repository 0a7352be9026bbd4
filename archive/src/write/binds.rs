//! What a query is asked with.

use std::collections::HashMap;

use jiff::Timestamp;

use super::Failure;
use crate::catalogue::sql::Bind;
use crate::catalogue::{DayCache, Section, Stamp, TimeFrom, TimeUnit};
use crate::subject::Subject;

/// What the binds of one run of a query are filled with.
#[derive(Clone, Debug)]
pub(crate) struct Binds {
    subject: Subject,
    keys: HashMap<Box<str>, Subject>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Binds {
    pub(crate) fn new(subject: Subject, since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        Self { subject, keys: HashMap::new(), since, until }
    }

    /// The same, with a key.
    pub(crate) fn with(mut self, name: &str, value: Subject) -> Self {
        self.keys.insert(name.into(), value);
        self
    }

    /// The same, for another range.
    pub(crate) fn between(self, since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        Self { since, until, ..self }
    }

    /// Whether a range is asked for.
    pub(crate) fn has_range(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }

    /// The value of `:subject` or of a key; none for the edges of the range, and for what the catalogue does not know.
    pub(crate) fn value(&self, bind: &Bind) -> Option<&Subject> {
        match bind {
            Bind::Subject => Some(&self.subject),
            Bind::Key(name) => self.keys.get(name),
            Bind::Since | Bind::Until => None,
        }
    }

    /// The edge of the range that a query binds; none for the extremes.
    pub(crate) fn edge(&self, bind: &Bind) -> Option<Timestamp> {
        match bind {
            Bind::Since => self.since,
            Bind::Until => self.until,
            Bind::Subject | Bind::Key(_) => None,
        }
    }

    /// Whose row it must be for the section's rows: the subject's, or that of the key which `owner_is` names.
    pub(crate) fn owner(&self, owner_is: Option<&str>) -> Option<&Subject> {
        match owner_is {
            None => Some(&self.subject),
            Some(name) => self.keys.get(name),
        }
    }
}

/// An edge of the range in the form of the column that it is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Edge {
    /// A whole number of the column's units.
    Int(i64),
    /// A part of a unit.
    Real(f64),
    /// As the column writes times.
    Text(String),
}

const NANOS_PER_DAY: i128 = 86_400_000_000_000;

/// The least whole number of units that is not before the moment: what is stored in whole units is at or after it exactly if it is at or
/// after this.
pub(crate) fn whole_units(at: Timestamp, nanos_per_unit: i128) -> i64 {
    let nanos = at.as_nanosecond();
    let units = nanos.div_euclid(nanos_per_unit) + i128::from(nanos.rem_euclid(nanos_per_unit) != 0);
    units as i64
}

/// The first day, from 1970, that does not begin before the moment.
pub(crate) fn whole_days(at: Timestamp) -> i32 {
    whole_units(at, NANOS_PER_DAY) as i32
}

/// How many nanoseconds a unit has; texts have none.
pub(crate) fn nanos_per_unit(unit: &TimeUnit) -> Option<i128> {
    match unit.from {
        TimeFrom::Seconds => Some(1_000_000_000),
        TimeFrom::Millis => Some(1_000_000),
        TimeFrom::Micros => Some(1_000),
        TimeFrom::Text => None,
    }
}

/// An edge of the range for the section's column of times.
pub(crate) fn edge(section: &Section, at: Timestamp) -> Result<Edge, Failure> {
    let Some(unit) = section.time_unit() else {
        return Err(Failure::Query("nothing says how the column of `time` stores times: write time_from".to_owned()));
    };
    // A day is told by its first moment.
    let at = if unit.days { Timestamp::from_second(i64::from(whole_days(at)) * 86_400).map_err(|_| beyond())? } else { at };
    let Some(nanos) = nanos_per_unit(&unit) else { return text(&unit, at).map(Edge::Text) };
    let exact = at.as_nanosecond();
    Ok(if exact % nanos == 0 { Edge::Int(whole_units(at, nanos)) } else { Edge::Real(exact as f64 / nanos as f64) })
}

/// A text that compares with the column's as the moment does with theirs.
fn text(unit: &TimeUnit, at: Timestamp) -> Result<String, Failure> {
    const SECOND: i128 = 1_000_000_000;
    let nanos = at.as_nanosecond().rem_euclid(SECOND);
    // Where there is no place for a fraction, the next whole second is the first that is not before.
    let appended = nanos != 0 && unit.format.ends_in_seconds();
    let stamp = if appended {
        Stamp::from_seconds(at.as_nanosecond().div_euclid(SECOND) as i64)
    } else if unit.format.has_fraction() {
        Stamp::from_timestamp(at)
    } else {
        Stamp::from_seconds(whole_units(at, SECOND))
    };
    let mut written = Vec::new();
    unit.format.write(stamp, &mut DayCache::default(), &mut written);
    let mut written = String::from_utf8(written).map_err(|_| beyond())?;
    if appended {
        // It makes the text greater than that of the whole second, and less than the next one's.
        written.push('.');
        written.push_str(format!("{nanos:09}").trim_end_matches('0'));
    }
    Ok(written)
}

fn beyond() -> Failure {
    Failure::Query("the range is beyond what the column can hold".to_owned())
}
