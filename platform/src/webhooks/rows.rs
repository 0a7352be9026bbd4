//! The SQL of deliveries.

use crate::Fault;
use crate::clock::Millis;
use crate::db::{Tx, sql};

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

/// The latest deliveries to an app.
pub async fn list(tx: &mut Tx, app_id: i64, limit: i64) -> Result<Vec<DeliveryRow>, Fault> {
    Ok(sql!(
        tx,
        all DeliveryRow,
        "select * from deliveries where app_id = $1 order by created_at desc, delivery_id limit $2",
        app_id,
        limit,
    )?)
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

pub(super) async fn given_up(tx: &mut Tx, delivery_id: i64, now: Millis) -> Result<(), Fault> {
    sql!(tx, execute, "update deliveries set given_up_at = $2 where delivery_id = $1", delivery_id, now)?;
    Ok(())
}

/// Takes back that a delivery was given up; the next failure may give it up again.
pub(crate) async fn reopen(tx: &mut Tx, delivery_id: i64) -> Result<(), Fault> {
    sql!(tx, execute, "update deliveries set given_up_at = null where delivery_id = $1", delivery_id)?;
    Ok(())
}
