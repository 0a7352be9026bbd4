//! What the log must never hold, in either format and down to debug.

use std::time::Duration;

use serde_json::json;
use testkit::person::Decision;

use crate::support::{CALLBACK, Engine, PASSWORD, Plan, text};

const NAME: &str = "zoe.unmistakable";

async fn after_a_whole_journey(format: &str, level: &str) {
    let mut portward = Plan::new(Engine::Postgres).install();
    portward.add_person(NAME, "8", "FR");
    portward.env.push(("PORTWARD__LOG__LEVEL".into(), level.into()));
    portward.serve(&[]);
    if format == "text" {
        // Its start was waited for in JSON.
        portward.env.push(("PORTWARD__LOG__FORMAT".into(), format.into()));
        portward.env.push(("PORTWARD__SERVER__LISTEN".into(), portward.base.replace("http://", "")));
        portward.serve_in_text();
    }
    let browser = portward.browser(NAME);
    let state = "st-5f0a77c1d2";
    let address =
        portward.authorize_url("user.info.basic,portability.activity.single").replace("state=st", &format!("state={state}"));
    let callback = browser.authorize(&address, &Decision::AllowAll).await;
    let code = callback.query_pairs().find(|(name, _)| name == "code").expect("a code").1.into_owned();
    let exchange = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", CALLBACK)];
    let tokens = crate::support::Tokens::of(&portward.token(&exchange).await);
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled(&tokens.access, request_id).await, "downloading");
    let archive = portward.data("download", &tokens.access, &json!({ "request_id": request_id })).await;
    assert_eq!(archive.status, 200);
    portward.hook.wait(1, Duration::from_secs(10)).await;
    let info = portward.http.get(portward.url("/v2/user/info/?fields=open_id,display_name")).bearer_auth(&tokens.access);
    let info: serde_json::Value = info.send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(info["data"]["user"]["display_name"], "Anna Q. Testperson");
    let fresh = portward.token(&[("grant_type", "refresh_token"), ("refresh_token", &tokens.refresh)]).await;
    let fresh = crate::support::Tokens::of(&fresh);
    let client = portward.token(&[("grant_type", "client_credentials")]).await;
    let client = client.json["access_token"].as_str().expect("a client token").to_owned();
    // What goes wrong is logged too.
    portward.token(&exchange).await;
    portward.add("act.of-nobody-at-all", &["activity"]).await;
    let wrong = [("username", NAME), ("password", "wrong-password-typed")];
    let post = portward.http.post(portward.url("/login")).header("origin", &portward.base).form(&wrong);
    assert_eq!(post.send().await.expect("an answer").status(), 401);
    portward.oauth("/v2/oauth/revoke/", &[("token", &fresh.access)]).await;
    portward.terminate(Duration::from_secs(20));

    let log = portward.log();
    assert!(
        log.contains("answered") && log.contains("webhook delivered") && log.contains("request ready"),
        "the log says what happened"
    );
    let keys = std::fs::read_to_string(portward.path("portward.keys")).expect("the key file");
    let key = keys.split_whitespace().nth(1).expect("a key").to_owned();
    let hashes = portward.rows("select password_hash from people where username = 'zoe.unmistakable'").await;
    let secrets = [
        tokens.access.clone(),
        tokens.refresh.clone(),
        fresh.access,
        fresh.refresh,
        client,
        code,
        portward.client_secret.clone(),
        key,
        hashes[0]["password_hash"].as_str().expect("a hash").to_owned(),
    ];
    let words = [PASSWORD, "wrong-password-typed", "of-nobody-at-all", state, NAME, "zoe", "Testperson", "clip of u8", "ses."];
    for secret in secrets.iter().map(String::as_str).chain(words) {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is in the log: {line:?}");
    }
    // Nor does the store hold what could be used.
    let dump = portward.rows("select * from tokens").await.iter().map(ToString::to_string).collect::<String>()
        + &portward.rows("select * from codes").await.iter().map(ToString::to_string).collect::<String>()
        + &portward.rows("select * from app_secrets").await.iter().map(ToString::to_string).collect::<String>()
        + &portward.rows("select * from audit").await.iter().map(ToString::to_string).collect::<String>();
    for secret in &secrets {
        assert!(!dump.contains(secret.as_str()), "{secret} lies in the store as it is");
    }
    let listed = portward.admin(&["app", "show", &portward.client_key]).to_string();
    assert!(!listed.contains(&portward.client_secret), "the secret is shown once only");
    let help = text(&portward.run(&["admin", "person", "list", "--config", "portward.toml"]).stdout);
    assert!(help.contains(NAME), "the operator's own tools do name people");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_json() {
    after_a_whole_journey("json", "debug").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_text() {
    after_a_whole_journey("text", "info").await;
}
