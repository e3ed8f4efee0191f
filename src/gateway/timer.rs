//! The time limits of a call, and the end of a server that stops.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::error::Error;
use super::limits::{Deadline, Limit, TimeLimits, TimedOut};
use super::stopping::Stopping;

/// Why a [`CallTimer`] woke its call.
pub(super) enum Wake {
    /// The call has to end: a limit ran out, or the server stops.
    End(Error),
    /// The caller has got nothing for the time of a heartbeat.
    Heartbeat,
}

/// One timer that enforces the deadline, the limit of the current wait and the heartbeat. It is polled only while the
/// call is pending, and armed again when it fires or a shorter limit begins.
pub(super) struct CallTimer {
    deadline: Deadline,
    limits: TimeLimits,
    /// The limit of the current wait: upload, first byte or idle.
    wait_limit: TimedOut,
    /// When the current wait began, which is when upstream last made progress.
    wait_started: Instant,
    /// The longest time without a message to the caller.
    heartbeat: Option<Duration>,
    /// When the caller was last sent a message.
    last_sent: Instant,
    timer: Pin<Box<Sleep>>,
    /// Ready when the server ends its open calls.
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl CallTimer {
    /// Starts with the wait for the request.
    pub(super) fn new(begun: Instant, deadline: Deadline, limits: TimeLimits, stopping: &Stopping) -> Self {
        let wait_limit = TimedOut { limit: Limit::Upload, after: limits.upload };
        let timer = Box::pin(sleep_until(deadline.at.min(begun + wait_limit.after)));
        let stopped = Box::pin(stopping.ended());
        Self { deadline, limits, wait_limit, wait_started: begun, heartbeat: None, last_sent: begun, timer, stopped }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline.at
    }

    /// Starts the wait for upstream's first byte, once the request is complete. The caller wants a message at least
    /// every `heartbeat`.
    pub(super) fn uploaded(&mut self, heartbeat: Option<Duration>) {
        self.heartbeat = heartbeat;
        self.wait_for(Limit::FirstByte, self.limits.first_byte);
    }

    /// Starts the wait for upstream's next event.
    pub(super) fn upstream_progress(&mut self) {
        self.wait_for(Limit::Idle, self.limits.idle);
    }

    fn wait_for(&mut self, limit: Limit, after: Duration) {
        let now = Instant::now();
        (self.wait_started, self.last_sent) = (now, now);
        // With the same limit the timer only has to fire later, which it finds out when it fires. Another limit may be
        // shorter.
        if self.wait_limit.limit != limit {
            self.wait_limit = TimedOut { limit, after };
            let next = self.next();
            if next < self.timer.deadline() {
                self.timer.as_mut().reset(next);
            }
        }
    }

    /// When the timer has to fire next.
    fn next(&self) -> Instant {
        let next = self.deadline.at.min(self.wait_started + self.wait_limit.after);
        self.heartbeat.map_or(next, |every| next.min(self.last_sent + every))
    }

    /// Ready when the call has to do something. To be polled when the call itself is pending.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Wake> {
        if self.stopped.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Wake::End(Error::Stopped));
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            if now >= self.deadline.at {
                return Poll::Ready(Wake::End(Error::TimedOut(self.deadline.limit)));
            }
            if now >= self.wait_started + self.wait_limit.after {
                return Poll::Ready(Wake::End(Error::TimedOut(self.wait_limit)));
            }
            let beat = self.heartbeat.is_some_and(|every| now >= self.last_sent + every);
            if beat {
                self.last_sent = now;
            }
            let next = self.next();
            self.timer.as_mut().reset(next);
            if beat {
                return Poll::Ready(Wake::Heartbeat);
            }
        }
    }

    /// Runs work until it is done or the call has to end. It takes a pinned reference, because a future that is passed
    /// by value would be stored twice.
    pub(super) async fn within_limits<F: Future>(&mut self, mut work: Pin<&mut F>) -> Result<F::Output, Error> {
        std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            loop {
                if let Wake::End(error) = ready!(self.poll(cx)) {
                    return Poll::Ready(Err(error));
                }
            }
        })
        .await
    }
}

impl fmt::Debug for CallTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallTimer").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
