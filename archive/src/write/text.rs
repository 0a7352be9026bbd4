//! TXT: blocks of `Key: value` lines with a blank line between them.
//!
//! A line break inside a value begins a line that is indented by four blanks, so no value can forge a key, a heading or
//! the end of a block: those never begin with a blank. What any common reader takes for a line break counts as one.

use serde_json::Value;

use super::json;
use super::rows::{Column, Piece};
use super::value::{self, Clock, Kind};
use crate::source::Cell;
use crate::subject::uuid_text;

/// What a file says that has nothing else to say.
pub(super) const NO_DATA: &str = "You have no data in this section";

/// What stands for null.
const NULL: &str = "N/A";

/// A blank line, unless the file begins here.
pub(super) fn begin_block(out: &mut Vec<u8>, blocks: &mut bool) {
    if *blocks {
        out.push(b'\n');
    }
    *blocks = true;
}

/// A block of one line.
pub(super) fn heading(text: &str, out: &mut Vec<u8>, blocks: &mut bool) {
    begin_block(out, blocks);
    inline(text, out);
    out.push(b'\n');
}

type BadValue = (String, &'static str);

/// One row as one line.
pub(super) fn line(pieces: &[Piece], cells: &[Cell<'_>], clock: &mut Clock, out: &mut Vec<u8>) -> Result<(), BadValue> {
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => out.extend_from_slice(literal.as_bytes()),
            Piece::Column(column) => {
                if let Some(value) = cell(column, cells.get(column.at).unwrap_or(&Cell::Null), clock, out)? {
                    inline(&value.to_string(), out);
                }
            }
        }
    }
    out.push(b'\n');
    Ok(())
}

/// One row as a block, and as many more as its values have structure. A nested row has a heading.
pub(super) fn block(
    columns: &[Column],
    cells: &[Cell<'_>],
    clock: &mut Clock,
    out: &mut Vec<u8>,
    blocks: &mut bool,
    heading: Option<&str>,
) -> Result<(), BadValue> {
    let mut nested: Vec<(&str, Value)> = Vec::new();
    let mut begun = false;
    if let Some(heading) = heading {
        begin_block(out, blocks);
        inline(heading, out);
        out.extend_from_slice(b":\n");
        begun = true;
    }
    for column in columns {
        let (start, before) = (out.len(), *blocks);
        if !begun {
            begin_block(out, blocks);
        }
        inline(&column.label, out);
        out.extend_from_slice(b": ");
        match cell(column, cells.get(column.at).unwrap_or(&Cell::Null), clock, out)? {
            Some(value) if !is_flat(&value) => {
                // It becomes a block of its own, after the plain lines; this line was not begun.
                out.truncate(start);
                if !begun {
                    *blocks = before;
                }
                nested.push((&column.label, value));
                continue;
            }
            Some(value) => flat(&value, out),
            None => {}
        }
        out.push(b'\n');
        begun = true;
    }
    for (label, value) in nested {
        structure(label, &value, out, blocks);
    }
    Ok(())
}

/// A constant, by its label.
pub(super) fn constant(label: &str, value: &Value, out: &mut Vec<u8>, blocks: &mut bool) {
    if is_flat(value) {
        begin_block(out, blocks);
        inline(label, out);
        out.extend_from_slice(b": ");
        flat(value, out);
        out.push(b'\n');
    } else {
        structure(label, value, out, blocks);
    }
}

/// Whether a value fits on a line: anything but an object, and a list of such.
fn is_flat(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.iter().all(|item| !matches!(item, Value::Object(_) | Value::Array(_))),
        _ => true,
    }
}

fn flat(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(NULL.as_bytes()),
        Value::String(text) => inline(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.extend_from_slice(b", ");
                }
                flat(item, out);
            }
            out.push(b']');
        }
        other => inline(&other.to_string(), out),
    }
}

/// `Label:` and the lines of an object; objects within it follow as blocks of their own.
fn structure(label: &str, value: &Value, out: &mut Vec<u8>, blocks: &mut bool) {
    match value {
        Value::Array(items) if !is_flat(value) => {
            for item in items {
                structure(label, item, out, blocks);
            }
        }
        Value::Object(map) => {
            begin_block(out, blocks);
            inline(label, out);
            out.extend_from_slice(b":\n");
            for (key, value) in map.iter().filter(|(_, value)| is_flat(value)) {
                inline(&self::label(key), out);
                out.extend_from_slice(b": ");
                flat(value, out);
                out.push(b'\n');
            }
            for (key, value) in map.iter().filter(|(_, value)| !is_flat(value)) {
                structure(&self::label(key), value, out, blocks);
            }
        }
        flat_value => constant(label, flat_value, out, blocks),
    }
}

/// Writes a cell on the running line; a value with structure is given back instead.
fn cell(column: &Column, cell: &Cell<'_>, clock: &mut Clock, out: &mut Vec<u8>) -> Result<Option<Value>, BadValue> {
    let bad = |what| (column.name.clone(), what);
    if let Some(treat) = &column.treat {
        match treat.apply(cell).map_err(bad)? {
            Some(text) => inline(&text, out),
            None => out.extend_from_slice(NULL.as_bytes()),
        }
        return Ok(None);
    }
    match (&column.kind, cell) {
        (_, Cell::Null) => out.extend_from_slice(NULL.as_bytes()),
        (Kind::Integer, cell) => match value::integer(cell).map_err(bad)? {
            value::Digits::Int(number) => json::integer(number, out),
            value::Digits::Text(digits) => out.extend_from_slice(digits.as_bytes()),
        },
        (Kind::Boolean, cell) => out.extend_from_slice(if value::boolean(cell).map_err(bad)? { b"true" } else { b"false" }),
        (Kind::Timestamp(field) | Kind::Date(field), cell) => match value::moment(cell, field.from).map_err(bad)? {
            value::Moment::Stamp(stamp) => field.text.write(stamp, &mut clock.day, out),
            value::Moment::Text(text) => inline(text, out),
        },
        (Kind::Number, Cell::Text(text)) if !value::is_number(text) => return Err(bad("is not a number")),
        (Kind::Number, Cell::Bool(_) | Cell::Blob(_) | Cell::Json(_) | Cell::Uuid(_) | Cell::Timestamp(_) | Cell::Date(_)) => {
            return Err(bad("is not a number"));
        }
        (Kind::Json, Cell::Text(text)) => {
            value::check_json(text).map_err(bad)?;
            return parsed(text).map(Some).map_err(bad);
        }
        (Kind::Json, Cell::Blob(_) | Cell::Uuid(_) | Cell::Timestamp(_) | Cell::Date(_)) => return Err(bad("is not JSON")),
        (Kind::String, Cell::Json(text)) => inline(text, out),
        (_, Cell::Json(text)) => return parsed(text).map(Some).map_err(bad),
        (_, Cell::Bool(flag)) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        (_, Cell::Int(number)) => json::integer(*number, out),
        (_, Cell::Real(number)) if number.is_finite() => json::real(*number, out),
        (_, Cell::Real(number)) => out.extend_from_slice(value::not_finite(*number).as_bytes()),
        (_, Cell::Text(text) | Cell::Number(text)) => inline(text, out),
        (_, Cell::Uuid(bytes)) => out.extend_from_slice(uuid_text(*bytes).as_bytes()),
        (_, Cell::Blob(bytes)) => {
            use base64::Engine as _;
            inline(&base64::engine::general_purpose::STANDARD.encode(bytes), out);
        }
        (_, Cell::Timestamp(_) | Cell::Date(_)) => {
            let (format, stamp) = value::natural(cell);
            if let Some(stamp) = stamp {
                format.write(stamp, &mut clock.day, out);
            }
            if matches!(cell, Cell::Timestamp(_)) {
                out.extend_from_slice(b" UTC");
            }
        }
    }
    Ok(None)
}

/// Not every JSON that is well formed can be held: a lone surrogate cannot. It is told like any other value that is not
/// what it should be.
fn parsed(text: &str) -> Result<Value, &'static str> {
    serde_json::from_str(text).map_err(|_| "is JSON that has no form as text")
}

/// Writes text so that it stays within its line or is seen to go on.
pub(super) fn inline(text: &str, out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.find(breaks_a_line) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        out.extend_from_slice(b"\n    ");
        let width = if rest[at..].starts_with("\r\n") { 2 } else { rest[at..].chars().next().map_or(1, char::len_utf8) };
        rest = &rest[at + width..];
    }
    out.extend_from_slice(rest.as_bytes());
}

/// What some reader splits lines at: Python's `splitlines` knows all of these.
fn breaks_a_line(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// The key in TXT for a key in JSON: `SearchTerm` becomes `Search Term`.
pub(crate) fn label(name: &str) -> String {
    let mut label = String::with_capacity(name.len() + 4);
    let chars: Vec<char> = name.chars().collect();
    for (at, c) in chars.iter().enumerate() {
        let after_lower = at > 0 && (chars[at - 1].is_lowercase() || chars[at - 1].is_ascii_digit());
        let before_lower = at > 0 && chars[at - 1].is_uppercase() && chars.get(at + 1).is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && (after_lower || before_lower) {
            label.push(' ');
        }
        match c {
            '_' => label.push(' '),
            c if at == 0 => label.extend(c.to_uppercase()),
            c => label.push(*c),
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn labels() {
        for (name, wanted) in [
            ("SearchTerm", "Search Term"),
            ("Date", "Date"),
            ("date", "Date"),
            ("userName", "User Name"),
            ("IP", "IP"),
            ("IPAddress", "IP Address"),
            ("UserID", "User ID"),
            ("App Version", "App Version"),
            ("order_date", "Order date"),
            ("", ""),
        ] {
            assert_eq!(label(name), wanted);
        }
    }

    proptest! {
        #[test]
        fn no_value_begins_a_line(text in "[ab:\n\r\u{b}\u{c}\u{1c}\u{85}\u{2028}\u{2029}]{0,40}") {
            let mut out = b"Key: ".to_vec();
            inline(&text, &mut out);
            let out = String::from_utf8(out).unwrap();
            for line in out.split(breaks_a_line).skip(1) {
                prop_assert!(line.starts_with("    "), "{:?}", out);
            }
        }
    }
}
