//! The rules that the operator promises its developers, one test each, by their numbers and through HTTP. Each fails when the line that keeps its
//! rule is taken out.

use serde_json::Value;
use testkit::dns::Dns;
use testkit::visitor::{Seen, Visitor};

use crate::review::{Applied, apply, pdf, record};
use crate::scene::Scene;
use crate::support::{Engine, both};

const MARA: &str = "mara@lantern.example";
/// On the form, where it is not the account's own.
const DATA: &str = "data@lantern.example";
const ACTIVITY: &str = "portability.activity";
const SINGLE: &str = "portability.activity.single";

fn ok(seen: Seen) -> Seen {
    assert_eq!(seen.status, 200, "{} {}", seen.url, seen.text());
    seen
}

/// A number of a row, which SQLite gives as one and PostgreSQL may give as text.
fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{value} is no number"))
}

/// One page with a text on it.
fn pdf_that_says(words: &str) -> Vec<u8> {
    let words: String = words.chars().map(|c| if c.is_ascii() { c } else { 'e' }).collect();
    let lines: Vec<String> =
        words.split_whitespace().collect::<Vec<_>>().chunks(8).map(|line| format!("({} ) Tj 0 -14 Td", line.join(" "))).collect();
    let content = format!("BT /F1 12 Tf 20 180 Td {} ET", lines.join(" "));
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [4 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 900 200] /Contents 5 0 R /Resources << /Font << /F1 3 0 R >> >> >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
    ];
    let (mut bytes, mut table) = (b"%PDF-1.7\n".to_vec(), String::new());
    for (number, object) in (1..).zip(&objects) {
        table.push_str(&format!("{:010} 00000 n \n", bytes.len()));
        bytes.extend(format!("{number} 0 obj\n{object}\nendobj\n").bytes());
    }
    let start = bytes.len();
    bytes.extend(
        format!("xref\n0 6\n0000000000 65535 f \n{table}trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n").bytes(),
    );
    bytes
}

async fn take(reviewer: &Visitor, applied: &Applied) {
    ok(reviewer.send(reviewer.open(&applied.console()).await.form("/take")).await);
}

/// Decides about the one family that was asked for; for a refusal with a code.
async fn decide(reviewer: &Visitor, applied: &Applied, code: Option<&str>) -> Seen {
    let form = reviewer.open(&applied.console()).await.form("/decide");
    let form = match code {
        None => form.tick(&format!("verdict.{ACTIVITY}"), "approve"),
        Some(code) => form
            .tick(&format!("verdict.{ACTIVITY}"), "refuse")
            .set(&format!("code.{ACTIVITY}"), code)
            .set(&format!("text.{ACTIVITY}"), "Because of this."),
    };
    reviewer.send(form).await
}

/// Fills in everything that the review of an app asks for, and proves its site by a TXT record.
async fn complete(scene: &Scene, dns: &Dns, mara: &Visitor, app: i64) {
    let path = format!("/developers/apps/{app}");
    let form = mara.open(&format!("{path}/details")).await.form("/details");
    let form = form
        .set("category", "Productivity")
        .set("description", "Watch your own year again")
        .set("terms-url", "https://lantern.example/terms")
        .set("privacy-url", "https://lantern.example/privacy")
        .tick("platforms", "web")
        .set("web-url", "https://lantern.example/");
    ok(mara.send(form).await);
    let form =
        mara.open(&format!("{path}/details")).await.form("/icon").attach("icon", "icon.png", "image/png", crate::apps::icon());
    ok(mara.send(form).await);
    let form =
        mara.open(&format!("{path}/products")).await.form("/products").tick("products", "login").tick("products", "portability");
    ok(mara.send(form.set("web-redirects", "https://lantern.example/callback")).await);
    // One proof clears the addresses of all apps of an owner.
    if !scene.portward.rows("select token from url_properties").await.is_empty() {
        return;
    }
    let form = mara.open(&format!("{path}/urls")).await.form("/urls").forge("kind", "domain").set("value", "lantern.example");
    ok(mara.send(form).await);
    let rows = scene.portward.rows("select token from url_properties").await;
    let token = rows[0]["token"].as_str().unwrap();
    dns.add_txt("lantern.example", &format!("tiktok-developers-site-verification={token}"));
    let page = mara.open(&format!("{path}/urls")).await;
    ok(mara.send(page.form("/verify")).await).must_say("roved");
}

/// Sends an app to review, and a reviewer approves it.
async fn approve_app(mara: &Visitor, reviewer: &Visitor, app: i64) {
    let form = mara.open(&format!("/developers/apps/{app}/review")).await.form("/review");
    ok(mara.send(form.set("explanation", "People sign in; their year becomes a film.").press("decision", "submit")).await);
    let queue = reviewer.open("/console/apps").await;
    let case = reviewer.open(&queue.link("/console/apps/")).await;
    ok(reviewer.send(case.form("/decide").set("outcome", "approve")).await);
}

/// What authorize says to an app's production key.
async fn authorize(scene: &Scene, app: i64, scopes: &str) -> String {
    let rows = scene.portward.rows(&format!("select client_key from apps where app_id = {app}")).await;
    let key = rows[0]["client_key"].as_str().unwrap();
    let back = "https%3A%2F%2Flantern.example%2Fcallback";
    let url = format!("/v2/auth/authorize/?client_key={key}&response_type=code&scope={scopes}&state=s&redirect_uri={back}");
    scene.visitor().get(&url).await.url.to_string()
}

/// A scene whose name server is ours.
fn scene_with_names(engine: Engine) -> (Scene, Dns) {
    let dns = Dns::start();
    let scene = Scene::with(engine, &format!("[ownership]\nresolvers = [\"{}\"]\n", dns.address()));
    (scene, dns)
}

async fn rule_01_no_portability_scope_before_an_approved_application(engine: Engine) {
    let (scene, dns) = scene_with_names(engine);
    let mara = scene.developer(MARA, "Mara").await;
    let rita = scene.staff("reviewer").await;
    let applied = apply(&scene, &mara, MARA, "Replay", &[SINGLE]).await;
    complete(&scene, &dns, &mara, applied.app).await;
    approve_app(&mara, &rita, applied.app).await;
    let switch = format!("/developers/apps/{}/scopes/switch", applied.app);
    let both = format!("user.info.basic,{SINGLE}");
    // The app is live, and its application is not decided: neither the page nor a forged form gives it the scope.
    mara.open(&format!("/developers/apps/{}/scopes", applied.app)).await.must_not_say("Switch on");
    assert_eq!(mara.post(&switch, &[("family", ACTIVITY), ("to", "on")]).await.status, 409);
    assert!(authorize(&scene, applied.app, &both).await.contains("error="));
    // Not even a row that says that the scope is on helps an app without an approval.
    scene.portward.execute(&format!("insert into app_scopes (app_id, scope) values ({}, '{SINGLE}')", applied.app));
    assert!(authorize(&scene, applied.app, &both).await.contains("error="), "a scope without an approval");
    scene.portward.execute(&format!("delete from app_scopes where scope = '{SINGLE}'"));
    // Nothing is approved before the evidence that the organisation exists is recorded, each piece of it.
    take(&rita, &applied).await;
    let refused = decide(&rita, &applied, None).await;
    assert_eq!(refused.status, 422);
    refused.must_say("Record this before anything is approved");
    assert_eq!(mara.post(&switch, &[("family", ACTIVITY), ("to", "on")]).await.status, 409);
    // A research group has no register entry; that it is genuine is recorded in words. With any piece left out nothing is approved.
    let pieces = [
        ("evidence.no_register", "A research group of the University of Aarbach, named on its pages."),
        ("evidence.domain", "Of the university"),
        ("evidence.site", "Live"),
        ("evidence.contact", "On the team page"),
    ];
    for left_out in pieces.iter().map(|(name, _)| Some(*name)).chain([None]) {
        let form = rita.open(&applied.console()).await.form("/evidence").tick("evidence.language", "yes");
        let form = pieces.iter().fold(form, |form, (name, text)| form.set(name, if left_out == Some(*name) { "" } else { text }));
        ok(rita.send(form).await);
        if let Some(name) = left_out {
            assert_eq!(decide(&rita, &applied, None).await.status, 422, "without {name}");
        }
    }
    ok(decide(&rita, &applied, None).await);
    assert!(authorize(&scene, applied.app, &both).await.contains("error="), "approved is not yet switched on");
    ok(mara.post(&switch, &[("family", ACTIVITY), ("to", "on")]).await);
    assert!(!authorize(&scene, applied.app, &both).await.contains("error="));
}

async fn rule_02_two_decisions_in_either_order_and_one_checklist(engine: Engine) {
    let (scene, dns) = scene_with_names(engine);
    let mara = scene.developer(MARA, "Mara").await;
    let rita = scene.staff("reviewer").await;
    // The application first.
    let applied = apply(&scene, &mara, MARA, "Replay", &[SINGLE]).await;
    let page = format!("/developers/apps/{}", applied.app);
    mara.open(&page).await.must_say("Two decisions, in either order").must_say("Our move").must_say("Your move");
    take(&rita, &applied).await;
    record(&rita, &applied).await;
    ok(decide(&rita, &applied, None).await);
    ok(mara.post(&format!("{page}/scopes/switch"), &[("family", ACTIVITY), ("to", "on")]).await);
    let both = format!("user.info.basic,{SINGLE}");
    let told = authorize(&scene, applied.app, &both).await;
    assert!(told.contains("error=unauthorized_client&error_type=client_key"), "an approved application is not enough: {told}");
    mara.open(&page).await.must_not_say("Both are approved").must_not_say("Both are there").must_say("Your move");
    // Then the app.
    complete(&scene, &dns, &mara, applied.app).await;
    approve_app(&mara, &rita, applied.app).await;
    assert!(!authorize(&scene, applied.app, &both).await.contains("error="));
    mara.open(&page).await.must_say("Both are approved: the API answers in production");
    // The other order: the app first, while its application is still being looked at.
    let second = apply(&scene, &mara, MARA, "Rewind", &[SINGLE]).await;
    let page = format!("/developers/apps/{}", second.app);
    complete(&scene, &dns, &mara, second.app).await;
    approve_app(&mara, &rita, second.app).await;
    mara.open(&page).await.must_not_say("Both are approved").must_not_say("Both are there").must_say("Our move");
    assert!(authorize(&scene, second.app, &both).await.contains("error="), "an approved app is not enough");
    take(&rita, &second).await;
    record(&rita, &second).await;
    ok(decide(&rita, &second, None).await);
    mara.open(&page).await.must_not_say("Both are approved").must_not_say("Both are there").must_say("Your move");
    ok(mara.post(&format!("{page}/scopes/switch"), &[("family", ACTIVITY), ("to", "on")]).await);
    mara.open(&page).await.must_say("Both are approved: the API answers in production");
    assert!(!authorize(&scene, second.app, &both).await.contains("error="));
}

async fn rule_03_english_is_read_by_a_machine_and_decided_by_people(engine: Engine) {
    let scene = Scene::start(engine);
    let mara = scene.developer(MARA, "Mara").await;
    let applied = begin(&mara).await;
    let german = "Die Daten werden in Frankfurt verschlüsselt gespeichert und spätestens nach dreizehn Monaten gelöscht. Zugriff haben drei \
                  Personen, jede mit zwei Faktoren, und jeder Zugriff wird aufgezeichnet. Wer widerruft, dessen Daten werden noch am selben Tag gelöscht.";
    write_all(&scene, &mara, &applied, &[("protection", "data_protection", german)]).await;
    // The text of a PDF is read too.
    let form = mara.open(&format!("{}/edit/scope", applied.portal())).await.form("/edit/");
    ok(mara.send(form.attach("mockups", "screens.pdf", "application/pdf", pdf_that_says(german))).await);
    submit(&mara, &applied, &[("remark-data_protection", "Our published policy.")])
        .await
        .must_say("The text of screens.pdf")
        .must_say("reads as German");
    let form = mara.open(&format!("{}/edit/scope", applied.portal())).await.form("/edit/");
    ok(mara.send(form.attach("mockups", "mockups.pdf", "application/pdf", pdf(4))).await);
    let refused = submit(&mara, &applied, &[]).await;
    assert_eq!(refused.status, 422);
    refused.must_say("reads as German");
    // Without the declaration nothing goes either.
    let form = refused.form("/submit").tick("accurate", "yes").tick("checks", "yes").tick("terms", "yes");
    let undeclared = mara.send(form.clear("english").set("remark-data_protection", "Our published policy.")).await;
    assert_eq!(undeclared.status, 422);
    let done = submit(&mara, &applied, &[("remark-data_protection", "Our published policy, word for word.")]).await;
    ok(done).must_say("DP-");
    // The reviewer sees the remark, and nothing is approved without their tick.
    let rita = scene.staff("reviewer").await;
    rita.open(&applied.console()).await.must_say("German").must_say("Our published policy, word for word.");
    take(&rita, &applied).await;
    let form =
        rita.open(&applied.console()).await.form("/evidence").set("evidence.register", "HRB 1").set("evidence.domain", "Imprint");
    ok(rita.send(form.set("evidence.site", "Live").set("evidence.contact", "Team page")).await);
    let refused = decide(&rita, &applied, None).await;
    assert_eq!(refused.status, 422);
    refused.must_say("Tick that all of it");
    ok(decide(&rita, &applied, Some("LANGUAGE_NOT_ENABLED")).await);
    mara.open(&applied.portal()).await.must_say("LANGUAGE_NOT_ENABLED");
    // What is short is never refused by the machine.
    let again = ok(mara.post(&format!("/developers/apps/{}/apply", applied.app), &[]).await);
    let again = Applied { application: again.number_after("/applications/"), app: applied.app };
    save(&mara, &again, "protection", "data_protection", "Verschlüsselt, in Frankfurt, für dreißig Tage.").await;
    confirm(&scene, &mara, &again).await;
    ok(submit(&mara, &again, &[]).await).must_say("DP-");
    // An operator who takes German too is asked for no remark.
    drop(scene);
    let scene = Scene::with(engine, "[applications]\nlanguages = [\"en\", \"de\"]\n");
    let mara = scene.developer(MARA, "Mara").await;
    let applied = begin(&mara).await;
    write_all(&scene, &mara, &applied, &[("protection", "data_protection", german)]).await;
    ok(submit(&mara, &applied, &[]).await).must_say("DP-");
}

async fn rule_04_findings_about_the_app_are_advice_while_it_is_a_draft(engine: Engine) {
    let scene = Scene::start(engine);
    let mara = scene.developer(MARA, "Mara").await;
    // No redirects, no platforms, nothing proved: a bare draft.
    let applied = apply(&scene, &mara, MARA, "Replay", &[SINGLE]).await;
    let rows = scene.portward.rows(&format!("select status from apps where app_id = {}", applied.app)).await;
    assert_eq!(rows[0]["status"], "draft");
    let refused = {
        let form = mara.open(&format!("/developers/apps/{}/review", applied.app)).await.form("/review");
        mara.send(form.set("explanation", "x").press("decision", "submit")).await
    };
    assert_eq!(refused.status, 422, "what blocks the app's own review does not block the application");
    mara.open(&applied.portal()).await.must_say("Our move");
}

async fn rule_05_every_required_field_all_errors_at_once_and_the_terms(engine: Engine) {
    let scene = Scene::start(engine);
    let mara = scene.developer(MARA, "Mara").await;
    let applied = begin(&mara).await;
    // A draft saves itself with whatever is in it.
    let step = mara.open(&format!("{}/edit/application", applied.portal())).await.form("/edit/");
    mara.send(step.set("applicant_name", "Mara").set("applicant_email", "not an address").set("organization_website", "lantern"))
        .await;
    // And while it is written, as its page's script does; half an address is left alone.
    let step = mara.open(&format!("{}/edit/application", applied.portal())).await.form("/edit/");
    let kept = mara.send(step.set("applicant_name", "Mara L").set("applicant_email", "x@y.example").press("_go", "keep")).await;
    assert!(kept.status == 200 && kept.html.contains("\"version\""), "{}", kept.html);
    let step = mara.open(&format!("{}/edit/application", applied.portal())).await.form("/edit/");
    assert_eq!((step.value("applicant_name"), step.value("applicant_email")), (Some("Mara L"), Some("not an address")));
    let undeclared = mara.open(&format!("{}/check", applied.portal())).await.form("/submit");
    let refused = mara.send(undeclared).await;
    assert_eq!(refused.status, 422);
    refused.must_say("Declare that the answers are true").must_say("Accept version");
    // All at once, each in words of its own.
    for words in [
        "must be a mail address",
        "must be a web address",
        "Choose at least one scope",
        "Add a file to “High-fidelity UX mockups”",
        "Enter an answer to “Data protection policy and processes”",
    ] {
        refused.must_say(words);
    }
    for field in [
        "applicant_email",
        "organization_name",
        "organization_website",
        "scopes",
        "use_case",
        "mockups",
        "subject_requests",
        "data_protection",
    ] {
        assert!(
            refused.html.contains(&format!("#{field}")) || refused.html.contains(&format!("#f-{field}")),
            "{field} is not named\n{}",
            refused.text()
        );
    }
    let step = mara.open(&format!("{}/edit/application", applied.portal())).await.form("/edit/");
    assert_eq!(step.value("applicant_email"), Some("not an address"), "nothing typed is lost");
    let rows = scene.portward.rows("select state, submissions from applications").await;
    assert_eq!((&rows[0]["state"], &rows[0]["submissions"]), (&Value::from("draft"), &Value::from(0)));
    write_all(&scene, &mara, &applied, &[]).await;
    // Without the terms it is not handed in; with them their version is kept.
    let page = mara.open(&format!("{}/check", applied.portal())).await;
    let form = page.form("/submit").tick("accurate", "yes").tick("english", "yes").tick("checks", "yes");
    let terms = form.value("terms_version").unwrap().to_owned();
    assert_eq!(mara.send(form).await.status, 422);
    // Nor with others than those of now.
    let form = page.form("/submit").tick("accurate", "yes").tick("english", "yes").tick("checks", "yes").tick("terms", "yes");
    assert_eq!(mara.send(form.forge("terms_version", "0")).await.status, 422);
    ok(submit(&mara, &applied, &[]).await).must_say("DP-");
    let rows = scene.portward.rows("select terms_version from application_versions").await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["terms_version"].as_str(), Some(terms.as_str()), "the version that stood on the page is kept");
}

async fn rule_06_dates_are_told_and_a_missed_limit_decides_nothing(engine: Engine) {
    let scene = Scene::start(engine);
    let mara = scene.developer(MARA, "Mara").await;
    let rita = scene.staff("reviewer").await;
    let boss = scene.staff("administrator").await;
    // The address on the form is another than that of the account: what is decided goes there.
    let applied = begin(&mara).await;
    write_unconfirmed(&mara, &applied, DATA, &[]).await;
    confirm_at(&scene, &mara, DATA).await;
    ok(submit(&mara, &applied, &[]).await).must_say("DP-");
    mara.open(&applied.portal()).await.must_say("20 working days left").must_say("Most are decided by");
    let told = scene.mails.wait_for(DATA, &format!("/developers/applications/{}", applied.application)).await;
    let year = told.text.matches("20").count();
    assert!(year >= 2, "both dates stand in the mail: {}", told.text);
    let times = scene.portward.rows("select due_at, usual_at from applications").await;
    let (due, usual) = (number(&times[0]["due_at"]), number(&times[0]["usual_at"]));
    let days = (due - usual) as f64 / 86_400_000.0;
    assert!((13.9..=14.1).contains(&days), "10 working days lie between the usual time and the limit: {days}");
    // The limit passes.
    scene.portward.execute("update applications set due_at = 1000, usual_at = 500");
    scene.portward.make_schedules_due();
    scene.mails.wait_for(DATA, "is late").await;
    scene.mails.wait_for("administrator@clips.example", "DP-").await;
    mara.open(&applied.portal()).await.must_say("We have missed the date for this decision").must_say("Our move");
    let rows = scene.portward.rows("select state, escalated_at from applications").await;
    assert_eq!(rows[0]["state"], "submitted", "a missed limit neither approves nor refuses");
    assert!(rows[0]["escalated_at"].is_i64() || rows[0]["escalated_at"].is_string());
    boss.open("/console/applications").await.must_say("Replay");
    // On the decision a notice goes to the address on the form.
    take(&rita, &applied).await;
    ok(decide(&rita, &applied, Some("SCOPE_UNEXPLAINED")).await);
    let told = scene.mails.wait_for(DATA, "SCOPE_UNEXPLAINED").await;
    assert!(told.text.contains("Because of this."), "{}", told.text);
    mara.open(&applied.portal()).await.must_say("Because of this.");
    // An operator can keep the clocks of another: 15 working days usual, 20 the limit.
    drop(scene);
    let scene = Scene::with(engine, "[review]\npreset = \"faq\"\n");
    let mara = scene.developer(MARA, "Mara").await;
    apply(&scene, &mara, MARA, "Replay", &[SINGLE]).await;
    let times = scene.portward.rows("select due_at, usual_at from applications").await;
    let days = (number(&times[0]["due_at"]) - number(&times[0]["usual_at"])) as f64 / 86_400_000.0;
    assert!((6.9..=7.1).contains(&days), "5 working days lie between the usual time and the limit: {days}");
}

async fn rule_07_staff_ask_back_and_the_clocks_change_hands(engine: Engine) {
    let scene = Scene::start(engine);
    let mara = scene.developer(MARA, "Mara").await;
    let rita = scene.staff("reviewer").await;
    // The address on the form has to be confirmed before anything is handed in.
    let applied = begin(&mara).await;
    write_unconfirmed(&mara, &applied, "data@lantern.example", &[]).await;
    let refused = submit(&mara, &applied, &[]).await;
    assert_eq!(refused.status, 422);
    refused.must_say("onfirm");
    confirm_at(&scene, &mara, "data@lantern.example").await;
    ok(submit(&mara, &applied, &[]).await);
    take(&rita, &applied).await;
    let before = scene.portward.rows("select due_at, stopped_at from applications").await;
    assert!(before[0]["stopped_at"].is_null());
    let ask =
        rita.open(&applied.console()).await.form("/ask").set("question", "Which screen shows it?").tick("fields", "use_case");
    ok(rita.send(ask).await);
    let during = scene.portward.rows("select stopped_at, answer_due_at from applications").await;
    assert!(
        !during[0]["stopped_at"].is_null() && !during[0]["answer_due_at"].is_null(),
        "the reviewer's clock stands, the applicant's runs"
    );
    let days = (number(&during[0]["answer_due_at"]) - number(&during[0]["stopped_at"])) / 86_400_000;
    assert_eq!(days, 30, "the applicant has thirty days");
    // Reminders go out while it is not answered.
    let mail = scene.mails.wait_for("data@lantern.example", "/developers/answer").await;
    scene.portward.execute("update application_questions set asked_at = asked_at - 8 * 86400000");
    scene.portward.make_schedules_due();
    let reminder = scene.mails.wait_for("data@lantern.example", "Still open").await;
    // As if the question had been open for a fortnight.
    scene.portward.execute("update applications set stopped_at = stopped_at - 14 * 86400000");
    let link = if reminder.text.contains("/developers/answer") {
        reminder.link("/developers/answer")
    } else {
        mail.link("/developers/answer")
    };
    let stranger = scene.visitor();
    let form = stranger.open(&link).await.form("/developers/answer").set("answer", "The third one.");
    ok(stranger.send(form.set("f.use_case", "People keep albums. Screen three of the mockups shows them.")).await);
    assert_eq!(stranger.get(&link).await.status, 410, "the link works once");
    let after = scene.portward.rows("select stopped_at, state, assigned_to, due_at from applications").await;
    assert!(after[0]["stopped_at"].is_null());
    let later = (number(&after[0]["due_at"]) - number(&before[0]["due_at"])) / 86_400_000;
    assert!((12..=16).contains(&later), "the reviewer's time goes on from where it stood: {later} days");
    assert_eq!(after[0]["state"], "in_review");
    assert!(!after[0]["assigned_to"].is_null(), "it is with the same reviewer");
    let case = rita.open(&applied.console()).await;
    case.must_say("The third one.").must_say("1 answer changed");
    assert!(case.html.contains("<ins>"), "what changed is marked");
}

async fn rule_08_who_was_refused_applies_again_at_once_from_their_answers(engine: Engine) {
    let scene = Scene::start(engine);
    let mara = scene.developer(MARA, "Mara").await;
    let rita = scene.staff("reviewer").await;
    let first = apply(&scene, &mara, MARA, "Replay", &[SINGLE]).await;
    take(&rita, &first).await;
    ok(decide(&rita, &first, Some("SCOPE_UNEXPLAINED")).await);
    // By View scopes and Apply, in the same minute.
    let scopes = mara.open(&format!("/developers/apps/{}/scopes", first.app)).await;
    assert!(
        scopes.html.contains(&format!("href=\"{}\"", first.portal())),
        "the decision, its cure and the copies stay within reach"
    );
    let again = ok(mara.send(scopes.form("/apply")).await);
    let second = Applied { application: again.number_after("/applications/"), app: first.app };
    assert_ne!(second.application, first.application);
    let step = mara.open(&format!("{}/edit/scope", second.portal())).await;
    let form = step.form("/edit/");
    assert!(form.value("use_case").unwrap_or_default().contains("albums"), "it starts from the earlier answers");
    step.must_say("mockups.pdf");
    ok(mara
        .send(form.set("use_case", "People keep albums of what they watched. Screens 2 and 3 show each scope at work."))
        .await);
    confirm(&scene, &mara, &second).await;
    ok(submit(&mara, &second, &[]).await);
    let case = rita.open(&second.console()).await;
    case.must_say("SCOPE_UNEXPLAINED").must_say("Because of this.");
    assert!(case.html.contains("<ins>") && case.html.contains("<del>"), "the difference to the earlier one is marked");
    // Also after a revocation.
    take(&rita, &second).await;
    record(&rita, &second).await;
    ok(decide(&rita, &second, None).await);
    let carla = scene.staff("compliance").await;
    let form = carla.open(&second.console()).await.form("/revoke").set("revoke_code", "TERMS_BREACHED");
    ok(carla.send(form.set("revoke_text", "The data was sold.")).await);
    let rows =
        scene.portward.rows(&format!("select state from applications where application_id = {}", second.application)).await;
    assert_eq!(rows[0]["state"], "revoked");
    let scopes = mara.open(&format!("/developers/apps/{}/scopes", first.app)).await;
    let third = ok(mara.send(scopes.form("/apply")).await);
    let third = Applied { application: third.number_after("/applications/"), app: first.app };
    assert_ne!(third.application, second.application);
    let step = mara.open(&format!("{}/edit/scope", third.portal())).await.form("/edit/");
    assert!(step.value("use_case").unwrap_or_default().contains("each scope at work"), "it starts from the latest answers");
    // Given up and begun once more, it still stands beside what was decided before.
    let form = mara.open(&third.portal()).await.form("/withdraw");
    ok(mara.send(form).await);
    let scopes = mara.open(&format!("/developers/apps/{}/scopes", first.app)).await;
    let fourth = ok(mara.send(scopes.form("/apply")).await);
    let fourth = Applied { application: fourth.number_after("/applications/"), app: first.app };
    confirm(&scene, &mara, &fourth).await;
    ok(submit(&mara, &fourth, &[]).await);
    rita.open(&fourth.console()).await.must_say("the earlier application");
}

async fn rule_09_a_mistake_is_mended_through_a_ticket_and_keeps_its_place(engine: Engine) {
    let scene = Scene::start(engine);
    let mara = scene.developer(MARA, "Mara").await;
    let sam = scene.staff("support").await;
    let applied = apply(&scene, &mara, MARA, "Replay", &[SINGLE]).await;
    // Handed in some days ago, and taken up.
    scene.portward.execute(
        "update applications set due_at = due_at - 7 * 86400000, usual_at = usual_at - 7 * 86400000, submitted_at = submitted_at - 7 * 86400000",
    );
    let rita = scene.staff("reviewer").await;
    take(&rita, &applied).await;
    let before = scene.portward.rows("select due_at, submitted_at, assigned_to from applications").await;
    // It cannot be changed without them: the page leads on, and a forged form changes nothing.
    let answers = "select answers from applications";
    let written = scene.portward.rows(answers).await;
    let edit = format!("{}/edit/application", applied.portal());
    let forged = [("organization_name", "Another Society"), ("_version", "99"), ("_seen", "x")];
    mara.post(&edit, &forged).await;
    for version in 1..20 {
        mara.post(&edit, &[("organization_name", "Another Society"), ("_version", &version.to_string())]).await;
    }
    assert_eq!(scene.portward.rows(answers).await[0]["answers"], written[0]["answers"], "a submitted application stays as it is");
    // A ticket about something else does not open it.
    let form = mara.open("/developers/support/new?topic=Other").await.form("/developers/support");
    let form = form.set("about", &format!("application-{}", applied.application));
    let other = ok(mara.send(form.set("topic", "Other").set("subject", "A question").set("text", "When?")).await);
    let case = sam.open(&format!("/console/tickets/{}", other.number_after("/support/"))).await;
    assert!(case.forms().iter().all(|form| !form.action.ends_with("/correction")), "no correction under another topic");
    let new =
        format!("/developers/support/new?topic=Data+Portability+API&app={}&application={}", applied.app, applied.application);
    let form = mara.open(&new).await.form("/developers/support");
    let seen = ok(mara.send(form.set("subject", "A wrong name").set("text", "It is Lantern Labs Society.")).await);
    let ticket = seen.number_after("/support/");
    // Refused, but not without a reason; then opened after all.
    let case = sam.open(&format!("/console/tickets/{ticket}")).await;
    case.must_say("Replay").must_say("It is Lantern Labs Society.");
    let silent = sam.send(case.form("/correction").press("do", "refuse")).await;
    assert_eq!(silent.status, 422);
    ok(sam.send(case.form("/correction").set("correction", "Say which name is right.").press("do", "refuse")).await);
    mara.open(&format!("/developers/support/{ticket}")).await.must_say("Say which name is right.");
    let form = mara.open(&format!("/developers/support/{ticket}")).await.form(&format!("/developers/support/{ticket}"));
    ok(mara.send(form.set("text", "Lantern Labs Society, as in the register.")).await);
    let case = sam.open(&format!("/console/tickets/{ticket}")).await;
    ok(sam.send(case.form("/correction").set("correction", "Please correct the name.").press("do", "open")).await);
    let during = scene.portward.rows("select state, due_at from applications").await;
    assert_eq!(during[0]["state"], "reopened");
    let step = mara.open(&format!("{}/edit/application", applied.portal())).await.form("/edit/");
    ok(mara.send(step.set("organization_name", "Lantern Labs Society")).await);
    ok(submit(&mara, &applied, &[]).await);
    let after = scene.portward.rows("select state, due_at, submitted_at, submissions, assigned_to from applications").await;
    assert_eq!(after[0]["state"], "in_review", "it goes back to where it was");
    assert_eq!(after[0]["assigned_to"], before[0]["assigned_to"], "and to whom it was with");
    assert_eq!(
        (&after[0]["due_at"], &after[0]["submitted_at"]),
        (&before[0]["due_at"], &before[0]["submitted_at"]),
        "and keeps its place"
    );
    assert_eq!(after[0]["submissions"], 2);
}

async fn rule_10_a_copy_at_any_time_with_every_version_and_decision(engine: Engine) {
    let scene = Scene::start(engine);
    let mara = scene.developer(MARA, "Mara").await;
    let olaf = scene.developer("olaf@other.example", "Olaf").await;
    let rita = scene.staff("reviewer").await;
    // At any time: while it is written, when it is handed in, while a question is open.
    let applied = begin(&mara).await;
    let copy = format!("{}/copy.json", applied.portal());
    let versions = async |wanted: usize| {
        let answer = mara.http().get(mara.url(&copy)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let json: Value = answer.json().await.unwrap();
        assert_eq!(json["versions"].as_array().unwrap().len(), wanted, "{json:#}");
        ok(mara.get(&format!("{}/print", applied.portal())).await);
        json
    };
    versions(0).await;
    write_all(&scene, &mara, &applied, &[]).await;
    ok(submit(&mara, &applied, &[]).await);
    versions(1).await;
    take(&rita, &applied).await;
    let ask =
        rita.open(&applied.console()).await.form("/ask").set("question", "Which screen shows it?").tick("fields", "use_case");
    ok(rita.send(ask).await);
    versions(1).await;
    let link = scene.mails.wait_for(MARA, "/developers/answer").await.link("/developers/answer");
    let form = scene.visitor().open(&link).await.form("/developers/answer").set("answer", "The third one.");
    ok(scene.visitor().send(form.set("f.use_case", "Albums of what people watched, on screen three.")).await);
    ok(decide(&rita, &applied, Some("SCOPE_UNEXPLAINED")).await);
    let json = versions(2).await;
    let text = json.to_string();
    assert!(json["versions"][0].to_string().contains("People keep albums"), "the first version as it was");
    assert!(json["versions"][1].to_string().contains("Albums of what people watched"), "and the second");
    let decisions = json["decisions"].as_array().unwrap();
    assert_eq!(decisions.len(), 1, "{json:#}");
    assert_eq!(decisions[0]["outcomes"][0]["code"], "SCOPE_UNEXPLAINED");
    assert_eq!(json["questions"][0]["answer"], "The third one.");
    mara.open(&format!("{}/print", applied.portal())).await.must_say("The third screen shows them").must_say("on screen three");
    for words in
        ["Which screen shows it?", "The third one.", "SCOPE_UNEXPLAINED", "Because of this.", "Albums of what people watched"]
    {
        assert!(text.contains(words), "{words} is missing in {json:#}");
        mara.open(&format!("{}/print", applied.portal())).await.must_say(words);
    }
    assert_eq!(olaf.get(&copy).await.status, 404);
}

both!(
    rule_01_no_portability_scope_before_an_approved_application,
    rule_02_two_decisions_in_either_order_and_one_checklist,
    rule_03_english_is_read_by_a_machine_and_decided_by_people,
    rule_04_findings_about_the_app_are_advice_while_it_is_a_draft,
    rule_05_every_required_field_all_errors_at_once_and_the_terms,
    rule_06_dates_are_told_and_a_missed_limit_decides_nothing,
    rule_07_staff_ask_back_and_the_clocks_change_hands,
    rule_08_who_was_refused_applies_again_at_once_from_their_answers,
    rule_09_a_mistake_is_mended_through_a_ticket_and_keeps_its_place,
    rule_10_a_copy_at_any_time_with_every_version_and_decision,
);

/// A new app and its application, nothing written yet.
async fn begin(mara: &Visitor) -> Applied {
    let form = mara.open("/developers/apps/new").await.form("/developers/apps/new");
    let app = ok(mara.send(form.set("name", "Replay")).await).number_after("/apps/");
    let seen = ok(mara.post(&format!("/developers/apps/{app}/apply"), &[]).await);
    Applied { application: seen.number_after("/applications/"), app }
}

async fn save(mara: &Visitor, applied: &Applied, step: &str, field: &str, value: &str) {
    let form = mara.open(&format!("{}/edit/{step}", applied.portal())).await.form("/edit/");
    ok(mara.send(form.set(field, value)).await);
}

/// Everything that is needed, with some answers put in the place of others; the address is confirmed.
async fn write_all(scene: &Scene, mara: &Visitor, applied: &Applied, instead: &[(&str, &str, &str)]) {
    write_unconfirmed(mara, applied, MARA, instead).await;
    confirm(scene, mara, applied).await;
}

async fn write_unconfirmed(mara: &Visitor, applied: &Applied, email: &str, instead: &[(&str, &str, &str)]) {
    let form = mara.open(&format!("{}/edit/application", applied.portal())).await.form("/edit/");
    let form = form.set("applicant_name", "Mara Lindqvist").set("applicant_email", email);
    ok(mara.send(form.set("organization_name", "Lantern Labs").set("organization_website", "https://lantern.example/")).await);
    let form = mara.open(&format!("{}/edit/scope", applied.portal())).await.form("/edit/");
    let form =
        form.tick("scopes", SINGLE).set("use_case", "People keep albums of the clips they watched. The third screen shows them.");
    ok(mara.send(form.attach("mockups", "mockups.pdf", "application/pdf", pdf(4))).await);
    save(mara, applied, "requests", "subject_requests", "People write to privacy@lantern.example.").await;
    save(mara, applied, "protection", "data_protection", "Encrypted at rest, deleted after a year.").await;
    for (step, field, value) in instead {
        save(mara, applied, step, field, value).await;
    }
}

/// Confirms the address on the form, if that is not the account's own, which is proved.
async fn confirm(scene: &Scene, mara: &Visitor, applied: &Applied) {
    if mara.open(&format!("{}/check", applied.portal())).await.says("Confirm the address") {
        confirm_at(scene, mara, MARA).await;
    }
}

async fn confirm_at(scene: &Scene, mara: &Visitor, email: &str) {
    let link = scene.mails.wait_for(email, "/developers/confirm").await.link("/developers/confirm");
    ok(mara.send(mara.open(&link).await.form("/developers/confirm")).await);
}

/// Hands an application in with every declaration, and remarks on findings.
async fn submit(mara: &Visitor, applied: &Applied, remarks: &[(&str, &str)]) -> Seen {
    let form = mara.open(&format!("{}/check", applied.portal())).await.form("/submit");
    let form = ["accurate", "english", "checks", "terms"].iter().fold(form, |form, name| form.tick(name, "yes"));
    mara.send(remarks.iter().fold(form, |form, (name, value)| form.forge(name, value))).await
}
