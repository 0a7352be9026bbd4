//! The console: where staff review, decide and help.

mod applications;
mod apps;
mod freezes;
mod home;
mod sign_in;
mod staff;
mod tickets;

use super::access::Act;

/// Every act of the console.
pub(crate) fn acts() -> Vec<Act> {
    let rooms: Vec<Vec<Act>> = vec![
        home::acts(),
        applications::acts(),
        sign_in::acts(),
        staff::acts(),
        tickets::acts(),
        apps::acts(),
        freezes::acts(),
        super::icons::console_acts(),
        super::upload::console_acts(),
    ];
    rooms.into_iter().flatten().collect()
}
