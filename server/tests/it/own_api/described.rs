//! The description is of what is served: each call that it names is one, and each that it does not name is none.

use reqwest::Method;
use serde_json::Value;

use super::{ongoing, sent};
use crate::support::{Engine, Portward};

const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "trace"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_and_no_other() {
    let portward = Portward::start(Engine::Sqlite, "");
    let token = ongoing(&portward).await.access;
    let document: Value = sent(portward.http.get(portward.url("/openapi.json"))).await.json;
    assert_eq!(document["servers"][0]["url"], portward.base);
    let names = document["components"]["schemas"]["Category"]["enum"].as_array().expect("categories");
    assert_eq!(names, &["activity", "direct_message", "direct_messages", "all_data"]);
    let scopes = &document["components"]["securitySchemes"]["person"]["flows"]["authorizationCode"]["scopes"];
    assert!(scopes["portability.directmessages.single"].is_string() && scopes["user.info.basic"].is_string(), "{scopes}");
    for (path, entry) in document["paths"].as_object().expect("paths") {
        let url = portward.url(&path.replace("{id}", "1"));
        for method in METHODS {
            let call = portward.http.request(Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method"), &url);
            let answer = sent(call.bearer_auth(&token)).await;
            // HEAD goes wherever GET does; it is described where it is worth a word.
            let described = entry.get(method).is_some() || (method == "head" && entry.get("get").is_some());
            assert_eq!(answer.status != 405, described, "{method} {path}: {}", answer.status);
            if let Some(responses) = entry.get(method).map(|entry| entry["responses"].as_object().expect("responses")) {
                assert!(
                    responses.contains_key(&answer.status.to_string()),
                    "{method} {path}: {} is not described",
                    answer.status
                );
            }
            assert_eq!(answer.headers.contains_key("allow"), !described, "{method} {path}");
        }
    }
}
