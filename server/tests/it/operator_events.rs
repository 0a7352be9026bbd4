//! Rule 9: the operator's own systems tell what became of a person, and access ends with the wire's reason.

use serde_json::{Value, json};
use testkit::person::Answer;

use crate::download::removed;
use crate::kill::FAST;
use crate::support::{Engine, Portward, both, eventually};

struct Service<'a> {
    portward: &'a Portward,
    token: String,
}

impl Service<'_> {
    async fn tell(&self, subject: &str, body: &Value) -> Answer {
        let url = self.portward.url(&format!("/v1/people/{subject}/events"));
        let call = self.portward.http.post(url).bearer_auth(&self.token).json(body);
        Answer::read(call.send().await.expect("an answer")).await
    }

    async fn event(&self, subject: &str, event: &str, key: &str) -> Answer {
        self.tell(subject, &json!({ "event": event, "event_id": key })).await
    }
}

fn service(portward: &Portward) -> (Service<'_>, String) {
    let made = portward.admin(&["tokens", "add", "crm", "--scope", "people.events"]);
    let token = made["token"].as_str().expect("a token").to_owned();
    assert!(token.starts_with("opt."));
    (Service { portward, token }, made["token_id"].as_str().expect("a number").to_owned())
}

async fn the_operators_own_events_end_access(engine: Engine) {
    let portward = Portward::start(engine, FAST);
    let (service, _) = service(&portward);
    let mut expected_reasons: Vec<Value> = Vec::new();
    for (event, reason) in [("credential_changed", 0), ("age_changed", 3), ("banned", 4), ("deleted", 2)] {
        let browser = portward.browser("anna");
        let tokens = portward.tokens_of(&browser, "portability.activity.ongoing").await;
        let id = portward.add(&tokens.access, &["activity"]).await.request_id();
        assert_eq!(portward.settled(&tokens.access, id).await, "downloading");
        let told = service.event("7", event, &format!("{event}-1")).await;
        assert_eq!(told.status, 200, "{}", told.json);
        let expected = json!({ "event_id": format!("{event}-1"), "event": event, "ended": 1, "replayed": false });
        assert_eq!(told.json, expected);
        let dead = portward.data("check", &tokens.access, &json!({ "request_id": id })).await;
        assert_eq!((dead.status, dead.code()), (401, "access_token_invalid"), "{event}");
        expected_reasons.push(json!({ "reason": reason }));
        let told =
            eventually(15, async || (removed(&portward, &tokens.open_id).await.len() == expected_reasons.len()).then_some(()));
        assert!(told.await.is_some(), "{event}");
        assert_eq!(removed(&portward, &tokens.open_id).await, expected_reasons, "{event}");
        assert_eq!(portward.number("select count(*) from archives").await, 0);
        let page = browser.http().get(portward.url("/connections")).send().await.expect("an answer");
        assert_eq!(page.status(), 303, "the session is over");
        // Told again: the same answer, and nothing is done.
        let again = service.event("7", event, &format!("{event}-1")).await;
        assert_eq!((again.status, &again.json["replayed"], &again.json["ended"]), (200, &json!(true), &json!(1)));
    }
    let calls = |event: &str| format!("select count(*) from audit where action = 'person.event' and detail = '{event}'");
    for event in ["credential_changed", "age_changed", "banned", "deleted"] {
        assert_eq!(portward.number(&calls(event)).await, 1, "{event}");
    }
    // Deleted twice, by two events: there is nobody any more.
    let twice = service.event("7", "deleted", "deleted-2").await;
    assert_eq!((twice.status, twice.json["code"].as_str()), (404, Some("not_found")));
}

async fn what_is_no_event_is_refused_and_ends_nothing(engine: Engine) {
    let portward = Portward::start(engine, "[sign_in]\nfailures_per_address = 3\n");
    let tokens = portward.tokens("user.info.basic").await;
    let (service, number) = service(&portward);
    for body in [
        json!({}),
        json!([]),
        json!({ "event": "banned" }),
        json!({ "event": "forgotten", "event_id": "1" }),
        json!({ "event": 1, "event_id": "1" }),
        json!({ "event": "banned", "event_id": 1 }),
        json!({ "event": "banned", "event_id": "" }),
        json!({ "event": "banned", "event_id": "a b" }),
        json!({ "event": "banned", "event_id": "x".repeat(256) }),
        json!({ "event": "banned", "event_id": "1", "reason": "x" }),
    ] {
        let answer = service.tell("7", &body).await;
        assert_eq!((answer.status, answer.json["code"].as_str()), (400, Some("invalid_params")), "{body}");
    }
    for subject in ["99", "07", "seven", "7%00", "%ff", &"7".repeat(600)] {
        let answer = service.event(subject, "banned", "unknown").await;
        assert_eq!((answer.status, answer.json["code"].as_str()), (404, Some("not_found")), "{subject}");
    }
    // Told of nobody, nothing is kept: the same event can be told of somebody.
    assert_eq!(portward.number("select count(*) from person_events").await, 0);
    let dead = async || {
        let info = portward.http.get(portward.url("/v2/user/info/?fields=open_id")).bearer_auth(&tokens.access);
        info.send().await.expect("an answer").status() == 401
    };
    assert!(!dead().await);
    portward.add_person("ben", "8", "DE");
    assert_eq!(service.event("8", "banned", "one").await.json["ended"], 0);
    for (subject, event) in [("7", "banned"), ("8", "age_changed")] {
        let reused = service.event(subject, event, "one").await;
        assert_eq!((reused.status, reused.json["code"].as_str()), (422, Some("idempotency_key_reused")));
    }
    assert!(!dead().await);

    // A person's token, a made-up one, none: wrong, and counted; the right one is never shut out by them.
    for wrong in [tokens.access.as_str(), "opt.made-up", ""] {
        let forged = Service { portward: &portward, token: wrong.to_owned() };
        let answer = forged.event("7", "banned", "forged").await;
        assert_eq!((answer.status, answer.json["code"].as_str()), (401, Some("service_token_invalid")), "{wrong}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
    }
    let forged = Service { portward: &portward, token: "opt.made-up".into() };
    let answer = forged.event("7", "banned", "forged").await;
    assert_eq!((answer.status, answer.json["code"].as_str()), (429, Some("rate_limit_exceeded")));
    assert!(answer.headers.contains_key("retry-after"));
    assert!(!dead().await);
    assert_eq!(service.event("99", "banned", "x").await.status, 404, "the right one is answered");
    let stored = portward.rows("select name, scopes from service_tokens").await;
    assert_eq!(stored, [json!({ "name": "crm", "scopes": "people.events" })]);
    portward.admin(&["tokens", "revoke", &number]);
    let over = eventually(1, async || Some(service.event("7", "banned", "late").await.status)).await;
    assert!(matches!(over, Some(401 | 429)), "{over:?}");
    assert!(!dead().await);
    assert!(portward.admin_fails(&["tokens", "revoke", &number]).contains("no token"));
}

async fn many_at_once_are_one(engine: Engine) {
    let portward = Portward::start(engine, FAST);
    let tokens = portward.tokens("user.info.basic").await;
    let (service, _) = service(&portward);
    let calls = (0..8).map(|_| service.event("7", "deleted", "at-once"));
    let answers = futures_util::future::join_all(calls).await;
    let fresh = answers.iter().filter(|answer| answer.json["replayed"] == false).count();
    assert_eq!(fresh, 1, "{:?}", answers.iter().map(|answer| &answer.json).collect::<Vec<_>>());
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.json["ended"] == 1));
    assert_eq!(removed(&portward, &tokens.open_id).await, [json!({ "reason": 2 })], "told once");
}

both!(the_operators_own_events_end_access, what_is_no_event_is_refused_and_ends_nothing, many_at_once_are_one);
