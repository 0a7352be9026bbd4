//! Moments, and how they are written. The two usual formats are written by our own arithmetic, because a heavy person has
//! millions of them; anything else goes through jiff.

use std::str::FromStr;

use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

const DATE_TIME: &str = "%Y-%m-%d %H:%M:%S";
const DATE: &str = "%Y-%m-%d";

/// A moment as days since 1970 and what is left; wide enough for anything a database can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) day: i64,
    pub(crate) second: u32,
    pub(crate) nano: u32,
}

impl Stamp {
    pub(crate) fn from_seconds(seconds: i64) -> Self {
        Self { day: seconds.div_euclid(86_400), second: seconds.rem_euclid(86_400) as u32, nano: 0 }
    }

    pub(crate) fn from_millis(millis: i64) -> Self {
        Self { nano: millis.rem_euclid(1_000) as u32 * 1_000_000, ..Self::from_seconds(millis.div_euclid(1_000)) }
    }

    pub(crate) fn from_micros(micros: i64) -> Self {
        Self { nano: micros.rem_euclid(1_000_000) as u32 * 1_000, ..Self::from_seconds(micros.div_euclid(1_000_000)) }
    }

    /// Reads `2026-01-31`, `2026-01-31 23:59:59`, also with `T`, a fraction, `Z`, ` UTC` or an offset. Without an offset
    /// it is UTC.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix(" UTC").unwrap_or(text);
        if let Some(stamp) = parse_plain(text.as_bytes()) {
            return Some(stamp);
        }
        if let Ok(timestamp) = jiff::Timestamp::from_str(text) {
            return Some(Self::from_timestamp(timestamp));
        }
        let civil = jiff::civil::DateTime::from_str(text).ok()?;
        Some(Self::from_timestamp(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp()))
    }

    pub(crate) fn from_timestamp(timestamp: jiff::Timestamp) -> Self {
        let (mut seconds, mut nano) = (timestamp.as_second(), timestamp.subsec_nanosecond());
        if nano < 0 {
            seconds -= 1;
            nano += 1_000_000_000;
        }
        Self { nano: nano as u32, ..Self::from_seconds(seconds) }
    }

    fn broken_down(self) -> Option<BrokenDownTime> {
        let seconds = self.day.checked_mul(86_400)?.checked_add(i64::from(self.second))?;
        if let Ok(timestamp) = jiff::Timestamp::new(seconds, self.nano as i32) {
            return Some(BrokenDownTime::from(&timestamp.to_zoned(TimeZone::UTC)));
        }
        // The last day before the year 10000 is beyond jiff's moments, which leave room for every zone, but not beyond its days.
        let (year, month, day) = civil(self.day);
        let date = jiff::civil::Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
        let (hour, minute, second) = ((self.second / 3_600) as i8, (self.second / 60 % 60) as i8, (self.second % 60) as i8);
        let time = jiff::civil::Time::new(hour, minute, second, self.nano as i32).ok()?;
        let mut broken = BrokenDownTime::from(date.to_datetime(time));
        broken.set_offset(Some(jiff::tz::Offset::UTC));
        Some(broken)
    }
}

/// The one form that texts usually have, `2026-01-31 23:59:59` with a blank or a `T`, without asking jiff.
fn parse_plain(text: &[u8]) -> Option<Stamp> {
    let digits = |range: std::ops::Range<usize>| {
        text[range].iter().try_fold(0u32, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0')))
    };
    if text.len() != 19
        || text[4] != b'-'
        || text[7] != b'-'
        || !matches!(text[10], b' ' | b'T')
        || text[13] != b':'
        || text[16] != b':'
    {
        return None;
    }
    let (year, month, day) = (digits(0..4)?, digits(5..7)?, digits(8..10)?);
    let (hour, minute, second) = (digits(11..13)?, digits(14..16)?, digits(17..19)?);
    let stamp = Stamp { day: days(i64::from(year), month, day), second: hour * 3_600 + minute * 60 + second, nano: 0 };
    // A day that is not in the calendar comes back as another one.
    (hour < 24 && minute < 60 && second < 60 && civil(stamp.day) == (i64::from(year), month, day)).then_some(stamp)
}

/// Days since 1970 of a civil date, by Hinnant's arithmetic on years that begin in March.
fn days(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month = i64::from(if month > 2 { month - 3 } else { month + 9 });
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The civil date of a day since 1970.
fn civil(day: i64) -> (i64, u32, u32) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let day_of_era = day.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month + 2) / 5 + 1) as u32;
    let month = (if month < 10 { month + 3 } else { month - 9 }) as u32;
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The last day written, for rows in order of time.
#[derive(Debug)]
pub(crate) struct DayCache {
    day: i64,
    text: [u8; 10],
}

impl Default for DayCache {
    fn default() -> Self {
        Self { day: 0, text: *b"1970-01-01" }
    }
}

/// A checked `strftime` format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeFormat(Inner);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Inner {
    /// `%Y-%m-%d %H:%M:%S` and then this.
    DateTime(String),
    /// `%Y-%m-%d` and then this.
    Date(String),
    Custom(String),
}

impl TimeFormat {
    /// Checks a format; the error says what is wrong with it.
    pub fn parse(format: &str) -> Result<Self, String> {
        if let Some(rest) = format.strip_prefix(DATE_TIME).filter(|rest| !rest.contains('%')) {
            return Ok(Self(Inner::DateTime(rest.to_owned())));
        }
        if let Some(rest) = format.strip_prefix(DATE).filter(|rest| !rest.contains('%')) {
            return Ok(Self(Inner::Date(rest.to_owned())));
        }
        let sample = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
        jiff::fmt::strtime::format(format, &sample).map_err(|error| error.to_string())?;
        Ok(Self(Inner::Custom(format.to_owned())))
    }

    /// `%Y-%m-%d %H:%M:%S`
    pub(crate) fn date_time(suffix: &str) -> Self {
        Self(Inner::DateTime(suffix.to_owned()))
    }

    /// `%Y-%m-%d`
    pub(crate) fn date() -> Self {
        Self(Inner::Date(String::new()))
    }

    /// The format, as the catalogue would write it.
    pub fn as_text(&self) -> String {
        match &self.0 {
            Inner::DateTime(rest) => format!("{DATE_TIME}{rest}"),
            Inner::Date(rest) => format!("{DATE}{rest}"),
            Inner::Custom(format) => format.clone(),
        }
    }

    /// Whether a fraction of a second can be put behind what it writes.
    pub(crate) fn ends_in_seconds(&self) -> bool {
        match &self.0 {
            Inner::DateTime(suffix) => suffix.is_empty(),
            Inner::Date(_) => false,
            Inner::Custom(format) => format.ends_with("%S") || format.ends_with("%T"),
        }
    }

    /// Whether it writes fractions of a second itself.
    pub(crate) fn has_fraction(&self) -> bool {
        let fraction = |rest: &str| rest.trim_start_matches(['.', '3', '6', '9']).starts_with(['f', 'N']);
        matches!(&self.0, Inner::Custom(format) if format.split('%').skip(1).any(fraction))
    }

    /// Whether what it writes needs no escaping.
    pub(crate) fn is_plain(&self) -> bool {
        match &self.0 {
            Inner::DateTime(suffix) | Inner::Date(suffix) => {
                suffix.bytes().all(|b| b.is_ascii_alphanumeric() || b" :.+-".contains(&b))
            }
            Inner::Custom(_) => false,
        }
    }

    /// Writes a moment. What a custom format cannot hold (years beyond 9999) is written in full to the second.
    pub(crate) fn write(&self, stamp: Stamp, cache: &mut DayCache, out: &mut Vec<u8>) {
        match &self.0 {
            Inner::DateTime(suffix) => {
                write_date(stamp.day, cache, out);
                write_time(stamp.second, out);
                out.extend_from_slice(suffix.as_bytes());
            }
            Inner::Date(suffix) => {
                write_date(stamp.day, cache, out);
                out.extend_from_slice(suffix.as_bytes());
            }
            Inner::Custom(format) => {
                let start = out.len();
                let done = stamp.broken_down().is_some_and(|time| time.format(format, &mut *out).is_ok());
                if !done {
                    out.truncate(start);
                    write_date(stamp.day, cache, out);
                    write_time(stamp.second, out);
                }
            }
        }
    }
}

fn write_date(day: i64, cache: &mut DayCache, out: &mut Vec<u8>) {
    if cache.day != day {
        let (year, month, day_of_month) = civil(day);
        if !(0..=9_999).contains(&year) {
            out.extend_from_slice(format!("{year:05}-{month:02}-{day_of_month:02}").as_bytes());
            return;
        }
        let year = year as u32;
        cache.text[..4].copy_from_slice(&[digit(year / 1_000), digit(year / 100), digit(year / 10), digit(year)]);
        cache.text[5..7].copy_from_slice(&[digit(month / 10), digit(month)]);
        cache.text[8..].copy_from_slice(&[digit(day_of_month / 10), digit(day_of_month)]);
        cache.day = day;
    }
    out.extend_from_slice(&cache.text);
}

fn write_time(second: u32, out: &mut Vec<u8>) {
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    out.extend_from_slice(&[
        b' ',
        digit(hour / 10),
        digit(hour),
        b':',
        digit(minute / 10),
        digit(minute),
        b':',
        digit(second / 10),
        digit(second),
    ]);
}

fn digit(value: u32) -> u8 {
    b'0' + (value % 10) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(format: &str, stamp: Stamp) -> String {
        let mut out = Vec::new();
        TimeFormat::parse(format).unwrap().write(stamp, &mut DayCache::default(), &mut out);
        String::from_utf8(out).unwrap()
    }

    proptest! {
        #[test]
        fn our_arithmetic_agrees_with_jiff(seconds in -377_705_023_201i64..=253_402_207_200) {
            let jiff = jiff::Timestamp::from_second(seconds).unwrap().strftime("%Y-%m-%d %H:%M:%S UTC").to_string();
            let ours = written("%Y-%m-%d %H:%M:%S UTC", Stamp::from_seconds(seconds));
            if !jiff.starts_with('-') {
                prop_assert_eq!(&ours, &jiff);
                prop_assert_eq!(Stamp::parse(&ours), Some(Stamp::from_seconds(seconds)));
            }
        }

        #[test]
        fn nothing_panics(seconds in any::<i64>(), text in ".{0,40}") {
            written("%d-%b-%Y", Stamp::from_seconds(seconds));
            written("%Y-%m-%d", Stamp::from_millis(seconds));
            let _ = Stamp::parse(&text);
        }
    }

    #[test]
    fn texts_are_read_as_utc_or_by_their_offset() {
        let moment = Stamp::from_seconds(1_769_903_999);
        for text in [
            "2026-01-31 23:59:59",
            "2026-01-31T23:59:59",
            "2026-01-31T23:59:59Z",
            "2026-01-31 23:59:59 UTC",
            "2026-02-01 00:59:59+01:00",
        ] {
            assert_eq!(Stamp::parse(text), Some(moment), "{text}");
        }
        assert_eq!(Stamp::parse("2026-01-31").map(|stamp| stamp.second), Some(0));
        for text in ["", "2026-02-30 00:00:00", "2026-01-31 24:00:00", "yesterday", "2026-13-01"] {
            assert_eq!(Stamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_day_is_cached_and_forgotten() {
        let mut cache = DayCache::default();
        let mut out = Vec::new();
        for seconds in [0, 86_399, 86_400, 0, 1_790_000_000_000, 86_400] {
            TimeFormat::date_time(";").write(Stamp::from_seconds(seconds), &mut cache, &mut out);
        }
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "1970-01-01 00:00:00;1970-01-01 23:59:59;1970-01-02 00:00:00;1970-01-01 00:00:00;58692-11-03 14:13:20;1970-01-02 00:00:00;"
        );
    }

    #[test]
    fn other_formats_go_through_jiff() {
        assert_eq!(written("%d-%b-%Y", Stamp::from_seconds(829_267_200)), "12-Apr-1996");
        assert_eq!(written("%d-%b-%Y", Stamp::from_seconds(253_402_300_801)), "10000-01-01 00:00:01");
        assert!(TimeFormat::parse("%Q%!").is_err());
    }
}
