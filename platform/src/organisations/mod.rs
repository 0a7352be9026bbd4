//! Organisations: groups of developers that own apps; their members, roles and invitations (contract 1.2).
//!
//! Each has one owner, who can hand it to an admin. Owner and admins work on every app and invite; managers work on the apps they were made
//! manager of. Whoever asks whether an address is registered by inviting it learns nothing: the invitation stands in the list either way, and
//! only a registered address gets a mail (docs/decisions, invitations).

mod invitations;
mod rows;

use crate::accounts::{self, Account};
use crate::apps::{self, App, AppStatus, OwnerKind};
use crate::audit::Entry;
use crate::clock::Millis;
use crate::db::{Tx, words};
use crate::{Fault, Platform};

pub(crate) use invitations::expire;
pub use invitations::{Invitation, InviteError, Outcome, accept, cancel, invite, pending, pending_of, reject};
pub use rows::{Member, Membership, app_of_application, by_id, managers, members, of_account, owner, seat};
pub(crate) use rows::{end_invitations_to_app, hold};

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

impl Seat {
    /// In plain words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Owner => "Owner",
            Self::Admin => "Admin",
            Self::Manager => "App manager",
        }
    }

    /// Whether it is over members and all apps.
    pub const fn leads(self) -> bool {
        matches!(self, Self::Owner | Self::Admin)
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

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A name that cannot be so.
    #[error("{0}")]
    Name(String),
    /// The seat of who asks is too small for it.
    #[error("{0}")]
    Forbidden(&'static str),
    /// A limit of the operator's.
    #[error("{0}")]
    Limit(String),
    /// It cannot be as things stand.
    #[error("{0}")]
    State(&'static str),
    /// There is no such organisation, member or invitation.
    #[error("there is nothing of that kind here any more")]
    Unknown,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for Refusal {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// The longest name.
pub const NAME_LIMIT: usize = 100;

/// A name without what cannot be seen in it, and with single blanks; none if nothing or too much is left.
pub fn clean_name(text: &str) -> Option<String> {
    let seen: String = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !apps::is_disguise(*c)).collect();
    let name = seen.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let lettered = name.chars().any(char::is_alphanumeric);
    (lettered && name.chars().count() <= NAME_LIMIT).then_some(name)
}

/// Makes an organisation; whoever makes it owns it.
pub async fn create(platform: &Platform, account: &Account, name: &str) -> Result<Organisation, Refusal> {
    let now = platform.now();
    let name = clean_name(name).ok_or_else(|| {
        Refusal::Name(format!("A name has 1 to {NAME_LIMIT} characters, at least one of them a letter or a digit."))
    })?;
    let organisation = Organisation { organisation_id: platform.random.id(), name, created_at: now };
    let mut tx = platform.db.begin().await?;
    here(&mut tx, account.account_id).await?;
    let most = platform.settings.organisations.owned;
    if rows::count_owned(&mut tx, account.account_id).await? >= i64::from(most) {
        return Err(Refusal::Limit(format!("You own {most} organisations already, as many as one developer may.")));
    }
    rows::insert(&mut tx, &organisation).await?;
    rows::seat_at(&mut tx, organisation.organisation_id, account.account_id, Seat::Owner, now).await?;
    write(platform, &mut tx, account, "organisation.created", organisation.organisation_id, "").await?;
    tx.commit().await?;
    Ok(organisation)
}

/// Holds an account that is to be given something, so that it is not closed in the same moment.
async fn here(tx: &mut Tx, account_id: i64) -> Result<(), Refusal> {
    if accounts::hold(tx, account_id).await? { Ok(()) } else { Err(Refusal::State("The account is closed.")) }
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

/// Leaves an organisation. Its owner cannot: somebody has to be it.
pub async fn leave(platform: &Platform, account: &Account, organisation_id: i64) -> Result<(), Refusal> {
    let mut tx = platform.db.begin().await?;
    match seat_of(&mut tx, organisation_id, account.account_id).await? {
        Seat::Owner => return Err(Refusal::State("You own this organisation. Hand it to an admin first, or delete it.")),
        Seat::Admin | Seat::Manager => {}
    }
    unseat(&mut tx, platform, organisation_id, account.account_id).await?;
    write(platform, &mut tx, account, "organisation.left", organisation_id, "").await?;
    tx.commit().await?;
    Ok(())
}

/// Removes a member: the owner anybody but themselves, an admin managers.
pub async fn remove(platform: &Platform, account: &Account, organisation_id: i64, member: i64) -> Result<(), Refusal> {
    let mut tx = platform.db.begin().await?;
    let mine = seat_of(&mut tx, organisation_id, account.account_id).await?;
    let theirs = seat(&mut tx, organisation_id, member).await?.ok_or(Refusal::Unknown)?;
    match (mine, theirs) {
        (Seat::Owner, Seat::Admin | Seat::Manager) | (Seat::Admin, Seat::Manager) => {}
        (_, Seat::Owner) => return Err(Refusal::State("The owner cannot be removed. The owner can hand the organisation on.")),
        (Seat::Admin, Seat::Admin) => return Err(Refusal::Forbidden("Only the owner removes admins.")),
        (Seat::Manager, _) => return Err(Refusal::Forbidden("Only the owner and admins remove members.")),
    }
    unseat(&mut tx, platform, organisation_id, member).await?;
    write(platform, &mut tx, account, "organisation.member_removed", organisation_id, &member.to_string()).await?;
    tx.commit().await?;
    Ok(())
}

/// Makes an admin a manager or a manager an admin: the owner's act. An admin can lay down their own rights.
pub async fn change_role(
    platform: &Platform,
    account: &Account,
    organisation_id: i64,
    member: i64,
    to: Seat,
) -> Result<(), Refusal> {
    let mut tx = platform.db.begin().await?;
    let mine = seat_of(&mut tx, organisation_id, account.account_id).await?;
    let theirs = seat(&mut tx, organisation_id, member).await?.ok_or(Refusal::Unknown)?;
    let own = member == account.account_id;
    match (mine, theirs, to) {
        (_, before, after) if before == after => return Ok(()),
        (_, Seat::Owner, _) | (_, _, Seat::Owner) => {
            return Err(Refusal::State("An organisation has one owner. Hand it on instead."));
        }
        (Seat::Owner, _, _) => {}
        (Seat::Admin, Seat::Admin, Seat::Manager) if own => {}
        _ => return Err(Refusal::Forbidden("Only the owner changes roles.")),
    }
    if to == Seat::Admin {
        room_for_admin(platform, &mut tx, organisation_id).await?;
        rows::drop_managers(&mut tx, organisation_id, member).await?;
    } else {
        // What somebody could invite to, they could still let in.
        rows::cancel_invitations_by(&mut tx, organisation_id, member, platform.now()).await?;
    }
    rows::set_seat(&mut tx, organisation_id, member, to).await?;
    write(platform, &mut tx, account, "organisation.role_changed", organisation_id, &format!("{member} {to}")).await?;
    tx.commit().await?;
    Ok(())
}

/// Hands an organisation to one of its admins; the owner becomes an admin.
pub async fn hand_over(platform: &Platform, account: &Account, organisation_id: i64, to: i64) -> Result<(), Refusal> {
    let mut tx = platform.db.begin().await?;
    // A closed account has no seat any more, which is told below.
    accounts::hold(&mut tx, to).await?;
    if seat_of(&mut tx, organisation_id, account.account_id).await? != Seat::Owner {
        return Err(Refusal::Forbidden("Only the owner hands an organisation on."));
    }
    if seat(&mut tx, organisation_id, to).await? != Some(Seat::Admin) {
        return Err(Refusal::State("An organisation is handed to one of its admins. Make this member an admin first."));
    }
    rows::set_seat(&mut tx, organisation_id, account.account_id, Seat::Admin).await?;
    rows::set_seat(&mut tx, organisation_id, to, Seat::Owner).await?;
    write(platform, &mut tx, account, "organisation.handed_over", organisation_id, &to.to_string()).await?;
    tx.commit().await?;
    Ok(())
}

/// Deletes an organisation, with its apps. It is refused while an app is live, in review or stopped: people and staff still have to do with those.
pub async fn delete(platform: &Platform, account: &Account, organisation_id: i64) -> Result<(), Refusal> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    if seat_of(&mut tx, organisation_id, account.account_id).await? != Seat::Owner {
        return Err(Refusal::Forbidden("Only the owner deletes an organisation."));
    }
    let owned = apps::of_owner(&mut tx, OwnerKind::Organisation, organisation_id).await?;
    if owned.iter().any(|app| !matches!(app.status, AppStatus::Draft | AppStatus::NotApproved)) {
        return Err(Refusal::State(
            "The organisation has apps that are live, in review or stopped. Delete or transfer them first.",
        ));
    }
    for app in &owned {
        apps::close(platform, &mut tx, account.actor(), app.app_id, now).await?;
    }
    rows::delete(&mut tx, organisation_id, now).await?;
    write(platform, &mut tx, account, "organisation.deleted", organisation_id, "").await?;
    tx.commit().await?;
    Ok(())
}

/// Makes a manager of the organisation one of an app too, or no longer.
pub async fn manage(
    platform: &Platform,
    account: &Account,
    organisation_id: i64,
    app_id: i64,
    member: i64,
    on: bool,
) -> Result<(), Refusal> {
    let mut tx = platform.db.begin().await?;
    if !seat_of(&mut tx, organisation_id, account.account_id).await?.leads() {
        return Err(Refusal::Forbidden("Only the owner and admins say who manages an app."));
    }
    let app = apps::by_id(&mut tx, app_id).await?.filter(|app| app.deleted_at.is_none());
    app.filter(|app| app.owner_kind == OwnerKind::Organisation && app.owner_id == organisation_id).ok_or(Refusal::Unknown)?;
    if seat(&mut tx, organisation_id, member).await? != Some(Seat::Manager) {
        return Err(Refusal::State("Owner and admins work on every app; only app managers are added to single ones."));
    }
    if on {
        room_for_manager(platform, &mut tx, app_id).await?;
        rows::add_manager(&mut tx, app_id, member, platform.now()).await?;
    } else {
        rows::drop_manager(&mut tx, app_id, member).await?;
    }
    let action = if on { "app.manager_added" } else { "app.manager_removed" };
    let detail = member.to_string();
    let entry = Entry { app: Some(app_id), about: Some(organisation_id), detail: &detail, ..Entry::new(account.actor(), action) };
    entry.write(&mut tx, &platform.random, platform.now()).await?;
    tx.commit().await?;
    Ok(())
}

/// The seat of who asks; the organisation is held, so that counts and seats stay as they are for the rest of the transaction.
async fn seat_of(tx: &mut Tx, organisation_id: i64, account_id: i64) -> Result<Seat, Refusal> {
    if !hold(tx, organisation_id).await? {
        return Err(Refusal::Unknown);
    }
    seat(tx, organisation_id, account_id).await?.ok_or(Refusal::Unknown)
}

async fn unseat(tx: &mut Tx, platform: &Platform, organisation_id: i64, member: i64) -> Result<(), Fault> {
    rows::drop_managers(tx, organisation_id, member).await?;
    rows::cancel_invitations_by(tx, organisation_id, member, platform.now()).await?;
    rows::unseat(tx, organisation_id, member).await
}

async fn room_for_admin(platform: &Platform, tx: &mut Tx, organisation_id: i64) -> Result<(), Refusal> {
    let most = platform.settings.organisations.admins;
    if rows::count_admins(tx, organisation_id).await? >= i64::from(most) {
        return Err(Refusal::Limit(format!("The organisation has {most} admins, as many as it may have.")));
    }
    Ok(())
}

async fn room_for_manager(platform: &Platform, tx: &mut Tx, app_id: i64) -> Result<(), Refusal> {
    let most = platform.settings.organisations.managers_per_app;
    if rows::count_managers(tx, app_id).await? >= i64::from(most) {
        return Err(Refusal::Limit(format!("The app has {most} managers, as many as it may have.")));
    }
    Ok(())
}

async fn write(
    platform: &Platform,
    tx: &mut Tx,
    account: &Account,
    action: &str,
    organisation_id: i64,
    detail: &str,
) -> Result<(), Fault> {
    let entry = Entry { about: Some(organisation_id), detail, ..Entry::new(account.actor(), action) };
    entry.write(tx, &platform.random, platform.now()).await
}

#[cfg(test)]
mod tests {
    use super::clean_name;

    #[test]
    fn a_name_is_what_can_be_seen_of_it() {
        assert_eq!(clean_name("  Data \t Bridge\nGmbH "), Some("Data Bridge GmbH".into()));
        assert_eq!(clean_name("Evil\u{202e}gnirdaeR\u{2066}"), Some("EvilgnirdaeR".into()));
        assert_eq!(clean_name("a\0b\u{200b}c\u{7}"), Some("abc".into()));
        assert_eq!(clean_name(&"ü".repeat(100)).map(|name| name.chars().count()), Some(100));
        for none in ["", " ", "\u{202e}", "!!!", &"x".repeat(101)] {
            assert_eq!(clean_name(none), None, "{none:?}");
        }
    }
}
