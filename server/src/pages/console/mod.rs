//! The console: where staff review, decide and help.

mod sign_in;
mod staff;

use super::access::Act;

/// Every act of the console.
pub(crate) fn acts() -> Vec<Act> {
    let rooms: Vec<Vec<Act>> = vec![sign_in::acts(), staff::acts(), super::icons::console_acts(), super::upload::console_acts()];
    rooms.into_iter().flatten().collect()
}
