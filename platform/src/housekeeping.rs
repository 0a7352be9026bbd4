//! What is done by the clock: ends of archives and grants, the sweep of the vault, and retention.

use std::time::Duration;

use futures_util::TryStreamExt;

use crate::clock::Millis;
use crate::db::sql;
use crate::jobs::Job;
use crate::{
    Fault, Platform, access_log, accounts, applications, apps, audit, grants, notices, organisations, requests, tickets, uploads,
    vault,
};

/// What is done, and how often.
pub(crate) fn schedules() -> [(&'static str, Duration, Job); 7] {
    let minutes = |count: u64| Duration::from_secs(count * 60);
    [
        ("expire", minutes(1), Job::Expire),
        ("seal", minutes(1), Job::Seal),
        ("sweep", minutes(60), Job::Sweep),
        ("forget", minutes(60), Job::Forget),
        ("review", minutes(60), Job::Review),
        ("tickets", minutes(15), Job::Tickets),
        ("freezes", minutes(5), Job::Freezes),
    ]
}

/// What the clock does to reviews: of applications, and of apps. It decides neither.
pub(crate) async fn review(platform: &Platform) -> Result<(), Fault> {
    applications::keep(platform).await?;
    apps::review::keep(platform).await
}

/// Ends archives whose time is over, and grants that nobody can use.
pub(crate) async fn expire(platform: &Platform) -> Result<(), Fault> {
    let archives = requests::expire(platform).await?;
    requests::tell_expiring(platform).await?;
    let grants = grants::end_idle(platform).await? + apps::finish(platform).await?;
    organisations::expire(platform).await?;
    if archives + grants > 0 {
        tracing::info!(archives, grants, "ended what ran out");
    }
    Ok(())
}

/// Deletes objects that no row names: what a worker left that was killed between putting an archive and saying so.
pub(crate) async fn sweep(platform: &Platform) -> Result<(), Fault> {
    let now = platform.now();
    let older = platform.settings.retention.orphans.0;
    let mut swept = platform.vault.clean(now, older).await?;
    let mut objects = std::pin::pin!(platform.vault.older_than(now - older));
    while let Some(object) = objects.try_next().await? {
        if is_orphan(platform, &object).await? {
            platform.vault.delete(&object).await?;
            swept += 1;
        }
    }
    if swept > 0 {
        tracing::info!(swept, "deleted objects that no archive names");
    }
    uploads::sweep(platform).await
}

/// An object of ours that no archive names and that no running attempt may be about to name. The attempt is looked at first: one that ends
/// between the two looks has named its object by the second. Whatever else lies in the vault's folder is not ours to delete.
async fn is_orphan(platform: &Platform, object: &str) -> Result<bool, Fault> {
    let Some((request_id, attempt)) = vault::parse_name(object) else { return Ok(false) };
    if requests::is_wanted(platform, request_id, attempt).await? {
        return Ok(false);
    }
    let mut tx = platform.db.read().await?;
    Ok(sql!(tx, found i64, "select request_id from archives where object = $1", object.to_owned())?.is_none())
}

/// Forgets what has been kept as long as the operator says.
pub(crate) async fn forget(platform: &Platform) -> Result<(), Fault> {
    let now = platform.now();
    let kept = &platform.settings.retention;
    let requests = requests::forget(platform).await?;
    let grants = grants::forget(platform).await?;
    let mut rest =
        notices::forget(platform, now - kept.notices.0).await? + tickets::forget(platform, now - kept.tickets.0).await?;
    rest += accounts::forget(platform).await?;
    rest += audit::cut(platform, now - kept.audit.0).await?;
    rest += access_log::forget(platform, now - kept.access.0).await?;
    for (statement, before) in [
        (
            "delete from deliveries where created_at <= $1 and (delivered_at is not null or given_up_at is not null)",
            now - kept.deliveries.0,
        ),
        ("delete from jobs where dead_at <= $1", now - kept.dead_jobs.0),
        ("delete from app_secrets where retires_at <= $1", Millis(now.0)),
        ("delete from person_events where at <= $1", now - kept.requests.0),
        ("delete from links where expires_at <= $1", Millis(now.0)),
        ("delete from provider_logins where expires_at <= $1", Millis(now.0)),
    ] {
        let mut tx = platform.db.begin().await?;
        rest += sql!(tx, execute, statement, before)?;
        tx.commit().await?;
    }
    tracing::info!(requests, grants, rest, "forgot what was kept long enough");
    Ok(())
}
