//! `[tickets]`: how soon support answers.

use std::path::PathBuf;

use serde::Deserialize;

/// `[tickets]`. Working days are those of `[review]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tickets {
    /// Working days within which a ticket has its first answer; told to the developer. Missed, it is put before the administrators.
    pub first_answer: u32,
    /// Working days within which each later message is answered; orders the queue.
    pub answer: u32,
    /// Texts to start an answer from, in place of the ones that come along.
    pub canned_texts: Option<PathBuf>,
}

impl Default for Tickets {
    fn default() -> Self {
        Self { first_answer: 2, answer: 3, canned_texts: None }
    }
}

impl Tickets {
    /// What types cannot say.
    pub fn is_sound(&self) -> Result<(), String> {
        for (name, days) in [("first_answer", self.first_answer), ("answer", self.answer)] {
            if !(1..=250).contains(&days) {
                return Err(format!("tickets.{name} is a number of working days, 1 to 250"));
            }
        }
        Ok(())
    }
}
