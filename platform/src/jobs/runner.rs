//! The runner: claims jobs, renews their leases, and says how they ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;

use super::rows::{self, JobRow};
use super::{Attempt, Job, Lane, Outcome, Place, backoff};
use crate::{Fault, Platform, export, housekeeping, notices, requests, webhooks};

/// How often a job that is laid by is looked at, should nobody wake it.
const HELD_FOR: Duration = Duration::from_secs(120);

/// Works until it is told to stop; then lets running jobs end for as long as the settings say, and hands back the rest.
pub async fn run(platform: Arc<Platform>, stop: CancellationToken) {
    let worker = format!("{}-{}", std::process::id(), platform.random.word(8));
    let running = TaskTracker::new();
    let hard = CancellationToken::new();
    let settings = &platform.settings.jobs;
    let lanes = [
        (Lane::Export, settings.exports),
        (Lane::Heavy, heavy_places(&platform)),
        (Lane::Deliver, settings.deliveries),
        (Lane::Mail, platform.settings.mail.at_once),
        (Lane::Keep, 2),
    ];
    let loops = TaskTracker::new();
    let lanes = lanes.map(|(lane, width)| (lane, Arc::new(Semaphore::new(width.max(1) as usize))));
    let large = lanes.iter().find(|(lane, _)| *lane == Lane::Heavy).map(|(_, free)| Arc::clone(free));
    for (lane, free) in lanes {
        let lane = LaneLoop {
            platform: Arc::clone(&platform),
            lane,
            free,
            large: large.clone().filter(|_| lane == Lane::Export),
            worker: worker.clone(),
            running: running.clone(),
            hard: hard.clone(),
        };
        loops.spawn(lane.run(stop.clone()));
    }
    loops.spawn(schedule(Arc::clone(&platform), stop.clone()));
    let db = platform.db.clone();
    let ears = stop.clone();
    loops.spawn(async move { db.hear(ears).await });
    tracing::info!(worker, "worker started");

    stop.cancelled().await;
    loops.close();
    loops.wait().await;
    running.close();
    if tokio::time::timeout(settings.stop_within.0, running.wait()).await.is_err() {
        tracing::info!("running jobs are handed back");
        hard.cancel();
        // What does not listen keeps its lease, which runs out.
        let _ = tokio::time::timeout(Duration::from_secs(5), running.wait()).await;
    }
    tracing::info!("worker stopped");
}

/// How many large archives are built at once: so many that of every source's connections one is left for the small ones.
fn heavy_places(platform: &Platform) -> u32 {
    let sources = platform.catalogue.sources().iter().map(|source| source.max_concurrent.saturating_sub(1));
    let spare = u32::try_from(sources.min().unwrap_or(usize::MAX)).unwrap_or(u32::MAX);
    platform.settings.jobs.heavy_exports.min(spare)
}

struct LaneLoop {
    platform: Arc<Platform>,
    lane: Lane,
    /// The places in it.
    free: Arc<Semaphore>,
    /// The places that its jobs move to when they grow.
    large: Option<Arc<Semaphore>>,
    worker: String,
    running: TaskTracker,
    hard: CancellationToken,
}

impl LaneLoop {
    async fn run(self, stop: CancellationToken) {
        let free = &self.free;
        let mut wakes = self.platform.db.wakes();
        loop {
            // One place must be free before we look, and what wakes us from here on is not missed.
            let permit = tokio::select! {
                () = stop.cancelled() => return,
                permit = free.acquire() => permit,
            };
            drop(permit);
            wakes.mark_unchanged();
            let claimed = match self.claim(free.available_permits()).await {
                Ok(claimed) => claimed,
                Err(fault) => {
                    tracing::warn!(lane = %self.lane, %fault, "jobs cannot be claimed; trying again");
                    Vec::new()
                }
            };
            if claimed.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = wakes.changed() => {}
                    () = tokio::time::sleep(self.platform.settings.jobs.poll.0) => {}
                }
                continue;
            }
            for job in claimed {
                let Ok(permit) = Arc::clone(free).try_acquire_owned() else {
                    // One that has grown took it in the meantime.
                    settle_or_tell(&self.platform, &job, Outcome::HandBack).await;
                    continue;
                };
                let (platform, hard) = (Arc::clone(&self.platform), self.hard.clone());
                let span = tracing::info_span!("job", world = platform.world.as_str());
                let large = self.large.clone();
                let working = async move {
                    match large {
                        Some(large) => work(&platform, job, hard, Some(Arc::new(Place::new(permit, large)))).await,
                        None => {
                            work(&platform, job, hard, None).await;
                            drop(permit);
                        }
                    }
                };
                self.running.spawn(working.instrument(span));
            }
        }
    }

    async fn claim(&self, limit: usize) -> Result<Vec<JobRow>, Fault> {
        claim(&self.platform, self.lane, &self.worker, limit).await
    }
}

async fn claim(platform: &Platform, lane: Lane, worker: &str, limit: usize) -> Result<Vec<JobRow>, Fault> {
    let now = platform.now();
    let mut tx = platform.db.begin().await?;
    let until = now + platform.settings.jobs.lease.0;
    let claimed = rows::claim(&mut tx, lane, now, worker, until, i64::try_from(limit).unwrap_or(1)).await?;
    tx.commit().await?;
    Ok(claimed)
}

/// One attempt at a job, from its lease to what is written about its end.
async fn work(platform: &Arc<Platform>, job: JobRow, hard: CancellationToken, place: Option<Arc<Place>>) {
    let attempt = Attempt { number: job.attempt, cancel: hard.child_token(), place };
    let renew = renew(platform, &job, attempt.cancel.clone());
    let outcome = tokio::select! {
        outcome = perform(platform, &job, &attempt) => outcome,
        () = renew => {
            // The lease is lost: somebody else has the job, or it was taken out of the queue.
            tracing::warn!(job_id = job.job_id, attempt = job.attempt, "lease lost");
            return;
        }
    };
    settle_or_tell(platform, &job, outcome).await;
}

async fn settle_or_tell(platform: &Platform, job: &JobRow, outcome: Outcome) {
    if let Err(fault) = settle(platform, job, outcome).await {
        // The lease runs out, and the job is taken up again.
        tracing::warn!(job_id = job.job_id, %fault, "the end of a job cannot be written");
    }
}

/// Extends the lease at a third of its length; returns when it is lost.
async fn renew(platform: &Platform, job: &JobRow, cancel: CancellationToken) {
    let lease = platform.settings.jobs.lease.0;
    loop {
        tokio::time::sleep(lease / 3).await;
        let extended = async {
            let mut tx = platform.db.begin().await?;
            let extended = rows::extend(&mut tx, job, platform.now() + lease).await?;
            tx.commit().await?;
            Ok::<_, Fault>(extended)
        };
        match extended.await {
            Ok(true) => {}
            Ok(false) => {
                cancel.cancel();
                return;
            }
            Err(fault) => tracing::warn!(job_id = job.job_id, %fault, "a lease cannot be extended"),
        }
    }
}

async fn perform(platform: &Arc<Platform>, job: &JobRow, attempt: &Attempt) -> Outcome {
    let Ok(task) = serde_json::from_str::<Job>(&job.payload) else {
        return Outcome::GiveUp {
            reason: "unknown_job".into(),
            detail: "this version of Portward does not know such a job".into(),
        };
    };
    if job.attempt > job.max_attempts {
        // The workers of all attempts were killed.
        return Outcome::GiveUp { reason: "attempts_exhausted".into(), detail: job.last_error.clone().unwrap_or_default() };
    }
    let (inner, go) = (Arc::clone(platform), attempt.clone());
    let done = async move {
        match task {
            Job::Export { request_id } => export::run(&inner, request_id, &go).await,
            Job::Deliver { delivery_id } => webhooks::deliver(&inner, delivery_id).await,
            Job::Mail { notice_id } => notices::deliver(&inner, notice_id).await,
            Job::DeleteObject { object } => inner.vault.delete(&object).await.map(|()| Outcome::Done),
            Job::Expire => housekeeping::expire(&inner).await.map(|()| Outcome::Done),
            Job::Sweep => housekeeping::sweep(&inner).await.map(|()| Outcome::Done),
            Job::Forget => housekeeping::forget(&inner).await.map(|()| Outcome::Done),
            Job::Seal => crate::audit::seal(&inner).await.map(|_| Outcome::Done),
            Job::Freezes => crate::freezes::escalate(&inner).await.map(|()| Outcome::Done),
            Job::Tickets => crate::tickets::escalate(&inner).await.map(|()| Outcome::Done),
            Job::Review => housekeeping::review(&inner).await.map(|()| Outcome::Done),
        }
    };
    let done = tokio::spawn(done.in_current_span());
    // When this future is dropped because the lease was lost, the task goes on until it looks at its token; the guards keep it harmless.
    match done.await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(fault)) => Outcome::Retry { reason: reason(&fault).into(), detail: fault.to_string(), after: None },
        Err(panic) => Outcome::Retry { reason: "panic".into(), detail: panic.to_string(), after: None },
    }
}

fn reason(fault: &Fault) -> &'static str {
    // A full disk may lie beneath what others made of it.
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(fault);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if matches!(kind, Some(std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)) {
            return "disk_full";
        }
        cause = error.source();
    }
    match fault {
        Fault::File(_) => "file_fault",
        Fault::Vault(_) => "vault_fault",
        Fault::Db(_) => "store_fault",
        _ => "fault",
    }
}

async fn settle(platform: &Platform, job: &JobRow, outcome: Outcome) -> Result<(), Fault> {
    let now = platform.now();
    let attempts = u32::try_from(job.attempt).unwrap_or(0);
    let (reason, detail, after) = match outcome {
        Outcome::Done => {
            let mut tx = platform.db.begin().await?;
            rows::done(&mut tx, job).await?;
            return Ok(tx.commit().await?);
        }
        Outcome::HandBack | Outcome::TooLarge => {
            let lane = if outcome == Outcome::TooLarge { Lane::Heavy } else { job.lane };
            let mut tx = platform.db.begin().await?;
            rows::hand_back(&mut tx, job, lane).await?;
            tx.wake_runners();
            return Ok(tx.commit().await?);
        }
        Outcome::Wait { detail } => {
            let mut tx = platform.db.begin().await?;
            // The request waits with its job, so that whoever sees the one waiting and ends what stops it wakes the other.
            if rows::lay_by(&mut tx, job, now + HELD_FOR, detail).await?
                && let Ok(Job::Export { request_id }) = serde_json::from_str(&job.payload)
            {
                requests::wait(&mut tx, request_id, job.attempt).await?;
            }
            tracing::info!(job_id = job.job_id, attempt = job.attempt, detail, "job laid by");
            return Ok(tx.commit().await?);
        }
        Outcome::Retry { reason, detail, after } => (reason, detail, Some(after.unwrap_or_else(|| backoff(platform, attempts)))),
        Outcome::GiveUp { reason, detail } => (reason, detail, None),
    };
    let text = format!("{reason}: {detail}");
    match after.filter(|_| job.attempt < job.max_attempts) {
        Some(after) => {
            tracing::warn!(
                job_id = job.job_id,
                attempt = job.attempt,
                error = text,
                after_s = after.as_secs(),
                "job failed; it is tried again"
            );
            let mut tx = platform.db.begin().await?;
            rows::again(&mut tx, job, now + after, &text).await?;
            tx.commit().await?;
        }
        None => {
            tracing::error!(job_id = job.job_id, attempt = job.attempt, error = text, "job given up");
            metrics::counter!("portward_jobs_dead_total", "world" => platform.world.as_str()).increment(1);
            // First what the job was for, then the job: killed in between, the next attempt finds nothing more to do.
            if let Ok(Job::Export { request_id }) = serde_json::from_str(&job.payload) {
                requests::fail(platform, request_id, job.attempt, &reason, &detail).await?;
            }
            let mut tx = platform.db.begin().await?;
            rows::bury(&mut tx, job, &text, now).await?;
            tx.commit().await?;
        }
    }
    Ok(())
}

/// Enqueues what is due by the clock. Of many processes one does it.
async fn schedule(platform: Arc<Platform>, stop: CancellationToken) {
    loop {
        for (name, every, job) in housekeeping::schedules() {
            let enqueued = async {
                let now = platform.now();
                let mut tx = platform.db.begin().await?;
                if rows::due(&mut tx, name, now, now + every).await? {
                    super::enqueue(&mut tx, &platform, job, now).await?;
                }
                tx.commit().await?;
                Ok::<_, Fault>(())
            };
            if let Err(fault) = enqueued.await {
                tracing::warn!(name, %fault, "a schedule cannot be read");
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(15)) => {}
        }
    }
}

/// Runs every job that is due now, one after the other, until none is left; gives how many there were. For tests and small tools.
pub async fn drain(platform: &Arc<Platform>) -> Result<u32, Fault> {
    let mut count = 0;
    loop {
        let mut any = false;
        for lane in Lane::ALL {
            for job in claim(platform, *lane, "drain", 10).await? {
                any = true;
                count += 1;
                work(platform, job, CancellationToken::new(), None).await;
            }
        }
        if !any {
            return Ok(count);
        }
    }
}
