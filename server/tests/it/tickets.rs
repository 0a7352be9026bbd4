//! Tickets by the pages: a developer and support, the link of a mail, two who answer at once, a correction, and what forgers come to.

use testkit::visitor::{Seen, Visitor};

use crate::review::{apply, pdf};
use crate::scene::Scene;
use crate::support::{Engine, both};

both!(a_ticket_from_its_first_word_to_its_end);

const MARA: &str = "mara@lantern.example";

#[track_caller]
fn ok(seen: Seen) -> Seen {
    assert_eq!(seen.status, 200, "{} {}", seen.url, seen.text());
    seen
}

/// A developer opens a ticket; gives its number.
async fn open(mara: &Visitor, topic: &str, subject: &str) -> i64 {
    let form = mara.open("/developers/support/new").await.form("/support/new");
    let sent = mara.send(form.set("topic", topic).set("subject", subject).set("text", "It does not work.")).await;
    ok(sent).number_after("/support/")
}

fn portal(ticket: i64) -> String {
    format!("/developers/support/{ticket}")
}

fn console(ticket: i64) -> String {
    format!("/console/tickets/{ticket}")
}

async fn a_ticket_from_its_first_word_to_its_end(engine: Engine) {
    let scene = Scene::start(engine);
    let mara = scene.developer(MARA, "Mara").await;
    let ines = scene.staff_named("ines@clips.example", "Ines", &["support"]).await;
    ok(mara.get("/developers/support").await).must_say("No tickets yet");

    // Everything wrong is told at once, and nothing typed is lost, the file included.
    let form = mara.open("/developers/support/new?topic=Webhooks").await.form("/support/new");
    assert_eq!(form.value("topic"), Some("Webhooks"));
    let form = form.set("text", "No calls since <b>Monday</b>").attach("files", "log.pdf", "application/pdf", pdf(1));
    let wrong = mara.send(form.attach("files", "evil.pdf", "application/pdf", "MZ not a PDF")).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text());
    wrong.must_say("whatever its name says").must_say("Leave out log.pdf").must_say("No calls since <b>Monday</b>");
    assert!(!wrong.html.contains("<b>Monday"), "it stays text");
    let wrong = mara.send(wrong.form("/support/new")).await;
    assert_eq!(wrong.status, 422);
    wrong.must_say("Enter a subject").must_say("Leave out log.pdf");
    let form = wrong.form("/support/new").set("subject", "No calls");
    let token = form.value("form").unwrap().to_owned();
    let opened = ok(mara.send(form).await);
    let ticket = opened.number_after("/support/");
    opened.must_say("We have your ticket").must_say("We answer next").must_say("log.pdf");
    // The same form once more, as by a second press: the same ticket.
    let again = mara.open("/developers/support/new").await.form("/support/new").forge("form", &token);
    let again = ok(mara.send(again.set("topic", "Webhooks").set("subject", "No calls").set("text", "x")).await);
    assert_eq!(again.number_after("/support/"), ticket);
    let mail = scene.mails.wait_for(MARA, "We have your ticket").await;
    assert_eq!(mail.link("/developers/support/"), portal(ticket));
    let file = mara.open(&portal(ticket)).await.link("/files/");
    let served = mara.http().get(mara.url(&file)).send().await.unwrap();
    assert_eq!(served.headers()["content-security-policy"], "sandbox; default-src 'none'");
    assert!(served.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
    assert_eq!(served.bytes().await.unwrap(), pdf(1));

    // Support finds it, starts from a text, and answers.
    let queue = ok(ines.get("/console/tickets?topic=Webhooks&q=no+calls+mara").await);
    queue.must_say("No calls").must_say("New").must_say("Nobody");
    ok(ines.get("/console/tickets?topic=Account").await).must_say("No ticket fits");
    let form = ines.open(&console(ticket)).await.form("/answer").set("text", "Hello Mara.").set("canned", "0");
    let filled = ok(ines.send(form.press("do", "insert")).await);
    let form = filled.form("/answer");
    assert!(form.value("text").unwrap().starts_with("Hello Mara.\n\nThank you"), "{:?}", form.value("text"));
    ok(mara.get(&portal(ticket)).await).must_not_say("Hello Mara");
    let answered = ok(ines.send(form.set("text", "Which address?").press("do", "send")).await);
    answered.must_say("Your answer is sent").must_say("Waits for the developer");
    let note = ines.open(&console(ticket)).await.form("/note").set("note", "They changed it on Monday");
    ok(ines.send(note).await).must_say("They changed it on Monday").must_say("Internal note");

    let page = ok(mara.get(&portal(ticket)).await);
    page.must_say("Which address?").must_say("Answered").must_not_say("changed it on Monday").must_not_say("Ines");
    let form = page.form("/write").set("text", "https://hooks.lantern.example");
    ok(mara.send(form).await).must_say("Your message is with us");
    scene.mails.wait_for("ines@clips.example", "It is your move").await;
    let form = ines.open(&console(ticket)).await.form("/answer").set("text", "Mended.");
    ok(ines.send(form.press("do", "close")).await).must_say("The ticket is closed");
    scene.mails.wait_for(MARA, "Your ticket was closed").await;
    ok(mara.get("/developers/support").await).must_say("Closed");
    let form = mara.open(&portal(ticket)).await.form("/write").set("text", "Broken again");
    ok(mara.send(form).await).must_say("We answer next");
    ok(mara.send(mara.open(&portal(ticket)).await.form("/close")).await).must_say("The ticket is closed.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_link_of_a_mail_takes_one_answer_without_an_account() {
    let scene = Scene::start(Engine::Sqlite);
    let mara = scene.developer(MARA, "Mara").await;
    let ines = scene.staff_named("ines@clips.example", "Ines", &["support"]).await;
    let ticket = open(&mara, "Other", "Hello").await;
    let form = ines.open(&console(ticket)).await.form("/answer").set("text", "What do you see?");
    ok(ines.send(form.press("do", "send")).await);
    let mail = scene.mails.wait_for(MARA, "What do you see?").await;
    let link = mail.link("/developers/support/answer");

    let anybody = scene.visitor();
    let page = ok(anybody.get(&link).await);
    page.must_say("You answer as Mara").must_say("What do you see?");
    ok(anybody.get(&link).await);
    let empty = anybody.send(page.form("/answer")).await;
    assert_eq!(empty.status, 422);
    empty.must_say("Write a message");
    let form = empty.form("/answer").set("text", "A white page.").attach("files", "page.pdf", "application/pdf", pdf(1));
    let token = form.value("form").unwrap().to_owned();
    ok(anybody.send(form).await).must_say("Your answer is sent");
    let again = anybody.http().post(anybody.url(&link)).header("origin", anybody.url("/").origin().ascii_serialization());
    let again = again.form(&[("text", "A white page."), ("form", &token)]).send().await.unwrap();
    assert_eq!(again.status(), 200, "the second press says what the first did");
    let other = anybody.http().post(anybody.url(&link)).header("origin", anybody.url("/").origin().ascii_serialization());
    let other = other.form(&[("text", "Once more"), ("form", "anotherform0")]).send().await.unwrap();
    assert_eq!(other.status(), 410);
    let ended = anybody.get(&link).await;
    assert_eq!(ended.status, 410);
    ended.must_say("This link was used, or has ended").must_not_say("What do you see?");
    assert_eq!(anybody.get("/developers/support/answer?token=lnk.forged").await.status, 410);
    assert_eq!(anybody.get("/developers/support/answer").await.status, 410);

    let page = ok(ines.get(&console(ticket)).await);
    page.must_say("A white page.").must_say("page.pdf").must_not_say("Once more");
    assert_eq!(page.text().matches("A white page.").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_of_two_who_answer_at_once_sees_both() {
    let scene = Scene::start(Engine::Sqlite);
    let mara = scene.developer(MARA, "Mara").await;
    let ines = scene.staff_named("ines@clips.example", "Ines", &["support"]).await;
    let omar = scene.staff_named("omar@clips.example", "Omar", &["support"]).await;
    let ticket = open(&mara, "Other", "Hello").await;
    let (one, two) = (ines.open(&console(ticket)).await.form("/answer"), omar.open(&console(ticket)).await.form("/answer"));
    ok(ines.send(one.set("text", "From Ines").press("do", "send")).await);
    let second = omar.send(two.set("text", "From Omar").press("do", "send")).await;
    assert_eq!(second.status, 409, "{}", second.text());
    second.must_say("Something was done on this ticket since you opened it").must_say("From Ines").must_say("New");
    assert_eq!(second.form("/answer").value("text"), Some("From Omar"), "what he wrote is still there");
    ok(mara.get(&portal(ticket)).await).must_say("From Ines").must_not_say("From Omar");
    ok(omar.send(second.form("/answer").press("do", "send")).await).must_say("From Omar");
    // A hand-over from an old page is no hand-over either.
    let form = omar.open(&console(ticket)).await.form("/assign");
    let note = ines.open(&console(ticket)).await.form("/note").set("note", "Mine");
    ok(ines.send(note).await);
    assert_eq!(omar.send(form).await.status, 409);
    let form = omar.open(&console(ticket)).await.form("/assign");
    ok(omar.send(form).await).must_say("The ticket is handed over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_in_an_application_is_mended_through_a_ticket_or_refused_with_a_reason() {
    let scene = Scene::start(Engine::Sqlite);
    let mara = scene.developer(MARA, "Mara").await;
    let applied = apply(&scene, &mara, MARA, "Clipkeeper", &["portability.activity.single"]).await;
    let ines = scene.staff_named("ines@clips.example", "Ines", &["support"]).await;
    let due = |page: &Seen| {
        let text = page.text();
        text.split("Decision due by").nth(1).map(|rest| rest.split_whitespace().take(4).collect::<Vec<_>>().join(" "))
    };
    let page = applied.portal();
    let number = page.rsplit('/').next().unwrap();
    let address = format!("/developers/support/new?topic=Data+Portability+API&application={number}");
    let form = mara.open(&address).await.form("/support/new").set("subject", "Wrong contact").set("text", "Another address.");
    let ticket = ok(mara.send(form).await).number_after("/support/");

    let page = ok(ines.get(&console(ticket)).await);
    let before = due(&page);
    assert!(before.is_some(), "{}", page.text());
    let form = page.form("/correction");
    assert_eq!(ines.send(form.press("do", "refuse")).await.status, 422, "not without a reason");
    let form = ines.open(&console(ticket)).await.form("/correction").set("correction", "That is another purpose.");
    let refused = ok(ines.send(form.press("do", "refuse")).await);
    refused.must_say("The correction is refused");
    assert_eq!(due(&refused), before, "the application goes on");
    scene.mails.wait_for(MARA, "That is another purpose.").await;
    ok(mara.get(&portal(ticket)).await).must_say("Correction refused").must_say("That is another purpose.");
    ok(mara.get(&applied.portal()).await).must_say("Not opened for correction").must_say("That is another purpose.");
    // The case lists the tickets for who may see tickets, and for nobody else.
    for role in ["reviewer", "support", "compliance", "administrator"] {
        let case = ok(scene.staff(role).await.get(&applied.console()).await);
        case.must_say("Not opened for correction");
        if matches!(role, "reviewer" | "support") {
            case.must_say("Wrong contact").must_say("Waits for the developer");
            assert_eq!(case.link("/console/tickets/"), console(ticket));
        } else {
            case.must_not_say("Wrong contact");
            assert!(!case.html.contains("/console/tickets/"), "{role}");
        }
    }

    let form = ines.open(&console(ticket)).await.form("/correction").set("correction", "You can change the address now.");
    let opened = ok(ines.send(form.press("do", "open")).await);
    opened.must_say("The application is open for correction").must_say("Open for correction");
    ok(mara.get(&portal(ticket)).await).must_say("Opened for correction");
    scene.mails.wait_for(MARA, "You can change the address now.").await;
    ok(mara.get(&applied.portal()).await).must_say("Open for correction");
    let form = opened.form("/correction").set("correction", "And again");
    let twice = ines.send(form.press("do", "open")).await;
    assert_eq!(twice.status, 409);
    twice.must_say("This was not done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ticket_of_others_does_not_exist_and_support_alone_writes() {
    let scene = Scene::start(Engine::Sqlite);
    let mara = scene.developer(MARA, "Mara").await;
    let eve = scene.developer("eve@elsewhere.example", "Eve").await;
    let ines = scene.staff_named("ines@clips.example", "Ines", &["support"]).await;
    let rita = scene.staff("reviewer").await;
    let carl = scene.staff("compliance").await;
    let made = mara.send(mara.open("/developers/apps/new").await.form("apps/new").set("name", "Replay")).await;
    let app = ok(made).number_after("/apps/");
    let form = mara
        .open("/developers/support/new")
        .await
        .form("/support/new")
        .set("topic", "Sandbox")
        .set("about", &format!("app-{app}"));
    let form = form.set("subject", "Secret affair").set("text", "Look").attach("files", "a.pdf", "application/pdf", pdf(1));
    let page = ok(mara.send(form).await);
    let (ticket, file) = (page.number_after("/support/"), page.link("/files/"));

    assert_eq!(eve.get(&portal(ticket)).await.status, 404);
    assert_eq!(eve.get(&file).await.status, 404);
    assert_eq!(eve.post(&format!("{}/write", portal(ticket)), &[("text", "x")]).await.status, 404);
    assert_eq!(eve.post(&format!("{}/close", portal(ticket)), &[]).await.status, 404);
    ok(eve.get("/developers/support").await).must_not_say("Secret affair");
    for about in [format!("app-{app}"), "app-1".into(), "application-1".into(), "application-x".into()] {
        let form = eve.open("/developers/support/new").await.form("/support/new").forge("about", &about);
        let forged = eve.send(form.set("topic", "Other").set("subject", "x").set("text", "x")).await;
        assert_eq!(forged.status, 404, "{about}: {}", forged.text());
    }
    // A file of somebody else's, named as if it were held.
    let upload = file.rsplit('/').next().unwrap();
    let form = eve.open("/developers/support/new").await.form("/support/new").forge("held", upload);
    let own = ok(eve.send(form.set("topic", "Other").set("subject", "Held").set("text", "x")).await);
    own.must_not_say("a.pdf");
    for nonsense in ["0", "-1", "x", "9999999999999999999999"] {
        assert_eq!(mara.get(&format!("/developers/support/{nonsense}")).await.status, 404, "{nonsense}");
        assert_eq!(ines.get(&format!("/console/tickets/{nonsense}")).await.status, 404, "{nonsense}");
    }

    let seen = ok(rita.get(&console(ticket)).await);
    seen.must_say("Secret affair");
    assert!(seen.forms().iter().all(|form| !form.action.contains("/console/tickets/")), "a reviewer reads");
    assert_eq!(rita.post(&format!("{}/answer", console(ticket)), &[("text", "x")]).await.status, 403);
    assert_eq!(carl.get(&console(ticket)).await.status, 403);
    let outside = scene.visitor();
    assert!(outside.get(&portal(ticket)).await.url.path().starts_with("/developers/login"));
    assert!(outside.get(&console(ticket)).await.url.path().starts_with("/console/login"));
    // What is typed into filters and forms breaks nothing.
    ok(ines.get("/console/tickets?state=nonsense&after=x-y&q=%25_%5C%27%22%3Cb%3E&whose=mine&late=yes").await);
    let form = mara.open(&portal(ticket)).await.form("/write").set("text", "a\u{1b}[2Jb");
    assert_eq!(mara.send(form).await.status, 422);
    let form = mara.open(&portal(ticket)).await.form("/write").set("text", &"x".repeat(10_001));
    mara.send(form).await.must_say("Write at most 10000 characters");
    let form = mara.open(&portal(ticket)).await.form("/write").set("text", "\u{202e}<script>alert(1)</script>");
    assert!(!ok(mara.send(form).await).html.contains("<script"));
}
