//! Whether the store answers, its clock, and how many pods there are.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::date::Day;
use super::{CALL_TIMEOUT, Config, Store};
use crate::telemetry::{Telemetry, names};

/// After this many late replies in a row the store counts as away.
const MAX_LATE: u32 = 3;

/// What operations are counted by when they fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Admit,
    Settle,
    Pods,
    Resting,
}

pub(super) struct State {
    is_up: AtomicBool,
    /// Whether a change was logged, so that the first one is too.
    is_known: AtomicBool,
    late: AtomicU32,
    /// How far the store's clock is ahead of this machine's, in microseconds.
    ahead: AtomicI64,
    knows_time: AtomicBool,
    pods: AtomicU64,
    telemetry: Telemetry,
}

impl State {
    pub(super) fn new(telemetry: Telemetry) -> Self {
        Self {
            is_up: AtomicBool::new(false),
            is_known: AtomicBool::new(false),
            late: AtomicU32::new(0),
            ahead: AtomicI64::new(0),
            knows_time: AtomicBool::new(false),
            pods: AtomicU64::new(1),
            telemetry,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    /// Whether the store has reported its time. Before that it is not asked.
    pub(super) fn knows_time(&self) -> bool {
        self.knows_time.load(Ordering::Relaxed)
    }

    /// The store's time in microseconds since the epoch, as far as it is known.
    pub(super) fn now(&self) -> u64 {
        local().saturating_add_signed(self.ahead.load(Ordering::Relaxed))
    }

    pub(super) fn today(&self) -> Day {
        Day::of(self.now())
    }

    /// The store has replied in time: with its clock, and the number of pods. Returns whether it did not before.
    pub(super) fn answers(&self, time: u64, took: Duration, pods: u64) -> bool {
        self.learn(time, took, pods);
        self.late.store(0, Ordering::Relaxed);
        let is_back = !self.is_up.swap(true, Ordering::Relaxed);
        if is_back {
            self.is_known.store(true, Ordering::Relaxed);
            tracing::info!(pods, "the store of limits answers: limits hold for all gateways together");
        }
        is_back
    }

    /// The store has replied, but later than a call waits.
    pub(super) fn slow(&self, time: u64, took: Duration, pods: u64) {
        self.learn(time, took, pods);
        if self.late.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_LATE && self.goes_away() {
            tracing::warn!(
                milliseconds = took.as_secs_f64() * 1000.0,
                "the store of limits answers too late: until it is fast again, this gateway allows each caller its share \
                 of the limits; look at its load, or bring it nearer"
            );
        }
    }

    /// The store does not answer.
    pub(super) fn away(&self, config: &Config, error: &str) {
        if self.goes_away() {
            tracing::warn!(
                store = %config.url,
                error,
                "the store of limits does not answer: until it does, this gateway allows each caller its share of the \
                 limits; look whether it runs, and at GEMINI_GRPC_LIMITS_URL"
            );
        }
    }

    /// Whether it was not known to be away.
    fn goes_away(&self) -> bool {
        let was_up = self.is_up.swap(false, Ordering::Relaxed);
        let was_known = self.is_known.swap(true, Ordering::Relaxed);
        was_up || !was_known
    }

    fn learn(&self, time: u64, took: Duration, pods: u64) {
        self.pods.store(pods.max(1), Ordering::Relaxed);
        // The clock is known to half of the time that the reply took: a late one would spoil what is known.
        if took > CALL_TIMEOUT && self.knows_time() {
            return;
        }
        let sent = local().saturating_sub(u64::try_from(took.as_micros()).unwrap_or(u64::MAX) / 2);
        let ahead = i64::try_from(i128::from(time) - i128::from(sent)).unwrap_or_default();
        self.ahead.store(ahead, Ordering::Relaxed);
        self.knows_time.store(true, Ordering::Relaxed);
    }

    pub(super) fn count_failure(&self, operation: Operation) {
        self.telemetry.count(names::STORE_FAILURES, Some(operation.name()));
    }

    /// Records how long a call waited for the store.
    pub(super) fn took(&self, time: Duration) {
        self.telemetry.store_answered(time);
    }
}

impl Store {
    /// How many pods there were when the store last answered; 1 if it never did.
    pub fn pods(&self) -> u64 {
        self.inner.state.pods.load(Ordering::Relaxed)
    }

    /// Counts a call that was decided by this pod's share.
    pub fn count_share(&self) {
        self.inner.state.telemetry.count(names::STORE_SHARES, None);
    }

    /// Lets metrics read whether it answers, and the number of pods.
    pub(super) fn observe(&self, telemetry: &Telemetry) {
        telemetry.count_from_zero(names::STORE_SHARES, &[""]);
        telemetry.count_from_zero(names::STORE_FAILURES, &Operation::ALL.map(Operation::name));
        let inner = self.inner.clone();
        telemetry.observe(names::STORE_UP, None, move || inner.state.is_up().into());
        let inner = self.inner.clone();
        telemetry.observe(names::STORE_PODS, None, move || inner.state.pods.load(Ordering::Relaxed));
    }
}

impl Operation {
    const ALL: [Self; 4] = [Self::Admit, Self::Settle, Self::Pods, Self::Resting];

    fn name(self) -> &'static str {
        match self {
            Self::Admit => "admit",
            Self::Settle => "settle",
            Self::Pods => "pods",
            Self::Resting => "resting",
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("is_up", &self.is_up).field("pods", &self.pods).finish_non_exhaustive()
    }
}

/// This machine's time in microseconds since the epoch.
fn local() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
