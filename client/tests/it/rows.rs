//! The archive's own golden files, read as an app reads them: both forms hold the same values.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use portward_client::rows::{CsvRows, Field, ndjson};
use serde_json::{Map, Value};

fn golden(form: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../archive/tests/it/golden", form].iter().collect()
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// The value in CSV as JSON has it.
fn value(field: &Field, beside: &Value) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bare(text) => serde_json::from_str(text).unwrap(),
        // What is no text in JSON is JSON in a text.
        Field::Text(text) if !beside.is_string() => serde_json::from_str(text).unwrap(),
        Field::Text(text) => Value::from(text.as_str()),
    }
}

#[test]
fn both_forms_give_the_same_rows() {
    let mut found = Vec::new();
    files(&golden("ndjson"), &mut found);
    let mut rows = 0;
    for lines in &found {
        let table = golden("csv").join(lines.strip_prefix(golden("ndjson")).unwrap()).with_extension("csv");
        let open = |path: &Path| BufReader::new(File::open(path).unwrap());
        let mut table_rows = CsvRows::new(open(&table)).unwrap();
        let columns = table_rows.columns().to_vec();
        for line in ndjson::<Map<String, Value>>(open(lines)) {
            let line = line.unwrap();
            let row = table_rows.next().unwrap().unwrap();
            assert_eq!(line.keys().collect::<Vec<_>>(), columns.iter().collect::<Vec<_>>(), "{}", table.display());
            for ((name, wanted), field) in line.iter().zip(&row) {
                assert_eq!(value(field, wanted), *wanted, "{name} of {}", table.display());
            }
            rows += 1;
        }
        assert!(table_rows.next().is_none(), "{}", table.display());
    }
    assert!(found.len() > 5 && rows > 8, "{} files with {rows} rows", found.len());
}
