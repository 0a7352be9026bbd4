//! Time, handed in as a value.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Milliseconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, sqlx_macros::Type)]
#[sqlx(transparent)]
pub struct Millis(pub i64);

impl Millis {
    /// Whole seconds since the epoch, as the wire counts.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long from `earlier` to this, nothing if it was not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Millis {
    type Output = Self;
    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Millis {
    type Output = Self;
    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time:.0}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

/// Where time comes from: the system, or a test's hand.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The system's clock.
    System,
    /// Stands until it is set.
    Set(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at a time.
    pub fn at(now: Millis) -> Self {
        Self::Set(Arc::new(AtomicI64::new(now.0)))
    }

    /// The time.
    pub fn now(&self) -> Millis {
        match self {
            Self::System => system(),
            Self::Set(now) => Millis(now.load(Ordering::SeqCst)),
        }
    }

    /// Moves a clock that was made by [`Clock::at`]; the system's goes its own way.
    pub fn advance(&self, by: Duration) {
        if let Self::Set(now) = self {
            now.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place that asks the system for the time")]
fn system() -> Millis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
