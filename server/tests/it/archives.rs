//! `portward archive`: what somebody does with an archive that was downloaded, and with nothing else.

use serde_json::{Value, json};

use crate::kill::FAST;
use crate::support::{Engine, Plan, Portward, both, sqlite, text};

/// The exit code, and what was said.
fn run(portward: &Portward, args: &[&str]) -> (Option<i32>, String) {
    let output = portward.run(&[&["archive"], args].concat());
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

async fn it_is_verified_viewed_and_compared(engine: Engine) {
    let portward = Portward::start(engine, &format!("{FAST}[requests]\ndocuments = true\n"));
    let address = format!("{}/.well-known/portward-keys.json", portward.base);
    let tokens = portward.tokens("portability.activity.ongoing").await;
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled(&tokens.access, request_id).await, "downloading");
    let answer = portward.data("download", &tokens.access, &json!({ "request_id": request_id })).await;
    std::fs::write(portward.path("got.zip"), &answer.bytes).expect("the archive");
    let published = portward.http.get(&address).send().await.expect("an answer");
    assert_eq!(
        (published.status().as_u16(), published.headers()["cache-control"].as_bytes()),
        (200, b"public, max-age=300".as_slice())
    );
    let keys = published.text().await.expect("its keys");
    std::fs::write(portward.path("keys.json"), &keys).expect("the keys");
    let keys: Value = serde_json::from_str(&keys).expect("JSON");
    let key = keys["keys"][0]["x"].as_str().expect("a key").to_owned();
    assert_eq!((&keys["keys"][0]["world"], &keys["keys"][0]["until"]), (&json!("production"), &Value::Null));
    let listed = portward.admin(&["signing", "list"]);
    assert_eq!((&listed[0]["kid"], &listed[0]["world"]), (&keys["keys"][0]["kid"], &json!("production")));
    std::fs::write(portward.path("listed.json"), listed.to_string()).expect("the keys");
    let mut forged = listed.clone();
    forged[0]["kid"] = json!("another");
    std::fs::write(portward.path("forged.json"), forged.to_string()).expect("the keys");

    for args in [["--keys", "keys.json"], ["--keys", "listed.json"], ["--keys", address.as_str()], ["--key", key.as_str()]] {
        let (code, said) = run(&portward, &[&["verify", "got.zip"], &args[..]].concat());
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("VERIFIED"), "{said}");
    }
    let (code, said) = run(&portward, &["verify", "got.zip"]);
    assert!(code == Some(2) && said.contains("UNPROVEN") && said.contains("--keys"), "{said}");
    let (code, said) = run(&portward, &["verify", "got.zip", "--keys", "keys.json", "--json"]);
    let told: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((code, &told["verdict"], &told["signature"]["state"]), (Some(0), &json!("verified"), &json!("good")));
    let mut broken = answer.bytes.to_vec();
    broken[40] ^= 1;
    std::fs::write(portward.path("broken.zip"), &broken).expect("the archive");
    let (code, said) = run(&portward, &["verify", "broken.zip", "--keys", "keys.json"]);
    assert!(code == Some(1) && said.contains("BROKEN") && said.contains("FAULT"), "{said}");
    assert_eq!(run(&portward, &["verify", "none.zip"]).0, Some(2));
    assert_eq!(run(&portward, &["verify", "got.zip", "--key", "AAAA"]).0, Some(2));
    let (code, said) = run(&portward, &["verify", "got.zip", "--keys", "forged.json"]);
    assert!(code == Some(2) && said.contains("is not what its name says"), "{said}");
    let said = portward.admin_fails(&["signing", "rotate", "--sandbox"]);
    assert!(said.contains("there is no sandbox"), "{said}");
    // Another key signs from now on; what was signed before is still the operator's.
    let rotated = portward.admin(&["signing", "rotate"]);
    assert_ne!(rotated["kid"], keys["keys"][0]["kid"]);
    let (code, said) = run(&portward, &["verify", "got.zip", "--keys", &address]);
    assert_eq!(code, Some(0), "{said}");

    let (code, said) = run(&portward, &["view", "got.zip"]);
    assert!(
        code == Some(0) && said.contains("Clipkeeper") && said.contains("Your Activity / Watch History / VideoList"),
        "{said}"
    );
    let (_, said) = run(&portward, &["view", "got.zip", "--json"]);
    let told: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(told["manifest"]["request"]["id"], request_id.to_string());

    let compare = ["compare", "--catalog", "catalog.toml", "--person", "7", "--archive", "got.zip"];
    let (code, said) = run(&portward, &compare);
    assert!(code == Some(0) && said.contains("SAME"), "{said}");
    sqlite(&portward.path("clips.db"), "delete from watched where id = (select min(id) from watched where user_id = 7)");
    let (code, said) = run(&portward, &compare);
    assert!(code == Some(1) && said.contains("DIFFERENT"), "{said}");
    let (code, said) = run(&portward, &[&compare[..6], &["broken.zip"]].concat());
    assert!(code == Some(2) && said.contains("broken"), "{said}");
}
both!(it_is_verified_viewed_and_compared);

/// The sandbox signs with a key of its own, which is listed and rotated like the other.
#[test]
fn the_sandboxs_keys_are_the_operators_too() {
    let portward = Plan::new(Engine::Sqlite).with_sandbox().install();
    assert_eq!(portward.admin(&["signing", "list"]), json!([]), "nobody needed one");
    let kids = [portward.admin(&["signing", "rotate"]), portward.admin(&["signing", "rotate", "--sandbox"])];
    let listed = portward.admin(&["signing", "list"]);
    let told: Vec<_> = listed.as_array().expect("a list").iter().map(|key| (&key["world"], &key["kid"])).collect();
    assert_eq!(told, [(&json!("production"), &kids[0]["kid"]), (&json!("sandbox"), &kids[1]["kid"])]);
}
