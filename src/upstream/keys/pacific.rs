//! When a day ends in California, where Gemini's daily quotas begin again (ai.google.dev/gemini-api/docs/rate-limits:
//! "requests per day (RPD) quotas reset at midnight Pacific time").

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;
/// Pacific Standard Time is this much behind UTC, and daylight saving time an hour less.
const BEHIND_UTC: i64 = 8 * HOUR;

/// The next midnight in Los Angeles after this time, both in seconds since the Unix epoch.
pub(super) fn next_midnight(now: i64) -> i64 {
    let behind = if is_daylight_saving(now) { BEHIND_UTC - HOUR } else { BEHIND_UTC };
    let midnight = ((now - behind).div_euclid(DAY) + 1) * DAY;
    // Clocks change at 2 o'clock, so no midnight is skipped and none comes twice.
    let by_summer = midnight + BEHIND_UTC - HOUR;
    if is_daylight_saving(by_summer) { by_summer } else { by_summer + HOUR }
}

/// Whether daylight saving time is in force: from 2 o'clock on the second Sunday of March to 2 o'clock on the first one
/// of November (Energy Policy Act of 2005, section 110; 15 U.S.C. 260a).
fn is_daylight_saving(now: i64) -> bool {
    let year = year_of(now.div_euclid(DAY));
    let begin = (first_sunday(year, 3) + 7) * DAY + 2 * HOUR + BEHIND_UTC;
    let end = first_sunday(year, 11) * DAY + 2 * HOUR + BEHIND_UTC - HOUR;
    (begin..end).contains(&now)
}

/// The first Sunday of a month, in days since the Unix epoch.
fn first_sunday(year: i64, month: i64) -> i64 {
    let first = first_day(year, month);
    // The epoch was a Thursday: day 3 is the first Sunday.
    first + (3 - first).rem_euclid(7)
}

/// The first day of a month, in days since the Unix epoch. Years are counted from March, so that the leap day is the
/// last one of a year (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`).
fn first_day(year: i64, month: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days_before_month = (153 * month + 2) / 5;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + days_before_month - 719_468
}

/// The year of a day that is given in days since the Unix epoch.
fn year_of(day: i64) -> i64 {
    // 146,097 days are 400 years. The estimate is wrong by at most one.
    let near = 1970 + (day * 400).div_euclid(146_097);
    if first_day(near + 1, 1) <= day {
        near + 1
    } else if first_day(near, 1) > day {
        near - 1
    } else {
        near
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    fn utc(text: &str) -> i64 {
        let timestamp: prost_types::Timestamp = text.parse().unwrap();
        timestamp.seconds
    }

    #[test]
    fn a_day_ends_at_midnight_in_los_angeles_also_when_clocks_change() {
        // By `TZ=America/Los_Angeles date`.
        for (now, midnight) in [
            ("2026-01-15T12:00:00Z", "2026-01-16T08:00:00Z"),
            ("2026-07-15T12:00:00Z", "2026-07-16T07:00:00Z"),
            ("2026-07-16T06:59:59Z", "2026-07-16T07:00:00Z"),
            ("2026-07-16T07:00:00Z", "2026-07-17T07:00:00Z"),
            // Clocks go forward on March 8, 2026, so that day has 23 hours.
            ("2026-03-07T20:00:00Z", "2026-03-08T08:00:00Z"),
            ("2026-03-08T08:00:00Z", "2026-03-09T07:00:00Z"),
            ("2026-03-08T09:59:59Z", "2026-03-09T07:00:00Z"),
            ("2026-03-08T10:00:00Z", "2026-03-09T07:00:00Z"),
            ("2026-03-09T06:59:59Z", "2026-03-09T07:00:00Z"),
            // Clocks go back on November 1, 2026, so that day has 25 hours.
            ("2026-11-01T06:59:59Z", "2026-11-01T07:00:00Z"),
            ("2026-11-01T07:00:00Z", "2026-11-02T08:00:00Z"),
            ("2026-11-01T08:59:59Z", "2026-11-02T08:00:00Z"),
            ("2026-11-01T09:00:00Z", "2026-11-02T08:00:00Z"),
            ("2026-11-02T07:59:59Z", "2026-11-02T08:00:00Z"),
            // The end of a year, the leap day, and a March that begins with a Sunday.
            ("2026-12-31T23:00:00Z", "2027-01-01T08:00:00Z"),
            ("2027-01-01T07:59:59Z", "2027-01-01T08:00:00Z"),
            ("2028-02-29T12:00:00Z", "2028-03-01T08:00:00Z"),
            ("2037-03-08T09:00:00Z", "2037-03-09T07:00:00Z"),
        ] {
            assert_eq!(next_midnight(utc(now)), utc(midnight), "{now}");
        }
    }

    #[test]
    fn clocks_change_on_the_days_that_are_published() {
        // timeanddate.com/time/change/usa/los-angeles
        for (begin, end) in [
            ("2024-03-10T10:00:00Z", "2024-11-03T09:00:00Z"),
            ("2025-03-09T10:00:00Z", "2025-11-02T09:00:00Z"),
            ("2026-03-08T10:00:00Z", "2026-11-01T09:00:00Z"),
            ("2027-03-14T10:00:00Z", "2027-11-07T09:00:00Z"),
            ("2028-03-12T10:00:00Z", "2028-11-05T09:00:00Z"),
        ] {
            let at = |text: &str, more: i64| is_daylight_saving(utc(text) + more);
            assert_eq!([at(begin, -1), at(begin, 0), at(end, -1), at(end, 0)], [false, true, true, false], "{begin}");
        }
    }

    proptest! {
        #[test]
        fn days_have_23_to_25_hours_and_dates_are_those_of_the_calendar(now in 0_i64..10_000_000_000) {
            let midnight = next_midnight(now);
            prop_assert!(midnight > now && midnight - now <= 25 * HOUR);
            let next = next_midnight(midnight);
            prop_assert!((23 * HOUR..=25 * HOUR).contains(&(next - midnight)));
            // A day that is found just before its end is the same day.
            prop_assert_eq!(next_midnight(midnight - 1), midnight);
            let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now.unsigned_abs()));
            let year: i64 = date.split(' ').nth(3).unwrap().parse().unwrap();
            prop_assert_eq!(year_of(now.div_euclid(DAY)), year);
        }
    }
}
