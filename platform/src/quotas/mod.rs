//! Quotas: requests in any sliding minute, per app and request type (contract 5).
//!
//! A window is 61 one-second buckets: the running second and the 60 before it. A request is admitted while they hold fewer than the limit.
//! So in no 60 seconds is one more admitted (any 60 seconds touch at most those 61), and nobody waits more than a second longer than under an
//! exact log of time stamps. The windows live in this process and start anew with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Millis;
use crate::db::words;

words! {
    /// What is counted apart.
    RequestType {
        /// `/v2/user/data/add/`
        Add = "add",
        /// `/v2/user/data/check/`
        Check = "check",
        /// `/v2/user/data/cancel/`
        Cancel = "cancel",
        /// `/v2/user/data/download/`
        Download = "download",
    }
}

/// The seconds that are counted: the running one and 60 before.
const SECONDS: usize = 61;

/// The outcome of asking for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Whether it may go on.
    pub admitted: bool,
    /// The limit asked against.
    pub limit: u32,
    /// How many more would be admitted now.
    pub remaining: u32,
    /// Whole seconds until one more is admitted if none is left, else until the oldest counted one is forgotten; at least 1.
    pub reset: u32,
}

/// One sliding minute.
#[derive(Clone, Debug)]
pub struct Window {
    buckets: [u32; SECONDS],
    /// The latest second seen. Time that goes backwards by less than the window is taken to stand still.
    second: i64,
    sum: u32,
}

impl Default for Window {
    fn default() -> Self {
        Self { buckets: [0; SECONDS], second: i64::MIN, sum: 0 }
    }
}

impl Window {
    /// Asks for one at a time, in milliseconds since the epoch.
    pub fn take(&mut self, now: Millis, limit: u32) -> Admission {
        self.turn(now.seconds());
        let admitted = self.sum < limit;
        if admitted {
            self.buckets[slot(self.second)] += 1;
            self.sum += 1;
        }
        let remaining = limit.saturating_sub(self.sum);
        Admission { admitted, limit, remaining, reset: self.reset(limit) }
    }

    /// Forgets the seconds that have passed.
    fn turn(&mut self, second: i64) {
        if second < self.second.saturating_sub(SECONDS as i64) {
            // The clock was ahead and has been put right. Standing still would refuse for as long as it was ahead.
            *self = Self { second, ..Self::default() };
            return;
        }
        if second <= self.second {
            return;
        }
        let passed = second.saturating_sub(self.second);
        if passed >= SECONDS as i64 {
            self.buckets = [0; SECONDS];
            self.sum = 0;
        } else {
            for gone in self.second + 1..=second {
                self.sum -= std::mem::take(&mut self.buckets[slot(gone)]);
            }
        }
        self.second = second;
    }

    fn reset(&self, limit: u32) -> u32 {
        let mut left = self.sum;
        for age in (0..SECONDS as i64).rev() {
            let bucket = self.buckets[slot(self.second - age)];
            left -= bucket;
            // The bucket of that age is forgotten when it is 61 seconds old.
            if bucket > 0 && left < limit {
                return u32::try_from(SECONDS as i64 - age).unwrap_or(1).max(1);
            }
        }
        1
    }
}

fn slot(second: i64) -> usize {
    usize::try_from(second.rem_euclid(SECONDS as i64)).unwrap_or(0)
}

/// All windows.
#[derive(Clone, Debug)]
pub enum Quotas {
    /// In this process.
    Local(Local),
}

impl Default for Quotas {
    fn default() -> Self {
        Self::Local(Local::default())
    }
}

impl Quotas {
    /// Asks for one of an app and a request type.
    pub fn take(&self, app_id: i64, request_type: RequestType, limit: u32, now: Millis) -> Admission {
        match self {
            Self::Local(local) => local.take(app_id, request_type, limit, now),
        }
    }
}

/// The windows of one process.
#[derive(Clone, Debug, Default)]
pub struct Local(Arc<Mutex<HashMap<(i64, RequestType), Window>>>);

/// Windows beyond which idle ones are forgotten.
const CROWD: usize = 100_000;

impl Local {
    fn take(&self, app_id: i64, request_type: RequestType, limit: u32, now: Millis) -> Admission {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() > CROWD {
            windows.retain(|_, window| now.seconds().saturating_sub(window.second) < SECONDS as i64);
        }
        windows.entry((app_id, request_type)).or_default().take(now, limit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What an exact log of time stamps would say: fewer than the limit in the 60 seconds before.
    fn in_minute_before(log: &[i64], now: i64) -> usize {
        log.iter().filter(|at| **at > now - 60_000).count()
    }

    #[test]
    fn a_thousand_pass_and_the_next_waits_a_minute() {
        let mut window = Window::default();
        for _ in 0..1000 {
            assert!(window.take(Millis(999), 1000).admitted);
        }
        let refused = window.take(Millis(999), 1000);
        assert_eq!((refused.admitted, refused.remaining, refused.reset), (false, 0, 61));
        assert!(!window.take(Millis(60_998), 1000).admitted);
        assert!(window.take(Millis(61_000), 1000).admitted);
    }

    #[test]
    fn time_that_goes_back_a_little_gives_nothing_away_and_a_clock_put_right_refuses_nobody() {
        let mut window = Window::default();
        for _ in 0..10 {
            window.take(Millis(100_000), 10);
        }
        assert!(!window.take(Millis(40_000), 10).admitted);
        assert!(!window.take(Millis(159_999), 10).admitted);
        assert!(window.take(Millis(161_000), 10).admitted);

        let mut ahead = Window::default();
        for _ in 0..10 {
            ahead.take(Millis(3_700_000), 10);
        }
        for _ in 0..10 {
            assert!(ahead.take(Millis(100_000), 10).admitted);
        }
        assert!(!ahead.take(Millis(100_000), 10).admitted);
    }

    proptest! {
        #[test]
        fn never_one_more_in_any_minute_and_never_a_second_later_than_an_exact_log(
            steps in prop::collection::vec((0i64..2_500, 1usize..8), 1..400),
            limit in 1u32..40,
            start in 0i64..5_000,
        ) {
            let mut window = Window::default();
            let mut admitted: Vec<i64> = Vec::new();
            let mut now = start;
            for (pause, calls) in steps {
                now += pause;
                for _ in 0..calls {
                    let answer = window.take(Millis(now), limit);
                    let exact = in_minute_before(&admitted, now) < limit as usize;
                    if answer.admitted {
                        prop_assert!(exact, "one too many within a minute at {now}");
                        admitted.push(now);
                    } else {
                        // What an exact log would still refuse, or would have admitted for less than a second only.
                        let second_ago = admitted.iter().filter(|at| **at > now - 61_000).count();
                        prop_assert!(second_ago >= limit as usize, "refused more than a second too long at {now}");
                        // Retry-After keeps its word.
                        let mut later = window.clone();
                        prop_assert!(later.take(Millis(now + i64::from(answer.reset) * 1000), limit).admitted);
                    }
                    prop_assert!(answer.remaining <= limit);
                }
            }
        }
    }
}
