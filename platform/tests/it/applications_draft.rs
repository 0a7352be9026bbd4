//! Applications from the applicant's side: begun, saved, confirmed, handed in, copied, and begun again.

use platform::applications::draft::{self, Edits, SaveError};
use platform::applications::submit::{self, Declarations, MachineFinding, SubmitError};
use platform::applications::{self, Application, State, advice, copy, review, rows};
use platform::apps::{self, App, OwnerKind};
use platform::forms::Answers;
use platform::uploads::{self, NewUpload, Purpose, Upload};
use serde_json::{Value, json};

use crate::applications::{Desk, approve, developer, refuse};
use crate::db_test;
use crate::support::{DAY, HOUR, World};
use crate::uploads::{file, pdf};

const GERMAN: &str = "Die Menschen verbinden ihr Konto einmal und sehen dann alles, was sie im letzten Jahr angesehen haben, Monat für Monat, mit \
    der Zeit, die sie dafür aufgewendet haben. Wir holen die Daten, wenn sie auf den Knopf drücken, und löschen unsere Kopie, wenn sie gehen.";

fn answers(value: Value) -> Answers {
    value.as_object().unwrap().clone()
}

fn edits(value: Value) -> Edits {
    Edits { set: answers(value), ..Edits::default() }
}

/// Everything that the compatible form needs but the mockups.
fn whole(email: &str) -> Edits {
    edits(json!({
        "applicant_name": "Mara Lind",
        "applicant_email": email,
        "organization_name": "Lantern Labs",
        "organization_website": "https://lantern.example",
        "scopes": ["portability.activity.single"],
        "use_case": "Activity: what people did is shown to them month by month.",
        "subject_requests": "https://lantern.example/privacy",
        "data_protection": "Stored in Frankfurt, encrypted, deleted when people leave.",
    }))
}

fn declared() -> Declarations {
    Declarations { accurate: true, english: true, checks: true, terms_version: "1".into(), ..Declarations::default() }
}

async fn upload(w: &World, app: &App, purpose: Purpose, words: &str) -> Upload {
    let new =
        NewUpload { owner_id: app.owner_id, account_id: None, app_id: Some(app.app_id), purpose, name: "mockups.pdf".into() };
    uploads::take(&w.platform, new, file(&pdf(words, &[]))).await.unwrap()
}

impl Desk {
    async fn begin(&self) -> Application {
        applications::begin(&self.w.platform, &self.developer, &self.app).await.unwrap()
    }

    async fn save(&self, application: &Application, edits: &Edits) -> Result<Application, SaveError> {
        let (id, version) = (application.application_id, application.version);
        applications::save_draft(&self.w.platform, &self.developer, id, version, edits).await
    }

    /// A draft that lacks nothing; the address is the developer's own.
    async fn written(&self) -> Application {
        let begun = self.begin().await;
        let mockups = upload(&self.w, &self.app, Purpose::Mockups, "Connect").await;
        let edits = Edits { add: vec![("mockups".into(), mockups.upload_id)], ..whole(&self.developer.email) };
        self.save(&begun, &edits).await.unwrap()
    }

    async fn submit(&self, application: &Application, declarations: &Declarations) -> Result<Application, SubmitError> {
        let (id, version) = (application.application_id, application.version);
        applications::submit(&self.w.platform, &self.developer, id, version, declarations, Vec::new()).await
    }
}

fn fields(error: Result<Application, SubmitError>) -> Vec<String> {
    match error {
        Err(SubmitError::Findings(findings)) => findings.into_iter().map(|finding| finding.field).collect(),
        other => panic!("{other:?}"),
    }
}

db_test! {
    async fn one_application_is_begun_for_an_app_even_while_that_is_a_draft(engine) {
        let desk = Desk::new(engine).await;
        assert_eq!(desk.app.status, apps::AppStatus::Draft);
        let at_once = futures_util::future::join_all((0..6).map(|_| desk.begin())).await;
        let begun = desk.begin().await;
        assert!(at_once.iter().all(|other| other.application_id == begun.application_id));
        assert_eq!(desk.w.number("select count(*) from applications").await, 1);
        let answers = begun.answers();
        assert_eq!(answers["applicant_name"], "Mara");
        assert_eq!(answers["applicant_email"], "mara@lantern.example");
        assert_eq!(answers["app_id"], desk.app.app_id.to_string());
        assert_eq!((begun.state, begun.form.as_str()), (State::Draft, "compatible.1"));
    }
}

db_test! {
    async fn whatever_is_written_is_kept_right_or_not(engine) {
        let desk = Desk::new(engine).await;
        let begun = desk.begin().await;
        let odd = json!({
            "applicant_email": "not an address",
            "use_case": "x".repeat(50_000),
            "organization_name": "<script>alert(1)</script>\u{202e}\u{7}",
            "subject_requests": "one\r\ntwo\rthree",
            "no_such_field": "gone",
        });
        let saved = desk.save(&begun, &edits(odd)).await.unwrap();
        assert_eq!(saved.version, begun.version + 1);
        let kept = desk.now(&saved).await.answers();
        assert_eq!(kept["use_case"].as_str().unwrap().len(), 50_000);
        assert_eq!(kept["organization_name"], "<script>alert(1)</script>\u{202e}\u{7}");
        assert_eq!(kept["subject_requests"], "one\ntwo\nthree");
        assert!(!kept.contains_key("no_such_field"));

        let too_large = desk.save(&saved, &edits(json!({ "use_case": "y".repeat(1024 * 1024) }))).await;
        assert!(matches!(too_large, Err(SaveError::TooLarge)));
        let nul = desk.save(&saved, &edits(json!({ "use_case": "a\0b" }))).await;
        assert!(matches!(nul, Err(SaveError::NotText)));
        assert_eq!(desk.now(&saved).await.answers(), kept, "what was saved before is still there");
        // An answer can be taken back.
        let emptied = desk.save(&saved, &edits(json!({ "use_case": "" }))).await.unwrap();
        assert!(!emptied.answers().contains_key("use_case"));
    }
}

db_test! {
    async fn of_two_who_write_at_once_the_later_is_shown_both(engine) {
        let desk = Desk::new(engine).await;
        let begun = desk.begin().await;
        let mine = edits(json!({ "use_case": "mine" }));
        let first = desk.save(&begun, &mine).await.unwrap();
        match desk.save(&begun, &edits(json!({ "use_case": "yours" }))).await {
            Err(SaveError::Stale(current)) => assert_eq!(current.answers()["use_case"], "mine"),
            other => panic!("{other:?}"),
        }
        // The same button pressed twice is not two.
        assert_eq!(desk.save(&begun, &mine).await.unwrap().version, first.version);
        let form = desk.w.platform.forms.of(&begun.form);
        let (scope, other) = (&form.steps[1], &form.steps[2]);
        assert_ne!(draft::fingerprint(scope, &begun.answers()), draft::fingerprint(scope, &first.answers()));
        assert_eq!(draft::fingerprint(other, &begun.answers()), draft::fingerprint(other, &first.answers()));
    }
}

db_test! {
    async fn files_of_other_apps_are_not_taken_and_those_that_go_are_let_go(engine) {
        let desk = Desk::new(engine).await;
        let begun = desk.begin().await;
        let owner = (OwnerKind::Account, desk.developer.account_id);
        let other = apps::create_for(&desk.w.platform, &desk.developer, owner, "Another").await.unwrap();
        let (foreign, evidence) = (
            upload(&desk.w, &other, Purpose::Mockups, "a").await,
            upload(&desk.w, &desk.app, Purpose::Evidence, "b").await,
        );
        let forged = vec![
            ("mockups".to_owned(), foreign.upload_id),
            ("mockups".to_owned(), evidence.upload_id),
            ("use_case".to_owned(), evidence.upload_id),
            ("mockups".to_owned(), 42),
        ];
        let saved = desk.save(&begun, &Edits { add: forged, ..Edits::default() }).await.unwrap();
        assert!(!saved.answers().contains_key("mockups"));
        // A file cannot be set like a text either.
        let saved = desk.save(&saved, &edits(json!({ "mockups": [foreign.upload_id] }))).await.unwrap();
        assert!(!saved.answers().contains_key("mockups"));

        let (a, b) = (upload(&desk.w, &desk.app, Purpose::Mockups, "a").await, upload(&desk.w, &desk.app, Purpose::Mockups, "b").await);
        let add = |upload: &Upload| Edits { add: vec![("mockups".into(), upload.upload_id)], ..Edits::default() };
        let saved = desk.save(&saved, &add(&a)).await.unwrap();
        let saved = desk.save(&saved, &add(&b)).await.unwrap();
        assert_eq!(saved.answers()["mockups"], json!([b.upload_id]), "the one file is replaced");
        desk.w.advance(2 * DAY);
        desk.w.keep("sweep").await;
        let mut tx = desk.w.platform.db.read().await.unwrap();
        assert!(uploads::by_id(&mut tx, a.upload_id).await.unwrap().is_none());
        assert!(uploads::by_id(&mut tx, b.upload_id).await.unwrap().is_some());
        drop(tx);
        let remove = Edits { remove: vec![("mockups".into(), b.upload_id)], ..Edits::default() };
        let saved = desk.save(&saved, &remove).await.unwrap();
        assert!(!saved.answers().contains_key("mockups"));
    }
}

db_test! {
    async fn an_application_is_handed_in_once_nothing_is_in_the_way_and_not_twice(engine) {
        let desk = Desk::new(engine).await;
        let begun = desk.begin().await;
        let all = fields(desk.submit(&begun, &Declarations::default()).await);
        for field in ["organization_name", "scopes", "use_case", "mockups", "subject_requests", "accurate", "english", "checks", "terms"] {
            assert!(all.contains(&field.to_owned()), "{field}: {all:?}");
        }
        let written = desk.written().await;
        assert_eq!(fields(desk.submit(&written, &Declarations { terms_version: "0".into(), ..declared() }).await), ["terms"]);
        assert_eq!(fields(desk.submit(&written, &Declarations { english: false, ..declared() }).await), ["english"]);
        assert_eq!(desk.w.number("select count(*) from application_versions").await, 0);

        let seen = vec![MachineFinding { kind: "site".into(), text: "The website answers.".into(), ..MachineFinding::default() }];
        let (id, version) = (written.application_id, written.version);
        let all_declared = declared();
        let twice = futures_util::future::join_all((0..4).map(|_| {
            applications::submit(&desk.w.platform, &desk.developer, id, version, &all_declared, seen.clone())
        }))
        .await;
        assert_eq!(twice.iter().filter(|result| result.is_ok()).count(), 1, "{twice:?}");
        assert!(twice.iter().all(|result| matches!(result, Ok(_) | Err(SubmitError::Already(_) | SubmitError::Stale(_)))), "{twice:?}");
        let application = desk.now(&written).await;
        assert_eq!((application.state, application.submissions), (State::Submitted, 1));
        assert!(application.due_at > application.usual_at && application.usual_at > Some(desk.w.platform.now()));
        let again = desk.submit(&application, &declared()).await;
        assert!(matches!(again, Err(SubmitError::Already(_))));
        assert!(matches!(desk.save(&application, &whole("x@y.example")).await, Err(SaveError::NotNow(State::Submitted))));

        let mut tx = desk.w.platform.db.read().await.unwrap();
        let versions = rows::versions(&mut tx, id).await.unwrap();
        drop(tx);
        assert_eq!(versions.len(), 1);
        assert_eq!((versions[0].number, versions[0].terms_version.as_str()), (1, "1"));
        assert!(versions[0].findings.contains("The website answers."));
        assert_eq!(serde_json::from_str::<Value>(&versions[0].declarations).unwrap()["english"], true);
        desk.w.drain().await;
        let mails = desk.w.outbox().to("mara@lantern.example");
        let mail = mails.last().expect("a mail to the form's address");
        assert!(mail.rendered.text.contains(&application.reference()));
        let due = applications::clocks::in_words(application.due_at.unwrap(), &desk.w.platform.settings.review.calendar());
        let usual = applications::clocks::in_words(application.usual_at.unwrap(), &desk.w.platform.settings.review.calendar());
        assert!(mail.rendered.text.contains(&due) && mail.rendered.text.contains(&usual), "{}", mail.rendered.text);
    }
}

db_test! {
    async fn what_is_checked_is_what_is_handed_in(engine) {
        let desk = Desk::new(engine).await;
        let written = desk.written().await;
        let changed = desk.save(&written, &edits(json!({ "use_case": "Something else." }))).await.unwrap();
        assert!(matches!(desk.submit(&written, &declared()).await, Err(SubmitError::Stale(_))));
        desk.submit(&changed, &declared()).await.unwrap();
    }
}

db_test! {
    async fn an_address_that_is_not_ones_own_is_confirmed_by_mail_first(engine) {
        let desk = Desk::new(engine).await;
        let written = desk.written().await;
        assert!(written.email_confirmed_at.is_some(), "the account's own address was proved at sign-up");
        let other = desk.save(&written, &edits(json!({ "applicant_email": "Contact@Lantern.example" }))).await.unwrap();
        assert_eq!((other.email.as_str(), other.email_confirmed_at), ("contact@lantern.example", None));
        assert_eq!(fields(desk.submit(&other, &declared()).await), ["applicant_email"]);
        assert!(draft::send_confirmation(&desk.w.platform, &desk.developer, other.application_id).await.unwrap());
        desk.w.drain().await;
        let mails = desk.w.outbox().to("contact@lantern.example");
        let token = mails.last().unwrap().link("/developers/confirm").expect("a link").split("token=").nth(1).unwrap().to_owned();
        // Looking does not use it up; confirming does.
        for _ in 0..2 {
            assert!(draft::behind(&desk.w.platform, &token).await.unwrap().is_some());
        }
        let confirmed = draft::confirm_contact(&desk.w.platform, &token).await.unwrap().unwrap();
        assert!(confirmed.email_confirmed_at.is_some());
        assert!(draft::confirm_contact(&desk.w.platform, &token).await.unwrap().is_none());
        assert!(draft::confirm_contact(&desk.w.platform, "lnk.forged").await.unwrap().is_none());
        desk.submit(&confirmed, &declared()).await.unwrap();
    }
}

db_test! {
    async fn a_link_for_an_address_that_was_changed_since_confirms_nothing(engine) {
        let desk = Desk::new(engine).await;
        let first = desk.save(&desk.begin().await, &edits(json!({ "applicant_email": "a@lantern.example" }))).await.unwrap();
        draft::send_confirmation(&desk.w.platform, &desk.developer, first.application_id).await.unwrap();
        desk.w.drain().await;
        let mails = desk.w.outbox().to("a@lantern.example");
        let token = mails.last().unwrap().link("/developers/confirm").unwrap().split("token=").nth(1).unwrap().to_owned();
        let second = desk.save(&first, &edits(json!({ "applicant_email": "b@lantern.example" }))).await.unwrap();
        assert!(draft::confirm_contact(&desk.w.platform, &token).await.unwrap().is_none());
        assert_eq!(desk.now(&second).await.email_confirmed_at, None);
        // A stranger's mailbox is not flooded.
        let mut sent = 1;
        while draft::send_confirmation(&desk.w.platform, &desk.developer, second.application_id).await.is_ok() {
            sent += 1;
            assert!(sent < 20);
        }
        assert_eq!(sent, 5);
        desk.w.advance(HOUR + HOUR);
        assert!(draft::send_confirmation(&desk.w.platform, &desk.developer, second.application_id).await.unwrap());
    }
}

db_test! {
    async fn another_language_is_in_the_way_until_somebody_says_why(engine) {
        let desk = Desk::new(engine).await;
        let written = desk.written().await;
        let german = desk.save(&written, &edits(json!({ "use_case": GERMAN }))).await.unwrap();
        match desk.submit(&german, &declared()).await {
            Err(SubmitError::Findings(found)) => {
                assert_eq!(found.len(), 1);
                assert_eq!(found[0].field, "remark-use_case");
                assert!(found[0].message.contains("reads as German") && found[0].message.contains("in English"), "{found:?}");
            }
            other => panic!("{other:?}"),
        }
        let mut remarked = declared();
        remarked.remarks.insert("use_case".into(), "It quotes a law.".into());
        let submitted = desk.submit(&german, &remarked).await.unwrap();
        let mut tx = desk.w.platform.db.read().await.unwrap();
        let version = rows::versions(&mut tx, submitted.application_id).await.unwrap().pop().unwrap();
        let findings: Vec<MachineFinding> = serde_json::from_str(&version.findings).unwrap();
        assert_eq!((findings[0].kind.as_str(), findings[0].remark.as_str()), ("language", "It quotes a law."));
    }
}

db_test! {
    async fn the_text_of_a_pdf_is_read_too_and_an_enabled_language_is_taken(engine) {
        let w = World::with(engine, |settings| settings.applications.languages = vec!["en".into(), "de".into()]).await;
        let mara = developer(&w, "mara@lantern.example").await;
        let app = apps::create_for(&w.platform, &mara, (OwnerKind::Account, mara.account_id), "Clipkeeper").await.unwrap();
        let spanish = "Las personas conectan su cuenta una sola vez y ven todo lo que miraron durante el ultimo mes, con el tiempo que le dedicaron. \
            Pedimos los datos cuando pulsan el boton, los mostramos en la pantalla y borramos nuestra copia cuando se van. No vendemos nada a \
            nadie, y cada persona puede retirar su permiso cuando quiera desde la misma pantalla.";
        let begun = applications::begin(&w.platform, &mara, &app).await.unwrap();
        let mockups = upload(&w, &app, Purpose::Mockups, spanish).await;
        let edits = Edits { add: vec![("mockups".into(), mockups.upload_id)], ..edits(json!({ "use_case": GERMAN })) };
        let saved =
            applications::save_draft(&w.platform, &mara, begun.application_id, begun.version, &edits).await.unwrap();
        let mut tx = w.platform.db.read().await.unwrap();
        let found = submit::findings(&w.platform, &mut tx, &saved, &saved.answers()).await.unwrap();
        let told: Vec<(&str, bool)> = found.iter().map(|f| (f.field.as_str(), f.text.contains("Spanish"))).collect();
        assert_eq!(told, [("mockups", true)], "{found:?}");
        assert_eq!(submit::languages(&w.platform), "English or German");
    }
}

db_test! {
    async fn who_was_refused_begins_again_from_the_same_answers_and_files(engine) {
        let desk = Desk::new(engine).await;
        let submitted = desk.submit(&desk.written().await, &declared()).await.unwrap();
        assert_eq!(desk.begin().await.application_id, submitted.application_id, "one at a time");
        let taken = review::take(&desk.w.platform, &desk.reviewers[0], submitted.application_id, submitted.version).await.unwrap();
        desk.record_all(&taken).await;
        let refused = desk.decide(0, &taken, &[refuse("portability.activity", "SCOPE_UNEXPLAINED")]).await.unwrap();
        assert_eq!(refused.application().state, State::Rejected);

        let again = desk.begin().await;
        assert_ne!(again.application_id, submitted.application_id);
        assert_eq!(again.previous_id, Some(submitted.application_id));
        assert_eq!(again.answers(), submitted.answers(), "files included");
        assert_eq!(again.email_confirmed_at, submitted.email_confirmed_at);
        // A file that is taken out stays in the record of the first.
        let mockups = again.answers()["mockups"][0].as_i64().unwrap();
        desk.save(&again, &Edits { remove: vec![("mockups".into(), mockups)], ..Edits::default() }).await.unwrap();
        desk.w.advance(3 * DAY);
        desk.w.keep("sweep").await;
        let mut tx = desk.w.platform.db.read().await.unwrap();
        assert!(uploads::by_id(&mut tx, mockups).await.unwrap().is_some());
    }
}

db_test! {
    async fn a_correction_keeps_its_place_and_its_confirmed_address(engine) {
        let desk = Desk::new(engine).await;
        let submitted = desk.submit(&desk.written().await, &declared()).await.unwrap();
        let open = applications::reopen(&desk.w.platform, &desk.reviewers[0], submitted.application_id, "Mend the name.").await.unwrap();
        let saved = desk.save(&open, &edits(json!({ "organization_name": "Lantern Labs GmbH", "applicant_email": "new@lantern.example" }))).await.unwrap();
        assert_eq!(saved.email, submitted.email, "mail goes to the confirmed address until the new one is");
        assert_eq!(fields(desk.submit(&saved, &declared()).await), ["applicant_email"]);
        let back = desk.save(&saved, &edits(json!({ "applicant_email": submitted.email }))).await.unwrap();
        let corrected = desk.submit(&back, &declared()).await.unwrap();
        assert_eq!((corrected.state, corrected.submissions, corrected.due_at), (State::Submitted, 2, submitted.due_at));
        let mut tx = desk.w.platform.db.read().await.unwrap();
        let versions = rows::versions(&mut tx, submitted.application_id).await.unwrap();
        assert!(versions[0].answers.contains("\"Lantern Labs\"") && versions[1].answers.contains("Lantern Labs GmbH"));
    }
}

db_test! {
    async fn the_copy_holds_every_version_decision_and_question_and_nothing_internal(engine) {
        let desk = Desk::new(engine).await;
        let draft = desk.written().await;
        let platform = &desk.w.platform;
        let copied = async |application: &Application| {
            let mut tx = platform.db.read().await.unwrap();
            let now = applications::by_id(&mut tx, application.application_id).await.unwrap().unwrap();
            copy::dossier(platform, &mut tx, now, desk.app.clone()).await.unwrap().json()
        };
        let of_draft = copied(&draft).await;
        assert_eq!((&of_draft["state"], &of_draft["versions"]), (&json!("draft"), &json!([])));
        let submitted = desk.submit(&draft, &declared()).await.unwrap();
        let taken = review::take(platform, &desk.reviewers[0], submitted.application_id, submitted.version).await.unwrap();
        desk.record_all(&taken).await;
        for (text, visible) in [("Only for colleagues", false), ("Please name the screen", true)] {
            review::comment(platform, &desk.reviewers[0], taken.application_id, "use_case", visible, text).await.unwrap();
        }
        desk.decide(0, &desk.now(&taken).await, &[approve("portability.activity")]).await.unwrap();
        let all = copied(&submitted).await;
        let text = all.to_string();
        assert_eq!(all["reference"], submitted.reference());
        assert_eq!(all["versions"][0]["data"]["organization_name"], "Lantern Labs");
        let mockups = all["versions"][0]["answers"].as_array().unwrap().iter().find(|answer| answer["field"] == "mockups").unwrap();
        assert_eq!(mockups["files"][0]["name"], "mockups.pdf");
        assert_eq!(all["decisions"][0]["outcomes"][0]["outcome"], "Approved");
        assert!(text.contains("Please name the screen") && !text.contains("Only for colleagues"));
        assert!(!text.contains("Rita") && !text.contains("staff "), "no names, nothing internal: {text}");
        let happened = |what: &str| all["events"].as_array().unwrap().iter().any(|event| event["what"] == what);
        assert!(happened("submitted") && happened("decided") && !happened("evidence"));
    }
}

db_test! {
    async fn advice_is_given_within_bounds_and_never_in_the_way(engine) {
        let desk = Desk::new(engine).await;
        let written = desk.written().await;
        let told = advice::advise(&desk.w.platform, &written).await.unwrap();
        let tone = |kind: &str| told.iter().find(|finding| finding.kind == kind).map(|finding| finding.tone.clone());
        assert_eq!(tone("email").as_deref(), Some("good"));
        assert_eq!(tone("scopes").as_deref(), Some("good"));
        assert_eq!(tone("mockups").as_deref(), Some("advice"), "one page is less than four screens");
        assert_eq!(tone("site").as_deref(), Some("advice"), "nothing is there: {told:?}");
        let odd = edits(json!({ "applicant_email": "mara@mail.example", "use_case": "Because.", "scopes": ["portability.profile.ongoing"] }));
        let odd = desk.save(&written, &odd).await.unwrap();
        let told = advice::advise(&desk.w.platform, &odd).await.unwrap();
        let text = |kind: &str| told.iter().find(|finding| finding.kind == kind).unwrap().text.clone();
        assert!(text("email").contains("mail.example") && text("email").contains("lantern.example"));
        assert!(text("scopes").contains("Profile"), "{}", text("scopes"));
    }
}

db_test! {
    async fn who_saves_is_in_the_audit(engine) {
        let desk = Desk::new(engine).await;
        let written = desk.written().await;
        desk.submit(&written, &declared()).await.unwrap();
        let id = written.application_id;
        let actions = desk.w.texts(format!("select action from audit where about_id = {id} order by at, action")).await;
        for action in ["application.begun", "application.saved", "application.submitted"] {
            assert!(actions.contains(&action.to_owned()), "{actions:?}");
        }
        let details = desk.w.texts(format!("select detail from audit where about_id = {id}")).await;
        assert!(details.iter().all(|detail| !detail.contains("lantern")), "identifiers only: {details:?}");
    }
}

db_test! {
    async fn a_correction_that_is_given_back_leaves_nothing_of_what_was_begun(engine) {
        let desk = Desk::new(engine).await;
        let platform = &desk.w.platform;
        let written = desk.written().await;
        let sensitive = desk.save(&written, &edits(json!({"scopes": ["portability.profile.single"]}))).await.unwrap();
        let first = desk.submit(&sensitive, &declared()).await.unwrap();
        assert!(first.sensitive);
        let opened = applications::reopen(platform, &desk.reviewers[0], first.application_id, "You may change it.").await.unwrap();
        let half = json!({
            "scopes": ["portability.activity.single"],
            "organization_name": "Somebody Else",
            "applicant_email": "other@lantern.example",
            "use_case": "half a sen",
        });
        desk.save(&opened, &edits(half)).await.unwrap();
        assert!(draft::send_confirmation(platform, &desk.developer, first.application_id).await.unwrap());
        desk.w.drain().await;
        let mails = desk.w.outbox().to("other@lantern.example");
        let link = mails.last().unwrap().link("/developers/confirm?token=").unwrap();
        draft::confirm_contact(platform, link.split_once('=').unwrap().1).await.unwrap().unwrap();
        let begun = desk.now(&first).await;
        assert_eq!((begun.sensitive, begun.email.as_str()), (false, "other@lantern.example"));
        desk.w.advance(30 * DAY);
        desk.w.keep("review").await;
        let back = desk.now(&first).await;
        assert_eq!((back.state, back.submissions), (State::Submitted, 1));
        assert_eq!(back.answers, first.answers);
        // What is told by the answers goes with them: two still decide, staff find it as it was, and mail goes where the form says.
        assert_eq!((back.sensitive, &back.search, &back.email), (true, &first.search, &first.email));
        assert!(draft::contact(platform, &back).1, "the address had been confirmed");
    }
}
