//! Other people's programs open the archive, and its bytes are the same for the same order.

use std::process::Command;
use std::sync::Arc;

use archive::write::write_with;
use tokio_util::sync::CancellationToken;
use wire::DataFormat;

use crate::support::{Db, Engine, order};

const SECTIONS: &str = r#"
[[section]]
categories = ["activity"]
path = ["Your Activity", "Überblick 漢字", "List"]
source = "db"
shape = "list"
owner = "o"
query = "select o, id, t as \"Title\" from t where o = :subject order by id"
[[section]]
categories = ["activity"]
path = ["Direct Message", "Chats"]
source = "db"
shape = "groups"
group = "g"
owner = "o"
query = "select o, id, id / 10 as g from t where o = :subject order by id"
"#;

async fn db(rows: u32) -> Db {
    let db = Db::new(Engine::Sqlite, "create table t (o integer, id integer, t text);").await;
    db.run(&format!(
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows}) insert into t select 1, i, 'Title №' || (i * 7919 % 10007) from n;"
    ))
    .await;
    db
}

fn passes(program: &str, arguments: &[&str], path: &str) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(path)
        .output()
        .unwrap_or_else(|error| panic!("{program} is not installed: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {said}");
    said
}

/// Every reader that is at hand takes it without a warning.
fn everybody_reads(path: &str) {
    assert!(passes("unzip", &["-t"], path).contains("No errors detected"));
    assert!(passes("7z", &["t"], path).contains("Everything is Ok"));
    passes("bsdtar", &["-tf"], path);
    passes(
        "python3",
        &["-c", "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; assert z.namelist()"],
        path,
    );
    // bsdtar from a pipe reads local headers only.
    let piped = Command::new("sh").arg("-c").arg("cat \"$1\" | bsdtar -xOf - > /dev/null").arg("sh").arg(path).output().unwrap();
    assert!(piped.status.success() && piped.stderr.is_empty(), "{}", String::from_utf8_lossy(&piped.stderr));
}

async fn make(db: &Db, format: DataFormat, level: u32, small: u64) -> tempfile::NamedTempFile {
    let catalogue = db.catalogue(SECTIONS);
    let sources = db.sources(&catalogue).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut order = order("activity", "1", format);
    order.level = level;
    let progress = Arc::default();
    let summary =
        write_with(catalogue, &sources, order, file.reopen().unwrap(), Arc::clone(&progress), CancellationToken::new(), small)
            .await
            .unwrap();
    assert_eq!(
        progress.rows.load(std::sync::atomic::Ordering::Relaxed),
        summary.sections.iter().map(|section| section.rows).sum::<u64>()
    );
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reader_takes_it() {
    let db = db(8_000).await;
    for format in [DataFormat::Json, DataFormat::Text] {
        for level in [0, 1, 2, 9] {
            let file = make(&db, format, level, u64::MAX).await;
            everybody_reads(file.path().to_str().unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_member_has_large_headers_and_a_small_one_has_not() {
    let one_piece = make(&self::db(50).await, DataFormat::Json, 1, u64::MAX).await;
    let db = db(8_000).await;
    let small = make(&db, DataFormat::Json, 1, u64::MAX).await;
    let large = make(&db, DataFormat::Json, 1, 100_000).await;
    everybody_reads(small.path().to_str().unwrap());
    everybody_reads(large.path().to_str().unwrap());
    let header = |file: &tempfile::NamedTempFile| {
        let bytes = std::fs::read(file.path()).unwrap();
        let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        // Version needed, flags, length of the extra field and its kind.
        (short(4), short(6), short(28), if short(28) > 0 { short(30 + "data.json".len()) } else { 0 })
    };
    assert_eq!(header(&one_piece), (20, 0, 0, 0));
    assert_eq!(header(&small), (20, 0, 20, 0xd935), "room, but nothing that an old reader does not know");
    assert_eq!(header(&large), (45, 0, 20, 1));
    let text = |file: &tempfile::NamedTempFile| {
        let mut zip = zip::ZipArchive::new(file.reopen().unwrap()).unwrap();
        std::io::read_to_string(zip.by_index(0).unwrap()).unwrap()
    };
    assert_eq!(text(&small), text(&large));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_order_gives_the_same_bytes() {
    let db = db(500).await;
    for format in [DataFormat::Json, DataFormat::Text] {
        let (first, second) = (make(&db, format, 1, u64::MAX).await, make(&db, format, 1, u64::MAX).await);
        assert_eq!(std::fs::read(first.path()).unwrap(), std::fs::read(second.path()).unwrap());
    }
    let file = make(&db, DataFormat::Text, 1, u64::MAX).await;
    let mut zip = zip::ZipArchive::new(file.reopen().unwrap()).unwrap();
    let member = zip.by_index(0).unwrap();
    assert_eq!(member.name().unwrap(), "Data/Your Activity/Überblick 漢字.txt");
    assert_eq!(member.flags().as_u16(), 1 << 11, "the name is flagged as UTF-8, and nothing else is");
    assert_eq!(member.unix_mode(), Some(0o100_644));
    assert_eq!(member.last_modified().unwrap().to_string(), "2026-03-01 12:00:00");
}
