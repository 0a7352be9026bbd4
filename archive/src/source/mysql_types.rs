//! The types of MySQL and MariaDB: how columns become cells. Values arrive in the binary protocol, texts in utf8mb4.

use std::fmt::Write as _;
use std::ops::Range;

use sqlx::mysql::MySqlTypeInfo;
use sqlx::{MySql, Type, TypeInfo};

use super::Cell;
use crate::catalogue::contents::Type as Told;

/// How the bytes of a column are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Int {
        bytes: u8,
        signed: bool,
    },
    Float,
    Double,
    /// An exact number, as digits.
    Decimal,
    /// Up to 64 bits, the first one the highest.
    Bit,
    Text,
    /// JSON of MySQL's own type, which the server has checked.
    Json,
    /// MariaDB's JSON, which is a text with a check that is more lenient than JSON is.
    LenientJson,
    Blob,
    Date,
    DateTime,
    Time,
    Null,
}

impl Form {
    /// What is written of it where the catalogue declares nothing.
    pub(super) fn kind(self) -> Told {
        match self {
            Self::Int { .. } | Self::Bit => Told::Integer,
            Self::Float | Self::Double | Self::Decimal => Told::Number,
            Self::Text | Self::Blob | Self::Date | Self::DateTime | Self::Time => Told::String,
            Self::Json => Told::Json,
            // Checked value by value, or of no type at all.
            Self::LenientJson | Self::Null => Told::Any,
        }
    }

    /// Whether its values are compared as numbers.
    pub(super) fn is_number(self) -> bool {
        matches!(self, Self::Int { .. } | Self::Float | Self::Double | Self::Decimal | Self::Bit)
    }

    /// Whether its values are moments or days.
    pub(super) fn is_time(self) -> bool {
        matches!(self, Self::Date | Self::DateTime)
    }

    /// Whether some of its values must be written before they can be lent.
    fn may_be_written(self) -> bool {
        matches!(self, Self::Int { bytes: 8, signed: false } | Self::Bit | Self::Date | Self::DateTime | Self::Time)
    }
}

/// How a column of this type is read.
pub(super) fn form(info: &MySqlTypeInfo) -> Form {
    let int = |bytes, signed| Form::Int { bytes, signed };
    match info.name() {
        // Every tinyint(1), of which the name does not say whether it has a sign.
        "BOOLEAN" => int(1, *info != <u8 as Type<MySql>>::type_info()),
        "TINYINT" => int(1, true),
        "TINYINT UNSIGNED" => int(1, false),
        "SMALLINT" => int(2, true),
        "SMALLINT UNSIGNED" | "YEAR" => int(2, false),
        "INT" | "MEDIUMINT" => int(4, true),
        "INT UNSIGNED" | "MEDIUMINT UNSIGNED" => int(4, false),
        "BIGINT" => int(8, true),
        "BIGINT UNSIGNED" => int(8, false),
        "FLOAT" => Form::Float,
        "DOUBLE" => Form::Double,
        "DECIMAL" => Form::Decimal,
        "BIT" => Form::Bit,
        "DATE" => Form::Date,
        "DATETIME" | "TIMESTAMP" => Form::DateTime,
        "TIME" => Form::Time,
        "JSON" => Form::Json,
        "GEOMETRY" => Form::Blob,
        "NULL" => Form::Null,
        "ENUM" | "SET" => Form::Text,
        // Binary or not is a matter of the collation: columns that compare by bytes are flagged as binary too.
        _ if <str as Type<MySql>>::compatible(info) => Form::Text,
        _ => Form::Blob,
    }
}

/// Whether this column may be MariaDB's JSON.
pub(super) fn may_be_json(info: &MySqlTypeInfo) -> bool {
    let long = ["TEXT", "BLOB", "LONGTEXT", "LONGBLOB"].contains(&info.name());
    long && form(info) == Form::Text
}

/// Why bytes are no cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadCell {
    /// Text that is not what the server says it is.
    NotUtf8,
    /// Another length than the type has.
    Malformed,
}

/// What had to be written, as no bytes of the row say it: by column.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    text: String,
    places: Vec<(usize, Range<usize>)>,
}

impl Scratch {
    pub(super) fn clear(&mut self) {
        // One row of a hundred megabytes must not stay for ever.
        if self.text.capacity() > 1 << 20 {
            self.text = String::new();
        }
        self.text.clear();
        self.places.clear();
    }

    fn get(&self, column: usize) -> Option<&str> {
        let (_, place) = self.places.iter().find(|(at, _)| *at == column)?;
        self.text.get(place.clone())
    }

    /// Writes a value if it has to be written.
    pub(super) fn prepare(&mut self, column: usize, form: Form, bytes: &[u8]) -> Result<(), BadCell> {
        if !form.may_be_written() {
            return Ok(());
        }
        let from = self.text.len();
        match form {
            Form::Int { .. } | Form::Bit => {
                let number = unsigned(form, bytes)?;
                if i64::try_from(number).is_err() {
                    let _ = write!(self.text, "{number}");
                }
            }
            Form::Time => Clock::read(bytes)?.write(&mut self.text),
            _ => {
                let moment = Moment::read(bytes)?;
                if moment.day().is_none() {
                    moment.write(form == Form::DateTime, &mut self.text);
                }
            }
        }
        if self.text.len() > from {
            self.places.push((column, from..self.text.len()));
        }
        Ok(())
    }

    /// Writes a text whose broken places are repaired; tells whether it had some.
    pub(super) fn repair(&mut self, column: usize, form: Form, bytes: &[u8]) -> bool {
        let text = matches!(form, Form::Text | Form::Json | Form::LenientJson | Form::Decimal);
        if !text || std::str::from_utf8(bytes).is_ok() {
            return false;
        }
        let from = self.text.len();
        self.text.push_str(&String::from_utf8_lossy(bytes));
        self.places.push((column, from..self.text.len()));
        true
    }

    /// The cell of a value, lent from the row or from what was written.
    pub(super) fn cell<'r>(&'r self, column: usize, form: Form, bytes: &'r [u8]) -> Result<Cell<'r>, BadCell> {
        if !self.places.is_empty()
            && let Some(text) = self.get(column)
        {
            return Ok(if matches!(form, Form::Int { .. } | Form::Bit) { Cell::Number(text) } else { Cell::Text(text) });
        }
        cell(form, bytes)
    }
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], BadCell> {
    bytes.try_into().map_err(|_| BadCell::Malformed)
}

fn text(bytes: &[u8]) -> Result<&str, BadCell> {
    std::str::from_utf8(bytes).map_err(|_| BadCell::NotUtf8)
}

fn unsigned(form: Form, bytes: &[u8]) -> Result<u64, BadCell> {
    if form == Form::Bit {
        return if bytes.len() <= 8 {
            Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
        } else {
            Err(BadCell::Malformed)
        };
    }
    fixed(bytes).map(u64::from_le_bytes)
}

fn cell(form: Form, bytes: &[u8]) -> Result<Cell<'_>, BadCell> {
    Ok(match form {
        Form::Int { bytes: 1, signed: true } => Cell::Int(i8::from_le_bytes(fixed(bytes)?).into()),
        Form::Int { bytes: 1, .. } => Cell::Int(u8::from_le_bytes(fixed(bytes)?).into()),
        Form::Int { bytes: 2, signed: true } => Cell::Int(i16::from_le_bytes(fixed(bytes)?).into()),
        Form::Int { bytes: 2, .. } => Cell::Int(u16::from_le_bytes(fixed(bytes)?).into()),
        Form::Int { bytes: 4, signed: true } => Cell::Int(i32::from_le_bytes(fixed(bytes)?).into()),
        Form::Int { bytes: 4, .. } => Cell::Int(u32::from_le_bytes(fixed(bytes)?).into()),
        Form::Int { signed: true, .. } => Cell::Int(i64::from_le_bytes(fixed(bytes)?)),
        Form::Int { .. } | Form::Bit => Cell::Int(i64::try_from(unsigned(form, bytes)?).map_err(|_| BadCell::Malformed)?),
        // By its own shortest digits: as a double 0.1 would be 0.10000000149011612.
        Form::Float => {
            let number = f32::from_le_bytes(fixed(bytes)?);
            Cell::Real(number.to_string().parse().unwrap_or(f64::from(number)))
        }
        Form::Double => Cell::Real(f64::from_le_bytes(fixed(bytes)?)),
        Form::Decimal => Cell::Number(text(bytes)?),
        Form::Text => Cell::Text(text(bytes)?),
        Form::Json => Cell::Json(text(bytes)?),
        Form::LenientJson => {
            let text = text(bytes)?;
            if crate::write::value::check_json(text).is_ok() { Cell::Json(text) } else { Cell::Text(text) }
        }
        Form::Blob => Cell::Blob(bytes),
        Form::Date => Cell::Date(Moment::read(bytes)?.day().ok_or(BadCell::Malformed)?),
        Form::DateTime => {
            let moment = Moment::read(bytes)?;
            let day = moment.day().ok_or(BadCell::Malformed)?;
            let [hour, minute, second] = moment.clock.map(i64::from);
            let seconds = i64::from(day) * 86_400 + hour * 3_600 + minute * 60 + second;
            Cell::Timestamp(seconds * 1_000_000 + i64::from(moment.micros))
        }
        Form::Time => return Err(BadCell::Malformed),
        Form::Null => Cell::Null,
    })
}

/// A date or a datetime, which need not be one of the calendar's: `0000-00-00`, `2024-02-00`.
struct Moment {
    year: u16,
    month: u8,
    day: u8,
    clock: [u8; 3],
    micros: u32,
}

impl Moment {
    /// A length of 0, 4, 7 or 11, and as many bytes.
    fn read(bytes: &[u8]) -> Result<Self, BadCell> {
        let mut moment = Self { year: 0, month: 0, day: 0, clock: [0; 3], micros: 0 };
        let (length, rest) = bytes.split_first().ok_or(BadCell::Malformed)?;
        if usize::from(*length) != rest.len() || ![0, 4, 7, 11].contains(length) {
            return Err(BadCell::Malformed);
        }
        if let [y0, y1, month, day, rest @ ..] = rest {
            (moment.year, moment.month, moment.day) = (u16::from_le_bytes([*y0, *y1]), *month, *day);
            if let [hour, minute, second, rest @ ..] = rest {
                moment.clock = [*hour, *minute, *second];
                if !rest.is_empty() {
                    moment.micros = u32::from_le_bytes(fixed(rest)?);
                }
            }
        }
        Ok(moment)
    }

    /// Days since 1970, if the calendar has such a day and the day such a time.
    fn day(&self) -> Option<i32> {
        let [hour, minute, second] = self.clock;
        let year = i16::try_from(self.year).ok()?;
        jiff::civil::Date::new(year, i8::try_from(self.month).ok()?, i8::try_from(self.day).ok()?).ok()?;
        if hour > 23 || minute > 59 || second > 59 || self.micros > 999_999 {
            return None;
        }
        // Years begin in March here, so that the leap day is the last one.
        let (year, month) = (i32::from(year) - i32::from(self.month <= 2), (i32::from(self.month) + 9) % 12);
        let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let of_year = (153 * month + 2) / 5 + i32::from(self.day) - 1;
        Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
    }

    fn write(&self, with_clock: bool, out: &mut String) {
        let [hour, minute, second] = self.clock;
        let _ = write!(out, "{:04}-{:02}-{:02}", self.year, self.month, self.day);
        if with_clock {
            let _ = write!(out, " {hour:02}:{minute:02}:{second:02}");
            fraction(self.micros, out);
        }
    }
}

/// A time of day, or a span of up to 838 hours in either direction.
struct Clock {
    negative: bool,
    hours: u32,
    minute: u8,
    second: u8,
    micros: u32,
}

impl Clock {
    /// A length of 0, 8 or 12, and as many bytes.
    fn read(bytes: &[u8]) -> Result<Self, BadCell> {
        let mut clock = Self { negative: false, hours: 0, minute: 0, second: 0, micros: 0 };
        let (length, rest) = bytes.split_first().ok_or(BadCell::Malformed)?;
        if usize::from(*length) != rest.len() || ![0, 8, 12].contains(length) {
            return Err(BadCell::Malformed);
        }
        if let [negative, d0, d1, d2, d3, hour, minute, second, rest @ ..] = rest {
            let days = u32::from_le_bytes([*d0, *d1, *d2, *d3]);
            clock.negative = *negative != 0;
            clock.hours = days.checked_mul(24).and_then(|hours| hours.checked_add((*hour).into())).ok_or(BadCell::Malformed)?;
            (clock.minute, clock.second) = (*minute, *second);
            if !rest.is_empty() {
                clock.micros = u32::from_le_bytes(fixed(rest)?);
            }
        }
        Ok(clock)
    }

    fn write(&self, out: &mut String) {
        let sign = if self.negative { "-" } else { "" };
        let _ = write!(out, "{sign}{:02}:{:02}:{:02}", self.hours, self.minute, self.second);
        fraction(self.micros, out);
    }
}

fn fraction(micros: u32, out: &mut String) {
    if micros > 0 {
        let digits = format!(".{micros:06}");
        out.push_str(digits.trim_end_matches('0'));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: Form, bytes: &[u8], check: impl FnOnce(Result<Cell<'_>, BadCell>)) {
        let mut scratch = Scratch::default();
        match scratch.prepare(3, form, bytes) {
            Ok(()) => check(scratch.cell(3, form, bytes)),
            Err(bad) => check(Err(bad)),
        }
    }

    #[test]
    fn malformed_bytes_are_no_cells() {
        let ints = [1, 2, 4, 8].into_iter().flat_map(|bytes| [true, false].map(|signed| Form::Int { bytes, signed }));
        for form in ints.chain([Form::Float, Form::Double, Form::Date, Form::DateTime, Form::Time]) {
            for bytes in [&[][..], &[0; 3], &[9; 13]] {
                read(form, bytes, |cell| assert_eq!(cell, Err(BadCell::Malformed), "{form:?}"));
            }
        }
        read(Form::Bit, &[1; 9], |cell| assert_eq!(cell, Err(BadCell::Malformed)));
        read(Form::Text, b"\xff", |cell| assert_eq!(cell, Err(BadCell::NotUtf8)));
    }

    #[test]
    fn what_i64_does_not_hold_is_written() {
        let wide = Form::Int { bytes: 8, signed: false };
        read(wide, &u64::MAX.to_le_bytes(), |cell| assert_eq!(cell, Ok(Cell::Number("18446744073709551615"))));
        read(wide, &7u64.to_le_bytes(), |cell| assert_eq!(cell, Ok(Cell::Int(7))));
        read(Form::Bit, &[0xff; 8], |cell| assert_eq!(cell, Ok(Cell::Number("18446744073709551615"))));
        read(Form::Bit, &[1, 2], |cell| assert_eq!(cell, Ok(Cell::Int(258))));
    }

    #[test]
    fn days_of_the_calendar_and_others() {
        let date = |year: u16, month: u8, day: u8| {
            let year = year.to_le_bytes();
            [4, year[0], year[1], month, day]
        };
        for (bytes, days) in
            [(date(1970, 1, 1), 0), (date(2024, 2, 29), 19_782), (date(0, 1, 1), -719_528), (date(9999, 12, 31), 2_932_896)]
        {
            read(Form::Date, &bytes, |cell| assert_eq!(cell, Ok(Cell::Date(days))));
        }
        read(Form::Date, &[0], |cell| assert_eq!(cell, Ok(Cell::Text("0000-00-00"))));
        read(Form::Date, &date(2023, 2, 29), |cell| assert_eq!(cell, Ok(Cell::Text("2023-02-29"))));
        read(Form::DateTime, &[0], |cell| assert_eq!(cell, Ok(Cell::Text("0000-00-00 00:00:00"))));
        read(Form::DateTime, &[7, 178, 7, 1, 2, 3, 4, 5], |cell| assert_eq!(cell, Ok(Cell::Timestamp(97_445_000_000))));
    }

    #[test]
    fn times_beyond_a_day() {
        read(Form::Time, &[0], |cell| assert_eq!(cell, Ok(Cell::Text("00:00:00"))));
        read(Form::Time, &[8, 1, 34, 0, 0, 0, 22, 59, 59], |cell| assert_eq!(cell, Ok(Cell::Text("-838:59:59"))));
        read(Form::Time, &[12, 0, 0, 0, 0, 0, 1, 2, 3, 0x20, 0xa1, 7, 0], |cell| assert_eq!(cell, Ok(Cell::Text("01:02:03.5"))));
    }

    #[test]
    fn broken_texts_are_repaired_and_told() {
        let mut scratch = Scratch::default();
        assert!(!scratch.repair(0, Form::Text, "é".as_bytes()));
        assert!(!scratch.repair(1, Form::Blob, b"\xff"));
        assert!(scratch.repair(2, Form::Text, b"a\xffb"));
        assert_eq!(scratch.cell(2, Form::Text, b"a\xffb"), Ok(Cell::Text("a\u{fffd}b")));
        assert_eq!(scratch.cell(0, Form::Text, b"c"), Ok(Cell::Text("c")));
        assert_eq!(cell(Form::LenientJson, b"{\"a\":1}"), Ok(Cell::Json("{\"a\":1}")));
        assert_eq!(cell(Form::LenientJson, b"{'a':1}"), Ok(Cell::Text("{'a':1}")));
    }
}
