//! Jobs: durable background work. Enqueueing commits with what it belongs to; a lease on the row says who works; the attempt number is the
//! fencing token: whoever finishes names it, and an older attempt changes no row.

mod rows;
mod runner;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::audit::{Actor, Entry};
use crate::clock::Millis;
use crate::db::{Tx, words};
use crate::requests::{self, RetryRefusal};
use crate::{Fault, Platform, webhooks};

pub use rows::{JobRow, list};
pub use runner::{drain, run};

/// A unit of work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Turn a request into an archive.
    Export {
        /// Which request.
        request_id: i64,
    },
    /// Call an app's webhook.
    Deliver {
        /// Which delivery.
        delivery_id: i64,
    },
    /// Send a mail.
    Mail {
        /// Which notice.
        notice_id: i64,
    },
    /// Delete an object from the vault.
    DeleteObject {
        /// Its name.
        object: String,
    },
    /// End archives and grants whose time is over.
    Expire,
    /// Delete objects that no row names.
    Sweep,
    /// Tell of applications whose limit was missed, and remind those who were asked.
    Review,
    /// Chain the entries of the audit that are not yet sealed.
    Seal,
    /// Tell of tickets whose first answer is missing.
    Tickets,
    /// Tell of freezes that no second person has looked at.
    Freezes,
    /// Forget what has been kept long enough.
    Forget,
}

words! {
    /// Jobs of one lane wait for each other only: a slow webhook does not hold up an archive.
    Lane {
        /// Archives, as long as nothing says that they are large.
        Export = "export",
        /// Large archives.
        Heavy = "heavy",
        /// Webhook calls.
        Deliver = "deliver",
        /// Mails.
        Mail = "mail",
        /// Housekeeping.
        Keep = "keep",
    }
}

impl Job {
    /// Where it waits, if nothing more is known of it.
    fn lane(&self) -> Lane {
        match self {
            Self::Export { .. } => Lane::Export,
            Self::Deliver { .. } => Lane::Deliver,
            Self::Mail { .. } => Lane::Mail,
            _ => Lane::Keep,
        }
    }

    /// While a job of this name lives, another is not enqueued.
    fn dedupe_key(&self) -> String {
        match self {
            Self::Export { request_id } => format!("export {request_id}"),
            Self::Deliver { delivery_id } => format!("deliver {delivery_id}"),
            Self::Mail { notice_id } => format!("mail {notice_id}"),
            Self::DeleteObject { object } => format!("delete {object}"),
            Self::Expire => "expire".into(),
            Self::Sweep => "sweep".into(),
            Self::Forget => "forget".into(),
            Self::Seal => "seal".into(),
            Self::Review => "review".into(),
            Self::Tickets => "tickets".into(),
            Self::Freezes => "freezes".into(),
        }
    }

    fn max_attempts(&self, platform: &Platform) -> u32 {
        match self {
            Self::Export { .. } => platform.settings.requests.attempts.max(1),
            // Bounded by its age.
            Self::Deliver { .. } => 1000,
            Self::Mail { .. } => 10_000,
            Self::DeleteObject { .. } => 100,
            Self::Expire | Self::Sweep | Self::Review | Self::Tickets | Self::Freezes | Self::Seal | Self::Forget => 5,
        }
    }
}

/// One go at a job.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// Counted from 1; each claim counts.
    pub(crate) number: i32,
    /// Tripped when the lease was lost, or when the program has waited long enough for the job to end.
    pub(crate) cancel: CancellationToken,
    /// Where it works, if it must not stay there however much it grows.
    pub(crate) place: Option<Arc<Place>>,
}

/// A place among the small archives, which a large one gives up.
#[derive(Debug)]
pub(crate) struct Place {
    held: Mutex<OwnedSemaphorePermit>,
    large: Arc<Semaphore>,
}

impl Place {
    fn new(held: OwnedSemaphorePermit, large: Arc<Semaphore>) -> Self {
        Self { held: held.into(), large }
    }

    /// Takes a place among the large archives for the one among the small ones. `false` if this process has none free now.
    pub(crate) fn grow(&self) -> bool {
        let Ok(large) = Arc::clone(&self.large).try_acquire_owned() else { return false };
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = large;
        true
    }
}

/// How a go at a job ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There is nothing more to do.
    Done,
    /// It may work later: after that time, or as the number of attempts says.
    Retry { reason: String, detail: String, after: Option<Duration> },
    /// It is stopped for the moment: what it is for waits, and the attempt does not count.
    Wait { detail: &'static str },
    /// It never will.
    GiveUp { reason: String, detail: String },
    /// The program stops; somebody else takes it up at once.
    HandBack,
    /// It is large, and no place for such is free here: it waits for one, and begins anew then.
    TooLarge,
}

/// Puts a job into the queue, with the transaction. Runners wake when it commits.
pub(crate) async fn enqueue(tx: &mut Tx, platform: &Platform, job: Job, run_at: Millis) -> Result<(), Fault> {
    rows::insert(tx, platform, &job, job.lane(), 0, run_at).await?;
    tx.wake_runners();
    Ok(())
}

/// As [`enqueue`], for an export that is known to be large or not. One that was given up after so many attempts and is taken up again counts on, so
/// that no late attempt of then bears the number of one of now.
pub(crate) async fn enqueue_export(
    tx: &mut Tx,
    platform: &Platform,
    request_id: i64,
    is_large: bool,
    attempt: i32,
    run_at: Millis,
) -> Result<(), Fault> {
    let lane = if is_large { Lane::Heavy } else { Lane::Export };
    rows::insert(tx, platform, &Job::Export { request_id }, lane, attempt, run_at).await?;
    tx.wake_runners();
    Ok(())
}

/// Takes a job out of the queue, also one that was given up; a worker that is at it finds out.
pub(crate) async fn forget(tx: &mut Tx, job: &Job) -> Result<(), Fault> {
    rows::delete_named(tx, &job.dedupe_key()).await
}

/// Exports that wait for a freeze or a suspension to end are looked at again now.
pub(crate) async fn wake_held(tx: &mut Tx, now: Millis) -> Result<(), Fault> {
    rows::wake_held(tx, now).await?;
    tx.wake_runners();
    Ok(())
}

/// The operator takes a job that was given up back to the queue, and what it was for with it: a failed request, a delivery. `false` if there
/// is no dead job of that number.
pub async fn retry(platform: &Platform, job_id: i64) -> Result<bool, RetryRefusal> {
    let now = platform.now();
    let mut tx = platform.db.begin().await.map_err(Fault::from)?;
    let Some(job) = rows::dead(&mut tx, job_id).await? else { return Ok(false) };
    let task = serde_json::from_str::<Job>(&job.payload).ok();
    if let Some(Job::Export { request_id }) = task {
        drop(tx);
        // It makes a job of its own.
        requests::retry(platform, request_id).await?;
        let mut tx = platform.db.begin().await.map_err(Fault::from)?;
        rows::done(&mut tx, &job).await?;
        tx.commit().await.map_err(Fault::from)?;
        return Ok(true);
    }
    if let Some(Job::Deliver { delivery_id }) = task {
        webhooks::reopen(&mut tx, delivery_id).await?;
    }
    let revived = rows::revive(&mut tx, job_id, now).await?;
    let detail = format!("job {job_id}");
    Entry { detail: &detail, ..Entry::new(Actor::Operator, "job.retried") }.write(&mut tx, &platform.random, now).await?;
    tx.commit().await.map_err(Fault::from)?;
    Ok(revived)
}

/// How long to wait after a number of failed attempts: 2 s, 4 s, 8 s .. up to ten minutes, and up to half as much again by chance, so that
/// what failed together does not come back together.
fn backoff(platform: &Platform, attempts: u32) -> Duration {
    let base = Duration::from_secs(1 << attempts.clamp(1, 9)).min(Duration::from_secs(600));
    let chance = u32::from(platform.random.bytes::<1>()[0]);
    base + base * chance / 512
}
