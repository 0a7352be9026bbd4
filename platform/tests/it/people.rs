//! People: who they are, how they sign in, and how they go.

use platform::audit::Actor;
use platform::grants;
use platform::people::{self, AddError, Began, Claimed, Directory, NewPerson, NotAdmitted};
use platform::requests::RequestState;
use testkit::receiver::Receiver;

use crate::db_test;
use crate::support::{ACTIVITY_ONGOING, BASIC, HOUR, MINUTE, MS, PASSWORD, SECOND, World};

fn somebody(username: &str, subject: &str) -> NewPerson {
    NewPerson {
        username: username.into(),
        password: PASSWORD.into(),
        subject: subject.into(),
        region: "de".into(),
        ..NewPerson::default()
    }
}

db_test! {
    async fn a_name_and_a_subject_are_one_persons(engine) {
        let w = World::new(engine).await;
        let add = async |new| people::add(&w.platform, Actor::Operator, new).await;
        assert!(matches!(add(somebody("anna", "9")).await, Err(AddError::Taken)));
        assert!(matches!(add(somebody("hanna", "1")).await, Err(AddError::Taken)));
        let id = add(somebody("  Ünï 人 ", "9")).await.unwrap();
        let mut tx = w.platform.db.read().await.unwrap();
        let person = people::by_username(&mut tx, "Ünï 人").await.unwrap().unwrap();
        assert_eq!((person.person_id, person.region.as_str(), person.display_name.as_str()), (id, "DE", "Ünï 人"));
        let all: Vec<_> = people::list(&mut tx, "", 10).await.unwrap().into_iter().filter_map(|person| person.username).collect();
        assert_eq!(all, ["anna", "Ünï 人"]);
        assert_eq!(people::list(&mut tx, "anna", 1).await.unwrap()[0].person_id, id);
    }
}

db_test! {
    async fn a_person_that_cannot_be_so_is_not_added(engine) {
        let w = World::new(engine).await;
        let good = somebody("ben", "2");
        let bad = [
            NewPerson { username: " ".into(), ..good.clone() },
            NewPerson { username: "x".repeat(201), ..good.clone() },
            NewPerson { username: "be\0n".into(), ..good.clone() },
            NewPerson { username: "be\nn".into(), ..good.clone() },
            NewPerson { password: "seven77".into(), ..good.clone() },
            NewPerson { password: "x".repeat(1001), ..good.clone() },
            NewPerson { subject: String::new(), ..good.clone() },
            NewPerson { region: "DEU".into(), ..good.clone() },
            NewPerson { region: "d1".into(), ..good.clone() },
        ];
        for new in bad {
            let refused = people::add(&w.platform, Actor::Operator, new.clone()).await;
            assert!(matches!(refused, Err(AddError::Invalid(_))), "{new:?}");
        }
        assert_eq!(w.number("select count(*) from people").await, 1);
    }
}

db_test! {
    async fn a_password_is_its_persons_only(engine) {
        let w = World::new(engine).await;
        let ben = NewPerson { password: "another password".into(), ..somebody("ben", "2") };
        people::add(&w.platform, Actor::Operator, ben).await.unwrap();
        let directory = Directory::default();
        let check = async |name: &str, password: &str| {
            directory.check(&w.platform, name, password).await.unwrap().map(|person| person.person_id)
        };
        assert_eq!(check("anna", PASSWORD).await, Some(w.anna));
        assert_eq!(check(" anna ", PASSWORD).await, Some(w.anna));
        let long = "x".repeat(2000);
        for (name, password) in
            [("anna", "another password"), ("anna", ""), ("anna", long.as_str()), ("Anna", PASSWORD), ("nobody", PASSWORD), ("", PASSWORD)]
        {
            assert_eq!(check(name, password).await, None, "{name}");
        }
        people::delete(&w.platform, Actor::Operator, w.anna).await.unwrap();
        assert_eq!(check("anna", PASSWORD).await, None);
    }
}

db_test! {
    async fn a_session_is_one_persons_for_its_time(engine) {
        let w = World::new(engine).await;
        let (one, two) = (people::begin_session(&w.platform, w.anna, people::Began::default()).await.unwrap(), people::begin_session(&w.platform, w.anna, people::Began::default()).await.unwrap());
        let whose = async |token: &str| people::of_session(&w.platform, token).await.unwrap().map(|person| person.person_id);
        assert_eq!((whose(&one).await, whose(&two).await), (Some(w.anna), Some(w.anna)));
        assert_eq!((whose("ses.unknown").await, whose("").await), (None, None));
        people::end_session(&w.platform, &one).await.unwrap();
        assert_eq!((whose(&one).await, whose(&two).await), (None, Some(w.anna)));
        w.advance(12 * HOUR - MS);
        assert_eq!(whose(&two).await, Some(w.anna));
        w.advance(MS);
        assert_eq!(whose(&two).await, None);
    }
}

db_test! {
    async fn who_is_deleted_leaves_no_trace_but_the_numbers(engine) {
        let w = World::new(engine).await;
        let receiver = Receiver::start();
        w.webhook(&receiver.url()).await;
        let other = w.another_app("Other", None).await;
        let ben = w.person("ben", "2", "FR").await;
        let tokens = [w.tokens(&[BASIC, ACTIVITY_ONGOING]).await, w.tokens(&[BASIC]).await];
        let elsewhere = w.tokens_of(&other, w.anna, &[BASIC]).await;
        let bens = w.tokens_of(&w.app, ben, &[BASIC]).await;
        let bearer = w.bearer(&tokens[0]).await;
        let ready = w.add(&bearer, &["activity"]).await;
        w.drain().await;
        let pending = w.add(&bearer, &["activity"]).await;
        let session = people::begin_session(&w.platform, w.anna, people::Began::default()).await.unwrap();
        let before = receiver.received().len();

        assert!(people::delete(&w.platform, Actor::Operator, w.anna).await.unwrap());
        for dead in tokens.iter().chain([&elsewhere]) {
            assert!(!w.lives(dead).await);
        }
        assert!(w.lives(&bens).await);
        assert_eq!((w.state(ready).await, w.state(pending).await), (RequestState::Cancelled, RequestState::Cancelled));
        assert!(w.archive(ready).await.is_none());
        assert!(people::of_session(&w.platform, &session).await.unwrap().is_none());
        assert_eq!(w.texts("select distinct end_cause from grants where ended_at is not null").await, ["account_deleted"]);
        w.drain().await;
        assert!(w.objects().is_empty());
        let told = receiver.received();
        assert_eq!(told.len(), before + 1, "once, however many grants there were");
        let event = told.last().unwrap().json();
        assert_eq!((event["event"].as_str(), event["user_openid"].as_str()), (Some("authorization.removed"), Some(tokens[0].open_id.as_str())));
        assert_eq!(serde_json::from_str::<serde_json::Value>(event["content"].as_str().unwrap()).unwrap()["reason"], 2);

        let mut tx = w.platform.db.read().await.unwrap();
        let person = people::by_id(&mut tx, w.anna).await.unwrap().unwrap();
        assert_eq!((person.username, person.subject, person.display_name.as_str(), person.info.as_str()), (None, None, "", "{}"));
        assert_eq!(person.deleted_at, Some(w.platform.now()));
        drop(tx);
        assert_eq!(w.number(format!("select count(*) from people where person_id = {} and password_hash is null", w.anna)).await, 1);
        assert!(!people::delete(&w.platform, Actor::Operator, w.anna).await.unwrap(), "deleted twice");
        assert!(!people::delete(&w.platform, Actor::Operator, 77).await.unwrap());
        assert!(!grants::withdraw(&w.platform, w.app.app_id, w.anna).await.unwrap());
        // The name and the subject are free again, for somebody else.
        let new = w.person("anna", "1", "DE").await;
        assert_ne!(new, w.anna);
        assert_ne!(w.tokens_of(&w.app, new, &[BASIC]).await.open_id, tokens[0].open_id);
    }
}

/// What a provider says of somebody.
fn claimed(key: u8, subject: &str) -> Claimed {
    Claimed { key: vec![key; 32], subject: subject.into(), username: Some(format!("user{key}")), ..Claimed::default() }
}

db_test! {
    async fn a_person_of_the_provider_is_made_once_and_kept_as_it_says(engine) {
        let w = World::new(engine).await;
        let first = people::of_provider(&w.platform, &claimed(1, "41")).await.unwrap();
        assert_eq!((first.username.as_deref(), first.display_name.as_str()), (Some("user1"), "user1"));
        let told = Claimed { name: Some("Berta".into()), region: Some("FR".into()), birth_year: Some(1990), ..claimed(1, "41") };
        let second = people::of_provider(&w.platform, &told).await.unwrap();
        assert_eq!((second.person_id, second.display_name.as_str(), second.region.as_str()), (first.person_id, "Berta", "FR"));
        assert_eq!(second.info()["birth_year"], 1990);
        // A name that is another's is not taken; what is not told stays.
        let named = Claimed { username: Some("anna".into()), ..claimed(1, "41") };
        let third = people::of_provider(&w.platform, &named).await.unwrap();
        assert_eq!((third.username.as_deref(), third.region.as_str()), (Some("user1"), "FR"));
        let other = people::of_provider(&w.platform, &Claimed { username: Some("anna".into()), ..claimed(2, "42") }).await.unwrap();
        assert!(other.username.unwrap().starts_with("person-"));

        assert!(matches!(people::of_provider(&w.platform, &claimed(3, "41")).await, Err(NotAdmitted::Shared)));
        assert!(matches!(people::of_provider(&w.platform, &claimed(1, "43")).await, Err(NotAdmitted::Changed)));
        // Anna of the directory is the person of her subject, for the first who comes with it.
        assert_eq!(people::of_provider(&w.platform, &claimed(4, "1")).await.unwrap().person_id, w.anna);
        assert!(matches!(people::of_provider(&w.platform, &claimed(5, "1")).await, Err(NotAdmitted::Shared)));

        assert!(!people::readmit(&w.platform, Actor::Operator, first.person_id).await.unwrap(), "not deleted yet");
        people::delete(&w.platform, Actor::Operator, first.person_id).await.unwrap();
        assert!(matches!(people::of_provider(&w.platform, &claimed(1, "41")).await, Err(NotAdmitted::Deleted)));
        assert!(people::readmit(&w.platform, Actor::Operator, first.person_id).await.unwrap());
        assert_ne!(people::of_provider(&w.platform, &claimed(1, "41")).await.unwrap().person_id, first.person_id);
    }
}

db_test! {
    async fn first_sign_ins_at_once_make_one_person(engine) {
        let w = World::new(engine).await;
        let sign_in = || async { people::of_provider(&w.platform, &claimed(1, "41")).await.unwrap().person_id };
        let (a, b, c, d) = tokio::join!(sign_in(), sign_in(), sign_in(), sign_in());
        assert!(a == b && b == c && c == d);
    }
}

db_test! {
    async fn sessions_are_listed_and_ended_and_know_how_fresh_they_are(engine) {
        let w = World::new(engine).await;
        let began = |agent: &'static str| Began { agent, ..Began::default() };
        let old = w.platform.now() - HOUR;
        let one = people::begin_session(&w.platform, w.anna, Began { proved_at: Some(old), id_token: Some("a.b.c"), ..began("one") });
        let one = one.await.unwrap();
        w.advance(SECOND);
        let two = people::begin_session(&w.platform, w.anna, began("two")).await.unwrap();
        let ben = w.person("ben", "2", "DE").await;
        people::begin_session(&w.platform, ben, began("bens")).await.unwrap();
        let listed = people::sessions(&w.platform, w.anna).await.unwrap();
        assert_eq!(listed.iter().map(|session| session.agent.as_str()).collect::<Vec<_>>(), ["two", "one"]);
        assert_eq!((listed[1].fresh_at, listed[0].fresh_at), (old, w.platform.now()));
        w.advance(MINUTE);
        let (_, seen) = people::session(&w.platform, &two).await.unwrap().unwrap();
        let (_, again) = people::session(&w.platform, &two).await.unwrap().unwrap();
        assert!(again.seen_at > seen.seen_at);

        assert!(!people::end_one(&w.platform, ben, listed[0].session_id).await.unwrap(), "not theirs");
        assert_eq!(people::end_session(&w.platform, &one).await.unwrap().as_deref(), Some("a.b.c"));
        assert_eq!(people::end_session(&w.platform, &one).await.unwrap(), None);
        let three = people::begin_session(&w.platform, w.anna, began("three")).await.unwrap();
        let (_, own) = people::session(&w.platform, &three).await.unwrap().unwrap();
        assert_eq!(people::end_others(&w.platform, w.anna, own.session_id).await.unwrap(), 1);
        assert!(people::of_session(&w.platform, &two).await.unwrap().is_none());
        assert!(people::of_session(&w.platform, &three).await.unwrap().is_some());
        assert_eq!(people::sessions(&w.platform, ben).await.unwrap().len(), 1);
    }
}
