//! Apps of developers: drafts and revisions, review, approved scopes, secrets, transfer and deletion; and any order of events.

use std::time::Duration;

use platform::accounts::{self, Account, Role};
use platform::apps::review::{self, DecideError, Reason, SubmitError, Verdict, Whose};
use platform::apps::transfer::{self, TransferError};
use platform::apps::{
    self, AppDetails, AppStatus, Change, Details, Move, OwnerKind, PlatformKind, Product, Progress, Revision, RevisionState,
    SaveError, Site, SwitchError,
};
use platform::audit::Actor;
use platform::grants;
use platform::organisations::{self, Organisation};
use platform::requests::AddRefusal;
use platform::uploads::{self, NewUpload, Purpose};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::applications::{developer, staff};
use crate::db_test;
use crate::support::{ACTIVITY, BASIC, DAY, Engine, SECOND, World, postgres_is_there, runtime};
use crate::uploads::file;

/// A developer with an app, and a reviewer.
pub(crate) struct Studio {
    pub(crate) w: World,
    pub(crate) mara: Account,
    pub(crate) rita: Account,
    pub(crate) app_id: i64,
}

fn png() -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bytes.extend(1024_u32.to_be_bytes());
    bytes.extend(1024_u32.to_be_bytes());
    bytes.extend(b"\x08\x02\0\0\0\0\0\0\0");
    bytes.extend(b"\0\0\0\x04IDAT\0\0\0\0\0\0\0\0");
    bytes.extend(b"\0\0\0\0IEND\xae\x42\x60\x82");
    bytes
}

/// Complete, but for the icon.
fn good() -> AppDetails {
    AppDetails {
        name: "Replay".into(),
        category: "Productivity".into(),
        description: "Watch your own year again".into(),
        terms_url: "https://app.example/terms".into(),
        privacy_url: "https://app.example/privacy".into(),
        platforms: vec![PlatformKind::Web],
        web: Site { url: "https://app.example/".into(), redirects: vec!["https://app.example/callback".into()] },
        products: vec![Product::Login, Product::Portability],
        user_scopes: vec!["user.info.profile".into()],
        ..AppDetails::default()
    }
}

impl Studio {
    pub(crate) async fn new(engine: Engine) -> Self {
        Self::in_world(World::new(engine).await).await
    }

    async fn in_world(w: World) -> Self {
        let mara = developer(&w, &format!("mara{}@app.example", w.platform.random.word(6))).await;
        let rita = staff(&w, &format!("Rita{}", w.platform.random.word(6)), &[Role::Reviewer]).await;
        let app = apps::create_for(&w.platform, &mara, (OwnerKind::Account, mara.account_id), "Replay").await.unwrap();
        Self { app_id: app.app_id, w, mara, rita }
    }

    pub(crate) async fn copy(&self) -> Revision {
        apps::working_copy(&mut self.w.platform.db.read().await.unwrap(), self.app_id).await.unwrap()
    }

    pub(crate) async fn app(&self) -> apps::App {
        apps::by_id(&mut self.w.platform.db.read().await.unwrap(), self.app_id).await.unwrap().unwrap()
    }

    async fn save(&self, details: AppDetails) -> Result<Revision, SaveError> {
        let version = self.copy().await.version;
        apps::save(&self.w.platform, &self.mara, self.app_id, version, Change::Details(Box::new(details))).await
    }

    async fn upload(&self, purpose: Purpose, bytes: &[u8]) -> i64 {
        let new = NewUpload {
            owner_id: self.mara.account_id,
            account_id: Some(self.mara.account_id),
            app_id: Some(self.app_id),
            purpose,
            name: "icon.png".into(),
        };
        uploads::take(&self.w.platform, new, file(bytes)).await.unwrap().upload_id
    }

    async fn prove(&self, owner_id: i64, domain: &str) {
        let (id, now) = (self.w.platform.random.id(), self.w.platform.now().0);
        self.w
            .execute(format!(
                "insert into url_properties (property_id, owner_id, kind, value, token, created_at, verified_at)
                 values ({id}, {owner_id}, 'domain', '{domain}', 'x', {now}, {now})"
            ))
            .await;
    }

    /// Fills in everything that a submission needs.
    pub(crate) async fn complete(&self) -> Revision {
        self.save(good()).await.unwrap();
        let icon = self.upload(Purpose::Icon, &png()).await;
        self.change(Change::Icon(Some(icon))).await.unwrap();
        self.prove(self.mara.account_id, "app.example").await;
        self.change(Change::Explanation("Login Kit signs people in; their data becomes a film.".into())).await.unwrap()
    }

    async fn change(&self, change: Change) -> Result<Revision, SaveError> {
        let version = self.copy().await.version;
        apps::save(&self.w.platform, &self.mara, self.app_id, version, change).await
    }

    pub(crate) async fn submit(&self) -> Result<Revision, SubmitError> {
        let version = self.copy().await.version;
        review::submit(&self.w.platform, &self.mara, self.app_id, version).await
    }

    pub(crate) async fn decide(&self, verdict: Verdict) -> Result<Revision, DecideError> {
        let copy = self.copy().await;
        review::decide(&self.w.platform, &self.rita, copy.revision_id, copy.version, verdict).await
    }

    async fn live(&self) {
        self.complete().await;
        self.submit().await.unwrap();
        self.decide(Verdict::Approve).await.unwrap();
    }

    async fn scopes(&self) -> String {
        apps::scopes(&mut self.w.platform.db.read().await.unwrap(), self.app_id).await.unwrap().to_string()
    }

    async fn approve(&self, family: &str) {
        let mut tx = self.w.platform.db.begin().await.unwrap();
        apps::approve_families(&mut tx, &self.w.platform, self.app_id, 1, &[(family.into(), String::new())]).await.unwrap();
        tx.commit().await.unwrap();
    }

    async fn organisation(&self, owner: &Account) -> Organisation {
        organisations::create(&self.w.platform, owner, "Lantern Films").await.unwrap()
    }
}

fn refusal(code: &str) -> Verdict {
    Verdict::Refuse(vec![Reason { code: code.into(), text: "The site shows a login page.".into() }])
}

db_test! {
    async fn nobody_approves_an_app_that_they_work_on(engine) {
        let s = Studio::new(engine).await;
        s.complete().await;
        s.submit().await.unwrap();
        let copy = s.copy().await;
        let own = accounts::NewStaff { email: s.mara.email.clone(), name: "Mara".into(), roles: vec![Role::Reviewer], password: None };
        let own = accounts::create_staff(&s.w.platform, Actor::Operator, own, false).await.unwrap().0;
        let decided = review::decide(&s.w.platform, &own, copy.revision_id, copy.version, Verdict::Approve).await;
        assert!(matches!(decided, Err(DecideError::Invalid(_))), "{decided:?}");
        let refused = review::decide(&s.w.platform, &own, copy.revision_id, copy.version, refusal("SITE_NOT_LIVE")).await;
        assert!(matches!(refused, Err(DecideError::Invalid(_))), "{refused:?}");
        // Also as a member of the organisation that owns it.
        let paul = developer(&s.w, "paul@elsewhere.example").await;
        let organisation = s.organisation(&paul).await.organisation_id;
        s.w.execute(format!("update apps set owner_kind = 'organisation', owner_id = {organisation}")).await;
        s.w.execute("update app_revisions set submitted_by = null").await;
        let paul = accounts::NewStaff { email: paul.email, name: "Paul".into(), roles: vec![Role::Reviewer], password: None };
        let paul = accounts::create_staff(&s.w.platform, Actor::Operator, paul, false).await.unwrap().0;
        let decided = review::decide(&s.w.platform, &paul, copy.revision_id, copy.version, Verdict::Approve).await;
        assert!(matches!(decided, Err(DecideError::Invalid(_))), "{decided:?}");
        assert_eq!(s.app().await.status, AppStatus::InReview);
        s.decide(Verdict::Approve).await.unwrap();
    }
}

db_test! {
    async fn a_new_app_has_everything_but_a_review(engine) {
        let s = Studio::new(engine).await;
        let app = s.app().await;
        assert_eq!((app.status, app.owner_kind, app.owner_id), (AppStatus::Draft, OwnerKind::Account, s.mara.account_id));
        assert!(app.client_key.starts_with("aw") && app.client_key.len() == 16);
        let copy = s.copy().await;
        assert_eq!((copy.number, copy.state, copy.details.name.as_str()), (1, RevisionState::Draft, "Replay"));
        let facts = apps::secret_facts(&mut s.w.platform.db.read().await.unwrap(), s.app_id, s.w.platform.now()).await.unwrap();
        assert_eq!(facts.len(), 1);
        assert!(!app.may_ask());
        // For others nobody makes apps.
        let eve = developer(&s.w, "eve@evil.example").await;
        let forged = apps::create_for(&s.w.platform, &eve, (OwnerKind::Account, s.mara.account_id), "Mine").await;
        assert!(matches!(forged, Err(apps::MakeError::Forbidden)));
        let house = s.organisation(&s.mara).await;
        let forged = apps::create_for(&s.w.platform, &eve, (OwnerKind::Organisation, house.organisation_id), "Mine").await;
        assert!(matches!(forged, Err(apps::MakeError::Forbidden)));
        for name in ["", " ", &"x".repeat(51), "a\u{202e}b", "a\0b"] {
            let made = apps::create_for(&s.w.platform, &s.mara, (OwnerKind::Account, s.mara.account_id), name).await;
            assert!(matches!(made, Err(apps::MakeError::Name(_))), "{name:?}");
        }
    }
}

db_test! {
    async fn a_draft_keeps_what_is_wrong_and_people_see_only_what_is_right(engine) {
        let s = Studio::new(engine).await;
        let typed = AppDetails {
            name: "x".repeat(60),
            description: "too\nmany lines".into(),
            terms_url: "http://app.example/terms".into(),
            web: Site { url: "nonsense".into(), redirects: vec!["https://app.example/callback".into(), "app://cb".into()] },
            webhook_url: "https://10.0.0.1/hook".into(),
            products: vec![Product::Login, Product::Webhooks],
            user_scopes: vec!["portability.all.single".into()],
            ..good()
        };
        let saved = s.save(typed.clone()).await.unwrap();
        assert_eq!(saved.details, typed, "nothing typed is lost");
        let flaws = saved.details.flaws(&s.w.platform);
        for field in ["name", "description", "icon", "terms-url", "web-url", "web-redirects", "webhook-url", "user-scopes"] {
            assert!(flaws.iter().any(|flaw| flaw.field == field), "{field}: {flaws:?}");
        }
        assert!(!flaws.iter().any(|flaw| flaw.field == "privacy-url" || flaw.field == "category"));
        let app = s.app().await;
        assert_eq!((app.name.as_str(), app.description.as_str(), app.terms_url.as_str()), ("Replay", "", ""));
        assert_eq!((app.privacy_url.as_str(), app.webhook_url), ("https://app.example/privacy", None));
        let mut tx = s.w.platform.db.read().await.unwrap();
        let redirects = apps::redirects(&mut tx, s.app_id).await.unwrap();
        drop(tx);
        assert_eq!(redirects.iter().map(|uri| uri.as_str()).collect::<Vec<_>>(), ["https://app.example/callback"]);
        assert_eq!(s.scopes().await, BASIC, "no draft brings portability scopes");
        assert!(matches!(s.submit().await, Err(SubmitError::Flawed(_))));
    }
}

db_test! {
    async fn a_stale_tab_loses_and_is_told_what_is_saved(engine) {
        let s = Studio::new(engine).await;
        let opened = s.copy().await.version;
        s.save(AppDetails { description: "first".into(), ..good() }).await.unwrap();
        let late = apps::save(&s.w.platform, &s.mara, s.app_id, opened, Change::Details(Box::new(AppDetails { description: "second".into(), ..good() }))).await;
        let Err(SaveError::Stale(now)) = late else { panic!("{late:?}") };
        assert_eq!(now.details.description, "first");
        assert_eq!(s.copy().await.details.description, "first");
        // Two at once: one wins.
        let version = s.copy().await.version;
        let save = |text: &str| Change::Details(Box::new(AppDetails { description: text.into(), ..good() }));
        let both = tokio::join!(
            apps::save(&s.w.platform, &s.mara, s.app_id, version, save("left")),
            apps::save(&s.w.platform, &s.mara, s.app_id, version, save("right")),
        );
        assert_eq!([both.0.is_ok(), both.1.is_ok()].iter().filter(|ok| **ok).count(), 1);
    }
}

db_test! {
    async fn what_belongs_to_others_is_not_taken_up(engine) {
        let s = Studio::new(engine).await;
        let other = apps::create_for(&s.w.platform, &s.mara, (OwnerKind::Account, s.mara.account_id), "Other").await.unwrap();
        let icon = s.upload(Purpose::Icon, &png()).await;
        let theirs = apps::save(&s.w.platform, &s.mara, other.app_id, 1, Change::Icon(Some(icon))).await;
        assert!(matches!(theirs, Err(SaveError::Locked(_))));
        assert!(matches!(s.change(Change::AddVideo(icon)).await, Err(SaveError::Locked(_))), "an icon is no video");
        s.change(Change::Icon(Some(icon))).await.unwrap();
        assert_eq!(s.w.number(format!("select count(*) from uploads where upload_id = {icon} and kept_at is not null")).await, 1);
        s.change(Change::Icon(None)).await.unwrap();
        assert_eq!(s.w.number(format!("select count(*) from uploads where upload_id = {icon} and kept_at is null")).await, 1);
    }
}

db_test! {
    async fn an_app_goes_live_by_an_approved_review_only(engine) {
        let s = Studio::new(engine).await;
        s.complete().await;
        let version = s.copy().await.version;
        // Pressed twice at once: submitted once.
        let both = tokio::join!(
            review::submit(&s.w.platform, &s.mara, s.app_id, version),
            review::submit(&s.w.platform, &s.mara, s.app_id, version),
        );
        assert_eq!([both.0.is_ok(), both.1.is_ok()].iter().filter(|ok| **ok).count(), 1);
        let copy = s.copy().await;
        assert_eq!((copy.state, s.app().await.status), (RevisionState::InReview, AppStatus::InReview));
        // 2026-01-01 is a Thursday: twenty working days later is Thursday, the 29th.
        assert_eq!(copy.due_at.unwrap().to_string(), "2026-01-29T23:59:59Z");
        assert!(matches!(s.save(good()).await, Err(SaveError::Locked(_))), "nobody writes what staff look at");
        // Two reviewers at once: one decides, the other is told.
        let both = tokio::join!(s.decide(Verdict::Approve), s.decide(refusal("SITE_NOT_LIVE")));
        let decided = [both.0.is_ok(), both.1.is_ok()];
        assert_eq!(decided.iter().filter(|ok| **ok).count(), 1);
        for lost in [both.0, both.1].into_iter().filter_map(Result::err) {
            assert!(matches!(lost, DecideError::Moved(now) if now.state != RevisionState::InReview));
        }
        let (status, state) = (s.app().await.status, s.copy().await.state);
        match decided[0] {
            true => assert_eq!((status, state), (AppStatus::Live, RevisionState::Approved)),
            false => assert_eq!((status, state), (AppStatus::NotApproved, RevisionState::NotApproved)),
        }
        s.w.drain().await;
        assert_eq!(s.w.number("select count(*) from notices where kind in ('app_submitted', 'app_decided')").await, 2);
    }
}

db_test! {
    async fn a_refusal_names_reasons_and_is_cured_by_another_try(engine) {
        let s = Studio::new(engine).await;
        s.complete().await;
        s.submit().await.unwrap();
        for bad in [
            Verdict::Refuse(vec![]),
            refusal("NO_SUCH_CODE"),
            Verdict::Refuse(vec![Reason { code: "OTHER".into(), text: " ".into() }]),
            Verdict::Refuse(vec![Reason { code: "SITE_NOT_LIVE".into(), text: String::new() }, Reason { code: "SITE_NOT_LIVE".into(), text: String::new() }]),
        ] {
            assert!(matches!(s.decide(bad).await, Err(DecideError::Invalid(_))));
        }
        s.w.advance(SECOND);
        let refused = s.decide(refusal("SITE_NOT_LIVE")).await.unwrap();
        assert_eq!(refused.reasons.0[0].code, "SITE_NOT_LIVE");
        let list = apps::checklist(&s.w.platform, s.app_id).await.unwrap();
        assert_eq!((list.app_review.progress, list.app_review.whose), (Progress::Refused, Move::Developer));
        assert!(!list.app_review.reasons.is_empty() && list.app_review.reasons[0].text == "The site shows a login page.");
        // Without any change, since what was wrong was the site; what was decided about stays as it was.
        s.submit().await.unwrap();
        let copy = s.copy().await;
        assert_eq!((copy.number, copy.state), (2, RevisionState::InReview));
        let all = apps::revisions(&mut s.w.platform.db.read().await.unwrap(), s.app_id).await.unwrap();
        assert_eq!((all[1].number, all[1].state), (1, RevisionState::NotApproved));
        s.decide(Verdict::Approve).await.unwrap();
        assert_eq!(s.app().await.status, AppStatus::Live);
        assert!(apps::checklist(&s.w.platform, s.app_id).await.unwrap().app_review.reasons.is_empty());
    }
}

db_test! {
    async fn a_live_app_changes_only_by_an_approved_revision(engine) {
        let s = Studio::new(engine).await;
        s.live().await;
        assert!(matches!(s.save(good()).await, Err(SaveError::Locked(_))), "a revision is begun first");
        let begun = apps::begin_revision(&s.w.platform, &s.mara, s.app_id).await.unwrap();
        let again = apps::begin_revision(&s.w.platform, &s.mara, s.app_id).await.unwrap();
        assert_eq!((begun.number, again.number, begun.state), (2, 2, RevisionState::Draft));
        let mut new = begun.details.clone();
        new.name = "Rewind".into();
        new.web.redirects = vec!["https://app.example/new".into()];
        new.user_scopes = vec![];
        s.save(new).await.unwrap();
        let unchanged = async || {
            let app = s.app().await;
            let redirects = apps::redirects(&mut s.w.platform.db.read().await.unwrap(), s.app_id).await.unwrap();
            app.name == "Replay" && app.status == AppStatus::Live && redirects[0].as_str() == "https://app.example/callback"
                && s.scopes().await == "user.info.basic,user.info.profile"
        };
        assert!(unchanged().await);
        assert!(matches!(s.submit().await, Err(SubmitError::Flawed(flaws)) if flaws[0].field == "explanation"), "what changed is told anew");
        s.change(Change::Explanation("A new name.".into())).await.unwrap();
        s.submit().await.unwrap();
        assert!(unchanged().await);
        s.decide(refusal("SITE_MISMATCH")).await.unwrap();
        assert!(unchanged().await, "a refused revision leaves the live version alone");
        s.submit().await.unwrap();
        review::recall(&s.w.platform, &s.mara, s.app_id).await.unwrap();
        assert!(unchanged().await);
        assert_eq!(s.copy().await.details.name, "Rewind");
        let version = s.copy().await.version;
        apps::revert(&s.w.platform, &s.mara, s.app_id, version).await.unwrap();
        assert_eq!(s.copy().await.details.name, "Replay");
        let mut new = s.copy().await.details;
        new.name = "Rewind".into();
        s.save(new).await.unwrap();
        s.submit().await.unwrap();
        s.decide(Verdict::Approve).await.unwrap();
        assert_eq!((s.app().await.name.as_str(), s.app().await.status), ("Rewind", AppStatus::Live));
    }
}

db_test! {
    async fn addresses_that_are_not_proved_block_a_submission(engine) {
        let s = Studio::new(engine).await;
        s.complete().await;
        let mut details = s.copy().await.details;
        details.privacy_url = "https://elsewhere.example/privacy".into();
        details.web.url = "https://notapp.example/".into();
        s.save(details).await.unwrap();
        let Err(SubmitError::Flawed(flaws)) = s.submit().await else { panic!("it was submitted") };
        assert_eq!(flaws.iter().map(|flaw| flaw.field).collect::<Vec<_>>(), ["privacy-url", "web-url"]);
        s.prove(s.mara.account_id, "elsewhere.example").await;
        s.prove(7, "notapp.example").await;
        let Err(SubmitError::Flawed(flaws)) = s.submit().await else { panic!("it was submitted") };
        assert_eq!(flaws.iter().map(|flaw| flaw.field).collect::<Vec<_>>(), ["web-url"], "somebody else's proof is not the owner's");
    }
}

db_test! {
    async fn suspended_and_revoked_are_not_lifted_by_a_review(engine) {
        let s = Studio::new(engine).await;
        s.live().await;
        apps::begin_revision(&s.w.platform, &s.mara, s.app_id).await.unwrap();
        s.change(Change::Explanation("More.".into())).await.unwrap();
        s.submit().await.unwrap();
        let key = s.app().await.client_key;
        for status in [AppStatus::Suspended, AppStatus::Revoked] {
            let details = Details { status: Some(status), ..Details::default() };
            apps::change(&s.w.platform, Actor::Operator, &key, details).await.unwrap();
            assert!(matches!(s.decide(Verdict::Approve).await, Err(DecideError::Invalid(_))));
            assert_eq!((s.app().await.status, s.copy().await.state), (status, RevisionState::InReview), "the refused act changed nothing");
        }
        s.decide(refusal("TERMS_BREACHED")).await.unwrap();
        assert_eq!(s.app().await.status, AppStatus::Revoked);
        assert!(matches!(s.submit().await, Err(SubmitError::Save(SaveError::Locked(_)))));
    }
}

db_test! {
    async fn only_an_approved_family_is_switched_on(engine) {
        let s = Studio::new(engine).await;
        s.live().await;
        let actor = s.mara.actor();
        let family = "portability.activity";
        assert!(matches!(apps::switch_on(&s.w.platform, actor, s.app_id, family).await, Err(SwitchError::NotApproved)));
        s.approve(family).await;
        assert_eq!(s.scopes().await, "user.info.basic,user.info.profile", "an approval switches nothing on");
        assert!(!apps::checklist(&s.w.platform, s.app_id).await.unwrap().answers);
        apps::switch_on(&s.w.platform, actor, s.app_id, family).await.unwrap();
        apps::switch_on(&s.w.platform, actor, s.app_id, family).await.unwrap();
        assert_eq!(s.scopes().await, "portability.activity.ongoing,portability.activity.single,user.info.basic,user.info.profile");
        assert!(apps::checklist(&s.w.platform, s.app_id).await.unwrap().answers);
        // The operator's own hand does not write them either.
        let key = s.app().await.client_key;
        let details = Details { scopes: Some(crate::support::set(&["portability.all.single"])), ..Details::default() };
        assert!(matches!(apps::change(&s.w.platform, Actor::Operator, &key, details).await, Err(apps::ChangeError::Invalid(_))));
        // And what was written behind everybody's back does not count.
        s.w.execute(format!("insert into app_scopes (app_id, scope) values ({}, 'portability.all.single')", s.app_id)).await;
        assert!(!s.scopes().await.contains("portability.all"));

        let app = s.app().await;
        let tokens = s.w.tokens_of(&app, s.w.anna, &[BASIC, ACTIVITY]).await;
        let bearer = s.w.bearer(&tokens).await;
        let mut tx = s.w.platform.db.begin().await.unwrap();
        apps::withdraw_families(&mut tx, &s.w.platform, Actor::Staff(s.rita.account_id), s.app_id, &[family.into()]).await.unwrap();
        tx.commit().await.unwrap();
        assert!(matches!(s.w.try_add(&bearer, &["activity"]).await, Err(AddRefusal::Standing)), "a consent outlives an approval, data does not flow");
        assert_eq!(s.w.left(&bearer).await, [BASIC, ACTIVITY], "and nothing is spent");
        s.approve(family).await;
        s.w.add(&bearer, &["activity"]).await;
        apps::switch_off(&s.w.platform, actor, s.app_id, family).await.unwrap();
        assert!(!s.scopes().await.contains("portability"));
    }
}

db_test! {
    async fn a_secret_is_shown_once_and_rotated_with_overlap(engine) {
        let s = Studio::new(engine).await;
        let (p, actor, id) = (&s.w.platform, s.mara.actor(), s.app_id);
        let facts = async || apps::secret_facts(&mut p.db.read().await.unwrap(), id, p.now()).await.unwrap();
        let holds = async |secret: &str| apps::holds_secret(p, &mut p.db.read().await.unwrap(), id, secret).await.unwrap();
        let first = facts().await[0].secret_id;
        let other = apps::create_for(p, &s.mara, (OwnerKind::Account, s.mara.account_id), "Other").await.unwrap();
        assert!(apps::reveal_secret(p, actor, other.app_id, first).await.unwrap().is_none(), "not as another app's");
        let both = tokio::join!(apps::reveal_secret(p, actor, id, first), apps::reveal_secret(p, actor, id, first));
        let shown: Vec<_> = [both.0.unwrap(), both.1.unwrap()].into_iter().flatten().collect();
        assert_eq!(shown.len(), 1);
        assert!(apps::reveal_secret(p, actor, id, first).await.unwrap().is_none());
        let old = shown[0].to_string();
        assert!(holds(&old).await);

        let twice = tokio::join!(apps::rotate(p, actor, id, first, DAY), apps::rotate(p, actor, id, first, DAY));
        assert_eq!([twice.0.is_ok(), twice.1.is_ok()].iter().filter(|ok| **ok).count(), 1, "a form sent twice rotates once");
        let held = facts().await;
        assert_eq!((held.len(), held[0].retires_at, held[1].secret_id), (2, None, first));
        let new = apps::reveal_secret(p, actor, id, held[0].secret_id).await.unwrap().unwrap().to_string();
        assert!(holds(&old).await && holds(&new).await);
        assert!(apps::end_secret(p, actor, id, held[0].secret_id).await.is_err(), "the newest goes on");
        apps::end_secret(p, actor, id, first).await.unwrap();
        assert!(!holds(&old).await && holds(&new).await);
        let audited = s.w.texts("select detail from audit where action like 'app.secret%'").await;
        assert!(audited.iter().all(|detail| !detail.contains(&new)));
    }
}

db_test! {
    async fn a_deleted_app_leaves_nothing_that_works(engine) {
        let s = Studio::new(engine).await;
        s.live().await;
        s.approve("portability.activity").await;
        apps::switch_on(&s.w.platform, s.mara.actor(), s.app_id, "portability.activity").await.unwrap();
        let app = s.app().await;
        let tokens = s.w.tokens_of(&app, s.w.anna, &[BASIC, ACTIVITY]).await;
        let bearer = s.w.bearer(&tokens).await;
        let request = s.w.add(&bearer, &["activity"]).await;
        s.w.drain().await;
        assert!(s.w.archive(request).await.is_some());
        let secret = apps::secret_facts(&mut s.w.platform.db.read().await.unwrap(), s.app_id, s.w.platform.now()).await.unwrap();
        let client = grants::client_token(&s.w.platform, s.app_id).await.unwrap();
        assert!(apps::delete(&s.w.platform, s.mara.actor(), s.app_id).await.unwrap());
        assert!(!apps::delete(&s.w.platform, s.mara.actor(), s.app_id).await.unwrap());
        let mut tx = s.w.platform.db.read().await.unwrap();
        assert!(apps::by_client_key(&mut tx, &app.client_key).await.unwrap().is_none());
        drop(tx);
        assert!(grants::bearer(&s.w.platform, &tokens.access_token, None).await.unwrap().is_none());
        assert!(s.w.archive(request).await.is_none(), "the archive's key is gone");
        for table in ["app_secrets", "app_scopes", "app_redirects"] {
            assert_eq!(s.w.number(format!("select count(*) from {table} where app_id = {}", s.app_id)).await, 0, "{table}");
        }
        assert_eq!(s.w.number(format!("select count(*) from tokens where app_id = {} and grant_id is null", s.app_id)).await, 0);
        assert_eq!(s.w.number(format!("select count(*) from grants where app_id = {} and ended_at is null", s.app_id)).await, 0);
        assert!(apps::reveal_secret(&s.w.platform, s.mara.actor(), s.app_id, secret[0].secret_id).await.unwrap().is_none());
        assert!(!client.access_token.is_empty());
        assert!(matches!(s.save(good()).await, Err(SaveError::Unknown)));
        s.w.drain().await;
    }
}

db_test! {
    async fn a_deletion_that_was_cut_off_is_finished_by_the_clock(engine) {
        let s = Studio::new(engine).await;
        s.live().await;
        let app = s.app().await;
        let tokens = s.w.tokens_of(&app, s.w.anna, &[BASIC]).await;
        s.w.execute(format!("update apps set deleted_at = 1 where app_id = {}", s.app_id)).await;
        assert!(!s.w.lives(&tokens).await, "its tokens are dead already");
        s.w.keep("expire").await;
        assert_eq!(s.w.texts(format!("select end_cause from grants where app_id = {}", s.app_id)).await, ["app_deleted"]);
    }
}

db_test! {
    async fn a_transfer_is_accepted_by_the_other_organisation_and_ends_what_was_approved(engine) {
        let s = Studio::new(engine).await;
        s.live().await;
        s.approve("portability.activity").await;
        apps::switch_on(&s.w.platform, s.mara.actor(), s.app_id, "portability.activity").await.unwrap();
        let app = s.app().await;
        let person = s.w.anna;
        s.w.tokens_of(&app, s.w.anna, &[BASIC]).await;
        let olga = developer(&s.w, "olga@films.example").await;
        let house = s.organisation(&olga).await;
        let (p, to) = (&s.w.platform, house.organisation_id);
        assert!(matches!(transfer::offer(p, &s.mara, s.app_id, 12345).await, Err(TransferError::State(_))));
        let first = transfer::offer(p, &s.mara, s.app_id, to).await.unwrap();
        let offer = transfer::offer(p, &s.mara, s.app_id, to).await.unwrap();
        assert!(matches!(transfer::answer(p, &olga, to, first.transfer_id, true).await, Err(TransferError::Unknown)), "a newer offer ends it");
        assert!(matches!(transfer::answer(p, &s.mara, to, offer.transfer_id, true).await, Err(TransferError::Unknown)));
        let eve = developer(&s.w, "eve@evil.example").await;
        let den = s.organisation(&eve).await;
        assert!(matches!(transfer::answer(p, &eve, den.organisation_id, offer.transfer_id, true).await, Err(TransferError::Unknown)));
        let both = tokio::join!(transfer::answer(p, &olga, to, offer.transfer_id, true), transfer::answer(p, &olga, to, offer.transfer_id, false));
        assert_eq!([both.0.is_ok(), both.1.is_ok()].iter().filter(|ok| **ok).count(), 1);
        if s.app().await.owner_id != to {
            // The refusal was faster.
            let offer = transfer::offer(p, &s.mara, s.app_id, to).await.unwrap();
            transfer::answer(p, &olga, to, offer.transfer_id, true).await.unwrap();
        }
        let app = s.app().await;
        assert_eq!((app.owner_kind, app.owner_id, app.status), (OwnerKind::Organisation, to, AppStatus::Live));
        let mut tx = p.db.read().await.unwrap();
        assert!(organisations::seat_at_app(&mut tx, &app, s.mara.account_id).await.unwrap().is_none());
        assert!(apps::approvals(&mut tx, s.app_id).await.unwrap().is_empty());
        drop(tx);
        assert!(!s.scopes().await.contains("portability"));
        assert!(grants::union_id(p, s.app_id, person).await.unwrap().is_some(), "who is connected has a name for the new owner");
    }
}

db_test! {
    async fn nothing_changes_hands_while_it_is_looked_at(engine) {
        let s = Studio::new(engine).await;
        let house = s.organisation(&s.mara).await;
        s.complete().await;
        let offer = transfer::offer(&s.w.platform, &s.mara, s.app_id, house.organisation_id).await.unwrap();
        s.submit().await.unwrap();
        let taken = transfer::answer(&s.w.platform, &s.mara, house.organisation_id, offer.transfer_id, true).await;
        assert!(matches!(taken, Err(TransferError::State(_))));
        assert!(matches!(transfer::offer(&s.w.platform, &s.mara, s.app_id, house.organisation_id).await, Err(TransferError::State(_))));
        review::recall(&s.w.platform, &s.mara, s.app_id).await.unwrap();
        transfer::answer(&s.w.platform, &s.mara, house.organisation_id, offer.transfer_id, true).await.unwrap();
        s.w.advance(15 * DAY);
        let other = apps::create_for(&s.w.platform, &s.mara, (OwnerKind::Account, s.mara.account_id), "Other").await.unwrap();
        let offer = transfer::offer(&s.w.platform, &s.mara, other.app_id, house.organisation_id).await.unwrap();
        s.w.advance(14 * DAY + SECOND);
        let late = transfer::answer(&s.w.platform, &s.mara, house.organisation_id, offer.transfer_id, true).await;
        assert!(matches!(late, Err(TransferError::Unknown)));
    }
}

db_test! {
    async fn the_queue_goes_by_due_date_and_finds_what_is_typed(engine) {
        let first = Studio::new(engine).await;
        first.complete().await;
        first.submit().await.unwrap();
        let (rita, key) = (first.rita.clone(), first.app().await.client_key);
        first.w.advance(3 * DAY);
        let second = Studio::in_world(first.w).await;
        let mut details = good();
        details.name = "100% Film_Night".into();
        second.complete().await;
        second.save(AppDetails { name: details.name.clone(), ..second.copy().await.details }).await.unwrap();
        second.submit().await.unwrap();
        let w = &second.w;
        let found = async |whose, words: &str| {
            let lines = review::queue(&mut w.platform.db.read().await.unwrap(), whose, words, None, 50).await.unwrap();
            lines.into_iter().map(|line| line.app_name).collect::<Vec<_>>()
        };
        assert_eq!(found(Whose::All, "").await, ["Replay", "100% Film_Night"]);
        assert_eq!(found(Whose::All, "100%").await, ["100% Film_Night"]);
        assert_eq!(found(Whose::All, "film_n").await, ["100% Film_Night"]);
        assert_eq!(found(Whose::All, "_").await, ["100% Film_Night"], "what is typed stands for itself");
        assert_eq!(found(Whose::All, &key).await, ["Replay"]);
        assert!(found(Whose::All, "\0").await.len() == 2 && found(Whose::All, "nothing").await.is_empty());
        let lines = review::queue(&mut w.platform.db.read().await.unwrap(), Whose::All, "", None, 1).await.unwrap();
        let after = (lines[0].due_at.unwrap(), lines[0].revision_id);
        let rest = review::queue(&mut w.platform.db.read().await.unwrap(), Whose::All, "", Some(after), 50).await.unwrap();
        assert_eq!(rest.len(), 1);
        assert!(review::assign(&w.platform, &rita, lines[0].revision_id, Some(rita.account_id)).await.unwrap());
        assert_eq!(found(Whose::Of(rita.account_id), "").await, ["Replay"]);
        assert_eq!(found(Whose::Nobodys, "").await, ["100% Film_Night"]);
        second.decide(Verdict::Approve).await.unwrap();
        let done = review::decided(&mut w.platform.db.read().await.unwrap(), "", None, 50).await.unwrap();
        assert_eq!((done.len(), done[0].app_name.as_str()), (1, "100% Film_Night"));
        assert_eq!(review::load(&mut w.platform.db.read().await.unwrap(), w.platform.now()).await.unwrap(), (1, 0));
        assert_eq!(review::load(&mut w.platform.db.read().await.unwrap(), w.platform.now() + 60 * DAY).await.unwrap(), (1, 1));
    }
}

// Any order of events.

#[derive(Clone, Copy, Debug)]
enum Event {
    Save(bool),
    Explain,
    Submit,
    SubmitStale,
    Recall,
    Begin,
    Revert,
    Approve,
    Refuse,
    DecideStale,
    Suspend,
    Lift,
    Pass,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => any::<bool>().prop_map(Event::Save),
        2 => Just(Event::Explain),
        6 => Just(Event::Submit),
        1 => Just(Event::SubmitStale),
        2 => Just(Event::Recall),
        3 => Just(Event::Begin),
        1 => Just(Event::Revert),
        5 => Just(Event::Approve),
        3 => Just(Event::Refuse),
        1 => Just(Event::DecideStale),
        1 => Just(Event::Suspend),
        1 => Just(Event::Lift),
        1 => Just(Event::Pass),
    ]
}

/// What must be true whatever happened.
async fn is_sound(s: &Studio, before: &[Revision], status_before: AppStatus, event: Event) -> Vec<Revision> {
    let now = apps::revisions(&mut s.w.platform.db.read().await.unwrap(), s.app_id).await.unwrap();
    let app = s.app().await;
    let by_operator = matches!(event, Event::Suspend | Event::Lift);
    // Numbers without holes, and only the newest is open.
    for (place, revision) in now.iter().enumerate() {
        assert_eq!(usize::try_from(revision.number).unwrap(), now.len() - place);
        let open = matches!(revision.state, RevisionState::Draft | RevisionState::InReview);
        assert!(!open || place == 0, "{event:?}: revision {} is open below a newer one", revision.number);
        assert_eq!(revision.decided_at.is_some(), matches!(revision.state, RevisionState::Approved | RevisionState::NotApproved));
        assert_eq!(!revision.reasons.0.is_empty(), revision.state == RevisionState::NotApproved);
        assert!(revision.state == RevisionState::Draft || revision.submitted_at.is_some());
    }
    for old in before {
        let new = now.iter().find(|new| new.revision_id == old.revision_id).expect("no revision vanishes");
        if old.state != new.state {
            assert!(new.state.may_come_from().contains(&old.state), "{event:?}: {} to {}", old.state, new.state);
        }
        if old.state != RevisionState::Draft {
            assert_eq!(
                (&old.details, &old.explanation),
                (&new.details, &new.explanation),
                "what was submitted is not written again"
            );
        }
        assert!(new.version >= old.version);
    }
    if app.status != status_before && !by_operator {
        assert!(apps::review_may_move_from(app.status).contains(&status_before), "{event:?}: {status_before} to {}", app.status);
    }
    // What is in force is what was approved last, and nothing else went live.
    let approved = now.iter().find(|revision| revision.state == RevisionState::Approved);
    if let Some(approved) = approved {
        assert_eq!(app.name, approved.details.name, "{event:?}");
        let redirects = apps::redirects(&mut s.w.platform.db.read().await.unwrap(), s.app_id).await.unwrap();
        let mut wanted = approved.details.web.redirects.clone();
        wanted.sort();
        assert_eq!(redirects.iter().map(|uri| uri.as_str().to_owned()).collect::<Vec<_>>(), wanted, "{event:?}");
    } else {
        assert!(matches!(app.status, AppStatus::Draft | AppStatus::InReview | AppStatus::NotApproved | AppStatus::Suspended));
    }
    if app.status == AppStatus::InReview {
        assert_eq!(now[0].state, RevisionState::InReview);
    }
    assert!(!s.scopes().await.contains("portability"));
    now
}

async fn walk(s: &Studio, events: Vec<Event>) {
    let p = &s.w.platform;
    s.complete().await;
    let mut revisions = apps::revisions(&mut p.db.read().await.unwrap(), s.app_id).await.unwrap();
    for (step, event) in events.into_iter().enumerate() {
        let status = s.app().await.status;
        let copy = s.copy().await;
        match event {
            Event::Save(fit) => {
                let mut details = copy.details.clone();
                details.name = if fit { format!("Replay {step}") } else { String::new() };
                details.web.redirects = vec![format!("https://app.example/{step}")];
                let done = s.save(details).await;
                let may = !matches!(copy.state, RevisionState::InReview | RevisionState::Approved);
                assert_eq!(done.is_ok(), may, "{done:?}");
            }
            Event::Explain => drop(s.change(Change::Explanation(format!("Step {step}"))).await),
            Event::Submit => {
                let done = s.submit().await;
                let open = !matches!(copy.state, RevisionState::InReview | RevisionState::Approved);
                let fit = !copy.details.name.is_empty() && !copy.explanation.is_empty();
                assert_eq!(done.is_ok(), open && fit && status != AppStatus::Suspended, "{done:?}");
            }
            Event::SubmitStale => assert!(review::submit(p, &s.mara, s.app_id, copy.version - 1).await.is_err()),
            Event::Recall => {
                assert_eq!(review::recall(p, &s.mara, s.app_id).await.is_ok(), copy.state == RevisionState::InReview);
            }
            Event::Begin => {
                let begun = apps::begin_revision(p, &s.mara, s.app_id).await.unwrap();
                assert_eq!(begun.number - copy.number, i32::from(copy.state == RevisionState::Approved));
            }
            Event::Revert => drop(apps::revert(p, &s.mara, s.app_id, copy.version).await),
            Event::Approve => {
                let done = s.decide(Verdict::Approve).await;
                assert_eq!(
                    done.is_ok(),
                    copy.state == RevisionState::InReview && status != AppStatus::Suspended && status != AppStatus::Draft,
                    "{done:?}"
                );
            }
            Event::Refuse => assert_eq!(s.decide(refusal("SITE_NOT_LIVE")).await.is_ok(), copy.state == RevisionState::InReview),
            Event::DecideStale => {
                let stale = review::decide(p, &s.rita, copy.revision_id, copy.version - 1, Verdict::Approve).await;
                assert!(matches!(stale, Err(DecideError::Moved(_))));
            }
            Event::Suspend | Event::Lift => {
                // The operator stops what is live, and lifts it.
                let to = match (event, status) {
                    (Event::Suspend, AppStatus::Live) => Some(AppStatus::Suspended),
                    (Event::Lift, AppStatus::Suspended) => Some(AppStatus::Live),
                    _ => None,
                };
                if to.is_some() {
                    let key = s.app().await.client_key;
                    apps::change(p, Actor::Operator, &key, Details { status: to, ..Details::default() }).await.unwrap();
                }
            }
            Event::Pass => s.w.advance(Duration::from_secs(7200)),
        }
        revisions = is_sound(s, &revisions, status, event).await;
    }
}

fn any_order(engine: Engine) {
    let runtime = runtime();
    let world = std::cell::RefCell::new(Some(runtime.block_on(World::new(engine))));
    let mut runner = TestRunner::new(Config { cases: 12, failure_persistence: None, max_shrink_iters: 40, ..Config::default() });
    let walked = runner.run(&prop::collection::vec(event(), 10..40), |events| {
        let w = world.borrow_mut().take().expect("one walk at a time");
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            runtime.block_on(async {
                let s = Studio::in_world(w).await;
                walk(&s, events).await;
                s.w
            })
        }));
        match caught {
            Ok(w) => {
                *world.borrow_mut() = Some(w);
                Ok(())
            }
            Err(told) => {
                *world.borrow_mut() = Some(runtime.block_on(World::new(engine)));
                let told = told.downcast_ref::<String>().cloned().unwrap_or_else(|| "a step was not sound".into());
                Err(TestCaseError::fail(told))
            }
        }
    });
    walked.unwrap();
}

#[test]
fn any_order_of_events_keeps_the_tables_sqlite() {
    any_order(Engine::Sqlite);
}

#[test]
fn any_order_of_events_keeps_the_tables_postgres() {
    if postgres_is_there() {
        any_order(Engine::Postgres);
    }
}
