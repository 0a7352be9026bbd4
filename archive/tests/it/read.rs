//! Archives from anywhere: ours are counted right, broken and hostile ones are told.

use std::io::{Cursor, Write};

use archive::read::{MemberKind, Shape, inspect, inspect_reader, inspect_sections};
use proptest::prelude::*;
use wire::DataFormat;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::support::{Db, Engine};

const SECTIONS: &str = r#"
[[section]]
categories = ["activity"]
path = ["A", "B", "List"]
source = "db"
shape = "list"
owner = "o"
query = "select o, id, note from t where o = :subject order by id"
[[section]]
categories = ["activity"]
path = ["C", "Chats"]
source = "db"
shape = "groups"
group = "g"
owner = "o"
query = "select o, id, id / 2 as g from t where o = :subject order by id"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn ours_are_counted() {
    let db = Db::new(
        Engine::Sqlite,
        "create table t (o integer, id integer, note text); insert into t values (1, 1, 'a'), (1, 2, 'b'), (1, 3, 'c\n\nd');",
    )
    .await;
    let catalogue = db.catalogue(SECTIONS);
    let (made, summary) = db.export(&catalogue, "activity", "1", DataFormat::Json).await.unwrap();
    let contents = inspect_sections(&made.path(), catalogue.sections().iter().map(|section| section.path.clone())).unwrap();
    for section in &summary.sections {
        let path: Vec<&str> = section.path.iter().map(String::as_str).collect();
        assert_eq!(contents.rows(&path), section.rows, "{path:?}");
    }
    let contents = inspect(&made.path()).unwrap();
    assert_eq!(contents.rows(&["A", "B", "List"]), 3);
    assert_eq!(contents.rows(&["C"]), 3);
    assert_eq!(contents.members[0].size, summary.json_bytes);
    let MemberKind::Json(sections) = &contents.members[0].kind else { panic!("no JSON") };
    assert_eq!(sections[0].shape, Shape::List);

    let (made, _) = db.export(&catalogue, "activity", "1", DataFormat::Text).await.unwrap();
    let contents = inspect(&made.path()).unwrap();
    assert_eq!(contents.members[0].name, "Data/A/B.txt");
    assert_eq!(contents.members[0].kind, MemberKind::Text { blocks: 3, lines: 8 });
}

fn zip_of(members: &[(&str, &[u8], CompressionMethod)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes, method) in members {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(*method)).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn told(bytes: Vec<u8>) -> String {
    inspect_reader(Cursor::new(bytes), None).map(|contents| format!("{contents:?}")).unwrap_err().to_string()
}

#[test]
fn broken_ones_are_told() {
    use CompressionMethod::{Deflated, Stored};
    assert!(told(Vec::new()).contains("not a ZIP archive"));
    assert!(told(b"PK\x03\x04 and nothing".to_vec()).contains("not a ZIP archive"));
    assert!(told(vec![b'P'; 1 << 20]).contains("not a ZIP archive"));
    assert!(told(zip_of(&[("../evil.json", b"{}", Stored)])).contains("leads out of the archive"));
    assert!(told(zip_of(&[("data.json", b"{\"a\":", Stored)])).contains("the end comes too early"));
    assert!(told(zip_of(&[("data.json", b"{\"a\":\x01}", Deflated)])).contains("at byte 5"));
    assert!(told(zip_of(&[("a.txt", b"\xff", Deflated)])).contains("not UTF-8"));
    // A byte of the data that was flipped, stored so that only the CRC can tell.
    let mut flipped = zip_of(&[("a.bin", b"some bytes that matter", Stored)]);
    let at = flipped.windows(4).position(|window| window == b"some").unwrap();
    flipped[at] ^= 1;
    assert!(told(flipped).contains("is broken"), "a wrong CRC goes unnoticed");
    // Cut short anywhere.
    let whole = zip_of(&[("data.json", b"{\"a\":{\"b\":{\"c\":[1,2,3]}}}", Deflated)]);
    for length in 0..whole.len() {
        assert!(inspect_reader(Cursor::new(&whole[..length]), None).is_err(), "cut at {length}");
    }
    assert!(inspect(std::path::Path::new("/nonexistent/archive.zip")).unwrap_err().to_string().contains("cannot be read"));
}

#[test]
fn a_member_that_lies_about_its_size_is_told() {
    let bytes = zip_of(&[("a.json", b"[1,2,3]", CompressionMethod::Stored)]);
    let central = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap();
    for size in [0u32, 6, 8, 1 << 30, u32::MAX - 1] {
        let mut lie = bytes.clone();
        lie[central + 24..central + 28].copy_from_slice(&size.to_le_bytes());
        assert!(inspect_reader(Cursor::new(lie), None).is_err(), "{size}");
    }
}

#[test]
fn a_bomb_costs_no_memory() {
    // A hundred megabytes of one string in a key, and a directory that is all names.
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("data.json", SimpleFileOptions::default().compression_method(CompressionMethod::Deflated)).unwrap();
    zip.write_all(b"{\"").unwrap();
    for _ in 0..100 {
        zip.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    assert!(told(zip.finish().unwrap().into_inner()).contains("a key that is too long"));

    let mut names = ZipWriter::new(Cursor::new(Vec::new()));
    for n in 0..300 {
        names
            .start_file(
                format!("{n}{}", "n".repeat(65_000)),
                SimpleFileOptions::default().compression_method(CompressionMethod::Stored),
            )
            .unwrap();
    }
    assert!(told(names.finish().unwrap().into_inner()).contains("directory is too large"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut bytes = zip_of(&[("a.json", b"{\"a\":[1]}", CompressionMethod::Deflated), ("b.txt", b"a: 1\n", CompressionMethod::Stored)]);
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = inspect_reader(Cursor::new(bytes), None);
    }
}
