//! Time limits, and the errors that name them.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// The time limits of calls.
#[derive(Clone, Copy, Debug)]
pub struct TimeLimits {
    /// For the whole call, to its last byte, unless the caller sets a shorter one.
    pub ceiling: Duration,
    /// For the request, from its head to its last byte.
    pub upload: Duration,
    /// From the last byte of the request to the first byte of the response, retries included.
    pub first_byte: Duration,
    /// From one event of a response to the next.
    pub idle: Duration,
}

/// The limit that ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The time that the caller gave the call.
    Caller {
        /// The header that sets it.
        header: &'static str,
    },
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
            Self::Caller { .. } => "caller",
            Self::Ceiling => "ceiling",
            Self::Upload => "upload",
            Self::Connect => "connect",
            Self::FirstByte => "first-byte",
            Self::Idle => "idle",
        }
    }

    /// What did not happen in time, whose limit it is if not the gateway's, and what sets it.
    fn words(self) -> [&'static str; 3] {
        match self {
            Self::Caller { header } => ["the call was not over", "the caller's ", header],
            Self::Ceiling => ["the call was not over", "", "GEMINI_GRPC_MAX_DURATION"],
            Self::Upload => ["the request was not sent", "", "GEMINI_GRPC_UPLOAD_TIMEOUT"],
            Self::Connect => ["no connection to upstream was made", "", "GEMINI_GRPC_CONNECT_TIMEOUT"],
            Self::FirstByte => ["upstream did not begin to answer", "", "GEMINI_GRPC_FIRST_BYTE_TIMEOUT"],
            Self::Idle => ["upstream did not go on with its answer", "", "GEMINI_GRPC_IDLE_TIMEOUT"],
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
        let [what, whose, set_by] = self.limit.words();
        write!(f, "{what} within {} s ({whose}{set_by})", self.after.as_secs_f64())
    }
}

/// When a call has to be over, and because of which limit.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    pub at: Instant,
    pub limit: TimedOut,
}

impl Deadline {
    /// The caller's limit or ours, whichever is shorter.
    pub fn new(begun: Instant, caller: Option<TimedOut>, ceiling: Duration) -> Self {
        let limit = match caller {
            Some(limit) if limit.after <= ceiling => limit,
            _ => TimedOut { limit: Limit::Ceiling, after: ceiling },
        };
        Self { at: begun + limit.after, limit }
    }
}
