//! Apps: what they may say of themselves, their secrets, and their quotas.

use platform::apps::{self, AppStatus, ChangeError, Details, RedirectUri};
use platform::audit::Actor;
use platform::grants;
use platform::quotas::RequestType;

use crate::db_test;
use crate::support::{ACTIVITY, BASIC, DAY, MS, REDIRECT, SECOND, World, set};

db_test! {
    async fn an_app_keeps_what_it_was_given(engine) {
        let w = World::new(engine).await;
        let mut tx = w.platform.db.read().await.unwrap();
        let app = apps::by_client_key(&mut tx, &w.app.client_key).await.unwrap().unwrap();
        assert_eq!((app.app_id, app.name.as_str(), app.owner_id, app.may_ask()), (w.app.app_id, "Gallery", w.app.app_id, true));
        assert!(app.client_key.starts_with("aw") && app.client_key.len() == 16 && w.secret.len() == 32);
        let redirects = apps::redirects(&mut tx, app.app_id).await.unwrap();
        assert_eq!(redirects, [RedirectUri::parse(REDIRECT).unwrap()]);
        assert_eq!(apps::scopes(&mut tx, app.app_id).await.unwrap().len(), 5);
        assert!(apps::by_client_key(&mut tx, &app.client_key.to_uppercase()).await.unwrap().is_none());
        assert!(apps::by_client_key(&mut tx, "").await.unwrap().is_none());
        drop(tx);

        w.advance(SECOND);
        let details = Details { description: Some("Pictures".into()), status: Some(AppStatus::Suspended), scopes: Some(set(&[BASIC])), ..Details::default() };
        let changed = apps::change(&w.platform, Actor::Operator, &w.app.client_key, details).await.unwrap();
        assert_eq!((changed.name.as_str(), changed.description.as_str(), changed.may_ask()), ("Gallery", "Pictures", false));
        assert_eq!((changed.created_at, changed.updated_at), (w.app.created_at, w.platform.now()));
        let mut tx = w.platform.db.read().await.unwrap();
        assert_eq!(apps::by_id(&mut tx, w.app.app_id).await.unwrap().unwrap().status, AppStatus::Suspended);
        assert_eq!(apps::scopes(&mut tx, app.app_id).await.unwrap().len(), 1, "all of them are replaced");
        assert_eq!(apps::redirects(&mut tx, app.app_id).await.unwrap().len(), 1, "those not named stay");
        assert_eq!(w.texts("select detail from audit where action = 'app.changed'").await, ["live to suspended"]);
    }
}

db_test! {
    async fn what_cannot_be_so_changes_nothing(engine) {
        let w = World::new(engine).await;
        let none = Details::default;
        let uris = (0..11).map(|port| RedirectUri::parse(&format!("http://localhost:{}/", 3000 + port)).unwrap()).collect();
        let bad = [
            Details { name: Some(" ".into()), ..none() },
            Details { name: Some("x".repeat(51)), ..none() },
            Details { name: Some("a\u{7}b".into()), ..none() },
            Details { description: Some("ü".repeat(121)), ..none() },
            Details { icon_url: Some("javascript:alert(1)".into()), ..none() },
            Details { terms_url: Some("/terms".into()), ..none() },
            Details { privacy_url: Some("ftp://x.example/".into()), ..none() },
            Details { webhook_url: Some("http://hooks.example/".into()), ..none() },
            Details { webhook_url: Some("https://10.0.0.1/".into()), ..none() },
            Details { webhook_url: Some("https://[::ffff:169.254.169.254]/".into()), ..none() },
            Details { redirects: Some(uris), ..none() },
            Details { scopes: Some(set(&[BASIC, "portability.nonsense.single"])), ..none() },
            Details { scopes: Some(set(&["user.info.nonsense"])), ..none() },
        ];
        for details in bad {
            let refused = apps::change(&w.platform, Actor::Operator, &w.app.client_key, details.clone()).await;
            assert!(matches!(refused, Err(ChangeError::Invalid(_))), "{details:?}");
        }
        let unknown = apps::change(&w.platform, Actor::Operator, "aw00000000000000", none()).await;
        assert!(matches!(unknown, Err(ChangeError::Unknown)));
        assert_eq!(w.number("select count(*) from audit where action = 'app.changed'").await, 0);
        let nameless = apps::create(&w.platform, Actor::Operator, None, none()).await;
        assert!(matches!(nameless, Err(ChangeError::Invalid(_))));
        assert_eq!(w.number("select count(*) from apps").await, 1);
    }
}

db_test! {
    async fn two_secrets_hold_while_they_overlap(engine) {
        let w = World::new(engine).await;
        let other = w.another_app("Other", None).await;
        let holds = async |app_id: i64, secret: &str| {
            let mut tx = w.platform.db.read().await.unwrap();
            apps::holds_secret(&w.platform, &mut tx, app_id, secret).await.unwrap()
        };
        let app = w.app.app_id;
        assert!(holds(app, &w.secret).await && !holds(other.app_id, &w.secret).await);
        for wrong in ["", &w.secret[..31], &format!("{} ", w.secret), &w.secret.to_lowercase()] {
            assert!(!holds(app, wrong).await, "{wrong}");
        }
        w.advance(SECOND);
        let second = apps::rotate_secret(&w.platform, Actor::Operator, &w.app.client_key, DAY).await.unwrap();
        assert!(holds(app, &w.secret).await && holds(app, &second).await);
        w.advance(DAY - MS);
        assert!(holds(app, &w.secret).await);
        w.advance(MS);
        assert!(!holds(app, &w.secret).await && holds(app, &second).await);
        // One that leaked is cut off at once, and takes with it what overlapped.
        w.advance(SECOND);
        let third = apps::rotate_secret(&w.platform, Actor::Operator, &w.app.client_key, DAY).await.unwrap();
        w.advance(SECOND);
        let fourth = apps::rotate_secret(&w.platform, Actor::Operator, &w.app.client_key, std::time::Duration::ZERO).await.unwrap();
        assert!(!holds(app, &second).await && !holds(app, &third).await && holds(app, &fourth).await);
    }
}

db_test! {
    async fn a_quota_of_its_own_comes_with_the_bearer(engine) {
        let w = World::new(engine).await;
        let tokens = w.tokens(&[BASIC, ACTIVITY]).await;
        let limit = async |request_type| grants::bearer(&w.platform, &tokens.access_token, Some(request_type)).await.unwrap().unwrap().per_minute;
        let give = async |request_type, per_minute| {
            apps::set_quota(&w.platform, Actor::Operator, &w.app.client_key, request_type, per_minute).await
        };
        assert_eq!(limit(RequestType::Add).await, None);
        give(RequestType::Add, Some(5)).await.unwrap();
        give(RequestType::Check, Some(5000)).await.unwrap();
        give(RequestType::Add, Some(7)).await.unwrap();
        assert_eq!((limit(RequestType::Add).await, limit(RequestType::Check).await, limit(RequestType::Download).await), (Some(7), Some(5000), None));
        let mut tx = w.platform.db.read().await.unwrap();
        assert_eq!(apps::overrides(&mut tx, w.app.app_id).await.unwrap(), [(RequestType::Add, 7), (RequestType::Check, 5000)]);
        drop(tx);
        give(RequestType::Add, None).await.unwrap();
        assert_eq!((limit(RequestType::Add).await, limit(RequestType::Check).await), (None, Some(5000)));
        let unknown = apps::set_quota(&w.platform, Actor::Operator, "nobody", RequestType::Add, Some(1)).await;
        assert!(matches!(unknown, Err(ChangeError::Unknown)));

        // And it is what the window is asked against, for that app and type only.
        let now = w.platform.now();
        let take = |app_id, request_type, limit| w.platform.quotas.take(app_id, request_type, limit, now).admitted;
        assert_eq!((0..10).filter(|_| take(1, RequestType::Add, 7)).count(), 7);
        assert!(take(1, RequestType::Check, 7) && take(2, RequestType::Add, 7));
    }
}
