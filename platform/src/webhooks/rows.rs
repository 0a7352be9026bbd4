//! The SQL of deliveries.

use crate::Fault;
use crate::clock::Millis;
use crate::db::{Tx, sql, words};

/// One webhook call and what came of it.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct DeliveryRow {
    /// Ours.
    pub delivery_id: i64,
    /// To which app.
    pub app_id: i64,
    /// Which event.
    pub event: String,
    /// The exact body.
    pub body: String,
    /// When it happened.
    pub created_at: Millis,
    /// How often it was tried.
    pub attempts: i32,
    /// The last answer's status.
    pub last_status: Option<i32>,
    /// How the last attempt failed.
    pub last_error: Option<String>,
    /// When it arrived.
    pub delivered_at: Option<Millis>,
    /// When it was given up.
    pub given_up_at: Option<Millis>,
}

words! {
    /// Where a delivery stands.
    Standing {
        /// It arrived.
        Delivered = "delivered",
        /// It will be tried, or tried again.
        Waiting = "waiting",
        /// It did not arrive and is not tried any more.
        GivenUp = "given_up",
    }
}

impl DeliveryRow {
    /// Where it stands.
    pub fn standing(&self) -> Standing {
        match (self.delivered_at, self.given_up_at) {
            (Some(_), _) => Standing::Delivered,
            (None, Some(_)) => Standing::GivenUp,
            (None, None) => Standing::Waiting,
        }
    }
}

/// One call of a delivery, and what was answered.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct AttemptRow {
    /// Counted from 1.
    pub attempt: i32,
    /// When it was made.
    pub at: Millis,
    /// Milliseconds until it was over.
    pub took: i64,
    /// Where it went.
    pub url: String,
    /// The status that was answered.
    pub status: Option<i32>,
    /// Why it failed.
    pub error: Option<String>,
    /// The first bytes of what was answered, as text.
    pub answer: String,
}

pub(super) async fn insert(
    tx: &mut Tx,
    delivery_id: i64,
    app_id: i64,
    event: &str,
    body: String,
    now: Millis,
) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into deliveries (delivery_id, app_id, event, body, created_at, attempts) values ($1, $2, $3, $4, $5, 0)",
        delivery_id,
        app_id,
        event.to_owned(),
        body,
        now,
    )?;
    Ok(())
}

/// A delivery that has neither arrived nor been given up.
pub(super) async fn open(tx: &mut Tx, delivery_id: i64) -> Result<Option<DeliveryRow>, Fault> {
    Ok(sql!(
        tx,
        optional DeliveryRow,
        "select * from deliveries where delivery_id = $1 and delivered_at is null and given_up_at is null",
        delivery_id,
    )?)
}

/// A delivery of an app.
pub async fn by_id(tx: &mut Tx, app_id: i64, delivery_id: i64) -> Result<Option<DeliveryRow>, Fault> {
    Ok(sql!(
        tx,
        optional DeliveryRow,
        "select * from deliveries where delivery_id = $1 and app_id = $2",
        delivery_id,
        app_id,
    )?)
}

/// The latest deliveries to an app; the next page goes on behind the last one's time and number.
pub async fn list(tx: &mut Tx, app_id: i64, before: Option<(Millis, i64)>, limit: i64) -> Result<Vec<DeliveryRow>, Fault> {
    let (at, id) = before.unwrap_or((Millis(i64::MAX), i64::MAX));
    Ok(sql!(
        tx,
        all DeliveryRow,
        "select * from deliveries
         where app_id = $1 and created_at <= $2 and (created_at < $2 or delivery_id < $3)
         order by created_at desc, delivery_id desc
         limit $4",
        app_id,
        at,
        id,
        limit,
    )?)
}

/// Deliveries to an app that were given up, the oldest first.
pub async fn undelivered(tx: &mut Tx, app_id: i64, limit: i64) -> Result<Vec<i64>, Fault> {
    Ok(sql!(
        tx,
        values i64,
        "select delivery_id from deliveries
         where app_id = $1 and delivered_at is null and given_up_at is not null
         order by created_at, delivery_id
         limit $2",
        app_id,
        limit,
    )?)
}

/// The calls of a delivery, the latest first.
pub async fn attempts(tx: &mut Tx, delivery_id: i64) -> Result<Vec<AttemptRow>, Fault> {
    Ok(sql!(
        tx,
        all AttemptRow,
        "select attempt, at, took, url, status, error, answer from delivery_attempts where delivery_id = $1
         order by attempt desc",
        delivery_id,
    )?)
}

/// Notes a call. Two runners of which one lost its lease may both have made it; the first to say so is kept.
pub(super) async fn attempted(tx: &mut Tx, delivery_id: i64, made: AttemptRow) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "insert into delivery_attempts (delivery_id, attempt, at, took, url, status, error, answer)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (delivery_id, attempt) do nothing",
        delivery_id,
        made.attempt,
        made.at,
        made.took,
        made.url.clone(),
        made.status,
        made.error.clone(),
        made.answer.clone(),
    )?;
    Ok(())
}

pub(super) async fn delivered(tx: &mut Tx, delivery_id: i64, now: Millis) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update deliveries set attempts = attempts + 1, last_status = 200, last_error = null, delivered_at = $2 where delivery_id = $1",
        delivery_id,
        now,
    )?;
    Ok(())
}

pub(super) async fn failed(tx: &mut Tx, delivery_id: i64, status: Option<i32>, error: &str) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update deliveries set attempts = attempts + 1, last_status = $2, last_error = $3 where delivery_id = $1",
        delivery_id,
        status,
        error.to_owned(),
    )?;
    Ok(())
}

/// Tries it no more; `why`, if its last call does not say so already.
pub(super) async fn given_up(tx: &mut Tx, delivery_id: i64, why: Option<&str>, now: Millis) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update deliveries set given_up_at = $2, last_error = coalesce($3, last_error) where delivery_id = $1",
        delivery_id,
        now,
        why.map(ToOwned::to_owned),
    )?;
    Ok(())
}

/// Opens a delivery again, whether it arrived or was given up; the next failure may give it up again.
pub(crate) async fn reopen(tx: &mut Tx, delivery_id: i64) -> Result<(), Fault> {
    sql!(tx, execute, "update deliveries set given_up_at = null, delivered_at = null where delivery_id = $1", delivery_id)?;
    Ok(())
}
