//! A process-wide budget for the bytes of requests and responses, of which one caller may reserve a share.
//!
//! A request that does not fit is refused before it is read. A response is paid for already, so it waits until enough
//! is released; one at a time may go over the limit, because otherwise all of them could wait for one another.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::futures::OwnedNotified;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// Less than this is not counted: ordinary calls then share no cache line. The limit on calls bounds what it adds up to.
const MIN_COUNTED: usize = 16 << 10;

/// From this size, in bytes, what is released still counts for [`RETURN_DELAY`]: the allocator keeps the memory that long,
/// and the next large request would come on top of it. Smaller memory is soon used again.
const MIN_DELAYED: usize = 32 << 20;
/// How long mimalloc keeps memory that was freed (its option `purge_delay`).
const RETURN_DELAY: Duration = Duration::from_secs(1);

/// The budget of the process.
#[derive(Debug)]
pub struct MemoryBudget {
    cap: usize,
    pool: Arc<Pool>,
}

/// The bytes that are reserved in one budget: of the process, or of one caller.
#[derive(Debug)]
pub struct Pool {
    used: AtomicUsize,
    freed: Arc<Notify>,
    overdraft: Arc<Semaphore>,
}

/// The budget has too few free bytes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full {
    /// The limit that is reached, in bytes.
    pub cap: usize,
    /// Whether it is the share of one caller.
    pub is_share: bool,
}

/// The bytes that one call has reserved. Dropped, it releases them.
pub struct Reservation {
    process: Limit,
    /// The share of the caller, if it has one.
    share: Option<Limit>,
    /// The bytes that the budgets know of.
    counted: usize,
    waiting: Option<Pin<Box<OwnedNotified>>>,
}

/// A budget as one call sees it.
struct Limit {
    pool: Arc<Pool>,
    cap: usize,
    /// What a request may reserve if nothing else is reserved: a large one has to be possible at some time.
    alone: usize,
    /// The right to go over the limit.
    overdraft: Option<OwnedSemaphorePermit>,
}

impl MemoryBudget {
    /// At most `cap` bytes.
    pub fn new(cap: usize) -> Arc<Self> {
        Arc::new(Self { cap, pool: Arc::default() })
    }

    /// An empty reservation for one call.
    pub fn reserve(&self) -> Reservation {
        self.reserve_within(None)
    }

    /// An empty reservation for one call of a caller that may reserve `share` bytes, all its calls together.
    pub fn reserve_share(&self, of_caller: &Arc<Pool>, share: usize) -> Reservation {
        self.reserve_within(Some(Limit::new(of_caller, share, usize::MAX)))
    }

    fn reserve_within(&self, share: Option<Limit>) -> Reservation {
        // By default the cap is half of the container's memory limit; a quarter more of it is still below that limit.
        let alone = self.cap.saturating_add(self.cap / 4);
        Reservation { process: Limit::new(&self.pool, self.cap, alone), share, counted: 0, waiting: None }
    }

    /// The most bytes that all calls together may reserve.
    pub fn cap(&self) -> usize {
        self.cap
    }

    /// The bytes that all calls together have reserved.
    pub fn reserved(&self) -> usize {
        self.pool.reserved()
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self { used: AtomicUsize::new(0), freed: Arc::default(), overdraft: Arc::new(Semaphore::new(1)) }
    }
}

impl Pool {
    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn release(&self, less: usize, cap: usize) {
        // No call waits unless the limit was reached.
        if self.used.fetch_sub(less, Ordering::Relaxed) >= cap {
            self.freed.notify_waiters();
        }
    }
}

impl Limit {
    fn new(pool: &Arc<Pool>, cap: usize, alone: usize) -> Self {
        Self { pool: pool.clone(), cap, alone, overdraft: None }
    }

    /// Reserves `more` bytes beyond the call's `own`, if they fit.
    fn try_grow(&self, more: usize, own: usize) -> bool {
        let fits = |used: usize| {
            let after = used.checked_add(more)?;
            (after <= self.cap || (used == own && after <= self.alone)).then_some(after)
        };
        self.pool.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    fn grow(&self, more: usize) {
        self.pool.used.fetch_add(more, Ordering::Relaxed);
    }

    /// Releases `less` bytes that were in use; `is_last` if the call has none left.
    fn shrink(&mut self, less: usize, is_last: bool) {
        match Handle::try_current() {
            Ok(runtime) if less >= MIN_DELAYED => {
                let (pool, cap) = (self.pool.clone(), self.cap);
                runtime.spawn(async move {
                    sleep(RETURN_DELAY).await;
                    pool.release(less, cap);
                });
                self.release(0, is_last);
            }
            _ => self.release(less, is_last),
        }
    }

    /// Releases `less` bytes at once.
    fn release(&mut self, less: usize, is_last: bool) {
        self.pool.release(less, self.cap);
        if is_last && self.overdraft.take().is_some() {
            self.pool.freed.notify_waiters();
        }
    }

    /// Whether the call may go on: bytes are free, or it has, or now gets, the right to go over the limit.
    fn may_go_on(&mut self) -> bool {
        if self.overdraft.is_none() && self.pool.reserved() >= self.cap {
            self.overdraft = self.pool.overdraft.clone().try_acquire_owned().ok();
            return self.overdraft.is_some();
        }
        true
    }
}

impl Reservation {
    /// Reserves `bytes` in all, whatever the limits say: they are there already, and what is released was in use.
    pub fn resize(&mut self, bytes: usize) {
        if self.differs(bytes) {
            self.count(bytes, Limit::shrink);
        }
    }

    fn differs(&self, bytes: usize) -> bool {
        bytes.abs_diff(self.counted) >= MIN_COUNTED || (bytes == 0 && self.counted > 0)
    }

    /// Reserves `bytes` in all if they fit, or changes nothing. What this releases was reserved and not used.
    pub fn try_resize(&mut self, bytes: usize) -> Result<(), Full> {
        let more = bytes.saturating_sub(self.counted);
        if more >= MIN_COUNTED {
            let own = self.counted;
            if let Some(share) = &mut self.share
                && !share.try_grow(more, own)
            {
                return Err(Full { cap: share.cap, is_share: true });
            }
            if !self.process.try_grow(more, own) {
                if let Some(share) = &mut self.share {
                    share.pool.release(more, share.cap);
                }
                return Err(Full { cap: self.process.cap, is_share: false });
            }
            self.counted = bytes;
        }
        if self.differs(bytes) {
            self.count(bytes, Limit::release);
        }
        Ok(())
    }

    /// An additional reservation of the same call; none if the bytes are too few to count.
    pub fn additional(&self, bytes: usize) -> Option<Self> {
        (bytes >= MIN_COUNTED).then(|| {
            let mut reserved = self.empty();
            reserved.resize(bytes);
            reserved
        })
    }

    /// Moves what is reserved to another owner.
    pub fn take(&mut self) -> Self {
        let nothing = self.empty();
        std::mem::replace(self, nothing)
    }

    fn empty(&self) -> Self {
        let again = |limit: &Limit| Limit::new(&limit.pool, limit.cap, limit.alone);
        Self { process: again(&self.process), share: self.share.as_ref().map(again), counted: 0, waiting: None }
    }

    /// Ready when more may be reserved. A call that has reserved next to nothing never waits.
    pub fn poll_available(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(freed) = self.full() {
            match &mut self.waiting {
                // Registered before the state is looked at again, so that nothing freed in between is missed.
                None => {
                    let mut waiting = Box::pin(freed.notified_owned());
                    waiting.as_mut().enable();
                    self.waiting = Some(waiting);
                }
                Some(waiting) => {
                    ready!(waiting.as_mut().poll(cx));
                    self.waiting = None;
                }
            }
        }
        self.waiting = None;
        Poll::Ready(())
    }

    /// Notifies when bytes are released in the budget that this call has to wait for; `None` if it need not wait.
    fn full(&mut self) -> Option<Arc<Notify>> {
        // The right to go over the limit of the process is one for all limits: with it a call never waits, so
        // that two calls never wait for the rights of each other.
        if self.counted == 0 || self.process.overdraft.is_some() {
            return None;
        }
        if let Some(share) = &mut self.share
            && !share.may_go_on()
        {
            return Some(share.pool.freed.clone());
        }
        if self.process.may_go_on() { None } else { Some(self.process.pool.freed.clone()) }
    }

    fn count(&mut self, bytes: usize, shrink: fn(&mut Limit, usize, bool)) {
        let before = std::mem::replace(&mut self.counted, bytes);
        for limit in self.share.iter_mut().chain([&mut self.process]) {
            match bytes.checked_sub(before) {
                Some(more) => limit.grow(more),
                None => shrink(limit, before - bytes, bytes == 0),
            }
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.resize(0);
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("counted", &self.counted).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
