//! Sign-in at the operator's OpenID provider: as it should go, and against a provider that does what none should.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::provider::{CLIENT, Provider, SECRET, Says, Script, Signed};
use url::Url;

use crate::support::{Engine, Plan, Portward};

/// The provider's part of `portward.toml`, for people and for staff.
fn toml(provider: &Provider, more: &str) -> String {
    let client = |realm: &str, more: &str| {
        format!(
            "[provider.{realm}]\nissuer = \"{}\"\nclient_id = \"{CLIENT}\"\nclient_secret = \"{SECRET}\"\ntimeout = \"1 s\"\n{more}\n",
            provider.issuer()
        )
    };
    // What the provider says of itself is asked for anew each time, so that a script takes effect at once.
    let discovery = if more.contains("discovery") { "" } else { "discovery = \"0 ms\"\n" };
    let people = format!("{discovery}default_region = \"DE\"\n{more}\n[provider.people.claims]\nregion = \"country\"");
    let people = client("people", &people);
    format!(
        "{people}{}",
        client("staff", "discovery = \"0 ms\"\n[provider.staff.roles]\npw-review = \"reviewer\"\npw-admin = \"administrator\"")
    )
}

/// A server and its provider.
struct Stage {
    provider: Provider,
    portward: Portward,
}

/// What a browser was shown in the end.
#[derive(Debug)]
struct Shown {
    status: StatusCode,
    location: String,
    html: String,
}

impl Stage {
    fn new(more: &str) -> Self {
        Self::on(Engine::Sqlite, more)
    }

    fn on(engine: Engine, more: &str) -> Self {
        let provider = Provider::start();
        let portward = Portward::start(engine, &toml(&provider, more));
        Self { provider, portward }
    }

    async fn get(&self, browser: &reqwest::Client, address: &str) -> Shown {
        let answer = browser.get(address).send().await.expect("an answer");
        let status = answer.status();
        let location = answer.headers().get("location").map(|to| to.to_str().expect("ASCII").to_owned()).unwrap_or_default();
        Shown { status, location, html: answer.text().await.expect("a page") }
    }

    async fn post(&self, browser: &reqwest::Client, path: &str, form: &[(&str, &str)]) -> (Shown, reqwest::header::HeaderMap) {
        let call = browser.post(self.portward.url(path)).header("origin", &self.portward.base).form(form);
        let answer = call.send().await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        let location = headers.get("location").map(|to| to.to_str().expect("ASCII").to_owned()).unwrap_or_default();
        (Shown { status, location, html: answer.text().await.expect("a page") }, headers)
    }

    /// Where the button leads: the provider's own page.
    async fn begin(&self, browser: &reqwest::Client, path: &str) -> Url {
        let shown = self.get(browser, &self.portward.url(path)).await;
        assert_eq!(shown.status, 303, "{}", shown.html);
        shown.location.parse().expect("an address")
    }

    /// From the button to the end, with the provider doing this.
    async fn sign_in(&self, browser: &reqwest::Client, path: &str, script: Script) -> Shown {
        self.provider.script(script);
        let back = self.provider.authorize(&self.begin(browser, path).await);
        self.get(browser, back.as_str()).await
    }

    async fn people(&self, browser: &reqwest::Client, script: Script) -> Shown {
        self.sign_in(browser, "/login/provider?next=%2Fconnections", script).await
    }

    async fn staff(&self, browser: &reqwest::Client, id_token: Value) -> Shown {
        let script = Script { id_token, ..Script::default() };
        self.sign_in(browser, "/console/login/provider?next=%2Fconsole", script).await
    }

    async fn is_signed_in(&self, browser: &reqwest::Client) -> bool {
        self.get(browser, &self.portward.url("/connections")).await.status == 200
    }

    /// Nothing was opened, and the page says what to do and no more.
    async fn refused(&self, browser: &reqwest::Client, shown: &Shown, status: u16, what: &str) {
        assert_eq!(shown.status.as_u16(), status, "{what}: {}", shown.html);
        assert!(shown.html.contains("<h1>") && shown.html.contains("Reference"), "{what}: a page: {}", shown.html);
        for word in ["stack trace", "ID token", "nonce", "issuer", "kid", "signature", "invalid_", "discovery"] {
            assert!(!shown.html.contains(word), "{what}: the page says {word:?}");
        }
        assert!(!self.is_signed_in(browser).await, "{what}");
        assert_eq!(self.portward.number("select count(*) from sessions").await, 0, "{what}");
        assert_eq!(self.portward.number("select count(*) from account_sessions").await, 0, "{what}");
    }
}

fn browser() -> reqwest::Client {
    testkit::person::http()
}

fn who(id_token: Value) -> Script {
    Script { id_token, ..Script::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_who_the_provider_says() {
    people_on(Engine::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_who_the_provider_says_on_postgres() {
    people_on(Engine::Postgres).await;
}

async fn people_on(engine: Engine) {
    let stage = Stage::on(engine, "");
    let p = &stage.portward;
    let said = json!({ "sub": "31", "name": "Berta", "preferred_username": "berta", "country": "FR", "birthdate": "1990-05-03" });
    let one = browser();
    let entrance = stage.get(&one, &p.url("/login?next=%2Fconnections")).await;
    assert!(
        entrance.html.contains("Sign in with <bdi>Portward</bdi>") && !entrance.html.contains("password"),
        "{}",
        entrance.html
    );
    let shown = stage.people(&one, who(said.clone())).await;
    assert_eq!((shown.status.as_u16(), shown.location.as_str()), (303, "/connections"), "{}", shown.html);
    assert!(stage.is_signed_in(&one).await);
    let row = |rows: Vec<Value>| rows.into_iter().next().expect("a row");
    let berta = "select person_id, username, subject, region, display_name, info from people where subject = '31'";
    let first = row(p.rows(berta).await);
    assert_eq!((first["username"].as_str(), first["region"].as_str()), (Some("berta"), Some("FR")));
    assert_eq!((first["display_name"].as_str(), first["info"].as_str()), (Some("Berta"), Some("{\"birth_year\":1990}")));

    // What changes at the provider changes here, at the next sign-in; what only UserInfo says counts as well.
    let moved = Script { said: json!({ "name": "Berta B.", "country": "it", "sub": "31" }), ..who(json!({ "sub": "31" })) };
    assert_eq!(stage.people(&browser(), moved).await.status, 303);
    let second = row(p.rows(berta).await);
    assert_eq!(second["person_id"], first["person_id"]);
    assert_eq!((second["display_name"].as_str(), second["region"].as_str()), (Some("Berta B."), Some("IT")));

    // Anna was in the directory before: the same subject is the same person, and keeps what she allowed.
    let anna = browser();
    assert_eq!(stage.people(&anna, who(json!({ "sub": "7" }))).await.status, 303);
    assert_eq!(p.number("select count(*) from people").await, 2);
    assert_eq!(
        p.number("select count(*) from people where subject = '7' and username = 'anna' and provider_key is not null").await,
        1
    );

    // The form of the directory is gone.
    let (shown, _) = stage.post(&browser(), "/login", &[("username", "anna"), ("password", crate::support::PASSWORD)]).await;
    assert_eq!(shown.status, 303);
    assert!(shown.location.starts_with("/login?"), "{}", shown.location);

    // Deleted stays deleted, until the operator says otherwise.
    let person_id = second["person_id"].as_i64().expect("a number").to_string();
    p.admin(&["person", "delete", "berta"]);
    let shown = stage.people(&browser(), who(said.clone())).await;
    assert_eq!(shown.status, 403);
    assert!(shown.html.contains("was deleted here"), "{}", shown.html);
    assert_eq!(p.number("select count(*) from people where subject = '31'").await, 0);
    p.admin(&["person", "readmit", &person_id]);
    assert_eq!(stage.people(&browser(), who(said)).await.status, 303);
    assert_eq!(p.number("select count(*) from people where subject = '31'").await, 1);
    let log = p.log();
    for personal in ["Berta", "berta", "at-1", "code-", SECRET, "eyJ"] {
        assert!(!log.contains(personal), "the log says {personal:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_people_never_share_a_subject() {
    let provider = Provider::start();
    // Their subject is in a claim of its own.
    let toml = toml(&provider, "").replace("region = \"country\"", "region = \"country\"\nsubject = \"customer\"");
    let stage = Stage { portward: Portward::start(Engine::Sqlite, &toml), provider };
    let sub = |sub: &str, customer: Value| who(json!({ "sub": sub, "customer": customer }));
    assert_eq!(stage.people(&browser(), sub("b1", json!("41"))).await.status, 303);
    let before = stage.portward.rows("select person_id, subject from people order by person_id").await;
    stage.portward.execute("delete from sessions");
    for (what, script) in [
        ("the subject of somebody else", sub("b2", json!("41"))),
        ("another subject than before", sub("b1", json!("42"))),
        ("no subject", sub("b3", Value::Null)),
        ("an empty one", sub("b3", json!(" "))),
        ("one that is no text", sub("b3", json!(["43"]))),
        ("one with a NUL", sub("b3", json!("4\u{0}3"))),
    ] {
        let one = browser();
        let shown = stage.people(&one, script).await;
        stage.refused(&one, &shown, 403, what).await;
        assert!(shown.html.contains("cannot be used here"), "{what}");
    }
    assert_eq!(stage.portward.rows("select person_id, subject from people order by person_id").await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_does_not_fit_opens_nothing() {
    let stage = Stage::new("");
    let signed = |signed| Script { signed, ..Script::default() };
    let answer = |answer| Script { answer, ..Script::default() };
    for (what, script) in [
        ("another issuer", who(json!({ "iss": "https://elsewhere.example" }))),
        ("no issuer", who(json!({ "iss": null }))),
        ("another audience", who(json!({ "aud": "somebody-else" }))),
        ("no audience", who(json!({ "aud": [] }))),
        ("a second audience", who(json!({ "aud": [CLIENT, "somebody-else"], "azp": CLIENT }))),
        ("another party", who(json!({ "azp": "somebody-else" }))),
        ("expired", who(json!({ "exp": -90 }))),
        ("expired long ago", who(json!({ "iat": -7200, "exp": -3600 }))),
        ("issued long ago", who(json!({ "iat": -3600 }))),
        ("issued tomorrow", who(json!({ "iat": 86_400, "exp": 90_000 }))),
        ("without an end", who(json!({ "exp": null }))),
        ("another nonce", who(json!({ "nonce": "another" }))),
        ("no nonce", who(json!({ "nonce": null }))),
        ("no subject identifier", who(json!({ "sub": null }))),
        ("another access token's hash", who(json!({ "at_hash": "AAAAAAAAAAAAAAAAAAAAAA" }))),
        ("unsigned", signed(Signed::Not)),
        ("HS256 with the public key", signed(Signed::ByPublicKey)),
        ("HS256 with the secret", signed(Signed::BySecret)),
        ("another key under the name of one", signed(Signed::ByAnother)),
        ("a broken signature", signed(Signed::Broken)),
        ("a key that is not published", Script { key: 9, ..Script::default() }),
        ("no ID token", answer(json!({ "id_token": null }))),
        ("nonsense for a token", answer(json!({ "id_token": "a.b.c" }))),
        ("half a token", answer(json!({ "id_token": "eyJhbGciOiJFUzI1NiJ9" }))),
        ("an access token that breaks headers", answer(json!({ "access_token": "a\r\nx: y" }))),
        ("nonsense for an answer", Script { token: Says::Text("{".into()), ..Script::default() }),
        ("UserInfo about somebody else", Script { said: json!({ "sub": "somebody-else" }), ..Script::default() }),
        ("nonsense from UserInfo", Script { user_info: Says::Text("[]".into()), ..Script::default() }),
        ("UserInfo refused", Script { user_info: Says::Status(403), ..Script::default() }),
    ] {
        let one = browser();
        let shown = stage.people(&one, script).await;
        stage.refused(&one, &shown, 400, what).await;
        assert!(shown.html.contains("could not be completed"), "{what}");
    }
    assert_eq!(stage.portward.number("select count(*) from people").await, 1, "nobody was made");
    assert_eq!(stage.portward.number("select count(*) from provider_logins").await, 0, "each was used up");
    assert!(!stage.portward.log().contains("panicked"));
    // The clocks may be apart by a minute.
    for near in [json!({ "exp": -50 }), json!({ "iat": 50 }), json!({ "aud": [CLIENT] }), json!({ "azp": CLIENT })] {
        assert_eq!(stage.people(&browser(), who(near.clone())).await.status, 303, "{near}");
    }
    let other = Stage::new("clock_skew = \"0 s\"\naudiences = [\"somebody-else\"]");
    assert_eq!(other.people(&browser(), who(json!({ "exp": -50 }))).await.status, 400);
    let two = json!({ "aud": [CLIENT, "somebody-else"], "azp": CLIENT });
    assert_eq!(other.people(&browser(), who(two)).await.status, 303, "an audience that the operator trusts");
    let unparted = json!({ "aud": [CLIENT, "somebody-else"] });
    assert_eq!(other.people(&browser(), who(unparted)).await.status, 400, "for two, and does not say to whom it was given");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_nobody_asked_for_opens_nothing() {
    let stage = Stage::new("");
    let p = &stage.portward;
    let callback = |query: &str| p.url(&format!("/login/provider/callback{query}"));
    let victim = browser();
    for query in [
        "",
        "?code=a",
        "?state=a",
        "?code=a&state=sta.unknown",
        "?error=access_denied",
        "?state=%FF&code=a",
        "?state=%00&code=%00",
    ] {
        let shown = stage.get(&victim, &callback(query)).await;
        stage.refused(&victim, &shown, 400, query).await;
    }

    // The state of another browser: an attacker's own sign-in, laid under somebody else.
    let attacker = browser();
    let begun = stage.begin(&attacker, "/login/provider").await;
    let back = stage.provider.authorize(&begun);
    let shown = stage.get(&victim, back.as_str()).await;
    stage.refused(&victim, &shown, 400, "a browser that began nothing").await;
    stage.begin(&victim, "/login/provider").await;
    let shown = stage.get(&victim, back.as_str()).await;
    stage.refused(&victim, &shown, 400, "a browser that began another").await;
    // It was not used up by that; its own browser may use it once.
    assert_eq!(stage.get(&attacker, back.as_str()).await.status, 303);
    assert!(stage.is_signed_in(&attacker).await);
    p.execute("delete from sessions");
    let shown = stage.get(&attacker, back.as_str()).await;
    stage.refused(&attacker, &shown, 400, "a state for the second time").await;

    // A code of one sign-in put into another: PKCE and nonce both are of the other.
    let (one, other) = (stage.begin(&victim, "/login/provider").await, stage.begin(&attacker, "/login/provider").await);
    let (mut mine, theirs) = (stage.provider.authorize(&one), stage.provider.authorize(&other));
    let parts: std::collections::HashMap<String, String> = mine.query_pairs().into_owned().collect();
    let code = theirs.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
    mine.query_pairs_mut().clear().append_pair("code", &code).append_pair("state", &parts["state"]);
    let shown = stage.get(&victim, mine.as_str()).await;
    stage.refused(&victim, &shown, 400, "a code of another sign-in").await;

    for (what, more, status) in [
        ("an error", "error=login_required", 400),
        ("turned back", "error=access_denied&error_description=%3Cscript%3E", 400),
        ("the provider is not well", "error=temporarily_unavailable", 503),
        ("no code", "x=y", 400),
        ("two codes", "code=a&code=b", 400),
        ("another provider's answer", "code=a&iss=https%3A%2F%2Felsewhere.example", 400),
    ] {
        let begun = stage.begin(&victim, "/login/provider?next=%2Fconnections").await;
        let state = begun.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
        let shown = stage.get(&victim, &callback(&format!("?state={state}&{more}"))).await;
        stage.refused(&victim, &shown, status, what).await;
        assert!(!shown.html.contains("script"), "{what}");
    }
    // A provider that promises to name itself must do so.
    let names = json!({ "authorization_response_iss_parameter_supported": true });
    let shown = stage.people(&victim, Script { document: names.clone(), ..Script::default() }).await;
    stage.refused(&victim, &shown, 400, "no iss").await;
    stage.provider.script(Script { document: names, ..Script::default() });
    let mut back = stage.provider.authorize(&stage.begin(&victim, "/login/provider").await);
    back.query_pairs_mut().append_pair("iss", stage.provider.issuer());
    assert_eq!(stage.get(&victim, back.as_str()).await.status, 303);
    p.execute("delete from sessions");

    // What was begun for staff does not end among people, and one that was left open is over.
    stage.provider.script(Script::default());
    let back = stage.provider.authorize(&stage.begin(&victim, "/console/login/provider").await);
    let crossed = back.as_str().replace("/console/login/provider/callback", "/login/provider/callback");
    let shown = stage.get(&victim, &crossed).await;
    stage.refused(&victim, &shown, 400, "a sign-in of staff").await;
    let back = stage.provider.authorize(&stage.begin(&victim, "/login/provider").await);
    p.execute("update provider_logins set expires_at = 1");
    let shown = stage.get(&victim, back.as_str()).await;
    stage.refused(&victim, &shown, 400, "left open for too long").await;
    assert!(!p.log().contains("panicked"));

    // It leads to paths of ours only.
    for next in ["https%3A%2F%2Fevil.example", "%2F%2Fevil.example", "%2F%5Cevil.example", "javascript%3Aalert(1)"] {
        let shown = stage.sign_in(&browser(), &format!("/login/provider?next={next}"), Script::default()).await;
        assert_eq!(shown.location, "/connections", "{next}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_that_does_not_answer_is_said_to_be_so() {
    let mut stage = Stage::new("");
    let rest = || tokio::time::sleep(Duration::from_millis(1100));
    let discovery = |discovery| Script { discovery, ..Script::default() };
    let document = |document| Script { document, ..Script::default() };
    let one = browser();
    for (what, script) in [
        ("a fault", discovery(Says::Status(500))),
        ("not there", discovery(Says::Status(404))),
        ("slow", discovery(Says::Late(Duration::from_secs(4)))),
        ("endless", discovery(Says::Endless)),
        ("a redirect to itself", discovery(Says::Around)),
        ("nonsense", discovery(Says::Text("{\"issuer\":".into()))),
        ("another issuer", document(json!({ "issuer": "https://elsewhere.example" }))),
        ("no keys", Script { keys: Says::Status(503), ..Script::default() }),
        ("endless keys", Script { keys: Says::Endless, ..Script::default() }),
        ("no token endpoint", document(json!({ "token_endpoint": null }))),
        ("plain http elsewhere", document(json!({ "jwks_uri": "http://elsewhere.example/keys" }))),
        ("a page without TLS", document(json!({ "authorization_endpoint": "http://elsewhere.example/" }))),
        ("no page at all", document(json!({ "authorization_endpoint": "javascript:alert(1)" }))),
        ("a file", document(json!({ "jwks_uri": "file:///etc/passwd" }))),
    ] {
        stage.provider.script(script);
        let shown = stage.get(&one, &stage.portward.url("/login/provider?next=%2Fconnections")).await;
        stage.refused(&one, &shown, 503, what).await;
        assert!(shown.html.contains("not available at the moment"), "{what}: {}", shown.html);
        rest().await;
    }
    assert_eq!(stage.portward.number("select count(*) from provider_logins").await, 0);
    // Who cannot be asked is not asked for each visitor.
    stage.provider.script(discovery(Says::Status(500)));
    let before = stage.provider.calls("discovery");
    for _ in 0..5 {
        assert_eq!(stage.get(&one, &stage.portward.url("/login/provider")).await.status, 503);
    }
    assert_eq!(stage.provider.calls("discovery"), before + 1);
    rest().await;

    // It fails between the button and the return.
    for (what, script, status) in [
        ("a fault at the tokens", Script { token: Says::Status(500), ..Script::default() }, 503),
        ("slow tokens", Script { token: Says::Late(Duration::from_secs(4)), ..Script::default() }, 503),
        ("endless tokens", Script { token: Says::Endless, ..Script::default() }, 503),
        ("tokens elsewhere", Script { token: Says::Around, ..Script::default() }, 503),
        ("slow UserInfo", Script { user_info: Says::Late(Duration::from_secs(4)), ..Script::default() }, 503),
    ] {
        let shown = stage.people(&one, script).await;
        stage.refused(&one, &shown, status, what).await;
        assert!(shown.html.contains("not available at the moment"), "{what}");
    }
    // It is back, and so is everything.
    assert_eq!(stage.people(&one, Script::default()).await.status, 303);
    stage.portward.execute("delete from sessions");
    stage.provider.stop();
    let shown = stage.get(&one, &stage.portward.url("/login/provider")).await;
    stage.refused(&one, &shown, 503, "gone").await;
    assert!(stage.portward.log().contains("no connection") && !stage.portward.log().contains("panicked"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_asked_for_again_when_one_is_not_known_but_not_for_ever() {
    let stage = Stage::new("discovery = \"1 h\"");
    assert_eq!(stage.people(&browser(), Script::default()).await.status, 303);
    let before = (stage.provider.calls("discovery"), stage.provider.calls("keys"));
    assert_eq!(stage.people(&browser(), Script::default()).await.status, 303);
    assert_eq!((stage.provider.calls("discovery"), stage.provider.calls("keys")), before, "both are kept");
    // Rotated: the new key is there beside the old one, then alone.
    let rotated = |key, published| Script { key, published, ..Script::default() };
    assert_eq!(stage.people(&browser(), rotated(2, vec![1, 2])).await.status, 303);
    assert_eq!(stage.provider.calls("keys"), before.1 + 1);
    assert_eq!(stage.people(&browser(), rotated(3, vec![3])).await.status, 303);
    assert_eq!(stage.people(&browser(), rotated(1, vec![3])).await.status, 400, "the old key is gone");
    // A provider that names unknown keys all the time is not asked all the time.
    for key in 10..20 {
        assert_eq!(stage.people(&browser(), rotated(key, vec![3])).await.status, 400);
    }
    assert_eq!(stage.provider.calls("keys"), before.1 + 5);
    assert_eq!(stage.people(&browser(), rotated(3, vec![3])).await.status, 303, "known keys go on");
    assert_eq!(stage.provider.calls("discovery"), before.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_hold_the_roles_of_the_claim() {
    let stage = Stage::new("");
    let p = &stage.portward;
    let said = |roles: Value| json!({ "sub": "s1", "name": "Rita", "email": "Rita@Clips.example", "roles": roles });
    let held = || async {
        let rows = p.rows("select role from staff_roles order by role").await;
        rows.iter().filter_map(|row| row["role"].as_str().map(ToOwned::to_owned)).collect::<Vec<_>>()
    };
    for (what, id_token) in [
        ("no roles", said(Value::Null)),
        ("roles of others", said(json!(["reviewer", "administrator"]))),
        ("roles that are no list", said(json!({ "pw-admin": true }))),
        ("no address", json!({ "sub": "s1", "roles": ["pw-admin"] })),
        ("nonsense for an address", json!({ "sub": "s1", "roles": ["pw-admin"], "email": "nobody" })),
    ] {
        let one = browser();
        let shown = stage.staff(&one, id_token).await;
        stage.refused(&one, &shown, 403, what).await;
        assert!(shown.html.contains("You have no role here"), "{what}");
    }
    assert_eq!(p.number("select count(*) from accounts").await, 0);

    let rita = browser();
    let shown = stage.staff(&rita, said(json!(["pw-review", "x"]))).await;
    assert_eq!((shown.status.as_u16(), shown.location.as_str()), (303, "/console"), "{}", shown.html);
    assert_eq!(held().await, ["reviewer"]);
    assert_eq!(p.number("select count(*) from accounts where kind = 'staff' and email = 'rita@clips.example'").await, 1);
    assert_eq!(stage.get(&rita, &p.url("/console/account")).await.status, 200);
    assert!(!stage.is_signed_in(&rita).await, "staff are not people");
    // Added and taken away, at the next sign-in.
    assert_eq!(stage.staff(&browser(), said(json!(["pw-review", "pw-admin"]))).await.status, 303);
    assert_eq!(held().await, ["administrator", "reviewer"]);
    assert_eq!(stage.staff(&browser(), said(json!("pw-admin"))).await.status, 303);
    assert_eq!(held().await, ["administrator"]);
    // Without any, what was open is closed.
    assert_eq!(stage.staff(&browser(), said(json!([]))).await.status, 403);
    assert!(held().await.is_empty());
    assert_eq!(p.number("select count(*) from account_sessions").await, 0);
    assert_eq!(stage.get(&rita, &p.url("/console/account")).await.status, 303);
    // The address of somebody else's account brings nobody into it.
    assert_eq!(stage.staff(&rita, said(json!("pw-admin"))).await.status, 303);
    let mut other = said(json!("pw-admin"));
    other["sub"] = "s2".into();
    let shown = stage.staff(&browser(), other).await;
    assert_eq!(shown.status, 403);
    assert!(shown.html.contains("account is closed"), "{}", shown.html);
    // Signing out leads to the provider's own end.
    let (shown, headers) = stage.post(&rita, "/console/logout", &[]).await;
    assert_eq!(shown.status, 200, "{}", shown.html);
    let onward = headers["refresh"].to_str().expect("ASCII").to_owned();
    assert!(onward.contains("/end?realm=people&id_token_hint=eyJ") && onward.contains("console%2Flogin"), "{onward}");
    assert_eq!(stage.get(&rita, &p.url("/console/account")).await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_ends_the_session_here_and_there() {
    let stage = Stage::new("");
    let one = browser();
    assert_eq!(stage.people(&one, Script::default()).await.status, 303);
    let (shown, headers) = stage.post(&one, "/logout", &[]).await;
    assert_eq!(shown.status, 200);
    assert!(shown.html.contains("You are signed out here"), "{}", shown.html);
    let onward = headers["refresh"].to_str().expect("ASCII").strip_prefix("0; url=").expect("an address").to_owned();
    let onward: Url = onward.parse().expect("an address");
    let said: std::collections::HashMap<String, String> = onward.query_pairs().into_owned().collect();
    assert_eq!(onward.path(), "/end");
    assert_eq!((said["client_id"].as_str(), said["realm"].as_str()), (CLIENT, "people"));
    assert_eq!(said["post_logout_redirect_uri"], stage.portward.url("/login"));
    assert_eq!(said["id_token_hint"].split('.').count(), 3);
    assert!(!stage.is_signed_in(&one).await);
    assert_eq!(stage.portward.number("select count(*) from sessions").await, 0);
    let (again, _) = stage.post(&one, "/logout", &[]).await;
    assert_eq!((again.status.as_u16(), again.location.as_str()), (303, "/login"));
    // One that offers no end, and one that cannot be asked: ours ends all the same.
    let offers_none = Script { document: json!({ "end_session_endpoint": null }), ..Script::default() };
    for script in [offers_none, Script { discovery: Says::Status(500), ..Script::default() }] {
        assert_eq!(stage.people(&one, Script::default()).await.status, 303);
        stage.provider.script(script);
        let (shown, _) = stage.post(&one, "/logout", &[]).await;
        assert_eq!((shown.status.as_u16(), shown.location.as_str()), (303, "/login"));
        assert!(!stage.is_signed_in(&one).await);
        tokio::time::sleep(Duration::from_millis(1100)).await;
    }
    assert!(!stage.portward.log().contains("eyJ"), "no token in the log");
}

/// The usual catalogue, with `activity` marked as sensitive.
fn sensitive() -> String {
    let text = Plan::new(Engine::Sqlite).catalogue;
    let marked = text.replacen("sensitivity = \"normal\"", "sensitivity = \"sensitive\"", 1);
    assert_ne!(marked, text, "the catalogue has the category");
    marked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sensitive_asks_for_a_fresh_sign_in_at_the_provider() {
    let provider = Provider::start();
    let mut portward = Plan::new(Engine::Sqlite).catalogue(sensitive()).toml(&toml(&provider, "")).install();
    portward.serve(&[]);
    let stage = Stage { provider, portward };
    let p = &stage.portward;
    let (plain, private) = (p.authorize_url("user.info.basic"), p.authorize_url("portability.activity.ongoing"));
    let one = browser();
    // Not signed in: the provider is asked at once to have them prove it.
    let to_sign_in = stage.get(&one, &private).await.location;
    assert!(to_sign_in.ends_with("&fresh=1"), "{to_sign_in}");
    let path = to_sign_in.replacen("/login?", "/login/provider?", 1);
    let begun = stage.begin(&one, &path).await;
    let asked: std::collections::HashMap<String, String> = begun.query_pairs().into_owned().collect();
    assert_eq!((asked["prompt"].as_str(), asked["max_age"].as_str()), ("login", "600"));
    // One that does not do so, or does not say when, is not believed.
    for (what, auth_time) in [("not said", Value::Null), ("long ago", json!(-700))] {
        stage.provider.script(who(json!({ "sub": "7", "auth_time": auth_time })));
        let back = stage.provider.authorize(&stage.begin(&one, &path).await);
        let shown = stage.get(&one, back.as_str()).await;
        stage.refused(&one, &shown, 400, what).await;
    }
    stage.provider.script(who(json!({ "sub": "7", "auth_time": -5 })));
    let back = stage.provider.authorize(&stage.begin(&one, &path).await);
    let shown = stage.get(&one, back.as_str()).await;
    assert!(shown.location.starts_with("/v2/auth/authorize/?"), "{}", shown.location);
    let consent = stage.get(&one, &private).await;
    assert_eq!(consent.status, 200);
    let action =
        testkit::page::forms(&consent.html).into_iter().find(|form| form.action.starts_with("/consent")).expect("a form").action;

    // Who was known to the provider since yesterday is known here, but not for this.
    p.execute("update sessions set fresh_at = fresh_at - 3600000");
    assert_eq!(stage.get(&one, &plain).await.status, 200);
    assert!(stage.get(&one, &private).await.location.ends_with("&fresh=1"));
    // Nor by passing the page by.
    let (shown, _) = stage.post(&one, &action, &[("decision", "allow"), ("scope", "portability.activity.ongoing")]).await;
    assert!(shown.location.starts_with("/login?") && shown.location.ends_with("&fresh=1"), "{}", shown.location);
    assert_eq!(p.number("select count(*) from grants").await, 0);
    // What is not sensitive may be allowed, and anything may be denied.
    let (shown, _) = stage.post(&one, &action, &[("decision", "deny")]).await;
    assert!(shown.location.contains("error=access_denied"), "{}", shown.location);
    let (shown, _) = stage.post(&one, &action, &[("decision", "allow")]).await;
    assert!(shown.location.contains("code="), "{}", shown.location);
    // An ordinary sign-in by a provider that does not say when they proved it is not fresh.
    let other = browser();
    assert_eq!(stage.people(&other, who(json!({ "sub": "7" }))).await.status, 303);
    assert!(stage.get(&other, &private).await.location.ends_with("&fresh=1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sensitive_asks_for_the_password_again() {
    let mut portward = Plan::new(Engine::Sqlite).catalogue(sensitive()).install();
    portward.serve(&[]);
    let p = &portward;
    let private = p.authorize_url("portability.activity.ongoing");
    let anna = p.browser("anna");
    // Signing in is fresh enough: one sign-in, one consent.
    assert!(p.code(&anna, "portability.activity.ongoing").await.len() > 10);
    p.execute("update sessions set fresh_at = fresh_at - 3600000");
    let answer = anna.http().get(&private).send().await.expect("an answer");
    let to = answer.headers()["location"].to_str().expect("ASCII").to_owned();
    assert!(to.starts_with("/login?") && to.ends_with("&fresh=1"), "{to}");
    let html = anna.http().get(p.url(&to)).send().await.expect("a page").text().await.expect("a page");
    assert!(html.contains("show once more that it is you") && html.contains("name=\"password\""), "{html}");
    // With the password, on they go.
    assert!(p.code(&anna, "portability.activity.ongoing").await.len() > 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_see_where_they_are_signed_in_and_end_it() {
    let portward = Portward::start(Engine::Sqlite, "");
    let p = &portward;
    let sign_in = async |agent: &str| {
        let one = browser();
        let form = [("username", "anna"), ("password", crate::support::PASSWORD)];
        let call = one.post(p.url("/login")).header("origin", &p.base).header("user-agent", agent).form(&form);
        assert_eq!(call.send().await.expect("an answer").status(), 303);
        one
    };
    let desk = sign_in("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0").await;
    let phone = sign_in("<script>alert(1)</script>").await;
    let third = sign_in("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Safari/604.1").await;
    p.add_person("ben", "8", "DE");
    let ben = p.browser("ben");
    p.code(&ben, "user.info.basic").await;
    let page = async |who: &reqwest::Client| {
        let answer = who.get(p.url("/connections/sessions")).send().await.expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("a page"))
    };
    let end = async |who: &reqwest::Client, session: &str| {
        let call = who.post(p.url("/connections/sessions/end")).header("origin", &p.base).form(&[("session", session)]);
        call.send().await.expect("an answer").status().as_u16()
    };
    let (status, html) = page(&desk).await;
    assert_eq!(status, 200);
    assert!(html.contains("Firefox on Linux") && html.contains("Safari on iPhone") && html.contains("This browser"), "{html}");
    assert!(!html.contains("<script>"));
    let forms = testkit::page::forms(&html);
    let numbers: Vec<String> =
        forms.iter().flat_map(|form| form.values("session")).filter(|value| *value != "others").map(ToOwned::to_owned).collect();
    assert_eq!(numbers.len(), 2, "each but the own");
    // Somebody else's cannot be ended, and is not there.
    assert_eq!(end(ben.http(), &numbers[0]).await, 303);
    assert_eq!(p.number("select count(*) from sessions").await, 4);
    assert_eq!(end(&desk, "nonsense").await, 400);
    // The newest first: the third one.
    assert_eq!(end(&desk, &numbers[0]).await, 303);
    assert_eq!((page(&third).await.0, page(&phone).await.0), (303, 200));
    assert_eq!(end(&desk, "others").await, 303);
    assert_eq!((page(&phone).await.0, page(&desk).await.0, page(ben.http()).await.0), (303, 200, 200));
    assert_eq!(end(&phone, "others").await, 303, "nobody is signed in there: off to sign-in");
    assert_eq!(p.number("select count(*) from sessions").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_is_told_what_is_wrong_with_the_provider() {
    let provider = Provider::start();
    let mut portward = Plan::new(Engine::Sqlite).toml(&toml(&provider, "")).install();
    let check = |portward: &Portward| {
        let made = portward.run(&["check", "--config", "portward.toml"]);
        (made.status.success(), String::from_utf8_lossy(&made.stdout).into_owned() + &String::from_utf8_lossy(&made.stderr))
    };
    let (fine, told) = check(&portward);
    assert!(fine && told.contains("people: 1 keys") && told.contains("/login/provider/callback"), "{told}");
    provider.script(Script { document: json!({ "issuer": "https://elsewhere.example" }), ..Script::default() });
    let (fine, told) = check(&portward);
    assert!(!fine && told.contains("names another issuer"), "{told}");
    assert!(!told.contains(SECRET));
    let whole = std::fs::read_to_string(portward.path("portward.toml")).expect("the configuration");
    for (was, is, words) in [
        (format!("issuer = \"{}\"", provider.issuer()), "issuer = \"http://id.example\"".to_owned(), "https://"),
        (format!("issuer = \"{}\"", provider.issuer()), "issuer = \"id.example\"".to_owned(), "not an address"),
        (format!("client_id = \"{CLIENT}\""), "client_id = \"\"".to_owned(), "client_id is empty"),
        ("pw-review = \"reviewer\"".to_owned(), "pw-review = \"root\"".to_owned(), "not a role"),
        (format!("client_secret = \"{SECRET}\""), "client_secret_file = \"none\"".to_owned(), "client_secret_file"),
        ("default_region = \"DE\"".to_owned(), "default_region = \"Germany\"".to_owned(), "ISO 3166"),
    ] {
        std::fs::write(portward.path("portward.toml"), whole.replace(&was, &is)).expect("written");
        let (fine, told) = check(&portward);
        assert!(!fine && told.contains(words), "{is}: {told}");
    }
    std::fs::write(portward.path("portward.toml"), whole.replace("timeout = ", "patience = ")).expect("written");
    assert!(!check(&portward).0, "unknown keys are refused");

    // Without a provider, `serve` says that passwords kept here are for small installations; with one it does not.
    std::fs::write(portward.path("portward.toml"), &whole).expect("written");
    portward.serve(&[]);
    assert!(!portward.log().contains("meant for development"));
    let plain = Portward::start(Engine::Sqlite, "");
    assert!(plain.log().contains("meant for development and small installations"));
    let shown = browser().get(plain.url("/login/provider")).send().await.expect("an answer");
    assert_eq!(shown.status(), 404);
    let shown = browser().get(plain.url("/console/login/provider/callback?state=a")).send().await.expect("an answer");
    assert_eq!(shown.status(), 404);
}
