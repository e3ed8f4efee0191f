//! What a server that stops tells its calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Two steps: no new calls, then no calls at all. Each worker has one of its own, so that calls do not meet at a
/// lock.
#[derive(Clone, Debug, Default)]
pub struct Stopping {
    refusing: Arc<AtomicBool>,
    ended: CancellationToken,
}

impl Stopping {
    /// From now on new calls are refused.
    pub fn refuse(&self) {
        self.refusing.store(true, Ordering::Relaxed);
    }

    pub fn is_refusing(&self) -> bool {
        self.refusing.load(Ordering::Relaxed)
    }

    /// Ends the calls that are still open.
    pub fn end(&self) {
        self.refuse();
        self.ended.cancel();
    }

    /// Ready once open calls have to end.
    pub fn ended(&self) -> WaitForCancellationFutureOwned {
        self.ended.clone().cancelled_owned()
    }
}
