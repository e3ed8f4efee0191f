//! The limits of a caller, and how much of them is in use.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::rate::Rate;
use crate::memory::Pool;

/// When to retry if the caller has too many calls in flight. It is not known when one ends; most take seconds.
const IN_FLIGHT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a caller may use. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct CallerQuotas {
    pub(super) calls_in_flight: Option<NonZeroU64>,
    pub(super) calls_per_minute: Option<NonZeroU64>,
    pub(super) tokens_per_minute: Option<NonZeroU64>,
}

/// What a caller has used. It is kept when the file is read again, so that a reload gives no caller a fresh quota.
#[derive(Debug)]
pub(super) struct Meter {
    /// The time from which the rates count.
    origin: Instant,
    in_flight: AtomicU64,
    connections: AtomicUsize,
    calls: Rate,
    tokens: Rate,
    /// The bytes that its calls have reserved.
    pub(super) bytes: Arc<Pool>,
}

/// The limits of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Calls at the same time.
    CallsInFlight,
    /// Calls that begin.
    CallsPerMinute,
    /// Tokens in and out, as upstream counts them.
    TokensPerMinute,
    /// Bytes that its calls have reserved together. The limit is a share of the process's, not in the file.
    BytesHeld,
    /// Connections at the same time. The limit is a share of the process's, not in the file.
    Connections,
}

/// A caller is at a limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the caller {caller} is at its limit of {limit} {quota}; try again in {} s, or ask this gateway's operator for more",
    .retry_after.as_secs_f64().ceil()
)]
pub struct Exceeded {
    /// The name of the caller.
    pub caller: Arc<str>,
    /// Which limit it is at.
    pub quota: Quota,
    /// How much it may use.
    pub limit: u64,
    /// When a second try may succeed.
    pub retry_after: Duration,
}

impl Exceeded {
    /// The caller's calls have reserved all the bytes of its share.
    pub fn bytes(caller: Arc<str>, share: usize) -> Self {
        Self { caller, quota: Quota::BytesHeld, limit: share as u64, retry_after: IN_FLIGHT_RETRY_AFTER }
    }
}

/// An admitted call of a caller, in flight until this is dropped. It reserves one of the calls per minute, which is
/// released if this is dropped before [`CallerPermit::spend_call`].
#[derive(Debug)]
pub struct CallerPermit {
    meter: Arc<Meter>,
    limits: CallerQuotas,
    /// Whether one of the calls per minute is reserved.
    call_reserved: bool,
    /// The tokens that this call was charged so far.
    tokens: u64,
}

impl Meter {
    pub(super) fn new(origin: Instant) -> Self {
        Self {
            origin,
            in_flight: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
            calls: Rate::default(),
            tokens: Rate::default(),
            bytes: Arc::default(),
        }
    }

    fn nanos(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.origin).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Admits a call, or returns the limit that the caller is at. A refused call uses nothing.
    pub(super) fn admit(self: &Arc<Self>, limits: &CallerQuotas, now: Instant) -> Result<CallerPermit, AtLimit> {
        let now = self.nanos(now);
        let at = |quota, limit: NonZeroU64| move |retry_after| AtLimit { quota, limit: limit.get(), retry_after };
        if let Some(limit) = limits.tokens_per_minute {
            self.tokens.has_one(limit, now).map_err(at(Quota::TokensPerMinute, limit))?;
        }
        let limit = limits.calls_in_flight.unwrap_or(NonZeroU64::MAX);
        let one_more = |calls: u64| (calls < limit.get()).then_some(calls + 1);
        self.in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .map_err(|_| at(Quota::CallsInFlight, limit)(IN_FLIGHT_RETRY_AFTER))?;
        let mut permit = CallerPermit { meter: self.clone(), limits: *limits, call_reserved: false, tokens: 0 };
        if let Some(limit) = limits.calls_per_minute {
            self.calls.reserve(limit, now).map_err(at(Quota::CallsPerMinute, limit))?;
            permit.call_reserved = true;
        }
        Ok(permit)
    }

    /// Counts one more connection; at most `most` are allowed.
    pub(super) fn connect(self: &Arc<Self>, most: usize) -> Result<ConnectionPermit, AtLimit> {
        let permit = ConnectionPermit(self.clone());
        if self.connections.fetch_add(1, Ordering::Relaxed) < most {
            return Ok(permit);
        }
        let (quota, limit) = (Quota::Connections, u64::try_from(most).unwrap_or(u64::MAX));
        Err(AtLimit { quota, limit, retry_after: IN_FLIGHT_RETRY_AFTER })
    }
}

/// A connection that is counted for a caller until this is dropped.
#[derive(Debug)]
pub struct ConnectionPermit(Arc<Meter>);

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// [`Exceeded`], without the name of the caller.
#[derive(Debug)]
pub(super) struct AtLimit {
    quota: Quota,
    limit: u64,
    retry_after: Duration,
}

impl AtLimit {
    pub(super) fn of(self, caller: Arc<str>) -> Exceeded {
        Exceeded { caller, quota: self.quota, limit: self.limit, retry_after: self.retry_after }
    }
}

impl CallerPermit {
    /// Spends the reserved call per minute, when upstream is about to be asked.
    pub fn spend_call(&mut self, now: Instant) {
        if let (true, Some(limit)) = (std::mem::take(&mut self.call_reserved), self.limits.calls_per_minute) {
            self.meter.calls.spend_reserved(limit, self.meter.nanos(now));
        }
    }

    /// Charges the tokens of the call. `so_far` is the sum since its beginning, because each event of a stream reports
    /// the sum, and a cancelled call has no last event.
    pub fn spend_tokens(&mut self, so_far: u64, now: Instant) {
        let more = so_far.saturating_sub(self.tokens);
        self.tokens += more;
        if let (Some(limit), 1..) = (self.limits.tokens_per_minute, more) {
            self.meter.tokens.charge(more, limit, self.meter.nanos(now));
        }
    }

    /// Whether its caller has a limit on calls in flight.
    pub fn limits_calls_in_flight(&self) -> bool {
        self.limits.calls_in_flight.is_some()
    }
}

impl Drop for CallerPermit {
    fn drop(&mut self) {
        if self.call_reserved {
            self.meter.calls.release();
        }
        self.meter.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Quota {
    /// Its name in errors, and in the file of callers if the file has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CallsInFlight => "calls_in_flight",
            Self::CallsPerMinute => "calls_per_minute",
            Self::TokensPerMinute => "tokens_per_minute",
            Self::BytesHeld => "bytes_held",
            Self::Connections => "connections",
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name().replace('_', " "))
    }
}
