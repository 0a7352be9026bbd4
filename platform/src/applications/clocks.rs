//! Clocks of review. A limit is counted in the operator's working days and ends with its last day: who submits on a Monday with a limit of one
//! day gets the decision by the end of Tuesday.
//!
//! While the applicant has the move the reviewer's clock stands. What is kept is the number of working days that were left, so a pause moves a
//! due date by exactly the working days that passed in it; nothing else moves one.

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;

use crate::clock::Millis;

/// Which days are worked, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    /// Where the days begin and end.
    pub time_zone: TimeZone,
    /// Days of the week that are not worked.
    pub weekend: Vec<Weekday>,
    /// Single days that are not worked.
    pub holidays: BTreeSet<Date>,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { time_zone: TimeZone::UTC, weekend: vec![Weekday::Saturday, Weekday::Sunday], holidays: BTreeSet::new() }
    }
}

/// Days beyond which no working day is looked for: a calendar without any would never end.
const HORIZON: u32 = 4000;

impl Calendar {
    /// The day on which a time falls.
    pub fn day(&self, at: Millis) -> Date {
        let time = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        time.to_zoned(self.time_zone.clone()).date()
    }

    /// Whether a day is worked.
    pub fn works(&self, day: Date) -> bool {
        !self.weekend.contains(&day.weekday()) && !self.holidays.contains(&day)
    }

    /// The last millisecond of a day. Days are not all of 24 hours.
    fn end(&self, day: Date) -> Millis {
        let next = day.tomorrow().ok().and_then(|next| next.to_zoned(self.time_zone.clone()).ok());
        next.map_or(Millis(i64::MAX), |next| Millis(next.timestamp().as_millisecond() - 1))
    }

    /// The day so many working days after one; itself for none, if it is worked.
    fn after(&self, day: Date, working_days: u32) -> Date {
        let mut left = working_days;
        let mut day = day;
        for _ in 0..HORIZON {
            if left == 0 && self.works(day) {
                return day;
            }
            let Ok(next) = day.tomorrow() else { return day };
            day = next;
            if self.works(day) {
                left = left.saturating_sub(1);
            }
        }
        day
    }

    /// Whether there is any working day within reach.
    pub fn is_sound(&self) -> bool {
        let week = [
            Weekday::Monday,
            Weekday::Tuesday,
            Weekday::Wednesday,
            Weekday::Thursday,
            Weekday::Friday,
            Weekday::Saturday,
            Weekday::Sunday,
        ];
        week.iter().any(|day| !self.weekend.contains(day))
    }
}

/// When a clock that starts at a time runs out: with the end of the last of its working days, the day of the start not counted.
pub fn due(start: Millis, working_days: u32, calendar: &Calendar) -> Millis {
    calendar.end(calendar.after(calendar.day(start), working_days))
}

/// The beginning of the day so many working days ago, today not counted: whatever started before it, with a limit of that many days, has run out.
pub fn before(now: Millis, working_days: u32, calendar: &Calendar) -> Millis {
    let mut day = calendar.day(now);
    let mut left = working_days;
    for _ in 0..HORIZON {
        if left == 0 {
            break;
        }
        let Ok(yesterday) = day.yesterday() else { break };
        day = yesterday;
        left -= u32::from(calendar.works(day));
    }
    day.to_zoned(calendar.time_zone.clone()).map_or(now, |start| Millis(start.timestamp().as_millisecond()))
}

/// How many working days are left after today until a due date, the day of the due date counted; none on that day and after it.
pub fn remaining_days(now: Millis, due: Millis, calendar: &Calendar) -> u32 {
    let (mut day, last) = (calendar.day(now), calendar.day(due));
    let mut count = 0;
    for _ in 0..HORIZON {
        if day >= last {
            break;
        }
        let Ok(next) = day.tomorrow() else { break };
        day = next;
        count += u32::from(calendar.works(day));
    }
    count
}

/// Where a due date stands after a pause. What was missed before the pause stays missed.
pub fn resumed(due_before: Millis, stopped: Millis, now: Millis, calendar: &Calendar) -> Millis {
    if stopped > due_before || calendar.day(stopped) == calendar.day(now) {
        return due_before;
    }
    due(now, remaining_days(stopped, due_before, calendar), calendar)
}

/// A day in words, as mails and pages tell it: `Monday 30 November 2026`.
pub fn in_words(at: Millis, calendar: &Calendar) -> String {
    calendar.day(at).strftime("%A %-d %B %Y").to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Millis {
        Millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn berlin() -> Calendar {
        Calendar { time_zone: TimeZone::get("Europe/Berlin").unwrap(), ..Calendar::default() }
    }

    #[test]
    fn a_limit_ends_with_its_last_working_day_where_the_operator_is() {
        let berlin = berlin();
        // Monday 23:30 in Berlin; one working day is Tuesday, whose midnight is 22:00 of the world's clock in summer.
        assert_eq!(due(at("2026-07-06T21:30:00Z"), 1, &berlin), at("2026-07-07T21:59:59.999Z"));
        assert_eq!(in_words(at("2026-07-07T21:59:59.999Z"), &berlin), "Tuesday 7 July 2026");
        // An hour later it is Tuesday there.
        assert_eq!(due(at("2026-07-06T22:30:00Z"), 1, &berlin), at("2026-07-08T21:59:59.999Z"));
        // Over the change of the clock: the day ends at 23:00 of the world's clock again.
        assert_eq!(due(at("2026-10-23T10:00:00Z"), 1, &berlin), at("2026-10-26T22:59:59.999Z"));
    }

    #[test]
    fn weekends_and_holidays_do_not_count() {
        let mut calendar = Calendar::default();
        let friday = at("2026-12-18T09:00:00Z");
        assert_eq!(due(friday, 10, &calendar), at("2027-01-01T23:59:59.999Z"));
        calendar.holidays.extend(["2026-12-25", "2027-01-01"].map(|day| day.parse::<Date>().unwrap()));
        assert_eq!(due(friday, 10, &calendar), at("2027-01-05T23:59:59.999Z"));
        assert_eq!(remaining_days(friday, due(friday, 10, &calendar), &calendar), 10);
        // On a Saturday the count begins with Monday.
        assert_eq!(due(at("2026-12-19T09:00:00Z"), 1, &calendar), at("2026-12-21T23:59:59.999Z"));
    }

    #[test]
    fn a_pause_moves_a_due_date_by_the_working_days_in_it() {
        let calendar = Calendar::default();
        let due_then = due(at("2026-11-02T09:00:00Z"), 20, &calendar);
        assert_eq!(due_then, at("2026-11-30T23:59:59.999Z"));
        let (asked, same_day) = (at("2026-11-04T10:00:00Z"), at("2026-11-04T23:00:00Z"));
        assert_eq!(resumed(due_then, asked, same_day, &calendar), due_then);
        assert_eq!(resumed(due_then, asked, at("2026-11-06T08:00:00Z"), &calendar), at("2026-12-02T23:59:59.999Z"));
        // Over a weekend nothing is lost to the reviewer, and nothing is gained.
        let friday = at("2026-11-06T18:00:00Z");
        assert_eq!(resumed(due_then, friday, at("2026-11-08T18:00:00Z"), &calendar), due_then);
        // Late stays late.
        assert_eq!(resumed(due_then, at("2026-12-01T09:00:00Z"), at("2027-02-01T09:00:00Z"), &calendar), due_then);
    }

    #[test]
    fn what_ran_out_started_before_then() {
        let calendar = Calendar::default();
        for hours in 0..24 * 14 {
            let now = at("2026-11-02T00:00:00Z") + Duration::from_secs(hours * 3600);
            let limit = before(now, 2, &calendar);
            assert!(due(Millis(limit.0 - 1), 2, &calendar) < now, "{now}");
            assert!(due(limit, 2, &calendar) >= now, "{now}");
        }
    }

    #[test]
    fn a_calendar_without_working_days_ends_nonetheless() {
        let mut calendar = Calendar::default();
        calendar.weekend.extend([Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday]);
        assert!(!calendar.is_sound());
        assert!(due(at("2026-11-02T09:00:00Z"), 3, &calendar).0 > 0);
    }

    proptest! {
        #[test]
        fn whatever_the_pauses_the_days_left_are_kept_exactly(
            start in 1_750_000_000_000_i64..1_850_000_000_000,
            limit in 1u32..40,
            holidays in proptest::collection::btree_set(0i32..400, 0..40),
            pauses in proptest::collection::vec((0u64..20 * 24, 0u64..60 * 24), 0..8),
        ) {
            let mut calendar = berlin();
            let first = calendar.day(Millis(start));
            calendar.holidays = holidays.into_iter().map(|after| first.saturating_add(jiff::Span::new().days(after))).collect();
            let mut now = Millis(start);
            let mut due_at = due(now, limit, &calendar);
            prop_assert_eq!(remaining_days(now, due_at, &calendar), limit);
            for (run, pause) in pauses {
                let stopped = now + Duration::from_secs(run * 3600);
                now = stopped + Duration::from_secs(pause * 3600);
                let before = due_at;
                due_at = resumed(before, stopped, now, &calendar);
                prop_assert!(due_at >= before, "a pause never takes time away");
                prop_assert!(calendar.works(calendar.day(due_at)), "a due date is a working day");
                if stopped > before {
                    prop_assert_eq!(due_at, before);
                } else {
                    let left = remaining_days(stopped, before, &calendar);
                    // On the last day nothing is left; who answers on a day off gives the reviewer the next day that is worked.
                    let resumed_on_a_day_off = left == 0 && !calendar.works(calendar.day(now));
                    prop_assert_eq!(remaining_days(now, due_at, &calendar), if resumed_on_a_day_off { 1 } else { left });
                }
            }
        }
    }
}
