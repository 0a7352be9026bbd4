//! Consent, codes and tokens.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use platform::apps::App;
use platform::grants::{self, Refusal};
use platform::settings::{Preset, Span};
use platform::{Millis, people};
use sha2::{Digest, Sha256};
use wire::TokenAnswer;

use crate::db_test;
use crate::support::{ACTIVITY, ACTIVITY_ONGOING, ALL, BASIC, DAY, HOUR, MINUTE, MS, PROFILE, REDIRECT, SECOND, World, set};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

fn same(one: &TokenAnswer, other: &TokenAnswer) -> bool {
    serde_json::to_string(one).unwrap() == serde_json::to_string(other).unwrap()
}

async fn challenged(w: &World, challenge: &str) -> String {
    grants::allow(&w.platform, &w.app, w.anna, &set(&[BASIC]), REDIRECT, Some(challenge)).await.unwrap()
}

async fn exchange_with(w: &World, code: &str, redirect: &str, verifier: Option<&str>) -> Result<TokenAnswer, Refusal> {
    grants::exchange(&w.platform, w.app.app_id, code, redirect, verifier).await
}

db_test! {
    async fn a_consent_becomes_tokens_of_that_person(engine) {
        let w = World::new(engine).await;
        let code = w.code(&w.app, w.anna, &[BASIC, ALL, ACTIVITY]).await;
        assert!(code.starts_with("cod.") && code.len() < 250);
        let tokens = w.exchange(&w.app, &code).await.unwrap();
        assert!(tokens.access_token.starts_with("act.") && tokens.refresh_token.starts_with("rft."));
        assert_eq!((tokens.expires_in, tokens.refresh_expires_in), (7200, 15_552_000));
        assert_eq!(tokens.scope, "user.info.basic,portability.all.single,portability.activity.single", "in the order they were asked for");
        assert_eq!(tokens.token_type, "Bearer");
        let bearer = w.bearer(&tokens).await;
        assert_eq!((bearer.app_id, bearer.person_id, bearer.region.as_str()), (w.app.app_id, w.anna, "DE"));
        assert_eq!(bearer.open_id, tokens.open_id);
    }
}

db_test! {
    async fn a_challenge_is_kept_in_both_encodings(engine) {
        let w = World::new(engine).await;
        let digest = Sha256::digest(VERIFIER);
        for challenge in [URL_SAFE_NO_PAD.encode(digest), hex::encode(digest), hex::encode_upper(digest)] {
            let code = challenged(&w, &challenge).await;
            for wrong in [None, Some(""), Some("another"), Some(challenge.as_str())] {
                let refused = exchange_with(&w, &code, REDIRECT, wrong).await;
                assert!(matches!(refused, Err(Refusal::Verifier)), "{wrong:?}");
            }
            exchange_with(&w, &code, REDIRECT, Some(VERIFIER)).await.expect("a wrong verifier leaves the code as it was");
        }
    }
}

db_test! {
    async fn a_verifier_without_a_challenge_is_refused_only_when_strict(engine) {
        let w = World::new(engine).await;
        let code = w.code(&w.app, w.anna, &[BASIC]).await;
        exchange_with(&w, &code, REDIRECT, Some("sixsix")).await.unwrap();
        let strict = w.another(|settings| settings.tokens.strict_verifier = true).await;
        let code = w.code(&w.app, w.anna, &[BASIC]).await;
        let refused = grants::exchange(&strict, w.app.app_id, &code, REDIRECT, Some("sixsix")).await;
        assert!(matches!(refused, Err(Refusal::Verifier)));
        grants::exchange(&strict, w.app.app_id, &code, REDIRECT, None).await.unwrap();
    }
}

db_test! {
    async fn a_wrong_redirect_or_a_foreign_app_leaves_the_code_usable(engine) {
        let w = World::new(engine).await;
        let other = w.another_app("Other", None).await;
        let code = w.code(&w.app, w.anna, &[BASIC]).await;
        for wrong in ["https://app.example/callback/", "https://app.example/Callback", "https://evil.example/", ""] {
            assert!(matches!(exchange_with(&w, &code, wrong, None).await, Err(Refusal::Redirect)), "{wrong}");
        }
        assert!(matches!(w.exchange(&other, &code).await, Err(Refusal::Invalid)));
        for unknown in ["", "cod.", "cod.unknown", &code[..code.len() - 1]] {
            assert!(matches!(exchange_with(&w, unknown, REDIRECT, None).await, Err(Refusal::Invalid)), "{unknown}");
        }
        w.exchange(&w.app, &code).await.unwrap();
        // Not even a replay by somebody else ends it.
        assert!(matches!(w.exchange(&other, &code).await, Err(Refusal::Invalid)));
        assert_eq!(w.number("select count(*) from grants where ended_at is not null").await, 0);
    }
}

db_test! {
    async fn a_code_lives_ten_minutes(engine) {
        let w = World::new(engine).await;
        let (late, just) = (w.code(&w.app, w.anna, &[BASIC]).await, w.code(&w.app, w.anna, &[BASIC]).await);
        w.advance(10 * MINUTE - MS);
        w.exchange(&w.app, &just).await.unwrap();
        w.advance(MS);
        assert!(matches!(w.exchange(&w.app, &late).await, Err(Refusal::Expired)));
    }
}

db_test! {
    async fn a_replayed_code_ends_its_own_grant_only(engine) {
        let w = World::new(engine).await;
        let code = w.code(&w.app, w.anna, &[BASIC]).await;
        let tokens = w.exchange(&w.app, &code).await.unwrap();
        let bystander = w.tokens(&[BASIC]).await;
        let again = w.refresh(&tokens).await.unwrap();
        // Long after the code's own time, a replay still counts.
        w.advance(HOUR);
        assert!(matches!(w.exchange(&w.app, &code).await, Err(Refusal::Invalid)));
        for dead in [&tokens, &again] {
            assert!(!w.lives(dead).await);
            assert!(matches!(w.refresh(dead).await, Err(Refusal::Invalid)));
        }
        assert!(w.lives(&bystander).await);
        assert_eq!(w.texts("select end_cause from grants where ended_at is not null").await, ["replay"]);
        assert!(matches!(w.exchange(&w.app, &code).await, Err(Refusal::Invalid)));
    }
}

db_test! {
    async fn of_many_exchanges_of_one_code_at_once_at_most_one_is_answered(engine) {
        let w = World::new(engine).await;
        let code = w.code(&w.app, w.anna, &[BASIC]).await;
        w.warm().await;
        let calls = (0..8).map(|_| {
            let (platform, app_id, code) = (w.platform.clone(), w.app.app_id, code.clone());
            tokio::spawn(async move { grants::exchange(&platform, app_id, &code, REDIRECT, None).await })
        });
        let mut given = Vec::new();
        for call in futures_util::future::join_all(calls).await {
            match call.unwrap() {
                Ok(tokens) => given.push(tokens),
                Err(refusal) => assert!(matches!(refusal, Refusal::Invalid), "{refusal:?}"),
            }
        }
        assert_eq!(given.len(), 1);
        assert!(!w.lives(&given[0]).await, "the code was used twice");
    }
}

db_test! {
    async fn a_refresh_gives_new_tokens_and_kills_the_old_refresh_token(engine) {
        let w = World::new(engine).await;
        let first = w.tokens(&[BASIC, ACTIVITY]).await;
        let bystander = w.tokens(&[BASIC]).await;
        w.advance(HOUR);
        let second = w.refresh(&first).await.unwrap();
        assert_eq!((second.expires_in, second.refresh_expires_in), (7200, 15_552_000), "counted anew");
        assert_eq!((&second.open_id, &second.scope), (&first.open_id, &first.scope));
        assert!(w.lives(&second).await);
        let third = w.refresh(&second).await.unwrap();

        assert!(matches!(w.refresh(&first).await, Err(Refusal::Invalid)), "the replay");
        for dead in [&first, &second, &third] {
            assert!(!w.lives(dead).await);
            assert!(matches!(w.refresh(dead).await, Err(Refusal::Invalid)));
        }
        assert!(w.lives(&bystander).await, "another family");
        w.refresh(&bystander).await.unwrap();
    }
}

db_test! {
    async fn of_many_refreshes_at_once_one_is_answered_and_the_family_ends(engine) {
        let w = World::new(engine).await;
        let tokens = w.tokens(&[BASIC]).await;
        w.warm().await;
        let calls = (0..8).map(|_| {
            let (platform, app_id, token) = (w.platform.clone(), w.app.app_id, tokens.refresh_token.clone());
            tokio::spawn(async move { grants::refresh(&platform, app_id, &token).await })
        });
        let answers: Vec<_> = futures_util::future::join_all(calls).await.into_iter().map(Result::unwrap).collect();
        let given: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
        assert_eq!(given.len(), 1);
        assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(Refusal::Invalid))));
        assert!(!w.lives(given[0]).await);
    }
}

db_test! {
    async fn within_the_grace_the_same_answer_is_given_again(engine) {
        let w = World::with(engine, |settings| settings.tokens.refresh_grace = Span::seconds(30)).await;
        let first = w.tokens(&[BASIC, ACTIVITY]).await;
        let second = w.refresh(&first).await.unwrap();
        w.advance(30 * SECOND);
        assert!(same(&w.refresh(&first).await.unwrap(), &second), "the very same");
        assert!(w.lives(&second).await);
        // The answer is at rest meanwhile, but not in clear.
        assert_eq!(w.number("select count(*) from tokens where successor is not null").await, 1);
        w.advance(MS);
        assert!(matches!(w.refresh(&first).await, Err(Refusal::Invalid)));
        assert!(!w.lives(&second).await);

        // Calls at once are one call.
        let tokens = w.tokens(&[BASIC]).await;
        w.warm().await;
        let calls = (0..8).map(|_| {
            let (platform, app_id, token) = (w.platform.clone(), w.app.app_id, tokens.refresh_token.clone());
            tokio::spawn(async move { grants::refresh(&platform, app_id, &token).await.unwrap() })
        });
        let answers: Vec<_> = futures_util::future::join_all(calls).await.into_iter().map(Result::unwrap).collect();
        assert!(answers.iter().all(|answer| same(answer, &answers[0])));
        assert!(w.lives(&answers[0]).await);
    }
}

db_test! {
    async fn the_classic_preset_keeps_the_clock_of_the_consent(engine) {
        let w = World::with(engine, |settings| settings.tokens.preset = Preset::Classic).await;
        let first = w.tokens(&[BASIC]).await;
        assert_eq!((first.expires_in, first.refresh_expires_in), (86_400, 31_536_000));
        w.advance(100 * DAY);
        let second = w.refresh(&first).await.unwrap();
        assert_eq!((second.expires_in, second.refresh_expires_in), (86_400, 31_536_000 - 8_640_000));
        w.advance(265 * DAY - MS);
        let third = w.refresh(&second).await.unwrap();
        assert_eq!(third.refresh_expires_in, 0);
        w.advance(MS);
        assert!(matches!(w.refresh(&third).await, Err(Refusal::Invalid)), "a year after the consent");
        assert!(w.lives(&third).await, "the last access token has its day");
        w.advance(DAY);
        assert!(!w.lives(&third).await);
    }
}

db_test! {
    async fn tokens_end_at_their_time(engine) {
        let w = World::new(engine).await;
        let first = w.tokens(&[BASIC]).await;
        w.advance(2 * HOUR - MS);
        assert!(w.lives(&first).await);
        w.advance(MS);
        assert!(!w.lives(&first).await);
        w.advance(180 * DAY - 2 * HOUR - MS);
        let second = w.refresh(&first).await.unwrap();
        w.advance(180 * DAY);
        assert!(matches!(w.refresh(&second).await, Err(Refusal::Invalid)));
    }
}

db_test! {
    async fn only_an_access_token_is_somebodys(engine) {
        let w = World::new(engine).await;
        let tokens = w.tokens(&[BASIC]).await;
        let client = grants::client_token(&w.platform, w.app.app_id).await.unwrap();
        assert!(client.access_token.starts_with("clt."));
        assert_eq!((client.expires_in, client.token_type.as_str()), (7200, "Bearer"));
        let code = w.code(&w.app, w.anna, &[BASIC]).await;
        for nobodys in [&client.access_token, &tokens.refresh_token, &code, "", "act.", "act.x"] {
            assert!(grants::bearer(&w.platform, nobodys, None).await.unwrap().is_none(), "{nobodys}");
        }
        for not_refresh in [&client.access_token, &tokens.access_token, &code] {
            let refused = grants::refresh(&w.platform, w.app.app_id, not_refresh).await;
            assert!(matches!(refused, Err(Refusal::Invalid)));
        }
        assert!(w.lives(&tokens).await);
    }
}

db_test! {
    async fn an_app_gives_back_by_either_token_and_only_its_own(engine) {
        let w = World::new(engine).await;
        let other = w.another_app("Other", None).await;
        let (one, two, three) = (w.tokens(&[BASIC]).await, w.tokens(&[BASIC]).await, w.tokens(&[BASIC]).await);
        for token in [&one.access_token, &one.refresh_token, "act.unknown", ""] {
            grants::revoke(&w.platform, other.app_id, token).await.unwrap();
        }
        assert!(matches!(grants::refresh(&w.platform, other.app_id, &one.refresh_token).await, Err(Refusal::Invalid)));
        assert!(w.lives(&one).await, "another app's call changed nothing");

        grants::revoke(&w.platform, w.app.app_id, &one.access_token).await.unwrap();
        grants::revoke(&w.platform, w.app.app_id, &two.refresh_token).await.unwrap();
        for dead in [&one, &two] {
            assert!(!w.lives(dead).await);
            assert!(matches!(w.refresh(dead).await, Err(Refusal::Invalid)));
        }
        assert!(w.lives(&three).await, "the grant of that token only");
        assert_eq!(w.texts("select distinct end_cause from grants where ended_at is not null").await, ["developer"]);

        let client = grants::client_token(&w.platform, w.app.app_id).await.unwrap();
        grants::revoke(&w.platform, other.app_id, &client.access_token).await.unwrap();
        assert_eq!(w.number("select count(*) from tokens where kind = 'client'").await, 1);
        grants::revoke(&w.platform, w.app.app_id, &client.access_token).await.unwrap();
        assert_eq!(w.number("select count(*) from tokens where kind = 'client'").await, 0);
    }
}

db_test! {
    async fn several_grants_of_a_pair_live_side_by_side_and_withdrawal_ends_them_all(engine) {
        let w = World::new(engine).await;
        let other = w.another_app("Other", None).await;
        let ben = w.person("ben", "2", "FR").await;
        let (one, two) = (w.tokens(&[BASIC, ACTIVITY]).await, w.tokens(&[BASIC, PROFILE]).await);
        let pending = w.code(&w.app, w.anna, &[BASIC]).await;
        let elsewhere = [w.tokens_of(&other, w.anna, &[BASIC]).await, w.tokens_of(&w.app, ben, &[BASIC]).await];
        assert_eq!((one.scope.as_str(), two.scope.as_str()), ("user.info.basic,portability.activity.single", "user.info.basic,portability.profile.single"));
        assert!(w.lives(&one).await && w.lives(&two).await);

        assert!(grants::withdraw(&w.platform, w.app.app_id, w.anna).await.unwrap());
        assert!(!w.lives(&one).await && !w.lives(&two).await);
        assert!(matches!(w.exchange(&w.app, &pending).await, Err(Refusal::Invalid)), "a code not yet exchanged is worth nothing");
        for other in &elsewhere {
            assert!(w.lives(other).await);
        }
        assert_eq!(w.texts("select distinct end_cause from grants where ended_at is not null").await, ["person"]);
        assert!(!grants::withdraw(&w.platform, w.app.app_id, w.anna).await.unwrap(), "there is none any more");
        let mut tx = w.platform.db.read().await.unwrap();
        assert_eq!(grants::apps_of(&mut tx, w.anna).await.unwrap(), [other.app_id]);
        assert_eq!(grants::live_of_person(&mut tx, w.anna).await.unwrap().len(), 1);
    }
}

db_test! {
    async fn the_app_is_told_once_of_a_withdrawal_and_never_of_a_grant_it_did_not_know(engine) {
        let w = World::new(engine).await;
        w.webhook("http://127.0.0.1:9/hook").await;
        for _ in 0..3 {
            w.tokens(&[BASIC]).await;
        }
        w.code(&w.app, w.anna, &[BASIC]).await;
        grants::withdraw(&w.platform, w.app.app_id, w.anna).await.unwrap();
        assert_eq!(w.number("select count(*) from deliveries").await, 1);
        w.code(&w.app, w.anna, &[BASIC]).await;
        grants::withdraw(&w.platform, w.app.app_id, w.anna).await.unwrap();
        assert_eq!(w.number("select count(*) from deliveries").await, 1);
    }
}

async fn causes(w: &World) -> Vec<String> {
    w.texts("select coalesce(end_cause, 'lives') from grants order by created_at, end_cause").await
}

db_test! {
    async fn grants_that_nobody_can_use_end_silently(engine) {
        let w = World::new(engine).await;
        w.webhook("http://127.0.0.1:9/hook").await;
        w.code(&w.app, w.anna, &[BASIC]).await;
        w.advance(SECOND);
        let tokens = w.tokens(&[BASIC]).await;
        w.advance(10 * MINUTE - SECOND - MS);
        w.keep("expire").await;
        assert_eq!(causes(&w).await, ["lives", "lives"], "its code can be exchanged yet");
        w.advance(MS);
        w.keep("expire").await;
        assert_eq!(causes(&w).await, ["unused", "lives"]);

        w.advance(180 * DAY - 10 * MINUTE);
        let again = w.refresh(&tokens).await.unwrap();
        w.advance(180 * DAY - MS);
        w.keep("expire").await;
        assert_eq!(causes(&w).await, ["unused", "lives"], "the refresh token lives yet");
        w.advance(MS);
        w.keep("expire").await;
        assert_eq!(causes(&w).await, ["unused", "expired"]);
        assert!(matches!(w.refresh(&again).await, Err(Refusal::Invalid)));
        assert_eq!(w.number("select count(*) from deliveries").await, 0);
    }
}

db_test! {
    async fn names_are_per_app_and_person_and_union_names_per_owner(engine) {
        let w = World::new(engine).await;
        let ben = w.person("ben", "2", "FR").await;
        let sibling = w.another_app("Sibling", Some(w.app.owner_id)).await;
        let stranger = w.another_app("Stranger", None).await;
        let name = async |app: &App, person: i64| w.tokens_of(app, person, &[BASIC]).await.open_id;
        let annas = name(&w.app, w.anna).await;
        assert_eq!(name(&w.app, w.anna).await, annas, "the same in every grant");
        let mut all = vec![annas.clone(), name(&w.app, ben).await, name(&sibling, w.anna).await, name(&stranger, w.anna).await];
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4);
        assert!(all.iter().all(|name| name.len() < 250));

        let union = async |app: &App, person: i64| grants::union_id(&w.platform, app.app_id, person).await.unwrap();
        let annas_union = union(&w.app, w.anna).await.unwrap();
        assert_eq!(union(&sibling, w.anna).await.as_ref(), Some(&annas_union));
        assert_ne!(union(&stranger, w.anna).await.as_ref(), Some(&annas_union));
        assert_ne!(union(&w.app, ben).await.as_ref(), Some(&annas_union));
        assert_eq!(union(&stranger, ben).await, None);
        assert!(!all.contains(&annas_union));
        // And for good: a new consent after a withdrawal finds the same name.
        grants::withdraw(&w.platform, w.app.app_id, w.anna).await.unwrap();
        assert_eq!(name(&w.app, w.anna).await, annas);
    }
}

db_test! {
    async fn scopes_after_a_refresh_leave_out_the_spent(engine) {
        let w = World::new(engine).await;
        let tokens = w.tokens(&[BASIC, ALL, ACTIVITY]).await;
        let bearer = w.bearer(&tokens).await;
        w.add(&bearer, &["activity", "profile"]).await;
        let again = w.refresh(&tokens).await.unwrap();
        assert_eq!(again.scope, "user.info.basic,portability.activity.single");
    }
}

db_test! {
    async fn covered_means_by_one_live_grant_and_unspent(engine) {
        let w = World::new(engine).await;
        let covered = async |scopes: &[&str]| grants::covered(&w.platform, w.app.app_id, w.anna, &set(scopes)).await.unwrap();
        assert!(!covered(&[BASIC]).await);
        let one = w.consent(&[BASIC, ACTIVITY]).await;
        w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        assert!(covered(&[BASIC]).await && covered(&[ACTIVITY, BASIC]).await);
        assert!(!covered(&[ACTIVITY, ACTIVITY_ONGOING]).await, "by two grants, not by one");
        w.add(&one, &["activity"]).await;
        assert!(!covered(&[ACTIVITY]).await);
        grants::withdraw(&w.platform, w.app.app_id, w.anna).await.unwrap();
        assert!(!covered(&[BASIC]).await);
    }
}

db_test! {
    async fn a_deleted_person_consents_to_nothing(engine) {
        let w = World::new(engine).await;
        people::delete(&w.platform, platform::audit::Actor::Operator, w.anna).await.unwrap();
        assert!(grants::allow(&w.platform, &w.app, w.anna, &set(&[BASIC]), REDIRECT, None).await.is_err());
        assert_eq!(w.number("select count(*) from grants").await, 0);
    }
}

db_test! {
    async fn what_the_store_holds_opens_nothing(engine) {
        let w = World::with(engine, |settings| settings.tokens.refresh_grace = Span::minutes(1)).await;
        let code = w.code(&w.app, w.anna, &[BASIC]).await;
        let first = w.exchange(&w.app, &code).await.unwrap();
        let second = w.refresh(&first).await.unwrap();
        let client = grants::client_token(&w.platform, w.app.app_id).await.unwrap();
        let session = people::begin_session(&w.platform, w.anna, people::Began::default()).await.unwrap();
        let rows = everything(&w).await;
        assert!(rows.contains(&w.app.client_key) && rows.contains(&first.open_id), "what is looked through is the store");
        let secrets = [
            &code, &first.access_token, &first.refresh_token, &second.access_token, &second.refresh_token, &client.access_token, &session, &w.secret,
            crate::support::PASSWORD,
        ];
        for secret in secrets {
            assert!(!rows.contains(secret), "{secret}");
        }
    }
}

/// All that the store keeps, as text.
async fn everything(w: &World) -> String {
    if w.is_postgres() {
        let tables = w.texts("select tablename::text from pg_tables where schemaname = 'public'").await;
        let mut all = String::new();
        for table in tables {
            // Bytes are shown as hexadecimal by `::text`; escaped they are shown as they are.
            all += &w.texts(format!("select convert_from(convert_to(t::text, 'UTF8'), 'UTF8') from {table} t")).await.join("\n");
        }
        for (table, column) in [
            ("codes", "code_hash"),
            ("tokens", "token_hash"),
            ("tokens", "successor"),
            ("sessions", "session_hash"),
            ("app_secrets", "sealed"),
        ] {
            all +=
                &w.texts(format!("select encode({column}, 'escape') from {table} where {column} is not null")).await.join("\n");
        }
        all
    } else {
        let path = w.folder.path().join("store.db");
        let bytes = [std::fs::read(&path).unwrap(), std::fs::read(path.with_extension("db-wal")).unwrap_or_default()].concat();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

db_test! {
    async fn what_is_past_is_forgotten_but_a_replay_is_noticed_as_long_as_the_grant_lives(engine) {
        let w = World::new(engine).await;
        let code = w.code(&w.app, w.anna, &[BASIC]).await;
        let first = w.exchange(&w.app, &code).await.unwrap();
        grants::client_token(&w.platform, w.app.app_id).await.unwrap();
        w.advance(DAY);
        let second = w.refresh(&first).await.unwrap();
        w.advance(DAY);
        w.keep("forget").await;
        assert_eq!(w.number("select count(*) from tokens where kind <> 'refresh'").await, 0, "access and client tokens past their time");
        assert_eq!(w.number("select count(*) from tokens").await, 2);
        assert!(matches!(w.exchange(&w.app, &code).await, Err(Refusal::Invalid)));
        assert!(matches!(w.refresh(&second).await, Err(Refusal::Invalid)), "the replayed code ended it");

        let kept = w.platform.settings.retention.grants.0;
        w.advance(kept - MS);
        w.keep("forget").await;
        assert_eq!(w.number("select count(*) from grants").await, 1);
        w.advance(Duration::from_millis(1));
        w.keep("forget").await;
        for table in ["grants", "grant_scopes", "codes", "tokens"] {
            assert_eq!(w.number(format!("select count(*) from {table}")).await, 0, "{table}");
        }
        assert!(Millis(0) < w.platform.now());
    }
}
