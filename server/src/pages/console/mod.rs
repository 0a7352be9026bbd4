//! The console: where staff review, decide and help.

use super::access::Act;

/// Every act of the console.
pub(crate) fn acts() -> Vec<Act> {
    let rooms: Vec<Vec<Act>> = vec![super::upload::console_acts()];
    rooms.into_iter().flatten().collect()
}
