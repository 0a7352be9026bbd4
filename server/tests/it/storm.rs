//! Kills at any moment while apps ask: at the end each accepted request is answered once and whole, and each single is spent on one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::person::Answer;
use tokio::sync::RwLock;

use crate::kill::{FAST, sound};
use crate::support::{Engine, Plan, ROWS, Tokens, both, eventually, order};

const KILLS: u64 = 10;

/// A call as an app makes it that does not give up: again until it is answered. The address changes with each life of the server.
async fn insist(
    base: &RwLock<String>,
    http: &reqwest::Client,
    path: &str,
    token: &str,
    key: Option<&str>,
    body: &Value,
) -> Answer {
    for _ in 0..2000 {
        let url = format!("{}{path}", base.read().await);
        let mut call = http.post(url).bearer_auth(token).json(body).timeout(Duration::from_secs(5));
        if let Some(key) = key {
            call = call.header("idempotency-key", key);
        }
        if let Ok(response) = call.send().await {
            let status = response.status().as_u16();
            if let Ok(bytes) = response.bytes().await {
                let json = serde_json::from_slice(&bytes).unwrap_or_default();
                return Answer { status, headers: std::collections::BTreeMap::new(), json, bytes: bytes.to_vec() };
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no answer to {path} in all these times");
}

async fn a_storm_of_kills(engine: Engine) {
    // A job's attempts are counted by its kills here.
    let mut portward = Plan::new(engine).toml(FAST).toml("[requests]\nattempts = 100\n").install();
    portward.serve(&[]);
    let browser = portward.browser("anna");
    let ongoing = portward.tokens_of(&browser, "portability.activity.ongoing").await;
    let mut singles = Vec::new();
    for _ in 0..20 {
        singles.push(portward.tokens_of(&browser, "portability.activity.single,portability.directmessages.single").await);
    }
    let base = Arc::new(RwLock::new(portward.base.clone()));
    let stop = Arc::new(AtomicBool::new(false));
    let made = Arc::new(AtomicUsize::new(0));

    // One app that asks on and on, each time once.
    let stream = tokio::spawn({
        let (base, http, stop, made, token) =
            (Arc::clone(&base), portward.http.clone(), Arc::clone(&stop), Arc::clone(&made), ongoing.access.clone());
        async move {
            let mut ids = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let key = format!("key-{}", ids.len());
                let answer =
                    insist(&base, &http, "/v2/user/data/add/?fields=request_id", &token, Some(&key), &order(&["activity"])).await;
                ids.push(answer.request_id());
                made.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
            ids
        }
    });
    // Others that spend their singles, two callers at a time on the same one.
    let spenders = singles.iter().enumerate().map(|(at, tokens)| {
        let (base, http, token) = (Arc::clone(&base), portward.http.clone(), tokens.access.clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(at as u64 * 400)).await;
            let path = "/v2/user/data/add/?fields=request_id";
            let body = order(&["activity"]);
            let (one, other) =
                tokio::join!(insist(&base, &http, path, &token, None, &body), insist(&base, &http, path, &token, None, &body));
            assert_eq!(one.request_id(), other.request_id(), "one single, one request");
            one.request_id()
        })
    });
    let spenders: Vec<_> = spenders.collect();

    let mut seed = 0x9e37_79b9_7f4a_7c15_u64 ^ u64::from(std::process::id());
    eprintln!("the storm's seed is {seed}");
    for _ in 0..KILLS {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        tokio::time::sleep(Duration::from_millis(50 + seed % 900)).await;
        portward.kill();
        assert_eq!(portward.scratch(), Vec::<std::path::PathBuf>::new(), "scratch files with a name");
        portward.serve(&[]);
        portward.base.clone_into(&mut *base.write().await);
    }
    let mut single_ids = Vec::new();
    for spender in spenders {
        single_ids.push(spender.await.expect("a spender"));
    }
    stop.store(true, Ordering::Relaxed);
    let ids = stream.await.expect("the stream");
    assert!(ids.len() > 10, "the storm left room for {} calls only", ids.len());

    let open = "select count(*) from requests where status in ('queued', 'running')";
    let quiet = eventually(60, async || (portward.number(open).await == 0).then_some(())).await;
    assert!(quiet.is_some(), "{} requests have no end", portward.number(open).await);
    let told = "select count(*) from jobs where lane in ('export', 'deliver')";
    let quiet = eventually(60, async || (portward.number(told).await == 0).then_some(())).await;
    assert!(quiet.is_some(), "{} jobs have no end", portward.number(told).await);

    let all = ids.len() + single_ids.len();
    assert_eq!(portward.number("select count(*) from requests").await, all as i64, "as many requests as were accepted");
    assert_eq!(portward.number("select count(*) from requests where status = 'ready'").await, all as i64);
    assert_eq!(portward.number("select count(distinct spent_on) from grant_scopes").await, single_ids.len() as i64);
    assert_eq!(portward.number("select count(*) from grant_scopes where spent_on is not null").await, single_ids.len() as i64);
    sound(&portward).await;
    let owners: Vec<(&Tokens, i64)> = ids.iter().map(|id| (&ongoing, *id)).chain(singles.iter().zip(single_ids)).collect();
    for (tokens, id) in &owners {
        assert!(portward.ready_calls(*id) >= 1, "no webhook for {id}");
        assert_eq!(portward.download(&tokens.access, *id).await.watched(), ROWS);
    }
    // The other single of each is untouched.
    for tokens in &singles {
        let scope = portward.token(&[("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh)]).await;
        assert_eq!(scope.json["scope"], json!("user.info.basic,portability.directmessages.single"));
    }
    portward.kill();
    portward.make_schedules_due();
    tokio::time::sleep(Duration::from_secs(1)).await;
    portward.serve(&[]);
    let swept = eventually(15, async || (portward.vault().len() == all).then_some(())).await;
    assert!(swept.is_some(), "{all} archives, but {} objects", portward.vault().len());
}

both!(a_storm_of_kills);
