//! Calls to apps: signed, tried again, and never where they must not go.

use std::time::Duration;

use platform::apps::{self, Details};
use platform::audit::Actor;
use platform::grants;
use platform::jobs;
use platform::settings::Span;
use platform::webhooks::{self, DeliveryRow};
use testkit::receiver::{Answer, Received, Receiver};

use crate::db_test;
use crate::support::{BASIC, DAY, HOUR, SECOND, World};

/// Makes an event: a consent that is withdrawn.
async fn happen(w: &World) -> String {
    let tokens = w.tokens(&[BASIC]).await;
    grants::withdraw(&w.platform, w.app.app_id, w.anna).await.unwrap();
    tokens.open_id
}

async fn deliveries(w: &World) -> Vec<DeliveryRow> {
    let mut tx = w.platform.db.read().await.unwrap();
    webhooks::list(&mut tx, w.app.app_id, None, 10).await.unwrap()
}

fn verify(w: &World, secret: &str, call: &Received) -> bool {
    wire::verify(secret, call.header("tiktok-signature"), &call.body, w.platform.now().seconds(), 300).is_ok()
}

/// Moves the clock to the next attempt, and makes it. Gives how long that was; none if there is no next.
async fn next(w: &World) -> Option<Duration> {
    let mut tx = w.platform.db.read().await.unwrap();
    let job = jobs::list(&mut tx, 10).await.unwrap().into_iter().find(|job| job.dead_at.is_none())?;
    drop(tx);
    let pause = job.run_at.since(w.platform.now());
    w.advance(pause);
    w.drain().await;
    Some(pause)
}

db_test! {
    async fn a_call_is_signed_over_its_exact_bytes(engine) {
        let w = World::new(engine).await;
        let receiver = Receiver::start();
        w.webhook(&receiver.url()).await;
        let open_id = happen(&w).await;
        w.advance(SECOND);
        w.drain().await;
        let calls = receiver.received();
        assert_eq!(calls.len(), 1);
        let call = &calls[0];
        assert_eq!((call.method.as_str(), call.path.as_str(), call.header("content-type")), ("POST", "/hook", "application/json"));
        assert!(verify(&w, &w.secret, call) && !verify(&w, "another secret", call));
        assert!(call.header("tiktok-signature").starts_with(&format!("t={},s=", w.platform.now().seconds())), "the time of the call");
        let event: wire::Event = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(event, wire::Event::authorization_removed(&w.app.client_key, event.create_time, &open_id, wire::RemovedReason::Disconnected));
        assert_eq!(event.create_time, w.platform.now().seconds() - 1, "the time of the event");
        let row = deliveries(&w).await.pop().unwrap();
        assert_eq!((row.event.as_str(), row.attempts, row.last_status), ("authorization.removed", 1, Some(200)));
        assert_eq!(row.delivered_at, Some(w.platform.now()));
        assert_eq!(row.body.as_bytes(), &call.body[..]);
    }
}

db_test! {
    async fn a_call_is_tried_again_until_200_and_signed_anew(engine) {
        let w = World::new(engine).await;
        let receiver = Receiver::start();
        w.webhook(&receiver.url()).await;
        happen(&w).await;
        let mut pauses = Vec::new();
        for status in [500, 404, 204, 201, 410] {
            receiver.answer(Answer::Status(status));
            pauses.push(next(&w).await.unwrap().as_secs());
            let row = deliveries(&w).await.pop().unwrap();
            assert_eq!((row.last_status, row.delivered_at, row.attempts), (Some(status.into()), None, pauses.len() as i32));
        }
        receiver.answer(Answer::Status(200));
        pauses.push(next(&w).await.unwrap().as_secs());
        assert_eq!(pauses, [0, 5, 60, 300, 1800, 7200], "ever later");
        let calls = receiver.received();
        assert_eq!(calls.len(), 6);
        assert!(calls.iter().all(|call| call.body == calls[0].body), "the same event");
        assert!(verify(&w, &w.secret, &calls[5]) && !verify(&w, &w.secret, &calls[0]), "with a time of its own each");
        let row = deliveries(&w).await.pop().unwrap();
        assert!(row.delivered_at.is_some() && row.last_error.is_none());
        assert_eq!(next(&w).await, None);
    }
}

db_test! {
    async fn a_call_is_given_up_after_72_hours(engine) {
        let w = World::new(engine).await;
        let receiver = Receiver::start();
        receiver.answer(Answer::Status(503));
        w.webhook(&receiver.url()).await;
        let begun = w.platform.now();
        happen(&w).await;
        let mut last = begun;
        while next(&w).await.is_some() {
            last = w.platform.now();
            assert!(receiver.received().len() < 100);
        }
        let tried_for = last.since(begun);
        assert!(tried_for <= 72 * HOUR && tried_for > 60 * HOUR, "{tried_for:?}");
        let row = deliveries(&w).await.pop().unwrap();
        assert_eq!((row.given_up_at, row.delivered_at, row.attempts), (Some(last), None, receiver.received().len() as i32));
        assert_eq!(w.number("select count(*) from jobs where dead_at is not null").await, 1, "the operator sees it");
        // A worker that comes late does not call again.
        w.execute("update jobs set dead_at = null").await;
        let before = receiver.received().len();
        w.drain().await;
        assert_eq!(receiver.received().len(), before);
    }
}

db_test! {
    async fn while_two_secrets_overlap_the_older_signs(engine) {
        let w = World::new(engine).await;
        let receiver = Receiver::start();
        w.webhook(&receiver.url()).await;
        w.advance(SECOND);
        let newer = apps::rotate_secret(&w.platform, Actor::Operator, &w.app.client_key, DAY).await.unwrap();
        happen(&w).await;
        w.drain().await;
        assert!(verify(&w, &w.secret, &receiver.received()[0]));
        w.advance(DAY);
        happen(&w).await;
        w.drain().await;
        assert!(verify(&w, &newer, &receiver.received()[1]));
    }
}

db_test! {
    async fn without_an_address_nobody_is_called(engine) {
        let w = World::new(engine).await;
        happen(&w).await;
        assert_eq!(w.number("select (select count(*) from deliveries) + (select count(*) from jobs)").await, 0);
        // Taken away between the event and the call.
        let receiver = Receiver::start();
        w.webhook(&receiver.url()).await;
        happen(&w).await;
        let details = Details { webhook_url: Some(String::new()), ..Details::default() };
        apps::change(&w.platform, Actor::Operator, &w.app.client_key, details).await.unwrap();
        w.drain().await;
        assert!(receiver.received().is_empty());
        assert!(deliveries(&w).await[0].given_up_at.is_some());
    }
}

db_test! {
    async fn a_redirect_is_not_followed(engine) {
        let w = World::new(engine).await;
        let (receiver, lure) = (Receiver::start(), Receiver::start());
        receiver.answer(Answer::Redirect(lure.url()));
        w.webhook(&receiver.url()).await;
        happen(&w).await;
        w.drain().await;
        assert_eq!((receiver.received().len(), lure.received().len()), (1, 0));
        let row = deliveries(&w).await.pop().unwrap();
        assert_eq!((row.last_status, row.delivered_at), (Some(302), None));
    }
}

db_test! {
    async fn a_receiver_that_is_slow_or_talks_much_holds_nobody_up(engine) {
        let w = World::with(engine, |settings| settings.webhooks.timeout = Span::parse("3 s").unwrap()).await;
        let receiver = Receiver::start();
        w.webhook(&receiver.url()).await;
        receiver.answer(Answer::Hang);
        happen(&w).await;
        tokio::time::timeout(Duration::from_secs(60), w.drain()).await.expect("the call is broken off");
        let row = deliveries(&w).await.pop().unwrap();
        assert_eq!((row.last_status, row.last_error.as_deref()), (None, Some("it took too long")));
        receiver.answer(Answer::Huge(64 << 20));
        tokio::time::timeout(Duration::from_secs(60), next(&w)).await.expect("the body is not waited for").unwrap();
        assert!(deliveries(&w).await[0].delivered_at.is_some());
    }
}

db_test! {
    async fn an_address_that_is_not_public_is_not_called_even_if_it_once_might_be(engine) {
        let w = World::new(engine).await;
        let receiver = Receiver::start();
        w.webhook(&receiver.url()).await;
        happen(&w).await;
        let strict = w.another(|settings| settings.webhooks.allow.clear()).await;
        jobs::drain(&strict).await.unwrap();
        assert!(receiver.received().is_empty());
        let row = deliveries(&w).await.pop().unwrap();
        assert!(row.delivered_at.is_none() && row.last_error.unwrap().contains("not on the public Internet"));
    }
}
