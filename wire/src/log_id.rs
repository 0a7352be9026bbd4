//! The identifier of one call, quoted to support.

use std::fmt;

/// 14 digits of UTC time and 20 upper-case hexadecimal digits: 34 characters (contract 6).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogId(String);

impl LogId {
    /// Makes one from a time in milliseconds since the epoch and ten random bytes.
    pub fn new(millis: i64, random: [u8; 10]) -> Self {
        let (year, month, day, second) = civil(millis.div_euclid(1000));
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        Self(format!("{year:04}{month:02}{day:02}{hour:02}{minute:02}{second:02}{}", hex::encode_upper(random)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Year, month, day and second of the day of a time in seconds since the epoch (proleptic Gregorian calendar).
fn civil(seconds: i64) -> (i64, i64, i64, i64) {
    let days = seconds.div_euclid(86_400);
    // Years are counted from March, so that the leap day is the last of its year; 719,468 days lie between
    // 0000-03-01 and 1970-01-01, and 146,097 in 400 years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day, seconds.rem_euclid(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_ids_have_the_documented_shape() {
        let id = LogId::new(1_706_225_973_000, [0xD4; 10]);
        assert_eq!(id.as_str(), "20240125233933D4D4D4D4D4D4D4D4D4D4");
        assert_eq!(id.as_str().len(), 34);
        assert_eq!(LogId::new(1_709_164_800_000, [0; 10]).as_str()[..14], *"20240229000000");
        assert_eq!(LogId::new(-1, [0; 10]).as_str()[..14], *"19691231235959");
    }
}
