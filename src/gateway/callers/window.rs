//! What is used in a day or a month of UTC. Counting takes no lock, except once at the beginning of a window.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

const SECONDS_PER_DAY: u64 = 86_400;

/// The time by two clocks: rates count on one that never goes back, windows in UTC.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    pub(super) instant: Instant,
    /// In Unix seconds; `None` to read the clock when it is needed.
    unix: Option<u64>,
}

impl From<Instant> for Now {
    fn from(instant: Instant) -> Self {
        Self { instant, unix: None }
    }
}

impl Now {
    /// These times.
    pub fn at(instant: Instant, unix: u64) -> Self {
        Self { instant, unix: Some(unix) }
    }

    /// As RFC 3339 writes it.
    pub fn to_rfc3339(&self) -> String {
        Rfc3339(self.unix()).to_string()
    }

    /// In Unix seconds.
    pub(super) fn unix(&self) -> u64 {
        self.unix.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    }
}

/// The length of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Period {
    Day,
    Month,
}

impl Period {
    /// When the window that contains this time ends. Both are Unix seconds.
    pub(super) fn end(self, unix: u64) -> u64 {
        let day = unix / SECONDS_PER_DAY;
        SECONDS_PER_DAY.saturating_mul(match self {
            Self::Day => day + 1,
            Self::Month => {
                let (_, _, day_of_month) = date(day);
                // The 31st day from the first one is in the next month, unless the month has 31 days.
                let later = day - (day_of_month - 1) + 31;
                later - (date(later).2 - 1)
            }
        })
    }
}

/// The year, the month and the day of the month, of a day since 1970-01-01.
///
/// This is `civil_from_days` of howardhinnant.github.io/date_algorithms.html, for days from 1970 on. Years begin in March
/// there, so that a leap day is the last of its year.
fn date(day: u64) -> (u64, u64, u64) {
    let day = day.saturating_add(719_468);
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_based = (5 * of_year + 2) / 153;
    let month = if march_based < 10 { march_based + 3 } else { march_based - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, of_year - (153 * march_based + 2) / 5 + 1)
}

/// A time in Unix seconds, as RFC 3339 writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339(pub u64);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0 / SECONDS_PER_DAY);
        let second = self.0 % SECONDS_PER_DAY;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// Counters that begin at zero with each window.
#[derive(Debug)]
pub(super) struct Windowed<const N: usize> {
    period: Period,
    /// When the window ends in which the counters were used last, in Unix seconds; 0 before the first use.
    ends_at: AtomicU64,
    counters: [AtomicU64; N],
    /// Locked while a window begins.
    beginning: Mutex<()>,
}

impl<const N: usize> Windowed<N> {
    pub(super) fn new(period: Period) -> Self {
        Self {
            period,
            ends_at: AtomicU64::new(0),
            counters: std::array::from_fn(|_| AtomicU64::new(0)),
            beginning: Mutex::default(),
        }
    }

    /// Adds to the counters. A clock that goes back to the window before changes nothing: the later window goes on.
    pub(super) fn add(&self, amounts: [u64; N], unix: u64) {
        self.begin(unix);
        for (counter, amount) in self.counters.iter().zip(amounts).filter(|(_, amount)| *amount > 0) {
            // It cannot fail: there is always a sum.
            let sum = |used: u64| Some(used.saturating_add(amount));
            let _ = counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum);
        }
    }

    /// Raises a counter to this amount, which several gateways have used together in the window of this time. It changes
    /// nothing if a later window has begun here.
    pub(super) fn at_least(&self, counter: usize, amount: u64, unix: u64) {
        self.begin(unix);
        if let (Some(counter), true) = (self.counters.get(counter), self.ends_at(unix) == self.period.end(unix)) {
            counter.fetch_max(amount, Ordering::Relaxed);
        }
    }

    /// What the counters have in the window of this time.
    pub(super) fn used(&self, unix: u64) -> [u64; N] {
        if self.is_over(unix) {
            return [0; N];
        }
        std::array::from_fn(|index| self.counters.get(index).map_or(0, |counter| counter.load(Ordering::Relaxed)))
    }

    /// When the window of this time ends, in Unix seconds.
    pub(super) fn ends_at(&self, unix: u64) -> u64 {
        match self.is_over(unix) {
            true => self.period.end(unix),
            false => self.ends_at.load(Ordering::Relaxed),
        }
    }

    /// Whether the counters are those of an earlier window.
    fn is_over(&self, unix: u64) -> bool {
        // Acquire: a thread that sees the new end sees the counters at zero.
        self.ends_at.load(Ordering::Acquire) <= unix
    }

    fn begin(&self, unix: u64) {
        if !self.is_over(unix) {
            return;
        }
        let _beginning = self.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_over(unix) {
            self.counters.iter().for_each(|counter| counter.store(0, Ordering::Relaxed));
            self.ends_at.store(self.period.end(unix), Ordering::Release);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// The last second that is tried: the year 2500.
    const LAST: u64 = 16_725_225_600;

    fn unix(text: &str) -> u64 {
        let http_date = httpdate::parse_http_date(text).unwrap();
        http_date.duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    #[test]
    fn windows_end_at_midnight_in_utc() {
        for (at, day, month) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-02T00:00:00Z", "1970-02-01T00:00:00Z"),
            ("Mon, 30 Nov 2026 23:59:59 GMT", "2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            ("Tue, 01 Dec 2026 00:00:00 GMT", "2026-12-02T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("Thu, 31 Dec 2026 12:00:00 GMT", "2027-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("Tue, 01 Feb 2028 01:02:03 GMT", "2028-02-02T00:00:00Z", "2028-03-01T00:00:00Z"),
            ("Tue, 29 Feb 2028 01:02:03 GMT", "2028-03-01T00:00:00Z", "2028-03-01T00:00:00Z"),
            ("Sun, 28 Feb 2100 01:02:03 GMT", "2100-03-01T00:00:00Z", "2100-03-01T00:00:00Z"),
        ] {
            let end = |period: Period| Rfc3339(period.end(unix(at))).to_string();
            assert_eq!((end(Period::Day).as_str(), end(Period::Month).as_str()), (day, month), "{at}");
        }
    }

    #[test]
    fn the_largest_time_overflows_nothing() {
        assert_eq!(Period::Day.end(u64::MAX), u64::MAX);
        assert!(Period::Month.end(u64::MAX) > LAST);
        let _ = Rfc3339(u64::MAX).to_string();
    }

    #[test]
    fn a_window_begins_at_zero_and_the_clock_may_go_back() {
        let window = Windowed::<2>::new(Period::Day);
        assert_eq!((window.used(5), window.ends_at(5)), ([0, 0], SECONDS_PER_DAY));
        window.add([1, 0], SECONDS_PER_DAY - 1);
        window.add([1, u64::MAX], SECONDS_PER_DAY - 1);
        window.add([0, 1], SECONDS_PER_DAY - 1);
        assert_eq!(window.used(SECONDS_PER_DAY - 1), [2, u64::MAX]);
        assert_eq!((window.used(SECONDS_PER_DAY), window.ends_at(SECONDS_PER_DAY)), ([0, 0], 2 * SECONDS_PER_DAY));
        window.add([3, 0], SECONDS_PER_DAY);
        // An hour back, into the day before.
        window.add([4, 0], SECONDS_PER_DAY - 3600);
        assert_eq!(window.used(SECONDS_PER_DAY - 3600), [7, 0]);
        assert_eq!(window.ends_at(SECONDS_PER_DAY - 3600), 2 * SECONDS_PER_DAY);
    }

    #[test]
    fn what_gateways_used_together_belongs_to_its_own_window() {
        let window = Windowed::<1>::new(Period::Day);
        window.add([3], SECONDS_PER_DAY - 1);
        window.at_least(0, 10, SECONDS_PER_DAY - 1);
        window.at_least(0, 9, SECONDS_PER_DAY - 1);
        assert_eq!(window.used(SECONDS_PER_DAY - 1), [10]);
        // The clock of this machine is ahead, and the figures are those of yesterday.
        window.add([1], SECONDS_PER_DAY);
        window.at_least(0, 10, SECONDS_PER_DAY - 1);
        assert_eq!(window.used(SECONDS_PER_DAY), [1]);
        window.at_least(0, 5, SECONDS_PER_DAY);
        assert_eq!(window.used(SECONDS_PER_DAY), [5]);
    }

    #[test]
    fn threads_lose_nothing_when_a_window_begins() {
        let (window, arrived) = (Windowed::<1>::new(Period::Day), AtomicU64::new(0));
        // They wait without sleeping, so that both begin a window at the same moment.
        let meet = |times: u64| {
            arrived.fetch_add(1, Ordering::SeqCst);
            while arrived.load(Ordering::SeqCst) < 2 * times {
                std::thread::yield_now();
            }
        };
        let add_each_day = || {
            (1..10_000).for_each(|day| {
                meet(2 * day - 1);
                window.add([1], day * SECONDS_PER_DAY);
                meet(2 * day);
                assert_eq!(window.used(day * SECONDS_PER_DAY), [2]);
            });
        };
        std::thread::scope(|scope| {
            [scope.spawn(add_each_day), scope.spawn(add_each_day)].map(|thread| thread.join().unwrap())
        });
    }

    proptest! {
        #[test]
        fn dates_are_those_of_the_calendar(unix in 0..LAST) {
            let at = UNIX_EPOCH + Duration::from_secs(unix);
            let fields: Vec<_> = httpdate::fmt_http_date(at).split([' ', ',']).map(str::to_owned).collect();
            let months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(' ');
            let month = months.into_iter().position(|month| month == fields[3]).unwrap() + 1;
            let expected = format!("{}-{month:02}-{}T{}Z", fields[4], fields[2], fields[5]);
            prop_assert_eq!(Rfc3339(unix).to_string(), expected);
        }

        #[test]
        fn a_month_ends_with_the_first_day_of_the_next_one(unix in 0..LAST) {
            let end = Period::Month.end(unix);
            let (year, month, _) = date(unix / SECONDS_PER_DAY);
            let next = if month == 12 { (year + 1, 1, 1) } else { (year, month + 1, 1) };
            prop_assert!(end > unix && end.is_multiple_of(SECONDS_PER_DAY));
            prop_assert_eq!(date(end / SECONDS_PER_DAY), next);
        }

        /// Against a map with a sum for each window.
        #[test]
        fn counters_are_the_sums_of_their_window(
            monthly: bool,
            steps in proptest::collection::vec((0..40 * SECONDS_PER_DAY, 0..1000_u64), 1..100),
        ) {
            let period = if monthly { Period::Month } else { Period::Day };
            let (window, mut sums, mut now) = (Windowed::<1>::new(period), HashMap::<u64, u64>::new(), 0);
            for (pause, amount) in steps {
                // Most pauses are short.
                now += if amount % 7 == 0 { pause } else { pause / 1000 };
                let end = period.end(now);
                prop_assert_eq!(window.used(now), [sums.get(&end).copied().unwrap_or(0)]);
                prop_assert_eq!(window.ends_at(now), end);
                window.add([amount], now);
                *sums.entry(end).or_default() += amount;
                prop_assert_eq!(window.used(now), [sums[&end]]);
            }
        }
    }
}
