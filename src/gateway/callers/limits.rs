//! How much a caller may do, and what of it is in use.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::rate::Rate;
use crate::memory::Pool;

/// Nobody knows when a call ends. Most take seconds.
const UNTIL_A_CALL_ENDS: Duration = Duration::from_secs(1);

/// What a caller may use; what is not there has no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Limits {
    pub(super) calls_in_flight: Option<NonZeroU64>,
    pub(super) calls_per_minute: Option<NonZeroU64>,
    pub(super) tokens_per_minute: Option<NonZeroU64>,
}

/// What is in use. It outlives a reading of the file, so that nobody gets a fresh quota from it.
#[derive(Debug)]
pub(super) struct Meter {
    /// What the rates count from.
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
    /// Bytes of requests and responses that its calls hold together. The share is of the process, not of the file.
    BytesHeld,
    /// Connections at the same time; not in the file, but a share of all that there may be.
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
    /// The caller's calls hold all the bytes that are its share.
    pub fn bytes(caller: Arc<str>, share: usize) -> Self {
        Self { caller, quota: Quota::BytesHeld, limit: share as u64, retry_after: UNTIL_A_CALL_ENDS }
    }
}

/// A call that a caller was let make. It is in flight until this is dropped. It counts as one of the calls per minute
/// from the beginning, but dropped before [`CallerPermit::spend_call`] it has used none.
#[derive(Debug)]
pub struct CallerPermit {
    meter: Arc<Meter>,
    limits: Limits,
    /// Whether one of the calls per minute is reserved.
    call_reserved: bool,
    /// What this call was charged so far.
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

    /// Lets a call begin, or says which limit it is at. A call that is refused uses nothing.
    pub(super) fn admit(self: &Arc<Self>, limits: &Limits, now: Instant) -> Result<CallerPermit, AtLimit> {
        let now = self.nanos(now);
        let at = |quota, limit: NonZeroU64| move |retry_after| AtLimit { quota, limit: limit.get(), retry_after };
        if let Some(limit) = limits.tokens_per_minute {
            self.tokens.has_one(limit, now).map_err(at(Quota::TokensPerMinute, limit))?;
        }
        let limit = limits.calls_in_flight.unwrap_or(NonZeroU64::MAX);
        let one_more = |calls: u64| (calls < limit.get()).then_some(calls + 1);
        self.in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .map_err(|_| at(Quota::CallsInFlight, limit)(UNTIL_A_CALL_ENDS))?;
        let mut permit = CallerPermit { meter: self.clone(), limits: *limits, call_reserved: false, tokens: 0 };
        if let Some(limit) = limits.calls_per_minute {
            self.calls.reserve(limit, now).map_err(at(Quota::CallsPerMinute, limit))?;
            permit.call_reserved = true;
        }
        Ok(permit)
    }

    /// Counts one more connection, of which there may be `most`.
    pub(super) fn connect(self: &Arc<Self>, most: usize) -> Result<ConnectionPermit, AtLimit> {
        let permit = ConnectionPermit(self.clone());
        if self.connections.fetch_add(1, Ordering::Relaxed) < most {
            return Ok(permit);
        }
        let (quota, limit) = (Quota::Connections, u64::try_from(most).unwrap_or(u64::MAX));
        Err(AtLimit { quota, limit, retry_after: UNTIL_A_CALL_ENDS })
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

/// `Exceeded`, before it is known whose.
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
    /// Upstream is about to be asked: the call is one of the calls per minute for good. Until then, dropping the permit
    /// gives that one back.
    pub fn spend_call(&mut self, now: Instant) {
        if let (true, Some(limit)) = (std::mem::take(&mut self.call_reserved), self.limits.calls_per_minute) {
            self.meter.calls.spend_reserved(limit, self.meter.nanos(now));
        }
    }

    /// Charges what the call has cost so far, in all: each event of a stream says the sum, and a call that is
    /// cancelled has no last one.
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
    /// Its name in errors, and in the file of callers if it stands there.
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
