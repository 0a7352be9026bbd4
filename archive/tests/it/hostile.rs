//! Texts that try to break out of their place.

use std::collections::BTreeMap;

use proptest::prelude::*;
use wire::DataFormat;

use crate::both;
use crate::support::{Db, Engine};

const SECTIONS: &str = r#"
[[section]]
categories = ["activity"]
path = ["L"]
source = "db"
shape = "list"
owner = "o"
query = "select o, id, c as \"Comment\" from t where o = :subject order by id"
[[section]]
categories = ["activity"]
path = ["G"]
source = "db"
shape = "groups"
group = "c"
owner = "o"
text_line = "{id}: {note}"
query = "select o, c, id, c as note from t where o = :subject order by id"
"#;

const STRINGS: &[&str] = &[
    "plain",
    "",
    "\"quoted\" \\ back",
    "line\nDate: 1999-01-01 00:00:00 UTC\n\nComment: forged",
    "cr\r\nlf\rcr",
    "tab\tbell\u{7}esc\u{1b}[31m",
    "\u{2028}sep\u{2029}\u{85}\u{b}\u{c}",
    ">>> Chat History with admin::",
    "</script><script>alert(1)</script>",
    "emoji 👩‍👩‍👧‍👦 한국어 العربية हिन्दी кириллица 漢字",
    "\u{202e}override\u{feff}",
    "'; drop table t; --",
    "{\"a\":1}],\"x\":[",
    "=cmd|' /C calc'!A0",
];

async fn strings_stay_in_their_place(engine: Engine) {
    let db = Db::new(engine, "create table t (o bigint, id bigint, c text);").await;
    let rows: Vec<String> =
        STRINGS.iter().enumerate().map(|(id, text)| format!("(1, {id}, '{}')", text.replace('\'', "''"))).collect();
    db.run(&format!("insert into t values {};", rows.join(", "))).await;
    let catalogue = db.catalogue(SECTIONS);
    let (made, _) = db.export(&catalogue, "activity", "1", DataFormat::Json).await.unwrap();
    let value = made.value();
    let comments: Vec<&str> = value["L"].as_array().unwrap().iter().map(|row| row["Comment"].as_str().unwrap()).collect();
    assert_eq!(comments, STRINGS);
    let groups: Vec<&str> = value["G"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(groups, STRINGS);

    let (made, _) = db.export(&catalogue, "activity", "1", DataFormat::Text).await.unwrap();
    let text = made.text("Data/L.txt");
    let blocks: Vec<&str> = text.split("\n\n").collect();
    assert_eq!(blocks.len(), STRINGS.len(), "{text}");
    for (id, block) in blocks.iter().enumerate() {
        let mut lines = block
            .split(['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{85}', '\u{2028}', '\u{2029}'])
            .filter(|line| !line.starts_with("    "));
        assert_eq!(lines.next(), Some(format!("Id: {id}").as_str()), "{text}");
        assert!(lines.next().unwrap().starts_with("Comment: "), "{text}");
        assert_eq!(lines.find(|line| !line.is_empty()), None, "{text}");
    }
    let text = made.text("Data/G.txt");
    assert_eq!(text.lines().filter(|line| line.starts_with(">>> ")).count(), STRINGS.len(), "{text}");
}

/// SQLite holds what PostgreSQL refuses: NUL within a text.
#[tokio::test]
async fn nul_within_a_text() {
    let db = Db::new(
        Engine::Sqlite,
        "create table t (o bigint, id bigint, c text); insert into t values (1, 1, 'a' || char(0) || 'b');",
    )
    .await;
    let (made, _) = db.export(&db.catalogue(SECTIONS), "activity", "1", DataFormat::Json).await.unwrap();
    assert_eq!(made.value()["L"][0]["Comment"], "a\0b");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever rows there are, the document says exactly them.
    #[test]
    fn rows_come_back_from_the_document(rows in proptest::collection::vec((any::<i64>(), any::<String>(), proptest::option::of(-1e300f64..1e300)), 0..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let db = Db::new(Engine::Sqlite, "create table t (o integer, id integer, n integer, s text, r real);").await;
            let connection = rusqlite::Connection::open(db.folder.path().join("data.db")).unwrap();
            for (id, (n, s, r)) in rows.iter().enumerate() {
                connection.execute("insert into t values (1, ?1, ?2, ?3, ?4)", (id as i64, n, s, r)).unwrap();
            }
            drop(connection);
            let sections = "[[section]]\ncategories = [\"activity\"]\npath = [\"L\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"o\"\nhidden = [\"id\"]\n\
                query = \"select o, id, n, s, r from t where o = :subject order by id\"\n";
            let (made, summary) = db.export(&db.catalogue(sections), "activity", "1", DataFormat::Json).await.unwrap();
            assert_eq!(summary.sections[0].rows, rows.len() as u64);
            let text = made.json();
            let document: BTreeMap<&str, Vec<BTreeMap<&str, Box<serde_json::value::RawValue>>>> = serde_json::from_str(&text).unwrap();
            assert_eq!(document["L"].len(), rows.len());
            for (read, (n, s, r)) in document["L"].iter().zip(&rows) {
                assert_eq!(read["n"].get().parse::<i64>().unwrap(), *n);
                assert_eq!(&serde_json::from_str::<String>(read["s"].get()).unwrap(), s);
                match r {
                    Some(r) => assert_eq!(read["r"].get().parse::<f64>().unwrap(), *r),
                    None => assert_eq!(read["r"].get(), "null"),
                }
            }
        });
    }
}

both!(strings, super::strings_stay_in_their_place);
