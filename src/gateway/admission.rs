//! Limits the calls in flight. A call beyond the limit is refused, because a hidden queue would make all calls slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::error::Error;

/// The limit of calls in flight, for the whole process. Not a tokio `Semaphore`, which locks a mutex on release.
#[derive(Debug)]
pub struct Admission {
    cap: usize,
    /// Whether the limit comes from the number of files that the process may open.
    is_by_files: bool,
    calls: AtomicUsize,
}

/// A place in flight, released when it is dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<Admission>);

impl Admission {
    /// At most `cap` calls. With `is_by_files` the error names files as the reason.
    pub fn new(cap: usize, is_by_files: bool) -> Arc<Self> {
        Arc::new(Self { cap, is_by_files, calls: AtomicUsize::new(0) })
    }

    /// The number of calls in flight.
    pub fn in_flight(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// The most calls in flight.
    pub fn cap(&self) -> usize {
        self.cap
    }

    /// Checks for a place without taking one: an unfinished upload must not block other callers.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.calls.load(Ordering::Relaxed) < self.cap { Ok(()) } else { Err(self.refusal()) }
    }

    pub(super) fn admit(self: &Arc<Self>) -> Result<Permit, Error> {
        let permit = Permit(self.clone());
        if self.calls.fetch_add(1, Ordering::Relaxed) < self.cap {
            return Ok(permit);
        }
        Err(self.refusal())
    }

    fn refusal(&self) -> Error {
        if self.is_by_files { Error::OutOfFiles } else { Error::TooManyCalls { cap: self.cap } }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}
