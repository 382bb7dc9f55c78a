//! When something recurs: five fields as in cron, or a period. Times are UTC.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Days looked at for the next time: February 29th comes within 8 years.
const DAYS_MAX: usize = 366 * 8 + 3;

/// When a job recurs.
///
/// Written as cron's five fields in UTC: minute, hour, day of the month, month, day of the week (0 or 7 is Sunday), each `*`,
/// numbers, ranges `1-5`, lists `1,3` and steps `*/15`. When both days are restricted either will do, as in cron. Or a period:
/// `every 90s`, counted from 1970.
///
/// ```
/// use stanchion_messaging::Schedule;
/// let nightly: Schedule = "30 2 * * 1-5".parse().unwrap();
/// let friday_noon = "2026-11-20T12:00:00Z".parse().unwrap();
/// assert_eq!(nightly.next(friday_noon), "2026-11-23T02:30:00Z".parse().ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(When);

#[derive(Clone, Debug, PartialEq, Eq)]
enum When {
    Every(Duration),
    Fields {
        /// A bit a value.
        minutes: u64,
        hours: u64,
        days: u64,
        months: u64,
        weekdays: u64,
        /// Both days are restricted.
        either_day: bool,
    },
}

/// A schedule that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no schedule: five fields as in cron, or `every` and a period in s, m or h")]
pub struct InvalidSchedule(pub String);

impl Schedule {
    /// The first time after that one; `None` if there is none, as on a February 30th.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            When::Every(period) => {
                let period = i64::try_from(period.as_secs()).ok()?;
                let next = after.as_second().div_euclid(period) + 1;
                Timestamp::from_second(next.checked_mul(period)?).ok()
            }
            When::Fields { minutes, hours, .. } => {
                let after = after.to_zoned(TimeZone::UTC);
                let mut date = after.date();
                let (hour, minute) = (after.hour() as u32, after.minute() as u32);
                let mut from = hour * 60 + minute + 1;
                for _ in 0..DAYS_MAX {
                    if self.on(date) {
                        let at = |it: &u32| has(*hours, it / 60) && has(*minutes, it % 60);
                        if let Some(minute) = (from..24 * 60).find(at) {
                            return moment(date, minute);
                        }
                    }
                    from = 0;
                    date = date.tomorrow().ok()?;
                }
                None
            }
        }
    }

    fn on(&self, date: Date) -> bool {
        let When::Fields {
            days,
            months,
            weekdays,
            either_day,
            ..
        } = &self.0
        else {
            return false;
        };
        let day = has(*days, date.day() as u32);
        let weekday = has(*weekdays, date.weekday().to_sunday_zero_offset() as u32);
        let wanted = if *either_day {
            day || weekday
        } else {
            day && weekday
        };
        wanted && has(*months, date.month() as u32)
    }
}

fn moment(date: Date, minute: u32) -> Option<Timestamp> {
    let midnight = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
    midnight
        .checked_add(SignedDuration::from_mins(i64::from(minute)))
        .ok()
}

fn has(set: u64, value: u32) -> bool {
    set >> value & 1 == 1
}

impl FromStr for Schedule {
    type Err = InvalidSchedule;

    fn from_str(text: &str) -> Result<Self, InvalidSchedule> {
        let invalid = || InvalidSchedule(text.to_owned());
        let words: Vec<&str> = text.split_whitespace().collect();
        let when = match words[..] {
            ["every", period] => When::Every(read_period(period).ok_or_else(invalid)?),
            [minutes, hours, days, months, weekdays] => {
                let field = |text, first, last| read_field(text, first, last).ok_or_else(invalid);
                let weekday = field(weekdays, 0, 7)?;
                When::Fields {
                    minutes: field(minutes, 0, 59)?,
                    hours: field(hours, 0, 23)?,
                    days: field(days, 1, 31)?,
                    months: field(months, 1, 12)?,
                    // 7 is Sunday as well.
                    weekdays: weekday & 0x7f | weekday >> 7,
                    either_day: !days.starts_with('*') && !weekdays.starts_with('*'),
                }
            }
            _ => return Err(invalid()),
        };
        Ok(Self(when))
    }
}

fn read_period(text: &str) -> Option<Duration> {
    let split = text.len().checked_sub(1)?;
    let (number, unit) = (text.get(..split)?, text.get(split..)?);
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return None,
    };
    let seconds = number.parse::<u32>().ok().filter(|it| *it > 0)?;
    Some(Duration::from_secs(u64::from(seconds) * unit))
}

/// The values of a field as bits.
fn read_field(text: &str, first: u32, last: u32) -> Option<u64> {
    let mut set = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (
                range,
                Some(step.parse::<usize>().ok().filter(|it| *it > 0)?),
            ),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (first, last),
            Some((from, to)) => (from.parse().ok()?, to.parse().ok()?),
            None => {
                let only = range.parse().ok()?;
                (only, if step.is_some() { last } else { only })
            }
        };
        if from < first || to > last || from > to {
            return None;
        }
        set = (from..=to)
            .step_by(step.unwrap_or(1))
            .fold(set, |set, value| set | 1 << value);
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, after: &str) -> Option<String> {
        let schedule: Schedule = schedule.parse().unwrap();
        let next = schedule.next(after.parse().unwrap())?;
        Some(next.to_string())
    }

    #[test]
    fn the_next_time_is_found() {
        // 2026-11-20 is a Friday.
        for (schedule, after, expected) in [
            ("* * * * *", "2026-11-20T12:00:00Z", "2026-11-20T12:01:00Z"),
            (
                "* * * * *",
                "2026-11-20T12:00:59.5Z",
                "2026-11-20T12:01:00Z",
            ),
            (
                "*/15 * * * *",
                "2026-11-20T12:46:00Z",
                "2026-11-20T13:00:00Z",
            ),
            (
                "5,50 8-10 * * *",
                "2026-11-20T10:50:00Z",
                "2026-11-21T08:05:00Z",
            ),
            ("0 0 1 1 *", "2026-11-20T12:00:00Z", "2027-01-01T00:00:00Z"),
            ("0 0 * * 0", "2026-11-20T12:00:00Z", "2026-11-22T00:00:00Z"),
            ("0 0 * * 7", "2026-11-20T12:00:00Z", "2026-11-22T00:00:00Z"),
            // Either day will do.
            ("0 0 24 * 0", "2026-11-22T00:00:00Z", "2026-11-24T00:00:00Z"),
            (
                "0 0 */2 * 1",
                "2026-11-22T00:00:00Z",
                "2026-11-23T00:00:00Z",
            ),
            ("0 0 29 2 *", "2026-11-20T12:00:00Z", "2028-02-29T00:00:00Z"),
            (
                "10/20 * * * *",
                "2026-11-20T12:30:00Z",
                "2026-11-20T12:50:00Z",
            ),
            ("every 90s", "2026-11-20T12:00:00Z", "2026-11-20T12:01:30Z"),
            ("every 2h", "2026-11-20T12:00:00Z", "2026-11-20T14:00:00Z"),
        ] {
            assert_eq!(
                next(schedule, after).as_deref(),
                Some(expected),
                "{schedule}"
            );
        }
        assert_eq!(next("0 0 30 2 *", "2026-11-20T12:00:00Z"), None);
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for text in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "a * * * *",
            "every 0s",
            "every s",
            "every 5d",
            "every 5ü",
        ] {
            assert!(text.parse::<Schedule>().is_err(), "{text}");
        }
    }
}
