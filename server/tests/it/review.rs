//! Review of applications by the pages: reviewers in the console, applicants in the portal and by mailed links.

use testkit::visitor::{Seen, Visitor};

use crate::scene::Scene;
use crate::support::{Engine, both};

const MARA: &str = "mara@lantern.example";
const SCOPE: &str = "portability.activity.single";

/// A PDF of some pages with words on each, its table right.
pub(crate) fn pdf(pages: usize) -> Vec<u8> {
    let mut objects = vec!["<< /Type /Catalog /Pages 2 0 R >>".to_owned()];
    let kids: Vec<String> = (0..pages).map(|page| format!("{} 0 R", 4 + 2 * page)).collect();
    objects.push(format!("<< /Type /Pages /Kids [{}] /Count {pages} >>", kids.join(" ")));
    objects.push("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".into());
    for page in 0..pages {
        let content = format!("BT /F1 12 Tf 20 100 Td (Screen {} of the app, in plain English words) Tj ET", page + 1);
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents {} 0 R /Resources << /Font << /F1 3 0 R >> >> >>",
            5 + 2 * page
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    }
    let mut bytes = b"%PDF-1.7\n".to_vec();
    let mut table = String::new();
    for (number, object) in (1..).zip(&objects) {
        table.push_str(&format!("{:010} 00000 n \n", bytes.len()));
        bytes.extend(format!("{number} 0 obj\n{object}\nendobj\n").bytes());
    }
    let (start, size) = (bytes.len(), objects.len() + 1);
    let end = format!(
        "xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    );
    bytes.extend(end.bytes());
    bytes
}

/// An application that was handed in, by its pages.
pub(crate) struct Applied {
    /// Its number.
    pub(crate) application: i64,
    /// Its app's.
    pub(crate) app: i64,
}

impl Applied {
    pub(crate) fn portal(&self) -> String {
        format!("/developers/applications/{}", self.application)
    }

    pub(crate) fn console(&self) -> String {
        format!("/console/applications/{}", self.application)
    }
}

fn ok(seen: Seen) -> Seen {
    assert_eq!(seen.status, 200, "{} {}", seen.url, seen.text());
    seen
}

/// Makes an app and applies for scopes with it, from the first page to the last.
pub(crate) async fn apply(scene: &Scene, mara: &Visitor, email: &str, app: &str, scopes: &[&str]) -> Applied {
    let form = mara.open("/developers/apps/new").await.form("/developers/apps/new");
    let app = ok(mara.send(form.set("name", app)).await).number_after("/apps/");
    let products = mara.open(&format!("/developers/apps/{app}/products")).await.form("/products");
    ok(mara.send(products.tick("products", "portability")).await);
    let scopes_page = mara.open(&format!("/developers/apps/{app}/scopes")).await;
    let begun = ok(mara.send(scopes_page.form("/apply")).await);
    let application = begun.number_after("/applications/");
    let applied = Applied { application, app };
    let step = async |name: &str| mara.open(&format!("{}/edit/{name}", applied.portal())).await.form("/edit/");
    let details = step("application").await;
    let details = details.set("applicant_name", "Mara Lindqvist").set("applicant_email", email);
    let details = details.set("organization_name", "Lantern Labs").set("organization_website", "https://lantern.example/");
    ok(mara.send(details).await);
    let mut scope =
        step("scope").await.set("use_case", "People keep albums of the clips they watched. The third screen shows them.");
    for name in scopes {
        scope = scope.tick("scopes", name);
    }
    ok(mara.send(scope.attach("mockups", "mockups.pdf", "application/pdf", pdf(4))).await);
    ok(mara.send(step("requests").await.set("subject_requests", "People write to privacy@lantern.example.")).await);
    ok(mara.send(step("protection").await.set("data_protection", "Encrypted at rest, deleted after a year.")).await);
    // An address that is the account's own was proved with it.
    if !scene.mails.to(email).iter().any(|mail| mail.text.contains("/developers/verify")) {
        let link = scene.mails.wait_for(email, "/developers/confirm").await.link("/developers/confirm");
        ok(mara.send(mara.open(&link).await.form("/developers/confirm")).await);
    }
    let check = mara.open(&format!("{}/check", applied.portal())).await.form("/submit");
    let check = ["accurate", "english", "checks", "terms"].iter().fold(check, |form, name| form.tick(name, "yes"));
    ok(mara.send(check).await).must_say("DP-");
    applied
}

/// Records all that an approval needs.
pub(crate) async fn record(reviewer: &Visitor, applied: &Applied) {
    let form = reviewer.open(&applied.console()).await.form("/evidence");
    let form = form.set("evidence.register", "HRB 1234, Berlin").set("evidence.domain", "Imprint of lantern.example");
    let form = form.set("evidence.site", "Live, shows the app").set("evidence.contact", "On the team page");
    ok(reviewer.send(form.tick("evidence.language", "yes")).await).must_say("The evidence is recorded");
}

async fn take(reviewer: &Visitor, applied: &Applied) {
    let form = reviewer.open(&applied.console()).await.form("/take");
    ok(reviewer.send(form).await).must_say("The application is yours");
}

fn verdict(family: &str) -> String {
    format!("verdict.{family}")
}

both!(a_question_is_answered_by_its_link_without_an_account_and_the_decision_reaches_the_applicant);

async fn a_question_is_answered_by_its_link_without_an_account_and_the_decision_reaches_the_applicant(engine: Engine) {
    let scene = Scene::start(engine);
    let mara = scene.developer(MARA, "Mara").await;
    let rita = scene.staff("reviewer").await;
    let applied = apply(&scene, &mara, MARA, "Clipkeeper", &[SCOPE]).await;

    mara.open(&applied.portal()).await.must_say("Our move").must_say("Most are decided by").must_say("20 working days left");
    rita.open("/console").await.must_say("Nobody has these").must_say("Clipkeeper");
    rita.open("/console/applications?q=lantern+clip").await.must_say("Clipkeeper");
    rita.open("/console/applications?q=somebody+else").await.must_say("Nothing fits");
    rita.open("/console/applications?scope=portability.directmessages").await.must_say("Nothing fits");
    let case = rita.open(&applied.console()).await;
    case.must_say("Lantern Labs").must_say("mockups.pdf").must_say("4 pages").must_say("Declared");
    assert!(!case.html.contains("/decide\""), "who does not have it does not decide");
    take(&rita, &applied).await;

    // A text from the list is put in, and nothing is asked by that.
    let ask = rita.open(&applied.console()).await.form("/ask");
    let asked = ok(rita.send(ask.clone().set("question_text", "2").press("fill", "question")).await);
    assert!(!asked.form("/ask").value("question").unwrap_or_default().is_empty());
    let refused = rita.send(ask.clone()).await;
    assert_eq!(refused.status, 422);
    refused.must_say("Write something here");
    ok(rita.send(ask.set("question", "Which screen <b>shows</b> it?").tick("fields", "use_case")).await)
        .must_say("The clock stands");

    mara.open(&applied.portal()).await.must_say("Your move").must_say("Which screen <b>shows</b> it?");
    let link = scene.mails.wait_for(MARA, "/developers/answer").await.link("/developers/answer");
    let stranger = scene.visitor();
    let page = stranger.open(&link).await;
    page.must_say("needs no account").must_say("Which screen <b>shows</b> it?");
    let empty = stranger.send(page.form("/developers/answer")).await;
    assert_eq!(empty.status, 422);
    let answer = empty.form("/developers/answer").set("answer", "It is the third one.");
    let changed = "People keep albums of the clips they watched. Screen 3 of the mockups shows them.";
    ok(stranger.send(answer.clone().set("f.use_case", changed)).await).must_say("Your answer was sent");
    let again = stranger.send(answer).await;
    assert_eq!(again.status, 410, "the link works once");
    assert_eq!(stranger.get(&link).await.status, 410);

    let case = rita.open(&applied.console()).await;
    case.must_say("It is the third one.").must_say("Compared with version 1: 1 answer changed");
    assert!(
        case.html.contains("<ins>Screen 3 of the mockups shows </ins>") || case.html.contains("<ins>Screen "),
        "{}",
        case.html
    );
    scene.mails.wait_for("reviewer@clips.example", "was answered").await;

    let decide = case.form("/decide").tick(&verdict("portability.activity"), "approve");
    let refused = rita.send(decide).await;
    assert_eq!(refused.status, 422);
    refused.must_say("Record this before anything is approved").must_say("Tick that all of it");
    record(&rita, &applied).await;
    let decide = rita.open(&applied.console()).await.form("/decide").set("words", "Thank you for the mockups.");
    let none = rita.send(decide.clone()).await;
    assert_eq!(none.status, 422);
    none.must_say("Decide about this scope");
    assert_eq!(none.form("/decide").value("words"), Some("Thank you for the mockups."), "nothing typed is lost");
    ok(rita.send(decide.tick(&verdict("portability.activity"), "approve")).await).must_say("The decision is made");

    let mail = scene.mails.wait_for(MARA, "Thank you for the mockups.").await;
    assert!(mail.text.contains("portability.activity"), "{}", mail.text);
    let status = mara.open(&applied.portal()).await;
    status.must_say("Approved").must_say("Thank you for the mockups.").must_say("Switch the approved scopes on");
    rita.open("/console/applications?view=ended").await.must_say("Clipkeeper");
    mara.open(&format!("/developers/apps/{}/scopes", applied.app)).await.must_say("Approved");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_of_two_reviewers_at_once_gets_both_versions() {
    let scene = Scene::start(Engine::Sqlite);
    let mara = scene.developer(MARA, "Mara").await;
    let rita = scene.staff("reviewer").await;
    let rosa = scene.staff_named("rosa@clips.example", "Rosa", &["reviewer"]).await;
    let applied = apply(&scene, &mara, MARA, "Clipkeeper", &[SCOPE]).await;
    let both = (rita.open(&applied.console()).await.form("/take"), rosa.open(&applied.console()).await.form("/take"));
    ok(rita.send(both.0).await);
    let late = rosa.send(both.1).await;
    assert_eq!(late.status, 409);
    late.must_say("Somebody else was first").must_say("A reviewer began");

    // The same reviewer in two tabs: approve here, refuse there.
    record(&rita, &applied).await;
    let first = rita.open(&applied.console()).await.form("/decide").tick(&verdict("portability.activity"), "approve");
    let second = rita.open(&applied.console()).await.form("/decide").tick(&verdict("portability.activity"), "refuse");
    let second = second.set("code.portability.activity", "OTHER");
    let wrong = rita.send(second.clone()).await;
    assert_eq!(wrong.status, 422);
    wrong.must_say("With the code OTHER the reason has to be written out");
    let second = second.set("text.portability.activity", "I do not like it.");
    ok(rita.send(first).await);
    let late = rita.send(second).await;
    assert_eq!(late.status, 409);
    late.must_say("Somebody else was first").must_say("I do not like it.").must_say("Approved");
    mara.open(&applied.portal()).await.must_say("Approved").must_not_say("I do not like it.");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_internal_stays_inside_and_a_refusal_tells_its_cure() {
    let scene = Scene::start(Engine::Sqlite);
    let mara = scene.developer(MARA, "Mara").await;
    let other = scene.developer("olaf@other.example", "Olaf").await;
    let rita = scene.staff("reviewer").await;
    let sam = scene.staff("support").await;
    let applied = apply(&scene, &mara, MARA, "Clipkeeper", &[SCOPE]).await;
    take(&rita, &applied).await;
    let comment = |seen: &Seen, field: &str, text: &str| {
        let mut form = seen.form("/comment").forge("field", field).forge(&format!("comment.{field}"), text);
        if text.starts_with("Seen") {
            form = form.forge(&format!("visible.{field}"), "yes");
        }
        form
    };
    let case = rita.open(&applied.console()).await;
    ok(rita.send(comment(&case, "use_case", "Inside: looks thin.")).await);
    ok(rita.send(comment(&case, "use_case", "Seen: say more.")).await);
    assert_eq!(rita.send(comment(&case, "no_such_field", "Seen: nothing.")).await.status, 404);
    rita.open(&applied.console()).await.must_say("Inside: looks thin.").must_say("Seen: say more.");
    sam.open(&applied.console())
        .await
        .must_not_say("Inside: looks thin.")
        .must_say("Seen: say more.")
        .must_not_say("Is it genuine?");
    mara.open(&applied.portal()).await.must_not_say("Inside: looks thin.").must_say("Seen: say more.");
    assert_eq!(other.get(&applied.portal()).await.status, 404, "another organisation does not know of it");
    assert_eq!(other.post(&format!("{}/answer", applied.portal()), &[("answer", "x")]).await.status, 404);
    assert_eq!(sam.post(&format!("{}/take", applied.console()), &[("version", "1")]).await.status, 403);

    let decide = rita.open(&applied.console()).await.form("/decide");
    let family = "portability.activity";
    let canned = decide.clone().set(&format!("canned.{family}"), "8").press("fill", family);
    let filled = ok(rita.send(canned).await);
    let filled = filled.form("/decide");
    assert_eq!(filled.value(&verdict(family)), Some("refuse"));
    let code = filled.value(&format!("code.{family}")).unwrap_or_default().to_owned();
    assert!(!code.is_empty() && !filled.value(&format!("text.{family}")).unwrap_or_default().is_empty());
    let refusal =
        filled.set(&format!("code.{family}"), "LANGUAGE_NOT_ENABLED").set(&format!("text.{family}"), "Page 2 is in Dutch.");
    ok(rita.send(refusal).await);
    let status = mara.open(&applied.portal()).await;
    status
        .must_say("LANGUAGE_NOT_ENABLED")
        .must_say("Page 2 is in Dutch.")
        .must_say("What to do")
        .must_say("Apply again")
        .must_say("Open a ticket");
    let again = ok(mara.send(status.form("/apply")).await);
    assert_ne!(again.number_after("/applications/"), applied.application);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_of_interest_takes_the_case_away_and_a_hand_over_says_why() {
    let scene = Scene::start(Engine::Sqlite);
    let mara = scene.developer(MARA, "Mara").await;
    let rita = scene.staff("reviewer").await;
    let rosa = scene.staff_named("rosa@clips.example", "Rosa", &["reviewer"]).await;
    let applied = apply(&scene, &mara, MARA, "Clipkeeper", &[SCOPE]).await;
    take(&rita, &applied).await;
    let hand_over = rita.open(&applied.console()).await.form("/assign");
    let to = rosa_of(&rita, &applied).await;
    let silent = rita.send(hand_over.clone().set("to", &to)).await;
    assert_eq!(silent.status, 422);
    silent.must_say("Write something here");
    ok(rita.send(hand_over.set("to", &to).set("note", "I am away.")).await).must_say("given to them");
    rosa.open("/console").await.must_say("Waiting for you").must_say("Clipkeeper");
    let conflict = rosa.open(&applied.console()).await.form("/conflict").set("conflict", "My brother works there.");
    ok(rosa.send(conflict).await).must_say("You cannot decide");
    let case = rosa.open(&applied.console()).await;
    assert!(!case.html.contains("/take\"") && !case.html.contains("/decide\""), "{}", case.text());
    let forced = rosa
        .post(&format!("{}/take", applied.console()), &[("version", case.form("/assign").value("version").unwrap_or("0"))])
        .await;
    assert_eq!(forced.status, 409);
    forced.must_say("You have a conflict of interest");
    take(&rita, &applied).await;
    mara.open(&applied.portal()).await.must_not_say("My brother works there.");
}

/// The number of the only other reviewer, as the hand-over's list offers it.
async fn rosa_of(rita: &Visitor, applied: &Applied) -> String {
    let html = rita.open(&applied.console()).await.html;
    let before = html.split(">Rosa</option>").next().expect("a list with Rosa");
    before.rsplit("value=\"").next().and_then(|rest| rest.split('"').next()).expect("a number").to_owned()
}
