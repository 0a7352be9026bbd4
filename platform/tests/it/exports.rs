//! The way of a request through the queue: into the vault, out of it again, or to its failure.

use std::fs::{self, FileTimes};
use std::time::{Duration, UNIX_EPOCH};

use archive::read::MemberKind;
use platform::audit::Actor;
use platform::grants;
use platform::requests::{self, Cancelled, RequestState, RetryRefusal};
use platform::{Millis, apps, jobs, people};
use sha2::{Digest, Sha256};
use testkit::receiver::Receiver;
use wire::{DataFormat, RequestStatus};

use crate::db_test;
use crate::support::{ACTIVITY, ACTIVITY_ONGOING, ALL, BASIC, DAY, HOUR, MINUTE, MS, PROFILE, SECOND, START, Source, World};

db_test! {
    async fn a_request_becomes_an_archive_that_can_be_read(engine) {
        let w = World::new(engine).await;
        let receiver = Receiver::start();
        w.webhook(&receiver.url()).await;
        let bearer = w.consent(&[BASIC, ALL]).await;
        let id = w.add(&bearer, &["all_data"]).await;
        w.advance(SECOND);
        w.drain().await;

        let request = w.request(id).await;
        assert_eq!((request.status, request.attempt), (RequestState::Ready, 1));
        assert_eq!(request.collecting_at, Some(START + SECOND));
        assert_eq!(request.expires_at, Some(START + SECOND + 4 * DAY));
        let row = w.archive(id).await.unwrap();
        let bytes = w.download(id).await.unwrap();
        assert_eq!((row.len(), row.sha256), (bytes.len() as u64, hex::encode(Sha256::digest(&bytes))));
        let contents = w.contents(id).await;
        assert_eq!(contents.members.len(), 1);
        assert_eq!(contents.members[0].name, "user_data.json");
        assert_eq!((contents.rows(&["Activity", "Likes"]), contents.rows(&["Profile", "Name"])), (3, 1));
        assert_eq!(w.number("select count(*) from jobs").await, 0);

        // What lies in the vault is named by request and attempt, and says nothing.
        let objects = w.objects();
        assert!(objects.len() == 1 && objects[0].starts_with(&format!("{}/1-", id.get())), "{objects:?}");
        let sealed = fs::read(w.vault_folder().join(&objects[0])).unwrap();
        assert!(!sealed.starts_with(b"PK") && sealed.len() > bytes.len());
        assert_eq!(fs::read_dir(w.folder.path().join("scratch")).unwrap().count(), 0, "nothing readable stays");

        let event = receiver.received().pop().unwrap().json();
        assert_eq!(event["event"], "portability.download.ready");
        let content: serde_json::Value = serde_json::from_str(event["content"].as_str().unwrap()).unwrap();
        assert_eq!(content["request_id"].as_i64(), Some(id.get()));
    }
}

db_test! {
    async fn as_text_and_in_part(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, PROFILE]).await;
        let id = requests::add(&w.platform, &bearer, &w.asked_as(&["profile"], DataFormat::Text), None).await.unwrap();
        w.drain().await;
        let contents = w.contents(id).await;
        let names: Vec<&str> = contents.members.iter().map(|member| member.name.as_str()).collect();
        assert_eq!(names, ["Data/Profile/Name.txt"], "nothing that was not asked for");
        assert!(matches!(contents.members[0].kind, MemberKind::Text { blocks: 1, .. }));
    }
}

db_test! {
    async fn a_withdrawal_in_the_middle_throws_the_archive_away(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        w.shut();
        let end = w.begin(&w.platform, id, 1).await;
        grants::withdraw(&w.platform, w.app.app_id, w.anna).await.unwrap();
        assert_eq!(w.state(id).await, RequestState::Cancelled);
        w.open(Source::Good);
        end.await.unwrap();
        w.drain().await;
        assert_eq!(w.state(id).await, RequestState::Cancelled);
        assert!(w.archive(id).await.is_none() && w.objects().is_empty());
        assert_eq!(w.number("select count(*) from jobs").await, 0, "nobody has to repair anything");
    }
}

db_test! {
    async fn a_withdrawal_after_it_deletes_the_archive(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        let (one, two) = (w.add(&bearer, &["activity"]).await, w.add(&bearer, &["activity"]).await);
        w.drain().await;
        let pending = w.add(&bearer, &["activity"]).await;
        assert_eq!(w.objects().len(), 2);
        grants::withdraw(&w.platform, w.app.app_id, w.anna).await.unwrap();
        for id in [one, two, pending] {
            assert_eq!(w.state(id).await, RequestState::Cancelled);
            assert!(w.archive(id).await.is_none(), "no key, no archive: from the commit on");
        }
        w.drain().await;
        assert!(w.objects().is_empty());
    }
}

db_test! {
    async fn a_worker_learns_that_nobody_wants_its_archive(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        w.shut();
        let end = w.begin(&w.platform, id, 1).await;
        assert_eq!(requests::cancel(&w.platform, &bearer, id).await.unwrap(), Cancelled::Done);
        // The source never answers; the worker stops all the same, within some two seconds.
        tokio::time::timeout(Duration::from_secs(10), end).await.expect("it stops waiting").unwrap();
        assert!(w.platform.progress.of(id.get()).is_none());
        w.open(Source::Good);
        assert_eq!((w.state(id).await, w.objects().len()), (RequestState::Cancelled, 0));
    }
}

db_test! {
    async fn an_archive_is_kept_four_days(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        w.drain().await;
        w.advance(4 * DAY - MS);
        w.keep("expire").await;
        assert_eq!(w.request(id).await.status(w.platform.now()), RequestStatus::Downloading);
        w.advance(MS);
        assert_eq!(w.request(id).await.status(w.platform.now()), RequestStatus::Expired, "to the moment, whoever sweeps when");
        w.keep("expire").await;
        assert_eq!(w.state(id).await, RequestState::Expired);
        assert!(w.archive(id).await.is_none() && w.objects().is_empty());
        assert_eq!(w.request(id).await.status(w.platform.now()), RequestStatus::Expired);
    }
}

/// Puts a file into the vault's folder that was last changed at a time.
fn plant(w: &World, name: &str, changed: Millis) {
    let path = w.vault_folder().join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "left behind").unwrap();
    age(w, name, changed);
}

fn age(w: &World, name: &str, changed: Millis) {
    let file = fs::File::options().write(true).open(w.vault_folder().join(name)).unwrap();
    file.set_times(FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_millis(changed.0 as u64))).unwrap();
}

db_test! {
    async fn the_sweep_takes_what_no_row_names_and_no_running_attempt_will(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        let ready = w.add(&bearer, &["activity"]).await;
        w.drain().await;
        let kept = w.objects().pop().unwrap();
        let running = w.add(&bearer, &["activity"]).await;
        w.shut();
        let end = w.begin(&w.platform, running, 1).await;
        w.advance(2 * HOUR);
        let old = w.platform.now() - HOUR - SECOND;
        age(&w, &kept, old);
        let running = running.get();
        let uuid = "00000000-0000-4000-8000-000000000000";
        let about_to_be_named = format!("{running}/1-{uuid}");
        plant(&w, &about_to_be_named, old);
        let young = format!("{}/9-{uuid}", ready.get());
        plant(&w, &young, w.platform.now() - HOUR + SECOND);
        for orphan in [format!("{}/2-{uuid}", ready.get()), format!("{running}/0-{uuid}"), format!("{running}/2-{uuid}"), format!("1/1-{uuid}")] {
            plant(&w, &orphan, old);
        }
        plant(&w, &format!("7/1-{uuid}#1"), old);
        // What has another form was not made by us, whoever set the vault's folder where it lies.
        let strange = ["portward.keys".to_owned(), "notes/1-draft".to_owned(), format!("{}/readme", ready.get())];
        for other in &strange {
            plant(&w, other, old);
        }
        // Through a second worker: the first one's queue is busy.
        let id = w.platform.random.id();
        w.execute(format!("insert into jobs (job_id, lane, payload, priority, run_at, attempt, max_attempts, created_at) values ({id}, 'keep', '{{\"job\":\"sweep\"}}', 0, 0, 0, 1, 0)")).await;
        // The running export's lease is past by the set clock; it must not be taken up here.
        w.execute("update jobs set lease_until = lease_until + 86400000 where lane = 'export'").await;
        jobs::drain(&w.platform).await.unwrap();
        let mut left = vec![kept, about_to_be_named, young];
        left.extend(strange);
        left.sort();
        assert_eq!(w.objects(), left);
        w.open(Source::Good);
        end.await.unwrap();
        assert_eq!(w.contents(ready).await.rows(&["Activity", "Likes"]), 3);
    }
}

db_test! {
    async fn what_ended_is_forgotten_in_its_time(engine) {
        let w = World::new(engine).await;
        let receiver = Receiver::start();
        w.webhook(&receiver.url()).await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        let id = w.add(&bearer, &["activity"]).await;
        let session = people::begin_session(&w.platform, w.anna, people::Began::default()).await.unwrap();
        apps::rotate_secret(&w.platform, Actor::Operator, &w.app.client_key, DAY).await.unwrap();
        w.drain().await;
        w.execute("insert into jobs (job_id, lane, payload, priority, run_at, attempt, max_attempts, created_at) values (1, 'keep', '{\"job\":\"dance\"}', 0, 0, 0, 1, 0)").await;
        w.drain().await;
        let count = async |table: &str| w.number(format!("select count(*) from {table}")).await;

        w.advance(DAY);
        w.keep("forget").await;
        assert_eq!((count("sessions").await, count("app_secrets").await), (0, 1));
        assert!(people::of_session(&w.platform, &session).await.unwrap().is_none());
        grants::withdraw(&w.platform, w.app.app_id, w.anna).await.unwrap();
        w.drain().await;
        assert_eq!((count("deliveries").await, count("jobs").await), (2, 1));
        w.advance(29 * DAY - MS);
        w.keep("forget").await;
        assert_eq!((count("deliveries").await, count("jobs").await), (2, 1));
        w.advance(DAY + MS);
        w.keep("forget").await;
        assert_eq!((count("deliveries").await, count("jobs").await), (0, 0), "a month after");

        w.advance(370 * DAY - MS);
        w.keep("forget").await;
        assert_eq!((count("requests").await, count("grants").await), (1, 1), "400 days are not over");
        assert_eq!(w.state(id).await, RequestState::Cancelled);
        w.advance(MS);
        w.keep("forget").await;
        assert_eq!((count("requests").await, count("grants").await), (0, 0));
        assert!(count("audit").await > 0);
        // Only what is sealed is cut, so that the record can be verified ever after.
        w.keep("seal").await;
        w.advance(3 * 365 * DAY);
        w.keep("forget").await;
        assert_eq!(count("audit").await, 1, "the cut itself is on record");
        assert_eq!(count("audit where action = 'audit.cut'").await, 1);
    }
}

db_test! {
    async fn somebody_elses_row_fails_the_request_at_once_and_nothing_is_kept(engine) {
        let w = World::new(engine).await;
        let receiver = Receiver::start();
        w.webhook(&receiver.url()).await;
        let bearer = w.consent(&[BASIC, ALL]).await;
        w.open(Source::Foreign);
        let id = w.add(&bearer, &["all_data"]).await;
        w.drain().await;
        let request = w.request(id).await;
        assert_eq!((request.status, request.attempt), (RequestState::Failed, 1), "no second attempt");
        assert_eq!(request.failure.as_deref(), Some("owner_mismatch"));
        assert_eq!(request.status(w.platform.now()), RequestStatus::Expired);
        let told = request.failure_detail.unwrap();
        assert!(told.contains("clips") && !told.contains("secret"), "{told}");
        assert!(w.objects().is_empty() && w.archive(id).await.is_none() && receiver.received().is_empty());
        assert_eq!(w.left(&bearer).await, [BASIC, ALL]);
        let mut tx = w.platform.db.read().await.unwrap();
        let dead = jobs::list(&mut tx, 10).await.unwrap();
        assert_eq!(dead.len(), 1);
        assert!(dead[0].dead_at.is_some() && dead[0].last_error.as_ref().unwrap().starts_with("owner_mismatch"));
        drop(tx);
        w.advance(DAY);
        assert_eq!(w.drain().await, 0);
    }
}

db_test! {
    async fn a_subject_of_another_type_fails_with_a_reason(engine) {
        let w = World::new(engine).await;
        let odd = w.person("odd", "not a number", "DE").await;
        let tokens = w.tokens_of(&w.app, odd, &[BASIC, ACTIVITY]).await;
        let id = w.add(&w.bearer(&tokens).await, &["activity"]).await;
        w.drain().await;
        let request = w.request(id).await;
        assert_eq!((request.status, request.failure.as_deref(), request.attempt), (RequestState::Failed, Some("subject_invalid"), 1));
        assert!(!request.failure_detail.unwrap().contains("not a number"));
    }
}

db_test! {
    async fn what_may_pass_is_tried_again_ever_later_and_given_up_in_the_end(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        w.open(Source::Broken);
        let id = w.add(&bearer, &["activity"]).await;
        let mut pauses = Vec::new();
        for attempt in 1..=4 {
            assert_eq!(w.drain().await, 1);
            let request = w.request(id).await;
            assert_eq!((request.status, request.attempt), (RequestState::Running, attempt));
            assert_eq!(request.status(w.platform.now()), RequestStatus::Pending);
            let mut tx = w.platform.db.read().await.unwrap();
            let job = jobs::list(&mut tx, 1).await.unwrap().pop().unwrap();
            assert!(job.dead_at.is_none() && job.leased_by.is_none() && job.last_error.unwrap().starts_with("query_failed"));
            let pause = job.run_at.since(w.platform.now());
            drop(tx);
            w.advance(pause - MS);
            assert_eq!(w.drain().await, 0, "not before");
            w.advance(MS);
            pauses.push(pause);
        }
        for (pause, least) in pauses.iter().zip([2, 4, 8, 16]) {
            assert!((least * SECOND..=least * SECOND * 3 / 2).contains(pause), "{pauses:?}");
        }
        assert_eq!(w.left(&bearer).await, [BASIC]);
        w.drain().await;
        let request = w.request(id).await;
        assert_eq!((request.status, request.attempt, request.failure.as_deref()), (RequestState::Failed, 5, Some("query_failed")));
        assert_eq!(w.left(&bearer).await, [BASIC, ACTIVITY]);
        assert_eq!(w.number("select count(*) from jobs where dead_at is not null").await, 1, "the operator sees it");
        assert!(w.objects().is_empty());

        // The source is repaired, and the operator takes the request up again.
        w.open(Source::Good);
        requests::retry(&w.platform, id.get()).await.unwrap();
        assert_eq!((w.state(id).await, w.left(&bearer).await), (RequestState::Queued, vec![BASIC.to_owned()]));
        w.drain().await;
        let request = w.request(id).await;
        assert_eq!((request.status, request.attempt, request.failure), (RequestState::Ready, 6, None), "the count goes on");
        assert_eq!(w.contents(id).await.rows(&["Activity", "Likes"]), 3);
    }
}

db_test! {
    async fn an_export_that_recovers_is_answered_whole(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        w.open(Source::Broken);
        let id = w.add(&bearer, &["activity"]).await;
        w.drain().await;
        w.open(Source::Good);
        w.advance(MINUTE);
        w.drain().await;
        assert_eq!((w.state(id).await, w.request(id).await.attempt), (RequestState::Ready, 2));
        assert_eq!((w.contents(id).await.rows(&["Activity", "Likes"]), w.objects().len()), (3, 1));
        assert_eq!(w.request(id).await.collecting_at, Some(START), "collection began with the first attempt");
    }
}

db_test! {
    async fn only_a_failed_request_of_a_live_grant_is_retried(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        assert!(matches!(requests::retry(&w.platform, 77).await, Err(RetryRefusal::Unknown(77))));
        let id = w.add(&bearer, &["activity"]).await;
        assert!(matches!(requests::retry(&w.platform, id.get()).await, Err(RetryRefusal::NotFailed(_, RequestState::Queued))));
        w.open(Source::Foreign);
        w.drain().await;
        grants::withdraw(&w.platform, w.app.app_id, w.anna).await.unwrap();
        assert_eq!(w.state(id).await, RequestState::Failed, "a failed request is not cancelled any more");
        assert!(matches!(requests::retry(&w.platform, id.get()).await, Err(RetryRefusal::NotGranted(_))));
        assert_eq!(w.number("select count(*) from jobs where dead_at is null").await, 0);
    }
}

db_test! {
    async fn a_retry_does_not_stumble_over_the_job_of_a_worker_killed_after_it_failed_the_request(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        w.open(Source::Foreign);
        let id = w.add(&bearer, &["activity"]).await;
        w.drain().await;
        // As if it had been killed before it buried the job: the lease is still on it, and its name is taken.
        let until = (w.platform.now() + MINUTE).0;
        w.execute(format!("update jobs set dead_at = null, leased_by = 'killed', lease_until = {until}, dedupe_key = 'export {}'", id.get())).await;
        w.open(Source::Good);
        requests::retry(&w.platform, id.get()).await.unwrap();
        w.drain().await;
        assert_eq!(w.state(id).await, RequestState::Ready);
        w.advance(HOUR);
        w.drain().await;
        assert_eq!(w.state(id).await, RequestState::Ready);
    }
}

db_test! {
    async fn of_two_attempts_the_younger_wins_and_the_older_changes_no_row(engine) {
        let w = World::new(engine).await;
        let receiver = Receiver::start();
        w.webhook(&receiver.url()).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        w.shut();
        let older = w.begin(&w.platform, id, 1).await;
        // The first worker is silent for longer than its lease.
        w.advance(MINUTE - MS);
        let other = w.another(|_| {}).await;
        assert_eq!(jobs::drain(&other).await.unwrap(), 0, "the lease holds");
        w.advance(MS);
        let younger = w.begin(&other, id, 2).await;
        w.open(Source::Good);
        older.await.unwrap();
        younger.await.unwrap();
        w.drain().await;
        let request = w.request(id).await;
        assert_eq!((request.status, request.attempt), (RequestState::Ready, 2));
        assert_eq!(w.archive(id).await.unwrap().attempt, 2);
        assert_eq!(w.objects(), [w.archive(id).await.unwrap().object], "the older's archive is thrown away");
        assert_eq!(receiver.received().len(), 1, "the app is told once");
        assert_eq!(w.number("select count(*) from jobs").await, 0);
        assert_eq!(w.contents(id).await.rows(&["Activity", "Likes"]), 3);
    }
}

db_test! {
    async fn an_older_attempt_cannot_finish_what_a_younger_works_at(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        w.shut();
        let older = w.begin(&w.platform, id, 1).await;
        let until = (w.platform.now() + MINUTE).0;
        w.execute(format!("update jobs set attempt = 2, leased_by = 'other', lease_until = {until} where lane = 'export'")).await;
        w.execute("update requests set attempt = 2").await;
        w.open(Source::Good);
        older.await.unwrap();
        assert_eq!(w.state(id).await, RequestState::Running);
        assert!(w.archive(id).await.is_none() && w.objects().is_empty(), "its archive is thrown away");
        assert_eq!(w.number("select count(*) from jobs where attempt = 2 and leased_by = 'other'").await, 1);
    }
}

db_test! {
    async fn an_older_attempt_cannot_fail_what_a_younger_works_at(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        w.shut();
        let older = w.begin(&w.platform, id, 1).await;
        // The younger attempt is another process's, which has not come far.
        let until = (w.platform.now() + MINUTE).0;
        w.execute(format!("update jobs set attempt = 2, leased_by = 'other', lease_until = {until} where lane = 'export'")).await;
        w.execute("update requests set attempt = 2").await;
        w.open(Source::Foreign);
        older.await.unwrap();
        let request = w.request(id).await;
        assert_eq!((request.status, request.failure), (RequestState::Running, None));
        assert_eq!(w.left(&bearer).await, [BASIC]);
        assert_eq!(w.number("select count(*) from jobs where dead_at is null and attempt = 2 and leased_by = 'other'").await, 1);
    }
}

db_test! {
    async fn a_late_attempt_cannot_fail_what_the_operator_took_up_again(engine) {
        let w = World::with(engine, |settings| settings.requests.attempts = 1).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        w.shut();
        let late = w.begin(&w.platform, id, 1).await;
        // It sleeps past its lease; another worker finds the attempts used up, and gives the request up.
        w.advance(MINUTE);
        let other = w.another(|_| {}).await;
        jobs::drain(&other).await.unwrap();
        let request = w.request(id).await;
        assert_eq!((request.status, request.failure.as_deref()), (RequestState::Failed, Some("attempts_exhausted")));
        assert_eq!(w.left(&bearer).await, [BASIC, ACTIVITY]);
        requests::retry(&w.platform, id.get()).await.unwrap();
        // A lease elsewhere, so that the late worker's own round does not take the new job up.
        let until = (w.platform.now() + MINUTE).0;
        w.execute(format!("update jobs set leased_by = 'other', lease_until = {until} where dead_at is null")).await;
        w.open(Source::Foreign);
        late.await.unwrap();
        assert_eq!(w.state(id).await, RequestState::Queued, "the late failure is nobody's");
        w.open(Source::Good);
        w.advance(MINUTE);
        w.drain().await;
        assert_eq!(w.state(id).await, RequestState::Ready);
    }
}

db_test! {
    async fn workers_that_keep_being_killed_use_up_the_attempts(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        // Five claims, each by a worker that was killed in the middle.
        w.execute(format!("update jobs set attempt = 5, leased_by = 'killed', lease_until = {}", w.platform.now().0)).await;
        w.execute("update requests set status = 'running', attempt = 5").await;
        w.drain().await;
        let request = w.request(id).await;
        assert_eq!((request.status, request.failure.as_deref()), (RequestState::Failed, Some("attempts_exhausted")));
        assert_eq!(w.left(&bearer).await, [BASIC, ACTIVITY]);
        assert_eq!(w.number("select count(*) from jobs where dead_at is not null").await, 1);
    }
}

db_test! {
    async fn a_killed_workers_request_is_taken_up_when_its_lease_has_run_out(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        let until = (w.platform.now() + MINUTE).0;
        w.execute(format!("update jobs set attempt = 1, leased_by = 'killed', lease_until = {until}")).await;
        w.execute("update requests set status = 'running', attempt = 1").await;
        w.advance(MINUTE - MS);
        assert_eq!(w.drain().await, 0);
        w.advance(MS);
        w.drain().await;
        assert_eq!((w.state(id).await, w.request(id).await.attempt), (RequestState::Ready, 2));
    }
}

db_test! {
    async fn a_download_is_noted(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        let request = w.request(id).await;
        assert!(requests::begin_download(&w.platform, &bearer, &request, "whole").await.unwrap().is_none(), "nothing there yet");
        w.drain().await;
        let mut tx = w.platform.db.read().await.unwrap();
        assert_eq!(requests::last_download(&mut tx, w.app.app_id, w.anna).await.unwrap(), None);
        w.advance(HOUR);
        requests::begin_download(&w.platform, &bearer, &request, "whole").await.unwrap().unwrap();
        assert_eq!(requests::last_download(&mut tx, w.app.app_id, w.anna).await.unwrap(), Some(w.platform.now()));
    }
}
