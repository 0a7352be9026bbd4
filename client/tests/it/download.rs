//! Downloading through cuts, changes and damage.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Response;
use portward_client::{Downloaded, Error, ErrorCode, RequestId};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::stand::{Reply, Seen, Stand};

fn id() -> RequestId {
    RequestId::new(5).unwrap()
}

/// Bytes without a pattern that a misplaced range could hide in.
fn content(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", hash(bytes))
}

/// What a right server answers: ranges, if the archive is still the one that was begun.
fn serve(seen: &Seen, all: &[u8]) -> Reply {
    assert_eq!((seen.method.as_str(), &seen.body[..]), ("POST", &br#"{"request_id":5}"#[..]));
    let tag = etag(all);
    let from = seen.header("range").strip_prefix("bytes=").map(|range| range.trim_end_matches('-').parse::<usize>().unwrap());
    let reply =
        Reply { status: 200, body: all.into(), ..Reply::default() }.with("content-type", "application/zip").with("etag", &tag);
    match from {
        Some(from) if seen.header("if-range") == tag => {
            let range = format!("bytes {from}-{}/{}", all.len() - 1, all.len());
            let body = all[from..].to_vec();
            Reply { status: 206, body: body.clone(), ..reply }
                .with("content-range", range)
                .with("content-length", body.len().to_string())
        }
        _ => reply.with("content-length", all.len().to_string()),
    }
}

struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("archive.zip")
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

async fn fetch(stand: &Stand) -> (Folder, Result<Downloaded, Error>) {
    let folder = Folder::new();
    let app = stand.builder().silence(Duration::from_millis(700)).build().unwrap();
    let result = app.download("t", id(), &folder.file()).await;
    (folder, result)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Wherever the connection breaks or goes silent, the file is whole in the end.
    #[test]
    fn cuts_at_random_places(len in 1_usize..40_000, cuts in prop::collection::vec((0_usize..12_000, prop::bool::weighted(0.1)), 0..5), seed: u32) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let all = content(len, seed);
            let kept = all.clone();
            let broken = cuts.clone();
            let stand = Stand::start(move |seen, count| {
                let mut reply = serve(seen, &kept);
                if let Some((at, hangs)) = broken.get(count) {
                    let at = (*at).min(reply.body.len() - 1);
                    if *hangs { reply.hang = Some(at) } else { reply.cut = Some(at) }
                }
                reply
            }).await;
            let (folder, result) = fetch(&stand).await;
            let got = result.unwrap();
            assert_eq!((got.bytes, &got.sha256, got.hash_announced), (len as u64, &hash(&all), true));
            assert!(std::fs::read(folder.file()).unwrap() == all, "other bytes");
            assert_eq!(folder.names(), ["archive.zip"]);
            // It went on instead of beginning anew.
            let seen = stand.seen();
            assert_eq!(seen.len(), cuts.len() + 1);
            if let Some((at, _)) = cuts.first().filter(|(at, _)| *at > 0 && len > 1) {
                assert_eq!(seen[1].header("range"), format!("bytes={}-", at.min(&(len - 1))));
            }
        });
    }
}

#[tokio::test]
async fn a_new_archive_replaces_what_had_come_of_the_old() {
    let (old, new) = (content(9000, 1), content(7000, 2));
    let kept = new.clone();
    let stand = Stand::start(move |seen, count| match count {
        0 => Reply { cut: Some(5000), ..serve(seen, &old) },
        _ => serve(seen, &kept),
    })
    .await;
    let (folder, result) = fetch(&stand).await;
    assert_eq!(result.unwrap().sha256, hash(&new));
    assert!(std::fs::read(folder.file()).unwrap() == new);
}

#[tokio::test]
async fn without_a_strong_etag_it_begins_anew() {
    for tag in [None, Some("W/\"1\"")] {
        let all = content(9000, 3);
        let kept = all.clone();
        let stand = Stand::start(move |seen, count| {
            assert_eq!(seen.header("range"), "");
            let mut reply = serve(seen, &kept);
            reply.headers.retain(|(name, _)| *name != "etag");
            reply.headers.extend(tag.map(|tag| ("etag", tag.to_owned())));
            Reply { cut: (count == 0).then_some(6000), ..reply }
        })
        .await;
        let (folder, result) = fetch(&stand).await;
        let got = result.unwrap();
        assert_eq!((got.hash_announced, got.sha256), (false, hash(&all)));
        assert!(std::fs::read(folder.file()).unwrap() == all);
    }
}

#[tokio::test]
async fn damage_is_found_and_nothing_is_kept() {
    let all = content(5000, 4);
    let tag = etag(&all);
    let stand = Stand::start(move |seen, _| {
        let mut reply = serve(seen, &all);
        reply.body[4321] ^= 1;
        reply
    })
    .await;
    let (folder, result) = fetch(&stand).await;
    let error = result.unwrap_err();
    assert!(matches!(&error, Error::Damaged(what) if what.contains(tag.trim_matches('"'))), "{error:?}");
    assert_eq!(folder.names(), [""; 0]);
}

#[tokio::test]
async fn an_older_file_survives_a_failed_download() {
    let stand = Stand::start(|_, _| Reply { status: 503, ..Reply::default() }).await;
    let folder = Folder::new();
    std::fs::write(folder.file(), "older").unwrap();
    let error = stand.client().download("t", id(), &folder.file()).await.unwrap_err();
    assert!(matches!(error, Error::Unexpected { status: 503, .. }), "{error:?}");
    assert_eq!(stand.seen().len(), 6);
    assert_eq!((folder.names(), std::fs::read_to_string(folder.file()).unwrap()), (vec!["archive.zip".into()], "older".into()));
}

#[tokio::test]
async fn a_server_that_sends_other_ranges_is_not_believed() {
    let all = content(9000, 5);
    let tag = etag(&all);
    for (range, tag) in [
        ("bytes 4999-8999/9000", tag.clone()),
        ("bytes 5000-8999/9001", tag.clone()),
        ("", tag),
        ("bytes 5000-8999/9000", "\"x\"".into()),
    ] {
        let all = all.clone();
        let stand = Stand::start(move |seen, _| {
            let mut reply = serve(seen, &all);
            if reply.status == 206 {
                reply.headers.retain(|(name, _)| !["content-range", "etag"].contains(name));
                return reply.with("content-range", range).with("etag", &tag);
            }
            Reply { cut: Some(5000), ..reply }
        })
        .await;
        let (folder, result) = fetch(&stand).await;
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Unexpected { status: 206, .. }), "{range}: {error:?}");
        assert_eq!(folder.names(), [""; 0], "{range}");
    }
}

#[tokio::test]
async fn refusals_are_the_apis_own() {
    let body = r#"{"data":{},"error":{"code":"invalid_params","http_status_code":400,"log_id":"L","message":"Incorrect `request_id`."}}"#;
    for status in [400, 200] {
        let stand = Stand::start(move |_, _| Reply::json(status, body)).await;
        let (folder, result) = fetch(&stand).await;
        let error = result.unwrap_err();
        assert!(error.is(ErrorCode::InvalidParams) && stand.seen().len() == 1, "{error:?}");
        assert_eq!(folder.names(), [""; 0]);
    }
}

#[tokio::test]
async fn over_quota_it_comes_back_and_not_to_a_server_that_wants_an_hour() {
    for (after, good) in [("0", true), ("3600", false)] {
        let all = content(100, 6);
        let stand = Stand::start(move |seen, count| match count {
            0 => Reply::json(429, r#"{"data":{},"error":{"code":"rate_limit_exceeded","message":"","log_id":""}}"#)
                .with("retry-after", after),
            _ => serve(seen, &all),
        })
        .await;
        let (_folder, result) = fetch(&stand).await;
        assert_eq!((result.is_ok(), stand.seen().len()), (good, 1 + usize::from(good)), "{result:?}");
    }
}

#[tokio::test]
async fn an_abandoned_download_leaves_nothing() {
    let stand = Stand::start(|seen, _| Reply { hang: Some(3000), ..serve(seen, &content(9000, 7)) }).await;
    let folder = Folder::new();
    let app = stand.client();
    let come = AtomicBool::new(false);
    let file = folder.file();
    let download = app.download_watched("t", id(), &file, |have, total| {
        assert_eq!(total, Some(9000));
        come.store(have == 3000, Ordering::Relaxed);
    });
    assert!(tokio::time::timeout(Duration::from_secs(1), download).await.is_err());
    assert!(come.load(Ordering::Relaxed));
    assert_eq!(folder.names(), [""; 0]);
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let stand = Stand::start(|seen, _| serve(seen, b"zip")).await;
    let (folder, result) = fetch(&stand).await;
    result.unwrap();
    assert_eq!(std::fs::metadata(folder.file()).unwrap().permissions().mode() & 0o777, 0o600);
}

/// Most memory that this process has had, in KiB.
#[cfg(target_os = "linux")]
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn memory_is_flat() {
    const CHUNK: usize = 64 * 1024;
    const CHUNKS: usize = 3200; // 200 MiB
    let stand = Stand::with_body(|_, _| {
        let chunk = Bytes::from(vec![7; CHUNK]);
        let chunks = std::iter::repeat_n(chunk, CHUNKS).map(Ok::<_, std::io::Error>);
        Response::builder().body(Body::from_stream(futures_util::stream::iter(chunks))).unwrap()
    })
    .await;
    let before = peak();
    let (folder, result) = fetch(&stand).await;
    assert_eq!(result.unwrap().bytes, (CHUNK * CHUNKS) as u64);
    drop(folder);
    assert!(peak() - before < 24 * 1024, "{} KiB before, {} KiB after", before, peak());
}
