//! Webhooks: calls to apps, signed, from the queue, tried again for 72 hours (contract 7); the log of them, for those whose receivers they are.

mod endpoint;
mod guard;
mod replay;
mod rows;
mod trial;

use std::time::Duration;

use wire::{Event, SIGNATURE_HEADER, STANDARD_ID_HEADER, STANDARD_SIGNATURE_HEADER, STANDARD_TIME_HEADER};
use zeroize::Zeroizing;

use crate::apps;
use crate::clock::Millis;
use crate::db::Tx;
use crate::jobs::{self, Job, Outcome};
use crate::{Fault, Platform, pause};

pub use endpoint::{Endpoint, endpoint, resume, subscribe};
pub(crate) use guard::Got;
pub use guard::{Outbound, Refused};
pub use replay::{NoReplay, replay, replay_failed};
pub(crate) use rows::reopen;
pub use rows::{AttemptRow, DeliveryRow, Standing, attempts, by_id, list, undelivered};
pub use trial::{NoTrial, Trial, Trials, try_out};

/// The pauses between attempts; the last is repeated until the time is over.
const PAUSES: [u64; 7] = [5, 60, 300, 1800, 7200, 18_000, 36_000];

/// Why an event was not sent: its row says so in these words.
const STOPPED: &str = "calls to this address are stopped";

/// Queues an event for an app, with the transaction. An app without an address is not called, nor one that has not asked for an extra event; while
/// calls are stopped the event is kept, to be sent when the developer says so.
pub(crate) async fn enqueue(
    platform: &Platform,
    tx: &mut Tx,
    app_id: i64,
    now: Millis,
    event: impl FnOnce(&str, i64) -> Event,
) -> Result<(), Fault> {
    let Some(app) = apps::by_id(tx, app_id).await?.filter(|app| app.webhook_url.is_some()) else { return Ok(()) };
    let event = event(&app.client_key, now.seconds());
    let endpoint = endpoint::endpoint(tx, app_id).await?;
    if !endpoint.wants(event.event) {
        return Ok(());
    }
    let body = serde_json::to_string(&event).map_err(|fault| Fault::Row(fault.to_string()))?;
    let delivery_id = platform.random.id();
    rows::insert(tx, delivery_id, app_id, event.event.as_str(), body, now).await?;
    if endpoint.stopped_at.is_some() {
        return rows::given_up(tx, delivery_id, Some(STOPPED), now).await;
    }
    jobs::enqueue(tx, platform, Job::Deliver { delivery_id }, now).await
}

/// Tells an app that its review, or that of an application of it, stands elsewhere: `of` is `app` or `application`.
pub(crate) async fn review_changed(
    platform: &Platform,
    tx: &mut Tx,
    app_id: i64,
    (of, id): (&str, i64),
    status: &str,
) -> Result<(), Fault> {
    enqueue(platform, tx, app_id, platform.now(), |client_key, seconds| {
        Event::review_changed(client_key, seconds, of, id, status)
    })
    .await
}

/// The headers of one call. While two secrets overlap, the older signs TikTok's header, which has room for one (`client-rules.md` 36); that of
/// Standard Webhooks carries a signature for each.
fn signed(secrets: &[Zeroizing<String>], delivery_id: i64, now: Millis, body: &str) -> Vec<(&'static str, String)> {
    let (id, seconds, body) = (format!("msg_{delivery_id}"), now.seconds(), body.as_bytes());
    let all: Vec<_> = secrets.iter().map(|secret| wire::standard_sign(secret, &id, seconds, body)).collect();
    let oldest = secrets.first().map(|secret| (SIGNATURE_HEADER, wire::sign(secret, seconds, body)));
    let standard =
        [(STANDARD_ID_HEADER, id), (STANDARD_TIME_HEADER, seconds.to_string()), (STANDARD_SIGNATURE_HEADER, all.join(" "))];
    oldest.into_iter().chain(standard).collect()
}

/// One call. Anything but 200 is a failure.
pub(crate) async fn deliver(platform: &Platform, delivery_id: i64) -> Result<Outcome, Fault> {
    let mut tx = platform.db.read().await?;
    let Some(delivery) = rows::open(&mut tx, delivery_id).await? else { return Ok(Outcome::Done) };
    let app = apps::by_id(&mut tx, delivery.app_id).await?;
    let secrets = apps::secrets(platform, &mut tx, delivery.app_id).await?;
    let endpoint = endpoint::endpoint(&mut tx, delivery.app_id).await?;
    drop(tx);
    let Some(url) = app.and_then(|app| app.webhook_url).filter(|_| !secrets.is_empty()) else {
        return give_up(platform, delivery_id, "the app has no webhook address any more").await;
    };
    if endpoint.stopped_at.is_some() {
        return give_up(platform, delivery_id, STOPPED).await;
    }
    let now = platform.now();
    let headers = signed(&secrets, delivery_id, now, &delivery.body);
    let answer = platform.outbound.post(&url, &headers, delivery.body.clone()).await;
    pause::at("delivered").await;
    let (status, error, answer) = match answer {
        Ok(answered) if answered.status == 200 => (Some(200), None, answered.begun),
        Ok(answered) => {
            (Some(i32::from(answered.status)), Some(format!("the receiver answered {}", answered.status)), answered.begun)
        }
        Err(refused) => (None, Some(refused.to_string()), String::new()),
    };
    let ended = platform.now();
    let took = i64::try_from(ended.since(now).as_millis()).unwrap_or(i64::MAX);
    let attempt = AttemptRow { attempt: delivery.attempts + 1, at: now, took, url, status, error: error.clone(), answer };
    let mut tx = platform.db.begin().await?;
    rows::attempted(&mut tx, delivery_id, attempt).await?;
    let Some(error) = error else {
        rows::delivered(&mut tx, delivery_id, ended).await?;
        endpoint::answered(&mut tx, delivery.app_id).await?;
        tx.commit().await?;
        tracing::info!(delivery_id, event = delivery.event, "webhook delivered");
        return Ok(Outcome::Done);
    };
    rows::failed(&mut tx, delivery_id, status, &error).await?;
    let stopped = endpoint::failed(platform, &mut tx, delivery.app_id, ended).await?;
    tx.commit().await?;
    let pause = PAUSES.get(usize::try_from(delivery.attempts).unwrap_or(0)).or(PAUSES.last()).copied().unwrap_or(60);
    let after = Duration::from_secs(pause);
    if stopped || ended + after > delivery.created_at + platform.settings.webhooks.retry_for.0 {
        return give_up(platform, delivery_id, &error).await;
    }
    Ok(Outcome::Retry { reason: "delivery_failed".into(), detail: error, after: Some(after) })
}

async fn give_up(platform: &Platform, delivery_id: i64, detail: &str) -> Result<Outcome, Fault> {
    let mut tx = platform.db.begin().await?;
    rows::given_up(&mut tx, delivery_id, None, platform.now()).await?;
    tx.commit().await?;
    Ok(Outcome::GiveUp { reason: "delivery_given_up".into(), detail: detail.into() })
}
