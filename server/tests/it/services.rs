//! Services, object stores and MariaDB in trouble: each request ends as the wire wants it, with a reason for the operator, nothing is served,
//! and the server goes on. `sources.rs` has the same for PostgreSQL and SQLite.

use std::time::Duration;

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::sources::{Asked, HEAD, ask, category, fails, free_port, source, succeeds};
use crate::support::{Engine, Plan};

/// A service with an answer, or what it takes for one, for each last word of a path; an object store's too.
async fn service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    url
}

async fn answer(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut head).await {
            Ok(more) if more > 0 => {}
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let row = |user: u32, id: u32| format!("{{\"id\":{id},\"user_id\":{user},\"a\":\"row of u{user}\"}}\n");
    let with = |status: &str, more: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\nconnection: close\r\n{more}content-length: {}\r\n\r\n{body}", body.len())
    };
    let lines = "content-type: application/x-ndjson\r\n";
    let film = "etag: \"e\"\r\nlast-modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n";
    let page = "<html><body>Please sign in</body></html>";
    let said = match path.rsplit('/').next().unwrap_or_default() {
        "fine" => with("200 OK", lines, &(row(7, 1) + &row(7, 2))),
        "html" => with("200 OK", "content-type: text/html\r\n", page),
        "endless" => with("200 OK", lines, &"x".repeat(200_000)),
        "wrong" => with("200 OK", lines, &(row(7, 1) + &row(8, 2))),
        "cut" => format!("HTTP/1.1 200 OK\r\n{lines}content-length: 1000\r\n\r\n{}{{\"id\":2,\"us", row(7, 1)),
        "shut" => with("401 Unauthorized", "", ""),
        "slow" | "slow.mp4" => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            return;
        }
        "short.mp4" => format!("HTTP/1.1 200 OK\r\n{film}content-length: 9000\r\n\r\n\0\0\0\x18ftypmp42\0\0\0\0mp42isom"),
        "gone.mp4" => with("404 Not Found", "", ""),
        _ => with("500 Internal Server Error", "", ""),
    };
    let _ = stream.write_all(said.as_bytes()).await;
    let _ = stream.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_and_stores_in_trouble() {
    let url = service().await;
    let limits = "first_byte_timeout = \"500 ms\"\nmax_line = \"64 KiB\"\nstatement_timeout = \"20 s\"";
    let mut catalogue = String::from(HEAD);
    catalogue += &source("people", "http", &format!("{url}/api/"), limits);
    catalogue += &source("nobody", "http", &format!("http://127.0.0.1:{}/", free_port()), "connect_timeout = \"1 s\"");
    catalogue += &source("clips", "sqlite", "sqlite:clips.db", "");
    // They are there before the first command that reads the catalogue.
    let keys = tempfile::tempdir().expect("a folder");
    let [id, secret] = ["id", "secret"].map(|name| {
        let file = keys.path().join(name);
        std::fs::write(&file, "hunter2secret").expect("a key");
        file.display().to_string()
    });
    catalogue += &format!(
        "[store.films]\nurl = \"s3://bucket\"\nendpoint = \"{url}\"\nregion = \"r\"\naccess_key_file = \"{id}\"\nsecret_key_file = \"{secret}\"\n\
         timeout = \"500 ms\"\n"
    );
    // Reasons, and what the operator reads.
    let of_services: [(&str, &[&str], &str); 7] = [
        ("html", &["query_failed"], "text/html"),
        ("endless", &["query_failed"], "max_line"),
        ("wrong", &["owner_mismatch"], "wrong"),
        ("cut", &["source_down"], "broke off"),
        ("shut", &["source_down"], "token_file"),
        ("slow", &["timeout"], "first_byte_timeout"),
        ("error", &["source_down"], "500"),
    ];
    for name in of_services.map(|(name, ..)| name).iter().chain(&["fine"]) {
        catalogue += &category(name, "people", &format!("/people/:subject/{name}"));
        catalogue += "[section.fields]\na = { type = \"string\" }\n";
    }
    catalogue += &category("nobody", "nobody", "/people/:subject/fine");
    catalogue += "[section.fields]\na = { type = \"string\" }\n";
    let of_stores: [(&str, &[&str], &str); 4] = [
        ("broken", &["source_down"], "films"),
        ("slow", &["source_down", "timeout"], "films"),
        ("short", &["query_failed", "source_down"], "films"),
        ("gone", &["query_failed"], "no such object"),
    ];
    for (name, ..) in of_stores {
        let query = format!("select id, user_id, film from films where user_id = :subject and film = 'people/7/{name}.mp4'");
        catalogue += &category(&format!("film_{name}"), "clips", &query);
        catalogue += "[section.media]\ncolumn = \"film\"\nstore = \"films\"\nwithin = \"people/:subject/\"\nmissing = \"fail\"\n";
    }
    let films =
        of_stores.map(|(name, ..)| format!("insert into films (user_id, film) values (7, 'people/7/{name}.mp4');")).concat();
    let clips = format!("create table films (id integer primary key, user_id integer, film text); {films}");
    let toml = "[requests]\nattempts = 1\n[jobs]\nexports = 8\n";
    let mut portward = Plan::new(Engine::Sqlite).catalogue(catalogue).clips(clips).toml(toml).install();
    portward.serve(&[]);
    let browser = portward.browser("anna");
    for (name, reasons, says) in of_services {
        fails(&portward, &ask(&portward, &browser, name).await, reasons, says).await;
    }
    fails(&portward, &ask(&portward, &browser, "nobody").await, &["source_down"], "no connection").await;
    for (name, reasons, says) in of_stores {
        // Members are for texts; the JSON archive has links.
        let tokens = portward.tokens_of(&browser, "portability.activity.single").await;
        let body = json!({ "data_format": "text", "category_selection_list": [format!("film_{name}")] });
        let request_id = portward.data("add", &tokens.access, &body).await.request_id();
        fails(&portward, &Asked { tokens, request_id }, reasons, says).await;
    }
    assert!(portward.vault().is_empty() && portward.scratch().is_empty(), "{:?} {:?}", portward.vault(), portward.scratch());
    succeeds(&portward, &ask(&portward, &browser, "fine").await, "fine", 2).await;
    assert!(portward.is_alive());
    let told = portward.log() + &portward.admin(&["request", "list"]).to_string();
    for secret in ["hunter2secret", "row of u", "Please sign in", "/people/7/"] {
        assert!(!told.contains(secret), "{secret} is told");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mariadb_in_trouble() {
    let Ok(server) = std::env::var("TEST_MYSQL_URL") else {
        assert_eq!(std::env::var("PORTWARD_SKIP_MYSQL").as_deref(), Ok("1"), "TEST_MYSQL_URL is not set: run ./test");
        return;
    };
    let name = format!("portward_it_{}", std::process::id());
    let mut admin = MySqlConnection::connect(&server).await.expect("MariaDB");
    let rows = "create table t (id bigint primary key, user_id bigint, a varchar(40)); insert into t select seq, 7, concat('row ', seq) from seq_1_to_200;
                insert into t values (1000, 8, 'row of u8'); create table changing (id bigint, user_id bigint, a varchar(9)); insert into changing values (1, 7, 'x');";
    let database = format!("create database {name} character set utf8mb4; use {name}; {rows}");
    admin.execute(sqlx::raw_sql(AssertSqlSafe(database))).await.expect("a database");
    let here = format!("{}/{name}", server.rsplit_once('/').expect("a database in the address").0);
    let address = here.rsplit_once('@').map_or(here.as_str(), |(_, address)| address);
    let mut catalogue = String::from(HEAD);
    catalogue += &source("here", "mysql", &here, "");
    catalogue += &source("hasty", "mysql", &here, "statement_timeout = \"500 ms\"");
    catalogue += &source(
        "never",
        "mysql",
        &format!("mysql://somebody:hunter2secret@127.0.0.1:{}/x", free_port()),
        "connect_timeout = \"1 s\"",
    );
    catalogue += &source("shut", "mysql", &format!("mysql://somebody:hunter2secret@{address}"), "connect_timeout = \"2 s\"");
    let plain = "select id, user_id, a from t where user_id = :subject order by id";
    for (name, source, query) in [
        ("fine", "here", plain),
        ("slow", "hasty", "select id, user_id, concat(a, sleep(0.05)) as a from t where user_id = :subject"),
        ("never", "never", plain),
        ("shut", "shut", plain),
        ("no_table", "here", "select id, user_id, a from absent where user_id = :subject"),
        ("no_column", "here", "select id, user_id, absent from t where user_id = :subject"),
        ("joined", "here", "select id, user_id, a from t where user_id = :subject or 1 = 1 order by id"),
        ("changing", "here", "select id, user_id, a from changing where user_id = :subject"),
    ] {
        catalogue += &category(name, source, query);
    }
    let toml = "[requests]\nattempts = 1\n[jobs]\nexports = 8\n";
    let mut portward = Plan::new(Engine::Sqlite).catalogue(catalogue).clips("").toml(toml).install();
    portward.serve(&[]);
    let browser = portward.browser("anna");
    for (name, reasons, says) in [
        ("slow", ["timeout", ""], "slow"),
        ("never", ["source_down", ""], "never"),
        ("shut", ["source_down", ""], "shut"),
        ("no_table", ["query_failed", ""], "absent"),
        ("no_column", ["query_failed", "columns_mismatch"], "absent"),
        ("joined", ["owner_mismatch", ""], "joined"),
    ] {
        fails(&portward, &ask(&portward, &browser, name).await, &reasons, says).await;
    }
    succeeds(&portward, &ask(&portward, &browser, "changing").await, "changing", 1).await;
    admin.execute("alter table changing drop column a").await.expect("the column is gone");
    fails(&portward, &ask(&portward, &browser, "changing").await, &["query_failed", "columns_mismatch"], "changing").await;
    succeeds(&portward, &ask(&portward, &browser, "fine").await, "fine", 200).await;
    assert!(portward.is_alive());
    assert_eq!(portward.vault().len(), 2, "{:?}", portward.vault());
    let told = portward.log() + &portward.admin(&["request", "list"]).to_string();
    for secret in ["hunter2secret", "row of u"] {
        assert!(!told.contains(secret), "{secret} is told");
    }
    admin.execute(sqlx::raw_sql(AssertSqlSafe(format!("drop database {name}")))).await.expect("the database is gone");
}
