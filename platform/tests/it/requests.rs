//! Calls for data: what they cost, who may make them, and how they are found again.

use archive::write::Format;
use futures_util::future::join_all;
use platform::Millis;
use platform::apps::{self, AppStatus, Details};
use platform::audit::Actor;
use platform::grants::{self, Bearer};
use platform::requests::{self, AddRefusal, Asked, Cancelled, RequestState};
use wire::{AddBody, CheckField, DataFormat, RequestId, RequestStatus};

use crate::db_test;
use crate::support::{ACTIVITY, ACTIVITY_ONGOING, ALL, BASIC, DAY, MINUTE, MS, PROFILE, Source, World};

async fn add_with_key(w: &World, bearer: &Bearer, categories: &[&str], key: &str) -> Result<RequestId, AddRefusal> {
    requests::add(&w.platform, bearer, &w.asked(categories), Some(key)).await
}

async fn rows(w: &World) -> i64 {
    w.number("select count(*) from requests").await
}

/// The table of the documentation, once more and by hand: what the guards read must say the same.
#[test]
fn the_lawful_moves_are_those_of_the_documentation() {
    use RequestState::{Cancelled, Expired, Failed, Queued, Ready, Running};
    let lawful = [
        (Failed, Queued),
        (Queued, Running),
        (Running, Running),
        (Running, Queued),
        (Running, Ready),
        (Queued, Failed),
        (Running, Failed),
        (Queued, Cancelled),
        (Running, Cancelled),
        (Ready, Cancelled),
        (Ready, Expired),
    ];
    for from in RequestState::ALL {
        for to in RequestState::ALL {
            assert_eq!(to.may_come_from().contains(from), lawful.contains(&(*from, *to)), "{from} to {to}");
        }
    }
}

/// What either surface says of what is stored: an archive past its time is gone, swept up or not.
fn told(stored: RequestState, expires_at: Option<i64>) -> (RequestState, RequestStatus) {
    let request = requests::Request {
        request_id: 1,
        grant_id: 1,
        app_id: 1,
        person_id: 1,
        format: "json".into(),
        categories: "[]".into(),
        status: stored,
        attempt: 1,
        applied_at: Millis(0),
        collecting_at: None,
        ready_at: None,
        expires_at: expires_at.map(Millis),
        ended_at: None,
        failure: None,
        failure_detail: None,
        since_at: None,
        until_at: None,
        documents: false,
        progress: None,
    };
    (request.state(Millis(100)), request.status(Millis(100)))
}

#[test]
fn both_surfaces_say_the_same_of_every_state() {
    use RequestState::{Cancelled, Expired, Failed, Queued, Ready, Running};
    for stored in RequestState::ALL {
        for expires_at in [None, Some(99), Some(100), Some(101)] {
            let (own, wire) = told(*stored, expires_at);
            let meant = match stored {
                Ready if expires_at == Some(101) => (Ready, RequestStatus::Downloading),
                Ready => (Expired, RequestStatus::Expired),
                Queued | Running => (*stored, RequestStatus::Pending),
                Failed | Expired => (*stored, RequestStatus::Expired),
                Cancelled => (Cancelled, RequestStatus::Cancelled),
            };
            assert_eq!((own, wire), meant, "{stored} {expires_at:?}");
        }
    }
}

db_test! {
    async fn what_the_own_api_asks_for_is_kept_and_counts_as_asked(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        let asked = |format| Asked::of(vec!["activity".into()], format, &w.platform.catalogue).unwrap();
        let wishes = [
            asked(Format::Json),
            asked(Format::Text),
            asked(Format::Ndjson),
            asked(Format::Csv),
            asked(Format::Json).between(Some(Millis(-5)), None),
            asked(Format::Json).between(None, Some(Millis(-5))),
            asked(Format::Json).between(Some(Millis(1)), Some(Millis(2))),
            asked(Format::Json).documented(true),
        ];
        for (at, wish) in wishes.iter().enumerate() {
            let key = format!("k{at}");
            let id = requests::add(&w.platform, &bearer, wish, Some(&key)).await.unwrap();
            for (other, another) in wishes.iter().enumerate() {
                let again = requests::add(&w.platform, &bearer, another, Some(&key)).await;
                match again {
                    Ok(again) => assert!(again == id && other == at, "{wish:?} and {another:?} count as the same"),
                    Err(refusal) => assert!(matches!(refusal, AddRefusal::KeyReused) && other != at, "{refusal} {wish:?}"),
                }
            }
            let kept = w.request(id).await;
            let range = (kept.since_at.map(|at| at.0), kept.until_at.map(|at| at.0));
            let format = [Format::Json, Format::Text, Format::Ndjson, Format::Csv].get(at).copied().unwrap_or(Format::Json);
            assert_eq!((kept.format().unwrap(), kept.documents), (format, at == 7));
            assert_eq!(range, [(Some(-5), None), (None, Some(-5)), (Some(1), Some(2))].get(at.wrapping_sub(4)).copied().unwrap_or_default());
            let told = kept.checked(&[CheckField::DataFormat], w.platform.now()).unwrap().data_format;
            assert_eq!(told, Some(if matches!(format, Format::Text | Format::Csv) { DataFormat::Text } else { DataFormat::Json }));
        }
        // What the wire stored before there was another surface is read as ever.
        assert_eq!(w.number("select count(*) from requests where format in ('json', 'text')").await, 6);
    }
}

db_test! {
    async fn an_add_is_a_row_a_job_and_an_audit_entry(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let asked = w.asked_as(&["doings", "activity"], DataFormat::Text);
        let id = requests::add(&w.platform, &bearer, &asked, None).await.unwrap();
        assert!(id.get() <= RequestId::MAX);
        let request = w.request(id).await;
        assert_eq!((request.status, request.attempt), (RequestState::Queued, 0));
        let checked = request.checked(
            &[CheckField::RequestId, CheckField::ApplyTime, CheckField::CollectTime, CheckField::Status, CheckField::DataFormat, CheckField::Categories],
            w.platform.now(),
        )
        .unwrap();
        assert_eq!(checked.request_id, Some(id));
        assert_eq!((checked.apply_time, checked.collect_time), (Some(w.platform.now().seconds()), Some(0)));
        assert_eq!((checked.status, checked.data_format), (Some(RequestStatus::Pending), Some(DataFormat::Text)));
        assert_eq!(checked.category_selection_list.unwrap(), ["doings", "activity"], "as they were spelt");
        assert_eq!(w.texts("select payload from jobs").await, [format!("{{\"job\":\"export\",\"request_id\":{}}}", id.get())]);
        assert_eq!(w.number(format!("select count(*) from audit where action = 'request.added' and request_id = {}", id.get())).await, 1);
    }
}

db_test! {
    async fn of_many_adds_at_once_one_spends_the_single_and_all_get_its_number(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        w.warm().await;
        let calls = (0..20).map(|_| {
            let (platform, bearer, asked) = (w.platform.clone(), bearer.clone(), w.asked(&["activity"]));
            tokio::spawn(async move { requests::add(&platform, &bearer, &asked, None).await.unwrap() })
        });
        let ids: Vec<RequestId> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!((rows(&w).await, w.number("select count(*) from jobs").await), (1, 1));
        assert_eq!(w.left(&bearer).await, [BASIC]);
    }
}

db_test! {
    async fn of_many_different_adds_at_once_one_has_the_single(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ALL]).await;
        w.warm().await;
        let calls = [&["activity"][..], &["profile"], &["all_data"], &["activity", "profile"]].map(|categories| {
            let (platform, bearer, asked) = (w.platform.clone(), bearer.clone(), w.asked(categories));
            tokio::spawn(async move { requests::add(&platform, &bearer, &asked, None).await })
        });
        let answers: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(AddRefusal::Spent))));
        assert_eq!(rows(&w).await, 1);
    }
}

db_test! {
    async fn a_lost_answer_is_found_again_by_the_same_call_only(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ALL]).await;
        let id = w.add(&bearer, &["activity", "profile"]).await;
        for same in [&["activity", "profile"][..], &["profile", "activity"], &["profile", "doings"]] {
            assert_eq!(w.add(&bearer, same).await, id, "{same:?}");
        }
        for other in [&["activity"][..], &["profile"], &["all_data"], &["all_data", "activity", "profile"]] {
            assert!(matches!(w.try_add(&bearer, other).await, Err(AddRefusal::Spent)), "{other:?}");
        }
        let text = requests::add(&w.platform, &bearer, &w.asked_as(&["activity", "profile"], DataFormat::Text), None).await;
        assert!(matches!(text, Err(AddRefusal::Spent)), "another format");
        let elsewhere = w.consent(&[BASIC, ALL]).await;
        assert_ne!(w.add(&elsewhere, &["activity", "profile"]).await, id, "another grant has its own single");

        w.drain().await;
        assert_eq!(w.state(id).await, RequestState::Ready);
        w.advance(10 * MINUTE - MS);
        assert_eq!(w.add(&bearer, &["activity", "profile"]).await, id, "ready and young");
        w.advance(MS);
        assert!(matches!(w.try_add(&bearer, &["activity", "profile"]).await, Err(AddRefusal::Spent)), "ten minutes old");
        assert_eq!(rows(&w).await, 2);
    }
}

db_test! {
    async fn a_cancelled_request_is_no_answer_to_a_lost_call(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        requests::cancel(&w.platform, &bearer, id).await.unwrap();
        assert!(matches!(w.try_add(&bearer, &["activity"]).await, Err(AddRefusal::Spent)));
    }
}

db_test! {
    async fn an_ongoing_scope_makes_a_new_request_each_time_and_spares_the_single(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY, ACTIVITY_ONGOING]).await;
        let ids = [w.add(&bearer, &["activity"]).await, w.add(&bearer, &["activity"]).await, w.add(&bearer, &["activity"]).await];
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
        assert_eq!(w.left(&bearer).await, [BASIC, ACTIVITY, ACTIVITY_ONGOING]);
    }
}

db_test! {
    async fn the_broadest_single_is_spent_and_the_others_survive(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY, ALL, PROFILE]).await;
        w.add(&bearer, &["activity", "profile"]).await;
        assert_eq!(w.left(&bearer).await, [BASIC, ACTIVITY, PROFILE]);
        w.add(&bearer, &["profile"]).await;
        assert_eq!(w.left(&bearer).await, [BASIC, ACTIVITY]);
        // One single for each, where none covers both.
        let bearer = w.consent(&[BASIC, ACTIVITY, PROFILE]).await;
        w.add(&bearer, &["activity", "profile"]).await;
        assert_eq!(w.left(&bearer).await, [BASIC]);
    }
}

db_test! {
    async fn what_was_not_granted_is_missing_and_costs_nothing(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        for categories in [&["profile"][..], &["activity", "profile"], &["all_data"]] {
            assert!(matches!(w.try_add(&bearer, categories).await, Err(AddRefusal::Missing)), "{categories:?}");
        }
        assert_eq!((w.left(&bearer).await.len(), rows(&w).await), (2, 0));
        let body = AddBody { data_format: DataFormat::Json, categories: vec!["activity".into(), "nonsense".into()] };
        assert_eq!(Asked::new(body, &w.platform.catalogue).unwrap_err(), "nonsense");
    }
}

db_test! {
    async fn an_idempotency_key_gives_the_same_request_for_ever_and_never_another(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING, PROFILE]).await;
        let id = add_with_key(&w, &bearer, &["activity"], "k").await.unwrap();
        assert_ne!(add_with_key(&w, &bearer, &["activity"], "l").await.unwrap(), id);
        w.drain().await;
        w.advance(5 * DAY);
        w.keep("expire").await;
        assert_eq!(w.state(id).await, RequestState::Expired);
        assert_eq!(add_with_key(&w, &bearer, &["doings"], "k").await.unwrap(), id, "whatever became of it");
        for other in [&["profile"][..], &["activity", "profile"]] {
            assert!(matches!(add_with_key(&w, &bearer, other, "k").await, Err(AddRefusal::KeyReused)));
        }
        assert_eq!(w.left(&bearer).await.len(), 3, "a refused call spends nothing");
        let elsewhere = w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        assert_ne!(add_with_key(&w, &elsewhere, &["activity"], "k").await.unwrap(), id, "a key is the grant's own");

        w.warm().await;
        let calls = (0..12).map(|_| {
            let (platform, bearer, asked) = (w.platform.clone(), bearer.clone(), w.asked(&["activity"]));
            tokio::spawn(async move { requests::add(&platform, &bearer, &asked, Some("at once")).await.unwrap() })
        });
        let ids: Vec<RequestId> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
        assert!(ids.iter().all(|id| *id == ids[0]));
    }
}

db_test! {
    async fn a_spent_token_still_checks_cancels_and_downloads_and_strangers_do_not(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&bearer, &["activity"]).await;
        w.drain().await;
        let sibling_grant = w.consent(&[BASIC]).await;
        let other_app = w.another_app("Other", Some(w.app.owner_id)).await;
        let ben = w.person("ben", "2", "FR").await;
        let mut strangers = Vec::new();
        for tokens in [w.tokens_of(&other_app, w.anna, &[BASIC, ALL]).await, w.tokens_of(&w.app, ben, &[BASIC, ALL]).await] {
            strangers.push(w.bearer(&tokens).await);
        }
        for own in [&bearer, &sibling_grant] {
            let found = requests::of_bearer(&w.platform, own, id).await.unwrap().expect("any token of the pair will do");
            let row = requests::begin_download(&w.platform, own, &found, "whole").await.unwrap().unwrap();
            assert_eq!(row.request_id, id.get());
        }
        for stranger in &strangers {
            assert!(requests::of_bearer(&w.platform, stranger, id).await.unwrap().is_none());
            assert_eq!(requests::cancel(&w.platform, stranger, id).await.unwrap(), Cancelled::Unknown);
        }
        assert_eq!(w.state(id).await, RequestState::Ready);
        assert_eq!(requests::cancel(&w.platform, &bearer, id).await.unwrap(), Cancelled::Done);
        let unknown = RequestId::new(77).unwrap();
        assert_eq!(requests::cancel(&w.platform, &bearer, unknown).await.unwrap(), Cancelled::Unknown);
        assert!(requests::of_bearer(&w.platform, &bearer, unknown).await.unwrap().is_none());
    }
}

db_test! {
    async fn pending_and_ready_requests_can_be_cancelled_ended_ones_not(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING, PROFILE]).await;
        let cancel = async |id| requests::cancel(&w.platform, &bearer, id).await.unwrap();

        let pending = w.add(&bearer, &["profile"]).await;
        assert_eq!(cancel(pending).await, Cancelled::Done);
        assert_eq!(cancel(pending).await, Cancelled::Done, "again");
        assert_eq!(w.request(pending).await.status(w.platform.now()), RequestStatus::Cancelled);
        assert_eq!(w.number("select count(*) from jobs").await, 0, "the export is out of the queue");
        assert_eq!(w.left(&bearer).await, [BASIC, ACTIVITY_ONGOING], "cancelling does not give the single back");

        let ready = w.add(&bearer, &["activity"]).await;
        let expired = w.add(&bearer, &["activity"]).await;
        w.drain().await;
        assert_eq!(w.objects().len(), 2);
        assert_eq!(requests::may_read(&w.platform, ready.get()).await.unwrap(), requests::Standing::Free);
        assert_eq!(cancel(ready).await, Cancelled::Done);
        assert_eq!(requests::may_read(&w.platform, ready.get()).await.unwrap(), requests::Standing::Gone);
        assert!(w.archive(ready).await.is_none(), "the key is gone with the call");
        w.drain().await;
        assert_eq!(w.objects().len(), 1, "and the object by its job");

        w.advance(4 * DAY);
        // Its time is over; no housekeeping has been by yet.
        assert_eq!(w.state(expired).await, RequestState::Ready);
        assert_eq!(cancel(expired).await, Cancelled::TooLate);
        w.keep("expire").await;
        assert_eq!(cancel(expired).await, Cancelled::TooLate);

        w.open(Source::Foreign);
        let failed = w.add(&bearer, &["activity"]).await;
        w.drain().await;
        assert_eq!(w.state(failed).await, RequestState::Failed);
        assert_eq!(cancel(failed).await, Cancelled::TooLate);
        assert_eq!(w.request(failed).await.status(w.platform.now()), RequestStatus::Expired);
    }
}

db_test! {
    async fn a_failure_gives_the_single_back_for_another_request(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        w.open(Source::Foreign);
        let failed = w.add(&bearer, &["activity"]).await;
        assert_eq!(w.left(&bearer).await, [BASIC]);
        w.drain().await;
        assert_eq!(w.state(failed).await, RequestState::Failed);
        assert_eq!(w.left(&bearer).await, [BASIC, ACTIVITY]);
        w.open(Source::Good);
        let again = w.add(&bearer, &["activity"]).await;
        assert_ne!(again, failed, "a failed request answers no lost call");
        w.drain().await;
        assert_eq!(w.state(again).await, RequestState::Ready);
        assert_eq!(w.left(&bearer).await, [BASIC]);
        assert!(matches!(requests::retry(&w.platform, failed.get()).await, Err(requests::RetryRefusal::NotGranted(_))), "it was used since");
    }
}

db_test! {
    async fn as_many_are_open_for_a_person_as_the_operator_allows(engine) {
        let w = World::with(engine, |settings| settings.requests.open_limit = 2).await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        let second = w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        w.add(&bearer, &["activity"]).await;
        let id = w.add(&second, &["activity"]).await;
        for bearer in [&bearer, &second] {
            assert!(matches!(w.try_add(bearer, &["activity"]).await, Err(AddRefusal::OpenLimit(2))));
        }
        let ben = w.person("ben", "2", "FR").await;
        let bens = w.tokens_of(&w.app, ben, &[BASIC, ACTIVITY_ONGOING]).await;
        let bens = w.bearer(&bens).await;
        w.add(&bens, &["activity"]).await;
        requests::cancel(&w.platform, &bearer, id).await.unwrap();
        w.add(&bearer, &["activity"]).await;
        w.drain().await;
        w.add(&bearer, &["activity"]).await;
    }
}

db_test! {
    async fn the_region_and_the_apps_standing_are_looked_at_again(engine) {
        let w = World::new(engine).await;
        let person = w.person("cleo", "3", "us").await;
        let nowhere = w.person("nemo", "4", "").await;
        let tokens = w.tokens_of(&w.app, person, &[BASIC, ACTIVITY_ONGOING]).await;
        let bearer = w.bearer(&tokens).await;
        assert_eq!(bearer.region, "US");
        let nobody = w.tokens_of(&w.app, nowhere, &[BASIC, ACTIVITY_ONGOING]).await;
        for bearer in [&bearer, &w.bearer(&nobody).await] {
            assert!(matches!(w.try_add(bearer, &["activity"]).await, Err(AddRefusal::Region)));
        }
        let here = w.another(|settings| settings.eligibility.regions = vec!["us".into()]).await;
        let open = w.another(|settings| settings.eligibility.regions = Vec::new()).await;
        let lax = w.another(|settings| settings.eligibility.at_add = false).await;
        for platform in [&here, &open, &lax] {
            requests::add(platform, &bearer, &w.asked(&["activity"]), None).await.unwrap();
        }
        let annas = w.tokens(&[BASIC, ACTIVITY]).await;
        let refused = requests::add(&here, &w.bearer(&annas).await, &w.asked(&["activity"]), None).await;
        assert!(matches!(refused, Err(AddRefusal::Region)));

        for status in [AppStatus::Suspended, AppStatus::InReview, AppStatus::Draft, AppStatus::NotApproved] {
            let details = Details { status: Some(status), ..Details::default() };
            apps::change(&w.platform, Actor::Operator, &w.app.client_key, details).await.unwrap();
            let bearer = w.bearer(&annas).await;
            assert_eq!(bearer.app_status, status);
            assert!(matches!(w.try_add(&bearer, &["activity"]).await, Err(AddRefusal::Standing)), "{status}");
            assert_eq!(w.left(&bearer).await, [BASIC, ACTIVITY], "nothing is spent");
        }
        let details = Details { status: Some(AppStatus::Revoked), ..Details::default() };
        apps::change(&w.platform, Actor::Operator, &w.app.client_key, details).await.unwrap();
        assert!(!w.lives(&annas).await, "revocation ends every token");
    }
}

db_test! {
    async fn a_token_that_died_meanwhile_adds_nothing(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY]).await;
        let other = w.consent(&[BASIC, ACTIVITY]).await;
        let id = w.add(&other, &["activity"]).await;
        grants::withdraw(&w.platform, w.app.app_id, w.anna).await.unwrap();
        assert!(matches!(w.try_add(&bearer, &["activity"]).await, Err(AddRefusal::Ended)));
        assert_eq!(w.state(id).await, RequestState::Cancelled);
        assert_eq!((rows(&w).await, w.number("select count(*) from jobs").await), (1, 0));
        assert_eq!(w.drain().await, 0);
    }
}

db_test! {
    async fn lists_show_the_latest_first_and_their_own(engine) {
        let w = World::new(engine).await;
        let bearer = w.consent(&[BASIC, ACTIVITY_ONGOING]).await;
        let other = w.another_app("Other", None).await;
        let tokens = w.tokens_of(&other, w.anna, &[BASIC, ACTIVITY]).await;
        let foreign = w.bearer(&tokens).await;
        let mut mine = Vec::new();
        for _ in 0..3 {
            w.advance(MS);
            mine.insert(0, w.add(&bearer, &["activity"]).await.get());
        }
        w.advance(MS);
        let theirs = w.add(&foreign, &["activity"]).await.get();
        w.advance(MS);
        let mut tx = w.platform.db.read().await.unwrap();
        let ids = |found: Vec<requests::Request>| found.iter().map(|request| request.request_id).collect::<Vec<_>>();
        let now = w.platform.now();
        assert_eq!(ids(requests::list(&mut tx, Some(w.app.app_id), now, 10).await.unwrap()), mine);
        assert_eq!(ids(requests::list(&mut tx, None, now, 2).await.unwrap()), [theirs, mine[0]]);
        assert_eq!(ids(requests::latest_of_pair(&mut tx, w.app.app_id, w.anna, 2).await.unwrap()), mine[..2]);
    }
}
