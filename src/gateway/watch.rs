//! What may end a call from outside: its time limits, and a server that stops.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::{Error, Stopping};

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct TimeLimits {
    /// The whole call, to its last byte, if the caller asks for no less.
    pub ceiling: Duration,
    /// The request, from its head to its last byte.
    pub upload: Duration,
    /// From a request that is whole to the first byte of the answer, further tries included.
    pub first_byte: Duration,
    /// From one event of an answer to the next.
    pub idle: Duration,
}

/// The limit that ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The caller's own `grpc-timeout`.
    Caller,
    Ceiling,
    Upload,
    Connect,
    FirstByte,
    Idle,
}

impl Limit {
    /// Its name in errors.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Ceiling => "ceiling",
            Self::Upload => "upload",
            Self::Connect => "connect",
            Self::FirstByte => "first-byte",
            Self::Idle => "idle",
        }
    }

    /// What did not happen in time, and where the time is set.
    fn words(self) -> [&'static str; 2] {
        match self {
            Self::Caller => ["the call was not over", "the caller's grpc-timeout"],
            Self::Ceiling => ["the call was not over", "GEMINI_GRPC_MAX_DURATION"],
            Self::Upload => ["the request was not sent", "GEMINI_GRPC_UPLOAD_TIMEOUT"],
            Self::Connect => ["no connection to upstream was made", "GEMINI_GRPC_CONNECT_TIMEOUT"],
            Self::FirstByte => ["upstream did not begin to answer", "GEMINI_GRPC_FIRST_BYTE_TIMEOUT"],
            Self::Idle => ["upstream did not go on with its answer", "GEMINI_GRPC_IDLE_TIMEOUT"],
        }
    }
}

/// A limit that ran out, and how long it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut {
    pub limit: Limit,
    pub after: Duration,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [what, set_by] = self.limit.words();
        write!(f, "{what} within {} s ({set_by})", self.after.as_secs_f64())
    }
}

/// When a call has to be over, and by which limit.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    pub at: Instant,
    pub(super) limit: TimedOut,
}

impl Deadline {
    /// The sooner of the caller's and ours.
    pub fn new(begun: Instant, caller: Option<Duration>, ceiling: Duration) -> Self {
        let limit = match caller {
            Some(after) if after <= ceiling => TimedOut { limit: Limit::Caller, after },
            _ => TimedOut { limit: Limit::Ceiling, after: ceiling },
        };
        Self { at: begun + limit.after, limit }
    }
}

/// What a [`Watch`] has to say.
pub(super) enum Alarm {
    /// The call has to end.
    End(Error),
    /// The caller has heard nothing for the time of a heartbeat.
    Beat,
}

/// The clock beside a call: one timer, which is looked at only while the call waits. It is set anew when it rings, and
/// when a shorter limit begins.
pub(super) struct Watch {
    deadline: Deadline,
    limits: TimeLimits,
    /// What is waited for now: only waiting is limited, beside the whole.
    waiting: TimedOut,
    /// Since when: that wait began, or upstream was last heard.
    since: Instant,
    /// Between two messages to the caller.
    heartbeat: Option<Duration>,
    /// When the caller was last told something.
    told: Instant,
    timer: Pin<Box<Sleep>>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Watch {
    /// Begins with the upload of the request.
    pub(super) fn new(begun: Instant, deadline: Deadline, limits: TimeLimits, stopping: &Stopping) -> Self {
        let waiting = TimedOut { limit: Limit::Upload, after: limits.upload };
        let timer = Box::pin(sleep_until(deadline.at.min(begun + waiting.after)));
        let ended = Box::pin(stopping.ended());
        Self { deadline, limits, waiting, since: begun, heartbeat: None, told: begun, timer, ended }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline.at
    }

    /// The request is there; now upstream has to say something, and the caller wants to hear something at least
    /// every `heartbeat`.
    pub(super) fn uploaded(&mut self, heartbeat: Option<Duration>) {
        self.heartbeat = heartbeat;
        self.wait_for(Limit::FirstByte, self.limits.first_byte);
    }

    /// Upstream has said something.
    pub(super) fn heard(&mut self) {
        self.wait_for(Limit::Idle, self.limits.idle);
    }

    fn wait_for(&mut self, limit: Limit, after: Duration) {
        let now = Instant::now();
        (self.since, self.told) = (now, now);
        // As long as the limit is the same, the time to ring only moves away; another may be shorter.
        if self.waiting.limit != limit {
            self.waiting = TimedOut { limit, after };
            let next = self.next();
            if next < self.timer.deadline() {
                self.timer.as_mut().reset(next);
            }
        }
    }

    /// When there may be something to say.
    fn next(&self) -> Instant {
        let next = self.deadline.at.min(self.since + self.waiting.after);
        self.heartbeat.map_or(next, |every| next.min(self.told + every))
    }

    /// Pending as long as there is nothing to say. Ask it when the call itself is pending.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Alarm> {
        if self.ended.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Alarm::End(Error::Stopped));
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            if now >= self.deadline.at {
                return Poll::Ready(Alarm::End(Error::TimedOut(self.deadline.limit)));
            }
            if now >= self.since + self.waiting.after {
                return Poll::Ready(Alarm::End(Error::TimedOut(self.waiting)));
            }
            let beat = self.heartbeat.is_some_and(|every| now >= self.told + every);
            if beat {
                self.told = now;
            }
            let next = self.next();
            self.timer.as_mut().reset(next);
            if beat {
                return Poll::Ready(Alarm::Beat);
            }
        }
    }

    /// Lets work go on until it is done or the call has to end. It is pinned by who has it: a future that is handed
    /// over is copied, and kept twice.
    pub(super) async fn within_limits<F: Future>(&mut self, mut work: Pin<&mut F>) -> Result<F::Output, Error> {
        std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            loop {
                if let Alarm::End(error) = ready!(self.poll(cx)) {
                    return Poll::Ready(Err(error));
                }
            }
        })
        .await
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("deadline", &self.deadline).finish_non_exhaustive()
    }
}
