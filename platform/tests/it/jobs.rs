//! The queue: who works at what, who hears of it, and what becomes of work nobody can do.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use platform::jobs;
use platform::requests::RequestState;
use platform::settings::Span;
use tokio_util::sync::CancellationToken;

use crate::db_test;
use crate::support::{ACTIVITY, ACTIVITY_ONGOING, BASIC, DAY, MINUTE, PROFILE, Source, World};

/// How many there are: a worker that has just started does each once.
const SCHEDULES: i64 = 7;

/// A worker in the background, until the token is tripped.
fn start(platform: &Arc<platform::Platform>) -> (CancellationToken, tokio::task::JoinHandle<()>) {
    let stop = CancellationToken::new();
    (stop.clone(), tokio::spawn(jobs::run(Arc::clone(platform), stop)))
}

db_test! {
    async fn each_job_is_claimed_by_one_of_many_workers(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        let mut ids = Vec::new();
        for _ in 0..24 {
            ids.push(w.add(&bearer, &["activity"]).await);
        }
        let mut workers = vec![Arc::clone(&w.platform)];
        for _ in 0..3 {
            workers.push(w.another(|_| {}).await);
        }
        let drains = workers.into_iter().map(|platform| tokio::spawn(async move { jobs::drain(&platform).await.unwrap() }));
        let done: u32 = join_all(drains).await.into_iter().map(Result::unwrap).sum();
        assert_eq!(done, 24, "none was claimed twice");
        for id in ids {
            let request = w.request(id).await;
            assert_eq!((request.status, request.attempt), (RequestState::Ready, 1));
        }
        assert_eq!((w.objects().len(), w.number("select count(*) from jobs").await), (24, 0));
    }
}

db_test! {
    async fn a_commit_wakes_the_worker(engine) {
        let w = World::with(engine, |settings| settings.jobs.poll = Span::hours(1)).await;
        // On PostgreSQL the worker is another process; SQLite has no word for that, there it polls.
        let worker = if w.is_postgres() { w.another(|_| {}).await } else { Arc::clone(&w.platform) };
        let (stop, end) = start(&worker);
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        // The schedules' own jobs come first; wait until the worker has nothing to do, and listens.
        w.until(async || w.number("select count(*) from schedules").await == SCHEDULES && w.number("select count(*) from jobs").await == 0).await;
        if w.is_postgres() {
            w.until(async || w.number("select count(*) from pg_stat_activity where query ilike '%listen%portward_jobs%' and pid <> pg_backend_pid()").await > 0).await;
        }
        for _ in 0..3 {
            let id = w.add(&bearer, &["activity"]).await;
            w.until(async || w.state(id).await == RequestState::Ready).await;
        }
        stop.cancel();
        end.await.unwrap();
    }
}

db_test! {
    async fn what_was_not_heard_of_is_found_by_looking(engine) {
        let w = World::with(engine, |settings| settings.jobs.poll = Span::parse("50 ms").unwrap()).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let (stop, end) = start(&w.platform);
        let other = w.another(|_| {}).await;
        let id = platform::requests::add(&other, &bearer, &w.asked(&["activity"]), None).await.unwrap();
        w.until(async || w.state(id).await == RequestState::Ready).await;
        stop.cancel();
        end.await.unwrap();
    }
}

db_test! {
    async fn a_worker_that_stops_hands_back_what_does_not_end_in_time(engine) {
        let w = World::with(engine, |settings| settings.jobs.stop_within = Span::parse("100 ms").unwrap()).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        w.shut();
        let (stop, end) = start(&w.platform);
        w.until(async || w.state(id).await == RequestState::Running).await;
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), end).await.expect("it stops").unwrap();
        let job = "select count(*) from jobs where lane = 'export' and leased_by is null and lease_until is null and attempt = 1";
        assert_eq!(w.number(format!("{job} and max_attempts = 6")).await, 1, "the attempt that was not its fault does not count");
        w.open(Source::Good);
        w.drain().await;
        assert_eq!((w.state(id).await, w.request(id).await.attempt), (RequestState::Ready, 2), "at once, not when the lease runs out");
        assert_eq!(w.objects().len(), 1);
    }
}

db_test! {
    async fn a_worker_that_stops_lets_what_runs_end(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        w.shut();
        let (stop, end) = start(&w.platform);
        w.until(async || w.state(id).await == RequestState::Running).await;
        stop.cancel();
        // Nothing new is begun.
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let later = w.add(&bearer, &["activity"]).await;
        w.open(Source::Good);
        end.await.unwrap();
        assert_eq!((w.state(id).await, w.state(later).await), (RequestState::Ready, RequestState::Queued));
    }
}

db_test! {
    async fn small_archives_do_not_wait_for_large_ones(engine) {
        let w = World::with(engine, |settings| {
            (settings.jobs.exports, settings.jobs.heavy_exports) = (1, 1);
            settings.jobs.heavy_after = Span::parse("1 ms").unwrap();
        })
        .await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING, PROFILE]).await;
        w.shut();
        let (stop, end) = start(&w.platform);
        // More than there are places of both kinds; the gate is shut, so that none of them ends.
        let mut large = Vec::new();
        for _ in 0..4 {
            large.push(w.add(&bearer, &["activity"]).await);
        }
        let small = w.add(&bearer, &["profile"]).await;
        w.until(async || w.state(small).await == RequestState::Ready).await;
        w.until(async || w.number("select count(*) from jobs where lane = 'heavy' and leased_by is null").await == 3).await;
        for id in &large {
            assert_eq!(w.state(*id).await, RequestState::Running);
        }
        w.open(Source::Good);
        for id in large {
            w.until(async || w.state(id).await == RequestState::Ready).await;
        }
        stop.cancel();
        end.await.unwrap();
        assert_eq!((w.objects().len(), w.number("select count(*) from jobs where lane <> 'keep'").await), (5, 0));
    }
}

db_test! {
    async fn who_was_large_before_waits_among_the_large(engine) {
        let w = World::with(engine, |settings| settings.jobs.heavy_bytes = 60).await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING, PROFILE]).await;
        let heavy = "select count(*) from jobs where lane = 'heavy'";
        // Nothing is known of Anna.
        w.add(&bearer, &["activity"]).await;
        w.add(&bearer, &["profile"]).await;
        assert_eq!(w.number(heavy).await, 0);
        w.drain().await;
        // Her three likes are more than that, her name is less.
        w.add(&bearer, &["activity"]).await;
        assert_eq!((w.number(heavy).await, w.number("select count(*) from jobs where lane = 'export'").await), (1, 0));
        w.drain().await;
        let bearer = w.consent(&[BASIC, PROFILE]).await;
        w.add(&bearer, &["profile"]).await;
        assert_eq!((w.number(heavy).await, w.number("select count(*) from jobs where lane = 'export'").await), (0, 1));
    }
}

db_test! {
    async fn a_lease_is_kept_while_the_work_goes_on(engine) {
        let w = World::with(engine, |settings| settings.jobs.lease = Span::parse("300 ms").unwrap()).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        w.shut();
        let end = w.begin(&w.platform, id, 1).await;
        let other = w.another(|_| {}).await;
        for _ in 0..4 {
            // The clock goes on by less than the lease; the worker has the time to renew it.
            w.advance(Duration::from_millis(250));
            let due = (w.platform.now() + Duration::from_millis(290)).0;
            w.until(async || w.number("select lease_until from jobs where lane = 'export'").await >= due).await;
            assert_eq!(jobs::drain(&other).await.unwrap(), 0);
        }
        w.open(Source::Good);
        end.await.unwrap();
        assert_eq!((w.state(id).await, w.request(id).await.attempt), (RequestState::Ready, 1));
    }
}

db_test! {
    async fn of_many_workers_one_does_what_is_due_by_the_clock(engine) {
        let w = World::with(engine, |settings| settings.jobs.poll = Span::hours(1)).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        w.drain().await;
        w.advance(5 * DAY);
        let others = [w.another(|_| {}).await, w.another(|_| {}).await];
        let workers: Vec<_> = others.iter().chain([&w.platform]).map(start).collect();
        w.until(async || w.state(id).await == RequestState::Expired && w.number("select count(*) from jobs").await == 0).await;
        for (stop, end) in workers {
            stop.cancel();
            end.await.unwrap();
        }
        assert!(w.objects().is_empty());
        let now = w.platform.now();
        for (name, every) in [("expire", MINUTE), ("sweep", 60 * MINUTE), ("forget", 60 * MINUTE)] {
            assert_eq!(w.number(format!("select next_at from schedules where name = '{name}'")).await, (now + every).0, "{name}");
        }
        assert_eq!(w.number("select count(*) from audit where action = 'request.expired'").await, 1);
    }
}

db_test! {
    async fn a_job_nobody_knows_is_put_aside_and_can_be_taken_up(engine) {
        let w = World::new(engine).await;
        for (id, payload) in [(1, "{\"job\":\"dance\"}"), (2, "nonsense"), (3, "{\"job\":\"expire\"}")] {
            w.execute(format!(
                "insert into jobs (job_id, lane, payload, priority, run_at, attempt, max_attempts, created_at)
                 values ({id}, 'keep', '{payload}', 0, 0, 0, 3, 0)"
            ))
            .await;
        }
        assert_eq!(w.drain().await, 3);
        let mut tx = w.platform.db.read().await.unwrap();
        let dead = jobs::list(&mut tx, 10).await.unwrap();
        assert_eq!(dead.iter().map(|job| (job.job_id, job.attempt)).collect::<Vec<_>>(), [(1, 1), (2, 1)], "the third was done");
        assert!(dead.iter().all(|job| job.dead_at.is_some() && job.last_error.as_ref().unwrap().starts_with("unknown_job")));
        drop(tx);

        w.execute("update jobs set payload = '{\"job\":\"expire\"}' where job_id = 1").await;
        let retry = async |id| jobs::retry(&w.platform, id).await.unwrap();
        assert!(retry(1).await && !retry(1).await && !retry(3).await && !retry(77).await);
        assert_eq!(w.drain().await, 1);
        assert_eq!(w.number("select count(*) from jobs").await, 1);
    }
}

db_test! {
    async fn a_job_of_one_name_is_enqueued_once_while_it_lives(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        w.open(Source::Broken);
        let id = w.add(&bearer, &["activity"]).await;
        w.drain().await;
        // The schedule's job is still waiting when the schedule is due again.
        let waiting = (w.platform.now() + 365 * DAY).0;
        w.execute(format!(
            "insert into jobs (job_id, lane, payload, priority, run_at, attempt, max_attempts, dedupe_key, created_at)
             values (1, 'keep', '{{\"job\":\"expire\"}}', 0, {waiting}, 0, 5, 'expire', 0)"
        ))
        .await;
        let (stop, end) = start(&w.platform);
        w.until(async || w.number("select count(*) from schedules").await == SCHEDULES && w.number("select count(*) from jobs where lane = 'keep'").await == 1).await;
        stop.cancel();
        end.await.unwrap();
        assert_eq!(w.number("select job_id from jobs where lane = 'keep'").await, 1);
        assert_eq!(w.number(format!("select count(*) from jobs where dedupe_key = 'export {}'", id.get())).await, 1);
    }
}
