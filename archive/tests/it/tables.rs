//! NDJSON and CSV: a file for each section, whose values are those of the document; and the schemas that all of them keep to.

use archive::catalogue::Catalogue;
use archive::catalogue::contents::Contents;
use archive::catalogue::schema;
use archive::write::Format;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use crate::both;
use crate::support::{Db, Engine, Made};

const DATA: &str = "
    create table t (o bigint, i bigint, g varchar(20), w varchar(200), n bigint, d varchar(40));
    create table inner_t (o bigint, i bigint, w varchar(200));
    create table p (id bigint, name varchar(40));
    insert into t values
        (7, 1, 'a', '=1+1', -5, '{\"k\": [1, \"=2\"]}'), (7, 2, 'a', '', null, null), (7, 3, 'b', null, 7, '\"text\"'),
        (7, 4, '+b', 'two\r\nlines, \"quoted\"', 0, '[ ]');
    insert into inner_t values (7, 1, 'first'), (7, 1, 'a \"second\",'), (7, 4, null);
    insert into p values (7, 'seven');
";

fn list(path: &str, shape: &str, query: &str, more: &str) -> String {
    format!(
        "[[section]]\ncategories = [\"activity\"]\npath = [{path}]\nsource = \"db\"\nshape = {shape}\nowner = \"o\"\nquery = '''{query}'''\n{more}\n"
    )
}

fn every_shape() -> String {
    let fields = "[section.fields]\nw = { type = \"string\", label = \"Words\", meaning = \"What was said\" }\n\
                  n = { type = \"integer\" }\nd = { type = \"json\" }\n";
    let nest = "[[section.nest]]\nfield = \"Items\"\nowner = \"o\"\non = [\"i\"]\n\
                query = '''select o, i, w from inner_t where o = :subject order by i, w'''\n\
                [section.nest.fields]\nw = { type = \"string\" }\n";
    let lookup = "text = \"Looked up.txt\"\n[[section.lookup]]\ncolumn = \"n\"\nsource = \"db\"\nkey = \"id\"\nowner = \"unchecked\"\nreason = \"things\"\n\
                  fields = { name = \"Name\" }\nquery = \"select id, name from p where id in (:keys)\"\n";
    [
        list("\"A\", \"List\"", "\"list\"", "select o, w, n, d from t where o = :subject order by i", fields),
        list("\"A\", \"Open\"", "\"list\"", "select o, w, n from t where o = :subject order by i", ""),
        list("\"A\", \"None\"", "\"list\"", "select o, w as \"W\", n from t where o = :subject and n = 99", ""),
        list(
            "\"Nested\"",
            "\"list\"\nhidden = [\"i\"]",
            "select o, i, g from t where o = :subject order by i",
            &format!("{nest}[section.fields]\ng = {{ type = \"string\" }}\n"),
        ),
        list("\"Looked: up?\"", "\"list\"", "select o, n from t where o = :subject order by i", lookup),
        list("\"Groups\"", "\"groups\"\ngroup = \"g\"", "select o, g, w from t where o = :subject order by i", ""),
        list("\"Map\"", "\"map\"\ngroup = \"i\"\nempty = \"{}\"", "select o, i, w from t where o = :subject order by i", ""),
        list("\"Object\"", "\"object\"", "select o, w, n from t where o = :subject and i = 1", ""),
        list("\"Value\"", "\"value\"", "select o, w from t where o = :subject and i = 4", ""),
        list(
            "\"No value\"",
            "\"value\"",
            "select o, w from t where o = :subject and i = 99",
            "[section.fields]\nw = { type = \"string\" }\n",
        ),
        "[[section]]\ncategories = [\"activity\"]\npath = [\"Fixed\"]\nshape = \"constant\"\nvalue = [1, \"two\"]\n".to_owned(),
        "[[section]]\ncategories = [\"activity\"]\npath = [\"Never\"]\nshape = \"constant\"\nvalue = []\n".to_owned(),
    ]
    .concat()
}

/// A CSV file as records of fields, each with whether it stood in quotes.
fn records(text: &str) -> Vec<Vec<(bool, String)>> {
    let mut records = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut record = Vec::new();
        loop {
            let field = if let Some(quoted) = rest.strip_prefix('"') {
                let mut value = String::new();
                let mut inner = quoted;
                loop {
                    let (before, after) = inner.split_once('"').expect("a quote that is closed");
                    value.push_str(before);
                    inner = after;
                    let Some(next) = inner.strip_prefix('"') else { break };
                    value.push('"');
                    inner = next;
                }
                rest = inner;
                (true, value)
            } else {
                let end = rest.find([',', '\r']).expect("an end of the line");
                let (value, after) = rest.split_at(end);
                assert!(!value.contains(['"', '\n']));
                rest = after;
                (false, value.to_owned())
            };
            record.push(field);
            match rest.strip_prefix(',') {
                Some(next) => rest = next,
                None => break,
            }
        }
        rest = rest.strip_prefix("\r\n").expect("a line end of RFC 4180");
        records.push(record);
    }
    // Somebody else's reader sees the same, but that it passes over lines with nothing in them.
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let theirs: Vec<Vec<String>> = reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
    let is_blank = |record: &Vec<(bool, String)>| matches!(record.as_slice(), [(false, value)] if value.is_empty());
    let ours = records.iter().filter(|record| !is_blank(record));
    let ours: Vec<Vec<String>> = ours.map(|record| record.iter().map(|(_, value)| value.clone()).collect()).collect();
    assert_eq!(ours, theirs);
    records
}

/// Whether a reader makes of a field what stands in the document.
fn is_same((quoted, written): &(bool, String), value: &Value) -> bool {
    if !quoted {
        return match written.as_str() {
            "" => value.is_null(),
            bare => serde_json::from_str::<Value>(bare).is_ok_and(|bare| bare == *value && !bare.is_string()),
        };
    }
    let skipped = written.trim_start_matches(|c: char| c.is_whitespace() || c.is_control() || "\"'".contains(c));
    assert!(
        written.starts_with('\'') || !skipped.starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠']),
        "{written:?} may be a formula"
    );
    let exact = written.strip_prefix('\'').unwrap_or(written);
    match value {
        Value::String(text) => text == exact || serde_json::from_str::<Value>(exact).is_ok_and(|read| read == *value),
        other => serde_json::from_str::<Value>(exact).is_ok_and(|read| read == *other),
    }
}

/// The rows of a section in the document, as they stand in a file of their own.
fn rows(contents: &Contents, at: usize, document: &Value) -> Vec<Map<String, Value>> {
    let section = &contents.sections[at];
    let value = section.path.iter().fold(document, |value, key| &value[key]);
    let object = |value: &Value| value.as_object().cloned().unwrap();
    let keyed = |key: &String, row: &Value| {
        let mut keyed = Map::new();
        keyed.insert(section.key.as_ref().unwrap().name.clone(), key.clone().into());
        keyed.extend(object(row));
        keyed
    };
    let empty: Value = serde_json::from_str(&section.empty).unwrap();
    match section.shape.as_str() {
        "list" | "object" | "groups" | "map" if *value == empty => Vec::new(),
        "list" => value.as_array().unwrap().iter().map(object).collect(),
        "object" => vec![object(value)],
        "groups" => {
            let groups = value.as_object().unwrap().iter();
            groups.flat_map(|(key, rows)| rows.as_array().unwrap().iter().map(move |row| keyed(key, row))).collect()
        }
        "map" => value.as_object().unwrap().iter().map(|(key, row)| keyed(key, row)).collect(),
        _ if matches!(value.to_string().as_str(), "null" | "[]" | "{}") => Vec::new(),
        _ => vec![Map::from_iter([(section.path.last().unwrap().clone(), value.clone())])],
    }
}

/// All three forms say the same, and keep to their schemas.
fn agree(catalogue: &Catalogue, document: &Value, ndjson: &Made, csv: &Made) {
    let contents = Contents::of(catalogue);
    for category in ["activity", "activities", "all_data"] {
        valid(&schema::of_category(catalogue, category), document);
    }
    let names = |ending: &str| contents.sections.iter().map(|section| format!("{}.{ending}", section.file)).collect::<Vec<_>>();
    let (lines, tables) = (ndjson.members(), csv.members());
    assert_eq!(lines.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), names("ndjson"));
    assert_eq!(tables.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>(), names("csv"));
    for (at, section) in contents.sections.iter().enumerate() {
        let wanted = rows(&contents, at, document);
        let schema = schema::line(&contents, section);
        let text = &lines[at].1;
        assert!(text.is_empty() || text.ends_with('\n'), "{}", section.name());
        assert!(!text.contains(['\r', '\u{2028}', '\u{2029}']));
        let read: Vec<Map<String, Value>> = text.split_terminator('\n').map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, wanted, "{}", section.name());
        let read: Vec<Value> = read.into_iter().map(Value::Object).collect();
        all_valid(&schema, &read);
        let records = records(&tables[at].1);
        let (head, records) = records.split_first().expect("a table has a header");
        let mut fields: Vec<&str> = head.iter().map(|(_, name)| name.as_str()).collect();
        assert!(head.iter().all(|(quoted, _)| *quoted));
        assert_eq!(records.len(), wanted.len(), "{}", section.name());
        for (record, wanted) in records.iter().zip(&wanted) {
            assert_eq!(record.len(), wanted.len());
            assert_eq!(fields, wanted.keys().map(String::as_str).collect::<Vec<_>>(), "{}", section.name());
            for (field, (name, value)) in record.iter().zip(wanted) {
                assert!(is_same(field, value), "{}: {name}: {field:?} is not {value}", section.name());
            }
        }
        if section.constant.is_none() && section.shape != "value" {
            let mut known: Vec<&str> = section.key.iter().chain(&section.fields).map(|field| field.name.as_str()).collect();
            known.sort_unstable();
            fields.sort_unstable();
            assert_eq!(fields, known);
        }
    }
}

fn valid(schema: &Value, instance: &Value) {
    all_valid(schema, std::slice::from_ref(instance));
}

fn all_valid(schema: &Value, instances: &[Value]) {
    let validator = jsonschema::draft202012::new(schema).unwrap();
    if let Some(instance) = instances.iter().find(|instance| !validator.is_valid(instance)) {
        let errors: Vec<String> =
            validator.iter_errors(instance).map(|error| format!("{}: {error}", error.instance_path())).collect();
        panic!("{errors:#?}\n{schema:#}");
    }
}

async fn every_shape_has_its_file(engine: Engine) {
    let db = Db::new(engine, DATA).await;
    let catalogue = db.catalogue(&every_shape());
    let sources = db.sources(&catalogue).await;
    assert_eq!(sources.check(&catalogue).await, []);
    for person in ["7", "8"] {
        let (document, _) = db.export(&catalogue, "all_data", person, Format::Json).await.unwrap();
        let (ndjson, summary) = db.export(&catalogue, "all_data", person, Format::Ndjson).await.unwrap();
        let (csv, again) = db.export(&catalogue, "all_data", person, Format::Csv).await.unwrap();
        agree(&catalogue, &document.value(), &ndjson, &csv);
        let rows = |of: &archive::write::Summary| of.sections.iter().map(|section| section.rows).collect::<Vec<_>>();
        assert_eq!(rows(&summary), rows(&again));
        let (twin, _) = db.export(&catalogue, "all_data", person, Format::Csv).await.unwrap();
        assert_eq!(std::fs::read(csv.path()).unwrap(), std::fs::read(twin.path()).unwrap());
    }
    let contents = Contents::of(&catalogue);
    let schemas = contents.sections.iter().map(|section| schema::line(&contents, section));
    for schema in schemas.chain([schema::of_category(&catalogue, "all_data")]) {
        assert!(jsonschema::meta::is_valid(&schema), "{schema:#}");
    }
    let (csv, _) = db.export(&catalogue, "activity", "7", Format::Csv).await.unwrap();
    assert_eq!(
        csv.text("A/List.csv"),
        "\"w\",\"n\",\"d\"\r\n\
         \"'=1+1\",-5,\"{\"\"k\"\": [1, \"\"=2\"\"]}\"\r\n\
         \"\",,\r\n\
         ,7,\"\"\"text\"\"\"\r\n\
         \"two\r\nlines, \"\"quoted\"\"\",0,\"[ ]\"\r\n"
    );
    assert_eq!(csv.text("A/None.csv"), "\"W\",\"n\"\r\n");
    assert_eq!(
        csv.text("Groups.csv"),
        "\"g\",\"w\"\r\n\"a\",\"'=1+1\"\r\n\"a\",\"\"\r\n\"b\",\r\n\"'+b\",\"two\r\nlines, \"\"quoted\"\"\"\r\n"
    );
    assert_eq!(csv.text("Fixed.csv"), "\"Fixed\"\r\n\"[1,\"\"two\"\"]\"\r\n");
    assert_eq!(csv.text("Never.csv"), "\"Never\"\r\n");
    let nested = csv.text("Nested.csv");
    let first =
        "\"g\",\"Items\"\r\n\"a\",\"[{\"\"w\"\":\"\"a \\\"\"second\\\"\",\"\"},{\"\"w\"\":\"\"first\"\"}]\"\r\n\"a\",\"[]\"\r\n";
    assert!(nested.starts_with(first), "{nested}");
    let (ndjson, _) = db.export(&catalogue, "activity", "7", Format::Ndjson).await.unwrap();
    assert_eq!(ndjson.text("Map.ndjson").lines().next(), Some(r#"{"i":"1","w":"=1+1"}"#));
    assert_eq!(ndjson.text("Never.ndjson") + &ndjson.text("No value.ndjson"), "");
    assert_eq!(ndjson.text("Value.ndjson"), "{\"Value\":\"two\\r\\nlines, \\\"quoted\\\"\"}\n");
}

both!(shapes, super::every_shape_has_its_file);

fn texts() -> BoxedStrategy<Option<String>> {
    let nasty = [
        "",
        "'",
        "''",
        "=1+1",
        "+1",
        "-1",
        "@a",
        "\t=",
        "\r",
        "\n",
        "\"=",
        " =",
        "＝1",
        "a,b",
        "a\"b",
        "\u{feff}=1",
        "\u{2028}",
        "null",
        "true",
        "1",
        "[1]",
    ];
    prop_oneof![
        Just(None),
        proptest::sample::select(nasty.to_vec()).prop_map(|text| Some(text.to_owned())),
        "[^\\x00]{0,12}".prop_map(Some),
        "[=+@ \t\r\n\"',;-]{0,6}".prop_map(Some),
    ]
    .boxed()
}

type Row = (Option<String>, Option<String>, Option<f64>, Option<String>, Option<Vec<u8>>, usize);

/// Hostile rows: every value comes back.
#[test]
fn every_value_comes_back() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let tables = "create table t (o bigint, i bigint, g text, s text, x, n, j text, b blob);
                  create table k (o bigint, i bigint, s text, j text);";
    let db = runtime.block_on(Db::new(Engine::Sqlite, tables));
    let fields = "[section.fields]\ns = { type = \"string\" }\nn = { type = \"number\" }\nj = { type = \"json\" }\n";
    let nest = "[[section.nest]]\nfield = \"K\"\nowner = \"o\"\non = [\"i\"]\n\
                query = '''select o, i, s, j from k where o = :subject order by i'''\n\
                [section.nest.fields]\ns = { type = \"string\" }\nj = { type = \"json\" }\n";
    let query = "select o, i, s, x, n, j, b from t where o = :subject order by i";
    let nested = list("\"L\"", "\"list\"\nhidden = [\"i\"]", query, &format!("{nest}{fields}"));
    let map = list("\"M\"", "\"map\"\ngroup = \"g\"", "select o, g, x, s from t where o = :subject order by i", "");
    let catalogue = db.catalogue(&(nested + &map));
    let sources = runtime.block_on(db.sources(&catalogue));
    let json = prop_oneof![
        Just(None),
        texts().prop_map(|text| Some(json!(text).to_string())),
        texts().prop_map(|text| Some(format!("[1,\r\n {}, {{\n\"a\": null}} ]", json!(text)))),
        Just(Some(" \n-12.5e3\t".to_owned())),
    ];
    let bytes = prop::option::of(prop::collection::vec(any::<u8>(), 0..6));
    let row = (texts(), texts(), prop::option::of(any::<f64>()), json, bytes, 0..3_usize);
    let connection = std::cell::RefCell::new(rusqlite::Connection::open(db.folder.path().join("data.db")).unwrap());
    let run = |rows: Vec<Row>| {
        let mut connection = connection.borrow_mut();
        let all = connection.transaction().unwrap();
        all.execute_batch("delete from t; delete from k").unwrap();
        for (at, (s, x, n, j, b, nested)) in (0_i64..).zip(&rows) {
            let key = format!("{}{at}", s.as_deref().unwrap_or("=").chars().take(3).collect::<String>());
            all.execute("insert into t values (7, ?1, ?2, ?3, ?4, ?5, ?6, ?7)", rusqlite::params![at, key, s, x, n, j, b])
                .unwrap();
            for _ in 0..*nested {
                all.execute("insert into k values (7, ?1, ?2, ?3)", rusqlite::params![at, x, j]).unwrap();
            }
        }
        all.commit().unwrap();
        let made = |format| runtime.block_on(crate::support::export(&catalogue, &sources, "all_data", "7", format)).unwrap().0;
        agree(&catalogue, &made(Format::Json).value(), &made(Format::Ndjson), &made(Format::Csv));
    };
    TestRunner::new(Config { cases: 24, ..Config::default() })
        .run(&prop::collection::vec(row, 0..6), |rows| {
            run(rows);
            Ok(())
        })
        .unwrap();
    // Enough for many buffers.
    let row = |at: u32| {
        (Some(format!("row \"{at}\"").repeat(20)), None, Some(f64::from(at)), Some("[1, 2]".to_owned()), None, at as usize % 3)
    };
    run((0..2_000).map(row).collect());
}
