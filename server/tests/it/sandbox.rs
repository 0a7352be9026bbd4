//! The sandbox: a Draft app's whole journey in it, and that nothing of one world works in the other.

use std::io::{Cursor, Read};
use std::time::Duration;

use reqwest::header::LOCATION;
use serde_json::{Value, json};
use testkit::person::{Answer, Browser, Decision};
use url::Url;

use crate::support::{CALLBACK, Engine, PASSWORD, Plan, Portward, Tokens, both, eventually, files, metrics, order};

/// What every made-up person signs in with.
const SESAME: &str = "open-sesame";

both!(
    a_draft_app_makes_the_whole_journey_in_the_sandbox,
    nothing_of_one_world_works_in_the_other,
    sign_in_of_one_world_is_unknown_in_the_other,
);

/// An installation with a sandbox, and an app that was never reviewed with its credentials there.
struct Stand {
    portward: Portward,
    draft_key: String,
    key: String,
    secret: String,
}

impl Stand {
    fn start(engine: Engine) -> Self {
        Self::on(Plan::new(engine), &[])
    }

    fn on(plan: Plan, env: &[(&str, &str)]) -> Self {
        let mut portward = plan.with_sandbox().install();
        portward.serve(env);
        let hook = portward.hook.url();
        let app = ["app", "create", "--name", "Newcomer", "--redirect-uri", CALLBACK, "--webhook-url", &hook];
        let draft = portward.admin(&app);
        assert_eq!(draft["status"], "draft");
        let draft_key = draft["client_key"].as_str().expect("a key").to_owned();
        let double = portward.admin(&["app", "sandbox", &draft_key]);
        let get = |name: &str| double[name].as_str().expect("a text").to_owned();
        let stand = Self { key: get("client_key"), secret: get("client_secret"), draft_key, portward };
        assert!(stand.key.starts_with("sb") && stand.key.len() == 18, "{}", stand.key);
        // Asked for again, it is the same.
        assert_eq!(stand.portward.admin(&["app", "sandbox", &stand.draft_key])["client_secret"], json!(stand.secret));
        stand
    }

    fn authorize_url(&self, key: &str, scopes: &str) -> String {
        let mut url = Url::parse(&self.portward.url("/v2/auth/authorize/")).expect("an address");
        let parameters =
            [("client_key", key), ("response_type", "code"), ("scope", scopes), ("redirect_uri", CALLBACK), ("state", "st")];
        url.query_pairs_mut().extend_pairs(parameters);
        url.into()
    }

    async fn code(&self, username: &str, scopes: &str) -> String {
        let browser = Browser::new(username, SESAME);
        let callback = browser.authorize(&self.authorize_url(&self.key, scopes), &Decision::AllowAll).await;
        let code = callback.query_pairs().find(|(name, _)| name == "code").map(|(_, value)| value.into_owned());
        code.unwrap_or_else(|| panic!("no code in {callback}"))
    }

    async fn oauth(&self, path: &str, key: &str, secret: &str, fields: &[(&str, &str)]) -> Answer {
        let own = [("client_key", key), ("client_secret", secret)];
        let form: Vec<_> = own.iter().chain(fields).copied().collect();
        Answer::read(self.portward.http.post(self.portward.url(path)).form(&form).send().await.expect("an answer")).await
    }

    async fn exchange(&self, key: &str, secret: &str, code: &str) -> Answer {
        let fields = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
        self.oauth("/v2/oauth/token/", key, secret, &fields).await
    }

    async fn tokens(&self, username: &str, scopes: &str) -> Tokens {
        let code = self.code(username, scopes).await;
        Tokens::of(&self.exchange(&self.key, &self.secret, &code).await)
    }

    async fn info(&self, token: &str) -> Answer {
        let call = self.portward.http.get(self.portward.url("/v2/user/info/?fields=open_id,display_name")).bearer_auth(token);
        Answer::read(call.send().await.expect("an answer")).await
    }
}

async fn a_draft_app_makes_the_whole_journey_in_the_sandbox(engine: Engine) {
    let stand = Stand::start(engine);
    let portward = &stand.portward;
    // In production the app cannot even ask.
    let asked = portward.http.get(stand.authorize_url(&stand.draft_key, "user.info.basic")).send().await.expect("an answer");
    let told = asked.headers()[LOCATION].to_str().expect("an address").to_owned();
    assert!(told.ends_with("error=unauthorized_client&error_type=client_key"), "{told}");

    let tokens = stand.tokens("anna", "user.info.basic,portability.activity.single").await;
    assert!(tokens.access.starts_with("act.sb.") && tokens.refresh.starts_with("rft.sb."), "{tokens:?}");
    assert!(tokens.access.len() < 250);
    assert_eq!(tokens.scope, "user.info.basic,portability.activity.single");
    let info = stand.info(&tokens.access).await;
    assert_eq!(info.json["data"]["user"]["display_name"], "Anna Lindner 🎻", "{}", info.json);

    let added = portward.add(&tokens.access, &["activity"]).await;
    assert_eq!(added.status, 200, "{}", added.json);
    let request_id = added.request_id();
    let settled =
        eventually(60, async || Some(portward.status(&tokens.access, request_id).await).filter(|s| s != "pending")).await;
    assert_eq!(settled.as_deref(), Some("downloading"), "{}", portward.log_of_this_life());
    let again = portward.add(&tokens.access, &["activity", "profile"]).await;
    assert_eq!(again.code(), "scope_not_authorized", "a single scope is spent here too: {}", again.json);
    let archive = portward.data("download", &tokens.access, &json!({ "request_id": request_id })).await;
    assert_eq!(archive.status, 200, "{}", archive.json);
    let mut zip = zip::ZipArchive::new(Cursor::new(&archive.bytes)).expect("a ZIP");
    let mut text = String::new();
    zip.by_name("user_data_tiktok.json").expect("the document").read_to_string(&mut text).expect("the whole of it");
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let watched = document["Your Activity"]["Watch History"]["VideoList"].as_array().map_or(0, Vec::len);
    assert!(watched > 1000, "{watched} rows");
    assert!(!text.contains("clips.example"), "rows of the operator's own database");

    // The webhook names the sandbox's key and is signed with the sandbox's secret.
    let calls = portward.hook.wait(1, Duration::from_secs(20)).await;
    let call = calls.iter().find(|call| call.json()["event"] == "portability.download.ready").expect("the event");
    assert_eq!(call.json()["client_key"], json!(stand.key));
    let header = call.header("tiktok-signature");
    let at = header.split(',').find_map(|part| part.strip_prefix("t=")).and_then(|at| at.parse().ok()).expect("a time");
    assert_eq!(header, wire::sign(&stand.secret, at, &call.body));

    // None of it left a trace in production.
    for table in ["grants", "requests", "archives", "tokens", "deliveries"] {
        assert_eq!(portward.number(&format!("select count(*) from {table}")).await, 0, "{table}");
    }
    assert_eq!(portward.vault(), Vec::<std::path::PathBuf>::new());
    assert_eq!(files(&portward.path("sandbox/vault")).len(), 1);

    // Refreshing stays in its world; the person withdraws on the sandbox's own page, and all of it ends.
    let fields = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh.as_str())];
    let fresh = Tokens::of(&stand.oauth("/v2/oauth/token/", &stand.key, &stand.secret, &fields).await);
    assert!(fresh.access.starts_with("act.sb."));
    let http = testkit::person::http();
    let login = http.post(portward.url("/sandbox/login")).header("origin", &portward.base);
    let login = login.form(&[("as", "anna"), ("next", "/sandbox/connections")]).send().await.expect("an answer");
    assert_eq!((login.status().as_u16(), &login.headers()[LOCATION]), (303, &"/sandbox/connections".parse().unwrap()));
    let cookie = login.headers()["set-cookie"].to_str().expect("a cookie").to_owned();
    assert!(cookie.starts_with("portward-sandbox="), "{cookie}");
    let page = http.get(portward.url("/sandbox/connections")).send().await.expect("an answer").text().await.expect("a page");
    assert!(page.contains("Newcomer") && page.contains("Sandbox: the people and the data here are made up."), "{page}");
    let grant = page.split("name=\"grant\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a form");
    let withdraw = http.post(portward.url("/sandbox/connections/withdraw")).header("origin", &portward.base);
    let done = withdraw.form(&[("grant", grant)]).send().await.expect("an answer");
    assert!(done.headers()[LOCATION].to_str().unwrap().starts_with("/sandbox/connections?withdrawn="));
    assert_eq!(stand.info(&fresh.access).await.status, 401);

    // Whose region is not served is refused here as in production.
    let ethan = Browser::new("ethan", SESAME);
    let back = ethan.authorize(&stand.authorize_url(&stand.key, "portability.activity.single"), &Decision::AllowAll).await;
    assert!(back.as_str().contains("error=access_denied"), "{back}");
}

/// An answer without what differs from call to call.
fn told(answer: &Answer) -> (u16, Value) {
    let mut json = answer.json.clone();
    if let Some(error) = json.get_mut("error").and_then(Value::as_object_mut) {
        error.remove("log_id");
    }
    if let Some(object) = json.as_object_mut() {
        object.remove("log_id");
    }
    (answer.status, json)
}

async fn nothing_of_one_world_works_in_the_other(engine: Engine) {
    let stand = Stand::start(engine);
    let portward = &stand.portward;
    let scopes = "user.info.basic,portability.activity.ongoing";
    // In each world a person, tokens, a second grant whose code is not exchanged yet, and a finished request.
    let ours = portward.tokens(scopes).await;
    let our_code = portward.code(&portward.browser("anna"), scopes).await;
    let theirs = stand.tokens("anna", scopes).await;
    let their_code = stand.code("anna", scopes).await;
    let (our_request, their_request) = (
        portward.add(&ours.access, &["activity"]).await.request_id(),
        portward.add(&theirs.access, &["activity"]).await.request_id(),
    );
    for (token, request) in [(&ours.access, our_request), (&theirs.access, their_request)] {
        let settled = eventually(60, async || Some(portward.status(token, request).await).filter(|s| s != "pending")).await;
        assert_eq!(settled.as_deref(), Some("downloading"));
    }

    // Tokens: relabelled for the other world, of another kind, made up. All are told the same on every call.
    let bare = |token: &str| token.rsplit('.').next().expect("a token").to_owned();
    let wrong = [
        ("production's, with the sandbox's mark", format!("act.sb.{}", bare(&ours.access))),
        ("the sandbox's, without its mark", format!("act.{}", bare(&theirs.access))),
        ("the sandbox's refresh token", theirs.refresh.clone()),
        ("production's refresh token", ours.refresh.clone()),
        ("the sandbox's refresh token as an access token", format!("act.sb.{}", bare(&theirs.refresh))),
        ("its mark in capitals", format!("act.SB.{}", bare(&theirs.access))),
        ("its mark twice", format!("act.sb.sb.{}", bare(&theirs.access))),
        ("the sandbox's, made up", "act.sb.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA".to_owned()),
        ("the client key", stand.key.clone()),
        ("the secret", stand.secret.clone()),
    ];
    for call in ["add", "check", "cancel", "download"] {
        for request in [our_request, their_request] {
            let body = if call == "add" { order(&["activity"]) } else { json!({ "request_id": request }) };
            let unknown = told(&portward.data(call, "act.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &body).await);
            assert_eq!(unknown.0, 401, "{unknown:?}");
            for (what, token) in &wrong {
                assert_eq!(told(&portward.data(call, token, &body).await), unknown, "{call} of {request} with {what}");
            }
        }
    }
    let unknown = told(&stand.info("act.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA").await);
    for (what, token) in &wrong {
        assert_eq!(told(&stand.info(token).await), unknown, "user info with {what}");
    }

    // Request ids: the other world's is as unknown as one that nobody has.
    for (token, request) in [(&ours.access, their_request), (&theirs.access, our_request)] {
        for call in ["check", "cancel", "download"] {
            let never = told(&portward.data(call, token, &json!({ "request_id": 4_503_599_627_370_497_i64 })).await);
            let other = told(&portward.data(call, token, &json!({ "request_id": request })).await);
            assert_eq!(other, never, "{call}");
            assert_ne!(other.0, 200, "{call}: {}", other.1);
        }
    }

    // Keys, secrets, codes and refresh tokens, crosswise.
    let (key, secret) = (portward.client_key.as_str(), portward.client_secret.as_str());
    let nobody = told(&stand.exchange("sb0000000000000000", "x", &their_code).await);
    assert_eq!(told(&stand.exchange("aw00000000000000", "x", &their_code).await), nobody);
    for (key, secret) in
        [(key, stand.secret.as_str()), (stand.key.as_str(), secret), (stand.draft_key.as_str(), stand.secret.as_str())]
    {
        for code in [&our_code, &their_code] {
            assert_eq!(told(&stand.exchange(key, secret, code).await), nobody, "{key}");
        }
        let fields = [("grant_type", "client_credentials")];
        assert_eq!(told(&stand.oauth("/v2/oauth/token/", key, secret, &fields).await), nobody, "{key}");
        let fields = [("token", theirs.access.as_str())];
        assert_eq!(told(&stand.oauth("/v2/oauth/revoke/", key, secret, &fields).await), nobody, "{key}");
    }
    let never = told(&stand.exchange(key, secret, "cod.never").await);
    assert_eq!(told(&stand.exchange(key, secret, &their_code).await), never);
    assert_eq!(told(&stand.exchange(&stand.key, &stand.secret, &our_code).await), never);
    for (key, secret, refresh) in [(key, secret, &theirs.refresh), (stand.key.as_str(), stand.secret.as_str(), &ours.refresh)] {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
        assert_eq!(told(&stand.oauth("/v2/oauth/token/", key, secret, &fields).await), never);
        // Giving back what is not one's own is passed over in silence, and ends nothing.
        let fields = [("token", refresh.as_str())];
        assert_eq!(stand.oauth("/v2/oauth/revoke/", key, secret, &fields).await.status, 200);
    }
    let (ours_text, theirs_text) = (format!("{key}:{secret}"), format!("{}:{}", stand.key, stand.secret));
    for (basic, body_key, expected) in [
        (&theirs_text, None, 200),
        (&ours_text, None, 200),
        (&theirs_text, Some(key), 401),
        (&ours_text, Some(stand.key.as_str()), 401),
    ] {
        let (user, password) = basic.split_once(':').expect("two parts");
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(body_key.map(|key| ("client_key", key)));
        let call = portward.http.post(portward.url("/v2/oauth/token/")).basic_auth(user, Some(password)).form(&form);
        let answer = Answer::read(call.send().await.expect("an answer")).await;
        assert_eq!(answer.status, expected, "{user} with {body_key:?}: {}", answer.json);
        if expected == 200 {
            let token = answer.json["access_token"].as_str().expect("a token");
            assert_eq!(token.starts_with("clt.sb."), user == stand.key, "{token}");
        }
    }

    // After all that everything of either world still works, and is its own.
    let in_ours = portward.data("download", &ours.access, &json!({ "request_id": our_request })).await;
    let in_theirs = portward.data("download", &theirs.access, &json!({ "request_id": their_request })).await;
    assert_eq!((in_ours.status, in_theirs.status), (200, 200));
    assert_eq!(Tokens::of(&stand.exchange(key, secret, &our_code).await).open_id, ours.open_id);
    assert_eq!(Tokens::of(&stand.exchange(&stand.key, &stand.secret, &their_code).await).open_id, theirs.open_id);
    assert_eq!((portward.vault().len(), files(&portward.path("sandbox/vault")).len()), (1, 1));
    assert_ne!(
        std::fs::read(portward.path("portward.keys")).unwrap(),
        std::fs::read(portward.path("sandbox/portward.keys")).unwrap()
    );
}

async fn sign_in_of_one_world_is_unknown_in_the_other(engine: Engine) {
    let stand = Stand::start(engine);
    let portward = &stand.portward;
    let post = async |path: &str, fields: &[(&str, &str)], cookie: Option<String>| {
        let mut call = testkit::person::http().post(portward.url(path)).header("origin", &portward.base).form(fields);
        if let Some(cookie) = cookie {
            call = call.header("cookie", cookie);
        }
        call.send().await.expect("an answer")
    };
    // People and passwords.
    assert_eq!(post("/login", &[("username", "clara"), ("password", SESAME)], None).await.status(), 401);
    assert_eq!(post("/login", &[("username", "anna"), ("password", SESAME)], None).await.status(), 401);
    assert_eq!(post("/login", &[("as", "anna")], None).await.status(), 422);
    assert_eq!(post("/sandbox/login", &[("username", "anna"), ("password", PASSWORD)], None).await.status(), 401);
    assert_eq!(post("/sandbox/login", &[("as", "nobody")], None).await.status(), 401);
    let foreign = testkit::person::http().post(portward.url("/sandbox/login")).header("origin", "https://evil.example");
    assert_eq!(foreign.form(&[("as", "anna")]).send().await.expect("an answer").status(), 403);

    // Sessions, each under its own name and under the other's.
    let value = |response: &reqwest::Response| {
        let cookie = response.headers()["set-cookie"].to_str().expect("a cookie");
        cookie.split(['=', ';']).nth(1).expect("a value").to_owned()
    };
    let ours = value(&post("/login", &[("username", "anna"), ("password", PASSWORD)], None).await);
    let theirs = value(&post("/sandbox/login", &[("as", "anna")], None).await);
    for (path, cookie, signed_in) in [
        ("/connections", format!("portward={ours}"), true),
        ("/sandbox/connections", format!("portward-sandbox={theirs}"), true),
        ("/connections", format!("portward={theirs}"), false),
        ("/sandbox/connections", format!("portward-sandbox={ours}"), false),
        ("/connections", format!("portward-sandbox={ours}"), false),
        ("/sandbox/connections", format!("portward={theirs}"), false),
    ] {
        let page = testkit::person::http().get(portward.url(path)).header("cookie", &cookie).send().await.expect("an answer");
        assert_eq!(page.status(), if signed_in { 200 } else { 303 }, "{path} with {cookie}");
    }

    // A session of one world decides nothing in the other: consent asks for that world's own sign-in.
    for (key, cookie, entrance) in [
        (stand.key.as_str(), format!("portward={ours}"), "/sandbox/login?next="),
        (portward.client_key.as_str(), format!("portward-sandbox={theirs}"), "/login?next="),
    ] {
        let url = stand.authorize_url(key, "user.info.basic");
        let asked = testkit::person::http().get(&url).header("cookie", &cookie).send().await.expect("an answer");
        assert!(asked.headers()[LOCATION].to_str().unwrap().starts_with(entrance), "{key}");
        let query = url.split_once('?').expect("a query").1;
        let ticket: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        for root in ["", "/sandbox"] {
            let path = format!("{root}/consent?ticket={ticket}");
            let fields = [("scope", "user.info.basic"), ("decision", "allow")];
            let decided = post(&path, &fields, Some(cookie.clone())).await;
            let onward = decided.headers().get(LOCATION).map(|to| to.to_str().unwrap().to_owned()).unwrap_or_default();
            assert!(!onward.contains("code="), "{key} at {root}: {onward}");
        }
    }

    // The sandbox has the pages of people and nothing else.
    for path in [
        "/sandbox/developers",
        "/sandbox/console",
        "/sandbox/v2/user/info/",
        "/sandbox/readyz",
        "/sandbox/login/provider",
        "/sandboxes",
    ] {
        assert_eq!(portward.http.get(portward.url(path)).send().await.expect("an answer").status(), 404, "{path}");
    }
    let ready = portward.http.get(format!("{}/readyz", portward.ops)).send().await.expect("an answer");
    assert_eq!(ready.text().await.expect("a word"), "ready\n");
}

#[tokio::test]
async fn without_a_sandbox_its_credentials_are_unknown_and_it_has_no_pages() {
    let portward = Portward::start(Engine::Sqlite, "");
    let login = portward.http.get(portward.url("/sandbox/login")).send().await.expect("an answer");
    assert_eq!(login.status(), 404);
    let made_up = told(&portward.data("add", "act.x", &order(&["activity"])).await);
    assert_eq!(told(&portward.data("add", "act.sb.x", &order(&["activity"])).await), made_up);
    assert!(!portward.path("sandbox").exists());
    assert!(portward.admin_fails(&["app", "sandbox", &portward.client_key]).contains("sandbox.enabled"));
}

#[tokio::test]
async fn check_and_migrate_cover_the_sandbox() {
    let portward = Plan::new(Engine::Sqlite).with_sandbox().install();
    let migrated = portward.run(&["migrate", "--config", "portward.toml"]);
    assert!(String::from_utf8_lossy(&migrated.stdout).contains("Sandbox: The schema is current."), "{migrated:?}");
    let checked = portward.run(&["check", "--config", "portward.toml"]);
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success(), "{told}");
    assert!(told.lines().any(|line| line.starts_with("sandbox ") && line.contains("schema current")), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_works_the_queue_of_the_sandbox_too() {
    let mut stand = Stand::on(Plan::new(Engine::Sqlite).toml("[jobs]\nlease = \"1 s\"\n"), &[("PORTWARD_PAUSE_AT", "after_put")]);
    let tokens = stand.tokens("anna", "user.info.basic,portability.activity.single").await;
    let added = stand.portward.add(&tokens.access, &["activity"]).await;
    assert_eq!(added.status, 200, "{}", added.json);
    stand.portward.told("paused at after_put");
    // The server is killed in the middle of it; only a worker goes on.
    stand.portward.spawn(&["worker", "--config", "portward.toml"], &[]);
    let store = stand.portward.path("sandbox/portward.db");
    let ready = eventually(30, async || {
        let db = rusqlite::Connection::open(&store).ok()?;
        db.busy_timeout(Duration::from_secs(10)).ok()?;
        let status: String = db.query_row("select status from requests", [], |row| row.get(0)).ok()?;
        (status == "ready").then_some(())
    });
    assert!(ready.await.is_some(), "{}", stand.portward.log_of_this_life());
}

/// What is watched for production must not rise and fall with what developers try in the sandbox.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_and_archives_of_the_sandbox_are_not_counted_as_productions() {
    let stand = Stand::on(Plan::new(Engine::Sqlite), &[("PORTWARD__QUOTAS__PER_MINUTE", "2")]);
    let portward = &stand.portward;
    let tokens = stand.tokens("ben", "user.info.basic,portability.activity.ongoing").await;
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    let ready = eventually(60, async || {
        let archives = metrics(portward).await.get("portward_archives_total{world=\"sandbox\"}").copied();
        archives.filter(|count| *count >= 1.0)
    });
    assert_eq!(ready.await, Some(1.0), "{}", portward.log_of_this_life());
    assert_eq!(portward.data("download", &tokens.access, &json!({ "request_id": request_id })).await.status, 200);
    let checks = [(); 3].map(|()| json!({ "request_id": request_id }));
    for body in &checks {
        portward.data("check", &tokens.access, body).await;
    }
    let seen = metrics(portward).await;
    let of = |world: &str| -> Vec<(&String, &f64)> {
        let label = format!("world=\"{world}\"");
        // What is told as nothing is nothing.
        seen.iter().filter(|(name, count)| name.contains(&label) && **count != 0.0).collect()
    };
    assert_eq!(of("production"), [], "{seen:?}");
    for name in ["portward_downloads_total{world=\"sandbox\"}", "portward_quota_refused_total{world=\"sandbox\",type=\"check\"}"]
    {
        assert_eq!(seen.get(name), Some(&1.0), "{name}: {seen:?}");
    }
    let unnamed: Vec<_> = seen.keys().filter(|name| name.starts_with("portward_http_") && !name.contains("world=")).collect();
    assert_eq!(unnamed, [""; 0], "{seen:?}");
    // Each line about a call, and about a job, says it too.
    let log = portward.log_of_this_life();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for words in ["answered", "request ready"] {
        let told: Vec<_> = lines.iter().filter(|line| line["fields"]["message"] == words || line["message"] == words).collect();
        assert!(!told.is_empty(), "{words} is not in: {log}");
        assert!(told.iter().all(|line| line.to_string().contains("\"world\":\"sandbox\"")), "{told:#?}");
    }
    // And a call of production is production's.
    assert_eq!(portward.http.get(portward.url("/login")).send().await.expect("an answer").status(), 200);
    assert_eq!(metrics(portward).await.get("portward_http_requests_total{world=\"production\",status=\"200\"}"), Some(&1.0));
}
