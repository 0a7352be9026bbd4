//! A range is half open, and means the same to every column that holds times.

use archive::write::{Failure, SectionSummary};
use serde_json::Value;
use wire::DataFormat;

use crate::both;
use crate::support::{Db, Engine, Made, order};

/// 2026-03-01T10:00:00Z, in seconds.
const TEN: i64 = 1_772_359_200;

fn section(table: &str, more: &str) -> String {
    let column = if more.contains("time = ") { "" } else { "time = \"t\"\n" };
    format!(
        "[[section]]\ncategories = [\"activity\"]\npath = [\"L\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"u\"\nhidden = [\"t\"]\n{column}{more}\
         query = '''select u, n, t from {table} where u = :subject and t >= :since and t < :until order by n'''\n"
    )
}

async fn of(
    db: &Db,
    text: &str,
    since: Option<&str>,
    until: Option<&str>,
) -> Result<(Value, SectionSummary), archive::write::ExportError> {
    let catalogue = db.catalogue(text);
    let sources = db.sources(&catalogue).await;
    assert_eq!(sources.check(&catalogue).await, []);
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut order = order("activity", "7", DataFormat::Json);
    order.since = since.map(|at| at.parse().unwrap());
    order.until = until.map(|at| at.parse().unwrap());
    let handle = file.reopen().unwrap();
    let cancel = tokio_util::sync::CancellationToken::new();
    let summary = archive::write::write(catalogue.clone(), &sources, order, handle, std::sync::Arc::default(), cancel).await?;
    Ok((Made { file }.value(), summary.sections[0].clone()))
}

async fn numbers(db: &Db, text: &str, since: Option<&str>, until: Option<&str>) -> Vec<i64> {
    let (value, summary) = of(db, text, since, until).await.unwrap();
    assert!(!summary.whole);
    value["L"].as_array().unwrap().iter().map(|row| row["n"].as_i64().unwrap()).collect()
}

const AT: &str = "2026-03-01T10:00:00Z";
const LATER: &str = "2026-03-01T10:00:02Z";

/// Rows at 9:59:59, 10:00:00, 10:00:01 and 10:00:02, numbered from 1.
async fn borders(db: &Db, text: &str) {
    assert_eq!(numbers(db, text, Some(AT), Some(LATER)).await, [2, 3], "{text}");
    assert_eq!(numbers(db, text, Some(AT), None).await, [2, 3, 4], "{text}");
    assert_eq!(numbers(db, text, None, Some(AT)).await, [1], "{text}");
    assert_eq!(numbers(db, text, None, None).await, [1, 2, 3, 4], "{text}");
    assert_eq!(numbers(db, text, Some(AT), Some(AT)).await, [0; 0], "{text}");
    // Between two seconds, what is stored in whole ones is after the first and before the second.
    assert_eq!(numbers(db, text, Some("2026-03-01T10:00:00.5Z"), Some("2026-03-01T10:00:01.000001Z")).await, [3], "{text}");
    // An offset names the same moment; far edges are no harm.
    assert_eq!(numbers(db, text, Some("2026-03-01T11:00:02+01:00"), None).await, [4], "{text}");
    assert_eq!(numbers(db, text, Some("-009000-01-01T00:00:00Z"), Some("9000-01-01T00:00:00Z")).await, [1, 2, 3, 4], "{text}");
}

async fn every_unit_has_the_same_borders(engine: Engine) {
    let db = Db::new(engine, "create table none (u bigint)").await;
    let mut cases = vec![("s", "bigint", "unix_s"), ("ms", "bigint", "unix_ms"), ("us", "bigint", "unix_us")];
    if engine == Engine::Postgres {
        cases.extend([("f", "double precision", "unix_s"), ("i", "integer", "unix_s"), ("d", "numeric", "unix_ms")]);
    } else {
        cases.extend([("f", "real", "unix_s")]);
    }
    for (table, column, from) in cases {
        let by = match from {
            "unix_s" => 1,
            "unix_ms" => 1_000,
            _ => 1_000_000,
        };
        let rows: Vec<String> = (1..=4).map(|n| format!("(7, {n}, {})", (TEN - 2 + n) * by)).collect();
        db.run(&format!(
            "create table {table} (u bigint, n bigint, t {column}); insert into {table} values {};",
            rows.join(", ")
        ))
        .await;
        borders(&db, &section(table, &format!("time_from = \"{from}\"\n"))).await;
    }
}

async fn texts_and_the_databases_own_types(engine: Engine) {
    let rows = |format: &str| {
        ["09:59:59", "10:00:00", "10:00:01", "10:00:02"]
            .iter()
            .enumerate()
            .map(|(at, time)| format!("(7, {}, '{}')", at + 1, format.replace("%", time)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let db = Db::new(engine, "create table none (u bigint)").await;
    if engine == Engine::Sqlite {
        db.run(&format!("create table a (u integer, n integer, t text); insert into a values {};", rows("2026-03-01 %"))).await;
        borders(&db, &section("a", "time_from = \"text\"\n")).await;
        db.run(&format!("create table b (u integer, n integer, t text); insert into b values {};", rows("2026-03-01T%Z"))).await;
        borders(&db, &section("b", "time_from = \"text\"\ntime_as = \"%Y-%m-%dT%H:%M:%SZ\"\n")).await;
        // Fractions that are stored are compared too.
        db.run("insert into a values (7, 5, '2026-03-01 10:00:01.250'), (7, 6, '2026-03-01 10:00:01.500')").await;
        let text = section("a", "time_from = \"text\"\n");
        assert_eq!(numbers(&db, &text, Some("2026-03-01T10:00:01.25Z"), Some("2026-03-01T10:00:01.5Z")).await, [5]);
    } else {
        for (table, column) in [("a", "timestamp"), ("b", "timestamptz")] {
            let values = rows("2026-03-01 %+00");
            db.run(&format!("create table {table} (u bigint, n bigint, t {column}); insert into {table} values {values};")).await;
            borders(&db, &section(table, "")).await;
        }
        db.run("insert into a values (7, 5, '2026-03-01 10:00:01.000001'), (7, 6, 'infinity')").await;
        // Infinity itself is not before infinity, which stands for no end.
        assert_eq!(numbers(&db, &section("a", ""), Some("2026-03-01T10:00:01.0000005Z"), None).await, [4, 5]);
    }
}

async fn a_day_is_its_first_moment(engine: Engine) {
    let column = if engine == Engine::Postgres { "date" } else { "text" };
    let db = Db::new(
        engine,
        &format!("create table d (u bigint, n bigint, t {column}); insert into d values (7, 1, '2026-03-01'), (7, 2, '2026-03-02'), (7, 3, '2026-03-03')"),
    )
    .await;
    let text =
        section("d", "").replace("hidden = [\"t\"]\n", "") + "[section.fields]\nt = { type = \"date\", from = \"text\" }\n";
    assert_eq!(numbers(&db, &text, Some("2026-03-02T00:00:00Z"), Some("2026-03-03T00:00:00Z")).await, [2]);
    assert_eq!(numbers(&db, &text, Some("2026-03-01T10:00:00Z"), Some("2026-03-02T00:00:01Z")).await, [2]);
    assert_eq!(numbers(&db, &text, None, Some("2026-03-01T10:00:00Z")).await, [1]);
}

async fn what_has_no_times_is_whole_and_says_so(engine: Engine) {
    let db = Db::new(engine, "create table w (u bigint, n bigint); insert into w values (7, 1), (7, 2)").await;
    let text = "[[section]]\ncategories = [\"activity\"]\npath = [\"L\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"u\"\n\
                query = '''select u, n from w where u = :subject order by n'''\n";
    let (value, summary) = of(&db, text, Some(AT), None).await.unwrap();
    assert_eq!((value["L"].as_array().unwrap().len(), summary.whole), (2, true));
    assert!(!of(&db, text, None, None).await.unwrap().1.whole);
}

/// PostgreSQL knows a number's type and not what it counts; SQLite knows neither, and there the catalogue is refused.
async fn what_a_number_counts_must_be_said(engine: Engine) {
    let db = Db::new(engine, "create table q (u bigint, n bigint, t bigint); insert into q values (7, 1, 1)").await;
    match engine {
        Engine::Sqlite => {
            let text = crate::support::head(engine, db.url(), "") + &section("q", "");
            let error = crate::support::parse(&text).unwrap_err().to_string();
            assert!(error.contains("nothing says how its column stores times; write time_from"), "{error}");
        }
        Engine::Mysql => {}
        Engine::Postgres => {
            let catalogue = db.catalogue(&section("q", ""));
            let sources = db.sources(&catalogue).await;
            let faults = sources.check(&catalogue).await;
            assert!(faults.len() == 1 && faults[0].to_string().contains("write time_from"), "{faults:?}");
            let file = tempfile::tempfile().unwrap();
            let mut order = order("activity", "7", DataFormat::Json);
            order.since = Some(AT.parse().unwrap());
            let cancel = tokio_util::sync::CancellationToken::new();
            let result = archive::write::write(catalogue, &sources, order, file, std::sync::Arc::default(), cancel).await;
            let archive::write::ExportError::Section { failure: Failure::Query(words), .. } = result.unwrap_err() else {
                panic!()
            };
            assert!(words.contains("time_from"), "{words}");
        }
    }
}

/// Nested rows have the range of the rows that they stand in.
async fn nested_rows_have_the_same_range(engine: Engine) {
    let db = Db::new(
        engine,
        "create table o (id bigint, u bigint, n bigint, t bigint); create table l (id bigint, u bigint, pos bigint);
         insert into o values (1, 7, 1, 1772359199), (2, 7, 2, 1772359200), (3, 7, 3, 1772359201), (4, 7, 4, 1772359202);
         insert into l values (1, 7, 1), (2, 7, 1), (2, 7, 2), (4, 7, 1);",
    )
    .await;
    let text = "[[section]]\ncategories = [\"activity\"]\npath = [\"L\"]\nsource = \"db\"\nshape = \"list\"\nowner = \"u\"\nhidden = [\"id\"]\ntime = \"t\"\n\
                query = 'select id, u, n, t from o where u = :subject and t >= :since and t < :until order by id'\n\
                [section.fields]\nt = { type = \"timestamp\", from = \"unix_s\" }\n\
                [[section.nest]]\nfield = \"Lines\"\nowner = \"u\"\non = [\"id\"]\n\
                query = 'select l.id, l.u, l.pos from l join o on o.id = l.id where o.u = :subject and t >= :since and t < :until order by l.id, pos'\n";
    assert_eq!(numbers(&db, text, Some(AT), Some(LATER)).await, [2, 3]);
    let (value, summary) = of(&db, text, Some(AT), Some(LATER)).await.unwrap();
    assert_eq!(value["L"][0]["Lines"], serde_json::json!([{"pos": 1}, {"pos": 2}]));
    assert_eq!(summary.nested, [("Lines".to_owned(), 2)]);
    let (_, summary) = of(&db, text, None, None).await.unwrap();
    assert_eq!(summary.nested, [("Lines".to_owned(), 4)]);
}

both!(nested, super::nested_rows_have_the_same_range);
both!(units, super::every_unit_has_the_same_borders);
both!(types, super::texts_and_the_databases_own_types);
both!(days, super::a_day_is_its_first_moment);
both!(whole, super::what_has_no_times_is_whole_and_says_so);
both!(unsaid, super::what_a_number_counts_must_be_said);
