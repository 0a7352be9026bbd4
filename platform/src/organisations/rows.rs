//! The SQL of organisations.

use super::{Invitation, Organisation, Outcome, Seat};
use crate::Fault;
use crate::clock::Millis;
use crate::db::{Tx, sql};

/// An organisation that was not deleted.
pub async fn by_id(tx: &mut Tx, organisation_id: i64) -> Result<Option<Organisation>, Fault> {
    Ok(sql!(
        tx,
        optional Organisation,
        "select organisation_id, name, created_at
         from organisations
         where organisation_id = $1 and deleted_at is null",
        organisation_id,
    )?)
}

/// Locks an organisation for the rest of the transaction: acts on its members and limits go one after the other. `false` if it was deleted.
pub(crate) async fn hold(tx: &mut Tx, organisation_id: i64) -> Result<bool, Fault> {
    let held = sql!(
        tx,
        execute,
        "update organisations set created_at = created_at where organisation_id = $1 and deleted_at is null",
        organisation_id,
    )?;
    Ok(held == 1)
}

/// How a developer stands to an organisation.
pub async fn seat(tx: &mut Tx, organisation_id: i64, account_id: i64) -> Result<Option<Seat>, Fault> {
    Ok(sql!(
        tx,
        found Seat,
        "select role from members where organisation_id = $1 and account_id = $2",
        organisation_id,
        account_id,
    )?)
}

/// Who owns an organisation.
pub async fn owner(tx: &mut Tx, organisation_id: i64) -> Result<Option<i64>, Fault> {
    Ok(sql!(
        tx,
        found i64,
        "select account_id from members where organisation_id = $1 and role = 'owner' order by since limit 1",
        organisation_id,
    )?)
}

pub(super) async fn manages(tx: &mut Tx, app_id: i64, account_id: i64) -> Result<bool, Fault> {
    Ok(sql!(
        tx,
        found i64,
        "select app_id from app_managers where app_id = $1 and account_id = $2",
        app_id,
        account_id,
    )?
    .is_some())
}

/// Which app an application is for. None if the app has changed hands since: what one owner wrote about itself is not the next one's to read.
pub async fn app_of_application(tx: &mut Tx, application_id: i64) -> Result<Option<i64>, Fault> {
    Ok(sql!(
        tx,
        found i64,
        "select apps.app_id
         from applications
         join apps on apps.app_id = applications.app_id and apps.owner_id = applications.owner_id
         where application_id = $1",
        application_id,
    )?)
}

/// An organisation and the seat somebody has there.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Membership {
    /// Ours.
    pub organisation_id: i64,
    /// Shown to people.
    pub name: String,
    /// How they stand to it.
    pub role: Seat,
    /// Since when.
    pub since: Millis,
    /// How many it has.
    pub members: i64,
    /// How many apps it has.
    pub apps: i64,
}

/// The organisations of a developer, by name.
pub async fn of_account(tx: &mut Tx, account_id: i64) -> Result<Vec<Membership>, Fault> {
    Ok(sql!(
        tx,
        all Membership,
        "select organisations.organisation_id, name, role, since,
                (select count(*) from members others where others.organisation_id = organisations.organisation_id) as members,
                (select count(*) from apps
                 where apps.owner_id = organisations.organisation_id and owner_kind = 'organisation' and apps.deleted_at is null) as apps
         from members
         join organisations on organisations.organisation_id = members.organisation_id
         where account_id = $1 and organisations.deleted_at is null
         order by name, organisations.organisation_id",
        account_id,
    )?)
}

/// A member of an organisation.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Member {
    /// Whose account.
    pub account_id: i64,
    /// How they call themselves.
    pub name: String,
    /// Where mail reaches them.
    pub email: String,
    /// How they stand to it.
    pub role: Seat,
    /// Since when.
    pub since: Millis,
}

/// The members of an organisation: owner, admins, managers; each by name.
pub async fn members(tx: &mut Tx, organisation_id: i64) -> Result<Vec<Member>, Fault> {
    Ok(sql!(
        tx,
        all Member,
        "select members.account_id, name, email, role, since
         from members
         join accounts on accounts.account_id = members.account_id
         where organisation_id = $1
         order by case role when 'owner' then 0 when 'admin' then 1 else 2 end, name, members.account_id",
        organisation_id,
    )?)
}

/// Which managers of an organisation manage which of its apps: account and app.
pub async fn managers(tx: &mut Tx, organisation_id: i64) -> Result<Vec<(i64, i64)>, Fault> {
    Ok(sql!(
        tx,
        all(i64, i64),
        "select account_id, app_managers.app_id
         from app_managers
         join apps on apps.app_id = app_managers.app_id
         where owner_id = $1 and owner_kind = 'organisation' and deleted_at is null
         order by account_id, app_managers.app_id",
        organisation_id,
    )?)
}

pub(super) async fn count_owned(tx: &mut Tx, account_id: i64) -> Result<i64, Fault> {
    Ok(sql!(tx, value i64, "select count(*) from members where account_id = $1 and role = 'owner'", account_id)?)
}

pub(super) async fn count_admins(tx: &mut Tx, organisation_id: i64) -> Result<i64, Fault> {
    Ok(sql!(tx, value i64, "select count(*) from members where organisation_id = $1 and role = 'admin'", organisation_id)?)
}

pub(super) async fn count_managers(tx: &mut Tx, app_id: i64) -> Result<i64, Fault> {
    Ok(sql!(tx, value i64, "select count(*) from app_managers where app_id = $1", app_id)?)
}

pub(super) async fn insert(tx: &mut Tx, new: &Organisation) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into organisations (organisation_id, name, created_at) values ($1, $2, $3)",
        new.organisation_id,
        new.name.clone(),
        new.created_at,
    )?;
    Ok(())
}

pub(super) async fn seat_at(tx: &mut Tx, organisation_id: i64, account_id: i64, role: Seat, now: Millis) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into members (organisation_id, account_id, role, since) values ($1, $2, $3, $4)",
        organisation_id,
        account_id,
        role,
        now,
    )?;
    Ok(())
}

pub(super) async fn set_seat(tx: &mut Tx, organisation_id: i64, account_id: i64, role: Seat) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update members set role = $3 where organisation_id = $1 and account_id = $2",
        organisation_id,
        account_id,
        role,
    )?;
    Ok(())
}

pub(super) async fn unseat(tx: &mut Tx, organisation_id: i64, account_id: i64) -> Result<(), Fault> {
    sql!(tx, execute, "delete from members where organisation_id = $1 and account_id = $2", organisation_id, account_id)?;
    Ok(())
}

pub(super) async fn add_manager(tx: &mut Tx, app_id: i64, account_id: i64, now: Millis) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into app_managers (app_id, account_id, since) values ($1, $2, $3) on conflict do nothing",
        app_id,
        account_id,
        now,
    )?;
    Ok(())
}

pub(super) async fn drop_manager(tx: &mut Tx, app_id: i64, account_id: i64) -> Result<(), Fault> {
    sql!(tx, execute, "delete from app_managers where app_id = $1 and account_id = $2", app_id, account_id)?;
    Ok(())
}

/// A member manages none of an organisation's apps any more.
pub(super) async fn drop_managers(tx: &mut Tx, organisation_id: i64, account_id: i64) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "delete from app_managers
         where account_id = $2
           and app_id in (select app_id from apps where owner_id = $1 and owner_kind = 'organisation')",
        organisation_id,
        account_id,
    )?;
    Ok(())
}

/// Marks an organisation as deleted; its members and invitations go.
pub(super) async fn delete(tx: &mut Tx, organisation_id: i64, now: Millis) -> Result<(), Fault> {
    sql!(tx, execute, "update organisations set deleted_at = $2 where organisation_id = $1", organisation_id, now)?;
    sql!(
        tx,
        execute,
        "update invitations set ended_at = $2, outcome = 'cancelled' where organisation_id = $1 and ended_at is null",
        organisation_id,
        now,
    )?;
    sql!(tx, execute, "delete from members where organisation_id = $1", organisation_id)?;
    Ok(())
}

// Invitations.

pub(super) struct NewInvitation<'a> {
    pub(super) invitation_id: i64,
    pub(super) organisation_id: i64,
    pub(super) app_id: Option<i64>,
    pub(super) account_id: Option<i64>,
    pub(super) email: &'a str,
    pub(super) role: Seat,
    pub(super) invited_by: i64,
    pub(super) expires_at: Millis,
}

pub(super) async fn insert_invitation(tx: &mut Tx, new: &NewInvitation<'_>, now: Millis) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into invitations
           (invitation_id, organisation_id, app_id, account_id, email, role, invited_by, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        new.invitation_id,
        new.organisation_id,
        new.app_id,
        new.account_id,
        new.email.to_owned(),
        new.role,
        new.invited_by,
        now,
        new.expires_at,
    )?;
    Ok(())
}

pub(super) async fn pending(tx: &mut Tx, organisation_id: i64, now: Millis) -> Result<Vec<Invitation>, Fault> {
    Ok(sql!(
        tx,
        all Invitation,
        "select invitation_id, invitations.organisation_id, organisations.name as organisation, invitations.app_id, apps.name as app,
                invitations.email, role, accounts.name as invited_by, invitations.created_at, expires_at
         from invitations
         join organisations on organisations.organisation_id = invitations.organisation_id
         join accounts on accounts.account_id = invitations.invited_by
         left join apps on apps.app_id = invitations.app_id
         where invitations.organisation_id = $1 and ended_at is null and expires_at > $2
         order by invitations.created_at desc, invitation_id",
        organisation_id,
        now,
    )?)
}

pub(super) async fn pending_of(tx: &mut Tx, account_id: i64, now: Millis) -> Result<Vec<Invitation>, Fault> {
    Ok(sql!(
        tx,
        all Invitation,
        "select invitation_id, invitations.organisation_id, organisations.name as organisation, invitations.app_id, apps.name as app,
                invitations.email, role, accounts.name as invited_by, invitations.created_at, expires_at
         from invitations
         join organisations on organisations.organisation_id = invitations.organisation_id
         join accounts on accounts.account_id = invitations.invited_by
         left join apps on apps.app_id = invitations.app_id
         where invitations.account_id = $1 and ended_at is null and expires_at > $2
         order by invitations.created_at desc, invitation_id
         limit 100",
        account_id,
        now,
    )?)
}

#[derive(sqlx_macros::FromRow)]
pub(super) struct InvitationRow {
    pub(super) organisation_id: i64,
    pub(super) app_id: Option<i64>,
    pub(super) role: Seat,
}

/// An invitation of an account, whatever became of it.
pub(super) async fn invitation(tx: &mut Tx, invitation_id: i64, account_id: i64) -> Result<Option<InvitationRow>, Fault> {
    Ok(sql!(
        tx,
        optional InvitationRow,
        "select organisation_id, app_id, role from invitations where invitation_id = $1 and account_id = $2",
        invitation_id,
        account_id,
    )?)
}

pub(super) async fn role_of_invitation(tx: &mut Tx, organisation_id: i64, invitation_id: i64) -> Result<Option<Seat>, Fault> {
    Ok(sql!(
        tx,
        found Seat,
        "select role from invitations where invitation_id = $1 and organisation_id = $2",
        invitation_id,
        organisation_id,
    )?)
}

/// Ends an invitation that waits. `false` if it does not, or its time is over.
pub(super) async fn end_invitation(tx: &mut Tx, invitation_id: i64, outcome: Outcome, now: Millis) -> Result<bool, Fault> {
    let ended = sql!(
        tx,
        execute,
        "update invitations set ended_at = $2, outcome = $3 where invitation_id = $1 and ended_at is null and expires_at > $2",
        invitation_id,
        now,
        outcome,
    )?;
    Ok(ended == 1)
}

pub(super) async fn expire_of(tx: &mut Tx, organisation_id: i64, now: Millis) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update invitations set ended_at = expires_at, outcome = 'expired'
         where organisation_id = $1 and ended_at is null and expires_at <= $2",
        organisation_id,
        now,
    )?;
    Ok(())
}

/// Ends what nobody answered. An address is kept for as long as it is of use.
pub(super) async fn expire(tx: &mut Tx, now: Millis) -> Result<u64, Fault> {
    let expired = sql!(
        tx,
        execute,
        "update invitations set ended_at = expires_at, outcome = 'expired' where ended_at is null and expires_at <= $1",
        now,
    )?;
    sql!(tx, execute, "update invitations set email = '' where ended_at is not null and email <> ''")?;
    Ok(expired)
}

pub(super) async fn count_pending(tx: &mut Tx, organisation_id: i64) -> Result<i64, Fault> {
    Ok(sql!(
        tx,
        value i64,
        "select count(*) from invitations where organisation_id = $1 and ended_at is null",
        organisation_id,
    )?)
}

pub(super) async fn is_pending(tx: &mut Tx, organisation_id: i64, email: &str) -> Result<bool, Fault> {
    let found = sql!(
        tx,
        found i64,
        "select invitation_id from invitations where organisation_id = $1 and email = $2 and ended_at is null limit 1",
        organisation_id,
        email.to_owned(),
    )?;
    Ok(found.is_some())
}

pub(super) async fn member_by_email(tx: &mut Tx, organisation_id: i64, email: &str) -> Result<Option<i64>, Fault> {
    Ok(sql!(
        tx,
        found i64,
        "select members.account_id
         from members
         join accounts on accounts.account_id = members.account_id
         where organisation_id = $1 and email = $2",
        organisation_id,
        email.to_owned(),
    )?)
}

/// What somebody invited to waits no longer.
pub(super) async fn cancel_invitations_by(tx: &mut Tx, organisation_id: i64, account_id: i64, now: Millis) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update invitations set ended_at = $3, outcome = 'cancelled'
         where organisation_id = $1 and invited_by = $2 and ended_at is null",
        organisation_id,
        account_id,
        now,
    )?;
    Ok(())
}

/// Nobody is invited to manage an app any more: it was deleted, or has gone elsewhere.
pub(crate) async fn end_invitations_to_app(tx: &mut Tx, app_id: i64, now: Millis) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update invitations set ended_at = $2, outcome = 'cancelled' where app_id = $1 and ended_at is null",
        app_id,
        now,
    )?;
    sql!(tx, execute, "delete from app_managers where app_id = $1", app_id)?;
    Ok(())
}
