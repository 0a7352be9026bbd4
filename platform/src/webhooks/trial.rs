//! A test event, sent at once when a developer asks for it, and what came back (contract 1.8).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use wire::Event;

use super::{Refused, signed};
use crate::apps;
use crate::audit::{Actor, Entry};
use crate::failures::Failures;
use crate::settings::Webhooks;
use crate::{Fault, Platform};

/// Tests at once, of all apps together: they wait for outsiders, and must not take all connections.
const AT_ONCE: usize = 8;

/// How often apps may ask for a test, or for events to be sent again.
#[derive(Clone, Debug)]
pub struct Trials {
    asked: Failures,
    pub(super) again: Failures,
    at_once: Arc<Semaphore>,
}

impl Trials {
    /// As the operator has set.
    pub fn new(settings: &Webhooks) -> Self {
        let within = |count| Failures::new(count, settings.test_window.0);
        Self { asked: within(settings.tests), again: within(settings.replays), at_once: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

/// What came of a test.
#[derive(Debug)]
pub struct Trial {
    /// The address that was called.
    pub url: String,
    /// The status that was answered, or why nothing was.
    pub answer: Result<u16, Refused>,
    /// The beginning of what was answered.
    pub said: String,
    /// How long it took.
    pub took: Duration,
}

/// Why no test was sent.
#[derive(Debug, thiserror::Error)]
pub enum NoTrial {
    /// There is no such app.
    #[error("there is no such app")]
    Unknown,
    /// Its working copy names no address.
    #[error("the app has no webhook address")]
    NoAddress,
    /// It asked too often; when it may again.
    #[error("too many tests within a short time")]
    Often(Duration),
    /// Ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<sqlx::Error> for NoTrial {
    fn from(fault: sqlx::Error) -> Self {
        Self::Fault(fault.into())
    }
}

/// Sends `tiktok.ping` to the address of an app's working copy, signed as deliveries are, and waits for the answer. It is sent once and not kept.
pub async fn try_out(platform: &Platform, actor: Actor, app_id: i64) -> Result<Trial, NoTrial> {
    let mut tx = platform.db.read().await?;
    let app = apps::by_id(&mut tx, app_id).await?.filter(|app| app.deleted_at.is_none()).ok_or(NoTrial::Unknown)?;
    let url = apps::working_copy(&mut tx, app_id).await?.details.webhook_url;
    let secrets = apps::secrets(platform, &mut tx, app_id).await?;
    drop(tx);
    if url.is_empty() || secrets.is_empty() {
        return Err(NoTrial::NoAddress);
    }
    let asked = platform.trials.asked.begin(&app_id.to_string(), platform.now());
    // Each test counts, also one that is answered: they all go to somebody else's server.
    drop(asked.map_err(NoTrial::Often)?);
    let _permit = platform.trials.at_once.acquire().await;
    let begun = platform.now();
    let body =
        serde_json::to_string(&Event::ping(&app.client_key, begun.seconds())).map_err(|fault| Fault::Row(fault.to_string()))?;
    let headers = signed(&secrets, platform.random.id(), begun, &body);
    let answer = platform.outbound.post(&url, &headers, body).await;
    let ended = platform.now();
    let detail = match &answer {
        Ok(answered) => answered.status.to_string(),
        Err(refused) => refused.code().to_owned(),
    };
    let mut tx = platform.db.begin().await?;
    let entry = Entry { app: Some(app_id), detail: &detail, ..Entry::new(actor, "webhook.tested") };
    entry.write(&mut tx, &platform.random, ended).await?;
    tx.commit().await?;
    tracing::info!(app_id, answer = detail, "webhook tested");
    let (answer, said) = match answer {
        Ok(answered) => (Ok(answered.status), answered.begun),
        Err(refused) => (Err(refused), String::new()),
    };
    Ok(Trial { url, answer, said, took: ended.since(begun) })
}
