//! Limits on failures: sign-in and the token endpoint count what fails, not what succeeds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Millis;

/// Counts failures by name within a sliding window, in this process. An attempt counts as failed until it has succeeded, so that many at
/// once do not slip under the limit together.
#[derive(Clone, Debug)]
pub struct Failures {
    limit: usize,
    window: Duration,
    seen: Arc<Mutex<Seen>>,
}

/// Times of failures by name.
#[derive(Debug, Default)]
struct Seen {
    times: HashMap<String, Vec<Millis>>,
    /// How many names there were after those long past were last forgotten.
    after_sweep: usize,
}

/// An attempt under way.
#[derive(Debug)]
#[must_use = "an attempt counts as failed unless it is told to have succeeded"]
pub struct Attempt {
    failures: Failures,
    name: String,
    at: Millis,
}

/// Names beyond which those whose failures have all passed are forgotten.
const CROWD: usize = 10_000;

impl Failures {
    /// At most `limit` failures of one name within `window`.
    pub fn new(limit: u32, window: Duration) -> Self {
        Self { limit: limit as usize, window, seen: Arc::default() }
    }

    /// Begins an attempt, or says how long to wait.
    pub fn begin(&self, name: &str, now: Millis) -> Result<Attempt, Duration> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Each sweep is paid for by as many names that came since the last.
        if seen.times.len() > CROWD.max(2 * seen.after_sweep) {
            seen.times.retain(|_, times| times.last().is_some_and(|last| now.since(*last) < self.window));
            seen.after_sweep = seen.times.len();
        }
        let times = seen.times.entry(name.to_owned()).or_default();
        times.retain(|time| now.since(*time) < self.window);
        if times.len() >= self.limit {
            // The first to fall out of the window makes room.
            let first = times.get(times.len() - self.limit).copied().unwrap_or(now);
            return Err((first + self.window).since(now));
        }
        times.push(now);
        Ok(Attempt { failures: self.clone(), name: name.to_owned(), at: now })
    }
}

impl Attempt {
    /// It did not fail after all.
    pub fn succeeded(self) {
        let mut seen = self.failures.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = seen.times.get_mut(&self.name)
            && let Some(at) = times.iter().position(|time| *time == self.at)
        {
            times.remove(at);
            if times.is_empty() {
                seen.times.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_count_and_they_pass() {
        let failures = Failures::new(3, Duration::from_secs(60));
        for second in 0..100 {
            failures.begin("anna", Millis(second * 1000)).unwrap().succeeded();
        }
        for _ in 0..3 {
            drop(failures.begin("anna", Millis(100_000)).unwrap());
        }
        assert_eq!(failures.begin("anna", Millis(110_000)).unwrap_err(), Duration::from_secs(50));
        assert!(failures.begin("ben", Millis(110_000)).is_ok());
        assert!(failures.begin("anna", Millis(160_000)).is_ok());
    }

    #[test]
    fn attempts_at_once_do_not_slip_under_the_limit() {
        let failures = Failures::new(3, Duration::from_secs(60));
        let held: Vec<_> = (0..10).filter_map(|_| failures.begin("anna", Millis(0)).ok()).collect();
        assert_eq!(held.len(), 3);
    }
}
