//! The SQL of notices.

use super::Kind;
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::{Fault, Platform};

/// Over which [`may_send`] counts.
const HOUR: std::time::Duration = std::time::Duration::from_secs(3600);

/// A mail and what came of it. What it says is not here.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct NoticeRow {
    /// Ours.
    pub notice_id: i64,
    /// Which mail.
    pub kind: Kind,
    /// To whom.
    pub recipient: String,
    /// What it is about.
    pub about_id: Option<i64>,
    /// When it happened.
    pub created_at: Millis,
    /// How often it was tried.
    pub attempts: i32,
    /// How the last attempt failed.
    pub last_error: Option<String>,
    /// When the mail server took it.
    pub sent_at: Option<Millis>,
    /// When it was given up.
    pub given_up_at: Option<Millis>,
}

/// A mail that is still to be sent.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub(super) struct Open {
    pub(super) kind: Kind,
    pub(super) recipient: String,
    pub(super) sealed: Vec<u8>,
    pub(super) created_at: Millis,
    pub(super) attempts: i32,
}

/// A sealed content, to be sealed anew.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub(super) struct SealedRow {
    pub(super) notice_id: i64,
    pub(super) sealed: Vec<u8>,
}

pub(super) async fn insert(
    tx: &mut Tx,
    notice_id: i64,
    kind: Kind,
    recipient: &str,
    about_id: Option<i64>,
    sealed: Vec<u8>,
    now: Millis,
) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into notices (notice_id, kind, recipient, about_id, sealed, created_at, attempts) values ($1, $2, $3, $4, $5, $6, 0)",
        notice_id,
        kind,
        recipient.to_owned(),
        about_id,
        sealed,
        now,
    )?;
    Ok(())
}

/// A mail that was neither sent nor given up.
pub(super) async fn open(tx: &mut Tx, notice_id: i64) -> Result<Option<Open>, Fault> {
    Ok(sql!(
        tx,
        optional Open,
        "select kind, recipient, sealed, created_at, attempts
         from notices
         where notice_id = $1 and sealed is not null and sent_at is null and given_up_at is null",
        notice_id,
    )?)
}

pub(super) async fn sent(tx: &mut Tx, notice_id: i64, now: Millis) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update notices
         set attempts = attempts + 1, last_error = null, sent_at = $2, sealed = null
         where notice_id = $1 and sent_at is null",
        notice_id,
        now,
    )?;
    Ok(())
}

pub(super) async fn failed(tx: &mut Tx, notice_id: i64, error: &str) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update notices set attempts = attempts + 1, last_error = $2 where notice_id = $1 and sent_at is null",
        notice_id,
        error.to_owned(),
    )?;
    Ok(())
}

pub(super) async fn given_up(tx: &mut Tx, notice_id: i64, error: &str, now: Millis) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update notices
         set attempts = attempts + 1, last_error = $2, given_up_at = $3, sealed = null
         where notice_id = $1 and sent_at is null",
        notice_id,
        error.to_owned(),
        now,
    )?;
    Ok(())
}

pub(super) async fn forget(tx: &mut Tx, before: Millis) -> Result<u64, Fault> {
    Ok(sql!(
        tx,
        execute,
        "delete from notices where created_at <= $1 and (sent_at is not null or given_up_at is not null)",
        before,
    )?)
}

pub(super) async fn all_sealed(tx: &mut Tx, after: i64) -> Result<Vec<SealedRow>, Fault> {
    Ok(sql!(
        tx,
        all SealedRow,
        "select notice_id, sealed from notices where sealed is not null and notice_id > $1 order by notice_id limit 500",
        after,
    )?)
}

pub(super) async fn set_sealed(tx: &mut Tx, notice_id: i64, sealed: Vec<u8>) -> Result<(), Fault> {
    sql!(tx, execute, "update notices set sealed = $2 where notice_id = $1 and sealed is not null", notice_id, sealed)?;
    Ok(())
}

/// The latest mails, of all or about one thing.
pub async fn list(tx: &mut Tx, about: Option<i64>, limit: i64) -> Result<Vec<NoticeRow>, Fault> {
    let rows = match about {
        Some(about) => sql!(
            tx,
            all NoticeRow,
            "select notice_id, kind, recipient, about_id, created_at, attempts, last_error, sent_at, given_up_at
             from notices
             where about_id = $1
             order by created_at desc, notice_id
             limit $2",
            about,
            limit,
        )?,
        None => sql!(
            tx,
            all NoticeRow,
            "select notice_id, kind, recipient, about_id, created_at, attempts, last_error, sent_at, given_up_at
             from notices
             order by created_at desc, notice_id
             limit $1",
            limit,
        )?,
    };
    Ok(rows)
}

/// Whether one more mail of a kind may go to a recipient within the hour: those that somebody else can have sent to them.
pub(crate) async fn may_send(platform: &Platform, tx: &mut Tx, kind: Kind, recipient: &str) -> Result<bool, Fault> {
    let sent = sql!(
        tx,
        value i64,
        "select count(*) from notices where created_at > $1 and kind = $2 and recipient = $3",
        platform.now() - HOUR,
        kind,
        recipient.to_owned(),
    )?;
    Ok(sent < i64::from(platform.settings.accounts.mails_per_recipient))
}
