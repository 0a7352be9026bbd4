//! CSV, by RFC 4180. Texts stand in quotes, numbers and truth values do not; nothing at all is null, and `""` is the empty text.
//!
//! Spreadsheets take some texts for formulas, and a formula can send away what stands beside it. A text that one might take for a formula has an
//! apostrophe before it, and so has one that begins with an apostrophe: whoever takes one leading apostrophe away has the exact text.

use super::json;
use super::rows::Column;
use super::value::{self, Clock, Kind};
use crate::catalogue::{Stamp, TimeFormat};
use crate::source::Cell;
use crate::subject::uuid_text;

/// Writes text as a field in quotes.
pub(super) fn text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    if is_risky(text) {
        out.push(b'\'');
    }
    let from = out.len();
    out.extend_from_slice(text.as_bytes());
    double_quotes(out, from);
    out.push(b'"');
}

/// Writes every quote from there on twice.
pub(super) fn double_quotes(out: &mut Vec<u8>, from: usize) {
    let quotes = out.iter().skip(from).filter(|byte| **byte == b'"').count();
    if quotes == 0 {
        return;
    }
    let mut at = out.len();
    out.resize(at + quotes, 0);
    let mut to = out.len();
    // From behind, so that no byte is moved twice.
    while to > at {
        at -= 1;
        to -= 1;
        out[to] = out[at];
        if out[at] == b'"' {
            to -= 1;
            out[to] = b'"';
        }
    }
}

/// Whether some program might take the text for a formula, or for a text that was kept from being one.
fn is_risky(text: &str) -> bool {
    let mut chars = text.chars();
    // Plain texts, which are nearly all, are done with one look.
    match chars.next() {
        None => return false,
        Some('\'') => return true,
        Some(first) if first.is_ascii_alphanumeric() => return false,
        Some(first) if begins_a_formula(first) => return true,
        Some(first) if !is_skipped(first) => return false,
        Some(_) => {}
    }
    match chars.find(|c| !is_skipped(*c)) {
        Some(first) => begins_a_formula(first),
        None => false,
    }
}

/// What formulas begin with, in their usual, full-width and small forms; and the signs that some programs take for the end of a field.
fn begins_a_formula(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r' | '\n' | '＝' | '＋' | '－' | '＠' | '﹢' | '﹣' | '﹦' | '﹫' | '−')
}

/// What some programs pass over before they look for a formula.
fn is_skipped(c: char) -> bool {
    c.is_whitespace() && !begins_a_formula(c)
        || c.is_control() && !begins_a_formula(c)
        || matches!(c, '"' | '\'' | '“' | '”' | '‘' | '’' | '＂' | '＇')
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Writes a cell as the field says: the same values as in JSON.
pub(super) fn cell(column: &Column, cell: &Cell<'_>, clock: &mut Clock, out: &mut Vec<u8>) -> Result<(), &'static str> {
    if let Some(treat) = &column.treat {
        if let Some(shown) = treat.apply(cell)? {
            text(&shown, out);
        }
        return Ok(());
    }
    match (&column.kind, cell) {
        (_, Cell::Null) => {}
        (Kind::Integer, cell) => match value::integer(cell)? {
            value::Digits::Int(number) => json::integer(number, out),
            value::Digits::Text(digits) => out.extend_from_slice(digits.as_bytes()),
        },
        (Kind::Boolean, cell) => truth(value::boolean(cell)?, out),
        (Kind::Timestamp(field) | Kind::Date(field), cell) => match value::moment(cell, field.from)? {
            value::Moment::Stamp(stamp) => moment(&field.json, stamp, clock, out),
            value::Moment::Text(words) => text(words, out),
        },
        (Kind::Number, Cell::Int(_) | Cell::Real(_) | Cell::Number(_)) => plain(cell, clock, out),
        (Kind::Number, Cell::Text(digits)) if value::is_number(digits) => out.extend_from_slice(digits.as_bytes()),
        (Kind::Number, _) => return Err("is not a number"),
        (Kind::Json, Cell::Text(words)) => {
            value::check_json(words)?;
            as_json(words, out);
        }
        (Kind::Json, Cell::Blob(_) | Cell::Uuid(_) | Cell::Timestamp(_) | Cell::Date(_)) => return Err("is not JSON"),
        (Kind::String, Cell::Json(words) | Cell::Number(words)) => text(words, out),
        (Kind::String, Cell::Bool(flag)) => text(if *flag { "true" } else { "false" }, out),
        (Kind::String, Cell::Int(_) | Cell::Real(_)) => {
            let mut digits = Vec::new();
            plain(cell, clock, &mut digits);
            // What is no number has its quotes already.
            match digits.first() {
                Some(b'"') => out.extend_from_slice(&digits),
                _ => text(&String::from_utf8_lossy(&digits), out),
            }
        }
        (Kind::Plain | Kind::String | Kind::Json, cell) => plain(cell, clock, out),
    }
    Ok(())
}

fn plain(cell: &Cell<'_>, clock: &mut Clock, out: &mut Vec<u8>) {
    match cell {
        Cell::Null => {}
        Cell::Bool(flag) => truth(*flag, out),
        Cell::Int(number) => json::integer(*number, out),
        Cell::Real(number) if number.is_finite() => json::real(*number, out),
        Cell::Real(number) => text(value::not_finite(*number), out),
        Cell::Number(digits) if value::is_number(digits) => out.extend_from_slice(digits.as_bytes()),
        Cell::Text(words) | Cell::Number(words) => text(words, out),
        Cell::Json(words) => as_json(words, out),
        Cell::Uuid(bytes) => text(&uuid_text(*bytes), out),
        Cell::Blob(bytes) => {
            use base64::Engine as _;
            text(&base64::engine::general_purpose::STANDARD.encode(bytes), out);
        }
        Cell::Timestamp(_) | Cell::Date(_) => {
            let (format, stamp) = value::natural(cell);
            if let Some(stamp) = stamp {
                moment(&format, stamp, clock, out);
            }
        }
    }
}

/// JSON in a cell; `null` is nothing, like any null, and numbers and truth values are what they are.
pub(super) fn as_json(words: &str, out: &mut Vec<u8>) {
    match words.trim_matches([' ', '\t', '\r', '\n']) {
        "null" => {}
        bare @ ("true" | "false") => out.extend_from_slice(bare.as_bytes()),
        bare if value::is_number(bare) => out.extend_from_slice(bare.as_bytes()),
        trimmed => text(trimmed, out),
    }
}

fn truth(flag: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if flag { b"true" } else { b"false" });
}

fn moment(format: &TimeFormat, stamp: Stamp, clock: &mut Clock, out: &mut Vec<u8>) {
    let mut written = std::mem::take(&mut clock.scratch);
    written.clear();
    format.write(stamp, &mut clock.day, &mut written);
    text(&String::from_utf8_lossy(&written), out);
    clock.scratch = written;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(words: &str) -> String {
        let mut out = Vec::new();
        text(words, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_may_be_a_formula_is_kept_from_being_one() {
        for risky in [
            "=1+1",
            "+49 30",
            "-5",
            "@SUM(A1)",
            "\t=1",
            "\r",
            "\nx",
            " =1",
            "\u{a0}=1",
            "\u{feff}=1",
            "\"=1",
            "'=1",
            "'",
            "”＝1",
            "＝1",
            "＋1",
            "－1",
            "＠a",
            "−1",
            "\u{200b}-1",
            "\u{0}=1",
            " \t",
            "\u{3000}＝1",
        ] {
            assert_eq!(written(risky), format!("\"'{}\"", risky.replace('"', "\"\"")), "{risky:?}");
        }
        for plain in ["", "a", "1-1", "a=b", " a", "\"a\"", "(=1)", "é", "王", "#=1", "{\"a\":\"=1\"}", "["] {
            assert_eq!(written(plain), format!("\"{}\"", plain.replace('"', "\"\"")), "{plain:?}");
        }
    }

    #[test]
    fn quotes_are_doubled_behind_a_place() {
        for (before, text) in [("\"", "a"), ("", "\""), ("\"x", "\"\"a\"b\""), ("", "")] {
            let mut out = format!("{before}{text}").into_bytes();
            double_quotes(&mut out, before.len());
            assert_eq!(String::from_utf8(out).unwrap(), format!("{before}{}", text.replace('"', "\"\"")));
        }
    }
}
