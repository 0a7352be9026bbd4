//! Reviews of apps that pass their due date: told, once, to both sides; decided by nobody but staff. And cases that are handed on.

use platform::accounts::{Account, Role};
use platform::applications;
use platform::apps::review::Verdict;
use platform::apps::{self, AppStatus, RevisionState};
use platform::audit::Actor;
use platform::notices;

use crate::app_review::Studio;
use crate::applications::{Desk, staff};
use crate::db_test;
use crate::support::{DAY, MS};

impl Studio {
    /// The mails about the app, each with whom it went to.
    async fn mails(&self) -> Vec<(String, String)> {
        let mut tx = self.w.platform.db.read().await.unwrap();
        let rows = notices::list(&mut tx, Some(self.app_id), 100).await.unwrap();
        let mut mails: Vec<_> = rows.into_iter().map(|row| (row.kind.to_string(), row.recipient)).collect();
        mails.sort();
        mails
    }
}

db_test! {
    async fn a_missed_limit_of_an_app_review_is_told_once_and_decides_nothing(engine) {
        let s = Studio::new(engine).await;
        staff(&s.w, "Ada", &[Role::Administrator]).await;
        s.complete().await;
        let submitted = s.submit().await.unwrap();
        let due = submitted.due_at.unwrap();
        s.w.advance(due.since(s.w.platform.now()));
        s.w.keep("review").await;
        assert!(s.copy().await.escalated_at.is_none(), "the last day is not over");
        assert!(!apps::checklist(&s.w.platform, s.app_id).await.unwrap().app_review.late);
        s.w.advance(MS);
        s.w.keep("review").await;
        s.w.keep("review").await;
        let late = s.copy().await;
        assert!(late.is_late(s.w.platform.now()) && late.escalated_at == Some(s.w.platform.now()));
        assert_eq!((late.state, late.due_at, late.version), (RevisionState::InReview, Some(due), submitted.version));
        assert_eq!(s.app().await.status, AppStatus::InReview, "the clock decides nothing");
        assert!(apps::checklist(&s.w.platform, s.app_id).await.unwrap().app_review.late);
        assert_eq!(s.mails().await, [
            ("app_escalated".to_owned(), "ada@operator.example".to_owned()),
            ("app_late".to_owned(), s.mara.email.clone()),
            ("app_submitted".to_owned(), s.mara.email.clone()),
        ]);
        assert_eq!(s.w.actions().await.iter().filter(|action| *action == "app.review_late").count(), 1);
        // A page that was opened before still decides.
        apps::review::decide(&s.w.platform, &s.rita, late.revision_id, submitted.version, Verdict::Approve).await.unwrap();
        assert_eq!(s.app().await.status, AppStatus::Live);
        assert!(!s.copy().await.is_late(s.w.platform.now()));
        s.w.advance(400 * DAY);
        s.w.keep("review").await;
        assert_eq!(s.mails().await.len(), 4, "and nothing more is told of what is decided");
    }
}

db_test! {
    async fn what_was_recalled_or_deleted_is_late_no_more_and_who_left_is_not_told(engine) {
        let s = Studio::new(engine).await;
        s.complete().await;
        s.submit().await.unwrap();
        apps::review::recall(&s.w.platform, &s.mara, s.app_id).await.unwrap();
        s.w.advance(100 * DAY);
        s.w.keep("review").await;
        assert_eq!(s.mails().await.len(), 1, "recalled");
        s.submit().await.unwrap();
        s.w.execute(format!("update app_revisions set submitted_by = null where app_id = {}", s.app_id)).await;
        s.w.execute(format!("update accounts set disabled_at = 1 where account_id = {}", s.mara.account_id)).await;
        s.w.advance(100 * DAY);
        s.w.keep("review").await;
        assert!(s.copy().await.escalated_at.is_some());
        assert!(!s.mails().await.iter().any(|(kind, _)| kind == "app_late"), "nobody is there to be told");
        s.w.execute("update app_revisions set escalated_at = null").await;
        apps::delete(&s.w.platform, Actor::Operator, s.app_id).await.unwrap();
        s.w.keep("review").await;
        assert!(s.w.number("select count(*) from app_revisions where escalated_at is not null").await == 0, "deleted");
    }
}

db_test! {
    async fn who_is_handed_a_case_is_told_and_who_takes_one_is_not(engine) {
        let s = Studio::new(engine).await;
        let other = staff(&s.w, "Ruben", &[Role::Reviewer]).await;
        s.complete().await;
        let review = s.submit().await.unwrap().revision_id;
        let assign = async |by: &Account, to: Option<i64>| apps::review::assign(&s.w.platform, by, review, to).await.unwrap();
        assert!(assign(&s.rita, Some(s.rita.account_id)).await);
        assert!(assign(&s.rita, None).await);
        assert_eq!(s.mails().await.len(), 1, "taken and laid back");
        assert!(assign(&s.rita, Some(other.account_id)).await);
        assert!(assign(&s.rita, Some(other.account_id)).await);
        let handed = s.mails().await.into_iter().filter(|(kind, _)| kind == "case_handed").collect::<Vec<_>>();
        assert_eq!(handed, [("case_handed".to_owned(), "ruben@operator.example".to_owned())], "once");

        let desk = Desk::new(engine).await;
        let taken = desk.ready(&["portability.activity.single"]).await;
        let [first, second, _] = &desk.reviewers[..] else { panic!() };
        let (id, version) = (taken.application_id, taken.version);
        applications::review::assign(&desk.w.platform, first, id, version, second.account_id, "You read Finnish.").await.unwrap();
        desk.w.drain().await;
        let told = desk.w.outbox().to("ruben@operator.example").pop().unwrap();
        assert_eq!(told.kind.as_str(), "case_handed");
        assert!(told.rendered.text.contains("You read Finnish.") && told.rendered.text.contains(&taken.reference()));
        assert_eq!(told.link("/console/applications/").unwrap(), format!("/console/applications/{id}"));
    }
}
