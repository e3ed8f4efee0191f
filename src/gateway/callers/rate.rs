//! A rate per minute without a lock or a timer: the generic cell rate algorithm (GCRA, of ITU-T I.371).
//!
//! The crate `governor` has it too, but it refuses any amount that is more than is left. The number of tokens is known
//! only after they were spent. So here a charge may exceed what is left, and the caller waits until the debt has
//! refilled.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A minute in nanoseconds. As much as one minute refills may be taken at once.
const MINUTE: u64 = 60_000_000_000;

/// What was taken, stored as the time that it takes to refill. So it stays right when the limit changes.
#[derive(Debug, Default)]
pub(super) struct Rate {
    /// When all of it has refilled, in nanoseconds since the origin of `now`.
    even_at: AtomicU64,
    /// How many are reserved. They are not part of `even_at`, so that releasing one leaves no trace.
    reserved: AtomicU64,
}

impl Rate {
    /// Reserves one, or returns how long it takes until there is one. A reservation has to be spent or released.
    pub(super) fn reserve(&self, per_minute: NonZeroU64, now: u64) -> Result<(), Duration> {
        let missing = |reserved: u64| {
            let even_at = self.even_at.load(Ordering::Relaxed);
            wait(after(even_at, reserved.saturating_add(1), per_minute, now), now)
        };
        // Relaxed: nothing but these two numbers is decided by them.
        let reserved = self.reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |reserved| {
            (missing(reserved) == 0).then_some(reserved + 1)
        });
        reserved.map(drop).map_err(|reserved| Duration::from_nanos(missing(reserved)))
    }

    /// Spends one that was reserved.
    pub(super) fn spend_reserved(&self, per_minute: NonZeroU64, now: u64) {
        // In this order, so that it may count twice for a moment, but is never missing.
        self.charge(1, per_minute, now);
        self.release();
    }

    /// Releases one that was reserved.
    pub(super) fn release(&self) {
        self.reserved.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether there is one, without taking it.
    pub(super) fn has_one(&self, per_minute: NonZeroU64, now: u64) -> Result<(), Duration> {
        match wait(after(self.even_at.load(Ordering::Relaxed), 1, per_minute, now), now) {
            0 => Ok(()),
            wait => Err(Duration::from_nanos(wait)),
        }
    }

    /// How many are taken or reserved, of those that a minute refills. It may be more.
    pub(super) fn used(&self, per_minute: NonZeroU64, now: u64) -> u64 {
        let taken = u128::from(self.even_at.load(Ordering::Relaxed).saturating_sub(now));
        let taken = (taken * u128::from(per_minute.get())).div_ceil(u128::from(MINUTE));
        u64::try_from(taken).unwrap_or(u64::MAX).saturating_add(self.reserved.load(Ordering::Relaxed))
    }

    /// Takes what was already spent, even if it is more than is left.
    pub(super) fn charge(&self, amount: u64, per_minute: NonZeroU64, now: u64) {
        let next = |even_at| Some(after(even_at, amount, per_minute, now));
        // It cannot fail: `next` always has a number.
        let _ = self.even_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }
}

/// When all will have refilled, after this amount was taken as well.
fn after(even_at: u64, amount: u64, per_minute: NonZeroU64, now: u64) -> u64 {
    // Rounded down, so that the amount of a whole minute fits into a minute.
    let cost = u128::from(amount) * u128::from(MINUTE) / u128::from(per_minute.get());
    even_at.max(now).saturating_add(u64::try_from(cost).unwrap_or(u64::MAX))
}

/// How long it takes until no more than one minute's refill is taken.
fn wait(even_at: u64, now: u64) -> u64 {
    even_at.saturating_sub(now.saturating_add(MINUTE))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn per_minute(number: u64) -> NonZeroU64 {
        NonZeroU64::new(number).unwrap()
    }

    const SECOND: u64 = MINUTE / 60;

    /// Takes one at once.
    fn take(rate: &Rate, per_minute: NonZeroU64, now: u64) -> Result<(), Duration> {
        rate.reserve(per_minute, now).inspect(|()| rate.spend_reserved(per_minute, now))
    }

    #[test]
    fn a_minutes_worth_may_come_at_once_and_then_one_at_a_time() {
        // 7 and 11 do not divide a minute.
        for number in [1, 6, 7, 11, 600] {
            let (rate, limit) = (Rate::default(), per_minute(number));
            assert!((0..number).all(|_| take(&rate, limit, 5).is_ok()), "{number}");
            let wait = take(&rate, limit, 5).unwrap_err();
            // What was rounded down comes earlier.
            let exact = Duration::from_nanos(MINUTE / number);
            assert!(wait <= exact && wait + Duration::from_nanos(number) >= exact, "{number} {wait:?}");
            let later = 5 + u64::try_from(wait.as_nanos()).unwrap();
            assert!(take(&rate, limit, later - 1).is_err() && take(&rate, limit, later).is_ok(), "{number}");
            assert!(take(&rate, limit, later).is_err(), "{number}");
        }
    }

    #[test]
    fn a_debt_is_waited_for() {
        let (rate, limit) = (Rate::default(), per_minute(60));
        rate.charge(90, limit, 0);
        // 30 of debt and the one that is asked for, one a second.
        assert_eq!(rate.has_one(limit, 0), Err(Duration::from_secs(31)));
        assert_eq!(rate.has_one(limit, 31 * SECOND), Ok(()));
        rate.charge(u64::MAX, per_minute(1), 0);
        assert!(rate.has_one(limit, u64::MAX / 2).is_err());
    }

    #[test]
    fn what_is_used_is_taken_or_reserved_and_refills() {
        let (rate, limit) = (Rate::default(), per_minute(60));
        assert_eq!(rate.used(limit, 0), 0);
        rate.charge(90, limit, 0);
        assert_eq!((rate.used(limit, 0), rate.used(limit, 10 * SECOND)), (90, 80));
        assert!(rate.reserve(limit, 31 * SECOND).is_ok());
        assert_eq!(rate.used(limit, 31 * SECOND), 60);
        assert_eq!((rate.used(limit, 90 * SECOND), rate.used(limit, 10 * MINUTE)), (1, 1));
    }

    #[test]
    fn looking_takes_nothing() {
        let (rate, limit) = (Rate::default(), per_minute(1));
        assert!((0..9).all(|_| rate.has_one(limit, 0).is_ok()));
        assert!(take(&rate, limit, 0).is_ok() && rate.has_one(limit, 0).is_err());
    }

    #[test]
    fn what_is_reserved_is_not_there_for_others_until_it_is_released() {
        let (rate, limit) = (Rate::default(), per_minute(2));
        assert!(rate.reserve(limit, 0).is_ok() && rate.reserve(limit, 0).is_ok());
        assert_eq!(rate.reserve(limit, 0), Err(Duration::from_secs(30)));
        rate.release();
        rate.spend_reserved(limit, 0);
        assert!(take(&rate, limit, 0).is_ok());
        assert_eq!(take(&rate, limit, 0), Err(Duration::from_secs(30)));
    }

    #[test]
    fn threads_share_a_rate_without_losing_any() {
        let (rate, limit) = (Rate::default(), per_minute(1000));
        let each = |work: fn(&Rate, NonZeroU64) -> bool| {
            std::thread::scope(|scope| {
                let count = || (0..1000).filter(|_| work(&rate, limit)).count();
                let threads = [(); 4].map(|()| scope.spawn(count));
                threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
            })
        };
        assert_eq!(each(|rate, limit| rate.reserve(limit, 0).is_ok()), 1000);
        (0..1000).for_each(|_| rate.release());
        each(|rate, limit| {
            rate.charge(1, limit, 0);
            true
        });
        assert_eq!(rate.even_at.into_inner(), 4 * MINUTE);
    }

    /// A bucket that holds a minute's worth and is filled all the time, in parts of one: a minute has as many
    /// nanoseconds as one has parts.
    struct Bucket {
        per_minute: u64,
        parts: i128,
        at: u64,
    }

    impl Bucket {
        fn full(per_minute: u64) -> Self {
            Self { per_minute, parts: i128::from(per_minute) * i128::from(MINUTE), at: 0 }
        }

        fn at(&mut self, now: u64) -> &mut Self {
            let full = Self::full(self.per_minute).parts;
            self.parts = full.min(self.parts + i128::from(now - self.at) * i128::from(self.per_minute));
            self.at = now;
            self
        }

        fn has_one(&self) -> bool {
            self.parts >= i128::from(MINUTE)
        }

        fn spend(&mut self, amount: u64) {
            self.parts -= i128::from(amount) * i128::from(MINUTE);
        }
    }

    /// A pause, and then a call (`None`) or a charge of this many tokens.
    fn steps() -> impl Strategy<Value = Vec<(u64, Option<u64>)>> {
        let pause = prop_oneof![Just(0), 0..SECOND, 0..2 * MINUTE];
        proptest::collection::vec((pause, proptest::option::weighted(0.3, 0..300_u64)), 1..200)
    }

    proptest! {
        /// Numbers that divide a minute, so that nothing is rounded.
        #[test]
        fn it_decides_as_a_bucket_does(
            number in proptest::sample::select(vec![1, 2, 3, 60, 100, 600, 200_000, 1_000_000_000_u64]),
            steps in steps(),
        ) {
            let (rate, limit, mut bucket, mut now) = (Rate::default(), per_minute(number), Bucket::full(number), 0);
            for (pause, charge) in steps {
                now += pause;
                let has_one = bucket.at(now).has_one();
                prop_assert_eq!(rate.has_one(limit, now).is_ok(), has_one);
                match charge {
                    Some(amount) => {
                        rate.charge(amount, limit, now);
                        bucket.spend(amount);
                    }
                    None => {
                        prop_assert_eq!(take(&rate, limit, now).is_ok(), has_one);
                        if has_one {
                            bucket.spend(1);
                        }
                    }
                }
            }
        }

        /// However long a reservation lasts and whatever is spent meanwhile: released, it was never taken.
        #[test]
        fn a_released_reservation_leaves_no_trace(
            number in 1..1_000_000_000_u64,
            steps in proptest::collection::vec((0..2 * SECOND, 0..4_u8), 0..60),
        ) {
            let (rate, other, limit, mut now) = (Rate::default(), Rate::default(), per_minute(number), 0);
            let mut open = 0;
            for (pause, step) in steps {
                now += pause;
                match step {
                    0 if rate.reserve(limit, now).is_ok() => open += 1,
                    1 if open > 0 => {
                        rate.release();
                        open -= 1;
                    }
                    2 if take(&rate, limit, now).is_ok() => prop_assert!(take(&other, limit, now).is_ok()),
                    _ => {}
                }
            }
            (0..open).for_each(|_| rate.release());
            prop_assert_eq!(rate.even_at.into_inner(), other.even_at.into_inner());
            prop_assert_eq!(rate.reserved.into_inner(), 0);
        }

        #[test]
        fn who_waits_as_long_as_was_said_is_let_in(number in 1..1_000_000_000_u64, amount in 0..u64::from(u32::MAX)) {
            let (rate, limit) = (Rate::default(), per_minute(number));
            rate.charge(amount, limit, 7);
            if let Err(wait) = rate.has_one(limit, 7) {
                let then = 7 + u64::try_from(wait.as_nanos()).unwrap();
                prop_assert!(rate.has_one(limit, then - 1).is_err());
                prop_assert!(take(&rate, limit, then).is_ok());
            }
        }
    }
}
