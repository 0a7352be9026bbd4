//! Random tables of every type: what stands in the archive is what the engine's own driver reads.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rusqlite::types::{Value, ValueRef};
use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, Connection, Decode, Executor, MySql, MySqlConnection, PgConnection, Row, ValueRef as _};
use wire::DataFormat;

use crate::support::{Db, Engine, mysql_is_there, postgres_is_there};

/// How a value in the archive is compared with the engine's text for it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Like {
    /// The same characters, as JSON's own.
    Exact,
    /// The same number.
    Float,
    Float4,
    /// A string of the same characters.
    Text,
    /// A string in base64 of the same bytes.
    Bytes,
    /// True or false.
    Bool,
    /// A moment to the microsecond.
    Moment,
    /// A string without the zeros at the end of its fraction.
    Clock,
    /// A number of bits, which come as bytes.
    Bits,
}

/// A type, and how texts of its values are made.
struct Kind {
    ddl: &'static str,
    like: Like,
    values: BoxedStrategy<String>,
}

fn kind(ddl: &'static str, like: Like, values: impl Strategy<Value = String> + 'static) -> Kind {
    Kind { ddl, like, values: values.boxed() }
}

fn ints(least: i128, most: i128) -> BoxedStrategy<String> {
    prop_oneof![Just(least), Just(most), Just(0), least..=most].prop_map(|number| number.to_string()).boxed()
}

fn decimals(digits: usize, scale: usize) -> BoxedStrategy<String> {
    let pattern = format!("-?[0-9]{{1,{}}}\\.[0-9]{{{scale}}}", digits - scale);
    prop_oneof![Just("0".to_owned()), proptest::string::string_regex(&pattern).unwrap()].boxed()
}

fn hostile() -> BoxedStrategy<String> {
    let nasty = [
        "",
        " ",
        "'",
        "\"",
        "\\",
        "\\'; drop table t; --",
        "\u{1}\u{1f}\u{7f}",
        "\u{2028}\r\n\t",
        "é😀\u{10ffff}",
        "null",
        "=1+1",
        "</script>",
        "\\u0041",
    ];
    prop_oneof![proptest::sample::select(nasty.to_vec()).prop_map(str::to_owned), "[^\\x00]{0,20}", "[a-z\"\\\\\n]{0,60}"].boxed()
}

fn hex() -> BoxedStrategy<String> {
    "([0-9a-f]{2}){0,20}".boxed()
}

fn moments(least: i32, most: i32) -> BoxedStrategy<String> {
    let edge = move |year: i32| format!("{year:04}-01-02 00:00:00.000000");
    prop_oneof![
        Just(edge(least)),
        Just(format!("{most:04}-12-30 23:59:59.999999")),
        (least..=most, 1..=12, 1..=28, 0..24, 0..60, 0..60, 0..1_000_000)
            .prop_map(|(y, m, d, h, min, s, us)| format!("{y:04}-{m:02}-{d:02} {h:02}:{min:02}:{s:02}.{us:06}"))
    ]
    .boxed()
}

fn days(least: i32, most: i32) -> BoxedStrategy<String> {
    moments(least, most).prop_map(|moment| moment[..10].to_owned()).boxed()
}

fn floats() -> BoxedStrategy<String> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    prop_oneof![
        Just("-0.1".to_owned()),
        (NORMAL | SUBNORMAL | ZERO | POSITIVE | NEGATIVE).prop_map(|number| format!("{number:e}"))
    ]
    .boxed()
}

fn float4s() -> BoxedStrategy<String> {
    use proptest::num::f32::{NEGATIVE, NORMAL, POSITIVE, ZERO};
    (NORMAL | ZERO | POSITIVE | NEGATIVE).prop_map(|number| format!("{number:e}")).boxed()
}

fn uuids() -> BoxedStrategy<String> {
    "[0-9a-f]{8}-[0-9a-f]{4}-[14][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}".boxed()
}

fn documents() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,5})?".boxed(),
        "[a-zé \\n\"]{0,8}".prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..4).prop_map(|items| {
                let items: Vec<String> = items.iter().map(|(key, value)| format!("\"{key}\" : {value}")).collect();
                format!("{{{}}}", items.join(","))
            }),
        ]
    })
    .boxed()
}

fn kinds(engine: Engine) -> Vec<Kind> {
    let (exact, text) = (Like::Exact, Like::Text);
    match engine {
        Engine::Postgres => vec![
            kind("int2", exact, ints(i16::MIN.into(), i16::MAX.into())),
            kind("int4", exact, ints(i32::MIN.into(), i32::MAX.into())),
            kind("int8", exact, ints(i64::MIN.into(), i64::MAX.into())),
            kind("oid", exact, ints(0, u32::MAX.into())),
            kind("numeric", exact, decimals(60, 20)),
            kind("numeric(20,5)", exact, decimals(20, 5)),
            kind("float4", Like::Float4, float4s()),
            kind("float8", Like::Float, floats()),
            kind("bool", Like::Bool, prop_oneof![Just("t".to_owned()), Just("f".to_owned())]),
            kind("text", text, hostile()),
            kind("varchar(200)", text, hostile()),
            kind("char(10)", text, "[a-zé ]{0,10}"),
            kind("bytea", Like::Bytes, hex()),
            kind("uuid", text, uuids()),
            kind("json", exact, documents()),
            kind("jsonb", exact, documents()),
            kind("date", text, days(1, 9999)),
            kind("timestamp", Like::Moment, moments(1, 9999)),
            kind("timestamptz", Like::Moment, moments(1, 9999)),
            kind("time", text, moments(1, 9999).prop_map(|moment| moment[11..].to_owned())),
            kind("interval", text, (0..100_000).prop_map(|n| format!("{n} seconds"))),
            kind("inet", text, any::<std::net::IpAddr>().prop_map(|ip| ip.to_string())),
            kind("macaddr", text, "([0-9a-f]{2}:){5}[0-9a-f]{2}"),
            kind("varbit", text, "[01]{1,70}"),
            kind("int4range", text, (0..1000i32, 0..1000i32).prop_map(|(a, b)| format!("[{},{})", a.min(b), a.max(b) + 1))),
            kind("money", text, ints(-100_000, 100_000)),
        ],
        Engine::Mysql => vec![
            kind("tinyint", exact, ints(-128, 127)),
            kind("tinyint(1)", exact, ints(-128, 127)),
            kind("tinyint(1) unsigned", exact, ints(0, 255)),
            kind("smallint", exact, ints(i16::MIN.into(), i16::MAX.into())),
            kind("smallint unsigned", exact, ints(0, u16::MAX.into())),
            kind("mediumint", exact, ints(-8_388_608, 8_388_607)),
            kind("mediumint unsigned", exact, ints(0, 16_777_215)),
            kind("int", exact, ints(i32::MIN.into(), i32::MAX.into())),
            kind("int unsigned", exact, ints(0, u32::MAX.into())),
            kind("bigint", exact, ints(i64::MIN.into(), i64::MAX.into())),
            kind("bigint unsigned", exact, ints(0, u64::MAX.into())),
            kind("decimal(65,30)", exact, decimals(65, 30)),
            kind("decimal(10,0)", exact, ints(-9_999_999_999, 9_999_999_999)),
            kind("float", Like::Float4, float4s()),
            kind("double", Like::Float, floats()),
            kind("bit(1)", Like::Bits, ints(0, 1)),
            kind("bit(64)", Like::Bits, ints(0, u64::MAX.into())),
            kind("year", exact, ints(1901, 2155)),
            kind("date", text, prop_oneof![Just("0000-00-00".to_owned()), Just("2024-02-00".to_owned()), days(1, 9999)]),
            kind("datetime(6)", Like::Moment, prop_oneof![Just("0000-00-00 00:00:00.000000".to_owned()), moments(1, 9999)]),
            kind("datetime", Like::Moment, moments(1, 9999).prop_map(|moment| format!("{}.000000", &moment[..19]))),
            kind("timestamp(6) null", Like::Moment, moments(1971, 2037)),
            kind(
                "time(6)",
                Like::Clock,
                (any::<bool>(), 0..838, 0..60, 0..60, 0..1_000_000)
                    .prop_map(|(minus, h, m, s, us)| format!("{}{h:02}:{m:02}:{s:02}.{us:06}", if minus { "-" } else { "" })),
            ),
            kind("char(10)", text, "[a-zé]{0,10}"),
            kind("varchar(200)", text, hostile()),
            kind("varchar(200) collate utf8mb4_bin", text, hostile()),
            kind("varchar(50) character set latin1", text, "[ -~é€ß]{0,50}"),
            kind("text", text, hostile()),
            kind("longtext", text, hostile()),
            kind("binary(4)", Like::Bytes, "([0-9a-f]{2}){0,4}"),
            kind("varbinary(60)", Like::Bytes, hex()),
            kind("blob", Like::Bytes, hex()),
            kind("json", exact, documents()),
            kind("enum('sad','o k','é')", text, proptest::sample::select(vec!["sad", "o k", "é"]).prop_map(str::to_owned)),
            kind("set('a','b','c')", text, proptest::sample::select(vec!["", "a", "a,c", "a,b,c"]).prop_map(str::to_owned)),
            kind("uuid", text, uuids()),
            kind("inet4", text, any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string())),
            kind("inet6", text, any::<std::net::Ipv6Addr>().prop_map(|ip| ip.to_string())),
        ],
        // What SQLite stores is a matter of the value; a declared type only leans on it.
        Engine::Sqlite => {
            ["integer", "real", "text", "blob", "numeric", "", "boolean", "datetime"].map(|ddl| kind(ddl, text, hostile())).into()
        }
    }
}

/// A row of texts, before the engine makes values of them.
type TextRow = Vec<Option<String>>;

/// Columns by their kinds, and rows.
fn tables(kinds: &[Kind]) -> BoxedStrategy<(Vec<usize>, Vec<TextRow>)> {
    let values: Vec<BoxedStrategy<String>> = kinds.iter().map(|kind| kind.values.clone()).collect();
    prop::collection::vec(0..kinds.len(), 1..8)
        .prop_flat_map(move |columns| {
            let row: Vec<_> = columns.iter().map(|at| prop::option::weighted(0.85, values[*at].clone())).collect();
            (Just(columns), prop::collection::vec(row, 0..12))
        })
        .boxed()
}

/// What a value is in the archive, from the engine's own text for it.
fn expected(like: Like, engine: Engine, driver: &[u8]) -> serde_json::Value {
    let text = || String::from_utf8(driver.to_vec()).unwrap();
    match like {
        Like::Text => text().into(),
        Like::Bytes if engine == Engine::Postgres => {
            let hex = text();
            let bytes: Vec<u8> = (2..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
            STANDARD.encode(bytes).into()
        }
        Like::Bytes => STANDARD.encode(driver).into(),
        Like::Bool => (driver == b"t").into(),
        Like::Moment => {
            // 2026-01-02 03:04:05[.6][+00]
            let text = text();
            let plain = text.trim_end_matches("+00");
            let fraction = plain.split_once('.').map_or("", |(_, fraction)| fraction);
            if plain.starts_with("0000-00-00") {
                "0000-00-00 00:00:00".into()
            } else {
                format!("{}.{fraction:0<6}", &plain[..19]).into()
            }
        }
        Like::Clock => text().trim_end_matches('0').trim_end_matches('.').to_owned().into(),
        Like::Exact | Like::Float | Like::Float4 | Like::Bits => serde_json::Value::Null,
    }
}

fn compare(like: Like, engine: Engine, ddl: &str, raw: &str, driver: Option<&[u8]>) {
    let Some(driver) = driver else {
        assert_eq!(raw, "null", "{ddl}");
        return;
    };
    let text = || std::str::from_utf8(driver).unwrap();
    match like {
        Like::Exact => assert_eq!(raw, text(), "{ddl}"),
        Like::Bits => {
            let number = driver.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            assert_eq!(raw, number.to_string(), "{ddl}");
        }
        Like::Float => assert_eq!(raw.parse::<f64>().unwrap(), text().parse::<f64>().unwrap(), "{ddl}"),
        Like::Float4 => assert_eq!(raw.parse::<f32>().unwrap(), text().parse::<f64>().unwrap() as f32, "{ddl}"),
        Like::Clock if !text().contains('.') => assert_eq!(raw, format!("\"{}\"", text()), "{ddl}"),
        _ => {
            let read: serde_json::Value = serde_json::from_str(raw).unwrap();
            assert_eq!(read, expected(like, engine, driver), "{ddl}");
        }
    }
}

type Driven = Vec<Vec<Option<Vec<u8>>>>;

async fn through_postgres(db: &Db, kinds: &[Kind], columns: &[usize], rows: &[TextRow]) -> Driven {
    let mut connection = PgConnection::connect(db.url()).await.unwrap();
    connection.execute("set timezone = 'UTC'; set intervalstyle = 'iso_8601'; set extra_float_digits = 1").await.unwrap();
    let places: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| match kinds[*column].like {
            Like::Bytes => format!("decode(${}::text, 'hex')", at + 2),
            _ => format!("${}::text::{}", at + 2, kinds[*column].ddl),
        })
        .collect();
    for (at, row) in rows.iter().enumerate() {
        let mut insert =
            sqlx::query(AssertSqlSafe(format!("insert into t values (1, $1, {})", places.join(", ")))).bind(at as i64);
        for value in row {
            insert = insert.bind(value.clone());
        }
        insert.execute(&mut connection).await.unwrap();
    }
    // Through the simple protocol everything comes as the server's own text.
    let found = sqlx::raw_sql("select * from t order by id").fetch_all(&mut connection).await.unwrap();
    found
        .iter()
        .map(|row| {
            let value = |at: usize| {
                let value = row.try_get_raw(at + 2).unwrap();
                (!value.is_null()).then(|| value.as_bytes().unwrap().to_vec())
            };
            (0..columns.len()).map(value).collect()
        })
        .collect()
}

async fn through_mysql(db: &Db, kinds: &[Kind], columns: &[usize], rows: &[TextRow]) -> Driven {
    let mut connection = MySqlConnection::connect(db.url()).await.unwrap();
    connection.execute("set sql_mode = ''").await.unwrap();
    let places: Vec<&str> = columns
        .iter()
        .map(|column| match kinds[*column].like {
            Like::Bytes => "unhex(?)",
            Like::Bits => "cast(? as unsigned)",
            _ => "?",
        })
        .collect();
    for (at, row) in rows.iter().enumerate() {
        let mut insert =
            sqlx::query(AssertSqlSafe(format!("insert into t values (1, ?, {})", places.join(", ")))).bind(at as i64);
        for value in row {
            insert = insert.bind(value.clone());
        }
        insert.execute(&mut connection).await.unwrap();
    }
    // Its text for a FLOAT has six digits; that of the same number as a DOUBLE has them all.
    let selected: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| if kinds[*column].like == Like::Float4 { format!("cast(c{at} as double)") } else { format!("c{at}") })
        .collect();
    let query = format!("select {} from t order by id", selected.join(", "));
    // Without preparing everything comes as the server's own text.
    let found = sqlx::raw_sql(AssertSqlSafe(query)).fetch_all(&mut connection).await.unwrap();
    found
        .iter()
        .map(|row| {
            let value = |at: usize| <&[u8] as Decode<MySql>>::decode(row.try_get_raw(at).unwrap()).ok().map(<[u8]>::to_vec);
            (0..columns.len()).map(value).collect()
        })
        .collect()
}

async fn archive_rows(db: &Db, fields: &str) -> Vec<BTreeMap<String, Box<RawValue>>> {
    let section = format!(
        "[[section]]\ncategories = [\"activity\"]\npath = [\"L\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"o\"\nquery = \"select * from t where o = :subject order by id\"\n[section.fields]\n{fields}"
    );
    let (made, _) = db.export(&db.catalogue(&section), "activity", "1", DataFormat::Json).await.unwrap();
    let mut document: BTreeMap<String, Vec<BTreeMap<String, Box<RawValue>>>> = serde_json::from_str(&made.json()).unwrap();
    document.remove("L").unwrap()
}

async fn server_round(engine: Engine, kinds: &[Kind], columns: &[usize], rows: &[TextRow]) {
    let declared: Vec<String> = columns.iter().enumerate().map(|(at, column)| format!("c{at} {}", kinds[*column].ddl)).collect();
    let db = Db::new(engine, &format!("create table t (o bigint, id bigint, {})", declared.join(", "))).await;
    let driven = match engine {
        Engine::Postgres => through_postgres(&db, kinds, columns, rows).await,
        _ => through_mysql(&db, kinds, columns, rows).await,
    };
    let moments = columns.iter().enumerate().filter(|(_, column)| kinds[**column].like == Like::Moment);
    let fields: String =
        moments.map(|(at, _)| format!("c{at} = {{ type = \"timestamp\", as = \"%Y-%m-%d %H:%M:%S.%6f\" }}\n")).collect();
    let archived = archive_rows(&db, &fields).await;
    assert_eq!(archived.len(), rows.len());
    for (row, driven) in archived.iter().zip(&driven) {
        for (at, column) in columns.iter().enumerate() {
            let kind = &kinds[*column];
            compare(kind.like, engine, kind.ddl, row[&format!("c{at}")].get(), driven[at].as_deref());
        }
    }
}

fn random_tables(engine: Engine, cases: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let kinds = kinds(engine);
    let mut runner = TestRunner::new(Config { cases, max_shrink_iters: 60, failure_persistence: None, ..Config::default() });
    let tables = tables(&kinds);
    runner
        .run(&tables, |(columns, rows)| {
            runtime.block_on(server_round(engine, &kinds, &columns, &rows));
            Ok(())
        })
        .unwrap();
    // However the dice fell: every type once, in one table.
    let all: Vec<usize> = (0..kinds.len()).collect();
    let row: Vec<_> = kinds.iter().map(|kind| prop::option::weighted(0.9, kind.values.clone())).collect();
    let mut runner = TestRunner::new(Config { cases: 2, max_shrink_iters: 0, failure_persistence: None, ..Config::default() });
    runner
        .run(&prop::collection::vec(row, 20), |rows| {
            runtime.block_on(server_round(engine, &kinds, &all, &rows));
            Ok(())
        })
        .unwrap();
}

#[test]
fn postgres() {
    if postgres_is_there() {
        random_tables(Engine::Postgres, 12);
    }
}

#[test]
fn mysql() {
    if mysql_is_there() {
        random_tables(Engine::Mysql, 12);
    }
}

fn sqlite_value() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(Value::Null),
        prop_oneof![Just(i64::MIN), Just(i64::MAX), any::<i64>()].prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Real),
        hostile().prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Blob),
    ]
    .boxed()
}

#[test]
fn sqlite() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let kinds = kinds(Engine::Sqlite);
    let tables = prop::collection::vec(0..kinds.len(), 1..8).prop_flat_map(|columns| {
        let row = vec![sqlite_value(); columns.len()];
        (Just(columns), prop::collection::vec(row, 0..12))
    });
    let mut runner = TestRunner::new(Config { cases: 40, max_shrink_iters: 60, failure_persistence: None, ..Config::default() });
    runner
        .run(&tables, |(columns, rows)| {
            runtime.block_on(sqlite_round(&kinds, &columns, &rows));
            Ok(())
        })
        .unwrap();
}

async fn sqlite_round(kinds: &[Kind], columns: &[usize], rows: &[Vec<Value>]) {
    let declared: Vec<String> = columns.iter().enumerate().map(|(at, column)| format!("c{at} {}", kinds[*column].ddl)).collect();
    let db = Db::new(Engine::Sqlite, &format!("create table t (o integer, id integer, {})", declared.join(", "))).await;
    let connection = rusqlite::Connection::open(db.folder.path().join("data.db")).unwrap();
    let insert = format!("insert into t values (1, ?{}, {})", columns.len() + 1, numbered(columns.len()));
    for (at, row) in rows.iter().enumerate() {
        let values = row.iter().cloned().chain([Value::Integer(at as i64)]);
        connection.execute(&insert, rusqlite::params_from_iter(values)).unwrap();
    }
    let archived = archive_rows(&db, "").await;
    assert_eq!(archived.len(), rows.len());
    let mut statement = connection.prepare("select * from t order by id").unwrap();
    let mut found = statement.query([]).unwrap();
    for row in &archived {
        let driven = found.next().unwrap().unwrap();
        for at in 0..columns.len() {
            let raw = row[&format!("c{at}")].get();
            let string = |wanted: &str| assert_eq!(serde_json::from_str::<String>(raw).unwrap(), wanted);
            match driven.get_ref(at + 2).unwrap() {
                ValueRef::Null => assert_eq!(raw, "null"),
                ValueRef::Integer(number) => assert_eq!(raw, number.to_string()),
                ValueRef::Real(number) if number.is_finite() => assert_eq!(raw.parse::<f64>().unwrap(), number),
                ValueRef::Real(number) => string(if number > 0.0 { "Infinity" } else { "-Infinity" }),
                ValueRef::Text(text) => string(std::str::from_utf8(text).unwrap()),
                ValueRef::Blob(bytes) => string(&STANDARD.encode(bytes)),
            }
        }
    }
}

fn numbered(count: usize) -> String {
    (1..=count).map(|at| format!("?{at}")).collect::<Vec<_>>().join(", ")
}
