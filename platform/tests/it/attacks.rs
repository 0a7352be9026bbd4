//! What somebody tries who means harm: an applicant's own member of staff, one who lost their role in between, a new owner who looks at what the one
//! before wrote, and forms posted over and over.

use platform::accounts::{self, Account, NewStaff, Role};
use platform::applications::case::Evidence;
use platform::applications::decide::{self, Decided};
use platform::applications::draft::{self, Edits, SaveError};
use platform::applications::review::{self, Refusal};
use platform::applications::{self, Application, State, advice, rows};
use platform::apps::{self, App, OwnerKind, transfer};
use platform::audit::Actor;
use platform::organisations::{self, Seat};
use platform::uploads::{self, NewUpload, Purpose, Upload};
use serde_json::json;

use crate::applications::{Desk, approve, developer, refuse};
use crate::db_test;
use crate::support::{HOUR, World};
use crate::uploads::{file, pdf};

const ACTIVITY: &str = "portability.activity.single";
const PROFILE: &str = "portability.profile.ongoing";
const ACTIVITIES: &str = "portability.activity";
const PROFILES: &str = "portability.profile";

/// A member of staff with an address of their own choice.
async fn staff_at(w: &World, email: &str, roles: &[Role]) -> Account {
    let new = NewStaff { email: email.into(), name: "Mallory".into(), roles: roles.to_vec(), password: None };
    accounts::create_staff(&w.platform, Actor::Operator, new, false).await.unwrap().0
}

async fn upload(w: &World, app: &App, purpose: Purpose) -> Upload {
    let (owner_id, app_id) = (app.owner_id, Some(app.app_id));
    let new = NewUpload { owner_id, account_id: None, app_id, purpose, name: "screens.pdf".into() };
    uploads::take(&w.platform, new, file(&pdf("Connect", &[]))).await.unwrap()
}

async fn is_kept(w: &World, upload_id: i64) -> bool {
    w.number(format!("select count(*) from uploads where upload_id = {upload_id} and kept_at is not null")).await == 1
}

impl Desk {
    async fn save_edits(&self, application: &Application, edits: &Edits) -> Application {
        let (id, version) = (application.application_id, application.version);
        applications::save_draft(&self.w.platform, &self.developer, id, version, edits).await.unwrap()
    }

    async fn assign(&self, application: &Application, to: usize) -> Application {
        let (id, version) = (application.application_id, application.version);
        let to = self.reviewers[to].account_id;
        review::assign(&self.w.platform, &self.reviewers[0], id, version, to, "Please go on.").await.unwrap()
    }
}

db_test! {
    async fn a_decision_of_one_who_is_no_reviewer_any_more_is_not_one_of_two(engine) {
        let desk = Desk::new(engine).await;
        let platform = &desk.w.platform;
        let yes = [approve(ACTIVITIES), approve(PROFILES)];
        let application = desk.ready(&[ACTIVITY, PROFILE]).await;
        let Decided::Waits(application) = desk.decide(0, &application, &yes).await.unwrap() else { panic!() };
        let application = desk.assign(&application, 1).await;
        let first = desk.reviewers[0].account_id;
        accounts::set_roles(platform, Actor::Operator, first, &[Role::Support]).await.unwrap();
        let Decided::Waits(application) = desk.decide(1, &application, &yes).await.unwrap() else { panic!("one alone approved") };
        assert_eq!(application.state, State::InReview);
        // Nor is that of a closed account, nor of one that turns out to be the applicant's.
        let application = desk.assign(&application, 2).await;
        accounts::disable(platform, Actor::Operator, desk.reviewers[1].account_id).await.unwrap();
        let Decided::Waits(application) = desk.decide(2, &application, &yes).await.unwrap() else { panic!("one alone approved") };
        let last = desk.reviewers[2].account_id;
        desk.w.execute(format!("update accounts set email = 'rosa@lantern.example' where account_id = {last}")).await;
        developer(&desk.w, "rosa@lantern.example").await;
        desk.w.execute("update applications set created_by = (select account_id from accounts where kind = 'developer' and email = 'rosa@lantern.example')").await;
        accounts::set_roles(platform, Actor::Operator, first, &[Role::Reviewer]).await.unwrap();
        let application = desk.assign(&application, 0).await;
        let Decided::Waits(application) = desk.decide(0, &application, &yes).await.unwrap() else { panic!("one alone approved") };
        // Two who may, do.
        accounts::enable(platform, Actor::Operator, desk.reviewers[1].account_id).await.unwrap();
        assert!(matches!(desk.decide(1, &application, &yes).await.unwrap(), Decided::InForce(_)));
    }
}

db_test! {
    async fn the_applicants_own_staff_account_prepares_no_approval(engine) {
        let desk = Desk::new(engine).await;
        let platform = &desk.w.platform;
        let application = desk.applied(&[ACTIVITY]).await;
        let id = application.application_id;
        let mallory = staff_at(&desk.w, "mara@lantern.example", &[Role::Reviewer, Role::Support]).await;
        for _ in 0..2 {
            assert!(matches!(review::take(platform, &mallory, id, application.version).await, Err(Refusal::Conflicted)));
            let recorded = review::record(platform, &mallory, id, Evidence::Register, "HRB 1").await;
            assert!(matches!(recorded, Err(Refusal::Conflicted)), "{recorded:?}");
            let reopened = applications::reopen(platform, &mallory, id, "Mend it").await;
            assert!(matches!(reopened, Err(Refusal::Conflicted)), "{reopened:?}");
            // The second time they are only the contact on the form.
            desk.w.execute("update accounts set email = 'else@lantern.example' where kind = 'developer'").await;
        }
        let decided = decide::decide(platform, &mallory, id, application.version, &[approve(ACTIVITIES)], "").await;
        assert!(decided.is_err());
        assert_eq!(desk.w.number("select count(*) from application_evidence").await, 0);
        // And as one of the organisation who handed it in, whoever began it.
        desk.w.execute("update applications set email = 'x@lantern.example', created_by = 1, owner_id = 1").await;
        desk.w.execute("update accounts set email = 'mara@lantern.example' where kind = 'developer'").await;
        assert!(matches!(review::take(platform, &mallory, id, application.version).await, Err(Refusal::Conflicted)));
        desk.w.execute("update application_versions set submitted_by = null").await;
        assert!(review::take(platform, &mallory, id, application.version).await.is_ok());
    }
}

db_test! {
    async fn a_draft_that_was_given_up_hides_no_refusal_and_lets_no_file_of_the_record_go(engine) {
        let desk = Desk::new(engine).await;
        let platform = &desk.w.platform;
        let begun = applications::begin(platform, &desk.developer, &desk.app).await.unwrap();
        let mockups = upload(&desk.w, &desk.app, Purpose::Mockups).await.upload_id;
        let scopes = json!({ "scopes": [ACTIVITY] });
        let edits = Edits { set: scopes.as_object().unwrap().clone(), add: vec![("mockups".into(), mockups)], ..Edits::default() };
        let written = desk.save_edits(&begun, &edits).await;
        let first = desk.hand_in(&written).await;
        let first = review::take(platform, &desk.reviewers[0], first.application_id, first.version).await.unwrap();
        desk.decide(0, &first, &[refuse(ACTIVITIES, "ORG_NOT_FOUND")]).await.unwrap();
        // Begun again, given up, and begun once more.
        let second = applications::begin(platform, &desk.developer, &desk.app).await.unwrap();
        applications::withdraw(platform, &desk.developer, second.application_id, second.version).await.unwrap();
        let third = applications::begin(platform, &desk.developer, &desk.app).await.unwrap();
        assert_eq!(third.previous_id, Some(first.application_id), "reviewers compare with what was refused");
        desk.save_edits(&third, &Edits { remove: vec![("mockups".into(), mockups)], ..Edits::default() }).await;
        assert!(is_kept(&desk.w, mockups).await, "what was handed in once stays with its record");
    }
}

db_test! {
    async fn a_new_owner_starts_from_nothing_of_the_one_before(engine) {
        let desk = Desk::new(engine).await;
        let platform = &desk.w.platform;
        let first = desk.ready(&[ACTIVITY]).await;
        desk.decide(0, &first, &[refuse(ACTIVITIES, "ORG_NOT_FOUND")]).await.unwrap();
        let olaf = developer(&desk.w, "olaf@other.example").await;
        let theirs = organisations::create(platform, &olaf, "Other Films").await.unwrap().organisation_id;
        let offer = transfer::offer(platform, &desk.developer, desk.app.app_id, theirs).await.unwrap();
        let mut tx = platform.db.read().await.unwrap();
        let of_application = organisations::app_of_application(&mut tx, first.application_id).await.unwrap();
        assert_eq!(of_application, Some(desk.app.app_id));
        drop(tx);
        let app = transfer::answer(platform, &olaf, theirs, offer.transfer_id, true).await.unwrap();
        let mut tx = platform.db.read().await.unwrap();
        assert_eq!(organisations::app_of_application(&mut tx, first.application_id).await.unwrap(), None);
        assert!(rows::of_owner(&mut tx, &app).await.unwrap().is_empty());
        drop(tx);
        let begun = applications::begin(platform, &olaf, &app).await.unwrap();
        assert_eq!((begun.previous_id, begun.email.as_str()), (None, "olaf@other.example"), "mail goes to nobody of before");
        let answers = begun.answers();
        assert_eq!((answers.get("use_case"), answers.get("scopes")), (None, None), "{answers:?}");
        assert_eq!(answers["organization_name"], "Other Films");
    }
}

db_test! {
    async fn a_draft_does_not_take_any_number_of_files(engine) {
        let desk = Desk::new(engine).await;
        let mut draft = applications::begin(&desk.w.platform, &desk.developer, &desk.app).await.unwrap();
        let field = "data_protection_evidence";
        for (round, held) in [(1, 2), (2, 4), (3, 4), (4, 4)] {
            let add = vec![
                (field.to_owned(), upload(&desk.w, &desk.app, Purpose::Evidence).await.upload_id),
                (field.to_owned(), upload(&desk.w, &desk.app, Purpose::Evidence).await.upload_id),
            ];
            draft = desk.save_edits(&draft, &Edits { add, ..Edits::default() }).await;
            assert_eq!(draft.answers()[field].as_array().unwrap().len(), held, "round {round}: at most three, and one form too many");
        }
        assert_eq!(desk.w.number("select count(*) from uploads where kept_at is not null").await, 4, "what is not named is swept");
        // The same file twice is one.
        let same = draft.answers()[field][0].as_i64().unwrap();
        let edits = Edits { remove: (1..4).map(|at| (field.to_owned(), draft.answers()[field][at].as_i64().unwrap())).collect(), add: vec![(field.into(), same); 3], ..Edits::default() };
        let draft = desk.save_edits(&draft, &edits).await;
        assert_eq!(draft.answers()[field], json!([same]));
    }
}

db_test! {
    async fn nobody_fills_the_disk_in_a_day(engine) {
        let desk = Desk::new(engine).await;
        let hand_in = async |account_id: Option<i64>| {
            let (owner_id, app_id) = (desk.app.owner_id, Some(desk.app.app_id));
            let new = NewUpload { owner_id, account_id, app_id, purpose: Purpose::Evidence, name: "a.pdf".into() };
            uploads::take(&desk.w.platform, new, file(&pdf("Connect", &[]))).await
        };
        let mara = Some(desk.developer.account_id);
        let first = hand_in(mara).await.unwrap();
        desk.w.execute(format!("update uploads set size = 1073741824, kept_at = created_at where upload_id = {}", first.upload_id)).await;
        assert!(matches!(hand_in(mara).await, Err(uploads::Refusal::TooMuch)));
        // Others, and who answers by a mailed link, go by themselves.
        let by_link = hand_in(None).await.unwrap();
        assert!(hand_in(Some(desk.reviewers[0].account_id)).await.is_ok());
        desk.w.execute(format!("update uploads set size = 1073741824 where upload_id = {}", by_link.upload_id)).await;
        assert!(matches!(hand_in(None).await, Err(uploads::Refusal::TooMuch)));
        desk.w.advance(25 * HOUR);
        assert!(hand_in(mara).await.is_ok() && hand_in(None).await.is_ok());
    }
}

db_test! {
    async fn a_strangers_mailbox_is_not_filled_from_here(engine) {
        let desk = Desk::new(engine).await;
        let platform = &desk.w.platform;
        let sent = async |kind: &str| desk.w.number(format!("select count(*) from notices where kind = '{kind}'")).await;
        // By as many apps as one likes, each with an application that names the same address.
        let mut refused = 0;
        for name in ["One", "Two", "Three"] {
            let owner = (OwnerKind::Account, desk.developer.account_id);
            let app = apps::create_for(platform, &desk.developer, owner, name).await.unwrap();
            let begun = applications::begin(platform, &desk.developer, &app).await.unwrap();
            let edits = json!({ "applicant_email": "stranger@elsewhere.example" });
            let edits = Edits { set: edits.as_object().unwrap().clone(), ..Edits::default() };
            let begun = desk.save_edits(&begun, &edits).await;
            for _ in 0..4 {
                match draft::send_confirmation(platform, &desk.developer, begun.application_id).await {
                    Err(SaveError::TooManyMails) => refused += 1,
                    done => assert!(done.unwrap()),
                }
            }
        }
        assert_eq!((sent("confirm_contact").await, refused), (5, 7));
        // By invitations that are taken back and sent again.
        let olaf = developer(&desk.w, "olaf@other.example").await;
        let theirs = organisations::create(platform, &olaf, "Other Films").await.unwrap().organisation_id;
        for _ in 0..8 {
            organisations::invite(platform, &olaf, theirs, "mara@lantern.example", Seat::Admin, None).await.unwrap();
            let mut tx = platform.db.read().await.unwrap();
            let waiting = organisations::pending(&mut tx, theirs, platform.now()).await.unwrap();
            drop(tx);
            organisations::cancel(platform, &olaf, theirs, waiting[0].invitation_id).await.unwrap();
        }
        assert_eq!(sent("invitation").await, 5);
        // By an app that is offered again and again.
        for _ in 0..8 {
            transfer::offer(platform, &desk.developer, desk.app.app_id, theirs).await.unwrap();
        }
        assert_eq!(sent("transfer_offered").await, 5);
        // Later there is room again.
        desk.w.advance(HOUR + HOUR);
        organisations::invite(platform, &olaf, theirs, "mara@lantern.example", Seat::Admin, None).await.unwrap();
        assert_eq!(sent("invitation").await, 6);
    }
}

db_test! {
    async fn nobody_sends_us_at_a_site_again_and_again(engine) {
        let desk = Desk::new(engine).await;
        let begun = applications::begin(&desk.w.platform, &desk.developer, &desk.app).await.unwrap();
        let edits = json!({ "organization_website": "https://127.0.0.1/" });
        let edits = Edits { set: edits.as_object().unwrap().clone(), ..Edits::default() };
        let draft = desk.save_edits(&begun, &edits).await;
        let tone = async || {
            let found = advice::advise(&desk.w.platform, &draft).await.unwrap();
            found.into_iter().find(|finding| finding.kind == "site").unwrap().tone
        };
        for _ in 0..30 {
            assert_eq!(tone().await, "advice");
        }
        assert_eq!(tone().await, "unknown", "it is not looked at, and that is said");
        desk.w.advance(HOUR);
        assert_eq!(tone().await, "advice");
    }
}
