//! How many calls at once: one more is refused, since a queue nobody sees makes all of them slow.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Error;

/// The limit of calls in flight, for the whole process.
#[derive(Debug)]
pub struct Admission {
    cap: usize,
    /// Whether there is no more room because of the files that the process may open.
    is_by_files: bool,
    calls: AtomicUsize,
}

/// The right to be in flight, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit(Arc<Admission>);

impl Admission {
    /// At most `cap` calls. `is_by_files` says that files allow no more, and so does the error then.
    pub fn new(cap: usize, is_by_files: bool) -> Arc<Self> {
        Arc::new(Self { cap, is_by_files, calls: AtomicUsize::new(0) })
    }

    /// How many there are.
    pub fn in_flight(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// How many there may be.
    pub fn cap(&self) -> usize {
        self.cap
    }

    /// Whether there is a place now. Nothing is taken: a caller who does not send what it has begun keeps no other out.
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
