//! The two records, from outside: calls leave their entries in the access log, and the operator can tell whether the audit is whole.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::person::Answer;

use crate::support::{Engine, Portward, both, eventually};

async fn calls_and_downloads_are_written_down(engine: Engine) {
    let mut portward = Portward::start(engine, "");
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled_within(&tokens.access, request_id, 60).await, "downloading");
    let call = |name: &str, body: Value| portward.call(name, &tokens.access, &body);
    let whole = Answer::read(call("download", json!({ "request_id": request_id })).send().await.expect("an answer")).await;
    let part = call("download", json!({ "request_id": request_id })).header("range", "bytes=0-99");
    assert_eq!(Answer::read(part.send().await.expect("an answer")).await.bytes.len(), 100);
    let unknown =
        Answer::read(call("check", json!({ "request_id": 4_503_599_627_370_497_i64 })).send().await.expect("an answer")).await;
    assert_eq!(unknown.status, 400);
    let info = portward.http.get(format!("{}/v2/user/info/?fields=open_id", portward.base)).bearer_auth(&tokens.access);
    assert_eq!(info.send().await.expect("an answer").status(), 200);
    // A stranger's call is nobody's.
    let stranger = portward.http.get(format!("{}/v2/user/info/?fields=open_id", portward.base)).bearer_auth("act.nobody");
    assert_eq!(stranger.send().await.expect("an answer").status(), 401);
    let last = Answer::read(call("cancel", json!({ "request_id": request_id })).send().await.expect("an answer")).await;
    assert_eq!(last.status, 200);
    // What waits is written at the stop.
    assert_eq!(portward.terminate(Duration::from_secs(20)), Some(0));

    let rows =
        portward.rows("select call, answer, bytes, request_id, person_id, app_id from access_log order by call, answer").await;
    let told: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {} {}", row["call"].as_str().unwrap_or(""), row["answer"].as_str().unwrap_or(""), row["bytes"]))
        .filter(|row| row != "check ok 0")
        .collect();
    let size = whole.bytes.len();
    assert_eq!(
        told,
        [
            "add ok 0".to_owned(),
            "cancel ok 0".to_owned(),
            "check invalid_params 0".to_owned(),
            "download part 100".to_owned(),
            format!("download whole {size}"),
            "token ok 0".to_owned(),
            "user_info ok 0".to_owned(),
        ]
    );
    assert!(rows.iter().all(|row| row["app_id"].is_i64()), "{rows:?}");
    let downloads: Vec<&Value> = rows.iter().filter(|row| row["call"] == "download").collect();
    assert!(downloads.iter().all(|row| row["request_id"] == request_id && row["person_id"].is_i64()), "{downloads:?}");
}

both!(calls_and_downloads_are_written_down);

async fn a_download_that_breaks_off_says_how_far_it_came(engine: Engine) {
    let portward = {
        let mut portward = crate::support::Plan::new(engine)
            .clips(format!(
                "{}; insert into watched (user_id, link, title)
                   with recursive n (i) as (select 1 union all select i + 1 from n where i < 9000)
                   select 7, 'x', hex(randomblob(1000)) from n;",
                crate::support::clips()
            ))
            .install();
        portward.serve(&[]);
        portward
    };
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled_within(&tokens.access, request_id, 60).await, "downloading");
    let call = portward.call("download", &tokens.access, &json!({ "request_id": request_id }));
    let mut response = call.send().await.expect("an answer");
    let size = response.content_length().expect("a length");
    response.chunk().await.expect("some bytes");
    drop(response);
    let row = eventually(10, async || {
        portward.rows("select answer, bytes from access_log where call = 'download'").await.into_iter().next()
    })
    .await
    .expect("an entry");
    assert_eq!(row["answer"], "broken_off", "{row}");
    let sent = row["bytes"].as_u64().expect("a number");
    assert!(sent > 0 && sent < size, "{sent} of {size}");
}

both!(a_download_that_breaks_off_says_how_far_it_came);

async fn the_operator_can_tell_whether_the_audit_is_whole(engine: Engine) {
    let mut portward = Portward::start(engine, "");
    portward.tokens("portability.activity.single").await;
    // The schedule's first turn; its head is in the log.
    let sealed = portward.told("audit sealed");
    let sealed: Value = serde_json::from_str(&sealed).expect("a line of the log");
    let head = format!("{}:{}", sealed["position"], sealed["chain"].as_str().expect("a value"));
    assert_eq!(portward.terminate(Duration::from_secs(20)), Some(0));

    let told = portward.admin(&["audit", "verify", "--head", &head]);
    assert_eq!((&told["findings"], &told["cut_up_to"]), (&json!(0), &json!(0)), "{told}");
    assert!(told["sealed"].as_u64() >= Some(2), "{told}");
    let in_all = portward.number("select count(*) from audit").await;
    assert_eq!(told["sealed"].as_i64().zip(told["unsealed"].as_i64()).map(|(sealed, unsealed)| sealed + unsealed), Some(in_all));

    let listed = portward.admin(&["audit", "list", "--action", "person.", "--personal"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(
        (&listed[0]["action"], &listed[0]["actor"], &listed[0]["personal"]),
        (&json!("person.added"), &json!("operator"), &json!("anna"))
    );
    let person = listed[0]["person"].as_str().expect("a number");
    assert!(
        portward.admin(&["audit", "list", "--person", person, "--limit", "2"]).as_array().is_some_and(|rows| rows.len() == 2)
    );
    assert_eq!(portward.admin(&["audit", "list", "--since", "2099-01-01"]), json!([]));

    // An altered, a missing entry, and a chain that is not the one of the log: each is named, and the command fails.
    let wrong = format!("1:{}", "0".repeat(64));
    assert!(portward.admin_fails(&["audit", "verify", "--head", &wrong]).contains("not as it was sealed"));
    portward.execute("update audit set detail = detail || '.' where position = 1");
    let output = portward.run(&["admin", "--json", "audit", "verify"]);
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&output.stdout).expect("what was found, as JSON");
    let id = portward.number("select audit_id from audit where position = 1").await;
    assert_eq!((&told["findings"], told["found"].as_array().map(Vec::len)), (&json!(1), Some(1)), "{told}");
    assert!(
        told["found"][0].as_str().is_some_and(|finding| finding.contains(&id.to_string()) && finding.contains("altered")),
        "{told}"
    );
    assert!(portward.admin_fails(&["audit", "verify", "--head", "1:zz"]).contains("PLACE:VALUE"));
}

both!(the_operator_can_tell_whether_the_audit_is_whole);
