//! Days of the calendar in UTC, which the names of windows contain.

use std::fmt;

/// A day in microseconds.
const DAY: u64 = 86_400_000_000;

/// A day, counted from the beginning of 1970. Shown as `2026-11-30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Day(u64);

/// The month of a day. Shown as `2026-11`.
pub(super) struct Month(u64, u64);

impl Day {
    /// The day of a time in microseconds since the epoch.
    pub(super) fn of(micros: u64) -> Self {
        Self(micros / DAY)
    }

    pub(super) fn month(self) -> Month {
        let (year, month, _) = self.date();
        Month(year, month)
    }

    /// Year, month and day of the month. Years begin with March here, so that the leap day is the last one
    /// (howardhinnant.github.io/date_algorithms.html, civil_from_days).
    fn date(self) -> (u64, u64, u64) {
        let days = self.0 + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
        (era * 400 + year + next, month, day)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.date();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_the_dates_of_the_calendar() {
        // As `date -u -d @SECONDS +%F` shows them.
        for (seconds, date) in [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_796_083_199, "2026-11-30"),
            (1_796_083_200, "2026-12-01"),
            (1_798_761_600, "2027-01-01"),
            (4_107_542_400, "2100-03-01"),
        ] {
            let day = Day::of(seconds * 1_000_000);
            assert_eq!((day.to_string().as_str(), day.month().to_string().as_str()), (date, &date[..7]));
        }
    }
}
