//! How long to wait before a call goes out again, and when to stop trying. Which failures allow it at all,
//! [`Error::is_not_taken`] says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::Error;

/// A delay that upstream asks for is kept up to this one; a longer one is the caller's to wait for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The first backoff is up to this long, each further one up to twice the one before.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// Of the calls of a window, one in so many may be tried again, and some more where calls are few.
const CALLS_PER_RETRY: u64 = 10;
const FLOOR: u64 = 3;
const WINDOW: Duration = Duration::from_secs(10);

/// When to try a failed call again; `None` if that would do harm or no good. `tries` were made so far.
///
/// Upstream's own delay goes before the backoff, which has full jitter: callers that failed together must not come
/// back together (AWS Architecture Blog, "Exponential Backoff And Jitter").
pub(super) fn delay(error: &Error, tries: u32, jitter: f64) -> Option<Duration> {
    if !error.is_not_taken() {
        return None;
    }
    let backoff = FIRST_BACKOFF.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST_BACKOFF);
    let asked = if let Error::Refused(body) = error { body.retry_after } else { None };
    match (error, asked) {
        // A new connection is made at once.
        (Error::NotTaken, _) => Some(Duration::ZERO),
        (_, Some(asked)) => (asked <= LONGEST_WAIT).then_some(asked),
        (_, None) => Some(backoff.mul_f64(jitter)),
    }
}

/// The retry budget: in an outage about one call in ten goes out twice, for the whole process.
#[derive(Debug)]
pub struct Budget {
    begun: Instant,
    /// The number of the window that the other two count in.
    window: AtomicU64,
    calls: AtomicU64,
    retries: AtomicU64,
}

impl Budget {
    /// A budget that nothing was spent of.
    pub fn new() -> Arc<Self> {
        let [window, calls, retries] = [0; 3].map(AtomicU64::new);
        Arc::new(Self { begun: Instant::now(), window, calls, retries })
    }

    /// A call is made for the first time.
    pub(super) fn call(&self) {
        self.roll();
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a call may be made once more.
    pub(super) fn retry(&self) -> bool {
        self.roll();
        let most = self.most();
        let within = |retries: u64| (retries < most).then_some(retries + 1);
        self.retries.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
    }

    /// How many calls may be made once more in this window.
    pub fn left(&self) -> u64 {
        self.roll();
        self.most().saturating_sub(self.retries.load(Ordering::Relaxed))
    }

    fn most(&self) -> u64 {
        self.calls.load(Ordering::Relaxed) / CALLS_PER_RETRY + FLOOR
    }

    /// Begins a new window when the old one is over. A call that is counted meanwhile may fall into either.
    fn roll(&self) {
        let now = self.begun.elapsed().as_secs() / WINDOW.as_secs();
        let before = self.window.load(Ordering::Relaxed);
        if now != before && self.window.compare_exchange(before, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.calls.store(0, Ordering::Relaxed);
            self.retries.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::gemini::error_body::ErrorReply;

    fn refused(status: u16, retry_after: Option<&str>, body: &str) -> Error {
        let (body, now) = (body.as_bytes(), std::time::SystemTime::UNIX_EPOCH);
        Error::refused(&ErrorReply { status, content_type: None, retry_after, body, now, keys: &[] })
    }

    fn seconds(error: &Error) -> Option<f64> {
        delay(error, 1, 1.0).map(|delay| delay.as_secs_f64())
    }

    #[test]
    fn only_what_upstream_did_not_take_is_tried_again() {
        assert_eq!(seconds(&Error::Connect("refused")), Some(0.2));
        assert_eq!(seconds(&Error::NotTaken), Some(0.0));
        assert_eq!(seconds(&refused(429, None, "")), Some(0.2));
        assert_eq!(seconds(&refused(503, None, "")), Some(0.2));
        for status in [400, 401, 402, 403, 404, 408, 409, 500, 501, 502, 504, 520] {
            assert_eq!(seconds(&refused(status, Some("1"), "")), None, "{status}");
        }
        for error in [Error::NoAnswer, Error::Cut, Error::Unfinished, Error::Tls, Error::Header] {
            assert_eq!(seconds(&error), None, "{error:?}");
        }
    }

    #[test]
    fn the_delay_that_upstream_asks_for_is_kept_up_to_half_a_minute() {
        let info = r#"{"error":{"code":429,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"3.5s"}]}}"#;
        assert_eq!(seconds(&refused(429, Some("7"), info)), Some(3.5));
        assert_eq!(seconds(&refused(503, Some("30"), "")), Some(30.0));
        assert_eq!(seconds(&refused(503, Some("31"), "")), None);
    }

    #[test]
    fn a_quota_per_day_is_final() {
        let daily = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[
            {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProject"}]},
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1s"}]}}"#;
        assert_eq!(seconds(&refused(429, None, daily)), None);
    }

    #[test]
    fn the_backoff_doubles_up_to_a_limit_and_has_full_jitter() {
        let error = Error::Connect("refused");
        let most = [1, 2, 3, 4, 5, 6, 60].map(|tries| delay(&error, tries, 1.0).unwrap().as_millis());
        assert_eq!(most, [200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(delay(&error, 6, 0.0), Some(Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_in_ten_may_be_tried_again_and_three_more() {
        let budget = Budget::new();
        (0..100).for_each(|_| budget.call());
        assert_eq!((0..100).filter(|_| budget.retry()).count(), 13);
        tokio::time::advance(WINDOW).await;
        assert_eq!((0..100).filter(|_| budget.retry()).count(), 3);
    }
}
