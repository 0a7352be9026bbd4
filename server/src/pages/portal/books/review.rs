//! How applications are reviewed: what is looked at, what can come out, how long it takes.

use archive::catalogue::Sensitivity;
use askama::Template;
use jiff::civil::Weekday;
use platform::applications::State as Standing;
use platform::applications::codes::{CODES, Code, Severity};
use platform::applications::statistics::{Spread, Statistics};

use super::checks::{PARTS, Part};
use crate::pages::frame::Frame;
use crate::pages::parts::{Badge, Tone};
use crate::pages::view::counted;
use crate::state::State;

/// How applications are reviewed.
#[derive(Template)]
#[template(path = "portal/review.html")]
pub(super) struct ReviewPage {
    shell: Frame,
    usual: u32,
    limit: u32,
    /// "2 working days".
    triage: String,
    answer_days: u64,
    reminders: String,
    weekend: String,
    time_zone: String,
    holidays: Vec<(String, String)>,
    decided: usize,
    /// "12 decisions".
    decisions: String,
    /// "None was", "2 were".
    late: String,
    /// "3 applications wait".
    open: String,
    stopped: i64,
    /// Median and 90th percentile, in days: of all the time, and of ours.
    total: Option<(String, String)>,
    ours: Option<(String, String)>,
    outcomes: Vec<(&'static str, usize)>,
    parts: &'static [Part],
    codes: Vec<CodeView>,
    sensitive: Vec<String>,
}

struct CodeView {
    code: &'static Code,
    severity: Badge,
    /// How often it was used in the time that is counted.
    used: usize,
}

impl CodeView {
    fn used_words(&self) -> String {
        counted(self.used, "time", "times")
    }
}

pub(super) fn page(state: &State, shell: Frame, statistics: &Statistics) -> ReviewPage {
    let review = &state.platform.settings.review;
    let calendar = review.calendar();
    let days = |spread: Spread| (in_days(spread.median), in_days(spread.ninetieth));
    let now = state.platform.now();
    let today = crate::pages::moment(now).to_zoned(calendar.time_zone.clone()).date();
    let reminders: Vec<String> = review.reminders.iter().map(|span| (span.0.as_secs() / 86_400).to_string()).collect();
    let sensitive =
        state.platform.catalogue.categories().iter().filter(|category| category.sensitivity == Sensitivity::Sensitive);
    ReviewPage {
        shell,
        usual: review.usual(),
        limit: review.limit(),
        triage: if review.triage == 1 { "1 working day".into() } else { format!("{} working days", review.triage) },
        answer_days: review.answer.0.as_secs() / 86_400,
        reminders: listed(&reminders),
        weekend: listed(&calendar.weekend.iter().map(|day| weekday(*day).to_owned()).collect::<Vec<_>>()),
        time_zone: calendar.time_zone.iana_name().unwrap_or("UTC").to_owned(),
        holidays: calendar
            .holidays
            .iter()
            .filter(|day| **day >= today)
            .take(30)
            .map(|day| (day.to_string(), day.strftime("%A, %-d %B %Y").to_string()))
            .collect(),
        decided: statistics.decided,
        decisions: counted(statistics.decided, "decision", "decisions"),
        late: if statistics.late == 0 { "None was".into() } else { counted(statistics.late, "was", "were") },
        open: if statistics.open == 1 { "1 application waits".into() } else { format!("{} applications wait", statistics.open) },
        stopped: statistics.stopped,
        total: statistics.total.map(days),
        ours: statistics.ours.map(days),
        outcomes: statistics.outcomes.iter().map(|(standing, count)| (outcome(*standing), *count)).collect(),
        parts: PARTS,
        codes: CODES
            .iter()
            .map(|code| CodeView {
                code,
                severity: severity(code.severity),
                used: statistics.codes.iter().find(|(name, _)| *name == code.code).map_or(0, |(_, count)| *count),
            })
            .collect(),
        sensitive: sensitive.map(|category| category.title.best("en").to_owned()).collect(),
    }
}

fn in_days(millis: i64) -> String {
    let days = Spread::days(millis);
    if days == 1.0 { "1 day".to_owned() } else { format!("{days} days") }
}

fn outcome(standing: Standing) -> &'static str {
    match standing {
        Standing::Approved => "Approved",
        Standing::ApprovedWithConditions => "Approved with conditions",
        _ => "Refused",
    }
}

fn severity(severity: Severity) -> Badge {
    match severity {
        Severity::Amend => Badge::new(Tone::Action, "Amend"),
        Severity::Change => Badge::new(Tone::Waiting, "Change"),
        Severity::Bar => Badge::new(Tone::Bad, "Bar"),
    }
}

fn weekday(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Mondays",
        Weekday::Tuesday => "Tuesdays",
        Weekday::Wednesday => "Wednesdays",
        Weekday::Thursday => "Thursdays",
        Weekday::Friday => "Fridays",
        Weekday::Saturday => "Saturdays",
        Weekday::Sunday => "Sundays",
    }
}

/// "7, 21 and 28".
fn listed(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
