//! What a cell means to a field, the same for JSON and TXT.

use serde::de::IgnoredAny;

use crate::catalogue::{DayCache, Field, FieldKind, Stamp, TimeField, TimeFormat, TimeFrom};
use crate::source::Cell;

/// What the values of a column are; `Plain` when the catalogue says nothing.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Plain,
    String,
    Integer,
    Number,
    Boolean,
    Timestamp(TimeField),
    Date(TimeField),
    Json,
}

impl Kind {
    pub(super) fn of(field: Option<&Field>) -> Self {
        match field.map(|field| &field.kind) {
            None | Some(FieldKind::Any) => Self::Plain,
            Some(FieldKind::String) => Self::String,
            Some(FieldKind::Integer) => Self::Integer,
            Some(FieldKind::Number) => Self::Number,
            Some(FieldKind::Boolean) => Self::Boolean,
            Some(FieldKind::Timestamp(time)) => Self::Timestamp(time.clone()),
            Some(FieldKind::Date(time)) => Self::Date(time.clone()),
            Some(FieldKind::Json) => Self::Json,
        }
    }
}

/// What writing times needs from row to row.
#[derive(Debug, Default)]
pub(super) struct Clock {
    pub(super) day: DayCache,
    pub(super) scratch: Vec<u8>,
}

pub(super) enum Digits<'c> {
    Int(i64),
    Text(&'c str),
}

/// A whole number, however the database holds it.
pub(super) fn integer<'c>(cell: &Cell<'c>) -> Result<Digits<'c>, &'static str> {
    /// Up to here a double counts every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match cell {
        Cell::Int(number) => Ok(Digits::Int(*number)),
        Cell::Bool(flag) => Ok(Digits::Int(i64::from(*flag))),
        Cell::Real(number) if number.fract() == 0.0 && number.abs() <= EXACT => Ok(Digits::Int(*number as i64)),
        Cell::Number(text) | Cell::Text(text) if is_number(text) && !text.contains(['.', 'e', 'E']) => Ok(Digits::Text(text)),
        _ => Err("is not a whole number"),
    }
}

pub(super) fn boolean(cell: &Cell<'_>) -> Result<bool, &'static str> {
    match cell {
        Cell::Bool(flag) => Ok(*flag),
        Cell::Int(0) => Ok(false),
        Cell::Int(1) => Ok(true),
        Cell::Text("0" | "f" | "false") => Ok(false),
        Cell::Text("1" | "t" | "true") => Ok(true),
        _ => Err("is neither true nor false, nor 1 nor 0"),
    }
}

pub(super) enum Moment<'c> {
    Stamp(Stamp),
    /// A text that is no time: it is written as it stands, because dropping it would lose what the operator holds.
    Text(&'c str),
}

pub(super) fn moment<'c>(cell: &Cell<'c>, from: Option<TimeFrom>) -> Result<Moment<'c>, &'static str> {
    let number = |number: i64| match from {
        Some(TimeFrom::Seconds) => Ok(Moment::Stamp(Stamp::from_seconds(number))),
        Some(TimeFrom::Millis) => Ok(Moment::Stamp(Stamp::from_millis(number))),
        Some(TimeFrom::Micros) => Ok(Moment::Stamp(Stamp::from_micros(number))),
        Some(TimeFrom::Text) | None => Err("is a number, and the field's `from` does not say of what since 1970"),
    };
    match cell {
        Cell::Timestamp(micros) => Ok(Moment::Stamp(Stamp::from_micros(*micros))),
        Cell::Date(day) => Ok(Moment::Stamp(Stamp { day: i64::from(*day), second: 0, nano: 0 })),
        Cell::Int(value) => number(*value),
        // Seconds with a fraction, as SQLite's own functions have them; beyond the range of i64 the cast saturates.
        Cell::Real(value) if value.is_finite() && from == Some(TimeFrom::Seconds) => {
            Ok(Moment::Stamp(Stamp::from_micros((value * 1e6).round() as i64)))
        }
        Cell::Real(value) if value.is_finite() => number(value.round() as i64),
        Cell::Text(text) | Cell::Number(text) => match (from, text.parse::<i64>()) {
            (Some(TimeFrom::Seconds | TimeFrom::Millis | TimeFrom::Micros), Ok(value)) => number(value),
            _ => Ok(Stamp::parse(text).map_or(Moment::Text(text), Moment::Stamp)),
        },
        _ => Err("is not a time"),
    }
}

/// How a time of the database's own type is written when the catalogue says nothing.
pub(super) fn natural(cell: &Cell<'_>) -> (TimeFormat, Option<Stamp>) {
    match cell {
        Cell::Timestamp(micros) => (TimeFormat::date_time(""), Some(Stamp::from_micros(*micros))),
        Cell::Date(day) => (TimeFormat::date(), Some(Stamp { day: i64::from(*day), second: 0, nano: 0 })),
        _ => (TimeFormat::date(), None),
    }
}

pub(super) fn not_finite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// Whether this is a number by JSON's grammar.
pub(crate) fn is_number(text: &str) -> bool {
    let bytes = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(0);
    if whole == 0 || (whole > 1 && bytes[0] == b'0') {
        return false;
    }
    let mut at = whole;
    if bytes.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return false;
        }
        at += 1 + fraction;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at);
        if exponent == 0 {
            return false;
        }
        at += exponent;
    }
    at == bytes.len()
}

/// How deep JSON of the operator's may be nested; readers give up at some 128.
const MAX_DEPTH: usize = 100;

/// Checks JSON that is written through.
pub(crate) fn check_json(text: &str) -> Result<(), &'static str> {
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| "is not JSON")?;
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match (quoted, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => quoted = !quoted,
            (false, b'{' | b'[') => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err("is JSON nested too deep");
                }
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_by_the_grammar() {
        for text in ["0", "-0", "12", "1.50", "-0.5", "1e9", "1.5E-10", "123456789012345678901234567890"] {
            assert!(is_number(text), "{text}");
            assert!(serde_json::from_str::<IgnoredAny>(text).is_ok(), "{text}");
        }
        for text in ["", "-", "01", "1.", ".5", "+1", "1e", "1e+", "NaN", "Infinity", "1 ", "0x1", "1_0"] {
            assert!(!is_number(text), "{text}");
        }
    }

    #[test]
    fn json_is_checked_for_form_and_depth() {
        assert_eq!(check_json(r#"{"a":[1,"]]]\"[[["]}"#), Ok(()));
        assert_eq!(check_json("{"), Err("is not JSON"));
        assert_eq!(check_json("1 2"), Err("is not JSON"));
        assert_eq!(check_json(""), Err("is not JSON"));
        let deep = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert_eq!(check_json(&deep(MAX_DEPTH)), Ok(()));
        assert_eq!(check_json(&deep(MAX_DEPTH + 1)), Err("is JSON nested too deep"));
        assert_eq!(check_json(&deep(1_000_000)), Err("is JSON nested too deep"));
    }
}
