//! A circuit breaker: after some failures in a row nothing is asked any more, until a probe has found that it is of use
//! again. And the pauses between probes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// This many failures in a row open it. One late reply is common, for example when the engine forks to save its data.
const MAX_FAILURES: u32 = 3;

/// The pauses between two probes, or two attempts to connect.
const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(3);

/// Counts failures in a row. Shared by calls, which take no lock for it.
#[derive(Debug, Default)]
pub(super) struct Breaker(AtomicU32);

impl Breaker {
    pub(super) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= MAX_FAILURES
    }

    /// Counts a failure. Returns whether this one opened it.
    pub(super) fn fail(&self) -> bool {
        let more = |failures: u32| (failures < MAX_FAILURES).then_some(failures + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) == Ok(MAX_FAILURES - 1)
    }

    /// A call succeeded. It does not close an open one: the reply may be to a question from before.
    pub(super) fn succeed(&self) {
        if !self.is_open() && self.0.load(Ordering::Relaxed) > 0 {
            self.close();
        }
    }

    /// A probe has succeeded.
    pub(super) fn close(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// Pauses that double, each with jitter, so that pods do not come back at the same moment.
#[derive(Debug, Default)]
pub(super) struct Backoff(u32);

impl Backoff {
    /// The next pause, where `jitter` is from 0 to 1.
    pub(super) fn next(&mut self, jitter: f64) -> Duration {
        let pause = MIN_PAUSE.saturating_mul(1 << self.0.min(16)).min(MAX_PAUSE);
        self.0 = self.0.saturating_add(1);
        pause.mul_f64(0.5 + jitter / 2.0)
    }

    /// It worked: the next pause is a short one.
    pub(super) fn reset(&mut self) {
        self.0 = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_failures_in_a_row_open_it_and_only_a_probe_closes_it() {
        let breaker = Breaker::default();
        for _ in 0..9 {
            assert_eq!([breaker.fail(), breaker.fail(), breaker.is_open()], [false; 3]);
            breaker.succeed();
        }
        assert_eq!([breaker.fail(), breaker.fail(), breaker.fail(), breaker.fail()], [false, false, true, false]);
        breaker.succeed();
        assert!(breaker.is_open());
        breaker.close();
        assert!(!breaker.is_open() && !breaker.fail());
    }

    #[test]
    fn pauses_double_up_to_a_limit_and_begin_again_after_a_success() {
        let mut backoff = Backoff::default();
        let pauses = [(); 8].map(|()| backoff.next(1.0).as_millis());
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3000, 3000, 3000]);
        backoff.reset();
        assert_eq!((backoff.next(0.0).as_millis(), backoff.next(0.5).as_millis()), (50, 150));
    }
}
