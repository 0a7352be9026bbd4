//! What an app wants of its webhook, and how its receiver does. A receiver that has failed for days is called no more until its developer says so:
//! calls that nobody takes cost both sides, and hide from the developer that something is wrong.

use wire::EventName;

use crate::apps::{self, review::to_be_told};
use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::notices::{self, Notice};
use crate::{Fault, Platform};

/// The webhook of an app, beside its address.
#[derive(Clone, Debug, Default, sqlx_macros::FromRow)]
pub struct Endpoint {
    /// Names of extra events, comma separated.
    extra_events: String,
    /// When the first of the calls failed that have failed ever since.
    pub failing_since: Option<Millis>,
    /// When calls were stopped for it.
    pub stopped_at: Option<Millis>,
}

impl Endpoint {
    /// Whether the app is sent such events. Those of the wire go to every app.
    pub fn wants(&self, event: EventName) -> bool {
        !EventName::EXTRA.contains(&event) || self.extra_events.split(',').any(|name| name == event.as_str())
    }
}

/// The webhook of an app.
pub async fn endpoint(tx: &mut Tx, app_id: i64) -> Result<Endpoint, Fault> {
    let found = sql!(
        tx,
        optional Endpoint,
        "select extra_events, failing_since, stopped_at from webhook_endpoints where app_id = $1",
        app_id,
    )?;
    Ok(found.unwrap_or_default())
}

/// Chooses the extra events that an app is sent.
pub async fn subscribe(platform: &Platform, actor: Actor, app_id: i64, events: &[EventName]) -> Result<(), Fault> {
    let now = platform.now();
    let chosen: Vec<_> = EventName::EXTRA.into_iter().filter(|event| events.contains(event)).map(EventName::as_str).collect();
    let chosen = chosen.join(",");
    let mut tx = platform.db.begin().await?;
    sql!(
        tx,
        execute,
        "insert into webhook_endpoints (app_id, extra_events) values ($1, $2)
         on conflict (app_id) do update set extra_events = excluded.extra_events",
        app_id,
        chosen.clone(),
    )?;
    let entry = Entry { app: Some(app_id), detail: &chosen, ..Entry::new(actor, "webhook.events_chosen") };
    entry.write(&mut tx, &platform.random, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Calls go out again. `false` if they were not stopped.
pub async fn resume(platform: &Platform, actor: Actor, app_id: i64) -> Result<bool, Fault> {
    let mut tx = platform.db.begin().await?;
    let changed = sql!(
        tx,
        execute,
        "update webhook_endpoints set stopped_at = null, failing_since = null where app_id = $1 and stopped_at is not null",
        app_id,
    )?;
    if changed == 0 {
        return Ok(false);
    }
    Entry { app: Some(app_id), ..Entry::new(actor, "webhook.resumed") }.write(&mut tx, &platform.random, platform.now()).await?;
    tx.commit().await?;
    Ok(true)
}

/// A call arrived.
pub(super) async fn answered(tx: &mut Tx, app_id: i64) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update webhook_endpoints set failing_since = null where app_id = $1 and failing_since is not null",
        app_id,
    )?;
    Ok(())
}

/// A call failed. If all have for as long as the operator allows, calls are stopped and the developer is told: `true`.
pub(super) async fn failed(platform: &Platform, tx: &mut Tx, app_id: i64, now: Millis) -> Result<bool, Fault> {
    sql!(
        tx,
        execute,
        "insert into webhook_endpoints (app_id, extra_events, failing_since) values ($1, '', $2)
         on conflict (app_id) do update
         set failing_since = coalesce(webhook_endpoints.failing_since, excluded.failing_since)",
        app_id,
        now,
    )?;
    let stopped = sql!(
        tx,
        execute,
        "update webhook_endpoints set stopped_at = $2 where app_id = $1 and stopped_at is null and failing_since <= $3",
        app_id,
        now,
        now - platform.settings.webhooks.stop_after.0,
    )?;
    if stopped == 0 {
        return Ok(false);
    }
    Entry { app: Some(app_id), ..Entry::new(Actor::System, "webhook.stopped") }.write(tx, &platform.random, now).await?;
    if let Some(app) = apps::by_id(tx, app_id).await? {
        for email in to_be_told(tx, &app, None).await? {
            let days = platform.settings.webhooks.stop_after.0.as_secs() / 86_400;
            let path = format!("/developers/apps/{app_id}/webhooks");
            let told = Notice::WebhookStopped { app: app.name.clone(), days, path };
            notices::send(platform, tx, &email, Some(app_id), told).await?;
        }
    }
    tracing::warn!(app_id, "webhook stopped: every call failed for too long");
    Ok(true)
}
