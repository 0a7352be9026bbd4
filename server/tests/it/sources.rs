//! Sources that are down, slow, die in mid-stream, or are not what the catalogue says: each request ends as the wire wants it, with a reason
//! for the operator, and the server goes on.

use std::fmt::Write;
use std::time::Duration;

use serde_json::json;
use testkit::person::Browser;
use testkit::postgres::Database;
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::support::{Engine, Plan, Portward, Tokens, eventually, sqlite};

pub(crate) const HEAD: &str = "
format = 1
edition = \"2027-01-01\"
document = \"data.json\"
text_root = \"Clips\"
[subject]
type = \"integer\"
";

pub(crate) fn source(name: &str, kind: &str, url: &str, more: &str) -> String {
    format!("[source.{name}]\nkind = \"{kind}\"\nurl = \"{url}\"\n{more}\n")
}

/// One category with one section; all share a scope.
pub(crate) fn category(name: &str, source: &str, query: &str) -> String {
    format!(
        "[[category]]\nname = \"{name}\"\nscope = \"portability.activity\"\ntitle = {{ en = \"{name}\" }}\ntext = {{ en = \"{name}\" }}\n\
         sensitivity = \"normal\"\n\
         [[section]]\ncategories = [\"{name}\"]\npath = [\"Root\", \"{name}\"]\nsource = \"{source}\"\nshape = \"list\"\nempty = \"[]\"\n\
         owner = \"user_id\"\nkey = [\"id\"]\nhidden = [\"id\", \"user_id\"]\nquery = \"{query}\"\n"
    )
}

/// Passes connections on to PostgreSQL.
struct Forwarder(tokio::task::JoinHandle<()>);

impl Forwarder {
    async fn start(port: u16, database: &Database) -> Self {
        let url = Url::parse(database.url()).expect("an address");
        let to = (url.host_str().expect("a host").to_owned(), url.port().unwrap_or(5432));
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is still free");
        Self(tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                let to = to.clone();
                tokio::spawn(async move {
                    let mut to = TcpStream::connect(to).await.expect("PostgreSQL");
                    let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
                });
            }
        }))
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

fn through(database: &Database, port: u16, user: &str) -> String {
    let mut url = Url::parse(database.url()).expect("an address");
    url.set_port(Some(port)).expect("a port");
    url.set_host(Some("127.0.0.1")).expect("a host");
    if let Some((user, password)) = user.split_once(':') {
        url.set_username(user).expect("a user");
        url.set_password(Some(password)).expect("a password");
    }
    url.into()
}

/// A consent of its own for each request, so that what becomes of its single is seen.
pub(crate) struct Asked {
    pub(crate) tokens: Tokens,
    pub(crate) request_id: i64,
}

pub(crate) async fn ask(portward: &Portward, browser: &Browser, category: &str) -> Asked {
    let tokens = portward.tokens_of(browser, "portability.activity.single").await;
    let request_id = portward.add(&tokens.access, &[category]).await.request_id();
    Asked { tokens, request_id }
}

/// It ends as `expired` with one of the reasons, nothing is served, and the single is the person's again.
pub(crate) async fn fails(portward: &Portward, asked: &Asked, reasons: &[&str], says: &str) {
    let Asked { tokens, request_id } = asked;
    assert_eq!(portward.settled_within(&tokens.access, *request_id, 30).await, "expired");
    let shown = portward.show(*request_id);
    let failure = shown["failure"].as_str().expect("a reason");
    assert!(reasons.contains(&failure), "{shown:#}");
    assert!(shown["failure_detail"].as_str().expect("a detail").contains(says), "{says}: {shown:#}");
    let download = portward.data("download", &tokens.access, &json!({ "request_id": request_id })).await;
    assert_eq!((download.status, download.code()), (400, "invalid_params"));
    assert_eq!(
        portward.number(&format!("select count(*) from grant_scopes where spent_on = {request_id}")).await,
        0,
        "the single is back"
    );
}

pub(crate) async fn succeeds(portward: &Portward, asked: &Asked, category: &str, rows: usize) {
    assert_eq!(portward.settled_within(&asked.tokens.access, asked.request_id, 30).await, "downloading", "{category}");
    let archive = portward.download(&asked.tokens.access, asked.request_id).await;
    assert_eq!(archive.json["Root"][category].as_array().map(Vec::len), Some(rows), "{category}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_in_trouble() {
    let database = testkit::postgres::database().expect("a PostgreSQL for these tests");
    database.execute("create table t (id bigint primary key, user_id bigint not null, a text); create table dropped (id bigint, user_id bigint, a text, b text)");
    database.execute(
        "insert into t select n, 7, 'x' || n from generate_series(1, 200) n; insert into dropped values (1, 7, 'x', 'y')",
    );
    let (later, never) = (free_port(), free_port());
    let mut catalogue = String::from(HEAD);
    let here = database.url();
    catalogue += &source("here", "postgres", here, "statement_timeout = \"60 s\"");
    catalogue += &source("hasty", "postgres", here, "statement_timeout = \"500 ms\"");
    catalogue += &source("later", "postgres", &through(&database, later, ""), "connect_timeout = \"1 s\"");
    catalogue += &source("never", "postgres", &through(&database, never, "somebody:hunter2secret"), "connect_timeout = \"1 s\"");
    let plain = "select id, user_id, a from t where user_id = :subject order by id";
    // Slow by the row, so that rows are on their way when the connection dies.
    let dripping = "select id, user_id, a || pg_sleep(0.01) as a from t where user_id = :subject";
    for (name, source, query) in [
        ("fine", "here", plain),
        ("slow", "hasty", "select id, user_id, a || pg_sleep(0.05) as a from t where user_id = :subject"),
        ("torn", "here", dripping),
        ("torn_again", "here", dripping),
        ("later", "later", plain),
        ("never", "never", plain),
        ("no_table", "here", "select id, user_id, a from absent where user_id = :subject"),
        ("no_column", "here", "select id, user_id, absent from t where user_id = :subject"),
        ("no_owner", "here", "select id, a from t where user_id = :subject"),
        ("dropped", "here", "select id, user_id, a, b from dropped where user_id = :subject"),
    ] {
        let _ = write!(catalogue, "{}", category(name, source, query));
    }
    let toml = "[requests]\nattempts = 2\n[jobs]\nexports = 8\n";
    let mut portward = Plan::new(Engine::Sqlite).catalogue(catalogue).clips("").toml(toml).install();
    // Two sources are down, and it serves all the same.
    portward.serve(&[]);
    let browser = portward.browser("anna");

    let [slow, later_one, never, no_table, no_column, no_owner] = [
        ask(&portward, &browser, "slow").await,
        ask(&portward, &browser, "later").await,
        ask(&portward, &browser, "never").await,
        ask(&portward, &browser, "no_table").await,
        ask(&portward, &browser, "no_column").await,
        ask(&portward, &browser, "no_owner").await,
    ];
    let failed_once = eventually(10, async || portward.log().contains("source_down").then_some(())).await;
    assert!(failed_once.is_some(), "the first attempt fails");
    assert_eq!(portward.status(&later_one.tokens.access, later_one.request_id).await, "pending", "it is tried again");
    let _forwarder = Forwarder::start(later, &database).await;
    succeeds(&portward, &later_one, "later", 200).await;
    fails(&portward, &slow, &["timeout"], "slow").await;
    fails(&portward, &never, &["source_down"], "never").await;
    fails(&portward, &no_table, &["query_failed"], "absent").await;
    fails(&portward, &no_column, &["query_failed", "columns_mismatch"], "absent").await;
    fails(&portward, &no_owner, &["columns_mismatch"], "user_id").await;

    // The connection is cut while rows are on their way: the archive is begun anew, and gives the whole.
    let cut = "select pg_terminate_backend(pid) from pg_stat_activity
               where datname = current_database() and pid <> pg_backend_pid() and query like '%pg_sleep(0.01)%' and state = 'active'";
    let torn = ask(&portward, &browser, "torn").await;
    assert!(sleeping(&database, true).await, "the query runs");
    tokio::time::sleep(Duration::from_millis(300)).await;
    database.execute(cut);
    succeeds(&portward, &torn, "torn", 200).await;
    assert_eq!(portward.show(torn.request_id)["attempt"], 1, "a lost snapshot costs no attempt");
    // Cut each time, it fails and nothing thinner is served: three beginnings in each of two attempts.
    let torn_again = ask(&portward, &browser, "torn_again").await;
    for _ in 0..6 {
        assert!(sleeping(&database, true).await, "the query runs");
        tokio::time::sleep(Duration::from_millis(200)).await;
        database.execute(cut);
        assert!(sleeping(&database, false).await, "the query is gone");
    }
    fails(&portward, &torn_again, &["source_down", "query_failed"], "torn_again").await;

    // A column goes while the server holds prepared queries.
    succeeds(&portward, &ask(&portward, &browser, "dropped").await, "dropped", 1).await;
    database.execute("alter table dropped drop column b");
    fails(&portward, &ask(&portward, &browser, "dropped").await, &["query_failed", "columns_mismatch"], "b").await;
    database.execute("alter table dropped add column b integer");
    succeeds(&portward, &ask(&portward, &browser, "dropped").await, "dropped", 1).await;

    succeeds(&portward, &ask(&portward, &browser, "fine").await, "fine", 200).await;
    assert!(portward.is_alive());
    assert!(portward.vault().len() == 5, "{:?}", portward.vault());
    for told in [portward.log(), portward.admin(&["request", "list"]).to_string(), portward.admin(&["job", "list"]).to_string()] {
        assert!(!told.contains("hunter2secret"), "a source's password is told");
    }
    let check = portward.run(&["check", "--config", "portward.toml"]);
    let said = crate::support::text(&check.stdout);
    assert!(!check.status.success() && !said.contains("hunter2secret"), "{said}");
    for fault in ["never", "absent", "no_owner"] {
        assert!(said.contains(fault), "check does not name {fault}: {said}");
    }
}

/// Waits until a dripping query runs, or none does.
async fn sleeping(database: &Database, wanted: bool) -> bool {
    use sqlx::Connection;
    let mut connection = sqlx::PgConnection::connect(database.url()).await.expect("the source");
    let count = "select count(*) from pg_stat_activity
                 where datname = current_database() and pid <> pg_backend_pid() and query like '%pg_sleep(0.01)%' and state = 'active'";
    let seen = eventually(15, async || {
        let count: i64 = sqlx::query_scalar(count).fetch_one(&mut connection).await.expect("a count");
        ((count > 0) == wanted).then_some(())
    });
    seen.await.is_some()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_in_trouble() {
    let mut catalogue = String::from(HEAD);
    catalogue += &source("here", "sqlite", "sqlite:clips.db", "");
    catalogue += &source("later", "sqlite", "sqlite:later.db", "");
    catalogue += &source("broken", "sqlite", "sqlite:broken.db", "");
    catalogue += &source("hasty", "sqlite", "sqlite:clips.db", "statement_timeout = \"300 ms\"");
    let plain = "select id, user_id, a from t where user_id = :subject order by id";
    let endless = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 4000000000)
                   select max(i) as id, 7 as user_id, 'x' as a from n where :subject > 0";
    for (name, source, query) in [
        ("fine", "here", plain),
        ("later", "later", plain),
        ("broken", "broken", plain),
        ("no_table", "here", "select id, user_id, a from absent where user_id = :subject"),
        ("no_column", "here", "select id, user_id, absent from t where user_id = :subject"),
    ] {
        catalogue += &category(name, source, query);
    }
    catalogue += &category("slow", "hasty", endless).replace("query = \"", "query = \"\"\"").replace("> 0\"", "> 0\"\"\"");
    let rows = "create table t (id integer primary key, user_id integer, a text); insert into t (user_id, a) values (7, 'x'), (7, 'y'), (8, 'u8')";
    let toml = "[requests]\nattempts = 2\n[jobs]\nexports = 8\n";
    let mut portward = Plan::new(Engine::Sqlite).catalogue(catalogue).clips(rows).toml(toml).install();
    std::fs::write(
        portward.path("broken.db"),
        b"this is no database, and long enough to be read as a header of one.........................................",
    )
    .expect("a file");
    portward.serve(&[]);
    let browser = portward.browser("anna");
    let later = ask(&portward, &browser, "later").await;
    let rest = [
        (ask(&portward, &browser, "broken").await, vec!["source_down", "query_failed"], "broken"),
        (ask(&portward, &browser, "no_table").await, vec!["query_failed"], "absent"),
        (ask(&portward, &browser, "no_column").await, vec!["query_failed", "columns_mismatch"], "absent"),
        (ask(&portward, &browser, "slow").await, vec!["timeout"], "slow"),
    ];
    let failed_once = eventually(10, async || portward.log().contains("source_down").then_some(())).await;
    assert!(failed_once.is_some(), "the first attempt fails");
    assert!(!portward.path("later.db").exists(), "a database that is missing is not made");
    sqlite(&portward.path("later.db"), rows);
    succeeds(&portward, &later, "later", 2).await;
    for (asked, reasons, says) in &rest {
        fails(&portward, asked, reasons, says).await;
    }
    succeeds(&portward, &ask(&portward, &browser, "fine").await, "fine", 2).await;
    assert!(portward.is_alive());
}

/// A person whose subject is not of the catalogue's type: the request fails with that reason, and is not tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subject_that_is_no_number() {
    let portward = Portward::start(Engine::Sqlite, "");
    portward.add_person("odd", "no-number", "FR");
    let tokens = portward.tokens_of(&portward.browser("odd"), "portability.activity.single").await;
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    fails(&portward, &Asked { tokens, request_id }, &["subject_invalid"], "integer").await;
    assert_eq!(portward.show(request_id)["attempt"], 1);
}
