//! Lines of JSON, from bytes to cells. Numbers keep the digits that they were sent with.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::Cell;
use crate::write::Failure;
use crate::write::value::{check_json, is_number};

/// A buffer that is larger than this after its lines are taken was made by a huge one, and is given up.
const USUAL: usize = 1 << 20;
/// So many keys that nobody declared are told apart.
const COUNTED: usize = 1_000;

/// Bytes as they come in, lines as they go out.
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Where the next line begins.
    from: usize,
    /// Up to here no line ends.
    searched: usize,
    max: usize,
}

impl Lines {
    pub(super) fn new(max: usize) -> Self {
        Self { buffer: Vec::new(), from: 0, searched: 0, max }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.from);
        (self.searched, self.from) = (self.searched - self.from, 0);
        if self.buffer.is_empty() && self.buffer.capacity() > USUAL {
            self.buffer = Vec::new();
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole line, without its end.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        let end = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n').map(|at| self.searched + at);
        let length = end.unwrap_or(self.buffer.len()) - self.from;
        if length > self.max {
            return Err(Failure::Query("a line of the answer is longer than `max_line` allows".to_owned()));
        }
        let Some(end) = end else {
            self.searched = self.buffer.len();
            return Ok(None);
        };
        let line = &self.buffer[self.from..end];
        (self.from, self.searched) = (end + 1, end + 1);
        Ok(Some(line))
    }

    /// Whether nothing is left of a line that did not end.
    pub(super) fn is_empty(&self) -> bool {
        self.from == self.buffer.len()
    }
}

/// What a row is made of, and what has to be written for it.
pub(super) struct Line {
    names: Vec<String>,
    /// Texts that had escapes, by column.
    text: String,
    places: Vec<Option<Range<usize>>>,
    undeclared: HashSet<u64>,
}

/// Each column's value as it was sent.
pub(super) type Values<'l> = Vec<Option<&'l str>>;

impl Line {
    pub(super) fn new(names: Vec<String>) -> Self {
        Self { places: vec![None; names.len()], names, text: String::new(), undeclared: HashSet::new() }
    }

    /// How many keys came that no column has.
    pub(super) fn undeclared(&self) -> usize {
        self.undeclared.len()
    }

    pub(super) fn clear(&mut self) {
        if self.text.capacity() > USUAL {
            self.text = String::new();
        }
        self.text.clear();
        self.places.fill(None);
    }

    /// Takes a line apart.
    pub(super) fn split<'l>(&mut self, line: &'l str) -> Result<Values<'l>, &'static str> {
        let mut values = vec![None; self.names.len()];
        let mut reader = serde_json::Deserializer::from_str(line);
        let columns = Columns { names: &self.names, values: &mut values, undeclared: &mut self.undeclared };
        columns
            .deserialize(&mut reader)
            .and_then(|()| reader.end())
            .map_err(|error| if error.to_string().starts_with(TWICE) { "has a key twice" } else { "is not a JSON object" })?;
        Ok(values)
    }

    /// Writes the texts that cannot be lent as they are; tells how many of them had to be repaired.
    pub(super) fn unescape(&mut self, values: &[Option<&str>]) -> u64 {
        let mut repaired = 0;
        for (place, value) in self.places.iter_mut().zip(values) {
            if let Some(value) = value
                && value.starts_with('"')
                && value.contains('\\')
            {
                let from = self.text.len();
                match serde_json::from_str::<Cow<'_, str>>(value) {
                    Ok(text) => self.text.push_str(&text),
                    Err(_) => {
                        // Half of a surrogate pair is no character.
                        let text: String = serde_json::from_str(&whole_pairs(value)).unwrap_or_default();
                        self.text.push_str(&text);
                        repaired += 1;
                    }
                }
                *place = Some(from..self.text.len());
            }
        }
        repaired
    }

    /// The row's cells.
    pub(super) fn fill<'r>(&'r self, values: &[Option<&'r str>], cells: &mut Vec<Cell<'r>>) -> Result<(), &'static str> {
        for (value, place) in values.iter().zip(&self.places) {
            cells.push(match (value, place) {
                (None, _) => Cell::Null,
                (_, Some(place)) => Cell::Text(self.text.get(place.clone()).unwrap_or_default()),
                (Some(value), None) => cell(value)?,
            });
        }
        Ok(())
    }
}

fn cell(value: &str) -> Result<Cell<'_>, &'static str> {
    Ok(match value.as_bytes().first() {
        Some(b'"') => Cell::Text(value.get(1..value.len() - 1).unwrap_or_default()),
        Some(b't') => Cell::Bool(true),
        Some(b'f') => Cell::Bool(false),
        Some(b'n') => Cell::Null,
        Some(b'{' | b'[') => {
            check_json(value).map_err(|_| "is nested too deep")?;
            Cell::Json(value)
        }
        _ => match value.parse() {
            // `-0` and `1.0` are numbers too, and stay as they are.
            Ok(number) if value != "-0" => Cell::Int(number),
            _ if is_number(value) => Cell::Number(value),
            _ => return Err("is not a JSON object"),
        },
    })
}

/// Puts U+FFFD in the place of halves of surrogate pairs.
fn whole_pairs(text: &str) -> String {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(digits, 16).ok()
    };
    let mut whole = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(found) = text[at..].find('\\') {
        let escape = at + found;
        whole.push_str(&text[at..escape]);
        let (length, lone) = match (unit(escape), unit(escape + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (12, false),
            (Some(0xd800..=0xdfff), _) => (6, true),
            (Some(_), _) => (6, false),
            // The escaped character is one of ASCII, or this would not be JSON.
            (None, _) => (2, false),
        };
        at = (escape + length).min(text.len());
        whole.push_str(if lone { "\u{fffd}" } else { text.get(escape..at).unwrap_or_default() });
    }
    whole.push_str(text.get(at..).unwrap_or_default());
    whole
}

const TWICE: &str = "a key came twice";

/// Puts each value of an object at its column's place.
struct Columns<'v, 'l> {
    names: &'v [String],
    values: &'v mut Values<'l>,
    undeclared: &'v mut HashSet<u64>,
}

impl<'l> DeserializeSeed<'l> for Columns<'_, 'l> {
    type Value = ();

    fn deserialize<D: Deserializer<'l>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'l> Visitor<'l> for Columns<'_, 'l> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'l>>(self, mut map: A) -> Result<(), A::Error> {
        // Keys mostly come in one order, so the next is looked for first.
        let mut guess = 0;
        while let Some(Key(key)) = map.next_key()? {
            let value: &'l RawValue = map.next_value()?;
            let at = match self.names.get(guess) {
                Some(name) if *name == key => Some(guess),
                _ => self.names.iter().position(|name| *name == key),
            };
            match at {
                Some(at) if self.values[at].is_some() => return Err(A::Error::custom(TWICE)),
                Some(at) => {
                    self.values[at] = Some(value.get());
                    guess = at + 1;
                }
                None if self.undeclared.len() < COUNTED => {
                    let mut hasher = DefaultHasher::new();
                    key.hash(&mut hasher);
                    self.undeclared.insert(hasher.finish());
                }
                None => {}
            }
        }
        Ok(())
    }
}

/// A key, lent where it has no escapes.
struct Key<'l>(Cow<'l, str>);

impl<'l> Deserialize<'l> for Key<'l> {
    fn deserialize<D: Deserializer<'l>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'l> Visitor<'l> for Text {
            type Value = Key<'l>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'l str) -> Result<Key<'l>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'l>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(names: &[&str], text: &str) -> Result<String, &'static str> {
        let mut line = Line::new(names.iter().map(|name| (*name).to_owned()).collect());
        let values = line.split(text)?;
        let repaired = line.unescape(&values);
        let mut cells = Vec::new();
        line.fill(&values, &mut cells)?;
        Ok(format!("{cells:?} {repaired} {}", line.undeclared()))
    }

    #[test]
    fn lines_over_any_pieces() {
        let bytes = b"{\"a\":1}\n\n{\"b\":2}\r\nrest";
        for size in 1..bytes.len() {
            let mut lines = Lines::new(10);
            let mut found = Vec::new();
            for piece in bytes.chunks(size) {
                lines.push(piece);
                while let Some(line) = lines.next().unwrap() {
                    found.push(String::from_utf8(line.to_vec()).unwrap());
                }
            }
            assert_eq!(found, ["{\"a\":1}", "", "{\"b\":2}\r"], "{size}");
            assert!(!lines.is_empty());
            lines.push(b"\n");
            assert_eq!(lines.next().unwrap(), Some(&b"rest"[..]));
            assert!(lines.is_empty());
        }
        let mut lines = Lines::new(10);
        lines.push(b"12345678901");
        assert!(lines.next().is_err());
    }

    #[test]
    fn values_keep_their_digits() {
        let text = r#"{"e":null,"a":12345678901234567890123,"b":-0,"c":1.50,"d":9007199254740993,"f":true,"g":[1, 2.0]}"#;
        assert_eq!(
            row(&["a", "b", "c", "d", "e", "f", "g", "h"], text).unwrap(),
            r#"[Number("12345678901234567890123"), Number("-0"), Number("1.50"), Int(9007199254740993), Null, Bool(true), Json("[1, 2.0]"), Null] 0 0"#
        );
    }

    #[test]
    fn texts_are_lent_or_written() {
        assert_eq!(
            row(&["a", "b"], r#"{"a":"plain é","b":"q\"\u00e9\ud83d\ude00"}"#).unwrap(),
            "[Text(\"plain é\"), Text(\"q\\\"é😀\")] 0 0"
        );
        assert_eq!(row(&["a"], r#"{"a":"x\ud83dy\\\u0041\ude00"}"#).unwrap(), "[Text(\"x\u{fffd}y\\\\A\u{fffd}\")] 1 0");
        assert_eq!(row(&["a"], r#"{"\u0061":"x"}"#).unwrap(), "[Text(\"x\")] 0 0");
    }

    #[test]
    fn what_is_no_row_is_told() {
        assert_eq!(row(&["a"], r#"{"a":1,"a":2}"#), Err("has a key twice"));
        for text in ["", "[]", "1", "{", "{\"a\":}", "{\"a\":01}", "{} {}", "<html>"] {
            assert_eq!(row(&["a"], text), Err("is not a JSON object"), "{text}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(row(&["a"], &deep), Err("is nested too deep"));
        assert_eq!(row(&["a"], r#"{"a":1,"b":2,"c":3}"#).unwrap(), "[Int(1)] 0 2");
    }
}
