//! Every type that an engine has comes out as JSON, and none of it is lost.

use archive::write::{ExportError, Failure};
use serde_json::json;
use wire::DataFormat;

use crate::both;
use crate::support::{Db, Engine, postgres_is_there};

fn list(query: &str, fields: &str) -> String {
    format!(
        "[[section]]\ncategories = [\"activity\"]\npath = [\"L\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"o\"\nquery = '''{query}'''\n[section.fields]\n{fields}\n"
    )
}

#[tokio::test]
async fn postgres_types() {
    if !postgres_is_there() {
        return;
    }
    let db = Db::new(
        Engine::Postgres,
        "create type mood as enum ('sad', 'ok');
         create type point3 as (x int, y text);
         create domain small as numeric(10, 2);
         create domain words as text[];
         create table t (o bigint, a int2, b int4, c int8, d float4, e float8, f numeric, g bool, h text, i varchar(9), j char(4), k bytea,
           l uuid, m json, n jsonb, p date, q timestamp, r timestamptz, s time, u interval, v inet, w mood, x mood[], y int[], z point3,
           aa int4range, ab money, ac small, ad words, ae oid, af bit(3), ag macaddr);
         insert into t values (1, -1, 2, 9007199254740993, 0.1, 0.1, 12345678901234567890.1234500000, true, 'téxt \"q\"', 'v', 'ab', '\\x00ff10',
           '67e55044-10b1-426f-9247-bb680e5fe0c8', '{\"a\" : [1, 1.50]}', '{\"b\": 12345678901234567890}', '1996-04-12',
           '2026-03-29 02:30:00.5', '2026-03-29 02:30:00+02', '23:59:59', '1 day 2 hours', '10.0.0.1', 'ok', '{ok,sad}', '{1,null,3}', '(1,\"a b\")',
           '[1,5)', '3.50', 1.5, '{a,\"b c\"}', 4294967295, '101', '08:00:2b:01:02:03'),
         (1, null, null, null, 'NaN', '-Infinity', 'NaN', false, '', '', '', '', null, 'null', '[]', 'infinity', '-infinity', 'infinity',
           null, null, null, null, '{}', null, null, 'empty', null, null, null, 0, null, null);",
    )
    .await;
    let catalogue =
        db.catalogue(&list("select * from t where o = :subject order by a nulls last; ", "f = { type = \"number\" }"));
    assert_eq!(db.sources(&catalogue).await.check(&catalogue).await, []);
    let (made, _) = db.export(&catalogue, "activity", "1", DataFormat::Json).await.unwrap();
    let text = made.json();
    for exact in [
        "\"f\":12345678901234567890.1234500000",
        "\"n\":{\"b\": 12345678901234567890}",
        "\"c\":9007199254740993",
        "\"d\":0.1,\"e\":0.1",
    ] {
        assert!(text.contains(exact), "{exact} in {text}");
    }
    let mut value = made.value();
    value["L"][0]["f"] = json!(null);
    value["L"][0]["n"] = json!(null);
    assert_eq!(
        value["L"][0],
        json!({"a": -1, "b": 2, "c": 9_007_199_254_740_993i64, "d": 0.1, "e": 0.1, "f": null, "g": true, "h": "téxt \"q\"", "i": "v", "j": "ab  ",
            "k": "AP8Q", "l": "67e55044-10b1-426f-9247-bb680e5fe0c8", "m": {"a": [1, 1.50]}, "n": null, "p": "1996-04-12",
            "q": "2026-03-29 02:30:00", "r": "2026-03-29 00:30:00", "s": "23:59:59", "u": "P1DT2H", "v": "10.0.0.1", "w": "ok",
            "x": ["ok", "sad"], "y": [1, null, 3], "z": {"x": 1, "y": "a b"}, "aa": "[1,5)", "ab": "$3.50", "ac": 1.5, "ad": ["a", "b c"],
            "ae": 4_294_967_295u32, "af": "101", "ag": "08:00:2b:01:02:03"})
    );
    assert_eq!(
        value["L"][1],
        json!({"a": null, "b": null, "c": null, "d": "NaN", "e": "-Infinity", "f": "NaN", "g": false, "h": "", "i": "", "j": "    ", "k": "",
            "l": null, "m": null, "n": [], "p": "infinity", "q": "-infinity", "r": "infinity", "s": null, "u": null, "v": null, "w": null,
            "x": [], "y": null, "z": null, "aa": "empty", "ab": null, "ac": null, "ad": null, "ae": 0, "af": null, "ag": null})
    );
    let (made, _) = db.export(&catalogue, "activity", "1", DataFormat::Text).await.unwrap();
    let text = made.text("Data/L.txt");
    for line in ["\nR: 2026-03-29 00:30:00 UTC\n", "\nY: [1, N/A, 3]\n", "\nZ:\nX: 1\nY: a b\n", "\nN: []\n"] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
}

#[tokio::test]
async fn parameters_have_the_type_that_the_server_infers() {
    if !postgres_is_there() {
        return;
    }
    let db = Db::new(
        Engine::Postgres,
        "create table t (o bigint, o4 int, o2 int2, on_ numeric, ot text, at_tz timestamptz, at_ timestamp, d date, n numeric, i int, f float8);
         insert into t select 7, 7, 7, 7, '7', now(), now(), 'infinity', 1e20, i, i from generate_series(1, 3) i;",
    )
    .await;
    for column in ["o", "o4", "o2", "on_", "ot"] {
        let catalogue = db.catalogue(&list(&format!("select {column} as o, i from t where {column} = :subject"), ""));
        assert_eq!(db.sources(&catalogue).await.check(&catalogue).await, [], "{column}");
        let (_, summary) = db.export(&catalogue, "activity", "7", DataFormat::Json).await.unwrap();
        assert_eq!(summary.sections[0].rows, 3, "{column}");
    }
    for (column, rows) in [("at_tz", 3), ("at_", 3), ("n", 3), ("i", 3), ("f", 3), ("d", 0)] {
        let text = list(&format!("select o, i from t where o = :subject and {column} >= :since and {column} < :until"), "")
            .replace("owner = ", &format!("time = \"{column}\"\ntime_from = \"unix_s\"\nowner = "));
        let catalogue = db.catalogue(&text);
        assert_eq!(db.sources(&catalogue).await.check(&catalogue).await, [], "{column}");
        let (_, summary) = db.export(&catalogue, "activity", "7", DataFormat::Json).await.unwrap();
        // A date that is infinity itself is not before infinity.
        assert_eq!(summary.sections[0].rows, rows, "{column}");
    }
    // Two binds of one name, each of the type where it stands, outside of literals, comments and casts.
    let query = "select o, ':subject' as a, i::text as b /* :since */ from t where o = :subject and ot = :subject and i::text <> 'x' -- :until";
    let (made, _) = db.export(&db.catalogue(&list(query, "")), "activity", "7", DataFormat::Json).await.unwrap();
    assert_eq!(made.value()["L"][0], json!({"a": ":subject", "b": "1"}));
    // A subject beyond the column's type is told, not wrapped around.
    let catalogue = db.catalogue(&list("select o, i from t where o4 = :subject", ""));
    let Err(error) = db.export(&catalogue, "activity", "4294967303", DataFormat::Json).await else { panic!("served") };
    assert!(error.to_string().contains(":subject::bigint"), "{error}");
    // The index of an int column serves, and a text has no extremes.
    let catalogue = db.catalogue(&list("select o, i from t where o = :subject and ot >= :since and ot < :until", ""));
    let faults = db.sources(&catalogue).await.check(&catalogue).await;
    assert!(faults.len() == 1 && faults[0].to_string().contains("compare a time, a date or a number"), "{faults:?}");
}

#[tokio::test]
async fn sqlite_values_by_their_own_type() {
    let db = Db::new(
        Engine::Sqlite,
        "create table t (o integer, v);
         insert into t values (1, null), (1, 1), (1, 1.5), (1, 9e999), (1, 'text'), (1, x'00ff'), (1, cast(x'61ff62' as text)), (1, -9e999);",
    )
    .await;
    let catalogue = db.catalogue(&list("select o, v as \"V\" from t where o = :subject order by rowid", ""));
    let (made, summary) = db.export(&catalogue, "activity", "1", DataFormat::Json).await.unwrap();
    assert_eq!(
        made.json(),
        "{\"L\":[{\"V\":null},{\"V\":1},{\"V\":1.5},{\"V\":\"Infinity\"},{\"V\":\"text\"},{\"V\":\"AP8=\"},{\"V\":\"a\u{fffd}b\"},{\"V\":\"-Infinity\"}]}"
    );
    assert_eq!(summary.sections[0].repaired, 1);
}

/// Without a range, `:since` and `:until` leave nothing out, whatever the column holds.
#[tokio::test]
async fn sqlite_extremes_enclose_everything() {
    let db = Db::new(
        Engine::Sqlite,
        "create table numbers (o integer, t integer); insert into numbers values (1, -9223372036854775808), (1, 9223372036854775807), (1, 0), (1, 1.5);
         create table texts (o integer, t text); insert into texts values (1, ''), (1, ' '), (1, '0000'), (1, '\u{10ffff}'), (1, '-1');
         create table anything (o integer, t); insert into anything values (1, -1), (1, 'a'), (1, 1e300);",
    )
    .await;
    for (table, fields, rows) in [
        ("numbers", "T = { type = \"timestamp\", from = \"unix_ms\" }", 4),
        ("texts", "T = { type = \"timestamp\", from = \"text\" }", 5),
        ("anything", "T = { type = \"string\" }", 3),
    ] {
        let text = list(&format!("select o, t as \"T\" from {table} where o = :subject and t >= :since and t < :until"), fields);
        let (_, summary) = db.export(&db.catalogue(&text), "activity", "1", DataFormat::Json).await.unwrap();
        assert_eq!(summary.sections[0].rows, rows, "{table}");
    }
}

async fn fields_convert_or_tell(engine: Engine) {
    let db = Db::new(
        engine,
        "create table t (o bigint, n bigint, s text, j text);
         insert into t values (1, 829267200, '1996-04-12T00:00:00Z', '{\"a\":[1]}');",
    )
    .await;
    for (column, field, wanted) in [
        ("n", "{ type = \"string\" }", "\"829267200\""),
        ("n", "{ type = \"number\" }", "829267200"),
        ("n", "{ type = \"timestamp\", from = \"unix_s\" }", "\"1996-04-12 00:00:00\""),
        ("n", "{ type = \"timestamp\", from = \"unix_s\", as = \"%d-%b-%Y\" }", "\"12-Apr-1996\""),
        ("n", "{ type = \"timestamp\", from = \"unix_s\", as = '\"%Y\"' }", "\"\\\"1996\\\"\""),
        ("n", "{ type = \"timestamp\", from = \"unix_ms\" }", "\"1970-01-10 14:21:07\""),
        ("n", "{ type = \"timestamp\", from = \"unix_us\" }", "\"1970-01-01 00:13:49\""),
        ("n", "{ type = \"date\", from = \"unix_s\" }", "\"1996-04-12\""),
        ("s", "{ type = \"timestamp\", from = \"text\" }", "\"1996-04-12 00:00:00\""),
        ("s", "{ type = \"date\" }", "\"1996-04-12\""),
        ("j", "{ type = \"timestamp\", from = \"text\" }", "\"{\\\"a\\\":[1]}\""),
        ("j", "{ type = \"json\" }", "{\"a\":[1]}"),
        ("n - n", "{ type = \"boolean\" }", "false"),
    ] {
        let text = list(&format!("select o, {column} as \"V\" from t where o = :subject"), &format!("V = {field}"));
        let (made, _) = db.export(&db.catalogue(&text), "activity", "1", DataFormat::Json).await.unwrap();
        assert_eq!(made.json(), format!("{{\"L\":[{{\"V\":{wanted}}}]}}"), "{column} {field}");
        db.export(&db.catalogue(&text), "activity", "1", DataFormat::Text).await.unwrap();
    }
    for (column, field, words) in [
        ("s", "{ type = \"integer\" }", "is not a whole number"),
        ("s", "{ type = \"number\" }", "is not a number"),
        ("n", "{ type = \"boolean\" }", "is neither true nor false"),
        ("s", "{ type = \"json\" }", "is not JSON"),
        ("n", "{ type = \"timestamp\" }", "`from` does not say"),
    ] {
        let text = list(&format!("select o, {column} as \"V\" from t where o = :subject"), &format!("V = {field}"));
        for format in [DataFormat::Json, DataFormat::Text] {
            let Err(error) = db.export(&db.catalogue(&text), "activity", "1", format).await else {
                panic!("served: {column} {field}")
            };
            assert!(error.to_string().contains(words) && error.to_string().contains("column `V`"), "{error}");
            assert!(matches!(&error, ExportError::Section { failure: Failure::Value { .. }, .. }));
            assert_eq!((error.reason(), error.retryable()), ("value_invalid", false));
            assert!(!error.to_string().contains("1996"), "a value is quoted: {error}");
        }
    }
}

/// Subjects that are texts and UUIDs find their rows through their columns' own types.
async fn other_subjects(engine: Engine) {
    let uuid = if engine == Engine::Postgres { "uuid" } else { "text" };
    let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let db = Db::new(
        engine,
        &format!("create table t (u {uuid}, s text, x text); insert into t values ('{id}', 'ada', 'hers'), ('00000000-0000-0000-0000-000000000000', 'Ada', 'other');"),
    )
    .await;
    for (kind, column, subject) in
        [("uuid", "u", id.to_uppercase()), ("text", "s", "ada".to_owned()), ("uuid", "u", id.to_owned())]
    {
        let text = crate::support::head(engine, db.url(), "").replace("type = \"integer\"", &format!("type = \"{kind}\""))
            + &list(&format!("select {column} as o, x from t where {column} = :subject"), "");
        let catalogue = std::sync::Arc::new(crate::support::parse(&text).unwrap());
        assert_eq!(db.sources(&catalogue).await.check(&catalogue).await, []);
        let (made, _) = db.export(&catalogue, "activity", &subject, DataFormat::Json).await.unwrap();
        assert_eq!(made.json(), r#"{"L":[{"x":"hers"}]}"#);
    }
}

both!(fields, super::fields_convert_or_tell);
both!(subjects, super::other_subjects);
