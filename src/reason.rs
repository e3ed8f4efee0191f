//! What every error says of itself: its code, its stable reason, who has to act, and whether a retry may help.
//!
//! Each error type has one table, made with [`reasons!`]: one row for each variant. The tables together are the table
//! of docs/errors.md, which a test compares both ways.

use std::borrow::Cow;
use std::time::Duration;

use crate::gemini::code::Code;

/// When to retry where nothing better is known.
pub const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Who has to do something about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    Caller,
    Upstream,
    Gateway,
}

impl Blame {
    /// Its name in errors and in the access log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Upstream => "upstream",
            Self::Gateway => "gateway",
        }
    }
}

/// What a failed call says about a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// A retry may succeed after [`DEFAULT_RETRY_AFTER`].
    Soon,
    /// A retry may succeed after this time.
    After(Duration),
    /// A retry may succeed after this time. It is for programs: a client that retries by itself should not wait for it.
    Later(Duration),
    /// A retry would not help, or would be billed twice.
    Never,
    /// The code says enough.
    Unsaid,
}

/// The `error.type` of spans and metrics: one of few, so that they have few series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Upstream answered with this HTTP status.
    Status(u16),
    Connect,
    /// The request was not sent, because this process may open no more files.
    OutOfFiles,
    /// The request was not sent, because every key of the pool rests.
    KeysResting,
    Timeout,
    Tls,
    ConnectionClosed,
    InvalidResponse,
    /// The gateway stopped.
    Stopped,
    /// The caller or the gateway gave it up before it ended.
    Cancelled,
    Other,
}

impl ErrorKind {
    /// The value of `error.type`.
    pub fn as_str(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Status(status) => return status.to_string().into(),
            Self::Connect => "connect",
            Self::OutOfFiles => "out_of_files",
            Self::KeysResting => "keys_resting",
            Self::Timeout => "timeout",
            Self::Tls => "tls",
            Self::ConnectionClosed => "connection_closed",
            Self::InvalidResponse => "invalid_response",
            Self::Stopped => "stopped",
            Self::Cancelled => "cancelled",
            Self::Other => "_OTHER",
        })
    }
}

impl Retry {
    /// How long to wait before a retry, if it may succeed.
    pub fn delay(self) -> Option<Duration> {
        match self {
            Self::Soon => Some(DEFAULT_RETRY_AFTER),
            Self::After(delay) | Self::Later(delay) => Some(delay),
            Self::Never | Self::Unsaid => None,
        }
    }
}

/// What is fixed about a variant of an error.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The stable name of docs/errors.md, for programs.
    pub reason: &'static str,
    pub code: Code,
    pub blame: Blame,
    pub retry: Retry,
    pub kind: ErrorKind,
}

/// Gives an error type its `ROWS`, and the function `row`, which finds the row of a value. The arms after `else` are of
/// variants that carry another error with a table of its own.
macro_rules! reasons {
    ($error:ty {
        $($pattern:pat => $code:ident, $reason:literal, $blame:ident, $retry:ident, $kind:ident;)*
    } else {
        $($other:pat => $row:expr;)*
    }) => {
        impl $error {
            /// All rows, for the test that compares them with docs/errors.md.
            #[cfg(test)]
            pub(crate) const ROWS: &'static [$crate::reason::Row] = &[$($crate::reason::Row {
                reason: $reason,
                code: $crate::gemini::code::Code::$code,
                blame: $crate::reason::Blame::$blame,
                retry: $crate::reason::Retry::$retry,
                kind: $crate::reason::ErrorKind::$kind,
            }),*];

            pub(crate) fn row(&self) -> $crate::reason::Row {
                match self {
                    $($pattern => $crate::reason::Row {
                        reason: $reason,
                        code: $crate::gemini::code::Code::$code,
                        blame: $crate::reason::Blame::$blame,
                        retry: $crate::reason::Retry::$retry,
                        kind: $crate::reason::ErrorKind::$kind,
                    },)*
                    $($other => $row,)*
                }
            }
        }
    };
}
pub(crate) use reasons;
