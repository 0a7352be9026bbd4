//! Reading the tables of an archive, in flat memory: NDJSON and CSV, as `/v1` gives them. Unpack the archive with whatever you like; a reader takes one of its
//! files, or a member as it is unpacked.
//!
//! ```
//! use portward_client::rows::{CsvRows, Field, ndjson};
//!
//! let orders = "{\"Title\":\"Pen\",\"Price\":1.50}\n";
//! for order in ndjson::<serde_json::Value>(orders.as_bytes()) {
//!     assert_eq!(order?["Title"], "Pen");
//! }
//! let mut orders = CsvRows::new("\"Title\",\"Price\"\r\n\"'=pen\",1.50\r\n".as_bytes())?;
//! let title = orders.column("Title").unwrap();
//! assert_eq!(orders.next().unwrap()?[title], Field::Text("=pen".into()));
//! # Ok::<(), portward_client::rows::RowError>(())
//! ```

use std::io::{self, BufRead, Read};
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

/// The most bytes that a row may have: 128 MiB.
pub const MOST_BYTES: usize = 128 << 20;

/// Why a row could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// The file could not be read.
    #[error("the rows cannot be read: {0}")]
    Io(#[from] io::Error),
    /// A row is not what it should be.
    #[error("row {row} {what}")]
    Row {
        /// Which, from 1; of CSV without the first line, which is 0.
        row: u64,
        /// What is wrong with it.
        what: String,
    },
}

/// Reads NDJSON: a value of your type for every line. `serde_json::Value` takes any; a type of your own with `serde_json::value::RawValue` or strings in
/// its fields keeps numbers with all their digits. After an error there is nothing more.
pub fn ndjson<T: DeserializeOwned>(from: impl BufRead) -> impl Iterator<Item = Result<T, RowError>> {
    Lines { from, line: Vec::new(), row: 0, ended: false, of: PhantomData }
}

struct Lines<R, T> {
    from: R,
    line: Vec<u8>,
    row: u64,
    ended: bool,
    of: PhantomData<fn() -> T>,
}

impl<R: BufRead, T: DeserializeOwned> Lines<R, T> {
    fn read(&mut self) -> Result<Option<T>, RowError> {
        self.line.clear();
        // One more than allowed, so that too long a line is told from one of just that length.
        let count = (&mut self.from).take(MOST_BYTES as u64 + 1).read_until(b'\n', &mut self.line)?;
        if count == 0 {
            return Ok(None);
        }
        self.row += 1;
        let wrong = |what: String| RowError::Row { row: self.row, what };
        if self.line.pop() != Some(b'\n') {
            return Err(wrong(if count > MOST_BYTES { too_long() } else { "has no end: the file was cut off".to_owned() }));
        }
        serde_json::from_slice(&self.line).map(Some).map_err(|error| wrong(format!("is not what was expected: {error}")))
    }
}

impl<R: BufRead, T: DeserializeOwned> Iterator for Lines<R, T> {
    type Item = Result<T, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let read = self.read().transpose();
        self.ended = !matches!(read, Some(Ok(_)));
        read
    }
}

fn too_long() -> String {
    format!("has more than {MOST_BYTES} bytes")
}

/// A value of a CSV file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Nothing: null.
    Null,
    /// A text, exactly as it was: what was put before it against spreadsheets is taken away. Nested rows and JSON are texts of JSON.
    Text(String),
    /// A number, `true` or `false`, as it is written: no digit is lost.
    Bare(String),
}

impl Field {
    /// The value as it is written; none for null.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Null => None,
            Self::Text(text) | Self::Bare(text) => Some(text),
        }
    }
}

/// Reads CSV: the values of every row, in the order of the columns. After an error there is nothing more.
#[derive(Debug)]
pub struct CsvRows<R> {
    from: R,
    columns: Vec<String>,
    row: u64,
    ended: bool,
}

impl<R: BufRead> CsvRows<R> {
    /// Begins, with the line that names the columns. A file that is empty has no columns and no rows.
    pub fn new(from: R) -> Result<Self, RowError> {
        let mut rows = Self { from, columns: Vec::new(), row: 0, ended: false };
        match rows.record()? {
            None => rows.ended = true,
            Some(names) => {
                let names = names.into_iter().map(|name| match name {
                    Field::Text(name) | Field::Bare(name) => name,
                    Field::Null => String::new(),
                });
                rows.columns = names.collect();
            }
        }
        Ok(rows)
    }

    /// The columns' names.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Where the values of a column stand in a row.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    fn wrong(&self, what: impl Into<String>) -> RowError {
        RowError::Row { row: self.row, what: what.into() }
    }

    /// One record; none at the end.
    fn record(&mut self) -> Result<Option<Vec<Field>>, RowError> {
        let (mut bytes, mut quotes) = (Vec::new(), 0);
        // A record ends with the first line break that is not between quotes.
        loop {
            let before = bytes.len();
            let left = (MOST_BYTES + 1).saturating_sub(before) as u64;
            let count = (&mut self.from).take(left).read_until(b'\n', &mut bytes)?;
            if bytes.len() > MOST_BYTES {
                return Err(self.wrong(too_long()));
            }
            if count == 0 && before == 0 {
                return Ok(None);
            }
            if count == 0 || bytes.last() != Some(&b'\n') {
                return Err(self.wrong("has no end: the file was cut off"));
            }
            quotes += bytes.iter().skip(before).filter(|byte| **byte == b'"').count();
            if quotes % 2 == 0 {
                break;
            }
        }
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        let text = String::from_utf8(bytes).map_err(|_| self.wrong("is not UTF-8"))?;
        let mut fields = Vec::with_capacity(self.columns.len());
        let mut rest = text.as_str();
        loop {
            let (field, behind) = field(rest).ok_or_else(|| self.wrong("has quotes where none belong"))?;
            fields.push(field);
            match behind {
                Some(behind) => rest = behind,
                None => return Ok(Some(fields)),
            }
        }
    }
}

impl<R: BufRead> Iterator for CsvRows<R> {
    type Item = Result<Vec<Field>, RowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        self.row += 1;
        let read = match self.record() {
            Ok(Some(fields)) if fields.len() != self.columns.len() => {
                Err(self.wrong(format!("has {} values for {} columns", fields.len(), self.columns.len())))
            }
            read => read,
        };
        self.ended = !matches!(read, Ok(Some(_)));
        read.transpose()
    }
}

/// The first field of what is left, and what stands behind its comma.
fn field(rest: &str) -> Option<(Field, Option<&str>)> {
    let Some(quoted) = rest.strip_prefix('"') else {
        let (bare, behind) = rest.split_once(',').map_or((rest, None), |(bare, behind)| (bare, Some(behind)));
        let field = if bare.is_empty() { Field::Null } else { Field::Bare(bare.to_owned()) };
        return (!bare.contains('"')).then_some((field, behind));
    };
    let mut text = String::new();
    let mut rest = quoted;
    loop {
        let (part, behind) = rest.split_once('"')?;
        text.push_str(part);
        match behind.strip_prefix('"') {
            Some(behind) => {
                text.push('"');
                rest = behind;
            }
            None => {
                // What keeps a spreadsheet from taking the text for a formula is no part of it.
                let text = text.strip_prefix('\'').map(str::to_owned).unwrap_or(text);
                return match behind.strip_prefix(',') {
                    Some(behind) => Some((Field::Text(text), Some(behind))),
                    None => behind.is_empty().then_some((Field::Text(text), None)),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn text(text: &str) -> Field {
        Field::Text(text.to_owned())
    }

    fn bare(text: &str) -> Field {
        Field::Bare(text.to_owned())
    }

    fn csv(bytes: &[u8]) -> Result<Vec<Vec<Field>>, String> {
        CsvRows::new(bytes).and_then(Iterator::collect).map_err(|error| error.to_string())
    }

    #[test]
    fn tables_are_read_as_they_are_written() {
        let table = "\"a\",\"b,\"\"c\"\r\n\"=1\",-5\r\n,\"\"\r\n\"'=1\",true\r\n\"''x\",\"two\r\nlines, \"\"quoted\"\"\"\r\n";
        let mut rows = CsvRows::new(table.as_bytes()).unwrap();
        assert_eq!(
            (rows.columns(), rows.column("b,\"c"), rows.column("c")),
            (&["a".to_owned(), "b,\"c".to_owned()][..], Some(1), None)
        );
        assert_eq!(rows.next().unwrap().unwrap(), [text("=1"), bare("-5")]);
        assert_eq!(rows.next().unwrap().unwrap(), [Field::Null, text("")]);
        assert_eq!(rows.next().unwrap().unwrap(), [text("=1"), bare("true")]);
        assert_eq!(rows.next().unwrap().unwrap(), [text("'x"), text("two\r\nlines, \"quoted\"")]);
        assert!(rows.next().is_none());
        // Nothing at all, the first line alone, and a row that holds null in its one column.
        assert_eq!(csv(b""), Ok(vec![]));
        assert_eq!(csv(b"\"a\"\r\n"), Ok(vec![]));
        assert_eq!(csv(b"\"a\"\r\n\r\n1\r\n"), Ok(vec![vec![Field::Null], vec![bare("1")]]));
        assert_eq!(text("x").as_str().or(Field::Null.as_str()), Some("x"));
    }

    #[test]
    fn what_is_no_table_is_refused() {
        for (bytes, wanted) in [
            (&b"\"a\"\r\n1"[..], "row 1 has no end: the file was cut off"),
            (b"\"a\"\r\n\"1\r\n", "row 1 has no end: the file was cut off"),
            (b"\"a\"\r\n1,2\r\n", "row 1 has 2 values for 1 columns"),
            (b"\"a\"\r\n1\"2\"\r\n", "row 1 has quotes where none belong"),
            (b"\"a\"\r\n\"1\"2\r\n", "row 1 has quotes where none belong"),
            (b"\"a\"\r\n1\r\n\"\xff\"\r\n", "row 2 is not UTF-8"),
            (b"\"a", "row 0 has no end: the file was cut off"),
        ] {
            assert_eq!(csv(bytes), Err(wanted.to_owned()), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn lines_are_read_one_by_one() {
        let lines = |bytes: &[u8]| ndjson::<Value>(bytes).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string());
        assert_eq!(lines(b""), Ok(vec![]));
        assert_eq!(lines(b"{\"a\":1}\n{\"a\":null}\n"), Ok(vec![json!({"a": 1}), json!({"a": null})]));
        assert_eq!(lines(b"{\"a\":1}\n{\"a\":").unwrap_err(), "row 2 has no end: the file was cut off");
        assert!(lines(b"{}\n\n{}\n").unwrap_err().starts_with("row 2 is not what was expected"));
        let mut rows = ndjson::<Value>(&b"x\n{}\n"[..]);
        assert!(rows.next().unwrap().is_err() && rows.next().is_none(), "after an error there is nothing more");
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b','), Just(b'\n'), Just(b'\''), any::<u8>()], 0..60)) {
            let _ = csv(&bytes);
            let _ = ndjson::<Value>(&bytes[..]).count();
        }

        #[test]
        fn any_table_comes_back(table in proptest::collection::vec(proptest::collection::vec(proptest::option::of(".*"), 3), 0..6)) {
            let mut written = "a,b,c\r\n".to_owned();
            for row in &table {
                // As it is written by those who have every text begin with an apostrophe.
                let field = |text: &Option<String>| text.as_ref().map_or_else(String::new, |text| format!("\"'{}\"", text.replace('"', "\"\"")));
                written += &(row.iter().map(field).collect::<Vec<_>>().join(",") + "\r\n");
            }
            let wanted: Vec<Vec<Field>> = table.iter().map(|row| row.iter().map(|text| text.clone().map_or(Field::Null, Field::Text)).collect()).collect();
            prop_assert_eq!(csv(written.as_bytes()), Ok(wanted));
        }
    }
}
