//! Who did what: each act leaves its entry, and no entry says more than numbers.

use platform::apps;
use platform::audit::Actor;
use platform::quotas::RequestType;
use platform::requests;
use platform::{grants, people};

use crate::db_test;
use crate::support::{ACTIVITY_ONGOING, BASIC, DAY, PASSWORD, Source, World};

db_test! {
    async fn every_act_leaves_an_entry_without_names_or_tokens(engine) {
        let w = World::new(engine).await;
        let session = people::begin_session(&w.platform, w.anna, people::Began::default()).await.unwrap();
        let code = w.code(&w.app, w.anna, &[BASIC, ACTIVITY_ONGOING]).await;
        let tokens = w.exchange(&w.app, &code).await.unwrap();
        let bearer = w.bearer(&tokens).await;
        let (ready, cancelled) = (w.add(&bearer, &["activity"]).await, w.add(&bearer, &["activity"]).await);
        requests::cancel(&w.platform, &bearer, cancelled).await.unwrap();
        w.drain().await;
        let request = w.request(ready).await;
        requests::begin_download(&w.platform, &bearer, &request, "whole").await.unwrap().unwrap();
        w.open(Source::Foreign);
        let failed = w.add(&bearer, &["activity"]).await;
        w.drain().await;
        requests::retry(&w.platform, failed.get()).await.unwrap();
        w.drain().await;
        w.advance(5 * DAY);
        w.keep("expire").await;
        let rotated = apps::rotate_secret(&w.platform, Actor::Operator, &w.app.client_key, DAY).await.unwrap();
        apps::set_quota(&w.platform, Actor::Operator, &w.app.client_key, RequestType::Add, Some(5)).await.unwrap();
        apps::change(&w.platform, Actor::Operator, &w.app.client_key, apps::Details { name: Some("Atelier".into()), ..Default::default() }).await.unwrap();
        w.platform.rotate_keys(Actor::Operator).await.unwrap();
        grants::withdraw(&w.platform, w.app.app_id, w.anna).await.unwrap();
        people::delete(&w.platform, Actor::Operator, w.anna).await.unwrap();

        let mut actions = w.actions().await;
        actions.sort();
        assert_eq!(
            actions,
            [
                "app.changed", "app.created", "app.secret_rotated", "archive.downloaded", "grant.ended", "grant.exchanged", "grant.given",
                "keys.rotated", "person.added", "person.deleted", "quota.set", "request.added", "request.added", "request.added",
                "request.cancelled", "request.expired", "request.failed", "request.failed", "request.ready", "request.retried", "session.begun",
            ]
        );
        let whole = w
            .texts(
                "select actor || ' ' || action || ' ' || detail || ' ' || cast(coalesce(app_id, 0) as text) || ' ' || cast(coalesce(person_id, 0) as text)
                 from audit order by action",
            )
            .await
            .join("\n");
        assert!(whole.contains(&format!("person {}", w.anna)) && whole.contains(&format!("app {}", w.app.app_id)) && whole.contains("operator"));
        let unspoken = [
            "anna", "Gallery", "Atelier", PASSWORD, &session, &code, &tokens.access_token, &tokens.refresh_token, &tokens.open_id, &w.secret, &rotated,
            &w.app.client_key, "clips.example",
        ];
        for word in unspoken {
            assert!(!whole.contains(word), "{word} in:\n{whole}");
        }
        // Who and what it is about is in numbers of its own.
        let about = format!("app_id = {} and person_id = {} and grant_id = {}", w.app.app_id, w.anna, bearer.grant_id);
        assert_eq!(w.number(format!("select count(*) from audit where {about} and request_id = {}", ready.get())).await, 4);
        assert_eq!(w.texts(format!("select actor from audit where action = 'grant.ended' and {about}")).await, [format!("person {}", w.anna)]);
    }
}

db_test! {
    async fn what_is_refused_leaves_none(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC]).await;
        let before = w.number("select count(*) from audit").await;
        assert!(w.try_add(&bearer, &["activity"]).await.is_err());
        assert!(w.exchange(&w.app, "cod.unknown").await.is_err());
        assert!(requests::retry(&w.platform, 1).await.is_err());
        assert!(!people::delete(&w.platform, Actor::Operator, 1).await.unwrap());
        assert!(!grants::withdraw(&w.platform, 1, w.anna).await.unwrap());
        assert_eq!(w.number("select count(*) from audit").await, before);
    }
}
