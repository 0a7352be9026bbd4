//! What is published about review: how long decisions took, and how they came out.

use std::collections::BTreeMap;

use super::decide::Outcome;
use super::{State, codes};
use crate::Fault;
use crate::clock::Millis;
use crate::db::{Tx, sql};

/// Half of them took at most `median`, nine of ten at most `ninetieth`; in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// The median.
    pub median: i64,
    /// The 90th percentile.
    pub ninetieth: i64,
}

impl Spread {
    /// Of any number of times; none of none.
    pub fn of(mut times: Vec<i64>) -> Option<Self> {
        times.sort_unstable();
        // The nearest rank: a time that was really taken, never one in between.
        let rank = |share: usize| times.get((times.len() * share).div_ceil(100).saturating_sub(1)).copied();
        Some(Self { median: rank(50)?, ninetieth: rank(90)? })
    }

    /// In days, one digit after the point.
    pub fn days(millis: i64) -> f64 {
        let tenths = (millis.max(0) + 4_320_000) / 8_640_000;
        f64::from(i32::try_from(tenths).unwrap_or(i32::MAX)) / 10.0
    }
}

/// What happened since a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Since when.
    pub since: Millis,
    /// How many were decided.
    pub decided: usize,
    /// How many of them after their limit.
    pub late: usize,
    /// From the submission to the decision.
    pub total: Option<Spread>,
    /// Of that, while staff had the move.
    pub ours: Option<Spread>,
    /// How often applications came out so, approved ones first.
    pub outcomes: Vec<(State, usize)>,
    /// How often scopes were refused for a reason, the most frequent first.
    pub codes: Vec<(&'static str, usize)>,
    /// How many wait for staff now.
    pub open: i64,
    /// How many wait for applicants now.
    pub stopped: i64,
}

#[derive(sqlx_macros::FromRow)]
struct Row {
    outcomes: String,
    submitted_at: Option<Millis>,
    decided_at: Option<Millis>,
    due_at: Option<Millis>,
    stood: i64,
}

/// Reads them. What was decided and revoked since counts as it was decided.
pub async fn read(tx: &mut Tx, since: Millis) -> Result<Statistics, Fault> {
    let rows = sql!(
        tx,
        all Row,
        "select d.outcomes, a.submitted_at, a.decided_at, a.due_at, a.stood
         from application_decisions d join applications a on a.application_id = d.application_id
         where d.in_force and d.at >= $1",
        since,
    )?;
    let (mut total, mut ours, mut late) = (Vec::new(), Vec::new(), 0);
    let mut outcomes: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut reasons: BTreeMap<&'static str, usize> = BTreeMap::new();
    for row in &rows {
        if let (Some(from), Some(to)) = (row.submitted_at, row.decided_at) {
            total.push(to.0 - from.0);
            ours.push((to.0 - from.0 - row.stood).max(0));
            late += usize::from(row.due_at.is_some_and(|due| due < to));
        }
        let decided: Vec<Outcome> = serde_json::from_str(&row.outcomes).unwrap_or_default();
        *outcomes.entry(super::decide::state_of(&decided).as_str()).or_default() += 1;
        for code in decided.iter().filter_map(|outcome| codes::find(&outcome.reason()?.code)) {
            *reasons.entry(code.code).or_default() += 1;
        }
    }
    let mut codes: Vec<_> = reasons.into_iter().collect();
    codes.sort_by_key(|(code, count)| (std::cmp::Reverse(*count), *code));
    let count = |state: State| outcomes.get(state.as_str()).copied().unwrap_or(0);
    let (open, stopped) = sql!(
        tx,
        one(i64, i64),
        "select count(case when stopped_at is null then 1 end), count(stopped_at)
         from applications
         where ended_at is null and due_at is not null",
    )?;
    Ok(Statistics {
        since,
        decided: rows.len(),
        late,
        total: Spread::of(total),
        ours: Spread::of(ours),
        outcomes: [State::Approved, State::ApprovedWithConditions, State::Rejected].map(|state| (state, count(state))).to_vec(),
        codes,
        open,
        stopped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_taken() {
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(Spread::of(vec![7]), Some(Spread { median: 7, ninetieth: 7 }));
        assert_eq!(Spread::of((1..=10).rev().collect()), Some(Spread { median: 5, ninetieth: 9 }));
        assert_eq!(Spread::of((1..=100).collect()), Some(Spread { median: 50, ninetieth: 90 }));
        assert_eq!(Spread::days(9 * 8_640_000 * 10), 9.0);
        assert_eq!(Spread::days(3_600_000 * 12), 0.5);
    }
}
