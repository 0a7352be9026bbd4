//! The webhook's page: what was sent and answered, sending again, extra events, and going on after a stop.

use std::time::Duration;

use testkit::receiver::{Answer, Receiver};
use testkit::visitor::Visitor;

use crate::scene::Scene;
use crate::support::{Engine, both};

both!(a_developer_sees_every_call_and_sends_it_again);

/// Waits until a page says something.
async fn until_it_says(visitor: &Visitor, page: &str, words: &str) {
    for _ in 0..200 {
        if visitor.open(page).await.text().contains(words) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{page} never says {words:?}\n{}", visitor.open(page).await.text());
}

async fn a_developer_sees_every_call_and_sends_it_again(engine: Engine) {
    let s = Scene::start(engine);
    let mara = s.developer("mara@lantern.example", "Mara").await;
    let made = mara.send(mara.open("/developers/apps/new").await.form("apps/new").set("name", "Replay")).await;
    let app = made.number_after("/apps/");
    let page = format!("/developers/apps/{app}/webhooks");
    mara.open(&page).await.must_say("No address in force").must_say("No calls yet");

    // A version with an address was approved, and an event did not arrive.
    let receiver = Receiver::start();
    receiver.answer(Answer::Says(503, "the <b>database</b> is away".into()));
    let now = "(select max(created_at) from apps)";
    for statement in [
        format!("update apps set webhook_url = '{}' where app_id = {app}", receiver.url()),
        format!(
            "insert into deliveries (delivery_id, app_id, event, body, created_at, attempts, last_error, given_up_at)
             values (4711, {app}, 'portability.download.ready', '{{\"a\":1}}', {now}, 0, 'calls to this address are stopped', {now})"
        ),
        format!(
            "insert into webhook_endpoints (app_id, extra_events, failing_since, stopped_at) values ({app}, '', {now}, {now})"
        ),
    ] {
        s.portward.execute(&statement);
    }
    let stopped = mara.open(&page).await;
    stopped.must_say("Stopped").must_say("No more are made").must_say("Did not arrive");
    // Nothing goes out before it is resumed, whatever is pressed.
    let event = format!("{page}/4711");
    let pressed = mara.send(mara.open(&event).await.form("/again")).await;
    assert_eq!(pressed.status, 409);
    pressed.must_say("calls to this address are stopped");
    let resumed = mara.send(mara.open(&page).await.form("/resume")).await;
    resumed.must_say("Calls go out again").must_say("Working");
    assert!(receiver.received().is_empty());

    // Sent again, it fails, and the page shows with what.
    mara.send(mara.open(&page).await.form("/missed")).await.must_say("is being sent again");
    until_it_says(&mara, &event, "the <b>database</b> is away").await;
    mara.open(&event).await.must_say("msg_4711").must_say("the receiver answered 503");
    mara.open(&page).await.must_say("Failing").must_say("Will be tried again");
    receiver.answer(Answer::Status(200));
    mara.send(mara.open(&event).await.form("/again")).await.must_say("The event is being sent again");
    until_it_says(&mara, &page, "Arrived").await;
    mara.open(&page).await.must_say("Working");
    let calls = receiver.received();
    assert!(calls.iter().all(|call| call.header("webhook-id") == "msg_4711" && call.body == "{\"a\":1}"));
    let audit = "select count(*) from audit where action = 'webhook.replayed'";
    assert_eq!(s.portward.number(audit).await, 2);

    // Extra events are chosen, and stay chosen.
    let form = mara.open(&page).await.form("/events");
    let saved = mara.send(form.set("events", "review.changed")).await;
    saved.must_say("Saved.");
    let held = s.portward.rows("select extra_events from webhook_endpoints").await;
    assert_eq!(held[0]["extra_events"], "review.changed");
    // What is no event is none.
    mara.post(&format!("{page}/events"), &[("events", "everything"), ("events", "portability.download.failed")]).await;
    let held = s.portward.rows("select extra_events from webhook_endpoints").await;
    assert_eq!(held[0]["extra_events"], "portability.download.failed");

    // An event of another app is unknown, as is one that is not.
    let other = mara.send(mara.open("/developers/apps/new").await.form("apps/new").set("name", "Other")).await;
    let other = other.number_after("/apps/");
    for path in [format!("/developers/apps/{other}/webhooks/4711"), format!("{page}/1"), format!("{page}/x")] {
        assert_eq!(mara.get(&path).await.status, 404, "{path}");
    }
    assert_eq!(mara.post(&format!("/developers/apps/{other}/webhooks/4711/again"), &[]).await.status, 404);
}
