//! How a server that stops refuses and ends its calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Two steps: first new calls are refused, then open ones are ended. Each worker has its own, so that calls of
/// different workers do not share a lock.
#[derive(Clone, Debug, Default)]
pub struct Stopping {
    refusing: Arc<AtomicBool>,
    ended: CancellationToken,
}

impl Stopping {
    /// Refuses new calls from now on.
    pub fn refuse(&self) {
        self.refusing.store(true, Ordering::Relaxed);
    }

    pub fn is_refusing(&self) -> bool {
        self.refusing.load(Ordering::Relaxed)
    }

    /// Ends the calls that are still open, too.
    pub fn end(&self) {
        self.refuse();
        self.ended.cancel();
    }

    /// Ready once open calls have to end.
    pub fn ended(&self) -> WaitForCancellationFutureOwned {
        self.ended.clone().cancelled_owned()
    }
}
