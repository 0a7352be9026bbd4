//! Webhooks: calls to apps, signed, from the queue, tried again for 72 hours (contract 7).

mod guard;
mod rows;
mod trial;

use std::time::Duration;

use wire::{Event, SIGNATURE_HEADER};

use crate::apps;
use crate::clock::Millis;
use crate::db::Tx;
use crate::jobs::{self, Job, Outcome};
use crate::{Fault, Platform, pause};

pub(crate) use guard::Got;
pub use guard::{Outbound, Refused};
pub(crate) use rows::reopen;
pub use rows::{DeliveryRow, list};
pub use trial::{NoTrial, Trial, Trials, try_out};

/// The pauses between attempts; the last is repeated until the time is over.
const PAUSES: [u64; 7] = [5, 60, 300, 1800, 7200, 18_000, 36_000];

/// Queues an event for an app, with the transaction. An app without an address is not called.
pub(crate) async fn enqueue(
    platform: &Platform,
    tx: &mut Tx,
    app_id: i64,
    now: Millis,
    event: impl FnOnce(&str, i64) -> Event,
) -> Result<(), Fault> {
    let Some(app) = apps::by_id(tx, app_id).await?.filter(|app| app.webhook_url.is_some()) else { return Ok(()) };
    let event = event(&app.client_key, now.seconds());
    let body = serde_json::to_string(&event).map_err(|fault| Fault::Row(fault.to_string()))?;
    let delivery_id = platform.random.id();
    let name = serde_json::to_value(event.event).ok().and_then(|name| name.as_str().map(ToOwned::to_owned)).unwrap_or_default();
    rows::insert(tx, delivery_id, app_id, &name, body, now).await?;
    jobs::enqueue(tx, platform, Job::Deliver { delivery_id }, now).await
}

/// One call. Anything but 200 is a failure.
pub(crate) async fn deliver(platform: &Platform, delivery_id: i64) -> Result<Outcome, Fault> {
    let mut tx = platform.db.read().await?;
    let Some(delivery) = rows::open(&mut tx, delivery_id).await? else { return Ok(Outcome::Done) };
    let app = apps::by_id(&mut tx, delivery.app_id).await?;
    let secrets = apps::secrets(platform, &mut tx, delivery.app_id).await?;
    drop(tx);
    // While two secrets overlap, the older signs (`client-rules.md` 36).
    let (Some(url), Some(secret)) = (app.and_then(|app| app.webhook_url), secrets.first()) else {
        return give_up(platform, delivery_id, "the app has no webhook address any more").await;
    };
    let now = platform.now();
    let signature = wire::sign(secret, now.seconds(), delivery.body.as_bytes());
    let answer = platform.outbound.post(&url, SIGNATURE_HEADER, &signature, delivery.body.clone()).await;
    pause::at("delivered").await;
    let (status, error) = match answer {
        Ok(200) => {
            let mut tx = platform.db.begin().await?;
            rows::delivered(&mut tx, delivery_id, platform.now()).await?;
            tx.commit().await?;
            tracing::info!(delivery_id, event = delivery.event, "webhook delivered");
            return Ok(Outcome::Done);
        }
        Ok(status) => (Some(i32::from(status)), format!("the receiver answered {status}")),
        Err(refused) => (None, refused.to_string()),
    };
    let mut tx = platform.db.begin().await?;
    rows::failed(&mut tx, delivery_id, status, &error).await?;
    tx.commit().await?;
    let pause = PAUSES.get(usize::try_from(delivery.attempts).unwrap_or(0)).or(PAUSES.last()).copied().unwrap_or(60);
    let after = Duration::from_secs(pause);
    if platform.now() + after > delivery.created_at + platform.settings.webhooks.retry_for.0 {
        return give_up(platform, delivery_id, &error).await;
    }
    Ok(Outcome::Retry { reason: "delivery_failed".into(), detail: error, after: Some(after) })
}

async fn give_up(platform: &Platform, delivery_id: i64, detail: &str) -> Result<Outcome, Fault> {
    let mut tx = platform.db.begin().await?;
    rows::given_up(&mut tx, delivery_id, platform.now()).await?;
    tx.commit().await?;
    Ok(Outcome::GiveUp { reason: "delivery_given_up".into(), detail: detail.into() })
}
