//! The portal: where developers register apps, apply for access, and ask for help.

mod account;
mod answer;
mod application;
mod application_status;
pub(crate) mod apps;
pub(crate) mod books;
mod organisations;
mod sandbox;
pub(crate) mod sign_up;
mod support;
mod urls;

use super::access::Act;

/// Every act of the portal.
pub(crate) fn acts() -> Vec<Act> {
    let rooms: Vec<Vec<Act>> = vec![
        sign_up::acts(),
        account::acts(),
        answer::acts(),
        application::acts(),
        application_status::acts(),
        organisations::acts(),
        apps::acts(),
        books::acts(),
        super::icons::portal_acts(),
        super::upload::portal_acts(),
        sandbox::acts(),
        support::acts(),
        urls::acts(),
    ];
    rooms.into_iter().flatten().collect()
}
