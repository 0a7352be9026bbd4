//! Webhooks as their developers work with them: the log, sending again, extra events, and receivers that are gone.

use platform::audit::Actor;
use platform::webhooks::{self, AttemptRow, DeliveryRow, NoReplay, Standing};
use platform::{apps, grants, jobs};
use standardwebhooks::Webhook;
use testkit::receiver::{Answer, Receiver};
use wire::EventName;

use crate::db_test;
use crate::support::{ACTIVITY, BASIC, DAY, HOUR, SECOND, Source, World};

/// Makes an event: a consent that is withdrawn.
async fn happen(w: &World) {
    w.tokens(&[BASIC]).await;
    grants::withdraw(&w.platform, w.app.app_id, w.anna).await.unwrap();
    w.advance(SECOND);
}

async fn log(w: &World) -> Vec<DeliveryRow> {
    let mut tx = w.platform.db.read().await.unwrap();
    webhooks::list(&mut tx, w.app.app_id, None, 100).await.unwrap()
}

async fn attempts(w: &World, delivery: &DeliveryRow) -> Vec<AttemptRow> {
    let mut tx = w.platform.db.read().await.unwrap();
    webhooks::attempts(&mut tx, delivery.delivery_id).await.unwrap()
}

async fn replay(w: &World, delivery: &DeliveryRow) -> Result<(), NoReplay> {
    webhooks::replay(&w.platform, Actor::Operator, w.app.app_id, delivery.delivery_id).await
}

async fn subscribe(w: &World, events: &[EventName]) {
    webhooks::subscribe(&w.platform, Actor::Operator, w.app.app_id, events).await.unwrap();
}

/// Moves the clock from call to call until none waits any more.
async fn until_given_up(w: &World) {
    loop {
        let mut tx = w.platform.db.read().await.unwrap();
        let Some(job) = jobs::list(&mut tx, 10).await.unwrap().into_iter().find(|job| job.dead_at.is_none()) else { return };
        drop(tx);
        w.advance(job.run_at.since(w.platform.now()));
        w.drain().await;
    }
}

db_test! {
    async fn every_call_is_in_the_log_with_what_was_answered(engine) {
        let w = World::new(engine).await;
        let receiver = Receiver::start();
        w.webhook(&receiver.url()).await;
        receiver.answer(Answer::Says(503, "come\0 back \u{fffd} later".into()));
        happen(&w).await;
        w.drain().await;
        receiver.answer(Answer::Huge(1 << 20));
        w.advance(5 * SECOND);
        w.drain().await;
        let delivery = log(&w).await.pop().unwrap();
        assert_eq!(delivery.standing(), Standing::Delivered);
        let made = attempts(&w, &delivery).await;
        let of = |row: &AttemptRow| (row.attempt, row.status, row.error.clone(), row.url.clone());
        assert_eq!(of(&made[0]), (2, Some(200), None, receiver.url()));
        assert_eq!(of(&made[1]), (1, Some(503), Some("the receiver answered 503".into()), receiver.url()));
        assert_eq!(made[1].answer, "come\u{fffd} back \u{fffd} later");
        assert_eq!(made[0].answer.len(), 2048, "the beginning of a megabyte");
        assert_eq!(made[0].at.since(made[1].at), 5 * SECOND);
        // Forgotten with its delivery.
        w.advance(31 * DAY);
        w.keep("forget").await;
        assert_eq!(w.number("select (select count(*) from deliveries) + (select count(*) from delivery_attempts)").await, 0);
    }
}

db_test! {
    async fn the_headers_of_standard_webhooks_verify_with_either_secret(engine) {
        let w = World::new(engine).await;
        let receiver = Receiver::start();
        w.webhook(&receiver.url()).await;
        w.advance(SECOND);
        let newer = apps::rotate_secret(&w.platform, Actor::Operator, &w.app.client_key, DAY).await.unwrap();
        receiver.answer(Answer::Status(500));
        happen(&w).await;
        w.drain().await;
        receiver.answer(Answer::Status(200));
        w.advance(5 * SECOND);
        w.drain().await;
        let calls = receiver.received();
        assert_eq!(calls.len(), 2);
        assert_eq!(calls[0].header("webhook-id"), calls[1].header("webhook-id"), "one message");
        assert_ne!(calls[0].header("webhook-timestamp"), calls[1].header("webhook-timestamp"), "two attempts");
        for call in &calls {
            let (id, time) = (call.header("webhook-id"), call.header("webhook-timestamp").parse().unwrap());
            let expected = [&w.secret, &newer].map(|secret| {
                let reference = Webhook::new(&wire::standard_secret(secret)).unwrap();
                reference.sign(id, time, &call.body).unwrap()
            });
            assert_eq!(call.header("webhook-signature"), expected.join(" "));
        }
    }
}

db_test! {
    async fn a_delivery_is_sent_again_with_its_number(engine) {
        let w = World::new(engine).await;
        let receiver = Receiver::start();
        w.webhook(&receiver.url()).await;
        happen(&w).await;
        w.drain().await;
        let delivery = log(&w).await.pop().unwrap();
        w.advance(10 * DAY);
        replay(&w, &delivery).await.unwrap();
        assert_eq!(log(&w).await[0].standing(), Standing::Waiting);
        w.drain().await;
        let calls = receiver.received();
        assert_eq!((calls.len(), calls[0].body == calls[1].body), (2, true));
        assert_eq!(calls[0].header("webhook-id"), calls[1].header("webhook-id"));
        assert_eq!(log(&w).await[0].standing(), Standing::Delivered);
        // Long after it happened it is tried once.
        receiver.answer(Answer::Status(500));
        replay(&w, &delivery).await.unwrap();
        until_given_up(&w).await;
        assert_eq!((receiver.received().len(), log(&w).await[0].standing()), (3, Standing::GivenUp));
        // What was given up can be sent again too, though its dead job has the name.
        receiver.answer(Answer::Status(200));
        replay(&w, &delivery).await.unwrap();
        w.drain().await;
        assert_eq!((receiver.received().len(), log(&w).await[0].standing()), (4, Standing::Delivered));
        assert!(w.actions().await.iter().filter(|action| *action == "webhook.replayed").count() == 3);
        // Not one of another app, nor without end.
        let other = w.another_app("Other", None).await;
        let foreign = webhooks::replay(&w.platform, Actor::Operator, other.app_id, delivery.delivery_id).await;
        assert!(matches!(foreign, Err(NoReplay::Unknown)));
        let mut pressed = 0;
        while replay(&w, &delivery).await.is_ok() {
            pressed += 1;
            assert!(pressed <= 60);
        }
        assert!(matches!(replay(&w, &delivery).await, Err(NoReplay::Often(_))));
    }
}

db_test! {
    async fn a_receiver_that_fails_for_days_is_called_no_more_until_its_developer_says_so(engine) {
        let w = World::new(engine).await;
        let receiver = Receiver::start();
        w.webhook(&receiver.url()).await;
        let endpoint = async || webhooks::endpoint(&mut w.platform.db.read().await.unwrap(), w.app.app_id).await.unwrap();
        // One call that arrives begins the days anew.
        receiver.answer(Answer::Status(500));
        happen(&w).await;
        until_given_up(&w).await;
        assert!(endpoint().await.failing_since.is_some() && endpoint().await.stopped_at.is_none());
        receiver.answer(Answer::Status(200));
        happen(&w).await;
        w.drain().await;
        assert_eq!(endpoint().await.failing_since, None);
        receiver.answer(Answer::Status(500));
        let begun = w.platform.now();
        for _ in 0..12 {
            happen(&w).await;
            w.drain().await;
            w.advance(12 * HOUR);
        }
        let stopped = endpoint().await.stopped_at.expect("stopped");
        assert!(stopped.since(begun) >= 5 * DAY && stopped.since(begun) < 6 * DAY, "{:?}", stopped.since(begun));
        assert!(w.actions().await.contains(&"webhook.stopped".to_owned()));
        // Nothing is called, everything is kept.
        let calls = receiver.received().len();
        happen(&w).await;
        until_given_up(&w).await;
        assert_eq!(receiver.received().len(), calls);
        let missed = log(&w).await.iter().filter(|row| row.standing() == Standing::GivenUp).count();
        let newest = log(&w).await.remove(0);
        assert_eq!(newest.last_error.as_deref(), Some("calls to this address are stopped"));
        assert!(matches!(replay(&w, &newest).await, Err(NoReplay::Stopped)));
        // Resumed, and what was missed sent.
        assert!(webhooks::resume(&w.platform, Actor::Operator, w.app.app_id).await.unwrap());
        assert!(!webhooks::resume(&w.platform, Actor::Operator, w.app.app_id).await.unwrap());
        receiver.answer(Answer::Status(200));
        assert_eq!(webhooks::replay_failed(&w.platform, Actor::Operator, w.app.app_id).await.unwrap(), missed);
        w.drain().await;
        assert!(log(&w).await.iter().all(|row| row.standing() == Standing::Delivered));
        assert_eq!(receiver.received().len(), calls + missed);
    }
}

db_test! {
    async fn extra_events_go_to_apps_that_ask_for_them(engine) {
        let w = World::new(engine).await;
        let receiver = Receiver::start();
        w.webhook(&receiver.url()).await;
        let told = async || {
            w.drain().await;
            let events: Vec<_> = receiver.received().iter().map(wire_event).collect();
            events
        };
        // An app that asked for nothing knows what it always knew.
        let quiet = w.consent(&[BASIC, ACTIVITY]).await;
        w.add(&quiet, &["activity"]).await;
        w.drain().await;
        w.advance(4 * DAY);
        w.keep("expire").await;
        assert_eq!(told().await.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["portability.download.ready"]);
        subscribe(&w, &EventName::EXTRA).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        w.drain().await;
        w.advance(3 * DAY + HOUR);
        w.keep("expire").await;
        w.keep("expire").await;
        w.advance(DAY);
        w.keep("expire").await;
        let events = told().await;
        let names: Vec<_> = events.iter().skip(1).map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["portability.download.ready", "portability.download.expiring", "portability.download.expired"]);
        for (_, content) in events.iter().skip(1) {
            assert_eq!(content["request_id"], id.get());
        }
        let until = w.request(id).await.expires_at.unwrap();
        assert_eq!(events[2].1["expires_at"], until.seconds());
        // Cancelled, and failed.
        subscribe(&w, &[EventName::DownloadFailed, EventName::DownloadCancelled]).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let cancelled = w.add(&bearer, &["activity"]).await;
        platform::requests::cancel(&w.platform, &bearer, cancelled).await.unwrap();
        w.open(Source::Broken);
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let failed = w.add(&bearer, &["activity"]).await;
        until_given_up(&w).await;
        let events = told().await;
        let last: Vec<_> = events.iter().skip(4).map(|(name, content)| (name.as_str(), content["request_id"].clone())).collect();
        assert_eq!(last, [
            ("portability.download.cancelled", cancelled.get().into()),
            ("portability.download.failed", failed.get().into()),
        ]);
    }
}

fn wire_event(call: &testkit::receiver::Received) -> (String, serde_json::Value) {
    let event: wire::Event = serde_json::from_slice(&call.body).unwrap();
    (event.event.as_str().to_owned(), serde_json::from_str(&event.content).unwrap())
}
