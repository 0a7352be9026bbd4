//! `[freezes]`: the brake.

use serde::Deserialize;

use super::Span;

/// `[freezes]`. Working days are those of `[review]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Freezes {
    /// Working days within which a second person confirms or lifts a freeze; told to the developer. Missed, it is put before those who can.
    pub confirm: u32,
    /// What calls that are refused with 503 are told to wait before they come again.
    pub retry_after: Span,
    /// How long after it was made a request waits for a freeze to be lifted; then it fails, and what it spent returns.
    pub held: Span,
}

impl Default for Freezes {
    fn default() -> Self {
        Self { confirm: 5, retry_after: Span::minutes(5), held: Span::days(30) }
    }
}

impl Freezes {
    /// What types cannot say.
    pub fn is_sound(&self) -> Result<(), String> {
        if !(1..=250).contains(&self.confirm) {
            return Err("freezes.confirm is a number of working days, 1 to 250".into());
        }
        if self.retry_after.0.as_secs() == 0 {
            return Err("freezes.retry_after is a second or more".into());
        }
        Ok(())
    }

    /// For `Retry-After`, in seconds.
    pub fn seconds(&self) -> u32 {
        u32::try_from(self.retry_after.0.as_secs()).unwrap_or(u32::MAX)
    }
}
