//! MariaDB's types, its binds, and what a read-only transaction would let through.

use archive::source::Sources;
use archive::write::{ExportError, Failure};
use serde_json::json;
use wire::DataFormat;

use crate::support::{Db, Engine, export, head, mysql_admin, mysql_is_there, parse};

fn list(query: &str, fields: &str) -> String {
    format!(
        "[[section]]\ncategories = [\"activity\"]\npath = [\"L\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"o\"\nquery = '''{query}'''\n[section.fields]\n{fields}\n"
    )
}

#[tokio::test]
async fn every_type_comes_out_whole() {
    if !mysql_is_there() {
        return;
    }
    let db = Db::new(
        Engine::Mysql,
        "set sql_mode = '';
         create table t (o bigint, a tinyint, au tinyint(1) unsigned, b smallint unsigned, c mediumint, cu int unsigned, d bigint, e bigint unsigned,
           f decimal(30,10), g float, h double, i bit(1), j bit(64), k year, l date, m datetime(6), n timestamp null, p time(3), q char(4),
           r varchar(20) character set latin1, s text character set utf8mb4 collate utf8mb4_bin, u binary(4), v varbinary(9), w blob, x json,
           y enum('sad','o k'), z set('a','b','c'), aa uuid, ab inet6, ac geometry, ad longtext);
         insert into t values (1, -128, 255, 65535, -8388608, 4294967295, -9223372036854775808, 18446744073709551615,
           -12345678901234567890.1234500000, 0.1, 0.1, b'1', 0xffffffffffffffff, 2155, '1996-04-12', '2026-03-29 02:30:00.5',
           '2026-03-29 02:30:00', '-838:59:59', 'ab', _utf8mb4'é€', '😀\"\\\\\\n', 'ab', x'00ff', x'ff', '{\"b\" : [12345678901234567890, 1.50]}',
           'o k', 'a,c', '67e55044-10b1-426f-9247-bb680e5fe0c8', '::ffff:10.0.0.1', point(1, 2), '{\"no\": \"json\"}');
         insert into t (o, l, m, n, p, k, x) values (1, '0000-00-00', '2024-02-00', 0, '00:00:00', 0, 'null');
         insert into t (o) values (1);",
    )
    .await;
    let catalogue = db.catalogue(&list("select * from t where o = :subject order by e desc, k desc -- the end", ""));
    assert_eq!(db.sources(&catalogue).await.check(&catalogue).await, []);
    let (made, summary) = db.export(&catalogue, "activity", "1", DataFormat::Json).await.unwrap();
    assert_eq!(summary.sections[0].repaired, 0);
    let text = made.json();
    for exact in [
        "\"e\":18446744073709551615",
        "\"f\":-12345678901234567890.1234500000",
        "\"d\":-9223372036854775808",
        "\"j\":18446744073709551615",
        "\"x\":{\"b\" : [12345678901234567890, 1.50]}",
    ] {
        assert!(text.contains(exact), "{exact} in {text}");
    }
    let mut value = made.value();
    for lossy in ["e", "f", "j", "x"] {
        value["L"][0][lossy] = json!(null);
    }
    assert_eq!(
        value["L"][0],
        json!({"a": -128, "au": 255, "b": 65535, "c": -8_388_608, "cu": 4_294_967_295u32, "d": i64::MIN, "e": null, "f": null, "g": 0.1, "h": 0.1,
            "i": 1, "j": null, "k": 2155, "l": "1996-04-12", "m": "2026-03-29 02:30:00", "n": "2026-03-29 02:30:00", "p": "-838:59:59",
            "q": "ab", "r": "é€", "s": "😀\"\\\n", "u": "YWIAAA==", "v": "AP8=", "w": "/w==", "x": null, "y": "o k", "z": "a,c",
            "aa": "67e55044-10b1-426f-9247-bb680e5fe0c8", "ab": "::ffff:10.0.0.1", "ac": "AAAAAAEBAAAAAAAAAAAA8D8AAAAAAAAAQA==",
            "ad": "{\"no\": \"json\"}"})
    );
    let other = |at: usize, key: &str| &value["L"][at][key];
    assert_eq!([other(1, "l"), other(1, "m"), other(1, "n")], ["0000-00-00", "2024-02-00 00:00:00", "0000-00-00 00:00:00"]);
    assert_eq!((other(1, "p"), other(1, "k"), other(1, "x")), (&json!("00:00:00"), &json!(0), &json!(null)));
    assert!(value["L"][2].as_object().unwrap().values().all(serde_json::Value::is_null), "{}", value["L"][2]);
    db.export(&catalogue, "activity", "1", DataFormat::Text).await.unwrap();
}

/// Without a range, `:since` and `:until` leave nothing out, whatever the column holds.
#[tokio::test]
async fn extremes_enclose_everything() {
    if !mysql_is_there() {
        return;
    }
    let db = Db::new(
        Engine::Mysql,
        "set sql_mode = '';
         create table t (o bigint, dt datetime(6), ts timestamp null, d date, n bigint, x decimal(20,3), f double, s varchar(30));
         insert into t values (1, 0, 0, 0, -9223372036854775808, -1, -1e300, 'a'), (1, '2024-02-00', now(), '1000-01-01', 0, 0, 0, ''),
           (1, '9999-12-31 23:59:59', '2038-01-19 03:14:07', '9999-12-31', 9223372036854775806, 99999999999999.999, 1e18, 'z');",
    )
    .await;
    let query = |column: &str| {
        list(&format!("select o, {column} as T from t where o = :subject and {column} >= :since and {column} < :until"), "")
            .replace("owner = ", "time = \"T\"\nowner = ")
    };
    for (column, rows, counts) in [
        ("dt", 3, ""),
        ("ts", 3, ""),
        ("d", 3, ""),
        ("n", 3, "time_from = \"unix_ms\"\n"),
        ("x", 3, "time_from = \"unix_s\"\n"),
        ("f", 2, "time_from = \"unix_s\"\n"),
    ] {
        let catalogue = db.catalogue(&query(column).replace("owner = ", &format!("{counts}owner = ")));
        assert_eq!(db.sources(&catalogue).await.check(&catalogue).await, [], "{column}");
        let (_, summary) = db.export(&catalogue, "activity", "1", DataFormat::Json).await.unwrap();
        // Before the least whole number there are only numbers that are no time.
        assert_eq!(summary.sections[0].rows, rows, "{column}");
    }
    let catalogue = db.catalogue(&query("s"));
    let faults = db.sources(&catalogue).await.check(&catalogue).await;
    assert!(faults.len() == 1 && faults[0].to_string().contains("neither a time nor a number"), "{faults:?}");
    let Err(error) = db.export(&catalogue, "activity", "1", DataFormat::Json).await else { panic!("served") };
    assert_eq!((error.reason(), error.retryable()), ("query_failed", false), "{error}");
}

/// Files, locks, variables and comments that are none are refused before the server sees them.
#[test]
fn what_reads_more_than_rows_is_refused() {
    for (query, words) in [
        ("select o, w from t where o = :subject into outfile '/tmp/x'", "`into`"),
        ("select o, load_file('/etc/passwd') as w from t where o = :subject", "`load_file`"),
        ("select o, `load_file`('/etc/passwd') as w from t where o = :subject", "files are none"),
        ("select o, w from t where o = :subject /*! into outfile '/tmp/x' */", "the server would run"),
        ("select o, w from t where o = :subject for update", "would lock"),
        ("select o, @x := w as w from t where o = :subject", "`@x`"),
        ("select o, w from t where o = :subject; drop table t", "two statements"),
        ("delete from t where o = :subject", "not a select"),
    ] {
        let error = parse(&(head(Engine::Mysql, "mysql://x/y", "") + &list(query, ""))).unwrap_err().to_string();
        assert!(error.contains(words), "{query}: {error}");
    }
}

#[tokio::test]
async fn a_door_that_stays_shut() {
    if !mysql_is_there() {
        return;
    }
    let db = Db::new(Engine::Mysql, "create table t (o bigint, w text);").await;
    let reader = format!("reader_{}", std::process::id());
    mysql_admin(&format!("create or replace user {reader}@'%' identified by 'right'; grant select on *.* to {reader}@'%'")).await;
    let text = list("select o, w from t where o = :subject", "");
    for (password, served) in [("right", true), ("wrong", false)] {
        let url = db.url().replace("root@", &format!("{reader}:{password}@"));
        let catalogue = std::sync::Arc::new(parse(&(head(Engine::Mysql, &url, "") + &text)).unwrap());
        let sources = Sources::open(&catalogue, db.folder.path()).await.unwrap();
        let result = export(&catalogue, &sources, "activity", "1", DataFormat::Json).await;
        assert_eq!(result.is_ok(), served, "{password}");
        if let Err(error) = result {
            assert_eq!((error.reason(), error.retryable()), ("source_down", true), "{error}");
            let told = sources.check(&catalogue).await;
            assert!(!format!("{error} {told:?}").contains("wrong"), "a password is told: {error} {told:?}");
        }
    }
    mysql_admin(&format!("drop user {reader}@'%'")).await;
}

/// The table changes while connections remember the query; the next requests see it as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_changes() {
    if !mysql_is_there() {
        return;
    }
    let db = Db::new(Engine::Mysql, "create table t (o bigint, w text); insert into t values (1, 'before');").await;
    let catalogue = db.catalogue(&list("select * from t where o = :subject", ""));
    let sources = db.sources(&catalogue).await;
    let (made, _) = export(&catalogue, &sources, "activity", "1", DataFormat::Json).await.unwrap();
    assert_eq!(made.json(), r#"{"L":[{"w":"before"}]}"#);
    db.run("alter table t drop column w, add column n decimal(5,2) default 1.5").await;
    let Err(error) = export(&catalogue, &sources, "activity", "1", DataFormat::Json).await else { panic!("served as before") };
    assert!(matches!(&error, ExportError::Section { failure: Failure::Broken(_), .. }), "{error}");
    assert!(error.retryable());
    let (made, _) = export(&catalogue, &sources, "activity", "1", DataFormat::Json).await.unwrap();
    assert_eq!(made.json(), r#"{"L":[{"n":1.50}]}"#);
    // A column that is asked for by name and goes.
    let named = db.catalogue(&list("select o, n from t where o = :subject", ""));
    let sources = db.sources(&named).await;
    export(&named, &sources, "activity", "1", DataFormat::Json).await.unwrap();
    db.run("alter table t drop column n, add column m int").await;
    let Err(error) = export(&named, &sources, "activity", "1", DataFormat::Json).await else { panic!("served") };
    assert_eq!(error.reason(), "query_failed", "{error}");
    assert_eq!(sources.check(&named).await.len(), 1);
}

/// Texts and UUIDs as subjects; what the collation takes for alike is not the person.
#[tokio::test]
async fn other_subjects() {
    if !mysql_is_there() {
        return;
    }
    let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let db = Db::new(
        Engine::Mysql,
        &format!("create table t (u uuid, s varchar(20), x text); insert into t values ('{id}', 'ada', 'hers'), (uuid(), 'Eve', 'other'), (uuid(), 'eve', 'third');"),
    )
    .await;
    let made = async |kind: &str, column: &str, subject: &str| {
        let text = head(Engine::Mysql, db.url(), "").replace("type = \"integer\"", &format!("type = \"{kind}\""))
            + &list(&format!("select {column} as o, x from t where {column} = :subject"), "");
        let catalogue = std::sync::Arc::new(parse(&text).unwrap());
        assert_eq!(db.sources(&catalogue).await.check(&catalogue).await, []);
        db.export(&catalogue, "activity", subject, DataFormat::Json).await
    };
    for (kind, column, subject) in [("uuid", "u", id.to_uppercase().as_str()), ("text", "s", "ada"), ("uuid", "u", id)] {
        assert_eq!(made(kind, column, subject).await.unwrap().0.json(), r#"{"L":[{"x":"hers"}]}"#);
    }
    let Err(error) = made("text", "s", "eve").await else { panic!("served") };
    assert_eq!(error.reason(), "owner_mismatch");
}
