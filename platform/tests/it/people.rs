//! People: who they are, how they sign in, and how they go.

use platform::audit::Actor;
use platform::grants;
use platform::people::{self, AddError, Directory, NewPerson};
use platform::requests::RequestState;
use testkit::receiver::Receiver;

use crate::db_test;
use crate::support::{ACTIVITY_ONGOING, BASIC, HOUR, MS, PASSWORD, World};

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
