//! *Test URL*: a signed test event to the address of the working copy, and what came back, in words.

use testkit::mail::Mailbox;
use testkit::receiver::{Answer, Receiver};
use testkit::visitor::{Seen, Visitor};

use crate::scene::Scene;
use crate::support::{Engine, Plan, both};

both!(a_test_event_is_sent_and_what_comes_back_is_said);

/// With a receiver that has a second to answer, and seven tests an app.
fn scene(engine: Engine) -> Scene {
    let toml = "timeout = \"1 s\"\ntests = 7\n[accounts]\nstaff_second_factor = false\n";
    let mut portward = Plan::new(engine).toml(toml).install();
    portward.serve(&[]);
    let mails = Mailbox::new(&portward.path("mail"));
    Scene { portward, mails }
}

async fn app(mara: &Visitor, name: &str) -> String {
    let made = mara.send(mara.open("/developers/apps/new").await.form("apps/new").set("name", name)).await;
    assert_eq!(made.status, 200, "{}", made.text());
    format!("/developers/apps/{}/products", made.number_after("/apps/"))
}

async fn save(mara: &Visitor, page: &str, address: &str) -> Seen {
    let form = mara.open(page).await.form("/products").set("webhook-url", address);
    let saved = mara.send(form).await;
    saved.must_say("Saved.");
    saved
}

async fn try_it(mara: &Visitor, page: &str) -> Seen {
    mara.send(mara.open(page).await.form("/webhook-test")).await
}

async fn a_test_event_is_sent_and_what_comes_back_is_said(engine: Engine) {
    let s = scene(engine);
    let mara = s.developer("mara@lantern.example", "Mara").await;
    let page = app(&mara, "Replay").await;
    // Without an address there is nothing to press, and a forged press says so.
    let empty = mara.open(&page).await;
    empty.must_say("Save a callback address");
    assert!(!empty.html.contains("/webhook-test\""), "{}", empty.html);
    let forged = mara.post(&page.replace("/products", "/webhook-test"), &[]).await;
    assert_eq!(forged.status, 422, "{}", forged.text());
    forged.must_say("there is no callback address");

    let receiver = Receiver::start();
    save(&mara, &page, &receiver.url()).await;
    let tried = try_it(&mara, &page).await;
    assert_eq!(tried.status, 200, "{}", tried.text());
    tried.must_say("Your address answered 200 after").must_say("count as delivered");
    let calls = receiver.received();
    assert_eq!(calls.len(), 1, "once");
    let event: wire::Event = serde_json::from_slice(&calls[0].body).expect("an event");
    let key =
        s.portward.rows("select client_key from apps where name = 'Replay'").await[0]["client_key"].as_str().unwrap().to_owned();
    assert_eq!(event, wire::Event::ping(&key, event.create_time));
    assert_eq!(String::from_utf8_lossy(&calls[0].body).matches("tiktok.ping").count(), 1);
    // Signed with the secret that the developer is shown.
    let shown = mara.send(mara.open(&page.replace("products", "credentials")).await.form("/credentials/reveal")).await;
    let secret = crate::apps::secret_on(&shown).expect("the secret");
    wire::verify(&secret, calls[0].header("tiktok-signature"), &calls[0].body, event.create_time, 300).expect("a good signature");

    let lure = Receiver::start();
    for (answer, said) in [
        (Answer::Status(500), "Your address answered 500 after"),
        (Answer::Status(204), "Only 200 counts as delivered; events that are answered otherwise are sent again for 72 hours"),
        (Answer::Redirect(lure.url()), "it leads elsewhere"),
        (Answer::Hang, "Nothing was answered within 1 second"),
    ] {
        receiver.answer(answer);
        try_it(&mara, &page).await.must_say(said);
    }
    assert_eq!((receiver.received().len(), lure.received().len()), (5, 0), "a redirect is not followed");
    // Nothing of it is kept as a delivery, and each is on record.
    assert_eq!(s.portward.number("select count(*) from deliveries").await, 0);
    let told = s.portward.rows("select detail from audit where action = 'webhook.tested' order by at, audit_id").await;
    let told: Vec<_> = told.iter().map(|row| row["detail"].as_str().unwrap()).collect();
    assert_eq!(told, ["200", "500", "204", "302", "slow"]);

    // An address within the operator's own network is never called, whatever the draft says.
    save(&mara, &page, "http://10.0.0.1/hook").await;
    try_it(&mara, &page).await.must_say("this address is not on the public Internet");
    save(&mara, &page, "http://127.0.0.1:1/hook").await;
    try_it(&mara, &page).await.must_say("No answer came back");
    // That was the seventh: no more for this app, and others go on.
    let often = try_it(&mara, &page).await;
    assert_eq!(often.status, 429, "{}", often.text());
    often.must_say("too many within a short time").must_say("Try again in 15 minutes.");
    let other = app(&mara, "Rewind").await;
    receiver.answer(Answer::Status(200));
    save(&mara, &other, &receiver.url()).await;
    try_it(&mara, &other).await.must_say("Your address answered 200");
    // Before staff nothing can be changed, and testing goes on.
    s.portward
        .execute("update app_revisions set state = 'in_review' where app_id = (select app_id from apps where name = 'Rewind')");
    mara.open(&other).await.must_say("Nothing can be changed while staff look at it");
    try_it(&mara, &other).await.must_say("Your address answered 200");
}
