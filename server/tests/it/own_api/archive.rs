//! The archive of a request: whole, in parts, under conditions, and cut fifty times.

use reqwest::Method;
use serde_json::json;

use super::{archive_path, call, create, get, id, ongoing, path, problem, sent, stands};
use crate::support::{Archive, Engine, Plan, Portward, ROWS, both, clips, eventually, sha256};

async fn conditions_and_ranges(engine: Engine) {
    let portward = Portward::start(engine, "");
    let token = ongoing(&portward).await.access;
    let made = id(&create(&portward, &token, &json!({ "categories": ["activity"] })).await);
    let told = stands(&portward, &token, &made, "ready").await["archive"].clone();
    assert_eq!(told["href"], archive_path(&made));
    let whole = get(&portward, &archive_path(&made), &token).await;
    let (size, hash) = (whole.bytes.len(), sha256(&whole.bytes));
    assert_eq!((whole.status, &told["size"], &told["sha256"]), (200, &json!(size), &json!(hash)));
    assert_eq!(Archive::open(&whole.bytes).watched(), ROWS);
    let tag = format!("\"{hash}\"");
    let weak = format!("W/{tag}");
    for (name, value) in [
        ("etag", tag.clone()),
        ("accept-ranges", "bytes".into()),
        ("content-type", "application/zip".into()),
        ("content-length", size.to_string()),
        ("content-disposition", format!("attachment; filename=\"{made}.zip\"")),
    ] {
        assert_eq!(whole.headers[name], value, "{name}");
    }
    let part = |range: std::ops::Range<usize>| {
        (206, whole.bytes[range.clone()].to_vec(), Some(format!("bytes {}-{}/{size}", range.start, range.end - 1)))
    };
    let all = || (200, whole.bytes.clone(), None);
    let none = |status: u16| (status, Vec::new(), None);
    let other = "\"0000\"";
    let last = format!("bytes={}-", size - 1);
    let table = [
        ("GET", vec![("range", "bytes=0-9")], part(0..10)),
        ("GET", vec![("range", "bytes=100-")], part(100..size)),
        ("GET", vec![("range", "bytes=-7")], part(size - 7..size)),
        ("GET", vec![("range", last.as_str())], part(size - 1..size)),
        ("GET", vec![("range", "bytes=0-1,3-4")], all()),
        ("GET", vec![("range", "bytes=5-6"), ("if-range", &tag)], part(5..7)),
        ("GET", vec![("range", "bytes=5-6"), ("if-range", other)], all()),
        ("GET", vec![("range", "bytes=5-6"), ("if-range", &weak)], all()),
        ("GET", vec![("if-match", &tag)], all()),
        ("GET", vec![("if-match", "*"), ("range", "bytes=0-0")], part(0..1)),
        ("GET", vec![("if-none-match", other)], all()),
        ("GET", vec![("if-none-match", &tag)], none(304)),
        ("GET", vec![("if-none-match", &weak)], none(304)),
        ("GET", vec![("if-none-match", "*")], none(304)),
        ("GET", vec![("if-none-match", &tag), ("range", "bytes=0-1")], none(304)),
        ("HEAD", vec![], none(200)),
        ("HEAD", vec![("range", "bytes=0-9")], none(200)),
        ("HEAD", vec![("if-none-match", &tag)], none(304)),
        ("HEAD", vec![("if-match", other)], none(412)),
    ];
    let mut bodies = 1;
    for (method, headers, (status, bytes, range)) in table {
        let mut request = call(&portward, method.parse().expect("a method"), &archive_path(&made), &token);
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let answer = sent(request).await;
        assert_eq!((answer.status, answer.bytes.len()), (status, bytes.len()), "{method} {headers:?}");
        assert!(answer.bytes == bytes, "{method} {headers:?}");
        assert_eq!(answer.headers.get("content-range").cloned(), range, "{method} {headers:?}");
        if status != 412 {
            assert_eq!(answer.headers["etag"], tag, "{method} {headers:?}");
        }
        if (method, status) == ("HEAD", 200) {
            assert_eq!(answer.headers["content-length"], size.to_string());
        }
        bodies += i64::from(!bytes.is_empty());
    }
    for strange in [other, weak.as_str()] {
        problem(
            &sent(call(&portward, Method::GET, &archive_path(&made), &token).header("if-match", strange)).await,
            412,
            "precondition_failed",
        );
    }
    let beyond = sent(call(&portward, Method::GET, &archive_path(&made), &token).header("range", format!("bytes={size}-"))).await;
    problem(&beyond, 416, "range_not_satisfiable");
    assert_eq!(beyond.headers["content-range"], format!("bytes */{size}"));
    // What went out is on record, and nothing else.
    assert_eq!(portward.number("select count(*) from audit where action = 'archive.downloaded'").await, bodies);
    let logged = async |answer: &str| {
        portward.number(&format!("select count(*) from access_log where call = 'download' and answer = '{answer}'")).await
    };
    let written = eventually(10, async || (logged("whole").await + logged("part").await == bodies).then_some(())).await;
    assert!(written.is_some(), "{} {}", logged("whole").await, logged("part").await);
    let others = async || (logged("ok").await, logged("precondition_failed").await, logged("range_not_satisfiable").await);
    let written = eventually(10, async || (others().await == (7, 3, 1)).then_some(())).await;
    assert!(written.is_some(), "{:?}", others().await);
    // The wire gives the same bytes.
    let number: i64 = made.parse().expect("a number");
    assert_eq!(portward.data("download", &token, &json!({ "request_id": number })).await.bytes, whole.bytes);
}

/// The wire has the same test in `download.rs`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_cuts_and_the_same_bytes() {
    let rows = "; insert into watched (user_id, link, title) with recursive n (i) as (select 1 union all select i + 1 from n where i < 150)
                select 7, 'x', hex(randomblob(1000)) from n;";
    let mut portward = Plan::new(Engine::Sqlite).clips(clips() + rows).install();
    portward.serve(&[]);
    let token = ongoing(&portward).await.access;
    let made = id(&create(&portward, &token, &json!({ "categories": ["activity"] })).await);
    let told = stands(&portward, &token, &made, "ready").await["archive"].clone();
    let head = sent(call(&portward, Method::HEAD, &archive_path(&made), &token)).await;
    let size: usize = head.headers["content-length"].parse().expect("a size");
    assert!(size > 140_000 && told["size"] == size, "{size} {told}");
    let mut seed = 88_172_645_463_325_252_u64;
    let mut got: Vec<u8> = Vec::new();
    for cut in 0..=50 {
        let request = call(&portward, Method::GET, &archive_path(&made), &token);
        let request = request.header("range", format!("bytes={}-", got.len())).header("if-range", &head.headers["etag"]);
        let mut response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 206);
        assert_eq!(response.headers()["content-range"], format!("bytes {}-{}/{size}", got.len(), size - 1));
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        // The connection is dropped in the middle; the last one is read to its end.
        let wanted = if cut == 50 { size - got.len() } else { usize::try_from(seed % (size as u64 / 60)).expect("a size") };
        let mut part = Vec::new();
        while part.len() < wanted {
            let Some(piece) = response.chunk().await.expect("bytes") else { break };
            part.extend_from_slice(&piece);
        }
        part.truncate(wanted);
        got.extend(part);
    }
    assert_eq!(json!(sha256(&got)), told["sha256"]);
    assert_eq!(Archive::open(&got).watched(), ROWS + 150);
}

async fn only_what_is_ready_has_an_archive(engine: Engine) {
    let mut portward = Plan::new(engine).toml(crate::kill::FAST).toml("[requests]\nkept = \"2 s\"\n").install();
    portward.serve(&[]);
    let token = ongoing(&portward).await.access;
    let wish = json!({ "categories": ["activity"] });
    let over = id(&create(&portward, &token, &wish).await);
    let told = stands(&portward, &token, &over, "expired").await;
    assert!(told["archive"].is_null(), "nobody is led to what is gone: {told}");
    let cancelled = id(&create(&portward, &token, &wish).await);
    assert_eq!(sent(call(&portward, Method::DELETE, &path(&cancelled), &token)).await.status, 204);
    for gone in [&over, &cancelled] {
        problem(&get(&portward, &archive_path(gone), &token).await, 410, "archive_gone");
        assert_eq!(sent(call(&portward, Method::HEAD, &archive_path(gone), &token)).await.status, 410);
    }
    problem(&sent(call(&portward, Method::DELETE, &path(&over), &token)).await, 409, "already_ended");
}

both!(conditions_and_ranges, only_what_is_ready_has_an_archive);
