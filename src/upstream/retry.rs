//! How long to wait before a retry, and when to stop retrying. [`Error::is_not_taken`] decides which failures allow
//! one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::error::Error;

/// The longest delay of upstream that the gateway waits for. With a longer one the error goes to the caller.
pub(super) const MAX_DELAY: Duration = Duration::from_secs(30);
/// The longest first backoff. Each one after it is at most twice as long as the one before.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// One retry is allowed for this many calls of a window.
const CALLS_PER_RETRY: u64 = 10;
/// Retries that are allowed in a window in addition, for when there are few calls.
const EXTRA_RETRIES: u64 = 3;
/// How long a window is.
const WINDOW: Duration = Duration::from_secs(10);

/// How long to wait before a retry; `None` if it would not help, or would be billed twice. `tries` were made so far. A
/// request that `is_safe` may be sent again even if upstream has taken it.
///
/// Upstream's own delay takes precedence over the backoff, and is waited for up to `max_delay`. The backoff has full jitter, so that calls that failed together are
/// not retried together (AWS Architecture Blog, "Exponential Backoff And Jitter").
pub(super) fn delay(error: &Error, is_safe: bool, tries: u32, max_delay: Duration, jitter: f64) -> Option<Duration> {
    if !(error.is_not_taken() || is_safe && error.may_pass()) {
        return None;
    }
    let backoff = FIRST_BACKOFF.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(MAX_BACKOFF);
    let asked = if let Error::Refused(body) = error { body.retry_after } else { None };
    match (error, asked) {
        // Another connection is used, so there is no reason to wait.
        (Error::NotTaken, _) => Some(Duration::ZERO),
        (_, Some(asked)) => (asked <= max_delay).then_some(asked),
        (_, None) => Some(backoff.mul_f64(jitter)),
    }
}

/// The retry budget of the whole process: in an outage, about one call in ten is sent twice. Ours instead of
/// `tower::retry::budget`, which locks a mutex for each call, allows whole retries per second only, and cannot be read
/// for the gauge.
#[derive(Debug)]
pub struct Budget {
    begun: Instant,
    /// The number of the window that `calls` and `retries` belong to.
    window: AtomicU64,
    calls: AtomicU64,
    retries: AtomicU64,
}

impl Budget {
    /// A budget without any calls yet.
    pub fn new() -> Arc<Self> {
        let [window, calls, retries] = [0; 3].map(AtomicU64::new);
        Arc::new(Self { begun: Instant::now(), window, calls, retries })
    }

    /// Counts a call, when it is sent for the first time.
    pub(super) fn call(&self) {
        self.roll();
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one retry from the budget; false if none is left.
    pub(super) fn retry(&self) -> bool {
        self.roll();
        let allowed = self.allowed();
        let within = |retries: u64| (retries < allowed).then_some(retries + 1);
        self.retries.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
    }

    /// How many retries are left in this window.
    pub fn left(&self) -> u64 {
        self.roll();
        self.allowed().saturating_sub(self.retries.load(Ordering::Relaxed))
    }

    fn allowed(&self) -> u64 {
        self.calls.load(Ordering::Relaxed) / CALLS_PER_RETRY + EXTRA_RETRIES
    }

    /// Begins a new window when the old one is over. A call that is counted at that moment may belong to either.
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
        delay(error, false, 1, MAX_DELAY, 1.0).map(|delay| delay.as_secs_f64())
    }

    #[test]
    fn only_what_upstream_did_not_take_is_retried() {
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
    fn the_delay_that_upstream_asks_for_is_waited_for_up_to_half_a_minute() {
        let info = r#"{"error":{"code":429,"details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"3.5s"}]}}"#;
        assert_eq!(seconds(&refused(429, Some("7"), info)), Some(3.5));
        assert_eq!(seconds(&refused(503, Some("30"), "")), Some(30.0));
        assert_eq!(seconds(&refused(503, Some("31"), "")), None);
        // With another model to ask, none is waited for, but a short backoff is.
        let at_once = |error: &Error| delay(error, false, 1, Duration::ZERO, 1.0);
        assert_eq!(at_once(&refused(429, Some("1"), "")), None);
        assert_eq!(at_once(&refused(429, Some("0"), "")), Some(Duration::ZERO));
        assert_eq!(at_once(&refused(503, None, "")), Some(FIRST_BACKOFF));
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
        let most = [1, 2, 3, 4, 5, 6, 60].map(|tries| delay(&error, false, tries, MAX_DELAY, 1.0).unwrap().as_millis());
        assert_eq!(most, [200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(delay(&error, false, 6, MAX_DELAY, 0.0), Some(Duration::ZERO));
    }

    #[test]
    fn a_request_that_costs_nothing_is_retried_whatever_upstream_made_of_it() {
        for (error, is_retried) in [
            (Error::NoAnswer, true),
            (refused(500, None, ""), true),
            (refused(502, None, ""), true),
            (refused(503, None, ""), true),
            (refused(504, None, ""), true),
            (refused(404, None, ""), false),
            (refused(400, None, ""), false),
            (refused(501, None, ""), false),
            (Error::Tls, false),
            (Error::Header, false),
        ] {
            assert_eq!(delay(&error, true, 1, MAX_DELAY, 1.0).is_some(), is_retried, "{error:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_in_ten_may_be_retried_and_three_more() {
        let budget = Budget::new();
        (0..100).for_each(|_| budget.call());
        assert_eq!((0..100).filter(|_| budget.retry()).count(), 13);
        tokio::time::advance(WINDOW).await;
        assert_eq!((0..100).filter(|_| budget.retry()).count(), 3);
    }
}
