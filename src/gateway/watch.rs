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
pub struct Limits {
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
}

/// When a call has to be over, and who says so.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    pub at: Instant,
    limit: Limit,
    after: Duration,
}

impl Deadline {
    /// The sooner of the caller's and ours.
    pub fn new(begun: Instant, caller: Option<Duration>, ceiling: Duration) -> Self {
        match caller {
            Some(after) if after <= ceiling => Self { at: begun + after, limit: Limit::Caller, after },
            _ => Self { at: begun + ceiling, limit: Limit::Ceiling, after: ceiling },
        }
    }

    pub(super) fn exceeded(self) -> Error {
        Error::TimedOut { limit: self.limit, after: self.after }
    }
}

/// What a call waits for. Only the waiting for others is limited, beside the whole.
#[derive(Clone, Copy)]
enum Phase {
    Upload,
    FirstByte,
    Between,
}

/// What a [`Watch`] has to say.
pub(super) enum Alarm {
    /// The call has to end.
    Over(Error),
    /// The caller has heard nothing for the time of a heartbeat.
    Beat,
}

/// The clock beside a call: one timer, which is looked at only while the call waits, and set anew only when it rings.
pub(super) struct Watch {
    deadline: Deadline,
    limits: Limits,
    phase: Phase,
    /// When the phase began, or upstream was last heard.
    heard: Instant,
    /// Between two messages to the caller.
    heartbeat: Option<Duration>,
    /// When the caller was last told something.
    told: Instant,
    timer: Pin<Box<Sleep>>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Watch {
    /// Begins with the upload of the request.
    pub(super) fn new(begun: Instant, deadline: Deadline, limits: Limits, stopping: &Stopping) -> Self {
        let timer = Box::pin(sleep_until(deadline.at.min(begun + limits.upload)));
        let (phase, ended) = (Phase::Upload, Box::pin(stopping.ended()));
        Self { deadline, limits, phase, heard: begun, heartbeat: None, told: begun, timer, ended }
    }

    pub(super) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// The request is there; now upstream has to say something, and the caller wants to hear something at least
    /// every `heartbeat`.
    pub(super) fn uploaded(&mut self, heartbeat: Option<Duration>) {
        let now = Instant::now();
        (self.phase, self.heard, self.told, self.heartbeat) = (Phase::FirstByte, now, now, heartbeat);
        self.ring_in_time();
    }

    /// Upstream has said something.
    pub(super) fn heard(&mut self) {
        let now = Instant::now();
        (self.heard, self.told) = (now, now);
        if !matches!(self.phase, Phase::Between) {
            self.phase = Phase::Between;
            self.ring_in_time();
        }
    }

    /// Within a phase the time to ring only moves away; a new phase may have a shorter limit.
    fn ring_in_time(&mut self) {
        let next = self.next();
        if next < self.timer.deadline() {
            self.timer.as_mut().reset(next);
        }
    }

    fn limit(&self) -> (Limit, Duration) {
        match self.phase {
            Phase::Upload => (Limit::Upload, self.limits.upload),
            Phase::FirstByte => (Limit::FirstByte, self.limits.first_byte),
            Phase::Between => (Limit::Idle, self.limits.idle),
        }
    }

    /// When there may be something to say.
    fn next(&self) -> Instant {
        let next = self.deadline.at.min(self.heard + self.limit().1);
        self.heartbeat.map_or(next, |every| next.min(self.told + every))
    }

    /// Pending as long as there is nothing to say. Ask it when the call itself is pending.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Alarm> {
        if self.ended.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Alarm::Over(Error::Stopped));
        }
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            let (limit, after) = self.limit();
            if now >= self.deadline.at {
                return Poll::Ready(Alarm::Over(self.deadline.exceeded()));
            }
            if now >= self.heard + after {
                return Poll::Ready(Alarm::Over(Error::TimedOut { limit, after }));
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
    pub(super) async fn over<F: Future>(&mut self, mut work: Pin<&mut F>) -> Result<F::Output, Error> {
        std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            loop {
                if let Alarm::Over(error) = ready!(self.poll(cx)) {
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
