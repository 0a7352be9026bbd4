//! A full disk, for real where a small file system can be mounted, and by a limit on files everywhere.

use std::process::Command;

use serde_json::json;

use crate::support::{Engine, Plan, Portward, Tokens, clips};

/// Some 400 KB that do not compress, beside the small message.
fn bulky() -> String {
    clips() + "; update watched set title = 'clip of u' || user_id || ' ' || hex(randomblob(700))"
}

fn install() -> Portward {
    // The metadata lies elsewhere, so that only the archive meets the limit.
    Plan::new(Engine::Postgres).clips(bulky()).toml("[requests]\nattempts = 1\n").install()
}

async fn full(portward: &Portward, reasons: &[&str]) {
    let tokens = portward.tokens("portability.activity.single,portability.directmessages.single").await;
    let request_id = portward.add(&tokens.access, &["activity"]).await.request_id();
    assert_eq!(portward.settled(&tokens.access, request_id).await, "expired");
    let shown = portward.show(request_id);
    assert!(reasons.contains(&shown["failure"].as_str().expect("a reason")), "{shown:#}");
    assert_eq!(portward.number("select count(*) from grant_scopes where spent_on is not null").await, 0);
    goes_on(portward, &tokens).await;
}

async fn goes_on(portward: &Portward, tokens: &Tokens) {
    let small = portward.add(&tokens.access, &["direct_message"]).await.request_id();
    assert_eq!(portward.settled(&tokens.access, small).await, "downloading", "the server goes on");
    let archive = portward.download(&tokens.access, small).await;
    assert_eq!(archive.json["Direct Message"]["Messages"]["List"], json!([{ "Body": "message of u7" }]));
}

/// Runs the server with a file system of 200 KB at a folder, if this machine lets us mount one within a namespace of our own.
fn small_file_system(portward: &mut Portward, folder: &str) -> bool {
    let place = portward.path(folder);
    std::fs::create_dir_all(&place).expect("a folder");
    let mount = format!("mount -t tmpfs -o size=200k tmpfs '{}'", place.display());
    let words = ["unshare", "-rm", "sh", "-c"];
    let works = Command::new(words[0]).args(&words[1..]).arg(&mount).output().is_ok_and(|output| output.status.success());
    if works {
        let words = words.iter().map(|word| (*word).to_owned());
        portward.wrapper = Some(words.chain([format!("{mount} && exec \"$0\" \"$@\"")]).collect());
    }
    works
}

/// The same by the limit on a file's size, which needs no rights.
fn small_files(portward: &mut Portward) {
    // 200 blocks: of 512 bytes or of 1 KiB, as the shell has it.
    let script = "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\"";
    portward.wrapper = Some(["sh", "-c", script].map(ToOwned::to_owned).to_vec());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scratch_is_full() {
    let mut portward = install();
    if !small_file_system(&mut portward, "scratch") {
        small_files(&mut portward);
    }
    portward.serve(&[]);
    full(&portward, &["disk_full"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_may_not_grow() {
    let mut portward = install();
    small_files(&mut portward);
    portward.serve(&[]);
    full(&portward, &["disk_full"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vault_is_full() {
    let mut portward = install();
    let mounted = small_file_system(&mut portward, "vault");
    if !mounted {
        // Scratch is then what fails first; both come to the same end on the wire.
        small_files(&mut portward);
    }
    portward.serve(&[]);
    full(&portward, &["disk_full", "file_fault"]).await;
    if mounted {
        // Seen through the process, whose own mount it is.
        let seen = format!("/proc/{}/root{}", portward.pid(), portward.path("vault").display());
        assert_eq!(crate::support::files(seen.as_ref()).len(), 1, "nothing is left of what did not fit");
    }
}
