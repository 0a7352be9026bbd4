//! An app goes to another organisation, whose owner or an admin accepts it (contract 1.2). There is no way back but another transfer.
//!
//! What staff decided, they decided about the organisation that applied: approvals of scopes end with the transfer, and the new organisation applies
//! anew. Proofs of ownership belong to who proved, so they are proved anew before the next review.

use super::rows;
use super::{App, OwnerKind, by_id, revisions};
use crate::accounts::Account;
use crate::apps::RevisionState;
use crate::audit::Entry;
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::notices::{self, Notice};
use crate::organisations::{self, Seat};
use crate::{Fault, Platform, accounts, applications, grants};

/// A transfer that waits to be accepted.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct Transfer {
    /// Ours.
    pub transfer_id: i64,
    /// Which app.
    pub app_id: i64,
    /// Its name.
    pub app: String,
    /// To which organisation.
    pub organisation_id: i64,
    /// Its name.
    pub organisation: String,
    /// Who offers it.
    pub started_by: String,
    /// When.
    pub created_at: Millis,
    /// Until when it can be accepted.
    pub expires_at: Millis,
}

/// Why an app was not transferred.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// It cannot be as things stand.
    #[error("{0}")]
    State(&'static str),
    /// There is nothing of that kind.
    #[error("there is no such transfer any more")]
    Unknown,
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for TransferError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

const BUSY: &str = "While a review or an application is under way an app cannot change hands. Recall or withdraw it first.";

/// Offers an app to an organisation. An earlier offer of the app ends.
pub async fn offer(platform: &Platform, account: &Account, app_id: i64, organisation_id: i64) -> Result<Transfer, TransferError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let app = rows::hold(&mut tx, app_id).await?.ok_or(TransferError::Unknown)?;
    if app.owner_kind == OwnerKind::Organisation && app.owner_id == organisation_id {
        return Err(TransferError::State("The app is this organisation's already."));
    }
    if organisations::by_id(&mut tx, organisation_id).await?.is_none() {
        return Err(TransferError::State("There is no organisation with this ID. Ask its owner for the ID on its page."));
    }
    still(&mut tx, app_id).await?;
    end(&mut tx, app_id, now).await?;
    let transfer_id = platform.random.id();
    sql!(
        tx,
        execute,
        "insert into app_transfers (transfer_id, app_id, organisation_id, started_by, created_at, expires_at)
         values ($1, $2, $3, $4, $5, $6)",
        transfer_id,
        app_id,
        organisation_id,
        account.account_id,
        now,
        now + platform.settings.apps.transfer_lives.0,
    )?;
    let transfer = of_app(&mut tx, app_id, now).await?.ok_or(TransferError::Unknown)?;
    for member in organisations::members(&mut tx, organisation_id).await?.into_iter().filter(|member| member.role.leads()) {
        // Taken back and made again, an offer is one more mail each time.
        if !notices::may_send(platform, &mut tx, notices::Kind::TransferOffered, &member.email).await? {
            continue;
        }
        let told = Notice::TransferOffered {
            app: app.name.clone(),
            organisation: transfer.organisation.clone(),
            by: account.name.clone(),
            path: format!("/developers/organisations/{organisation_id}"),
        };
        notices::send(platform, &mut tx, &member.email, Some(app_id), told).await?;
    }
    write(platform, &mut tx, account, "app.transfer_offered", app_id, organisation_id).await?;
    tx.commit().await?;
    Ok(transfer)
}

/// Nothing is under way that one owner began and another would have to end.
async fn still(tx: &mut Tx, app_id: i64) -> Result<(), TransferError> {
    let copy = revisions::working_copy(tx, app_id).await?;
    let open = applications::open_of_app(tx, app_id).await?;
    if copy.state == RevisionState::InReview || open.is_some() {
        return Err(TransferError::State(BUSY));
    }
    Ok(())
}

/// The offer of an app that waits.
pub async fn of_app(tx: &mut Tx, app_id: i64, now: Millis) -> Result<Option<Transfer>, Fault> {
    Ok(sql!(
        tx,
        optional Transfer,
        "select transfer_id, app_transfers.app_id, apps.name as app, app_transfers.organisation_id, organisations.name as organisation,
                accounts.name as started_by, app_transfers.created_at, app_transfers.expires_at
         from app_transfers
         join apps on apps.app_id = app_transfers.app_id
         join organisations on organisations.organisation_id = app_transfers.organisation_id
         join accounts on accounts.account_id = app_transfers.started_by
         where app_transfers.app_id = $1 and ended_at is null and app_transfers.expires_at > $2",
        app_id,
        now,
    )?)
}

/// The offers that wait for an organisation.
pub async fn to_organisation(tx: &mut Tx, organisation_id: i64, now: Millis) -> Result<Vec<Transfer>, Fault> {
    Ok(sql!(
        tx,
        all Transfer,
        "select transfer_id, app_transfers.app_id, apps.name as app, app_transfers.organisation_id, organisations.name as organisation,
                accounts.name as started_by, app_transfers.created_at, app_transfers.expires_at
         from app_transfers
         join apps on apps.app_id = app_transfers.app_id
         join organisations on organisations.organisation_id = app_transfers.organisation_id
         join accounts on accounts.account_id = app_transfers.started_by
         where app_transfers.organisation_id = $1 and ended_at is null and app_transfers.expires_at > $2
         order by app_transfers.created_at, transfer_id
         limit 100",
        organisation_id,
        now,
    )?)
}

/// Ends the offer of an app, if one waits.
pub(crate) async fn end(tx: &mut Tx, app_id: i64, now: Millis) -> Result<bool, Fault> {
    let ended = sql!(
        tx,
        execute,
        "update app_transfers set ended_at = $2, outcome = 'cancelled' where app_id = $1 and ended_at is null",
        app_id,
        now,
    )?;
    Ok(ended > 0)
}

/// Takes an offer back.
pub async fn cancel(platform: &Platform, account: &Account, app_id: i64) -> Result<(), TransferError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    rows::hold(&mut tx, app_id).await?.ok_or(TransferError::Unknown)?;
    if !end(&mut tx, app_id, now).await? {
        return Err(TransferError::Unknown);
    }
    write(platform, &mut tx, account, "app.transfer_cancelled", app_id, account.account_id).await?;
    tx.commit().await?;
    Ok(())
}

/// The other organisation says yes or no; one answer counts.
pub async fn answer(
    platform: &Platform,
    account: &Account,
    organisation_id: i64,
    transfer_id: i64,
    accept: bool,
) -> Result<App, TransferError> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    // Neither the account nor the organisation ends in the moment in which an app becomes theirs.
    let here = accounts::hold(&mut tx, account.account_id).await? && organisations::hold(&mut tx, organisation_id).await?;
    let seat = organisations::seat(&mut tx, organisation_id, account.account_id).await?;
    if !here || !seat.is_some_and(Seat::leads) {
        return Err(TransferError::Unknown);
    }
    let app_id = sql!(
        tx,
        found i64,
        "select app_id from app_transfers where transfer_id = $1 and organisation_id = $2",
        transfer_id,
        organisation_id,
    )?;
    let app_id = app_id.ok_or(TransferError::Unknown)?;
    let app = rows::hold(&mut tx, app_id).await?.ok_or(TransferError::Unknown)?;
    let ended = sql!(
        tx,
        execute,
        "update app_transfers set ended_at = $2, outcome = $3 where transfer_id = $1 and ended_at is null and expires_at > $2",
        transfer_id,
        now,
        if accept { "accepted" } else { "rejected" },
    )?;
    if ended != 1 {
        return Err(TransferError::Unknown);
    }
    if !accept {
        write(platform, &mut tx, account, "app.transfer_rejected", app_id, organisation_id).await?;
        tx.commit().await?;
        return Ok(app);
    }
    still(&mut tx, app_id).await?;
    let most = platform.settings.apps.of_one_owner;
    if rows::count_of_owner(&mut tx, OwnerKind::Organisation, organisation_id).await? >= i64::from(most) {
        return Err(TransferError::State("The organisation has as many apps as it may have."));
    }
    // Everything that the new owner must be asked for anew ends before the app is theirs.
    for statement in [
        "update app_approvals set ended_at = $2 where app_id = $1 and ended_at is null",
        "update apps set updated_at = $2 where app_id = $1",
    ] {
        sql!(tx, execute, statement, app_id, now)?;
    }
    rows::remove_portability_scopes(&mut tx, app_id).await?;
    organisations::end_invitations_to_app(&mut tx, app_id, now).await?;
    sql!(
        tx,
        execute,
        "update apps set owner_kind = $2, owner_id = $3 where app_id = $1",
        app_id,
        OwnerKind::Organisation,
        organisation_id,
    )?;
    // People have one name for all apps of an owner; those who are connected get the new owner's.
    grants::name_for_owner(platform, &mut tx, app_id, organisation_id).await?;
    write(platform, &mut tx, account, "app.transferred", app_id, organisation_id).await?;
    let app = by_id(&mut tx, app_id).await?.ok_or(TransferError::Unknown)?;
    tx.commit().await?;
    Ok(app)
}

async fn write(platform: &Platform, tx: &mut Tx, account: &Account, action: &str, app_id: i64, about: i64) -> Result<(), Fault> {
    let entry = Entry { app: Some(app_id), about: Some(about), ..Entry::new(account.actor(), action) };
    entry.write(tx, &platform.random, platform.now()).await
}
