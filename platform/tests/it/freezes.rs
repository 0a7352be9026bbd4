//! The brake: what a freeze stops, who ends it, and what becomes of what waited.

use std::time::Duration;

use platform::accounts::{self, NewStaff, Role};
use platform::audit::Actor;
use platform::freezes::{self, Freeze, Hand, Refusal, State, Target};
use platform::requests::{self, AddRefusal, RequestState, Standing};
use platform::settings::Span;

use crate::db_test;
use crate::support::{ACTIVITY, ACTIVITY_ONGOING, ALL, BASIC, DAY, HOUR, MINUTE, MS, PROFILE, SECOND, Source, World};

const ONE: Hand = Hand::staff(1);
const OTHER: Hand = Hand::staff(2);

async fn freeze(w: &World, target: Target) -> Freeze {
    freezes::make(&w.platform, ONE, &target, "Something is wrong.").await.unwrap()
}

async fn lift(w: &World, freeze: &Freeze) {
    freezes::lift(&w.platform, OTHER, freeze.freeze_id, "All is well.").await.unwrap();
}

fn app(w: &World) -> Target {
    Target::App(w.app.app_id)
}

db_test! {
    async fn what_is_frozen_is_not_asked_for_and_goes_on_when_it_is_lifted(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING, PROFILE]).await;
        for target in [app(&w), Target::Category("doings".into()), Target::Source("clips".into()), Target::Everything] {
            let waits = w.add(&bearer, &["activity"]).await;
            let done = w.add(&bearer, &["activity"]).await;
            // One is ready before, the other waits.
            w.execute(format!("update jobs set run_at = run_at + 1000000 where payload like '%{}%'", waits.get())).await;
            w.drain().await;
            assert_eq!((w.state(waits).await, w.state(done).await), (RequestState::Queued, RequestState::Ready));
            w.execute("update jobs set run_at = 0").await;

            let made = freeze(&w, target.clone()).await;
            assert_eq!(made.state(), State::Unconfirmed);
            let refused = w.try_add(&bearer, &["activity"]).await.unwrap_err();
            match target {
                Target::App(_) => assert!(matches!(refused, AddRefusal::Standing), "{refused}"),
                _ => assert!(matches!(refused, AddRefusal::Frozen(_)), "{refused}"),
            }
            w.drain().await;
            assert_eq!(w.state(waits).await, RequestState::Queued, "{target:?}");
            assert_eq!(requests::may_read(&w.platform, done.get()).await.unwrap(), Standing::Frozen);
            // It was not counted as a failure of the export.
            assert_eq!(w.number("select count(*) from jobs where max_attempts > attempt").await, 1);
            lift(&w, &made).await;
            w.drain().await;
            assert_eq!(w.state(waits).await, RequestState::Ready, "{target:?}");
            assert_eq!(requests::may_read(&w.platform, done.get()).await.unwrap(), Standing::Free);
        }
    }
}

db_test! {
    async fn a_category_stops_whoever_takes_its_data_and_nobody_else(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING, PROFILE, ALL]).await;
        let activity = freeze(&w, Target::Category("activity".into())).await;
        assert!(matches!(w.try_add(&bearer, &["activity"]).await, Err(AddRefusal::Frozen(name)) if name == "activity"));
        assert!(matches!(w.try_add(&bearer, &["all_data"]).await, Err(AddRefusal::Frozen(name)) if name == "all_data"));
        w.add(&bearer, &["profile"]).await;
        lift(&w, &activity).await;
        let everything_at_once = freeze(&w, Target::Category("all_data".into())).await;
        assert!(w.try_add(&bearer, &["all_data"]).await.is_err());
        w.add(&bearer, &["activity"]).await;
        lift(&w, &everything_at_once).await;
        // The single for all was spent on the profile: of two that cover a call the broadest is.
        let again = w.consent(&[BASIC, ALL]).await;
        w.add(&again, &["all_data"]).await;
    }
}

db_test! {
    async fn a_running_build_stops_and_begins_anew_when_the_freeze_is_lifted(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        w.shut();
        let end = w.begin(&w.platform, id, 1).await;
        let made = freeze(&w, app(&w)).await;
        tokio::time::timeout(Duration::from_secs(5), end).await.expect("it stops within five seconds").unwrap();
        w.open(Source::Good);
        assert_eq!(w.state(id).await, RequestState::Queued);
        assert_eq!(w.left(&bearer).await, [BASIC], "the single is still its own");
        assert_eq!(w.drain().await, 0, "it is laid by");
        lift(&w, &made).await;
        w.drain().await;
        assert_eq!(w.state(id).await, RequestState::Ready);
        assert!(w.objects().len() == 1, "nothing is left of the first attempt");
    }
}

db_test! {
    async fn two_people_are_needed(engine) {
        let w = World::new(engine).await;
        let made = freeze(&w, app(&w)).await;
        let again = freezes::make(&w.platform, OTHER, &app(&w), "Again.").await;
        assert!(matches!(again, Err(Refusal::Already(id)) if id == made.freeze_id));
        for hand in [ONE, Hand::operator(Some(1))] {
            assert!(matches!(freezes::confirm(&w.platform, hand, made.freeze_id).await, Err(Refusal::SamePerson)));
            assert!(matches!(freezes::lift(&w.platform, hand, made.freeze_id, "Mine.").await, Err(Refusal::SamePerson)));
        }
        assert_eq!(freezes::confirm(&w.platform, OTHER, made.freeze_id).await.unwrap().state(), State::Confirmed);
        let twice = freezes::confirm(&w.platform, OTHER, made.freeze_id).await;
        assert!(matches!(twice, Err(Refusal::Moved(State::Confirmed))));
        assert!(matches!(freezes::lift(&w.platform, OTHER, made.freeze_id, " ").await, Err(Refusal::Reason)));
        lift(&w, &made).await;
        for moved in [
            freezes::lift(&w.platform, OTHER, made.freeze_id, "Twice.").await,
            freezes::confirm(&w.platform, OTHER, made.freeze_id).await,
        ] {
            assert!(matches!(moved, Err(Refusal::Moved(State::Lifted))));
        }
        // The command line that named nobody is one person too.
        let made = freezes::make(&w.platform, Hand::operator(None), &Target::Everything, "At night.").await.unwrap();
        assert!(matches!(freezes::lift(&w.platform, Hand::operator(None), made.freeze_id, "x").await, Err(Refusal::SamePerson)));
        lift(&w, &made).await;
        for (target, reason) in [(Target::App(7), "x"), (Target::Category("x".into()), "x"), (Target::Source("x".into()), "x")] {
            assert!(matches!(freezes::make(&w.platform, ONE, &target, reason).await, Err(Refusal::Nothing(_))));
        }
        for reason in ["", " \n", &"x".repeat(2001), "a\0b"] {
            assert!(matches!(freezes::make(&w.platform, ONE, &Target::Everything, reason).await, Err(Refusal::Reason)));
        }
        let actions = w.actions().await;
        let of_freezes = actions.iter().filter(|action| action.starts_with("freeze.")).count();
        assert_eq!(of_freezes, 5, "{actions:?}");
    }
}

db_test! {
    async fn another_process_sees_a_freeze_within_a_second_whatever_its_clock_does(engine) {
        let w = World::new(engine).await;
        let other = w.another(|_| {}).await;
        assert!(!freezes::living(&other).await.unwrap().everything());
        let made = freeze(&w, Target::Everything).await;
        assert!(freezes::living(&w.platform).await.unwrap().everything(), "here at once");
        w.advance(SECOND);
        assert!(freezes::living(&other).await.unwrap().everything());
        lift(&w, &made).await;
        w.advance(SECOND);
        assert!(!freezes::living(&other).await.unwrap().everything());
        // A clock that was wrong by a year is set right: what was known then counts no more.
        w.advance(365 * DAY);
        assert!(!freezes::living(&other).await.unwrap().everything());
        freeze(&w, Target::Everything).await;
        let platform::Clock::Set(now) = &w.platform.clock else { panic!("a clock set by hand") };
        now.fetch_sub(i64::try_from((364 * DAY).as_millis()).unwrap(), std::sync::atomic::Ordering::SeqCst);
        assert!(freezes::living(&other).await.unwrap().everything());
    }
}

db_test! {
    async fn who_waits_too_long_gets_the_single_back(engine) {
        let w = World::with(engine, |settings| settings.freezes.held = Span::days(10)).await;
        let bearer = w.consent(&[BASIC, ACTIVITY, PROFILE]).await;
        let ready = w.add(&bearer, &["profile"]).await;
        w.drain().await;
        let id = w.add(&bearer, &["activity"]).await;
        freeze(&w, Target::Everything).await;
        w.drain().await;
        // An archive that nobody could fetch gives back what it cost.
        w.advance(4 * DAY);
        w.keep("expire").await;
        assert_eq!((w.state(ready).await, w.state(id).await), (RequestState::Expired, RequestState::Queued));
        assert_eq!(w.left(&bearer).await, [BASIC, PROFILE]);
        w.advance(6 * DAY);
        w.drain().await;
        let failed = w.request(id).await;
        assert_eq!((failed.status, failed.failure.as_deref()), (RequestState::Failed, Some("held_too_long")));
        assert_eq!(w.left(&bearer).await, [BASIC, ACTIVITY, PROFILE]);
    }
}

db_test! {
    async fn what_nobody_looked_at_goes_on_and_is_told(engine) {
        let w = World::new(engine).await;
        let staff = async |email: &str, role| {
            let new = NewStaff {
                email: email.into(),
                name: "Staff".into(),
                roles: vec![role],
                password: Some("a gorge, seven kites".into()),
            };
            accounts::create_staff(&w.platform, Actor::Operator, new, false).await.unwrap().0
        };
        let maker = staff("maker@clips.example", Role::Administrator).await;
        staff("second@clips.example", Role::Compliance).await;
        staff("support@clips.example", Role::Support).await;
        let mails = async || {
            w.drain().await;
            let sent = w.outbox().sent();
            sent.iter().map(|mail| mail.to.clone()).collect::<Vec<_>>()
        };
        // Thursday, the first of January: five working days later is the Thursday after.
        let made = freezes::make(&w.platform, Hand::staff(maker.account_id), &Target::Everything, "Why.").await.unwrap();
        assert_eq!(mails().await, ["second@clips.example"]);
        w.advance(7 * DAY + 23 * HOUR + 59 * MINUTE);
        w.keep("freezes").await;
        assert_eq!(mails().await.len(), 1, "due at the end of the day");
        assert!(!made.is_late(w.platform.now()));
        w.advance(MINUTE + MS);
        assert!(made.is_late(w.platform.now()));
        for _ in 0..2 {
            w.keep("freezes").await;
            assert_eq!(mails().await.len(), 2, "told once a day");
        }
        w.advance(DAY);
        w.keep("freezes").await;
        assert_eq!(mails().await.len(), 3);
        assert!(freezes::living(&w.platform).await.unwrap().everything(), "never lifted by the clock");
        freezes::confirm(&w.platform, OTHER, made.freeze_id).await.unwrap();
        w.advance(30 * DAY);
        w.keep("freezes").await;
        assert_eq!(mails().await.len(), 3);
        assert!(freezes::living(&w.platform).await.unwrap().everything());
    }
}
