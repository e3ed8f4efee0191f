//! Limits the calls in flight. A call beyond the limit is refused, because a hidden queue would make all calls slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::error::Error;
use crate::reason::Blame;

/// The limit of calls in flight, for the whole process. Not a tokio `Semaphore`, which locks a mutex on release.
#[derive(Debug)]
pub struct Admission {
    cap: usize,
    /// Whether the limit comes from the number of files that the process may open.
    is_by_files: bool,
    calls: AtomicUsize,
    /// The calls that had a place in flight and have ended.
    ended: AtomicU64,
    /// Those of them that failed for another reason than a mistake of their callers.
    failed: AtomicU64,
}

/// A place in flight, released when it is dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<Admission>);

impl Admission {
    /// At most `cap` calls. With `is_by_files` the error names files as the reason.
    pub fn new(cap: usize, is_by_files: bool) -> Arc<Self> {
        Arc::new(Self {
            cap,
            is_by_files,
            calls: AtomicUsize::new(0),
            ended: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// The number of calls in flight.
    pub fn in_flight(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// The most calls in flight.
    pub fn cap(&self) -> usize {
        self.cap
    }

    /// How many calls that were in flight have ended since the start.
    pub(super) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// How many of those have failed because of upstream or of the gateway.
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Checks for a place without taking one: an unfinished upload must not block other callers.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.calls.load(Ordering::Relaxed) < self.cap { Ok(()) } else { Err(self.refusal()) }
    }

    pub(super) fn admit(self: &Arc<Self>) -> Result<Permit, Error> {
        if self.calls.fetch_add(1, Ordering::Relaxed) < self.cap {
            return Ok(Permit(self.clone()));
        }
        self.calls.fetch_sub(1, Ordering::Relaxed);
        Err(self.refusal())
    }

    fn refusal(&self) -> Error {
        if self.is_by_files { Error::OutOfFiles } else { Error::TooManyCalls { cap: self.cap } }
    }
}

impl Permit {
    /// Counts the call as failed, unless its caller has made a mistake.
    pub(super) fn record_failure(&self, error: &Error) {
        if error.blame() != Blame::Caller {
            self.0.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}
