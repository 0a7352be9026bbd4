//! Where requests stand, and what they say of it.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::{archive_path, call, create, get, id, ongoing, path, problem, sent, stands};
use crate::support::{Archive, CATALOGUE, Engine, Plan, Portward, ROWS, both, clips, eventually};

async fn from_its_making_to_its_end(engine: Engine) {
    let portward = Portward::start(engine, "");
    let token = ongoing(&portward).await.access;
    let wish = json!({ "categories": ["activity", "direct_messages"], "since": "2020-01-01", "documents": false });
    let made = create(&portward, &token, &wish).await;
    let number = id(&made);
    assert_eq!(made.headers["location"], path(&number));
    assert_eq!(made.headers["content-type"], "application/json");
    assert_eq!(made.headers["cache-control"], "no-store");
    let wait: u32 = made.headers["retry-after"].parse().expect("seconds");
    assert!((1..=60).contains(&wait));
    let told = &made.json;
    assert!(["queued", "running"].contains(&told["state"].as_str().expect("a state")), "{told}");
    assert_eq!(told["categories"], wish["categories"]);
    assert_eq!((&told["format"], &told["since"], &told["until"]), (&json!("json"), &json!("2020-01-01T00:00:00Z"), &Value::Null));
    for absent in ["archive", "failure", "ready_at", "expires_at", "ended_at"] {
        assert_eq!(told[absent], Value::Null, "{absent}");
    }
    let ready = stands(&portward, &token, &number, "ready").await;
    assert!(!get(&portward, &path(&number), &token).await.headers.contains_key("retry-after"), "nothing to wait for");
    for present in ["archive", "ready_at", "expires_at", "started_at", "created_at"] {
        assert_ne!(ready[present], Value::Null, "{present}");
    }
    let members = |told: &Value| told.as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(members(told), members(&ready), "every member is always there");
    // The wire sees the same request.
    let wire: i64 = number.parse().expect("a number");
    assert_eq!(portward.status(&token, wire).await, "downloading");
    assert_eq!(portward.download(&token, wire).await.watched(), ROWS);
    assert!(eventually(10, async || (portward.ready_calls(wire) == 1).then_some(())).await.is_some(), "the app is told once");
    assert_eq!(portward.number("select count(*) from audit where action = 'request.added'").await, 1);
    for _ in 0..2 {
        let deleted = sent(call(&portward, Method::DELETE, &path(&number), &token)).await;
        assert_eq!((deleted.status, deleted.bytes.len()), (204, 0));
    }
    let cancelled = get(&portward, &path(&number), &token).await.json;
    assert_eq!((&cancelled["state"], &cancelled["archive"]), (&json!("cancelled"), &Value::Null));
    assert_ne!(cancelled["ended_at"], Value::Null);
    assert_eq!(portward.status(&token, wire).await, "cancelled");
    assert_eq!(portward.number("select count(*) from audit where action = 'request.cancelled'").await, 1);
    let logged = async || portward.number("select count(*) from access_log where call = 'add' and answer = 'ok'").await == 1;
    assert!(eventually(10, async || logged().await.then_some(())).await.is_some(), "the access log has it");
}

/// What the wire has no word for is told by its nearest.
async fn formats_on_either_surface(engine: Engine) {
    let portward = Portward::start(engine, "");
    let token = ongoing(&portward).await.access;
    for (format, wire) in [("json", "json"), ("txt", "text"), ("ndjson", "json"), ("csv", "text")] {
        let number = id(&create(&portward, &token, &json!({ "categories": ["activity"], "format": format })).await);
        assert_eq!(get(&portward, &path(&number), &token).await.json["format"], format);
        let request_id: i64 = number.parse().expect("a number");
        let checked = portward.data("check", &token, &json!({ "request_id": request_id })).await;
        assert_eq!((checked.code(), &checked.json["data"]["data_format"]), ("ok", &json!(wire)), "{format}");
        let cancelled = portward.data("cancel", &token, &json!({ "request_id": request_id })).await;
        assert_eq!(cancelled.code(), "ok", "{format}");
        assert_eq!(get(&portward, &path(&number), &token).await.json["state"], "cancelled");
    }
    // And what the wire asked for is here as well.
    let wire = portward
        .data("add", &token, &json!({ "data_format": "text", "category_selection_list": ["activity"] }))
        .await
        .request_id();
    assert_eq!(get(&portward, &path(&wire.to_string()), &token).await.json["format"], "txt");
    let bad = portward.data("add", &token, &json!({ "data_format": "ndjson", "category_selection_list": ["activity"] })).await;
    assert_eq!((bad.status, bad.code()), (400, "invalid_params"), "the wire stays as it is");
}

/// Rows of ten kilobytes, one after the other, so that there is something to be seen while they come.
fn slow(source: &str) -> String {
    CATALOGUE
        .replace("kind = \"sqlite\"\nurl = \"sqlite:clips.db\"", &format!("kind = \"postgres\"\nurl = \"{source}\""))
        .replace(
            "select id, user_id, link as \"Link\", title as \"Title\" from watched where user_id = :subject order by id",
            "select n as id, 7 as user_id, repeat('x', 50000) as \"Link\" from generate_series(1, 20) n where :subject > 0",
        )
        .replace(
            "select id, user_id, body as \"Body\" from messages where user_id = :subject order by id",
            "select n as id, 7 as user_id, repeat('x', 10000) || pg_sleep(0.02) as \"Body\" from generate_series(1, 2000) n where :subject > 0",
        )
}

async fn while_it_runs(engine: Engine) {
    let source = testkit::postgres::database().expect("a PostgreSQL for these tests");
    let mut portward = Plan::new(engine).catalogue(slow(source.url())).toml(crate::kill::FAST).install();
    portward.serve(&[]);
    let token = ongoing(&portward).await.access;
    let number = id(&create(&portward, &token, &json!({ "categories": ["direct_messages", "activity"] })).await);
    let look = async || {
        Some(get(&portward, &path(&number), &token).await)
            .filter(|seen| seen.json["progress"]["categories"][0]["rows"].as_u64() > Some(0))
    };
    let seen = eventually(20, look).await.expect("it runs");
    assert_eq!(seen.json["state"], "running");
    assert!(seen.headers.contains_key("retry-after"));
    let progress = &seen.json["progress"];
    let names: Vec<_> = progress["categories"].as_array().expect("a list").iter().map(|category| &category["name"]).collect();
    assert_eq!(names, ["direct_messages", "activity"], "in the order and the spelling in which they were asked for");
    let [slow, done] = [0, 1].map(|at| &progress["categories"][at]);
    assert_eq!(done["rows"], 20, "{progress}");
    assert!(done["bytes"].as_u64() > Some(1_000_000) && slow["rows"].as_u64() < Some(2000), "{progress}");
    assert_eq!(progress["rows"].as_u64(), Some(20 + slow["rows"].as_u64().expect("rows")), "{progress}");
    assert!(slow["bytes"].as_u64() > slow["rows"].as_u64().map(|rows| (rows - 1) * 10_000), "{progress}");
    problem(&get(&portward, &archive_path(&number), &token).await, 409, "not_ready");
    assert!(get(&portward, &archive_path(&number), &token).await.headers.contains_key("retry-after"));
    let again = eventually(20, async || {
        let now = get(&portward, &path(&number), &token).await.json["progress"]["rows"].as_u64();
        (now > progress["rows"].as_u64()).then_some(())
    });
    assert!(again.await.is_some(), "it goes on");
    // The worker tells the store as well, for a server that runs elsewhere.
    let kept = async || portward.rows("select progress from requests where progress is not null").await.pop();
    let kept = eventually(20, kept).await.expect("it is kept");
    let kept: Value = serde_json::from_str(kept["progress"].as_str().expect("text")).expect("JSON");
    assert_eq!(kept["categories"][1]["rows"], 20, "{kept}");
    assert_eq!(sent(call(&portward, Method::DELETE, &path(&number), &token)).await.status, 204);
    let told = get(&portward, &path(&number), &token).await.json;
    assert_eq!((&told["state"], &told["progress"]), (&json!("cancelled"), &Value::Null));
}

async fn what_failed_says_why_and_what_to_do(engine: Engine) {
    let mut portward = Plan::new(engine)
        .clips("create table watched (id integer primary key, user_id integer, link text, title text);")
        .install();
    portward.serve(&[]);
    let token = portward.tokens("portability.directmessages.single").await.access;
    let wish = json!({ "categories": ["direct_message"] });
    let number = id(&create(&portward, &token, &wish).await);
    let told = stands(&portward, &token, &number, "failed").await;
    assert_eq!(told["failure"]["code"], "operator_fault");
    assert!(told["failure"]["next"].as_str().is_some_and(|next| next.contains("support")), "{told}");
    assert!(!told.to_string().contains("messages\""), "nothing of the source: {told}");
    problem(&get(&portward, &archive_path(&number), &token).await, 410, "archive_gone");
    problem(&sent(call(&portward, Method::DELETE, &path(&number), &token)).await, 409, "already_ended");
    // The single came back.
    assert_ne!(id(&create(&portward, &token, &wish).await), number);
    // What is only away for a while says that.
    for (reason, code) in
        [("source_down", "temporarily_unavailable"), ("person_deleted", "person_deleted"), ("owner_mismatch", "operator_fault")]
    {
        portward.execute(&format!("update requests set failure = '{reason}' where request_id = {number}"));
        assert_eq!(get(&portward, &path(&number), &token).await.json["failure"]["code"], code);
    }
}

async fn a_range_of_time(engine: Engine) {
    let catalogue = CATALOGUE.replace(
        "query = '''select id, user_id, link as \"Link\", title as \"Title\" from watched where user_id = :subject order by id'''",
        "time = \"at\"\ntime_from = \"unix_ms\"\nquery = '''select id, user_id, at, link as \"Link\" from watched where user_id = :subject and at >= :since and at < :until order by id'''",
    );
    let catalogue = catalogue.replacen("hidden = [\"id\", \"user_id\"]", "hidden = [\"id\", \"user_id\", \"at\"]", 1);
    let day = 86_400_000_i64;
    let rows = format!(
        "{}; alter table watched add column at integer; update watched set at = 0;
         insert into watched (user_id, link, at) values (7, 'a', {a}), (7, 'b', {b}), (7, 'c', {c})",
        clips(),
        a = 20_454 * day - 1,
        b = 20_454 * day,
        c = 20_455 * day,
    );
    let mut portward = Plan::new(engine).catalogue(catalogue).clips(rows).install();
    portward.serve(&[]);
    let token = ongoing(&portward).await.access;
    // 20454 days after the epoch is 2026-01-01.
    for (range, wanted) in [
        (json!({ "since": "2026-01-01", "until": "2026-01-02" }), vec!["b"]),
        (json!({ "since": "2026-01-01T01:00:00+01:00" }), vec!["b", "c"]),
        (json!({ "since": "2025-12-31T23:59:59.999Z", "until": "2026-01-01T00:00:00Z" }), vec!["a"]),
        (json!({ "since": "2027-01-01" }), vec![]),
    ] {
        let mut wish = range.clone();
        wish["categories"] = json!(["activity"]);
        let number = id(&create(&portward, &token, &wish).await);
        stands(&portward, &token, &number, "ready").await;
        let archive = Archive::open(&get(&portward, &archive_path(&number), &token).await.bytes).json;
        let links: Vec<_> = archive["Your Activity"]["Watch History"]["VideoList"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|row| row["Link"].clone())
            .collect();
        assert_eq!(links, wanted, "{range}");
    }
}

both!(from_its_making_to_its_end, formats_on_either_surface, while_it_runs, what_failed_says_why_and_what_to_do, a_range_of_time);
