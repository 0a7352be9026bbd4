//! `[review]`: the clocks of review and who decides.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, de};

use super::Span;
use crate::applications::clocks::Calendar;

/// `[review]`
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Review {
    /// Which limits hold where none is named.
    pub preset: ReviewPreset,
    /// Working days within which most are decided; told beside the limit.
    usual: Option<u32>,
    /// Working days within which all are to be decided.
    limit: Option<u32>,
    /// Working days within which an application is to be taken up.
    pub triage: u32,
    /// How long an applicant has to answer a question.
    pub answer: Span,
    /// When they are reminded, counted from the question.
    pub reminders: Vec<Span>,
    /// Where the days begin and end, as the IANA names it.
    pub time_zone: Zone,
    /// Days of the week that are not worked.
    pub weekend: Weekend,
    /// Single days that are not worked.
    pub holidays: Days,
    /// Texts for decisions, in place of the ones that come along.
    pub canned_texts: Option<PathBuf>,
}

/// A set of limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReviewPreset {
    /// 10 working days usual, 20 the limit.
    Default,
    /// 15 and 20: the three to four weeks that developers are told elsewhere.
    Faq,
}

impl Default for Review {
    fn default() -> Self {
        Self {
            preset: ReviewPreset::Default,
            usual: None,
            limit: None,
            triage: 2,
            answer: Span::days(30),
            reminders: vec![Span::days(7), Span::days(21), Span::days(28)],
            time_zone: Zone(TimeZone::UTC),
            weekend: Weekend(vec![Weekday::Saturday, Weekday::Sunday]),
            holidays: Days(BTreeSet::new()),
            canned_texts: None,
        }
    }
}

impl Review {
    /// Working days within which most are decided. Never above the limit.
    pub fn usual(&self) -> u32 {
        let preset = match self.preset {
            ReviewPreset::Default => 10,
            ReviewPreset::Faq => 15,
        };
        self.usual.unwrap_or(preset).min(self.limit())
    }

    /// Working days within which all are to be decided.
    pub fn limit(&self) -> u32 {
        self.limit.unwrap_or(20)
    }

    /// Sets both, for tests.
    pub fn with_days(mut self, usual: u32, limit: u32) -> Self {
        (self.usual, self.limit) = (Some(usual), Some(limit));
        self
    }

    /// Which days are worked.
    pub fn calendar(&self) -> Calendar {
        Calendar { time_zone: self.time_zone.0.clone(), weekend: self.weekend.0.clone(), holidays: self.holidays.0.clone() }
    }

    /// What types cannot say.
    pub fn is_sound(&self) -> Result<(), String> {
        if !self.calendar().is_sound() {
            return Err("review.weekend leaves no day on which is worked".into());
        }
        if self.limit() == 0 || self.limit() > 250 {
            return Err("review.limit is a number of working days, 1 to 250".into());
        }
        if self.answer < Span::days(1) {
            return Err("review.answer is at least one day: people have to find the mail".into());
        }
        Ok(())
    }
}

/// A time zone by its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(pub TimeZone);

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        TimeZone::get(&name).map(Self).map_err(|_| {
            de::Error::custom(format!("{name:?} is not a time zone: write one such as \"Europe/Dublin\" or \"UTC\""))
        })
    }
}

/// Days of the week by their names.
#[derive(Clone, Debug, PartialEq)]
pub struct Weekend(pub Vec<Weekday>);

impl<'de> Deserialize<'de> for Weekend {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let day = |name: &String| match name.to_lowercase().as_str() {
            "monday" => Ok(Weekday::Monday),
            "tuesday" => Ok(Weekday::Tuesday),
            "wednesday" => Ok(Weekday::Wednesday),
            "thursday" => Ok(Weekday::Thursday),
            "friday" => Ok(Weekday::Friday),
            "saturday" => Ok(Weekday::Saturday),
            "sunday" => Ok(Weekday::Sunday),
            _ => Err(de::Error::custom(format!("{name:?} is not a day of the week: write one such as \"sunday\""))),
        };
        Vec::<String>::deserialize(deserializer)?.iter().map(day).collect::<Result<_, _>>().map(Self)
    }
}

/// Days of the year, such as `2026-12-25`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Days(pub BTreeSet<Date>);

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let day = |text: &String| {
            text.parse::<Date>().map_err(|_| de::Error::custom(format!("{text:?} is not a day: write it as \"2026-12-25\"")))
        };
        Vec::<String>::deserialize(deserializer)?.iter().map(day).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_presets_are_ten_and_twenty_and_fifteen_and_twenty() {
        let read = |text: &str| toml::from_str::<Review>(text).unwrap();
        assert_eq!((read("").usual(), read("").limit()), (10, 20));
        let faq = read("preset = 'faq'");
        assert_eq!((faq.usual(), faq.limit()), (15, 20));
        let own = read("limit = 5\nusual = 9");
        assert_eq!((own.usual(), own.limit()), (5, 5), "the usual time is never above the limit");
    }

    #[test]
    fn time_zones_come_along_for_containers_that_have_none() {
        let along = jiff::tz::TimeZoneDatabase::bundled();
        assert!(along.get("Europe/Dublin").is_ok() && along.get("Pacific/Auckland").is_ok());
    }

    #[test]
    fn nonsense_is_refused_with_what_to_write() {
        for (text, cure) in [
            ("time_zone = 'Berlin'", "Europe/Dublin"),
            ("weekend = ['domingo']", "sunday"),
            ("holidays = ['25.12.2026']", "2026-12-25"),
        ] {
            let fault = toml::from_str::<Review>(text).unwrap_err().to_string();
            assert!(fault.contains(cure), "{fault}");
        }
        let all = "weekend = ['monday','tuesday','wednesday','thursday','friday','saturday','sunday']";
        assert!(toml::from_str::<Review>(all).unwrap().is_sound().is_err());
    }
}
