//! The list of requests, page by page.

use serde_json::{Value, json};

use super::{create, get, id, ongoing, path, problem, stands};
use crate::own_api::{call, sent};
use crate::support::{Engine, Portward, both};

/// Follows `next` to the end; gives the numbers in order.
async fn walk(portward: &Portward, token: &str, query: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut from = format!("/v1/requests?{query}");
    loop {
        let page = get(portward, &from, token).await;
        assert_eq!(page.status, 200, "{}", page.json);
        let numbers = page.json["requests"].as_array().expect("a list").iter();
        pages.push(numbers.map(|request| request["id"].as_str().expect("an id").to_owned()).collect());
        match (&page.json["next"], page.headers.get("link")) {
            (Value::Null, None) => return pages,
            (Value::String(next), Some(link)) => {
                let target = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).expect("a link");
                assert!(target.contains(&format!("after={next}")), "{target}");
                assert!(query.split('&').all(|part| target.contains(part)), "{target}");
                from = target.to_owned();
            }
            (next, link) => panic!("{next} {link:?}"),
        }
        assert!(pages.len() < 20, "it ends");
    }
}

async fn pages_hold_each_request_once(engine: Engine) {
    let portward = Portward::start(engine, "");
    let token = ongoing(&portward).await.access;
    assert_eq!(walk(&portward, &token, "limit=1").await, [Vec::<String>::new()]);
    let mut made = Vec::new();
    for at in 0..7 {
        let category = if at % 2 == 0 { "activity" } else { "direct_message" };
        made.push(id(&create(&portward, &token, &json!({ "categories": [category] })).await));
    }
    made.push(portward.add(&token, &["activity"]).await.request_id().to_string());
    for number in &made {
        stands(&portward, &token, number, "ready").await;
    }
    for gone in [1, 4] {
        assert_eq!(sent(call(&portward, reqwest::Method::DELETE, &path(&made[gone]), &token)).await.status, 204);
    }
    // Some were made in the same millisecond as far as anybody knows.
    let same = made[2..6].join(", ");
    portward.execute(&format!("update requests set applied_at = (select min(applied_at) from requests where request_id = {}) where request_id in ({same})", made[2]));
    // One that has expired and was not swept up yet, and one that was.
    portward.execute(&format!("update requests set expires_at = 5 where request_id = {}", made[0]));
    portward
        .execute(&format!("update requests set status = 'expired', expires_at = 5, ended_at = 9 where request_id = {}", made[5]));

    let whole = walk(&portward, &token, "limit=100").await;
    let [whole] = &whole[..] else { panic!("one page") };
    assert_eq!((whole.first(), whole.last(), whole.len()), (made.last(), made.first(), 8), "the latest first");
    for limit in 1..=9 {
        let pages = walk(&portward, &token, &format!("limit={limit}")).await;
        assert!(pages[..pages.len() - 1].iter().all(|page| page.len() == limit), "{pages:?}");
        assert_eq!(&pages.concat(), whole, "{limit}");
        assert_eq!(pages.len(), 8_usize.div_ceil(limit), "no page for nothing");
    }
    for (state, wanted) in [
        ("ready", vec![2, 3, 6, 7]),
        ("cancelled", vec![1, 4]),
        ("expired", vec![0, 5]),
        ("failed", vec![]),
        ("queued", vec![]),
        ("running", vec![]),
    ] {
        for limit in [1, 2, 50] {
            let mut pages = walk(&portward, &token, &format!("limit={limit}&state={state}")).await.concat();
            let mut wanted: Vec<&String> = wanted.iter().map(|at: &usize| &made[*at]).collect();
            pages.sort();
            wanted.sort();
            assert_eq!(pages.iter().collect::<Vec<_>>(), wanted, "{state} {limit}");
        }
    }
    for wrong in [
        "limit=0",
        "limit=101",
        "limit=x",
        "limit=",
        "limit=-1",
        "limit=1&limit=2",
        "after=",
        "after=5",
        "after=5-",
        "after=-5-5",
        "after=5-x",
        "after=99999999999999999999-1",
        "state=pending",
        "state=",
        "state=READY",
    ] {
        problem(&get(&portward, &format!("/v1/requests?{wrong}"), &token).await, 400, "invalid_params");
    }
}

both!(pages_hold_each_request_once);
