//! The operator's hand: configuration, `serve`, `check`, `migrate`, `admin`, and how it all ends.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::kill::FAST;
use crate::support::{CALLBACK, CATALOGUE, Engine, Plan, Portward, both, eventually, sqlite, text};

fn said(output: &Output) -> String {
    text(&output.stdout) + &text(&output.stderr)
}

/// `serve` refuses to start, and says this.
fn refuses(portward: &Portward, env: &[(&str, &str)], wanted: &[&str]) {
    let mut command = portward.command(&["serve", "--config", "portward.toml"]);
    let mut child = command.envs(env.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    for _ in 0..500 {
        if child.try_wait().expect("its state").is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let running = child.try_wait().expect("its state").is_none();
    let _ = child.kill();
    let output = child.wait_with_output().expect("its words");
    let file = std::fs::read_to_string(portward.path("portward.toml")).unwrap_or_default();
    assert!(!running, "it serves with {env:?} and {file}");
    assert!(!output.status.success());
    for wanted in wanted {
        assert!(said(&output).contains(wanted), "{wanted:?} is not in: {}", said(&output));
    }
}

fn edit(portward: &Portward, file: &str, change: impl FnOnce(String) -> String) {
    let path = portward.path(file);
    let text = std::fs::read_to_string(&path).expect("the file");
    std::fs::write(path, change(text)).expect("the file written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_folder_and_the_schema() {
    // Never migrated: `serve` does it, or refuses, as it is told.
    let mut portward = Plan::new(Engine::Sqlite).install();
    let before = (portward.path("portward.db"), portward.path("portward.keys"));
    let keys = std::fs::read(&before.1).expect("the key file");
    for name in ["portward.db", "portward.db-wal", "portward.db-shm"] {
        let _ = std::fs::remove_file(portward.path(name));
    }
    refuses(&portward, &[("PORTWARD__STORE__MIGRATE", "false")], &["store.migrate", "portward migrate"]);
    let admin = portward.admin_fails(&["app", "list"]);
    assert!(admin.contains("portward migrate"), "{admin}");
    let check = said(&portward.run(&["check", "--config", "portward.toml"]));
    assert!(check.contains("portward migrate"), "{check}");
    portward.serve(&[]);
    assert_eq!(portward.terminate(Duration::from_secs(20)), Some(0));
    let current = portward.run(&["migrate", "--config", "portward.toml"]);
    assert!(current.status.success() && said(&current).contains("current"), "{}", said(&current));
    assert_eq!(std::fs::read(&before.1).expect("the key file"), keys, "keys are made once");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&before.1).expect("the key file").permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&before.1, std::fs::Permissions::from_mode(0o644)).expect("a mode");
        refuses(&portward, &[], &["chmod 600"]);
        std::fs::set_permissions(&before.1, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    }
    std::fs::write(&before.1, "nonsense\n").expect("the key file");
    refuses(&portward, &[], &["portward.keys", "damaged"]);
    std::fs::write(&before.1, keys).expect("the key file");
    portward.serve(&[]);
}

async fn a_newer_schema(engine: Engine) {
    let mut portward = Plan::new(engine).install();
    let success = if engine == Engine::Sqlite { "1" } else { "true" };
    let blob = if engine == Engine::Sqlite { "x'00'" } else { "'\\x00'" };
    let tables = match engine {
        Engine::Sqlite => "select name from sqlite_master where name like '%migrations%' and type = 'table'",
        Engine::Postgres => "select table_name as name from information_schema.tables where table_name like '%migrations%'",
    };
    let table = portward.rows(tables).await[0]["name"].as_str().expect("the migrations' table").to_owned();
    let columns = "version, description, installed_on, success, checksum, execution_time";
    portward.execute(&format!("insert into {table} ({columns}) values (99, 'later', current_timestamp, {success}, {blob}, 0)"));
    refuses(&portward, &[], &["99", "later Portward"]);
    refuses(&portward, &[("PORTWARD__STORE__MIGRATE", "false")], &["99", "later Portward"]);
    let migrate = portward.run(&["migrate", "--config", "portward.toml"]);
    assert!(!migrate.status.success() && said(&migrate).contains("later Portward"), "{}", said(&migrate));
    assert!(!portward.run(&["check", "--config", "portward.toml"]).status.success());
    portward.execute(&format!("delete from {table} where version = 99"));
    portward.serve(&[]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn configuration() {
    let mut portward = Plan::new(Engine::Sqlite).install();
    let original = std::fs::read_to_string(portward.path("portward.toml")).expect("the configuration");
    for (wrong, named) in [
        ("[server]\nlisten = \"127.0.0.1:0\"\nlissten = 1\n", vec!["lissten"]),
        ("[nothing]\na = 1\n", vec!["nothing"]),
        ("[jobs]\nlease = \"soon\"\n", vec!["soon", "length of time"]),
        ("[jobs]\nlease = 5\n", vec!["lease"]),
        ("[server]\nlisten = \"nowhere\"\n", vec!["listen"]),
        ("[server]\ntrusted_proxies = [\"proxy\"]\n", vec!["trusted_proxies"]),
        ("[tls]\ncert = \"cert.pem\"\n", vec!["tls.cert", "tls.key"]),
        ("[tokens]\ncode = \"2 h\"\n", vec!["tokens.code"]),
        ("[tokens]\npreset = \"2030\"\n", vec!["preset"]),
        ("[requests]\nlevel = 12\n", vec!["requests.level"]),
        ("[brand]\naccent = \"reddish\"\n", vec!["brand.accent"]),
        ("[store]\nurl = \"mysql://x\"\n", vec!["store.url"]),
        ("[store]\nurl_file = \"absent\"\n", vec!["store.url_file"]),
        ("[catalog]\nfile = \"absent.toml\"\n", vec!["absent.toml"]),
        ("[log]\nlevel = \"=,=,\"\n", vec!["log.level"]),
        ("this is no TOML", vec!["portward.toml"]),
    ] {
        std::fs::write(portward.path("portward.toml"), wrong).expect("a configuration");
        let named: Vec<&str> = named.into_iter().chain(["portward"]).collect();
        let free = [("PORTWARD__SERVER__OPS_LISTEN", "127.0.0.1:0"), ("PORTWARD__SERVER__LISTEN", "127.0.0.1:0")];
        refuses(&portward, if wrong.contains("listen") { &free[..1] } else { &free }, &named);
        assert!(!portward.run(&["check", "--config", "portward.toml"]).status.success(), "check passes {wrong}");
    }
    let nowhere = portward.run(&["serve", "--config", "nowhere.toml"]);
    assert!(!nowhere.status.success() && said(&nowhere).contains("nowhere.toml"), "{}", said(&nowhere));
    std::fs::write(portward.path("portward.toml"), original).expect("the configuration");
    // The environment overrides the file, key by key, and its unknown keys are refused as well.
    refuses(&portward, &[("PORTWARD__JOBS__LEESE", "5 s")], &["leese"]);
    portward.serve(&[("PORTWARD__QUOTAS__PER_MINUTE", "3"), ("PORTWARD__BRAND__NAME", "Clips & Co")]);
    let tokens = portward.tokens("portability.activity.ongoing").await;
    assert_eq!(portward.add(&tokens.access, &["activity"]).await.headers["ratelimit-policy"], "\"add\";q=3;w=60");
    let page = portward.http.get(portward.url("/login")).send().await.expect("a page").text().await.expect("a page");
    assert!(page.contains("Clips &#38; Co") || page.contains("Clips &amp; Co"), "{page}");
    // A secret in a file, and a port that is taken.
    std::fs::write(portward.path("store.url"), "sqlite:portward.db\n").expect("a file");
    let taken = portward.base.replace("http://", "");
    refuses(&portward, &[("PORTWARD__SERVER__LISTEN", &taken)], &["server.listen", &taken]);
    edit(&portward, "portward.toml", |text| text.replace("url = \"sqlite:portward.db\"", "url_file = \"store.url\""));
    portward.serve(&[]);
    assert_eq!(portward.data("check", &tokens.access, &json!({ "request_id": 1 })).await.status, 400, "the same store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_tells_each_fault() {
    let portward = Plan::new(Engine::Sqlite).install();
    let check = || {
        let output = portward.run(&["check", "--config", "portward.toml"]);
        (output.status.success(), said(&output))
    };
    let (right, words) = check();
    assert!(right, "{words}");
    for part in ["configuration", "keys", "vault", "store", "catalogue", "sources"] {
        assert!(words.contains(part), "{part} is not in: {words}");
    }
    let query = "title as \"Title\" from watched where user_id = :subject";
    assert!(CATALOGUE.contains(query));
    for (change, wanted) in [
        (CATALOGUE.replace("from watched", "from absent"), vec!["absent"]),
        (CATALOGUE.replace(query, &query.replace("title as", "tittle as")), vec!["tittle"]),
        (CATALOGUE.replace("owner = \"user_id\"\nkey = [\"id\"]", "key = [\"id\"]"), vec!["catalog.toml:", "owner"]),
        (CATALOGUE.replace("user_id = :subject", "user_id = 7"), vec!["catalog.toml:", ":subject"]),
        (CATALOGUE.replace("shape = \"list\"", "shape = \"heap\""), vec!["catalog.toml:", "heap"]),
        (CATALOGUE.replace("source = \"clips\"", "source = \"clops\""), vec!["catalog.toml:", "clops"]),
        (CATALOGUE.replace("sqlite:clips.db", "sqlite:absent.db"), vec!["clips", "absent.db"]),
        (CATALOGUE.replace("kind = \"sqlite\"", "kind = \"papyrus\""), vec!["catalog.toml:", "papyrus"]),
        (
            CATALOGUE.replace("hidden = [\"id\", \"user_id\"]", "hidden = [\"id\", \"user_id\"]\nwhose = \"other\""),
            vec!["catalog.toml:", "whose"],
        ),
        (CATALOGUE.replace("[source.clips]", "[source.clips"), vec!["catalog.toml:"]),
        (CATALOGUE.replace("owner = \"user_id\"", "owner = \"owner_id\""), vec!["owner_id"]),
        (String::new(), vec!["catalog.toml"]),
    ] {
        assert_ne!(change, CATALOGUE);
        std::fs::write(portward.path("catalog.toml"), &change).expect("a catalogue");
        let (right, words) = check();
        assert!(!right, "check passes, with {wanted:?} wrong: {words}");
        for wanted in wanted {
            assert!(words.contains(wanted), "{wanted:?} is not in: {words}");
        }
    }
    std::fs::write(portward.path("catalog.toml"), CATALOGUE).expect("a catalogue");
    // What is selected and not declared is told, and serves: `body` here, as a new column of a table would be with `select *`.
    edit(&portward, "catalog.toml", |text| text + "[section.fields]\nWhen = { type = \"integer\" }\n");
    edit(&portward, "catalog.toml", |text| text.replace("body as \"Body\" from", "body as \"Body\", id as \"When\" from"));
    let (right, words) = check();
    let told = words.lines().find(|line| line.contains("`Body`")).unwrap_or_default();
    assert!(right && told.contains("sources         warning") && told.contains("is not declared"), "{words}");
    std::fs::write(portward.path("catalog.toml"), CATALOGUE).expect("a catalogue");
    // A vault that cannot be one, and an app whose scopes are too long for widely used clients.
    std::fs::write(portward.path("file"), "").expect("a file");
    edit(&portward, "portward.toml", |text| text + "[vault]\nfolder = \"file\"\n");
    let (right, words) = check();
    assert!(!right && words.contains("vault"), "{words}");
    edit(&portward, "portward.toml", |text| text.replace("[vault]\nfolder = \"file\"\n", ""));
    let (right, words) = check();
    assert!(right, "{words}");
}

async fn admin(engine: Engine) {
    let mut portward = Portward::start(engine, FAST);
    // Apps.
    let scopes = "user.info.basic,portability.activity.single";
    let made = portward.admin(&[
        "app",
        "create",
        "--name",
        "Second",
        "--redirect-uri",
        "http://127.0.0.1:*/back",
        "--redirect-uri",
        CALLBACK,
        "--scope",
        scopes,
    ]);
    let key = made["client_key"].as_str().expect("a key").to_owned();
    assert_eq!((&made["status"], made["client_secret"].as_str().map(str::len)), (&json!("draft"), Some(32)));
    let shown = portward.admin(&["app", "show", &key]);
    let mut expected = made.clone();
    expected.as_object_mut().expect("an object").remove("client_secret");
    assert_eq!(shown, expected);
    assert_eq!(shown["scopes"], json!(["portability.activity.single", "user.info.basic"]));
    let listed = portward.admin(&["app", "list"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(2));
    let set = portward.admin(&["app", "set", &key, "--status", "live", "--name", "Zweite", "--require-pkce", "true"]);
    assert_eq!(
        (&set["status"], &set["name"], &set["require_pkce"], &set["redirect_uris"]),
        (&json!("live"), &json!("Zweite"), &json!(true), &shown["redirect_uris"])
    );
    for (args, words) in [
        (vec!["app", "create", "--name", "x", "--redirect-uri", "javascript:alert(1)"], "redirect"),
        (vec!["app", "create", "--name", "x", "--scope", "portability.nothing.single"], "portability.nothing.single"),
        (vec!["app", "create", "--name", "x", "--status", "famous"], "suspended"),
        (vec!["app", "create", "--name", "x", "--webhook-url", "ftp://x/"], "http"),
        (vec!["app", "set", "absent", "--name", "x"], "no app"),
        (vec!["app", "show", "absent"], "no app"),
        (vec!["app", "rotate-secret", "absent"], "no app"),
        (vec!["quota", "set", &key, "look", "5"], "download"),
        (vec!["quota", "set", "absent", "add", "5"], "no app"),
        (vec!["person", "add", "x", "--subject", "9", "--region", "Atlantis", "--password-file", "password"], "region"),
        (vec!["person", "add", "anna", "--subject", "9", "--region", "DE", "--password-file", "password"], "already"),
        (vec!["person", "add", "other", "--subject", "7", "--region", "DE", "--password-file", "password"], "already"),
        (vec!["person", "add", "x", "--subject", "9", "--region", "DE", "--password-file", "absent"], "absent"),
        (vec!["request", "show", "12"], "no request"),
        (vec!["request", "retry", "12"], "no request"),
        (vec!["request", "show", "twelve"], "twelve"),
        (vec!["job", "retry", "12"], "no job"),
    ] {
        let told = portward.admin_fails(&args);
        assert!(told.contains(words), "{args:?}: {words:?} is not in {told}");
    }
    assert_eq!(portward.admin(&["app", "list"]).as_array().map(Vec::len), Some(2), "nothing was made on the way");
    let quota = portward.admin(&["quota", "set", &key, "add", "5"]);
    assert_eq!(quota, json!({ "client_key": key, "request_type": "add", "per_minute": 5 }));
    assert_eq!(portward.admin(&["app", "show", &key])["quotas"], json!({ "add": 5 }));
    assert_eq!(portward.admin(&["quota", "clear", &key, "add"])["per_minute"], 1000);
    assert_eq!(portward.admin(&["app", "show", &key])["quotas"], json!({}));
    // Secrets overlap; the older one signs until it goes.
    let old = portward.client_secret.clone();
    let rotated = portward.admin(&["app", "rotate-secret", &portward.client_key]);
    rotated["client_secret"].as_str().expect("a secret").clone_into(&mut portward.client_secret);
    assert_ne!(portward.client_secret, old);
    for secret in [old.clone(), portward.client_secret.clone()] {
        let form =
            [("client_key", portward.client_key.as_str()), ("client_secret", &secret), ("grant_type", "client_credentials")];
        let answer = portward.http.post(portward.url("/v2/oauth/token/")).form(&form).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
    }
    let overlap = portward.admin(&["app", "rotate-secret", &portward.client_key, "--overlap", "0 s"]);
    let newest = overlap["client_secret"].as_str().expect("a secret").to_owned();
    assert_eq!(
        portward.token(&[("grant_type", "client_credentials")]).await.status,
        401,
        "without an overlap the earlier ones end at once"
    );
    portward.client_secret = newest;
    assert_eq!(portward.token(&[("grant_type", "client_credentials")]).await.status, 200);
    // People: a password that nobody gave is made and printed, once.
    let ben = portward.admin(&["person", "add", "ben", "--subject", "8", "--region", "fr"]);
    let password = ben["password"].as_str().expect("a password").to_owned();
    let tokens = portward.tokens_of(&testkit::person::Browser::new("ben", &password), "portability.activity.ongoing").await;
    let people = portward.admin(&["person", "list"]);
    assert_eq!(people[1]["username"], "ben");
    assert_eq!((&people[1]["region"], &people[1]["subject"], people[1].get("password")), (&json!("FR"), &json!("8"), None));
    // Requests and jobs.
    let request_id = portward.add(&tokens.access, &["direct_message"]).await;
    assert_eq!((request_id.status, request_id.code()), (401, "scope_not_authorized"));
    std::fs::rename(portward.path("clips.db"), portward.path("away.db")).expect("the source goes");
    portward.serve(&[("PORTWARD__REQUESTS__ATTEMPTS", "1")]);
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled(&tokens.access, request_id).await, "expired");
    let shown = portward.show(request_id);
    assert_eq!((&shown["failure"], &shown["status"]), (&json!("source_down"), &json!("failed")));
    let dead = eventually(5, async || Some(portward.admin(&["job", "list"])).filter(|jobs| !jobs[0]["dead_at"].is_null())).await;
    let dead = dead.expect("a job that was given up");
    assert!(dead[0]["last_error"].as_str().expect("an error").starts_with("source_down: "), "{dead}");
    let listed = portward.admin(&["request", "list", "--client-key", &portward.client_key]);
    assert_eq!(listed[0]["request_id"], request_id.to_string());
    assert_eq!(portward.admin(&["request", "list", "--client-key", &key]), json!([]));
    std::fs::rename(portward.path("away.db"), portward.path("clips.db")).expect("the source comes back");
    assert_eq!(portward.admin(&["request", "retry", &request_id.to_string()])["status"], "queued");
    assert_eq!(portward.settled(&tokens.access, request_id).await, "downloading");
    assert!(portward.admin_fails(&["request", "retry", &request_id.to_string()]).contains("only failed ones"));
    // For people the same, as a table.
    let table = text(&portward.run(&["admin", "--config", "portward.toml", "person", "list"]).stdout);
    assert!(table.contains("username") && table.contains("anna"), "{table}");
    assert_eq!(portward.admin(&["person", "delete", "ben"])["deleted"], true);
    assert_eq!(portward.admin(&["person", "list"]).as_array().map(Vec::len), Some(1));
}

/// Keys are rotated while the server runs: what was sealed before opens, what is sealed from now on uses the new key.
async fn keys_rotate(engine: Engine) {
    let portward = Portward::start(engine, FAST);
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let before = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled(&tokens.access, before).await, "downloading");
    let keys = || std::fs::read_to_string(portward.path("portward.keys")).expect("the key file");
    let old = keys();
    let rotated = portward.admin(&["keys", "rotate"]);
    assert_eq!(rotated, json!({ "resealed": 2 }), "a secret and an archive");
    assert_eq!(keys().lines().count(), 2);
    assert!(keys().ends_with(&old), "the earlier key stays for a day");
    portward.download(&tokens.access, before).await;
    assert_eq!(portward.token(&[("grant_type", "client_credentials")]).await.status, 200, "the secret opens");
    let after = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled(&tokens.access, after).await, "downloading");
    // Without the old key everything still opens.
    let newest = keys().lines().next().expect("a key").to_owned() + "\n";
    std::fs::write(portward.path("portward.keys"), newest).expect("the key file");
    for id in [before, after] {
        portward.download(&tokens.access, id).await;
    }
    portward.hook.wait(2, Duration::from_secs(10)).await;
}

/// SIGTERM: what runs may end, what does not is handed back, and nothing of it counts as an attempt.
async fn sigterm(engine: Engine) {
    let mut portward = Plan::new(engine).toml("[jobs]\nstop_within = \"1 s\"\nlease = \"5 min\"\npoll = \"200 ms\"\n").install();
    let slow = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 4000000000)
                select max(i) as id, 7 as user_id, 'x' as \"Link\" from n where :subject > 0";
    let plain = "select id, user_id, link as \"Link\", title as \"Title\" from watched where user_id = :subject order by id";
    std::fs::write(portward.path("catalog.toml"), CATALOGUE.replace(plain, slow)).expect("a catalogue");
    portward.serve(&[]);
    let tokens = portward.tokens("portability.activity.single").await;
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    let begun = eventually(10, async || (portward.number("select attempt from requests").await == 1).then_some(())).await;
    assert!(begun.is_some(), "it has begun");
    assert_eq!(portward.terminate(Duration::from_secs(15)), Some(0));
    assert!(portward.log_of_this_life().contains("worker stopped"));
    let job = portward.rows("select lease_until, leased_by from jobs where lane = 'export'").await;
    assert_eq!(job, [json!({ "lease_until": null, "leased_by": null })], "the lease is handed back");
    assert!(portward.vault().is_empty() && portward.scratch().is_empty());
    // Another start takes it up at once, five minutes before the lease would have run out.
    std::fs::write(portward.path("catalog.toml"), CATALOGUE).expect("a catalogue");
    portward.serve(&[("PORTWARD__REQUESTS__ATTEMPTS", "1")]);
    assert_eq!(portward.settled(&tokens.access, request_id).await, "downloading");
    portward.download(&tokens.access, request_id).await;
}

both!(a_newer_schema, admin, keys_rotate, sigterm);

/// A download that runs when the server is asked to end may come to its end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_lets_calls_end() {
    let mut portward = Portward::start(Engine::Sqlite, "");
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    portward.settled(&tokens.access, request_id).await;
    let mut response =
        portward.call("download", &tokens.access, &json!({ "request_id": request_id })).send().await.expect("an answer");
    crate::support::signal("TERM", portward.pid());
    portward.told("stopping");
    assert!(portward.http.get(portward.url("/login")).send().await.is_err(), "nobody new is let in");
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.expect("bytes") {
        bytes.extend_from_slice(&piece);
    }
    crate::support::Archive::open(&bytes);
    assert_eq!(portward.terminate(Duration::from_secs(20)), Some(0));
}

fn sha(path: &std::path::Path) -> String {
    Sha256::digest(std::fs::read(path).expect("the file")).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn demo_data_is_the_same_each_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let make = |name: &str, more: &[&str]| {
        let args = [&["demo-data", "--out", name, "--people", "12", "--heavy-rows", "500"], more].concat();
        Command::new(crate::support::binary()).args(args).current_dir(folder.path()).output().expect("it runs")
    };
    for (name, seed) in [("a.db", "5"), ("b.db", "5"), ("c.db", "6")] {
        let made = make(name, &["--seed", seed]);
        assert!(made.status.success(), "{}", said(&made));
        assert!(said(&made).contains("rows in"), "{}", said(&made));
    }
    let [a, b, c] = ["a.db", "b.db", "c.db"].map(|name| sha(&folder.path().join(name)));
    assert_eq!(a, b, "the same seed gives the same file");
    assert_ne!(a, c);
    let again = make("a.db", &[]);
    assert!(!again.status.success() && said(&again).contains("a.db"), "{}", said(&again));
    assert_eq!(sha(&folder.path().join("a.db")), a, "a file that is there is not touched");
    let nowhere = Command::new(crate::support::binary()).arg("demo-data").current_dir(folder.path()).output().expect("it runs");
    assert!(!nowhere.status.success());
}

/// `dev` keeps to folders of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_and_demo_refuse_what_is_not_theirs() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, args) in
        [("mine", vec!["dev", "--data-dir", "mine"]), ("portward-demo", vec!["demo", "--once", "--heavy-rows", "100"])]
    {
        std::fs::create_dir(folder.path().join(name)).expect("a folder");
        let precious = folder.path().join(name).join("precious");
        std::fs::write(&precious, "x").expect("a file");
        let refused = Command::new(crate::support::binary()).args(&args).current_dir(folder.path()).output().expect("it runs");
        assert!(!refused.status.success() && said(&refused).contains("was not made by this command"), "{}", said(&refused));
        assert_eq!(std::fs::read_to_string(&precious).expect("the file"), "x");
    }
}

/// The whole journey on somebody's own database, and again over what it left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn demo_on_own_input() {
    let folder = tempfile::tempdir().expect("a folder");
    sqlite(&folder.path().join("own.db"), &crate::support::clips());
    std::fs::write(folder.path().join("own.toml"), CATALOGUE.replace("sqlite:clips.db", "sqlite:elsewhere.db"))
        .expect("a catalogue");
    let demo = |more: &[&str]| {
        let args = [&["demo", "--once", "--input", "own.db", "--catalog", "own.toml"], more].concat();
        Command::new(crate::support::binary()).args(args).current_dir(folder.path()).output().expect("it runs")
    };
    for _ in 0..2 {
        let told = demo(&["--person", "7"]);
        assert!(told.status.success(), "{}", said(&told));
        let bytes = std::fs::read(folder.path().join("portward-demo/archive.zip")).expect("the archive");
        let archive = crate::support::Archive::open(&bytes);
        assert_eq!(archive.watched(), crate::support::ROWS);
        assert_eq!(archive.json["Direct Message"]["Messages"]["List"].as_array().map(Vec::len), Some(1));
    }
    let unknown = demo(&[]);
    assert!(!unknown.status.success() && said(&unknown).contains("--person"), "{}", said(&unknown));
    let absent = Command::new(crate::support::binary())
        .args(["demo", "--once", "--input", "absent.db", "--catalog", "own.toml", "--person", "7"])
        .current_dir(folder.path())
        .output()
        .expect("it runs");
    assert!(!absent.status.success() && said(&absent).contains("absent.db"), "{}", said(&absent));
}

#[test]
fn who_stops_reading_hears_no_cry() {
    let portward = Plan::new(Engine::Sqlite).install();
    let all: [&[&str]; 6] = [
        &["admin", "acts"],
        &["admin", "--json", "acts"],
        &["admin", "notices", "preview", "--all"],
        &["admin", "--config", "portward.toml", "audit", "list"],
        &["migrate", "--config", "portward.toml"],
        &["check", "--config", "portward.toml"],
    ];
    for args in all {
        let mut child = portward.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        // As `head` does once it has its lines.
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("its end");
        assert_eq!(text(&output.stderr), "", "{args:?}");
        assert!(output.status.success(), "{args:?}: {}", output.status);
    }
}

/// Files of texts are read when they are needed; what is wrong in them is said before that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_reads_the_operators_texts_and_says_which_line_is_wrong() {
    let toml = "[review]\ncanned_texts = \"texts.toml\"\n[tickets]\ncanned_texts = \"answers.toml\"\n";
    let portward = Plan::new(Engine::Sqlite).toml(toml).install();
    let check = |texts: &str, answers: &str| {
        std::fs::write(portward.path("texts.toml"), texts).expect("a file");
        std::fs::write(portward.path("answers.toml"), answers).expect("a file");
        let output = portward.run(&["check", "--config", "portward.toml"]);
        (output.status.success(), said(&output))
    };
    let texts = "[[text]]\ncode = \"QUESTION\"\ntitle = \"Ask\"\ntext = \"What for?\"\n";
    let answers = "[[text]]\ntitle = \"Thanks\"\ntext = \"Thank you.\"\n";
    let (right, words) = check(texts, answers);
    assert!(right && words.contains("1 in ") && words.contains("texts.toml") && words.contains("answers.toml"), "{words}");
    for (texts, answers, wanted) in [
        (texts.replace("QUESTION", "QUESTON"), answers.to_owned(), "texts.toml: line 2: \"QUESTON\" is no decision code"),
        (texts.replace("title", "titel"), answers.to_owned(), "texts.toml: line 3: unknown field"),
        (format!("{texts}[[text]\n"), answers.to_owned(), "texts.toml: line 5: "),
        (texts.to_owned(), format!("{answers}topic = \"Weather\"\n"), "answers.toml: line 4: \"Weather\" is no topic"),
    ] {
        let (right, words) = check(&texts, &answers);
        assert!(!right && words.contains(wanted), "{wanted} is not in: {words}");
    }
    std::fs::remove_file(portward.path("texts.toml")).expect("it is there");
    let output = portward.run(&["check", "--config", "portward.toml"]);
    assert!(!output.status.success() && said(&output).contains("texts.toml: "), "{}", said(&output));
}
