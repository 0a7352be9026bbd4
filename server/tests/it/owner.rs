//! A join that was written wrong must not serve somebody else's rows.

use serde_json::{Value, json};
use testkit::dev::Options;

use crate::support::{CATALOGUE, Engine, Plan, Portward, both, clips, eventually, metrics, sqlite};

/// The planted mistake: `and` binds before `or`, so that every row of everybody is joined.
fn planted() -> String {
    let select = "select id, user_id, link as \"Link\", title as \"Title\" from watched where user_id = :subject order by id";
    assert!(CATALOGUE.contains(select));
    CATALOGUE.replace(
        select,
        "select w.id, w.user_id, w.link as \"Link\", w.title as \"Title\" from watched w
         join messages m on m.user_id = w.user_id and m.user_id = :subject or 1=1 order by w.id",
    )
}

fn nothing_is_served(portward: &Portward) {
    assert!(portward.vault().is_empty(), "{:?}", portward.vault());
    assert!(portward.scratch().is_empty());
    assert!(!portward.log().contains("clip of"), "row data in the log");
}

async fn a_planted_join_serves_nothing(engine: Engine) {
    let mut portward = Plan::new(engine).catalogue(planted()).install();
    portward.serve(&[]);
    let tokens = portward.tokens("portability.activity.single,portability.directmessages.single").await;
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    // At once: it is not tried again, and the first pause between attempts alone would be two seconds.
    assert_eq!(portward.settled_within(&tokens.access, request_id, 10).await, "expired");
    let shown = portward.show(request_id);
    assert_eq!((&shown["status"], &shown["failure"], &shown["attempt"]), (&json!("failed"), &json!("owner_mismatch"), &json!(1)));
    let detail = shown["failure_detail"].as_str().expect("a detail");
    assert!(detail.contains("Watch History") && detail.contains("clips") && !detail.contains("clip of"), "{detail}");
    let download = portward.data("download", &tokens.access, &json!({ "request_id": request_id })).await;
    assert_eq!((download.status, download.code()), (400, "invalid_params"));
    nothing_is_served(&portward);

    let alert: Value = serde_json::from_str(&portward.told("owner_mismatch:")).expect("a line of JSON");
    assert_eq!((&alert["level"], &alert["alert"], &alert["request_id"]), (&json!("ERROR"), &json!(true), &json!(request_id)));
    assert_eq!(metrics(&portward).await.get("portward_owner_mismatch_total{world=\"production\"}"), Some(&1.0));

    // The single is the person's again, and the same call makes another request.
    assert_eq!(portward.number("select count(*) from grant_scopes where spent_on is not null").await, 0);
    let second = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_ne!(second, request_id);
    assert_eq!(portward.settled(&tokens.access, second).await, "expired");
    // A section that is right is still served, one that holds the wrong one is not.
    let right = portward.add(&tokens.access, &["direct_message"]).await.request_id();
    assert_eq!(portward.settled(&tokens.access, right).await, "downloading");
    portward.download(&tokens.access, right).await;
    let body = json!({ "data_format": "text", "category_selection_list": ["all_data"] });
    let everything = portward.tokens("portability.all.single").await;
    let all = portward.data("add", &everything.access, &body).await.request_id();
    assert_eq!(portward.settled(&everything.access, all).await, "expired");

    // The operator repairs the catalogue, starts anew, and takes the request up again.
    std::fs::write(portward.path("catalog.toml"), CATALOGUE).expect("the catalogue");
    portward.serve(&[]);
    portward.admin(&["request", "retry", &request_id.to_string()]);
    assert_eq!(portward.settled(&tokens.access, request_id).await, "downloading");
    portward.download(&tokens.access, request_id).await;
    let spent = portward.rows(&format!("select scope from grant_scopes where spent_on = {request_id}")).await;
    assert_eq!(spent, [json!({ "scope": "portability.activity.single" })], "what it needs is spent on it again");
    let again = portward.admin_fails(&["request", "retry", &second.to_string()]);
    assert!(again.contains("cannot be retried"), "{again}");
}

both!(a_planted_join_serves_nothing);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_planted_join_in_dev() {
    let folder = tempfile::tempdir().expect("a folder");
    sqlite(&folder.path().join("clips.db"), &clips());
    let catalogue = folder.path().join("own.toml");
    std::fs::write(&catalogue, planted()).expect("a catalogue");
    let catalogue = catalogue.to_str().expect("a path in UTF-8");
    let dev = Options::default().args(["--catalog", catalogue, "--heavy-rows", "100"]).start();
    let tokens = testkit::person::tokens(&dev, "typical", "portability.activity.single").await;
    let token = tokens["access_token"].as_str().expect("a token");
    let body = json!({ "data_format": "json", "category_selection_list": ["activity"] });
    let request_id = testkit::person::data(&dev, "add", token, "request_id", &body).await.request_id();
    let status = eventually(10, async || {
        let answer = testkit::person::data(&dev, "check", token, "status", &json!({ "request_id": request_id })).await;
        Some(answer.json["data"]["status"].clone()).filter(|status| status != "pending")
    });
    assert_eq!(status.await, Some(json!("expired")));
    assert!(dev.log().contains("owner_mismatch: a row of somebody else was met"));
}
