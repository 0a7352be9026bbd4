//! The console: where staff review, decide and help.

mod apps;
mod applications;
mod home;
mod sign_in;
mod staff;

use super::access::Act;

/// Every act of the console.
pub(crate) fn acts() -> Vec<Act> {
    let rooms: Vec<Vec<Act>> = vec![home::acts(), applications::acts(), sign_in::acts(), staff::acts(), apps::acts(), super::icons::console_acts(), super::upload::console_acts()];
    rooms.into_iter().flatten().collect()
}
