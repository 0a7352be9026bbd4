//! Organisations: groups of developers that own apps; their members, roles and invitations (contract 1.2).

mod rows;

use crate::Fault;
use crate::apps::{App, OwnerKind};
use crate::clock::Millis;
use crate::db::{Tx, words};

pub use rows::{app_of_application, by_id, seat};

words! {
    /// How a developer stands to an organisation or an app.
    Seat {
        /// One for each organisation; adds admins and deletes it.
        Owner = "owner",
        /// Manages members and all apps.
        Admin = "admin",
        /// Works on the apps they were made manager of.
        Manager = "manager",
    }
}

/// A group of developers that owns apps.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Organisation {
    /// Ours.
    pub organisation_id: i64,
    /// Shown to people; it cannot be changed later.
    pub name: String,
    /// When it was made.
    pub created_at: Millis,
}

/// How a developer stands to an app; none if it is not theirs to know of.
pub async fn seat_at_app(tx: &mut Tx, app: &App, account_id: i64) -> Result<Option<Seat>, Fault> {
    match app.owner_kind {
        OwnerKind::Operator => Ok(None),
        OwnerKind::Account => Ok((app.owner_id == account_id).then_some(Seat::Owner)),
        OwnerKind::Organisation => match seat(tx, app.owner_id, account_id).await? {
            Some(Seat::Manager) => Ok(rows::manages(tx, app.app_id, account_id).await?.then_some(Seat::Manager)),
            other => Ok(other),
        },
    }
}
