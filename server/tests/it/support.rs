//! An installation of one's own: a folder with a configuration, a catalogue over a small database, one app and one person; the real binary
//! serves it, is killed, and is started again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::future::Future;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use testkit::person::{Answer, Browser, Decision};
use testkit::postgres::Database;
use testkit::receiver::Receiver;
use url::Url;

/// Where the app of an installation is called back.
pub(crate) const CALLBACK: &str = "https://app.example/callback";
/// The password of the person.
pub(crate) const PASSWORD: &str = "correct-horse-battery";
/// How many rows the person with the subject 7 has in the small database.
pub(crate) const ROWS: usize = 300;

/// Where the metadata lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// Runs one body with the metadata on either engine.
macro_rules! both {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name($crate::support::Engine::Sqlite).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name($crate::support::Engine::Postgres).await;
            }
        }
    )+};
}
pub(crate) use both;

/// A catalogue over the small SQLite database: what was watched, and messages; one source.
pub(crate) const CATALOGUE: &str = r#"
format = 1
edition = "2027-01-01"
document = "data.json"
text_root = "Clips"

[subject]
type = "integer"

[source.clips]
kind = "sqlite"
url = "sqlite:clips.db"

[[category]]
name = "activity"
scope = "portability.activity"
title = { en = "Your activity" }
text = { en = "What you watched" }
sensitivity = "normal"

[[category]]
name = "direct_message"
aliases = ["direct_messages"]
scope = "portability.directmessages"
title = { en = "Your messages" }
text = { en = "What you wrote" }
sensitivity = "normal"

[[category]]
name = "all_data"
scope = "portability.all"
title = { en = "Everything" }
text = { en = "All there is" }
sensitivity = "normal"

[[section]]
categories = ["activity"]
path = ["Your Activity", "Watch History", "VideoList"]
source = "clips"
shape = "list"
empty = "null"
owner = "user_id"
key = ["id"]
hidden = ["id", "user_id"]
query = '''select id, user_id, link as "Link", title as "Title" from watched where user_id = :subject order by id'''

[[section]]
categories = ["direct_message"]
path = ["Direct Message", "Messages", "List"]
source = "clips"
shape = "list"
empty = "[]"
owner = "user_id"
key = ["id"]
hidden = ["id", "user_id"]
query = '''select id, user_id, body as "Body" from messages where user_id = :subject order by id'''
"#;

/// Tables for [`CATALOGUE`]: the person 7 and another, whose rows must never be seen.
pub(crate) fn clips() -> String {
    let mut sql = String::from(
        "create table watched (id integer primary key, user_id integer not null, link text, title text);
         create table messages (id integer primary key, user_id integer not null, body text);
         create index w on watched (user_id);",
    );
    for (user, rows) in [(7, ROWS), (8, 40)] {
        sql.push_str(&format!(
            "insert into watched (user_id, link, title)
             with recursive n (i) as (select 1 union all select i + 1 from n where i < {rows})
             select {user}, 'https://clips.example/u{user}/' || i, 'clip of u{user} ' || hex(randomblob(40)) from n;
             insert into messages (user_id, body) values ({user}, 'message of u{user}');"
        ));
    }
    sql
}

/// What is to be set up before the server starts.
pub(crate) struct Plan {
    pub(crate) engine: Engine,
    pub(crate) catalogue: String,
    /// Statements for `clips.db`.
    pub(crate) clips: String,
    /// Further tables of `portward.toml`.
    pub(crate) toml: String,
    /// Whether there is a sandbox: making its people takes a moment that most tests can do without.
    pub(crate) sandbox: bool,
}

impl Plan {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, catalogue: CATALOGUE.into(), clips: clips(), toml: String::new(), sandbox: false }
    }

    pub(crate) fn toml(mut self, text: &str) -> Self {
        self.toml.push_str(text);
        self
    }

    pub(crate) fn with_sandbox(self) -> Self {
        Self { sandbox: true, ..self }
    }

    pub(crate) fn catalogue(mut self, text: impl Into<String>) -> Self {
        self.catalogue = text.into();
        self
    }

    pub(crate) fn clips(mut self, sql: impl Into<String>) -> Self {
        self.clips = sql.into();
        self
    }

    /// Writes everything and adds the app and the person; nothing serves yet.
    pub(crate) fn install(self) -> Portward {
        let folder = tempfile::Builder::new().prefix("portward-it-").tempdir().expect("a folder");
        let database = match self.engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(testkit::postgres::database().expect("a PostgreSQL for these tests")),
        };
        let store = database.as_ref().map_or_else(|| "sqlite:portward.db".to_owned(), |database| database.url().to_owned());
        let sandbox = self.sandbox;
        let toml = format!(
            "[sandbox]\nenabled = {sandbox}\nheavy_rows = 2000\n[server]\nlisten = \"127.0.0.1:0\"\nops_listen = \"127.0.0.1:0\"\nstop_within = \"2 s\"\n\
             [store]\nurl = \"{store}\"\n[log]\nformat = \"json\"\n[webhooks]\nallow = [\"127.0.0.0/8\"]\n{}",
            self.toml
        );
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file written");
        write("portward.toml", &toml);
        write("catalog.toml", &self.catalogue);
        write("password", PASSWORD);
        sqlite(&folder.path().join("clips.db"), &self.clips);
        let mut portward = Portward {
            hook: Receiver::start(),
            http: testkit::person::http(),
            env: Vec::new(),
            wrapper: None,
            child: None,
            base: String::new(),
            ops: String::new(),
            client_key: String::new(),
            client_secret: String::new(),
            life: 0,
            folder,
            database,
        };
        let made = portward.run(&["migrate", "--config", "portward.toml"]);
        assert!(made.status.success(), "{}", text(&made.stderr));
        let mut scopes = String::from("user.info.basic,user.info.profile,user.info.stats");
        let families = self.catalogue.lines().filter_map(|line| line.strip_prefix("scope = \"")?.strip_suffix('"'));
        for family in families.collect::<BTreeSet<_>>() {
            scopes.push_str(&format!(",{family}.single,{family}.ongoing"));
        }
        let hook = portward.hook.url();
        let app = ["app", "create", "--name", "Clipkeeper", "--status", "live", "--redirect-uri", CALLBACK];
        let app = portward.admin(&[&app[..], &["--webhook-url", &hook, "--scope", &scopes]].concat());
        portward.client_key = app["client_key"].as_str().expect("a client key").to_owned();
        portward.client_secret = app["client_secret"].as_str().expect("a client secret").to_owned();
        portward.add_person("anna", "7", "DE");
        portward
    }
}

/// An installation.
pub(crate) struct Portward {
    pub(crate) base: String,
    pub(crate) ops: String,
    pub(crate) client_key: String,
    pub(crate) client_secret: String,
    pub(crate) hook: Receiver,
    pub(crate) http: reqwest::Client,
    /// Set for every life of the server.
    pub(crate) env: Vec<(String, String)>,
    /// A shell script that ends in `exec "$@"`.
    pub(crate) wrapper: Option<Vec<String>>,
    child: Option<Child>,
    /// How much of the log was written in earlier lives.
    life: usize,
    folder: TempDir,
    database: Option<Database>,
}

impl Portward {
    /// One that serves, on the small database.
    pub(crate) fn start(engine: Engine, toml: &str) -> Self {
        let mut portward = Plan::new(engine).toml(toml).install();
        portward.serve(&[]);
        portward
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the binary in the folder to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the binary runs")
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        command
    }

    /// An operator's command that must succeed; its JSON.
    pub(crate) fn admin(&self, args: &[&str]) -> Value {
        let output = self.run(&[&["admin", "--json", "--config", "portward.toml"], args].concat());
        assert!(output.status.success(), "admin {args:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("admin {args:?}: {error}: {}", text(&output.stdout)))
    }

    /// An operator's command that must fail; what it says.
    pub(crate) fn admin_fails(&self, args: &[&str]) -> String {
        let output = self.run(&[&["admin", "--json", "--config", "portward.toml"], args].concat());
        assert!(!output.status.success(), "admin {args:?} succeeded: {}", text(&output.stdout));
        text(&output.stderr)
    }

    pub(crate) fn add_person(&self, username: &str, subject: &str, region: &str) {
        let args = [
            "person",
            "add",
            username,
            "--subject",
            subject,
            "--region",
            region,
            "--name",
            "Anna Q. Testperson",
            "--password-file",
            "password",
        ];
        self.admin(&args);
    }

    /// Starts `serve` and waits until it serves.
    pub(crate) fn serve(&mut self, env: &[(&str, &str)]) {
        self.spawn(&["serve", "--config", "portward.toml"], env);
        let line = self.told("serving");
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        line["url"].as_str().expect("the address").clone_into(&mut self.base);
        self.ops = format!("http://{}", line["ops"].as_str().expect("the address of the operations listener"));
    }

    /// Starts `serve` with a log for people, on the address it had before.
    pub(crate) fn serve_in_text(&mut self) {
        self.spawn(&["serve", "--config", "portward.toml"], &[]);
        self.told("serving");
    }

    pub(crate) fn spawn(&mut self, args: &[&str], env: &[(&str, &str)]) {
        self.kill();
        self.life = self.log().len();
        let log = File::options().create(true).append(true).open(self.path("stderr.log")).expect("a file for the log");
        let mut command = match &self.wrapper {
            None => Command::new(binary()),
            Some(words) => {
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]).arg(binary());
                command
            }
        };
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.envs(self.env.iter().map(|(key, value)| (key, value))).envs(env.iter().copied());
        self.child = Some(command.spawn().expect("the binary starts"));
    }

    /// What it wrote to standard error, over all its lives.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("stderr.log")).unwrap_or_default()
    }

    /// What it wrote since it was started last.
    pub(crate) fn log_of_this_life(&self) -> String {
        self.log().get(self.life..).unwrap_or_default().to_owned()
    }

    /// Waits for a line of this life's log that holds a text; gives it.
    pub(crate) fn told(&mut self, wanted: &str) -> String {
        for _ in 0..1500 {
            let log = self.log_of_this_life();
            let whole = log.rfind('\n').map_or("", |end| &log[..end]);
            if let Some(line) = whole.lines().find(|line| line.contains(wanted)) {
                return line.to_owned();
            }
            if let Some(child) = &mut self.child
                && let Ok(Some(status)) = child.try_wait()
            {
                panic!("the server ended with {status} and wrote:\n{log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{wanted:?} was not logged:\n{}", self.log_of_this_life());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// As a power cut would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and the exit code that comes of it.
    pub(crate) fn terminate(&mut self, limit: Duration) -> Option<i32> {
        signal("TERM", self.pid());
        let mut child = self.child.take().expect("it runs");
        for _ in 0..limit.as_millis() / 20 {
            if let Some(status) = child.try_wait().expect("the state of a child") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = child.kill();
        let _ = child.wait();
        panic!("still there {limit:?} after SIGTERM:\n{}", self.log_of_this_life());
    }

    /// The metadata, row by row, whatever engine it lies on.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Value> {
        match &self.database {
            None => {
                let db = rusqlite::Connection::open(self.path("portward.db")).expect("the store");
                db.busy_timeout(Duration::from_secs(10)).expect("a timeout");
                let mut statement = db.prepare(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
                let names: Vec<String> = statement.column_names().into_iter().map(ToOwned::to_owned).collect();
                let rows = statement.query_map([], |row| {
                    let cell = |at: usize| match row.get_ref(at) {
                        Ok(rusqlite::types::ValueRef::Integer(number)) => json!(number),
                        Ok(rusqlite::types::ValueRef::Text(text)) => json!(String::from_utf8_lossy(text)),
                        _ => Value::Null,
                    };
                    Ok(names.iter().enumerate().map(|(at, name)| (name.clone(), cell(at))).collect())
                });
                rows.expect("rows").map(|row| Value::Object(row.expect("a row"))).collect()
            }
            Some(database) => {
                let mut connection = PgConnection::connect(database.url()).await.expect("the store");
                let sql = format!("select row_to_json(t)::text from ({sql}) t");
                let rows = sqlx::query_scalar::<_, String>(AssertSqlSafe(sql)).fetch_all(&mut connection).await.expect("rows");
                rows.iter().map(|row| serde_json::from_str(row).expect("a row as JSON")).collect()
            }
        }
    }

    /// A single number out of the metadata.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let rows = self.rows(sql).await;
        let value = rows.first().and_then(|row| row.as_object()?.values().next()?.as_i64());
        value.unwrap_or_else(|| panic!("no number from {sql}: {rows:?}"))
    }

    /// Changes the metadata behind the server's back.
    pub(crate) fn execute(&self, sql: &str) {
        match &self.database {
            None => {
                let db = rusqlite::Connection::open(self.path("portward.db")).expect("the store");
                db.busy_timeout(Duration::from_secs(10)).expect("a timeout");
                db.execute_batch(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
            }
            Some(database) => database.execute(sql),
        }
    }

    /// Everything that lies in the vault.
    pub(crate) fn vault(&self) -> Vec<PathBuf> {
        files(&self.path("vault"))
    }

    /// Everything that has a name in the scratch folder.
    pub(crate) fn scratch(&self) -> Vec<PathBuf> {
        files(&self.path("scratch"))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The address at which the app sends its person.
    pub(crate) fn authorize_url(&self, scopes: &str) -> String {
        let mut url = Url::parse(&self.url("/v2/auth/authorize/")).expect("an address");
        url.query_pairs_mut()
            .append_pair("client_key", &self.client_key)
            .append_pair("response_type", "code")
            .append_pair("scope", scopes)
            .append_pair("redirect_uri", CALLBACK)
            .append_pair("state", "st");
        url.into()
    }

    pub(crate) fn browser(&self, username: &str) -> Browser {
        Browser::new(username, PASSWORD)
    }

    /// A code, by a person who allows everything.
    pub(crate) async fn code(&self, browser: &Browser, scopes: &str) -> String {
        let callback = browser.authorize(&self.authorize_url(scopes), &Decision::AllowAll).await;
        let code = callback.query_pairs().find(|(name, _)| name == "code").map(|(_, value)| value.into_owned());
        code.unwrap_or_else(|| panic!("no code in {callback}"))
    }

    /// The whole way to tokens.
    pub(crate) async fn tokens_of(&self, browser: &Browser, scopes: &str) -> Tokens {
        let code = self.code(browser, scopes).await;
        let answer = self.token(&[("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)]).await;
        Tokens::of(&answer)
    }

    /// The whole way to tokens, by the one person in a fresh browser.
    pub(crate) async fn tokens(&self, scopes: &str) -> Tokens {
        self.tokens_of(&self.browser("anna"), scopes).await
    }

    /// Posts to the token endpoint with the app's key and secret.
    pub(crate) async fn token(&self, fields: &[(&str, &str)]) -> Answer {
        self.oauth("/v2/oauth/token/", fields).await
    }

    pub(crate) async fn oauth(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let own = [("client_key", self.client_key.as_str()), ("client_secret", self.client_secret.as_str())];
        let form: Vec<_> = own.iter().chain(fields).copied().collect();
        Answer::read(self.http.post(self.url(path)).form(&form).send().await.expect("an answer")).await
    }

    /// A data call, not sent yet.
    pub(crate) fn call(&self, call: &str, token: &str, body: &Value) -> reqwest::RequestBuilder {
        let fields = match call {
            "add" => "?fields=request_id",
            "check" => "?fields=request_id,status,apply_time,collect_time,data_format,category_selection_list",
            _ => "",
        };
        self.http.post(self.url(&format!("/v2/user/data/{call}/{fields}"))).bearer_auth(token).json(body)
    }

    pub(crate) async fn data(&self, call: &str, token: &str, body: &Value) -> Answer {
        Answer::read(self.call(call, token, body).send().await.expect("an answer")).await
    }

    pub(crate) async fn add(&self, token: &str, categories: &[&str]) -> Answer {
        self.data("add", token, &order(categories)).await
    }

    pub(crate) async fn status(&self, token: &str, request_id: i64) -> String {
        let answer = self.data("check", token, &json!({ "request_id": request_id })).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        answer.json["data"]["status"].as_str().expect("a status").to_owned()
    }

    /// Waits until a request has another status than `pending`.
    pub(crate) async fn settled(&self, token: &str, request_id: i64) -> String {
        self.settled_within(token, request_id, 20).await
    }

    pub(crate) async fn settled_within(&self, token: &str, request_id: i64, seconds: u32) -> String {
        let found =
            eventually(seconds, async || Some(self.status(token, request_id).await).filter(|status| status != "pending")).await;
        found.unwrap_or_else(|| {
            panic!("request {request_id} is still pending; {:#}\n{}", self.show(request_id), self.log_of_this_life())
        })
    }

    /// `admin request show`.
    pub(crate) fn show(&self, request_id: i64) -> Value {
        self.admin(&["request", "show", &request_id.to_string()])
    }

    /// Downloads an archive whole and checks it against its ETag and what the store says.
    pub(crate) async fn download(&self, token: &str, request_id: i64) -> Archive {
        let answer = self.data("download", token, &json!({ "request_id": request_id })).await;
        assert_eq!(answer.status, 200, "{}", answer.json);
        assert_eq!(answer.headers["content-length"], answer.bytes.len().to_string());
        let sha256 = sha256(&answer.bytes);
        assert_eq!(answer.headers["etag"], format!("\"{sha256}\""));
        let row = self.rows(&format!("select size, sha256 from archives where request_id = {request_id}")).await;
        assert_eq!(row, [json!({ "size": answer.bytes.len(), "sha256": sha256 })]);
        Archive::open(&answer.bytes)
    }

    /// The calls of one event that came for a request.
    pub(crate) fn ready_calls(&self, request_id: i64) -> usize {
        let of = |call: &testkit::receiver::Received| {
            let body = call.json();
            let content: Value = serde_json::from_str(body["content"].as_str().unwrap_or_default()).unwrap_or_default();
            body["event"] == "portability.download.ready" && content["request_id"] == request_id
        };
        self.hook.received().iter().filter(|call| of(call)).count()
    }

    /// Lets the schedules be due at the next start.
    pub(crate) fn make_schedules_due(&self) {
        self.execute("update schedules set next_at = 0");
    }
}

impl Drop for Portward {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("---- the server's log, its end ----\n{}", lines[lines.len().saturating_sub(50)..].join("\n"));
        }
    }
}

/// What the token endpoint gives.
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) scope: String,
    pub(crate) open_id: String,
}

impl Tokens {
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.json);
        let get = |name: &str| answer.json[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", answer.json)).to_owned();
        Self { access: get("access_token"), refresh: get("refresh_token"), scope: get("scope"), open_id: get("open_id") }
    }
}

/// An archive, opened by another reader than ours.
pub(crate) struct Archive {
    pub(crate) json: Value,
}

impl Archive {
    pub(crate) fn open(bytes: &[u8]) -> Self {
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).expect("a ZIP");
        let names: BTreeSet<String> = zip.file_names().map(|name| name.expect("a name").into_owned()).collect();
        assert_eq!(names, BTreeSet::from(["data.json".to_owned()]));
        let mut text = String::new();
        // Reading to the end checks the CRC.
        zip.by_name("data.json").expect("the document").read_to_string(&mut text).expect("the whole document");
        assert!(!text.contains("u8"), "somebody else's rows");
        Self { json: serde_json::from_str(&text).expect("JSON") }
    }

    /// The rows of what was watched.
    pub(crate) fn watched(&self) -> usize {
        self.json["Your Activity"]["Watch History"]["VideoList"].as_array().map_or(0, Vec::len)
    }
}

/// The body of an `add`.
pub(crate) fn order(categories: &[&str]) -> Value {
    json!({ "data_format": "json", "category_selection_list": categories })
}

/// The binary under test: the one just built, or another that `PORTWARD_BIN` names.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("PORTWARD_BIN").map_or_else(|| env!("CARGO_BIN_EXE_portward").into(), PathBuf::from)
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Runs statements in a SQLite file.
pub(crate) fn sqlite(path: &Path, sql: &str) {
    let db = rusqlite::Connection::open(path).expect("a SQLite file");
    db.execute_batch(sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
}

/// The shell has kill built in; the machine need not have the command.
pub(crate) fn signal(name: &str, pid: u32) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status();
    assert!(sent.is_ok_and(|status| status.success()), "no SIG{name} to {pid}");
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Asks again and again until there is something.
pub(crate) async fn eventually<T>(seconds: u32, mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    for _ in 0..seconds * 20 {
        if let Some(found) = look().await {
            return Some(found);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    None
}

/// A call whose caller may see the connection break.
pub(crate) fn in_the_background(call: reqwest::RequestBuilder) -> tokio::task::JoinHandle<Option<Answer>> {
    tokio::spawn(async move {
        let response = call.send().await.ok()?;
        Some(Answer::read(response).await)
    })
}

/// Fails after a time, so that a hang has a name.
pub(crate) async fn within<T>(seconds: u64, what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(seconds), work).await.unwrap_or_else(|_| panic!("{what} took more than {seconds} s"))
}

/// Metrics by name, labels included.
pub(crate) async fn metrics(portward: &Portward) -> BTreeMap<String, f64> {
    let text =
        portward.http.get(format!("{}/metrics", portward.ops)).send().await.expect("metrics").text().await.expect("metrics");
    let lines = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    lines.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
}
