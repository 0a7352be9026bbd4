//! Downloads: cut and resumed, past their time, cancelled; and withdrawn while they run.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::page::forms;
use testkit::person::{Answer, Browser};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::kill::FAST;
use crate::support::{Archive, Engine, Plan, Portward, both, clips, eventually, sha256, within};

/// What does not compress well, so many bytes of it as hexadecimal a row.
pub(crate) fn large(rows: usize, bytes: usize) -> String {
    clips()
        + &format!(
            "; insert into watched (user_id, link, title)
               with recursive n (i) as (select 1 union all select i + 1 from n where i < {rows})
               select 7, 'x', hex(randomblob({bytes})) from n;"
        )
}

async fn ready(portward: &Portward) -> (String, i64) {
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled_within(&tokens.access, request_id, 60).await, "downloading");
    (tokens.access, request_id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_cuts_and_the_same_bytes() {
    let mut portward = Plan::new(Engine::Sqlite).clips(large(150, 1000)).install();
    portward.serve(&[]);
    let (token, request_id) = ready(&portward).await;
    let call = || portward.call("download", &token, &json!({ "request_id": request_id }));
    let whole = Answer::read(call().send().await.expect("an answer")).await;
    let size = whole.bytes.len();
    let etag = whole.headers["etag"].clone();
    assert!(size > 140_000, "{size}");
    assert_eq!((whole.headers["accept-ranges"].as_str(), whole.headers["content-type"].as_str()), ("bytes", "application/zip"));

    let mut seed = 88_172_645_463_325_252_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).expect("a size")
    };
    let mut got: Vec<u8> = Vec::new();
    for cut in 0..=50 {
        let mut response =
            call().header("range", format!("bytes={}-", got.len())).header("if-range", &etag).send().await.expect("an answer");
        assert_eq!(response.status(), 206);
        assert_eq!(response.headers()["content-range"], format!("bytes {}-{}/{size}", got.len(), size - 1));
        // The connection is dropped in the middle; the last one is read to its end.
        let wanted = if cut == 50 { size - got.len() } else { random(size / 60) };
        let mut part = Vec::new();
        while part.len() < wanted {
            let Some(piece) = response.chunk().await.expect("bytes") else { break };
            part.extend_from_slice(&piece);
        }
        part.truncate(wanted);
        got.extend(part);
    }
    assert_eq!(sha256(&got), etag.trim_matches('"'));
    Archive::open(&got);
    assert_eq!(portward.number("select count(*) from audit where action = 'archive.downloaded'").await, 52, "each is on record");

    let ranged = async |range: &str, condition: &str| {
        let call = call().header("range", range);
        let call = if condition.is_empty() { call } else { call.header("if-range", condition) };
        Answer::read(call.send().await.expect("an answer")).await
    };
    let tail = ranged("bytes=-100", "").await;
    assert_eq!((tail.status, &tail.bytes[..]), (206, &got[size - 100..]));
    let one = ranged("bytes=70000-70000", "").await;
    assert_eq!((one.status, &one.bytes[..]), (206, &got[70_000..=70_000]));
    for (range, condition) in [("bytes=0-1,5-6", ""), ("bytes=9-1", ""), ("bytes=0-9", "\"another\""), ("lines=1-2", "")] {
        let answer = ranged(range, condition).await;
        assert_eq!((answer.status, answer.bytes.len()), (200, size), "{range} {condition}");
    }
    let beyond = ranged(&format!("bytes={size}-"), "").await;
    assert_eq!((beyond.status, beyond.code()), (416, "invalid_params"));
    assert_eq!(beyond.headers["content-range"], format!("bytes */{size}"));
    assert!(beyond.headers["content-type"].contains("json"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archives_end_in_time_and_by_cancelling() {
    let mut portward = Plan::new(Engine::Sqlite).toml(FAST).toml("[requests]\nkept = \"3 s\"\n").install();
    portward.serve(&[]);
    let (token, request_id) = ready(&portward).await;
    portward.download(&token, request_id).await;
    let body = json!({ "request_id": request_id });
    let over = eventually(10, async || (portward.status(&token, request_id).await == "expired").then_some(())).await;
    assert!(over.is_some(), "expired by the clock, whether or not it was swept up");
    assert_eq!(portward.data("download", &token, &body).await.code(), "invalid_params");
    assert_eq!(portward.data("cancel", &token, &body).await.code(), "invalid_params", "too late to cancel");
    portward.kill();
    portward.make_schedules_due();
    portward.serve(&[("PORTWARD__REQUESTS__KEPT", "4 d")]);
    let gone = eventually(10, async || (portward.vault().is_empty()).then_some(())).await;
    assert!(gone.is_some(), "the expired archive is deleted");
    assert_eq!(portward.number("select count(*) from archives").await, 0);
    assert_eq!(portward.status(&token, request_id).await, "expired");

    let (token, request_id) = ready(&portward).await;
    let body = json!({ "request_id": request_id });
    for _ in 0..2 {
        let cancelled = portward.data("cancel", &token, &body).await;
        assert_eq!((cancelled.status, cancelled.code(), cancelled.json.get("data")), (200, "ok", None));
    }
    assert_eq!(portward.status(&token, request_id).await, "cancelled");
    assert_eq!(portward.data("download", &token, &body).await.code(), "invalid_params");
    let gone = eventually(10, async || (portward.vault().is_empty()).then_some(())).await;
    assert!(gone.is_some(), "the cancelled archive is deleted");
}

/// A client that takes its time: its buffers are small, so that the server notices.
pub(crate) struct Slow {
    stream: TcpStream,
    length: usize,
    read: usize,
}

impl Slow {
    pub(crate) async fn start(portward: &Portward, token: &str, request_id: i64) -> Self {
        let body = json!({ "request_id": request_id }).to_string();
        let call = format!(
            "POST /v2/user/data/download/ HTTP/1.1\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}",
            body.len()
        );
        Self::call(portward, &call, &body).await
    }

    /// The same by the own API, from the second byte on.
    pub(crate) async fn start_own(portward: &Portward, token: &str, request_id: i64) -> Self {
        let call = format!("GET /v1/requests/{request_id}/archive HTTP/1.1\r\nauthorization: Bearer {token}\r\nrange: bytes=1-");
        Self::call(portward, &call, "").await
    }

    async fn call(portward: &Portward, call: &str, body: &str) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(16 * 1024).expect("a small buffer");
        let authority = portward.base.strip_prefix("http://").expect("plain http").to_owned();
        let mut stream = socket.connect(authority.parse().expect("an address")).await.expect("a connection");
        let head = format!("{call}\r\nhost: {authority}\r\n\r\n{body}");
        stream.write_all(head.as_bytes()).await.expect("the call sent");
        let mut text = String::new();
        while !text.ends_with("\r\n\r\n") {
            text.push(char::from(stream.read_u8().await.expect("the head of the answer")));
        }
        assert!(text.starts_with("HTTP/1.1 20"), "{text}");
        let length =
            text.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length").parse().expect("a number");
        Self { stream, length, read: 0 }
    }

    /// Reads a little, at two megabytes a second or less; `false` once the stream has ended, one way or the other.
    pub(crate) async fn sip(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        let until = self.read + 100_000;
        tokio::time::sleep(Duration::from_millis(50)).await;
        while self.read < until {
            match self.stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return false,
                Ok(count) => self.read += count,
            }
        }
        true
    }

    pub(crate) async fn torn_within(&mut self, seconds: u64) {
        within(seconds, "the end of a download that was withdrawn", async { while self.sip().await {} }).await;
        assert!(self.read < self.length, "all of it came: {} of {}", self.read, self.length);
    }
}

/// Presses the button on the connections page.
async fn withdraw(portward: &Portward, browser: &Browser) -> u16 {
    let page = browser.http().get(portward.url("/connections")).send().await.expect("a page");
    assert_eq!(page.status(), 200);
    let html = page.text().await.expect("a page");
    let form =
        forms(&html).into_iter().find(|form| form.action.contains("withdraw")).unwrap_or_else(|| panic!("no button in {html}"));
    let post = browser.http().post(portward.url(&form.action)).header("origin", &portward.base).form(&form.hidden());
    post.send().await.expect("an answer").status().as_u16()
}

/// What `authorization.removed` said.
pub(crate) async fn removed(portward: &Portward, open_id: &str) -> Vec<Value> {
    let found = eventually(15, async || {
        let calls = portward.hook.received();
        let of = |call: &&testkit::receiver::Received| {
            call.json()["event"] == "authorization.removed" && call.json()["user_openid"] == open_id
        };
        let content = |call: &testkit::receiver::Received| {
            serde_json::from_str(call.json()["content"].as_str().unwrap_or("")).unwrap_or_default()
        };
        let contents: Vec<Value> = calls.iter().filter(of).map(content).collect();
        (!contents.is_empty()).then_some(contents)
    });
    found.await.expect("the app is told")
}

async fn withdrawn_while_it_runs(engine: Engine) {
    // On one engine large enough to lie neither in the server's nor in the client's buffers.
    let runs = engine == Engine::Sqlite;
    let mut portward = Plan::new(engine)
        .clips(if runs { large(2400, 3000) } else { clips() })
        .toml(FAST)
        .toml("[requests]\nlevel = 1\n")
        .install();
    portward.serve(&[]);
    let browser = portward.browser("anna");
    let tokens = portward.tokens_of(&browser, "portability.activity.ongoing").await;
    let other = portward.tokens_of(&browser, "user.info.basic").await;
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled_within(&tokens.access, request_id, 60).await, "downloading");
    if runs {
        let mut slow = Slow::start(&portward, &tokens.access, request_id).await;
        let mut stalled = Slow::start(&portward, &tokens.access, request_id).await;
        for _ in 0..5 {
            assert!(slow.sip().await, "it runs");
        }
        // The object itself stays a while, as it would in a slow store: it is the row that counts.
        portward.execute(
            "create trigger hold after insert on jobs when new.payload like '%delete_object%'
             begin update jobs set run_at = run_at + 3600000 where job_id = new.job_id; end",
        );
        assert_eq!(withdraw(&portward, &browser).await, 303);
        slow.torn_within(5).await;
        // Who read nothing until now finds no more than what was on its way.
        stalled.torn_within(10).await;
        assert_eq!(portward.vault().len(), 1);
        portward.execute("drop trigger hold; update jobs set run_at = 0 where payload like '%delete_object%'");
    } else {
        assert_eq!(withdraw(&portward, &browser).await, 303);
    }

    assert_eq!(removed(&portward, &tokens.open_id).await, [json!({ "reason": 1 })], "told once, for all grants of the pair");
    for token in [&tokens.access, &other.access] {
        let dead = portward.data("check", token, &json!({ "request_id": request_id })).await;
        assert_eq!((dead.status, dead.code()), (401, "access_token_invalid"));
    }
    let refreshed = portward.token(&[("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh)]).await;
    assert_eq!((refreshed.status, refreshed.json["error"].as_str()), (400, Some("invalid_grant")));
    assert_eq!(portward.rows("select status from requests").await, [json!({ "status": "cancelled" })]);
    assert_eq!(portward.number("select count(*) from archives").await, 0);
    let gone = eventually(10, async || portward.vault().is_empty().then_some(())).await;
    assert!(gone.is_some(), "the archive is deleted");
    let page = browser.http().get(portward.url("/connections")).send().await.expect("a page").text().await.expect("a page");
    assert!(!forms(&page).iter().any(|form| form.action.contains("withdraw")), "nothing is left to withdraw");
}

async fn a_person_is_deleted(engine: Engine) {
    let portward = Portward::start(engine, FAST);
    let browser = portward.browser("anna");
    let tokens = portward.tokens_of(&browser, "portability.activity.ongoing").await;
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled_within(&tokens.access, request_id, 60).await, "downloading");
    portward.admin(&["person", "delete", "anna"]);
    assert_eq!(removed(&portward, &tokens.open_id).await, [json!({ "reason": 2 })]);
    let dead = portward.data("check", &tokens.access, &json!({ "request_id": request_id })).await;
    assert_eq!((dead.status, dead.code()), (401, "access_token_invalid"));
    let page = browser.http().get(portward.url("/connections")).send().await.expect("an answer");
    assert_eq!(page.status(), 303, "the session is over");
    let erased = portward.rows("select username, subject, password_hash, display_name from people").await;
    assert_eq!(erased, [json!({ "username": null, "subject": null, "password_hash": null, "display_name": "" })]);
    // Name and subject are free for somebody else, who gets nothing of what was.
    portward.add_person("anna", "7", "DE");
    let fresh = portward.tokens("portability.activity.ongoing").await;
    assert_ne!(fresh.open_id, tokens.open_id);
    let foreign = portward.data("check", &fresh.access, &json!({ "request_id": request_id })).await;
    assert_eq!((foreign.status, foreign.code()), (400, "invalid_params"));
    assert!(portward.admin_fails(&["person", "delete", "nobody"]).contains("nobody who signs in"));
}

both!(withdrawn_while_it_runs, a_person_is_deleted);

/// Withdrawn while the archive is built: the export ends, and the source is left in peace.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn withdrawn_while_it_is_built() {
    let source = testkit::postgres::database().expect("a PostgreSQL for these tests");
    let catalogue = crate::support::CATALOGUE
        .replace("kind = \"sqlite\"\nurl = \"sqlite:clips.db\"", &format!("kind = \"postgres\"\nurl = \"{}\"", source.url()))
        .replace(
            "select id, user_id, link as \"Link\", title as \"Title\" from watched where user_id = :subject order by id",
            "select n as id, 7 as user_id, 'x' || pg_sleep(0.05) as \"Link\" from generate_series(1, 2000) n where :subject > 0",
        );
    let mut portward = Plan::new(Engine::Sqlite).catalogue(catalogue).toml(FAST).install();
    portward.serve(&[]);
    let browser = portward.browser("anna");
    let tokens = portward.tokens_of(&browser, "portability.activity.single").await;
    portward.add(&tokens.access, &["activity"]).await.request_id();
    let running = async || {
        use sqlx::Connection;
        let mut connection = sqlx::PgConnection::connect(source.url()).await.expect("the source");
        let sql = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() \
                   and query like '%pg_sleep%' and state = 'active'";
        sqlx::query_scalar::<_, i64>(sql).fetch_one(&mut connection).await.expect("a count")
    };
    assert!(eventually(10, async || (running().await == 1).then_some(())).await.is_some(), "the export runs");
    assert_eq!(withdraw(&portward, &browser).await, 303);
    assert_eq!(portward.rows("select status from requests").await, [json!({ "status": "cancelled" })]);
    assert!(eventually(8, async || (running().await == 0).then_some(())).await.is_some(), "the query goes on");
    assert_eq!(portward.number("select count(*) from jobs where lane = 'export'").await, 0);
    assert!(portward.vault().is_empty());
    let seen = removed(&portward, &tokens.open_id).await;
    assert_eq!(seen, [json!({ "reason": 1 })]);
    assert!(!portward.hook.received().iter().any(|call| call.json()["event"] == "portability.download.ready"));
}
