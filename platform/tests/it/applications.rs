//! Review of applications: who may do what when, what is kept, and what is told.

use platform::accounts::{self, Account, NewStaff, Role};
use platform::applications::case::{self, Evidence};
use platform::applications::decide::{self, Decided, Outcome, Verdict};
use platform::applications::questions::{self, By};
use platform::applications::queue::{self, Filter};
use platform::applications::review::{self, Refusal};
use platform::applications::{self, Application, State, Version, clocks, rows};
use platform::apps::{self, App, OwnerKind};
use platform::audit::Actor;
use platform::notices;
use serde_json::{Map, Value, json};

use crate::db_test;
use crate::support::{DAY, HOUR, World};

/// A developer with an app, and three reviewers.
pub(crate) struct Desk {
    pub(crate) w: World,
    pub(crate) developer: Account,
    pub(crate) app: App,
    pub(crate) reviewers: Vec<Account>,
}

pub(crate) async fn staff(w: &World, name: &str, roles: &[Role]) -> Account {
    let new = NewStaff {
        email: format!("{}@operator.example", name.to_lowercase()),
        name: name.into(),
        roles: roles.to_vec(),
        password: None,
    };
    accounts::create_staff(&w.platform, Actor::Operator, new, false).await.unwrap().0
}

pub(crate) async fn developer(w: &World, email: &str) -> Account {
    let id = w.platform.random.id();
    let now = w.platform.now().0;
    w.execute(format!(
        "insert into accounts (account_id, kind, email, name, verified_at, notify, created_at)
         values ({id}, 'developer', '{email}', 'Mara', {now}, true, {now})"
    ))
    .await;
    accounts::by_id(&mut w.platform.db.read().await.unwrap(), id).await.unwrap().unwrap()
}

impl Desk {
    pub(crate) async fn new(engine: crate::support::Engine) -> Self {
        let w = World::new(engine).await;
        let developer = developer(&w, "mara@lantern.example").await;
        let owner = (OwnerKind::Account, developer.account_id);
        let app = apps::create_for(&w.platform, &developer, owner, "Clipkeeper").await.unwrap();
        let mut reviewers = Vec::new();
        for name in ["Rita", "Ruben", "Rosa"] {
            reviewers.push(staff(&w, name, &[Role::Reviewer]).await);
        }
        Self { w, developer, app, reviewers }
    }

    pub(crate) async fn draft(&self, scopes: &[&str]) -> Application {
        draft(&self.w, &self.developer, &self.app, scopes).await
    }

    /// An application that was handed in.
    pub(crate) async fn applied(&self, scopes: &[&str]) -> Application {
        let draft = self.draft(scopes).await;
        self.hand_in(&draft).await
    }

    pub(crate) async fn hand_in(&self, before: &Application) -> Application {
        hand_in(&self.w, &self.developer, before).await.unwrap()
    }

    /// An application that the first reviewer has, with all evidence.
    pub(crate) async fn ready(&self, scopes: &[&str]) -> Application {
        let application = self.applied(scopes).await;
        let application =
            review::take(&self.w.platform, &self.reviewers[0], application.application_id, application.version).await.unwrap();
        self.record_all(&application).await;
        application
    }

    pub(crate) async fn record_all(&self, application: &Application) {
        for kind in [Evidence::Register, Evidence::Domain, Evidence::Site, Evidence::Contact, Evidence::Language] {
            review::record(&self.w.platform, &self.reviewers[0], application.application_id, kind, "seen").await.unwrap();
        }
    }

    pub(crate) async fn now(&self, application: &Application) -> Application {
        let mut tx = self.w.platform.db.read().await.unwrap();
        applications::by_id(&mut tx, application.application_id).await.unwrap().unwrap()
    }

    pub(crate) async fn decide(&self, by: usize, application: &Application, outcomes: &[Outcome]) -> Result<Decided, Refusal> {
        let (id, version) = (application.application_id, application.version);
        decide::decide(&self.w.platform, &self.reviewers[by], id, version, outcomes, "Thank you.").await
    }

    async fn approved(&self) -> Vec<String> {
        let mut tx = self.w.platform.db.read().await.unwrap();
        let approvals = apps::approvals(&mut tx, self.app.app_id).await.unwrap();
        approvals.into_iter().map(|approval| approval.family).collect()
    }

    /// The kinds of the mails about an application, with their number.
    async fn mails(&self, application: &Application) -> Vec<(String, String)> {
        let mut tx = self.w.platform.db.read().await.unwrap();
        let rows = notices::list(&mut tx, Some(application.application_id), 100).await.unwrap();
        let mut mails: Vec<_> = rows.into_iter().map(|row| (row.kind.to_string(), row.recipient)).collect();
        mails.sort();
        mails
    }

    async fn ask(&self, application: &Application, fields: &[&str]) -> Application {
        let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        let (id, version) = (application.application_id, application.version);
        questions::ask(&self.w.platform, &self.reviewers[0], id, version, "Which screen shows it?", &fields).await.unwrap()
    }

    async fn question(&self, application: &Application) -> case::Question {
        let mut tx = self.w.platform.db.read().await.unwrap();
        case::questions(&mut tx, application.application_id).await.unwrap().pop().unwrap()
    }

    async fn kinds(&self, application: &Application) -> Vec<String> {
        let id = application.application_id;
        self.w.texts(format!("select kind from application_events where application_id = {id} order by at, kind")).await
    }
}

pub(crate) async fn draft(w: &World, developer: &Account, app: &App, scopes: &[&str]) -> Application {
    let now = w.platform.now();
    let answers: Map<String, Value> = serde_json::from_value(json!({"scopes": scopes, "use_case": "Albums of clips."})).unwrap();
    let families = applications::asked_families(&answers);
    let application_id = w.platform.random.id();
    let email = "mara@lantern.example";
    let application = Application {
        application_id,
        app_id: app.app_id,
        owner_id: app.owner_id,
        created_by: developer.account_id,
        form: "compatible.1".into(),
        state: State::Draft,
        version: 0,
        answers: serde_json::to_string(&answers).unwrap(),
        submissions: 0,
        previous_id: None,
        email: email.into(),
        email_confirmed_at: Some(now),
        assigned_to: None,
        search: applications::search_words(application_id, app, "Lantern Labs", email, &families),
        sensitive: applications::is_sensitive(&w.platform, &families),
        created_at: now,
        updated_at: now,
        submitted_at: None,
        usual_at: None,
        due_at: None,
        stopped_at: None,
        stood: 0,
        answer_due_at: None,
        reopened_from: None,
        escalated_at: None,
        decided_at: None,
        ended_at: None,
    };
    let mut tx = w.platform.db.begin().await.unwrap();
    rows::insert(&mut tx, &application).await.unwrap();
    tx.commit().await.unwrap();
    application
}

pub(crate) async fn hand_in(w: &World, developer: &Account, before: &Application) -> Option<Application> {
    let mut tx = w.platform.db.begin().await.unwrap();
    let after = applications::hand_in(&w.platform, &mut tx, developer.actor(), before, before.clone()).await.unwrap()?;
    let version = Version {
        application_id: after.application_id,
        number: after.submissions,
        answers: after.answers.clone(),
        findings: "[]".into(),
        declarations: "{}".into(),
        terms_version: "1".into(),
        submitted_by: Some(developer.account_id),
        submitted_at: w.platform.now(),
    };
    rows::insert_version(&mut tx, &version).await.unwrap();
    tx.commit().await.unwrap();
    Some(after)
}

pub(crate) fn approve(family: &str) -> Outcome {
    Outcome { family: family.into(), verdict: Verdict::Approve }
}

pub(crate) fn refuse(family: &str, code: &str) -> Outcome {
    Outcome { family: family.into(), verdict: Verdict::Refuse { code: code.into(), text: String::new() } }
}

const ACTIVITY: &str = "portability.activity.single";
const PROFILE: &str = "portability.profile.ongoing";
const ACTIVITIES: &str = "portability.activity";
const PROFILES: &str = "portability.profile";

fn fields(refusal: Result<Decided, Refusal>) -> Vec<String> {
    match refusal {
        Err(Refusal::Invalid(wrong)) => wrong.into_iter().map(|(field, _)| field).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_table_of_states_is_the_documented_one() {
    use State::*;
    let lawful = [
        (Draft, Submitted),
        (Reopened, Submitted),
        (Submitted, Triage),
        (Reopened, Triage),
        (Submitted, InReview),
        (Triage, InReview),
        (NeedsInfo, InReview),
        (Reopened, InReview),
        (InReview, NeedsInfo),
        (Submitted, Reopened),
        (Triage, Reopened),
        (InReview, Reopened),
        (NeedsInfo, Reopened),
        (InReview, Approved),
        (InReview, ApprovedWithConditions),
        (InReview, Rejected),
        (Draft, Withdrawn),
        (Submitted, Withdrawn),
        (Triage, Withdrawn),
        (InReview, Withdrawn),
        (NeedsInfo, Withdrawn),
        (Reopened, Withdrawn),
        (Draft, Expired),
        (Approved, Expired),
        (ApprovedWithConditions, Expired),
        (Approved, Revoked),
        (ApprovedWithConditions, Revoked),
    ];
    for to in State::ALL {
        for from in State::ALL {
            assert_eq!(to.may_come_from().contains(from), lawful.contains(&(*from, *to)), "{from} to {to}");
        }
        // The guard of the one statement has six places.
        assert!(to.may_come_from().len() <= 6);
    }
}

#[test]
fn references_are_read_aloud_and_differ() {
    assert_eq!(applications::reference((1 << 53) - 1), "DP-7ZZZ-ZZZZ-ZZZ");
    assert_eq!(applications::reference(1), "DP-0000-0000-001");
    assert_ne!(applications::reference(1 << 40), applications::reference(1 << 41));
}

db_test! {
    async fn a_submission_tells_its_dates_and_starts_the_clock(engine) {
        let desk = Desk::new(engine).await;
        let application = desk.applied(&[ACTIVITY]).await;
        let calendar = desk.w.platform.settings.review.calendar();
        assert_eq!(application.state, State::Submitted);
        assert_eq!(application.due_at, Some(clocks::due(desk.w.platform.now(), 20, &calendar)));
        assert_eq!(application.usual_at, Some(clocks::due(desk.w.platform.now(), 10, &calendar)));
        assert_eq!(application.submissions, 1);
        assert_eq!(desk.now(&application).await, application);
        assert!(desk.w.actions().await.contains(&"application.submitted".to_owned()));
    }
}

db_test! {
    async fn nothing_is_approved_before_the_evidence_and_the_language_are_recorded(engine) {
        let desk = Desk::new(engine).await;
        let application = desk.applied(&[ACTIVITY]).await;
        let platform = &desk.w.platform;
        let id = application.application_id;
        let application = review::take(platform, &desk.reviewers[0], id, application.version).await.unwrap();
        let missing = fields(desk.decide(0, &application, &[approve(ACTIVITIES)]).await);
        assert_eq!(missing, ["evidence.register", "evidence.domain", "evidence.site", "evidence.contact", "evidence.language"]);
        desk.record_all(&application).await;
        review::record(platform, &desk.reviewers[0], id, Evidence::Language, "").await.unwrap();
        assert_eq!(fields(desk.decide(0, &application, &[approve(ACTIVITIES)]).await), ["evidence.language"]);
        review::record(platform, &desk.reviewers[0], id, Evidence::Language, "seen").await.unwrap();
        // An organisation that no register knows can be genuine: the reviewer writes what it is.
        review::record(platform, &desk.reviewers[0], id, Evidence::Register, "").await.unwrap();
        assert_eq!(fields(desk.decide(0, &application, &[approve(ACTIVITIES)]).await), ["evidence.register"]);
        review::record(platform, &desk.reviewers[0], id, Evidence::NoRegister, "A research group of a university").await.unwrap();
        assert!(desk.approved().await.is_empty());
        let decided = desk.decide(0, &application, &[approve(ACTIVITIES)]).await.unwrap();
        assert_eq!(decided.application().state, State::Approved);
        assert_eq!(desk.approved().await, [ACTIVITIES]);
        let refused = review::record(platform, &desk.reviewers[0], id, Evidence::Domain, "").await;
        assert!(matches!(refused, Err(Refusal::NotNow(State::Approved))), "what it was decided on stays");
    }
}

db_test! {
    async fn a_refusal_needs_no_evidence_but_a_published_code(engine) {
        let desk = Desk::new(engine).await;
        let application = desk.applied(&[ACTIVITY, PROFILE]).await;
        // Two families, one of them sensitive: this test is about the words, so it is not here.
        desk.w.execute("update applications set sensitive = false").await;
        let application = review::take(&desk.w.platform, &desk.reviewers[0], application.application_id, application.version).await.unwrap();
        let wrong = fields(desk.decide(0, &application, &[refuse(ACTIVITIES, "OTHER")]).await);
        assert_eq!(wrong, ["text.portability.activity", "verdict.portability.profile"]);
        assert_eq!(
            fields(desk.decide(0, &application, &[refuse(ACTIVITIES, "NO_SUCH"), refuse(PROFILES, "ORG_NOT_FOUND")]).await),
            ["code.portability.activity"]
        );
        let doubled = [refuse(ACTIVITIES, "ORG_NOT_FOUND"), approve(ACTIVITIES), refuse(PROFILES, "ORG_NOT_FOUND")];
        assert_eq!(fields(desk.decide(0, &application, &doubled).await), ["verdict.portability.activity"]);
        let foreign = [refuse(ACTIVITIES, "ORG_NOT_FOUND"), refuse(PROFILES, "ORG_NOT_FOUND"), refuse("portability.all", "OTHER")];
        assert_eq!(fields(desk.decide(0, &application, &foreign).await), ["outcomes"]);
        let both = [refuse(ACTIVITIES, "ORG_NOT_FOUND"), refuse(PROFILES, "LANGUAGE_NOT_ENABLED")];
        let decided = desk.decide(0, &application, &both).await.unwrap();
        assert_eq!(decided.application().state, State::Rejected);
        assert!(desk.approved().await.is_empty());
        let mails = desk.mails(&application).await;
        assert_eq!(mails, [("application_decided".to_owned(), "mara@lantern.example".to_owned())]);
        let again = desk.decide(0, decided.application(), &both).await;
        assert!(matches!(again, Err(Refusal::NotNow(State::Rejected))), "it is decided once");
    }
}

db_test! {
    async fn scopes_are_decided_one_by_one(engine) {
        let desk = Desk::new(engine).await;
        let application = desk.ready(&[ACTIVITY, PROFILE]).await;
        desk.w.execute("update applications set sensitive = false").await;
        let due_at = (desk.w.platform.now() + 30 * DAY).0;
        let late = Outcome {
            family: ACTIVITIES.into(),
            verdict: Verdict::Conditions { text: "Add a stop button.".into(), due_at: desk.w.platform.now().0 },
        };
        let wrong = fields(desk.decide(0, &application, &[late, refuse(PROFILES, "SCOPE_NOT_NEEDED")]).await);
        assert_eq!(wrong, ["deadline.portability.activity"]);
        let conditional =
            Outcome { family: ACTIVITIES.into(), verdict: Verdict::Conditions { text: "Add a stop button.".into(), due_at } };
        let decided = desk.decide(0, &application, &[conditional, refuse(PROFILES, "SCOPE_NOT_NEEDED")]).await.unwrap();
        assert_eq!(decided.application().state, State::ApprovedWithConditions);
        let mut tx = desk.w.platform.db.read().await.unwrap();
        let approvals = apps::approvals(&mut tx, desk.app.app_id).await.unwrap();
        assert_eq!(approvals.len(), 1);
        assert_eq!(approvals[0].application_id, Some(application.application_id));
        assert_eq!(approvals[0].conditions, "Add a stop button. (by Saturday 31 January 2026)");
    }
}

db_test! {
    async fn sensitive_categories_need_two_reviewers_who_agree(engine) {
        let desk = Desk::new(engine).await;
        let application = desk.ready(&[ACTIVITY, PROFILE]).await;
        assert!(application.sensitive);
        let yes = [approve(ACTIVITIES), approve(PROFILES)];
        let partly = [approve(ACTIVITIES), refuse(PROFILES, "SCOPE_NOT_NEEDED")];
        // The second cannot be the first: nobody else may begin, and the same reviewer twice stays one.
        assert!(matches!(desk.decide(1, &application, &yes).await, Err(Refusal::NotYours)));
        let Decided::Waits(application) = desk.decide(0, &application, &yes).await.unwrap() else { panic!() };
        let Decided::Waits(application) = desk.decide(0, &application, &yes).await.unwrap() else { panic!() };
        assert_eq!(application.state, State::InReview);
        assert!(desk.approved().await.is_empty());
        let mut tx = desk.w.platform.db.read().await.unwrap();
        let filter = Filter { second: Some(desk.reviewers[1].account_id), ..Filter::default() };
        assert_eq!(queue::list(&mut tx, &filter, None, 10).await.unwrap().len(), 1);
        let filter = Filter { second: Some(desk.reviewers[0].account_id), ..Filter::default() };
        assert!(queue::list(&mut tx, &filter, None, 10).await.unwrap().is_empty());
        drop(tx);
        let Decided::Disagrees(application) = desk.decide(1, &application, &partly).await.unwrap() else { panic!() };
        let mut tx = desk.w.platform.db.read().await.unwrap();
        let decisions = case::decisions(&mut tx, application.application_id).await.unwrap();
        drop(tx);
        assert_eq!(decisions.len(), 2, "both are there to be seen");
        assert!(decisions.iter().all(|decision| !decision.in_force));
        // A third agrees with the second: two who agree are enough.
        let theirs = decisions.iter().find(|decision| decision.account_id == desk.reviewers[1].account_id).unwrap();
        let agreed = decide::agree(
            &desk.w.platform, &desk.reviewers[2], application.application_id, application.version, theirs.decision_id, "",
        );
        let Decided::InForce(application) = agreed.await.unwrap() else { panic!() };
        assert_eq!(application.state, State::Approved);
        assert_eq!(desk.approved().await, [ACTIVITIES]);
        assert_eq!(desk.w.number("select count(*) from application_decisions where in_force").await, 1);
    }
}

db_test! {
    async fn who_has_a_conflict_of_interest_cannot_decide_any_more(engine) {
        let desk = Desk::new(engine).await;
        let platform = &desk.w.platform;
        let application = desk.ready(&[PROFILE]).await;
        let id = application.application_id;
        let Decided::Waits(application) = desk.decide(0, &application, &[approve(PROFILES)]).await.unwrap() else { panic!() };
        let application = review::declare_conflict(platform, &desk.reviewers[0], id, "My sister works there.").await.map(|_| application);
        let application = desk.now(&application.unwrap()).await;
        assert_eq!(application.assigned_to, None);
        assert_eq!(desk.w.number("select count(*) from application_decisions").await, 0, "what they decided is gone");
        assert!(matches!(review::take(platform, &desk.reviewers[0], id, application.version).await, Err(Refusal::Conflicted)));
        let back = review::assign(platform, &desk.reviewers[1], id, application.version, desk.reviewers[0].account_id, "yours").await;
        assert!(matches!(back, Err(Refusal::Invalid(_))));
        assert!(matches!(desk.decide(0, &application, &[approve(PROFILES)]).await, Err(Refusal::Conflicted)));
        // Whoever works for the applicant is not asked.
        developer(&desk.w, "rosa@operator.example").await;
        desk.w.execute(format!(
            "update applications set created_by = (select account_id from accounts where kind = 'developer' and email = 'rosa@operator.example')
             where application_id = {id}"
        )).await;
        assert!(matches!(review::take(platform, &desk.reviewers[2], id, application.version).await, Err(Refusal::Conflicted)));
        assert!(review::take(platform, &desk.reviewers[1], id, application.version).await.is_ok());
    }
}

db_test! {
    async fn a_question_stops_the_clock_and_its_answer_returns_to_the_reviewer_with_what_changed(engine) {
        let desk = Desk::new(engine).await;
        let platform = &desk.w.platform;
        let application = desk.ready(&[ACTIVITY]).await;
        let due = application.due_at;
        desk.w.advance(2 * DAY);
        let asked = desk.ask(&application, &["use_case"]).await;
        assert_eq!((asked.state, asked.due_at), (State::NeedsInfo, due));
        assert_eq!(asked.stopped_at, Some(platform.now()));
        assert_eq!(asked.answer_due_at, Some(platform.now() + 30 * DAY));
        let question = desk.question(&asked).await;
        let mut tx = platform.db.begin().await.unwrap();
        let link = platform::links::make(
            platform, &mut tx, platform::links::Purpose::AnswerQuestion, question.question_id, "mara@lantern.example", 30 * DAY,
        ).await.unwrap();
        tx.commit().await.unwrap();
        desk.w.advance(7 * DAY);
        let (seen, _) = questions::behind(platform, &link).await.unwrap().unwrap();
        assert_eq!(seen.application_id, asked.application_id);
        let empty = questions::answer(platform, By::Link(&link), " ", Map::new()).await;
        assert!(matches!(empty, Err(Refusal::Invalid(_))));
        assert!(questions::behind(platform, &link).await.unwrap().is_some(), "what is refused leaves the link as it was");
        let mut changed = Map::new();
        changed.insert("use_case".into(), json!("On the third screen."));
        changed.insert("scopes".into(), json!(["portability.all.single"]));
        let answered = questions::answer(platform, By::Link(&link), "See page 3.", changed).await.unwrap();
        assert_eq!(answered.state, State::InReview);
        assert_eq!(answered.assigned_to, Some(desk.reviewers[0].account_id));
        assert_eq!(answered.answers()["use_case"], "On the third screen.");
        assert_eq!(answered.answers()["scopes"], json!([ACTIVITY]), "only what was asked about can be changed");
        // Five working days from Saturday 3 to Saturday 10 January 2026.
        let calendar = platform.settings.review.calendar();
        assert_eq!(
            clocks::remaining_days(platform.now(), answered.due_at.unwrap(), &calendar),
            clocks::remaining_days(asked.stopped_at.unwrap(), due.unwrap(), &calendar),
        );
        assert_eq!(answered.stood, i64::try_from((7 * DAY).as_millis()).unwrap());
        let mut tx = platform.db.read().await.unwrap();
        let versions = applications::versions(&mut tx, asked.application_id).await.unwrap();
        drop(tx);
        assert_eq!(versions.len(), 2);
        assert!(versions[1].answers.contains("third screen") && !versions[0].answers.contains("third screen"));
        assert_eq!(desk.question(&asked).await.changes().len(), 1);
        let again = questions::answer(platform, By::Link(&link), "Once more.", Map::new()).await;
        assert!(matches!(again, Err(Refusal::Unknown)), "the link works once");
        let mails: Vec<_> = desk.mails(&asked).await;
        assert_eq!(mails, [
            ("question".to_owned(), "mara@lantern.example".to_owned()),
            ("question_answered".to_owned(), "rita@operator.example".to_owned()),
        ]);
    }
}

db_test! {
    async fn reminders_go_out_and_silence_gives_the_move_back_without_refusing(engine) {
        let desk = Desk::new(engine).await;
        let application = desk.ready(&[ACTIVITY]).await;
        let asked = desk.ask(&application, &[]).await;
        let mut reminders = Vec::new();
        for day in 1..=29 {
            desk.w.advance(DAY);
            desk.w.keep("review").await;
            let sent = desk.mails(&asked).await.iter().filter(|(kind, _)| kind == "question_reminder").count();
            if reminders.len() < sent {
                reminders.push(day);
            }
        }
        assert_eq!(reminders, [7, 21, 28]);
        desk.w.advance(DAY);
        desk.w.keep("review").await;
        let back = desk.now(&asked).await;
        assert_eq!(back.state, State::InReview);
        assert_eq!(back.assigned_to, Some(desk.reviewers[0].account_id));
        assert!(desk.kinds(&asked).await.contains(&"unanswered".to_owned()));
        assert!(desk.mails(&asked).await.contains(&("case_returned".to_owned(), "rita@operator.example".to_owned())));
        let late = questions::answer(
            &desk.w.platform, By::Developer(&desk.developer, desk.question(&asked).await.question_id), "Late.", Map::new(),
        ).await;
        assert!(matches!(late, Err(Refusal::NotNow(State::InReview))));
        desk.w.advance(60 * DAY);
        desk.w.keep("review").await;
        assert_eq!(desk.now(&asked).await.state, State::InReview, "no clock refuses");
    }
}

db_test! {
    async fn after_a_standstill_one_reminder_goes_out_for_all_that_were_missed(engine) {
        let desk = Desk::new(engine).await;
        let application = desk.ready(&[ACTIVITY]).await;
        let asked = desk.ask(&application, &[]).await;
        desk.w.advance(22 * DAY);
        desk.w.keep("review").await;
        desk.w.keep("review").await;
        let mails = desk.mails(&asked).await;
        assert_eq!(mails.iter().filter(|(kind, _)| kind == "question_reminder").count(), 1);
    }
}

db_test! {
    async fn an_application_that_is_opened_for_correction_keeps_its_place(engine) {
        let desk = Desk::new(engine).await;
        let platform = &desk.w.platform;
        let first = desk.applied(&[ACTIVITY]).await;
        let opened = applications::reopen(platform, &desk.reviewers[0], first.application_id, "You may change the contact.").await.unwrap();
        assert_eq!((opened.state, opened.due_at), (State::Reopened, first.due_at));
        assert!(matches!(
            review::triage(platform, &desk.reviewers[0], opened.application_id, opened.version).await,
            Err(Refusal::NotNow(_))
        ));
        desk.w.advance(HOUR);
        let again = desk.hand_in(&opened).await;
        assert_eq!((again.state, again.due_at), (State::Submitted, first.due_at), "it goes back to where it was");
        assert_eq!((again.submissions, again.submitted_at), (2, first.submitted_at));
        // From the middle of review, and over a pause of working days.
        let taken = review::take(platform, &desk.reviewers[0], again.application_id, again.version).await.unwrap();
        let opened = applications::reopen(platform, &desk.reviewers[0], taken.application_id, "Once more.").await.unwrap();
        desk.w.advance(14 * DAY);
        let again = desk.hand_in(&opened).await;
        assert_eq!((again.state, again.assigned_to), (State::InReview, Some(desk.reviewers[0].account_id)));
        let calendar = platform.settings.review.calendar();
        assert_eq!(
            clocks::remaining_days(platform.now(), again.due_at.unwrap(), &calendar),
            clocks::remaining_days(opened.stopped_at.unwrap(), first.due_at.unwrap(), &calendar),
        );
    }
}

db_test! {
    async fn a_correction_that_nobody_hands_in_is_given_back_as_it_was_submitted(engine) {
        let desk = Desk::new(engine).await;
        let platform = &desk.w.platform;
        let first = desk.applied(&[ACTIVITY]).await;
        let opened = applications::reopen(platform, &desk.reviewers[0], first.application_id, "You may change it.").await.unwrap();
        let mut tx = platform.db.begin().await.unwrap();
        let half = Application { answers: "{\"use_case\":\"half a sen\"}".into(), ..opened.clone() };
        rows::store(&mut tx, &opened, half, platform.now()).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        desk.w.advance(30 * DAY);
        desk.w.keep("review").await;
        let back = desk.now(&first).await;
        assert_eq!((back.state, &back.answers), (State::Submitted, &first.answers));
        assert_eq!(back.reopened_from, None);
    }
}

db_test! {
    async fn a_missed_limit_is_told_once_and_decides_nothing(engine) {
        let desk = Desk::new(engine).await;
        staff(&desk.w, "Ada", &[Role::Administrator]).await;
        let application = desk.ready(&[ACTIVITY]).await;
        desk.w.advance(application.due_at.unwrap().since(desk.w.platform.now()));
        desk.w.advance(crate::support::MS);
        desk.w.keep("review").await;
        desk.w.keep("review").await;
        let late = desk.now(&application).await;
        assert_eq!((late.state, late.due_at), (State::InReview, application.due_at));
        assert!(late.is_late(desk.w.platform.now()) && late.escalated_at.is_some());
        assert_eq!(desk.mails(&application).await, [
            ("decision_late".to_owned(), "mara@lantern.example".to_owned()),
            ("escalated".to_owned(), "ada@operator.example".to_owned()),
        ]);
        // A question now does not make it as if nothing had been missed.
        let asked = desk.ask(&late, &[]).await;
        desk.w.advance(5 * DAY);
        let question = desk.question(&asked).await;
        let by = By::Developer(&desk.developer, question.question_id);
        let answered = questions::answer(&desk.w.platform, by, "Here.", Map::new()).await.unwrap();
        assert_eq!(answered.due_at, application.due_at);
        let decided = desk.decide(0, &answered, &[approve(ACTIVITIES)]).await.unwrap();
        assert_eq!(decided.application().state, State::Approved);
        let mut tx = desk.w.platform.db.read().await.unwrap();
        let statistics = applications::statistics::read(&mut tx, platform::Millis(0)).await.unwrap();
        assert_eq!((statistics.decided, statistics.late), (1, 1));
        assert!(statistics.ours.unwrap().median < statistics.total.unwrap().median);
    }
}

db_test! {
    async fn of_two_who_act_on_the_same_page_one_wins(engine) {
        let desk = Desk::new(engine).await;
        let platform = &desk.w.platform;
        desk.w.warm().await;
        let application = desk.applied(&[ACTIVITY]).await;
        let (id, version) = (application.application_id, application.version);
        let (a, b) = tokio::join!(
            review::take(platform, &desk.reviewers[0], id, version),
            review::take(platform, &desk.reviewers[1], id, version),
        );
        assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1, "{a:?} {b:?}");
        assert!(matches!(a.err().or(b.err()), Some(Refusal::Stale)));
        let taken = desk.now(&application).await;
        let by = usize::from(taken.assigned_to != Some(desk.reviewers[0].account_id));
        desk.record_all(&taken).await;
        let (yes, no) = ([approve(ACTIVITIES)], [refuse(ACTIVITIES, "OTHER")]);
        let _ = no;
        let refusal = [refuse(ACTIVITIES, "CTA_MISSING")];
        let (a, b) = tokio::join!(desk.decide(by, &taken, &yes), desk.decide(by, &taken, &refusal));
        assert_eq!(usize::from(a.is_ok()) + usize::from(b.is_ok()), 1, "{a:?} {b:?}");
        let decided = desk.now(&application).await;
        assert_eq!(desk.approved().await.is_empty(), decided.state == State::Rejected);
        assert_eq!(desk.w.number("select count(*) from application_decisions").await, 1);
    }
}

db_test! {
    async fn a_revocation_ends_the_scopes_that_the_application_gave(engine) {
        let desk = Desk::new(engine).await;
        let application = desk.ready(&[ACTIVITY]).await;
        let decided = desk.decide(0, &application, &[approve(ACTIVITIES)]).await.unwrap();
        apps::switch_on(&desk.w.platform, desk.developer.actor(), desk.app.app_id, ACTIVITIES).await.unwrap();
        let (id, version) = (application.application_id, decided.application().version);
        let unknown = applications::revoke(&desk.w.platform, &desk.reviewers[0], id, version, "NO_SUCH", "x").await;
        assert!(matches!(unknown, Err(Refusal::Invalid(_))));
        let revoked = applications::revoke(&desk.w.platform, &desk.reviewers[0], id, version, "TERMS_BREACHED", "Sold it.").await.unwrap();
        assert_eq!((revoked.state, revoked.ended_at), (State::Revoked, decided.application().ended_at));
        assert!(desk.approved().await.is_empty());
        let mut tx = desk.w.platform.db.read().await.unwrap();
        assert!(apps::scopes(&mut tx, desk.app.app_id).await.unwrap().iter().all(|scope| !scope.is_portability()));
        drop(tx);
        assert!(desk.mails(&revoked).await.contains(&("application_revoked".to_owned(), "mara@lantern.example".to_owned())));
        desk.draft(&[ACTIVITY]).await;
    }
}

db_test! {
    async fn the_queue_is_by_due_date_filtered_searched_and_paged(engine) {
        let desk = Desk::new(engine).await;
        let platform = &desk.w.platform;
        let mut made = Vec::new();
        for (place, name) in ["Alpha 50% off", "Beta_one", "Gamma"].iter().enumerate() {
            let owner = (OwnerKind::Account, desk.developer.account_id);
            let app = apps::create_for(platform, &desk.developer, owner, name).await.unwrap();
            let scopes: &[&str] = if place == 1 { &[PROFILE] } else { &[ACTIVITY] };
            let draft = draft(&desk.w, &desk.developer, &app, scopes).await;
            made.push(hand_in(&desk.w, &desk.developer, &draft).await.unwrap());
            desk.w.advance(3 * DAY);
        }
        desk.draft(&[ACTIVITY]).await;
        let taken = review::take(platform, &desk.reviewers[0], made[2].application_id, made[2].version).await.unwrap();
        let mut tx = platform.db.read().await.unwrap();
        let mut of = async |filter: Filter| -> Vec<usize> {
            let lines = queue::list(&mut tx, &filter, None, 10).await.unwrap();
            lines.iter().map(|line| made.iter().position(|a| a.application_id == line.application_id).unwrap()).collect()
        };
        assert_eq!(of(Filter::default()).await, [0, 1, 2], "drafts are nobody's business yet");
        assert_eq!(of(Filter { unassigned: true, ..Filter::default() }).await, [0, 1]);
        assert_eq!(of(Filter { assigned_to: taken.assigned_to, ..Filter::default() }).await, [2]);
        assert_eq!(of(Filter { state: Some(State::InReview), ..Filter::default() }).await, [2]);
        assert_eq!(of(Filter { sensitive: true, ..Filter::default() }).await, [1]);
        assert_eq!(of(Filter { family: Some(ACTIVITIES.into()), ..Filter::default() }).await, [0, 2]);
        assert_eq!(of(Filter { late: made[1].due_at, ..Filter::default() }).await, [0, 1]);
        let words = |words: &str| Filter { words: words.into(), ..Filter::default() };
        assert_eq!(of(words("LANTERN beta")).await, [1]);
        assert_eq!(of(words("50%")).await, [0]);
        assert_eq!(of(words("a_o")).await, [1], "what means something to the engine means itself");
        assert_eq!(of(words(&made[2].reference())).await, [2]);
        assert_eq!(of(words(&made[2].reference().replace('-', "").to_lowercase())).await, [2]);
        assert_eq!(of(words("mara@lantern.example gamma")).await, [2]);
        assert!(of(words("nothing")).await.is_empty());
        let first = queue::list(&mut tx, &Filter::default(), None, 2).await.unwrap();
        let last = first.last().unwrap();
        let rest = queue::list(&mut tx, &Filter::default(), Some((last.due_at.unwrap(), last.application_id)), 2).await.unwrap();
        assert_eq!(rest.len(), 1);
        assert_eq!(rest[0].application_id, made[2].application_id);
        assert_eq!((rest[0].app.as_str(), rest[0].owner.as_str(), rest[0].reviewer.as_deref()), ("Gamma", "Mara", Some("Rita")));
        let me = desk.reviewers[0].account_id;
        let counts = queue::counts(&mut tx, me, platform.now(), platform.now()).await.unwrap();
        assert_eq!((counts.open, counts.ours, counts.mine, counts.unassigned, counts.late, counts.untaken), (3, 3, 1, 2, 0, 2));
        drop(tx);
        applications::withdraw(platform, &desk.developer, made[0].application_id, made[0].version).await.unwrap();
        let mut tx = platform.db.read().await.unwrap();
        let ended = queue::list(&mut tx, &Filter { ended: true, ..Filter::default() }, None, 10).await.unwrap();
        assert_eq!(ended.iter().map(|line| line.state).collect::<Vec<_>>(), [State::Withdrawn]);
    }
}

db_test! {
    async fn the_store_itself_refuses_rows_that_break_the_promises(engine) {
        use sqlx::AssertSqlSafe;
        let desk = Desk::new(engine).await;
        let application = desk.applied(&[ACTIVITY]).await;
        for set in ["state = 'rejected'", "ended_at = 5", "stopped_at = 5", "state = 'needs_info'", "due_at = null", "submissions = 0"] {
            let mut tx = desk.w.platform.db.begin().await.unwrap();
            let sql = AssertSqlSafe(format!("update applications set {set} where application_id = {}", application.application_id));
            let done = match tx.handle() {
                platform::db::Handle::Sqlite(c) => sqlx::raw_sql(sql).execute(c).await.map(|_| ()),
                platform::db::Handle::Postgres(c) => sqlx::raw_sql(sql).execute(c).await.map(|_| ()),
            };
            assert!(done.is_err(), "{set}");
        }
        // One open application of an app.
        let twin = std::panic::AssertUnwindSafe(desk.draft(&[ACTIVITY]));
        assert!(futures_util::FutureExt::catch_unwind(twin).await.is_err());
    }
}

db_test! {
    async fn comments_are_internal_or_seen_and_texts_are_kept_clean(engine) {
        let desk = Desk::new(engine).await;
        let platform = &desk.w.platform;
        let application = desk.ready(&[ACTIVITY]).await;
        let id = application.application_id;
        review::comment(platform, &desk.reviewers[1], id, "use_case", false, "Looks thin.").await.unwrap();
        review::comment(platform, &desk.reviewers[0], id, "use_case", true, "Say more.\r\nPlease.").await.unwrap();
        for bad in ["", "nul \0 byte", "bell \u{7}", &"x".repeat(review::LONGEST + 1)] {
            assert!(matches!(review::comment(platform, &desk.reviewers[0], id, "", true, bad).await, Err(Refusal::Invalid(_))));
        }
        let mut tx = platform.db.read().await.unwrap();
        let comments = case::comments(&mut tx, id).await.unwrap();
        drop(tx);
        assert_eq!(comments.len(), 2);
        assert!(comments.iter().any(|comment| comment.visible && comment.text == "Say more.\nPlease." && comment.number == 1));
        let over = review::assign(platform, &desk.reviewers[0], id, application.version, desk.reviewers[1].account_id, " ").await;
        assert!(matches!(over, Err(Refusal::Invalid(_))), "a hand-over says why");
        let over = review::assign(platform, &desk.reviewers[0], id, application.version, desk.reviewers[1].account_id, "I am away.").await;
        assert_eq!(over.unwrap().assigned_to, Some(desk.reviewers[1].account_id));
    }
}
