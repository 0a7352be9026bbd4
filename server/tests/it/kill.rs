//! `kill -9` at each row of the table in the design's section 4, and what the next start makes of it.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, Executor, PgConnection};

use crate::support::{
    CALLBACK, CATALOGUE, Engine, Plan, Portward, ROWS, Tokens, binary, both, eventually, files, in_the_background, order, signal,
    within,
};

/// Leases and sweeps that a test can wait for.
pub(crate) const FAST: &str = "[jobs]\nlease = \"2 s\"\npoll = \"200 ms\"\n[retention]\norphans = \"1 s\"\n";

const ACTIVITY: &[&str] = &["activity"];

fn paused(engine: Engine, point: &str) -> Portward {
    let mut portward = Plan::new(engine).toml(FAST).install();
    portward.serve(&[("PORTWARD_PAUSE_AT", point)]);
    portward
}

/// What must hold of any store once nothing is under way.
pub(crate) async fn sound(portward: &Portward) {
    let none = async |what: &str, sql: &str| assert_eq!(portward.number(sql).await, 0, "{what}");
    none("requests without an end", "select count(*) from requests where status in ('queued', 'running')").await;
    none("exports left in the queue", "select count(*) from jobs where lane = 'export'").await;
    none("jobs that were given up", "select count(*) from jobs where dead_at is not null").await;
    none(
        "ready requests without an archive, or archives of others",
        "select count(*) from requests r full join archives a on a.request_id = r.request_id
         where coalesce(r.status, '') = 'ready' and a.object is null or a.object is not null and coalesce(r.status, '') <> 'ready'",
    )
    .await;
    none(
        "singles spent on nothing, or on another grant's request",
        "select count(*) from grant_scopes s left join requests r on r.request_id = s.spent_on
         where s.spent_on is not null and (r.request_id is null or r.grant_id <> s.grant_id)",
    )
    .await;
    none(
        "requests that no scope was spent on, of grants that have singles only",
        "select count(*) from requests r
         where r.status <> 'failed'
           and not exists (select 1 from grant_scopes s where s.spent_on = r.request_id)
           and not exists (select 1 from grant_scopes o where o.grant_id = r.grant_id and o.scope like '%.ongoing')",
    )
    .await;
    assert_eq!(portward.scratch(), Vec::<std::path::PathBuf>::new(), "scratch files with a name");
}

/// The one request is answered once and whole.
async fn answered(portward: &Portward, tokens: &Tokens, request_id: i64) {
    assert_eq!(portward.settled(&tokens.access, request_id).await, "downloading");
    assert_eq!(portward.download(&tokens.access, request_id).await.watched(), ROWS);
    assert_eq!(portward.rows("select request_id from requests").await, [json!({ "request_id": request_id })]);
    let spent = portward.rows("select scope, spent_on from grant_scopes where spent_on is not null").await;
    assert_eq!(spent, [json!({ "scope": "portability.activity.single", "spent_on": request_id })]);
    within(10, "the webhook", portward.hook.wait(1, Duration::from_secs(10))).await;
    assert!(portward.ready_calls(request_id) >= 1);
    let gone =
        eventually(10, async || (portward.number("select count(*) from jobs where lane = 'export'").await == 0).then_some(()))
            .await;
    assert!(gone.is_some(), "the export stays in the queue");
    sound(portward).await;
}

/// Nothing lies about that could be read.
fn nothing_readable(portward: &Portward) {
    assert_eq!(portward.scratch(), Vec::<std::path::PathBuf>::new(), "scratch files with a name");
    for file in portward.vault() {
        let bytes = std::fs::read(&file).expect("an object");
        assert!(
            !bytes.windows(4).any(|bytes| bytes == b"PK\x05\x06" || bytes == b"PK\x01\x02"),
            "{} is not sealed",
            file.display()
        );
    }
}

async fn before_the_commit_of_add(engine: Engine) {
    let mut portward = paused(engine, "before_add_commit");
    let tokens = portward.tokens("portability.activity.single").await;
    let lost = in_the_background(portward.call("add", &tokens.access, &order(ACTIVITY)));
    portward.told("paused at before_add_commit");
    portward.kill();
    assert!(lost.await.expect("the caller").is_none(), "no answer before the commit");
    assert_eq!(portward.number("select count(*) from requests").await, 0);
    assert_eq!(portward.number("select count(*) from jobs where lane = 'export'").await, 0);
    assert_eq!(portward.number("select count(*) from grant_scopes where spent_on is not null").await, 0);
    portward.serve(&[]);
    let added = portward.add(&tokens.access, ACTIVITY).await;
    answered(&portward, &tokens, added.request_id()).await;
    assert_eq!(portward.ready_calls(added.request_id()), 1);
}

async fn after_the_commit_of_add(engine: Engine) {
    let mut portward = paused(engine, "after_add_commit");
    let tokens = portward.tokens("portability.activity.single,portability.directmessages.single").await;
    let lost = in_the_background(portward.call("add", &tokens.access, &order(ACTIVITY)));
    portward.told("paused at after_add_commit");
    portward.kill();
    assert!(lost.await.expect("the caller").is_none(), "no answer at the pause");
    let made = portward.number("select request_id from requests").await;
    portward.serve(&[]);
    let other_form = json!({ "data_format": "text", "category_selection_list": ACTIVITY });
    assert_eq!(
        portward.data("add", &tokens.access, &other_form).await.code(),
        "scope_not_authorized",
        "only the same call finds it"
    );
    for _ in 0..3 {
        assert_eq!(portward.add(&tokens.access, ACTIVITY).await.request_id(), made, "the lost answer is found again");
    }
    answered(&portward, &tokens, made).await;
    assert_eq!(portward.add(&tokens.access, ACTIVITY).await.request_id(), made, "also when it is ready");
    assert_eq!(portward.ready_calls(made), 1);
}

async fn after_the_commit_of_an_ongoing_add(engine: Engine) {
    let mut portward = paused(engine, "after_add_commit");
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let add =
        |portward: &Portward, key: &str| portward.call("add", &tokens.access, &order(ACTIVITY)).header("idempotency-key", key);
    let lost = in_the_background(add(&portward, "one"));
    portward.told("paused at after_add_commit");
    portward.kill();
    assert!(lost.await.expect("the caller").is_none(), "no answer at the pause");
    let made = portward.number("select request_id from requests").await;
    portward.serve(&[]);
    let again = in_the_background(add(&portward, "one")).await.expect("the caller").expect("an answer");
    assert_eq!(again.request_id(), made);
    let other = in_the_background(add(&portward, "two")).await.expect("the caller").expect("an answer");
    assert_ne!(other.request_id(), made, "another key is another request");
    for request_id in [made, other.request_id()] {
        assert_eq!(portward.settled(&tokens.access, request_id).await, "downloading");
        portward.download(&tokens.access, request_id).await;
    }
    assert_eq!(portward.number("select count(*) from requests").await, 2);
}

/// Kills at a point within an export; the object that was put there by then is an orphan.
async fn within_the_export(engine: Engine, point: &str, orphans: usize) {
    let mut portward = paused(engine, point);
    let tokens = portward.tokens("portability.activity.single").await;
    let request_id = portward.add(&tokens.access, ACTIVITY).await.request_id();
    portward.told(&format!("paused at {point}"));
    nothing_readable(&portward);
    // On SQLite the paused transaction holds the only writer, and both calls below only read or refuse.
    if point != "before_ready_commit" || engine == Engine::Postgres {
        assert_eq!(portward.status(&tokens.access, request_id).await, "pending");
        let early = portward.data("download", &tokens.access, &json!({ "request_id": request_id })).await;
        assert_eq!((early.status, early.code()), (400, "invalid_params"), "nothing is served before it is ready");
    }
    portward.kill();
    assert_eq!(portward.vault().len(), orphans);
    nothing_readable(&portward);
    portward.serve(&[]);
    assert_eq!(portward.status(&tokens.access, request_id).await, "pending");
    answered(&portward, &tokens, request_id).await;
    assert_eq!(portward.ready_calls(request_id), 1);
    assert_eq!(portward.number("select attempt from archives").await, 2);
    assert_eq!(portward.vault().len(), orphans + 1);
    swept(&mut portward).await;
    portward.download(&tokens.access, request_id).await;
}

/// The sweep leaves the objects that archives name, and no others.
async fn swept(portward: &mut Portward) {
    portward.kill();
    portward.make_schedules_due();
    portward.serve(&[]);
    let named = portward.number("select count(*) from archives").await;
    let left = eventually(10, async || (portward.vault().len() as i64 == named).then_some(())).await;
    assert!(left.is_some(), "{named} archives, but in the vault lie {:?}", portward.vault());
}

async fn when_the_export_has_begun(engine: Engine) {
    within_the_export(engine, "export_begun", 0).await;
}

async fn when_the_archive_is_built(engine: Engine) {
    within_the_export(engine, "archive_built", 0).await;
}

async fn after_the_put(engine: Engine) {
    within_the_export(engine, "after_put", 1).await;
}

async fn before_the_commit_of_ready(engine: Engine) {
    within_the_export(engine, "before_ready_commit", 1).await;
}

async fn after_the_commit_of_ready(engine: Engine) {
    let mut portward = paused(engine, "after_ready_commit");
    let tokens = portward.tokens("portability.activity.single").await;
    let request_id = portward.add(&tokens.access, ACTIVITY).await.request_id();
    portward.told("paused at after_ready_commit");
    assert_eq!(portward.status(&tokens.access, request_id).await, "downloading");
    portward.kill();
    let archive = portward.rows("select object, sha256, attempt from archives").await;
    portward.serve(&[]);
    answered(&portward, &tokens, request_id).await;
    assert_eq!(portward.rows("select object, sha256, attempt from archives").await, archive, "made once");
    assert_eq!(portward.vault().len(), 1);
}

async fn after_a_delivery(engine: Engine) {
    let mut portward = paused(engine, "delivered");
    let tokens = portward.tokens("portability.activity.single").await;
    let request_id = portward.add(&tokens.access, ACTIVITY).await.request_id();
    portward.told("paused at delivered");
    portward.kill();
    assert_eq!(portward.ready_calls(request_id), 1);
    assert_eq!(portward.number("select count(*) from deliveries where delivered_at is null").await, 1);
    portward.serve(&[]);
    let calls = portward.hook.wait(2, Duration::from_secs(15)).await;
    assert_eq!(calls[0].body, calls[1].body, "the same event, to the byte");
    for call in &calls {
        verify(&portward, call);
    }
    let written = eventually(10, async || {
        (portward.number("select count(*) from deliveries where delivered_at is not null").await == 1).then_some(())
    });
    assert!(written.await.is_some());
    assert_eq!(portward.ready_calls(request_id), 2, "at least once, and not again and again");
    answered(&portward, &tokens, request_id).await;
}

/// The signature, computed by hand (contract 7).
fn verify(portward: &Portward, call: &testkit::receiver::Received) {
    let header = call.header("tiktok-signature");
    let time: i64 =
        header.strip_prefix("t=").and_then(|rest| rest.split_once(",s=")).expect("t=..,s=..").0.parse().expect("seconds");
    assert_eq!(header, wire::sign(&portward.client_secret, time, &call.body));
    let body = call.json();
    assert_eq!(body["client_key"], portward.client_key.as_str());
}

async fn after_an_exchange(engine: Engine) {
    let mut portward = paused(engine, "exchanged");
    let browser = portward.browser("anna");
    let code = portward.code(&browser, "portability.activity.single").await;
    let exchange = |portward: &Portward| {
        let form = [
            ("client_key", portward.client_key.as_str()),
            ("client_secret", portward.client_secret.as_str()),
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", CALLBACK),
        ];
        portward.http.post(portward.url("/v2/oauth/token/")).form(&form)
    };
    let lost = in_the_background(exchange(&portward));
    portward.told("paused at exchanged");
    portward.kill();
    assert!(lost.await.expect("the app").is_none(), "no answer at the pause");
    portward.serve(&[]);
    let again = in_the_background(exchange(&portward)).await.expect("the app").expect("an answer");
    assert_eq!((again.status, again.json["error"].as_str()), (400, Some("invalid_grant")), "a code is used once");
    let ended = portward.rows("select end_cause from grants").await;
    assert_eq!(ended, [json!({ "end_cause": "replay" })], "what it gave is taken back: somebody else may hold it");
    // The session outlives the kill, and another consent brings another single.
    let tokens = portward.tokens_of(&portward.browser("anna"), "portability.activity.single").await;
    let added = portward.add(&tokens.access, ACTIVITY).await;
    assert_eq!(portward.settled(&tokens.access, added.request_id()).await, "downloading");
}

async fn after_a_refresh(engine: Engine) {
    let mut portward = Plan::new(engine).toml(FAST).toml("[tokens]\nrefresh_grace = \"10 min\"\n").install();
    portward.serve(&[("PORTWARD_PAUSE_AT", "refreshed")]);
    let tokens = portward.tokens("portability.activity.single").await;
    let refresh = |portward: &Portward| {
        let form = [
            ("client_key", portward.client_key.as_str()),
            ("client_secret", portward.client_secret.as_str()),
            ("grant_type", "refresh_token"),
            ("refresh_token", tokens.refresh.as_str()),
        ];
        portward.http.post(portward.url("/v2/oauth/token/")).form(&form)
    };
    let lost = in_the_background(refresh(&portward));
    portward.told("paused at refreshed");
    portward.kill();
    assert!(lost.await.expect("the app").is_none(), "no answer at the pause");
    portward.serve(&[]);
    let mut answers = Vec::new();
    for _ in 0..2 {
        let again = in_the_background(refresh(&portward)).await.expect("the app").expect("an answer");
        answers.push(Tokens::of(&again));
    }
    assert_eq!(answers[0].access, answers[1].access, "within the grace the same answer comes again");
    assert_ne!(answers[0].access, tokens.access);
    let added = portward.add(&answers[0].access, ACTIVITY).await;
    assert_eq!(portward.settled(&answers[0].access, added.request_id()).await, "downloading");

    // Without a grace the second use ends the family, kill or no kill.
    portward.env.push(("PORTWARD__TOKENS__REFRESH_GRACE".into(), "0 s".into()));
    portward.serve(&[]);
    let again = in_the_background(refresh(&portward)).await.expect("the app").expect("an answer");
    assert_eq!((again.status, again.json["error"].as_str()), (400, Some("invalid_grant")));
    let dead = portward.data("check", &answers[0].access, &json!({ "request_id": added.request_id() })).await;
    assert_eq!((dead.status, dead.code()), (401, "access_token_invalid"));
}

/// A worker that sleeps past its lease while another does its job changes nothing when it awakes.
async fn paused_past_the_lease(engine: Engine) {
    let source = testkit::postgres::database().expect("a PostgreSQL for these tests");
    source.execute("create table watched (id bigint primary key, user_id bigint not null, link text, title text)");
    source.execute(&format!("insert into watched select n, 7, 'l' || n, 't' || n from generate_series(1, {ROWS}) n"));
    let from = "kind = \"sqlite\"\nurl = \"sqlite:clips.db\"";
    assert!(CATALOGUE.contains(from));
    let catalogue = CATALOGUE.replace(from, &format!("kind = \"postgres\"\nurl = \"{}\"", source.url()));
    let mut portward = Plan::new(engine).catalogue(catalogue).toml(FAST).install();
    portward.serve(&[]);
    let tokens = portward.tokens("portability.activity.single").await;

    let mut lock = PgConnection::connect(source.url()).await.expect("the source");
    lock.execute("begin").await.expect("a transaction");
    lock.execute("lock table watched in access exclusive mode").await.expect("the lock");
    let request_id = portward.add(&tokens.access, ACTIVITY).await.request_id();
    let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    let begun = eventually(10, async || {
        let count: i64 = sqlx::query_scalar(waiting).fetch_one(&mut lock).await.expect("a count");
        (count == 1).then_some(())
    });
    assert!(begun.await.is_some(), "the first attempt reads the source");
    let (sleeper, attempt) = (portward.pid(), "select attempt from requests");
    assert_eq!(portward.number(attempt).await, 1);
    signal("STOP", sleeper);

    let log = std::fs::File::create(portward.path("worker.log")).expect("a log");
    let mut worker = portward.command(&["worker", "--config", "portward.toml"]);
    let mut worker = Killed(worker.stdout(Stdio::null()).stderr(log).spawn().expect("a worker"));
    let taken = eventually(15, async || (portward.number(attempt).await == 2).then_some(())).await;
    assert!(taken.is_some(), "another worker takes the job once the lease has run out");
    lock.execute("commit").await.expect("the lock released");
    let done = eventually(15, async || {
        (portward.rows("select status from requests").await == [json!({ "status": "ready" })]).then_some(())
    });
    assert!(done.await.is_some(), "the other worker finishes");
    let archive = portward.rows("select object, sha256, attempt from archives").await;
    assert_eq!(archive[0]["attempt"], 2);

    signal("CONT", sleeper);
    let noticed = eventually(15, async || {
        let log = portward.log_of_this_life();
        ["lease lost", "archive thrown away", "no longer wanted", "request ready"]
            .iter()
            .any(|text| log.contains(text))
            .then_some(())
    });
    assert!(noticed.await.is_some(), "the sleeper goes on, and finds out");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(portward.rows("select object, sha256, attempt from archives").await, archive, "the older attempt changes nothing");
    assert_eq!(files(&portward.path("vault")).len(), 1);
    answered(&portward, &tokens, request_id).await;
    assert_eq!(portward.ready_calls(request_id), 1);
    worker.end();
}

struct Killed(std::process::Child);

impl Killed {
    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.end();
    }
}

both!(
    before_the_commit_of_add,
    after_the_commit_of_add,
    after_the_commit_of_an_ongoing_add,
    when_the_export_has_begun,
    when_the_archive_is_built,
    after_the_put,
    before_the_commit_of_ready,
    after_the_commit_of_ready,
    after_a_delivery,
    after_an_exchange,
    after_a_refresh,
    paused_past_the_lease,
);

/// An archive that lies half written when the power goes is never served, and is swept up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_an_object_is_swept() {
    let mut portward = Portward::start(Engine::Sqlite, FAST);
    let tokens = portward.tokens("portability.activity.single").await;
    let request_id = portward.add(&tokens.access, ACTIVITY).await.request_id();
    answered(&portward, &tokens, request_id).await;
    portward.kill();
    // What the object store leaves beside an object whose upload was cut, and objects that no archive names.
    let uuid = "0f8fad5b-d9cb-469f-a165-70867728950e";
    let folder = portward.path("vault").join("4242424242424242");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join(format!("1-{uuid}#1")), "half").expect("a file");
    std::fs::write(folder.join(format!("1-{uuid}")), "stray").expect("a file");
    std::fs::write(portward.path("vault").join(request_id.to_string()).join(format!("7-{uuid}")), "stray").expect("a file");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    swept(&mut portward).await;
    portward.download(&tokens.access, request_id).await;
}

/// Two servers on one store share the work: each request is answered once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_workers_share_a_queue() {
    let portward = Portward::start(Engine::Postgres, FAST);
    let mut worker = Command::new(binary());
    worker
        .args(["worker", "--config", "portward.toml"])
        .current_dir(portward.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _worker = Killed(worker.spawn().expect("a worker"));
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(portward.add(&tokens.access, ACTIVITY).await.request_id());
    }
    for id in &ids {
        assert_eq!(portward.settled(&tokens.access, *id).await, "downloading");
    }
    portward.hook.wait(12, Duration::from_secs(15)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(ids.iter().all(|id| portward.ready_calls(*id) == 1), "each is told once");
    assert_eq!(portward.number("select max(attempt) from archives").await, 1);
    sound(&portward).await;
}
