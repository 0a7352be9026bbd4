//! Sending again: one delivery, or all that were given up, when their developer says so. It is the same message with the same number, so that a
//! receiver that had it knows it.

use std::time::Duration;

use super::{endpoint, rows};
use crate::apps;
use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::Tx;
use crate::jobs::{self, Job};
use crate::{Fault, Platform};

/// Deliveries that one press sends again.
const AT_ONCE: i64 = 1000;

/// Why nothing is sent again.
#[derive(Debug, thiserror::Error)]
pub enum NoReplay {
    /// There is no such delivery.
    #[error("there is no such delivery")]
    Unknown,
    /// The app has no address in force.
    #[error("the app has no webhook address")]
    NoAddress,
    /// Calls are stopped.
    #[error("calls to this address are stopped")]
    Stopped,
    /// It asked too often; when it may again.
    #[error("too many events were sent again within a short time")]
    Often(Duration),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for NoReplay {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// Sends one delivery again, now. If it fails it is tried again as long as a new one would be from the day it happened, and else once.
pub async fn replay(platform: &Platform, actor: Actor, app_id: i64, delivery_id: i64) -> Result<(), NoReplay> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    rows::by_id(&mut tx, app_id, delivery_id).await?.ok_or(NoReplay::Unknown)?;
    ready(platform, &mut tx, app_id).await?;
    again(platform, &mut tx, delivery_id, now).await?;
    let entry = Entry { app: Some(app_id), about: Some(delivery_id), ..Entry::new(actor, "webhook.replayed") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Sends again what was given up, the oldest first, a thousand at most. Gives how many.
pub async fn replay_failed(platform: &Platform, actor: Actor, app_id: i64) -> Result<usize, NoReplay> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    ready(platform, &mut tx, app_id).await?;
    let failed = rows::undelivered(&mut tx, app_id, AT_ONCE).await?;
    for delivery_id in &failed {
        again(platform, &mut tx, *delivery_id, now).await?;
    }
    let detail = failed.len().to_string();
    let entry = Entry { app: Some(app_id), detail: &detail, ..Entry::new(actor, "webhook.replayed") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(failed.len())
}

/// Whether something can be sent to the app at all, and often enough it was not.
async fn ready(platform: &Platform, tx: &mut Tx, app_id: i64) -> Result<(), NoReplay> {
    let app = apps::by_id(tx, app_id).await?.ok_or(NoReplay::Unknown)?;
    if app.webhook_url.is_none() {
        return Err(NoReplay::NoAddress);
    }
    if endpoint::endpoint(tx, app_id).await?.stopped_at.is_some() {
        return Err(NoReplay::Stopped);
    }
    // Each press counts, whatever comes of it.
    drop(platform.trials.again.begin(&app_id.to_string(), platform.now()).map_err(NoReplay::Often)?);
    Ok(())
}

async fn again(platform: &Platform, tx: &mut Tx, delivery_id: i64, now: Millis) -> Result<(), Fault> {
    rows::reopen(tx, delivery_id).await?;
    let job = Job::Deliver { delivery_id };
    // What waits for its next try, or was given up, has the job's name.
    jobs::forget(tx, &job).await?;
    jobs::enqueue(tx, platform, job, now).await
}
