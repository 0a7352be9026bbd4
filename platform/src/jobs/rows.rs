//! The SQL of jobs and schedules.

use super::{Job, Lane};
use crate::clock::Millis;
use crate::db::{Tx, sql};
use crate::{Fault, Platform};

/// A job as it lies in the queue.
#[derive(Clone, Debug, sqlx_macros::FromRow)]
pub struct JobRow {
    /// Ours.
    pub job_id: i64,
    /// Where it waits.
    pub lane: Lane,
    /// What is to be done, as JSON; identifiers only.
    pub payload: String,
    /// Not before.
    pub run_at: Millis,
    /// Somebody works at it until then.
    pub lease_until: Option<Millis>,
    /// Who.
    pub leased_by: Option<String>,
    /// How often it was begun.
    pub attempt: i32,
    /// How often it may be.
    pub max_attempts: i32,
    /// How the last attempt failed.
    pub last_error: Option<String>,
    /// When it was given up.
    pub dead_at: Option<Millis>,
    /// When it was enqueued.
    pub created_at: Millis,
}

pub(super) async fn insert(
    tx: &mut Tx,
    platform: &Platform,
    job: &Job,
    lane: Lane,
    attempt: i32,
    run_at: Millis,
) -> Result<(), Fault> {
    let payload = serde_json::to_string(job).map_err(|fault| Fault::Row(fault.to_string()))?;
    sql!(
        tx,
        execute,
        "insert into jobs (job_id, lane, payload, priority, run_at, attempt, max_attempts, dedupe_key, created_at)
         values ($1, $2, $3, 0, $4, $5, $6, $7, $8)
         on conflict (dedupe_key) do nothing",
        platform.random.id(),
        lane,
        payload,
        run_at,
        attempt,
        attempt.saturating_add(i32::try_from(job.max_attempts(platform)).unwrap_or(i32::MAX)),
        job.dedupe_key(),
        platform.now(),
    )?;
    Ok(())
}

pub(super) async fn delete_named(tx: &mut Tx, dedupe_key: &str) -> Result<(), Fault> {
    sql!(tx, execute, "delete from jobs where dedupe_key = $1", dedupe_key.to_owned())?;
    Ok(())
}

/// The claim. The common table keeps PostgreSQL from running the choice again and claiming more than the limit.
macro_rules! claim {
    ($lock:literal) => {
        concat!(
            "with due as materialized (
               select job_id
               from jobs
               where lane = $1 and dead_at is null and run_at <= $2 and (lease_until is null or lease_until <= $2)
               order by priority desc, run_at, job_id
               limit $5 ",
            $lock,
            ")
             update jobs
             set leased_by = $3, lease_until = $4, attempt = attempt + 1
             from due
             where jobs.job_id = due.job_id
             returning jobs.job_id, lane, payload, run_at, lease_until, leased_by, attempt, max_attempts, last_error, dead_at, created_at"
        )
    };
}

/// Claims jobs that are due, each for one attempt.
pub(super) async fn claim(
    tx: &mut Tx,
    lane: Lane,
    now: Millis,
    worker: &str,
    lease_until: Millis,
    limit: i64,
) -> Result<Vec<JobRow>, Fault> {
    let text = if tx.skips_locked() { claim!("for update skip locked") } else { claim!("") };
    Ok(sql!(tx, all JobRow, text, lane, now, worker.to_owned(), lease_until, limit)?)
}

/// Keeps a lease. `false` if it was lost.
pub(super) async fn extend(tx: &mut Tx, job: &JobRow, lease_until: Millis) -> Result<bool, Fault> {
    let extended = sql!(
        tx,
        execute,
        "update jobs set lease_until = $3 where job_id = $1 and attempt = $2 and leased_by = $4",
        job.job_id,
        job.attempt,
        lease_until,
        job.leased_by.clone(),
    )?;
    Ok(extended == 1)
}

pub(super) async fn done(tx: &mut Tx, job: &JobRow) -> Result<(), Fault> {
    sql!(tx, execute, "delete from jobs where job_id = $1 and attempt = $2", job.job_id, job.attempt)?;
    Ok(())
}

pub(super) async fn again(tx: &mut Tx, job: &JobRow, run_at: Millis, error: &str) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update jobs
         set run_at = $3, lease_until = null, leased_by = null, last_error = $4
         where job_id = $1 and attempt = $2",
        job.job_id,
        job.attempt,
        run_at,
        error.to_owned(),
    )?;
    Ok(())
}

/// Gives a job back unharmed, to wait in that lane: this attempt does not count.
pub(super) async fn hand_back(tx: &mut Tx, job: &JobRow, lane: Lane) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update jobs
         set lane = $3, lease_until = null, leased_by = null, max_attempts = max_attempts + 1
         where job_id = $1 and attempt = $2",
        job.job_id,
        job.attempt,
        lane,
    )?;
    Ok(())
}

/// What stands before the words of a job that waits for what is stopped.
const HELD: &str = "held: ";

/// Lays a job by until what stops it may have ended: this attempt does not count.
pub(super) async fn lay_by(tx: &mut Tx, job: &JobRow, run_at: Millis, why: &str) -> Result<bool, Fault> {
    let laid_by = sql!(
        tx,
        execute,
        "update jobs
         set run_at = $3, lease_until = null, leased_by = null, max_attempts = max_attempts + 1, last_error = $4
         where job_id = $1 and attempt = $2",
        job.job_id,
        job.attempt,
        run_at,
        format!("{HELD}{why}"),
    )?;
    Ok(laid_by == 1)
}

/// Takes up at once what was laid by.
pub(super) async fn wake_held(tx: &mut Tx, now: Millis) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update jobs
         set run_at = $2
         where lane = $1 and dead_at is null and lease_until is null and run_at > $2 and last_error like $3",
        Lane::Export,
        now,
        format!("{HELD}%"),
    )?;
    Ok(())
}

pub(super) async fn bury(tx: &mut Tx, job: &JobRow, error: &str, now: Millis) -> Result<(), Fault> {
    sql!(
        tx,
        execute,
        "update jobs
         set dead_at = $3, last_error = $4, lease_until = null, leased_by = null, dedupe_key = null
         where job_id = $1 and attempt = $2",
        job.job_id,
        job.attempt,
        now,
        error.to_owned(),
    )?;
    Ok(())
}

/// Jobs, those given up first.
pub async fn list(tx: &mut Tx, limit: i64) -> Result<Vec<JobRow>, Fault> {
    Ok(sql!(
        tx,
        all JobRow,
        "select * from jobs order by case when dead_at is null then 1 else 0 end, run_at, job_id limit $1",
        limit,
    )?)
}

/// A job that was given up.
pub(super) async fn dead(tx: &mut Tx, job_id: i64) -> Result<Option<JobRow>, Fault> {
    Ok(sql!(tx, optional JobRow, "select * from jobs where job_id = $1 and dead_at is not null", job_id)?)
}

/// Takes a job that was given up back to the queue. `false` if there is no such dead job.
pub(super) async fn revive(tx: &mut Tx, job_id: i64, now: Millis) -> Result<bool, Fault> {
    let revived = sql!(
        tx,
        execute,
        "update jobs
         set dead_at = null, run_at = $2, max_attempts = attempt + 1
         where job_id = $1 and dead_at is not null",
        job_id,
        now,
    )?;
    if revived == 1 {
        tx.wake_runners();
    }
    Ok(revived == 1)
}

/// Claims a schedule that is due; makes it on first sight, due at once.
pub(super) async fn due(tx: &mut Tx, name: &'static str, now: Millis, next_at: Millis) -> Result<bool, Fault> {
    sql!(tx, execute, "insert into schedules (name, next_at) values ($1, $2) on conflict do nothing", name, now)?;
    Ok(sql!(tx, execute, "update schedules set next_at = $3 where name = $1 and next_at <= $2", name, now, next_at)? == 1)
}
