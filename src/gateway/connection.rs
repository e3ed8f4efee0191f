//! What the calls of a client's connection share with the server: whether it is in use, whose it is, and whether it has
//! to be closed.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::callers::{Caller, ConnectionPermit, Exceeded};
use super::error::Error;
use super::worker_load::Weight;

/// A client's connection. Only calls that were admitted count as its use: neither health, reflection nor pings do, or
/// a stranger could keep its place forever.
#[derive(Debug)]
pub struct Connection {
    opened: Instant,
    /// Admitted calls that have not ended.
    open_calls: AtomicUsize,
    /// Its part in the load of its worker.
    weight: Weight,
    /// When the last admitted call ended, in milliseconds since `opened`; 0 if there was none.
    last_call: AtomicU64,
    /// Counts the connection for the caller of its first admitted call.
    permit: OnceLock<ConnectionPermit>,
    leave: Notify,
    evict: Notify,
    refuses_calls: AtomicBool,
    /// Whether a call is admitted while the server stops: its response then ends the connection.
    has_last_call: AtomicBool,
    /// Whether it is more than the limit of open files allows.
    is_out_of_files: bool,
}

/// An admitted call. Its connection is in use until this is dropped.
#[derive(Debug)]
pub struct OpenCall(Arc<Connection>);

impl Connection {
    /// A connection that was opened now and has no calls yet.
    pub fn new(weight: Weight) -> Arc<Self> {
        Self::with(weight, false)
    }

    /// A connection beyond the limit of open files: it may check health, but no call is admitted on it.
    pub fn out_of_files(weight: Weight) -> Arc<Self> {
        Self::with(weight, true)
    }

    fn with(weight: Weight, is_out_of_files: bool) -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            open_calls: AtomicUsize::new(0),
            weight,
            last_call: AtomicU64::new(0),
            permit: OnceLock::new(),
            leave: Notify::new(),
            evict: Notify::new(),
            refuses_calls: AtomicBool::new(is_out_of_files),
            has_last_call: AtomicBool::new(false),
            is_out_of_files,
        })
    }

    /// The number of the worker that serves it.
    pub fn worker(&self) -> usize {
        self.weight.worker()
    }

    /// Marks the connection as in use by a call that was admitted.
    pub fn begin_call(self: &Arc<Self>) -> OpenCall {
        let before = self.open_calls.fetch_add(1, Ordering::Relaxed);
        self.weight.record(before + 1);
        OpenCall(self.clone())
    }

    /// Begins the next period of the load of workers.
    pub fn begin_load_period(&self) {
        self.weight.begin_period(self.open_calls.load(Ordering::Relaxed));
    }

    /// When the last admitted call ended; `None` while one is open.
    pub fn idle_since(&self) -> Option<Instant> {
        // Ordered with the end of a call, so that with no open call this also sees when the last one ended.
        let is_idle = self.open_calls.load(Ordering::Acquire) == 0;
        is_idle.then(|| self.opened + Duration::from_millis(self.last_call.load(Ordering::Relaxed)))
    }

    /// Whether an admitted call has ended on it.
    pub fn is_used(&self) -> bool {
        self.last_call.load(Ordering::Relaxed) > 0
    }

    /// Ready once no admitted call was open for `limit`, counted from `start` at the earliest.
    pub async fn idle(&self, start: Instant, limit: Duration) {
        let mut end = start + limit;
        loop {
            sleep_until(end).await;
            let now = Instant::now();
            end = self.idle_since().unwrap_or(now).max(start) + limit;
            if end <= now {
                return;
            }
        }
    }

    /// Counts the connection for the caller of its first admitted call. A caller that has `most` connections already
    /// gets an error, and its client is asked to leave the connection.
    pub(super) fn claim(&self, caller: &Caller, most: impl FnOnce() -> usize) -> Result<(), Exceeded> {
        if self.permit.get().is_some() {
            return Ok(());
        }
        let permit = caller.connect(most()).inspect_err(|_| self.leave())?;
        // If another call was first, the permit is dropped and nothing is counted twice.
        let _ = self.permit.set(permit);
        Ok(())
    }

    /// Asks the client to leave: open calls go on, new ones have to use another connection.
    pub fn leave(&self) {
        self.leave.notify_one();
    }

    /// Ready once the client has to be asked to leave.
    pub async fn has_to_leave(&self) {
        self.leave.notified().await;
    }

    /// Refuses calls from now on, because the client was asked to leave some time ago. A client that ignores that could
    /// otherwise go on using a certificate that is no longer trusted.
    pub fn refuse_calls(&self) {
        self.refuses_calls.store(true, Ordering::Relaxed);
    }

    /// Admits a call while the server stops, however late it comes: its client could not know of the stop before.
    /// For a connection that ends with its next response, so that this is its last call.
    pub fn allow_last_call(&self) {
        self.has_last_call.store(true, Ordering::Relaxed);
    }

    /// Whether a call on it is admitted although others are refused, because the server stops.
    pub(super) fn has_last_call(&self) -> bool {
        self.has_last_call.load(Ordering::Relaxed)
    }

    /// Why calls are refused, if they are. The first call on a connection beyond the limit of files asks the client to
    /// leave it, because a new connection may be possible when the client retries.
    pub(super) fn refusal(&self) -> Option<Error> {
        match (self.refuses_calls.load(Ordering::Relaxed), self.is_out_of_files) {
            (false, _) => None,
            (true, false) => Some(Error::Leaving),
            (true, true) => {
                self.leave();
                Some(Error::OutOfFiles)
            }
        }
    }

    /// Closes the connection at once, because another one needs its place.
    pub fn evict(&self) {
        self.evict.notify_one();
    }

    /// Ready once the connection has to be closed.
    pub async fn evicted(&self) {
        self.evict.notified().await;
    }
}

impl Drop for OpenCall {
    fn drop(&mut self) {
        let connection = &self.0;
        let now = u64::try_from(connection.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        connection.last_call.fetch_max(now.max(1), Ordering::Relaxed);
        connection.open_calls.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_idle_from_the_end_of_its_last_call() {
        let (connection, start) = (Connection::new(Weight::default()), Instant::now());
        let calls = [connection.begin_call(), connection.begin_call()];
        let ending = async {
            for (call, after) in calls.into_iter().zip([10, 100]) {
                sleep_until(start + Duration::from_secs(after)).await;
                assert_eq!(connection.idle_since(), None);
                drop(call);
            }
        };
        tokio::join!(connection.idle(start, LIMIT), ending);
        assert_eq!(start.elapsed(), Duration::from_secs(160));
        assert_eq!(connection.idle_since(), Some(start + Duration::from_secs(100)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_used_once_a_call_has_ended_on_it() {
        let connection = Connection::new(Weight::default());
        let call = connection.begin_call();
        assert!(!connection.is_used());
        drop(call);
        assert!(connection.is_used());
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_call_is_idle_from_the_start() {
        let (connection, start) = (Connection::new(Weight::default()), Instant::now());
        connection.idle(start, LIMIT).await;
        assert_eq!(start.elapsed(), LIMIT);
    }
}
