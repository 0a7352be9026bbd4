//! JSON of any size, checked byte by byte by its grammar, with the rows of its sections counted on the way. Nothing is kept but
//! the path to where it is.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::Utf8;

/// How deep a document may be nested.
const MAX_DEPTH: usize = 256;
/// How long a key on the way to a section may be.
const MAX_KEY: usize = 4 << 10;
/// How many sections a document may have.
const MAX_SECTIONS: usize = 10_000;
/// How deep sections stand when nobody says where they are.
const USUAL_DEPTH: usize = 3;

/// The rows of one section of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionRows {
    /// The keys that lead to it.
    pub path: Vec<String>,
    /// What stands there.
    pub shape: Shape,
    /// Its rows: the items of a list; the items of an object's lists, and its objects; 1 for any other value but null.
    pub rows: u64,
}

/// What stands at a section's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A list.
    List,
    /// An object.
    Object,
    /// A string, a number, true or false.
    Value,
    /// Null.
    Null,
}

/// Where a document breaks the grammar.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    at: u64,
    what: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is not JSON: {} at byte {}", self.what, self.at)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    /// After `[`.
    ValueOrEnd,
    Key,
    /// After `{`.
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    /// In a string; whether it is a key.
    Text(bool),
    Escape(bool),
    /// Hexadecimal digits still to come.
    Hex(bool, u8),
    /// What is left of `true`, `false` or `null`.
    Word(&'static [u8]),
    Number(Number),
    Done,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Whole,
    Dot,
    Fraction,
    E,
    Sign,
    Exponent,
}

/// How the rows of a section are counted that somebody knows.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// How many containers stand around a row within the section: 0 for an object, 1 for a list.
    depth: usize,
    /// Whether each row is one of a list.
    listed: bool,
    /// The keys of a row that hold rows, as they are written.
    nested: Vec<Vec<u8>>,
}

impl Known {
    /// A section of this shape, by the word of a manifest, with these fields of nested rows. None where rows cannot be counted.
    pub(crate) fn new(shape: &str, nested: &[&str]) -> Option<Self> {
        let (depth, listed) = match shape {
            "list" => (1, true),
            "groups" => (2, true),
            "map" => (1, false),
            "object" => (0, false),
            _ => return None,
        };
        let written = |field: &&str| {
            let mut written = Vec::new();
            crate::write::json::string(field, &mut written);
            written
        };
        Some(Self { depth, listed, nested: nested.iter().map(written).collect() })
    }
}

/// What was counted of a section that somebody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// The keys that lead to it.
    pub(crate) path: Vec<String>,
    /// Its rows.
    pub(crate) rows: u64,
    /// The rows within them, by field.
    pub(crate) nested: Vec<u64>,
}

/// Counts the rows of sections that somebody knows.
pub(crate) struct Census {
    known: HashMap<Vec<String>, Known>,
    done: Vec<Counted>,
    here: Option<(Known, Counted)>,
    /// The key at hand within a row, as far as it may be one of those that hold rows.
    key: Vec<u8>,
    /// Which of those is open.
    nest: Option<usize>,
}

impl Census {
    /// A value begins, with so many containers open around it within the section.
    fn value(&mut self, depth: usize, in_list: bool, shape: Shape) {
        let Some((known, counted)) = &mut self.here else { return };
        if depth == known.depth && shape != Shape::Null && in_list == known.listed {
            // An object without a key is none: it stands for no row.
            counted.rows += u64::from(known.depth > 0);
        }
        if depth == known.depth + 1 && !in_list {
            if known.depth == 0 {
                counted.rows = 1;
            }
            self.nest = known.nested.iter().position(|field| *field == self.key);
        }
        if depth == known.depth + 2
            && in_list
            && let Some(rows) = self.nest.and_then(|nest| counted.nested.get_mut(nest))
        {
            *rows += 1;
        }
    }

    /// Keeps a byte of a key that stands right within a row.
    fn keep(&mut self, byte: u8, begins: bool) {
        if begins {
            self.key.clear();
        }
        if self.key.len() < MAX_KEY {
            self.key.push(byte);
        }
    }
}

/// What a section has held so far.
struct Section {
    /// How many containers are open around it.
    depth: usize,
    shape: Shape,
    rows: u64,
    plain: bool,
}

pub(crate) struct Scanner<'s> {
    known: Option<&'s HashSet<Vec<String>>>,
    utf8: Utf8,
    state: State,
    at: u64,
    /// The open containers: whether each is a list.
    lists: Vec<bool>,
    /// The keys of the open objects outside of sections.
    path: Vec<String>,
    key: Vec<u8>,
    section: Option<Section>,
    found: Vec<SectionRows>,
    census: Option<Census>,
}

impl<'s> Scanner<'s> {
    pub(crate) fn new(known: Option<&'s HashSet<Vec<String>>>) -> Self {
        Self {
            known,
            utf8: Utf8::default(),
            state: State::Value,
            at: 0,
            lists: Vec::new(),
            path: Vec::new(),
            key: Vec::new(),
            section: None,
            found: Vec::new(),
            census: None,
        }
    }

    /// Has the rows of these sections counted by their shapes, also those within rows.
    pub(crate) fn counting(mut self, known: HashMap<Vec<String>, Known>) -> Self {
        self.census = Some(Census { known, done: Vec::new(), here: None, key: Vec::new(), nest: None });
        self
    }

    /// What was counted.
    pub(crate) fn counted(mut self) -> Result<Vec<Counted>, Fault> {
        let done = self.census.as_mut().map(|census| std::mem::take(&mut census.done)).unwrap_or_default();
        self.finish().map(|_| done)
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        if !self.utf8.push(bytes) {
            return self.fault("text that is not UTF-8");
        }
        let mut i = 0;
        while i < bytes.len() {
            // Most of a document is the inside of strings.
            if self.state == State::Text(false) {
                let rest = &bytes[i..];
                let skip = rest.iter().position(|byte| *byte < 0x20 || *byte == b'"' || *byte == b'\\').unwrap_or(rest.len());
                i += skip;
                self.at += skip as u64;
                if i == bytes.len() {
                    return Ok(());
                }
            }
            // A number ends at a byte that is not its own, which is then looked at again.
            if self.step(bytes[i])? {
                i += 1;
                self.at += 1;
            }
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Vec<SectionRows>, Fault> {
        if let State::Number(number) = self.state {
            self.end_number(number)?;
        }
        if self.state == State::Done && self.utf8.is_whole() { Ok(self.found) } else { self.fault("the end comes too early") }
    }

    fn fault<T>(&self, what: &'static str) -> Result<T, Fault> {
        Err(Fault { at: self.at, what })
    }

    /// Looks at a byte; false when it must be looked at again.
    fn step(&mut self, byte: u8) -> Result<bool, Fault> {
        match self.state {
            State::Text(is_key) => return self.in_text(byte, is_key).map(|()| true),
            State::Escape(is_key) => {
                self.state = match byte {
                    b'u' => State::Hex(is_key, 4),
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => State::Text(is_key),
                    _ => return self.fault("an unknown escape"),
                };
                return self.keep(byte, is_key).map(|()| true);
            }
            State::Hex(is_key, left) => {
                if !byte.is_ascii_hexdigit() {
                    return self.fault("an escape without four digits");
                }
                self.state = if left == 1 { State::Text(is_key) } else { State::Hex(is_key, left - 1) };
                return self.keep(byte, is_key).map(|()| true);
            }
            State::Word(rest) => {
                match rest.split_first() {
                    Some((next, rest)) if *next == byte => {
                        self.state = State::Word(rest);
                        if rest.is_empty() {
                            self.end_value();
                        }
                    }
                    _ => return self.fault("an unknown word"),
                }
                return Ok(true);
            }
            State::Number(number) => return self.in_number(number, byte),
            _ => {}
        }
        if matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
            return Ok(true);
        }
        match (self.state, byte) {
            (State::ValueOrEnd, b']') | (State::KeyOrEnd, b'}') => self.close(),
            (State::Value | State::ValueOrEnd, _) => self.begin_value(byte)?,
            (State::Key | State::KeyOrEnd, b'"') => {
                self.key.clear();
                self.key.push(b'"');
                self.state = State::Text(true);
                if let Some((census, true)) = self.in_row() {
                    census.keep(b'"', true);
                }
            }
            (State::Colon, b':') => self.state = State::Value,
            (State::CommaOrEnd, b',') => self.state = if self.lists.last() == Some(&true) { State::Value } else { State::Key },
            (State::CommaOrEnd, b']') if self.lists.last() == Some(&true) => self.close(),
            (State::CommaOrEnd, b'}') if self.lists.last() == Some(&false) => self.close(),
            (State::Done, _) => return self.fault("something after the end"),
            _ => return self.fault("an unexpected character"),
        }
        Ok(true)
    }

    fn in_text(&mut self, byte: u8, is_key: bool) -> Result<(), Fault> {
        match byte {
            b'"' => {
                if is_key {
                    self.keep(byte, true)?;
                    self.end_key()?;
                } else {
                    self.end_value();
                }
                return Ok(());
            }
            b'\\' => self.state = State::Escape(is_key),
            0..0x20 => return self.fault("a control character in a string"),
            _ => {}
        }
        self.keep(byte, is_key)
    }

    /// Keeps a key's bytes while they may name a section.
    fn keep(&mut self, byte: u8, is_key: bool) -> Result<(), Fault> {
        if is_key && self.section.is_none() {
            if self.key.len() >= MAX_KEY {
                return self.fault("a key that is too long");
            }
            self.key.push(byte);
        } else if is_key && let Some((census, true)) = self.in_row() {
            census.keep(byte, false);
        }
        Ok(())
    }

    /// The census of the running section, and whether what is at hand stands right within a row.
    fn in_row(&mut self) -> Option<(&mut Census, bool)> {
        let inside = self.lists.len() - self.section.as_ref()?.depth;
        let census = self.census.as_mut()?;
        let here = census.here.as_ref()?.0.depth + 1 == inside;
        Some((census, here))
    }

    fn end_key(&mut self) -> Result<(), Fault> {
        self.state = State::Colon;
        if self.section.is_none() {
            match serde_json::from_slice(&self.key) {
                Ok(key) => self.path.push(key),
                // A lone surrogate: lawful, and no text.
                Err(_) => return self.fault("a key that is no text"),
            }
        }
        Ok(())
    }

    fn begin_value(&mut self, byte: u8) -> Result<(), Fault> {
        let shape = match byte {
            b'[' => Shape::List,
            b'{' => Shape::Object,
            b'n' => Shape::Null,
            _ => Shape::Value,
        };
        self.count(shape)?;
        self.state = match byte {
            b'[' | b'{' => {
                if self.lists.len() == MAX_DEPTH {
                    return self.fault("it is nested too deep");
                }
                self.lists.push(byte == b'[');
                if byte == b'[' { State::ValueOrEnd } else { State::KeyOrEnd }
            }
            b'"' => State::Text(false),
            b't' => State::Word(b"rue"),
            b'f' => State::Word(b"alse"),
            b'n' => State::Word(b"ull"),
            b'-' => State::Number(Number::Minus),
            b'0' => State::Number(Number::Zero),
            b'1'..=b'9' => State::Number(Number::Whole),
            _ => return self.fault("an unexpected character"),
        };
        Ok(())
    }

    /// Counts a value that begins: as a section, or as a row of the running one.
    fn count(&mut self, shape: Shape) -> Result<(), Fault> {
        let depth = self.lists.len();
        if let Some(section) = &mut self.section {
            let in_list = self.lists.last() == Some(&true);
            if let Some(census) = &mut self.census {
                census.value(depth - section.depth, in_list, shape);
            }
            match (section.shape, depth - section.depth) {
                (Shape::List, 1) => section.rows += 1,
                (Shape::Object, 1) if shape == Shape::Object => section.rows += 1,
                (Shape::Object, 1) if shape == Shape::Value => section.plain = true,
                (Shape::Object, 2) if in_list => section.rows += 1,
                _ => {}
            }
            return Ok(());
        }
        let here = match self.known {
            Some(known) => known.contains(&self.path),
            None => self.path.len() == USUAL_DEPTH || matches!(shape, Shape::Value | Shape::Null),
        };
        if here || shape == Shape::List {
            if self.found.len() == MAX_SECTIONS {
                return self.fault("there are too many sections");
            }
            if let Some(census) = &mut self.census
                && let Some(known) = census.known.get(&self.path)
            {
                let counted = Counted { path: self.path.clone(), rows: 0, nested: vec![0; known.nested.len()] };
                census.here = Some((known.clone(), counted));
                census.nest = None;
            }
            self.section = Some(Section { depth, shape, rows: u64::from(shape == Shape::Value), plain: false });
        }
        Ok(())
    }

    fn close(&mut self) {
        self.lists.pop();
        self.end_value();
    }

    fn end_value(&mut self) {
        let depth = self.lists.len();
        if let Some(section) = &self.section
            && section.depth == depth
        {
            if let Some((_, counted)) = self.census.as_mut().and_then(|census| census.here.take())
                && let Some(census) = &mut self.census
            {
                census.done.push(counted);
            }
            let rows = if section.plain { 1 } else { section.rows };
            self.found.push(SectionRows { path: self.path.clone(), shape: section.shape, rows });
            self.section = None;
        }
        if self.section.is_none() && self.lists.last() == Some(&false) {
            self.path.pop();
        }
        self.state = if depth == 0 { State::Done } else { State::CommaOrEnd };
    }

    fn in_number(&mut self, number: Number, byte: u8) -> Result<bool, Fault> {
        let next = match (number, byte) {
            (Number::Minus, b'0') => Number::Zero,
            (Number::Minus, b'1'..=b'9') | (Number::Whole, b'0'..=b'9') => Number::Whole,
            (Number::Zero | Number::Whole, b'.') => Number::Dot,
            (Number::Dot | Number::Fraction, b'0'..=b'9') => Number::Fraction,
            (Number::Zero | Number::Whole | Number::Fraction, b'e' | b'E') => Number::E,
            (Number::E, b'+' | b'-') => Number::Sign,
            (Number::E | Number::Sign | Number::Exponent, b'0'..=b'9') => Number::Exponent,
            _ => return self.end_number(number).map(|()| false),
        };
        self.state = State::Number(next);
        Ok(true)
    }

    fn end_number(&mut self, number: Number) -> Result<(), Fault> {
        if !matches!(number, Number::Zero | Number::Whole | Number::Fraction | Number::Exponent) {
            return self.fault("a number that is not whole");
        }
        self.end_value();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(text: &[u8], step: usize, known: Option<&HashSet<Vec<String>>>) -> Result<Vec<SectionRows>, Fault> {
        let mut scanner = Scanner::new(known);
        for piece in text.chunks(step) {
            scanner.push(piece)?;
        }
        scanner.finish()
    }

    fn rows(text: &str) -> Vec<(String, Shape, u64)> {
        let found = scan(text.as_bytes(), 3, None).unwrap();
        found.into_iter().map(|section| (section.path.join("/"), section.shape, section.rows)).collect()
    }

    #[test]
    fn sections_are_counted() {
        let text = r#"{"A":{"W":{"App":0,"List":[{"x":[1,2,3]},{},{"y":{"z":[]}}],"None":null}},
            "D":{"M":{"H":{"with b\u0065b:":[{},{}],"with c:":[{}]}}},
            "L":{"W":{"Map":{"1":{"C":[1,2]},"2":{"C":null}}}}, "P":{"I":{"Info":{"name":"a","list":[1,2]}}}, "E":{"F":{"G":{}}}, "T":[1,2] }"#;
        let wanted = [
            ("A/W/App", Shape::Value, 1),
            ("A/W/List", Shape::List, 3),
            ("A/W/None", Shape::Null, 0),
            ("D/M/H", Shape::Object, 3),
            ("L/W/Map", Shape::Object, 2),
            ("P/I/Info", Shape::Object, 1),
            ("E/F/G", Shape::Object, 0),
            ("T", Shape::List, 2),
        ];
        let wanted: Vec<_> = wanted.into_iter().map(|(path, shape, rows)| (path.to_owned(), shape, rows)).collect();
        assert_eq!(rows(text), wanted);
    }

    #[test]
    fn known_paths_say_where_sections_are() {
        let known = HashSet::from([vec!["P".to_owned(), "Autofill".to_owned()]]);
        let text = br#"{"P":{"Autofill":{"Email":"a","Phone":"b"},"Other":1}}"#;
        let found = scan(text, 1, Some(&known)).unwrap();
        assert_eq!(found, [SectionRows { path: vec!["P".to_owned(), "Autofill".to_owned()], shape: Shape::Object, rows: 1 }]);
    }

    #[test]
    fn memory_has_bounds() {
        assert!(scan("[".repeat(1_000).as_bytes(), 64, None).is_err());
        assert!(scan(format!("{{\"{}", "x".repeat(MAX_KEY)).as_bytes(), 64, None).is_err());
        let many: String = (0..=MAX_SECTIONS).map(|n| format!("\"{n}\":1,")).collect();
        assert!(scan(format!("{{{many}").as_bytes(), 64, None).is_err());
    }

    /// Near-JSON, so that many inputs are lawful and many are only just not.
    fn nearly() -> impl Strategy<Value = String> {
        let token = prop_oneof![
            Just("{"),
            Just("}"),
            Just("["),
            Just("]"),
            Just(","),
            Just(":"),
            Just("\"a\""),
            Just("\"\\u00e9\\n\""),
            Just("1"),
            Just("-0.5e+3"),
            Just("01"),
            Just("1."),
            Just("true"),
            Just("null"),
            Just(" "),
            Just("\"é\""),
            Just("\"\\x\""),
            Just("\"\u{1}\"")
        ];
        proptest::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
    }

    fn tree() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into)
        ];
        leaf.prop_recursive(6, 60, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                proptest::collection::btree_map(any::<String>(), inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect()))
            ]
        })
    }

    #[test]
    fn rows_are_counted_by_their_sections_shapes() {
        let text = r#"{"A":{"list":[{"x":{"Items":[1]},"Items":[{"Items":[2,3]},{}],"y":[1,2]},{"Items":[]},{}],"none":null,"nil":[],"obj":{"a":[1,2],"Items":[{},{}]},
            "void":{},"groups":{"a":[{"a":1},{"Items":[{}]}],"b":[{}]},"map":{"k":{"Items":[{"z":1}]},"Items":{"x":[9]}}}}"#;
        let kinds = [
            ("list", "list"),
            ("none", "list"),
            ("nil", "list"),
            ("obj", "object"),
            ("void", "object"),
            ("groups", "groups"),
            ("map", "map"),
        ];
        let known: HashMap<Vec<String>, Known> = kinds
            .iter()
            .map(|(name, shape)| (vec!["A".to_owned(), (*name).to_owned()], Known::new(shape, &["Items"]).unwrap()))
            .collect();
        let paths: HashSet<Vec<String>> = known.keys().cloned().collect();
        for step in [1, 3, 1000] {
            let mut scanner = Scanner::new(Some(&paths)).counting(known.clone());
            text.as_bytes().chunks(step).for_each(|piece| scanner.push(piece).unwrap());
            let counted: Vec<_> =
                scanner.counted().unwrap().into_iter().map(|one| (one.path[1].clone(), one.rows, one.nested[0])).collect();
            let wanted =
                [("list", 3, 2), ("none", 0, 0), ("nil", 0, 0), ("obj", 1, 2), ("void", 0, 0), ("groups", 3, 1), ("map", 2, 1)];
            assert_eq!(counted, wanted.map(|(name, rows, nested)| (name.to_owned(), rows, nested)));
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_serde_on_what_is_json(text in nearly(), step in 1usize..9) {
            let serde = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(scan(text.as_bytes(), step, None).is_ok(), serde, "{}", text);
        }

        #[test]
        fn it_takes_whatever_serde_writes(value in tree(), step in 1usize..99, pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            prop_assert!(scan(text.as_bytes(), step, None).is_ok(), "{}", text);
        }

        #[test]
        fn it_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = scan(&bytes, 7, None);
        }
    }
}
