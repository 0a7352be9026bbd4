//! JSON, by hand: rows are written, not built.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::value::{self, Kind};
use crate::catalogue::{TimeField, TimeFormat};
use crate::source::Cell;
use crate::subject::uuid_text;
use crate::write::value::Clock;

/// How many bytes are looked at together. A block of this size becomes a few vector instructions.
const BLOCK: usize = 32;

/// Writes text as a JSON string. What must be escaped is; everything else stays as it is, UTF-8.
pub(crate) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut clean = 0;
    let mut at = 0;
    while at < bytes.len() {
        if let Some(block) = bytes.get(at..at + BLOCK) {
            let mut dirty = false;
            for byte in block {
                dirty |= (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
            }
            if !dirty {
                at += BLOCK;
                continue;
            }
        }
        // A block with something to escape, or the text's end: eight bytes at a time, then one by one.
        let end = bytes.len().min(at + BLOCK);
        while at < end {
            if let Some(word) = bytes.get(at..at + 8)
                && is_clean(word)
            {
                at += 8;
                continue;
            }
            let byte = bytes[at];
            if (byte < 0x20) | (byte == b'"') | (byte == b'\\') {
                out.extend_from_slice(&bytes[clean..at]);
                escape(byte, out);
                clean = at + 1;
            }
            at += 1;
        }
    }
    out.extend_from_slice(&bytes[clean..]);
    out.push(b'"');
}

/// Whether none of eight bytes must be escaped. Each test leaves the high bit of a byte that meets it; it may also leave that of a byte
/// above one that does, so only "none" is exact, and that is what is asked.
fn is_clean(word: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let Ok(word) = word.try_into() else { return false };
    let word = u64::from_le_bytes(word);
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = zero(word ^ (ONES * u64::from(b'"')));
    let slash = zero(word ^ (ONES * u64::from(b'\\')));
    (control | quote | slash) & HIGH == 0
}

#[cold]
fn escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.extend_from_slice(b"\\\""),
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        0x08 => out.extend_from_slice(b"\\b"),
        0x0c => out.extend_from_slice(b"\\f"),
        _ => {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
    }
}

/// Writes a whole number.
pub(crate) fn integer(number: i64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// Writes a floating-point number. JSON has no NaN and no infinities; as strings they lose nothing.
pub(crate) fn real(number: f64, out: &mut Vec<u8>) {
    if number.is_finite() {
        // Cannot fail: a Vec takes everything.
        let _ = serde_json::to_writer(&mut *out, &number);
    } else {
        string(value::not_finite(number), out);
    }
}

/// Writes a cell as the field says, or tells what does not fit.
pub(super) fn cell(cell: &Cell<'_>, kind: &Kind, clock: &mut Clock, out: &mut Vec<u8>) -> Result<(), &'static str> {
    if matches!(cell, Cell::Null) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match kind {
        Kind::Plain => plain(cell, clock, out),
        Kind::String => match cell {
            Cell::Text(text) | Cell::Number(text) | Cell::Json(text) => string(text, out),
            Cell::Int(number) => {
                out.push(b'"');
                integer(*number, out);
                out.push(b'"');
            }
            Cell::Real(number) if number.is_finite() => {
                out.push(b'"');
                real(*number, out);
                out.push(b'"');
            }
            Cell::Bool(flag) => string(if *flag { "true" } else { "false" }, out),
            other => plain(other, clock, out),
        },
        Kind::Integer => match value::integer(cell)? {
            value::Digits::Int(number) => integer(number, out),
            value::Digits::Text(digits) => out.extend_from_slice(digits.as_bytes()),
        },
        Kind::Number => match cell {
            Cell::Int(number) => integer(*number, out),
            Cell::Real(number) => real(*number, out),
            Cell::Number(text) | Cell::Text(text) if value::is_number(text) => out.extend_from_slice(text.as_bytes()),
            Cell::Number(text) => string(text, out),
            _ => return Err("is not a number"),
        },
        Kind::Boolean => out.extend_from_slice(if value::boolean(cell)? { b"true" } else { b"false" }),
        Kind::Timestamp(field) | Kind::Date(field) => moment(cell, field, clock, out)?,
        Kind::Json => match cell {
            Cell::Json(text) => out.extend_from_slice(text.as_bytes()),
            Cell::Text(text) => {
                value::check_json(text)?;
                out.extend_from_slice(text.as_bytes());
            }
            Cell::Int(_) | Cell::Real(_) | Cell::Bool(_) | Cell::Number(_) => plain(cell, clock, out),
            _ => return Err("is not JSON"),
        },
    }
    Ok(())
}

fn moment(cell: &Cell<'_>, field: &TimeField, clock: &mut Clock, out: &mut Vec<u8>) -> Result<(), &'static str> {
    match value::moment(cell, field.from)? {
        value::Moment::Stamp(stamp) => formatted(&field.json, stamp, clock, out),
        value::Moment::Text(text) => string(text, out),
    }
    Ok(())
}

fn formatted(format: &TimeFormat, stamp: crate::catalogue::Stamp, clock: &mut Clock, out: &mut Vec<u8>) {
    if format.is_plain() {
        out.push(b'"');
        format.write(stamp, &mut clock.day, out);
        out.push(b'"');
    } else {
        // A format of the operator's may hold quotes.
        let mut text = std::mem::take(&mut clock.scratch);
        text.clear();
        format.write(stamp, &mut clock.day, &mut text);
        string(&String::from_utf8_lossy(&text), out);
        clock.scratch = text;
    }
}

/// A cell that the catalogue says nothing of, by its own type.
fn plain(cell: &Cell<'_>, clock: &mut Clock, out: &mut Vec<u8>) {
    match cell {
        Cell::Null => out.extend_from_slice(b"null"),
        Cell::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        Cell::Int(number) => integer(*number, out),
        Cell::Real(number) => real(*number, out),
        Cell::Number(text) if value::is_number(text) => out.extend_from_slice(text.as_bytes()),
        Cell::Text(text) | Cell::Number(text) => string(text, out),
        Cell::Json(text) => out.extend_from_slice(text.as_bytes()),
        Cell::Uuid(bytes) => string(&uuid_text(*bytes), out),
        Cell::Blob(bytes) => {
            out.push(b'"');
            let start = out.len();
            out.resize(start + base64::encoded_len(bytes.len(), true).unwrap_or(0), 0);
            let written = STANDARD.encode_slice(bytes, &mut out[start..]).unwrap_or(0);
            out.truncate(start + written);
            out.push(b'"');
        }
        Cell::Timestamp(_) | Cell::Date(_) => {
            let (format, stamp) = value::natural(cell);
            if let Some(stamp) = stamp {
                out.push(b'"');
                format.write(stamp, &mut clock.day, out);
                out.push(b'"');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        string(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn strings_are_what_serde_reads(text in prop_oneof![any::<String>(), "[a\"\\\\\u{0}-\u{1f}é\u{2028}]{0,200}"]) {
            let ours = written(&text);
            prop_assert_eq!(&serde_json::from_str::<String>(&ours).unwrap(), &text);
            prop_assert_eq!(ours, serde_json::to_string(&text).unwrap());
        }

        #[test]
        fn integers_are_what_display_writes(number in any::<i64>()) {
            let mut out = Vec::new();
            integer(number, &mut out);
            prop_assert_eq!(out, number.to_string().into_bytes());
        }

        #[test]
        fn reals_read_back(number in any::<f64>()) {
            let mut out = Vec::new();
            real(number, &mut out);
            let read: serde_json::Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(read.is_string(), !number.is_finite());
            if number.is_finite() {
                prop_assert_eq!(String::from_utf8(out).unwrap().parse::<f64>().unwrap(), number);
            }
        }
    }

    #[test]
    fn edges_of_blocks() {
        for length in 0..100 {
            for at in 0..length {
                let mut text = "x".repeat(length);
                text.replace_range(at..=at, "\"");
                assert_eq!(serde_json::from_str::<String>(&written(&text)).unwrap(), text);
            }
        }
        let mut out = Vec::new();
        integer(i64::MIN, &mut out);
        assert_eq!(out, b"-9223372036854775808");
    }
}
