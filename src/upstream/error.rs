//! Why upstream gave no response, or not a complete one.

use std::time::Duration;

use super::causes::{Cause, causes, mentions, mentions_files, mentions_tls};
use super::pool::{ConnectError, Failure};
use crate::gemini::code::Code;
use crate::gemini::error_body::{ErrorBody, ErrorReply};
use crate::gemini::{events, json};
use crate::reason::{Blame, ErrorKind, Retry, reasons};

/// A client that retries by itself should not wait longer than this for a key that rests.
const MAX_CLIENT_WAIT: Duration = Duration::from_secs(60);

/// Why upstream gave no response, or not a complete one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Upstream refused, with an error of its own.
    #[error("{}", .0.message)]
    Refused(Box<ErrorBody>),
    /// No connection could be made, so upstream got nothing.
    #[error("upstream cannot be reached ({0})")]
    Connect(&'static str),
    /// No connection was made, because this process or its system may open no more files.
    #[error("no file is left for a connection to upstream")]
    OutOfFiles,
    /// No connection was made in time.
    #[error("connecting to upstream took longer than {} s", .after.as_secs_f64())]
    ConnectTimeout { after: Duration },
    #[error("upstream cannot be reached: TLS failed; its certificate may not be trusted here")]
    Tls,
    /// Upstream closed a connection that was open before, and has not taken the call.
    #[error("upstream closed the connection before it took the call")]
    NotTaken,
    /// The connection broke before the head of the response came. Upstream may have taken the request.
    #[error("upstream closed the connection without an answer")]
    NoAnswer,
    /// The response broke off.
    #[error("the answer from upstream broke off")]
    Cut,
    /// The body ended in the middle of an event, or without a sign that the response is finished.
    #[error("the answer from upstream ended before it was finished")]
    Unfinished,
    #[error("the answer from upstream is larger than {limit} bytes; raise GEMINI_GRPC_MAX_RESPONSE_BYTES to take it")]
    TooLarge { limit: usize },
    #[error("the answer from upstream is empty (HTTP {status})")]
    Empty { status: u16 },
    #[error("upstream answered {content_type} where JSON was expected")]
    NotJson { content_type: &'static str },
    #[error("the answer from upstream cannot be read: {0}")]
    Unreadable(json::Error),
    /// No request was sent: every key of the pool rests, and the first one that has rested is used after this time.
    #[error("every key of this gateway's pool is at a limit of upstream; the first can be used again in {} s", .after.as_secs_f64().ceil())]
    KeysResting { after: Duration },
    /// The same, because upstream refuses all of them.
    #[error("the gateway's own API keys were refused by upstream; its operator has to look at MOUNTSEA_API_KEY_FILE")]
    KeysRefused,
    /// A header value that HTTP cannot carry.
    #[error("a header of the request to upstream is not valid")]
    Header,
}

// One row for each variant, and one in docs/errors.md for each new reason.
reasons! {
    Error {
        Self::Refused(_) => Unknown, "UPSTREAM_REFUSED", Upstream, Never, Other;
        Self::Connect(_) => Unavailable, "UPSTREAM_UNREACHABLE", Upstream, Soon, Connect;
        Self::OutOfFiles => ResourceExhausted, "OUT_OF_FILES", Gateway, Soon, OutOfFiles;
        Self::ConnectTimeout { .. } => DeadlineExceeded, "TIMED_OUT", Upstream, Soon, Timeout;
        Self::Tls => Unavailable, "UPSTREAM_TLS_FAILED", Upstream, Never, Tls;
        Self::NotTaken => Unavailable, "UPSTREAM_UNREACHABLE", Upstream, Soon, ConnectionClosed;
        Self::NoAnswer => Unavailable, "UPSTREAM_CLOSED", Upstream, Never, ConnectionClosed;
        Self::Cut => Unavailable, "UPSTREAM_CUT_OFF", Upstream, Never, ConnectionClosed;
        Self::Unfinished => Unavailable, "UPSTREAM_UNFINISHED", Upstream, Never, InvalidResponse;
        Self::TooLarge { .. } => ResourceExhausted, "UPSTREAM_ANSWER_TOO_LARGE", Upstream, Never, InvalidResponse;
        Self::Empty { .. } => Internal, "UPSTREAM_ANSWER_EMPTY", Upstream, Never, InvalidResponse;
        Self::NotJson { .. } => Internal, "UPSTREAM_ANSWER_UNREADABLE", Upstream, Never, InvalidResponse;
        Self::Unreadable(_) => Internal, "UPSTREAM_ANSWER_UNREADABLE", Upstream, Never, InvalidResponse;
        Self::KeysResting { .. } => ResourceExhausted, "UPSTREAM_KEYS_RESTING", Gateway, Soon, KeysResting;
        Self::KeysRefused => Internal, "UPSTREAM_KEY_REFUSED", Gateway, Never, KeysResting;
        Self::Header => Internal, "INTERNAL", Gateway, Never, Other;
    } else {}
}

impl Error {
    /// A refusal, in whatever shape it came.
    pub fn refused(reply: &ErrorReply<'_>) -> Self {
        let encode = |name: &str, value: &serde_json::Value| json::to_wire(name, value.to_string().as_bytes()).ok();
        Self::Refused(Box::new(ErrorBody::read(reply, &encode)))
    }

    /// The status code. For a refusal it is upstream's.
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(body) if body.is_key_refused() => Code::Unauthenticated,
            Self::Refused(body) => body.code,
            _ => self.row().code,
        }
    }

    /// The stable name for programs (docs/errors.md). For a refusal it is upstream's, if upstream names one.
    pub fn reason(&self) -> &str {
        match self {
            Self::Refused(body) => body.reason().unwrap_or(self.row().reason),
            _ => self.row().reason,
        }
    }

    /// The `error.type` of spans and metrics.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(body) => ErrorKind::Status(body.status),
            _ => self.row().kind,
        }
    }

    /// Who has to act.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Refused(body) if (400..500).contains(&body.status) => Blame::Caller,
            _ => self.row().blame,
        }
    }

    /// Whether to retry, and when. Upstream may have taken a call that failed in any other way, and would bill it
    /// twice.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Refused(body) if self.is_not_taken() => body.retry_after.map_or(Retry::Soon, Retry::After),
            // Upstream does not like the request, and not for lack of credit or quota.
            Self::Refused(body) if (400..500).contains(&body.status) && !body.is_used_up() => {
                body.retry_after.map_or(Retry::Unsaid, Retry::After)
            }
            Self::KeysResting { after } if *after > MAX_CLIENT_WAIT => Retry::Later(*after),
            Self::KeysResting { after } => Retry::After(*after),
            _ => self.row().retry,
        }
    }

    /// Whether upstream cannot have taken the request, or reports that it has not: only then may it be sent again,
    /// because generation is billed. But a used-up quota per day stays used up, and files are not free again that soon.
    pub fn is_not_taken(&self) -> bool {
        match self {
            Self::Connect(_) | Self::ConnectTimeout { .. } | Self::NotTaken => true,
            Self::Refused(body) => matches!(body.status, 429 | 503) && !body.daily_quota,
            _ => false,
        }
    }

    /// Whether another model may be asked instead: upstream does not have this one, or cannot serve it now. Nothing was
    /// generated.
    pub fn allows_fallback(&self) -> bool {
        match self {
            Self::Refused(body) => matches!(body.status, 404 | 429 | 503),
            // A key may rest for this model alone.
            Self::KeysResting { .. } => true,
            _ => false,
        }
    }

    /// Whether the same request may succeed a moment later. Upstream may have processed this one.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer => true,
            Self::Refused(body) => matches!(body.status, 500 | 502 | 504),
            _ => false,
        }
    }

    /// A request over HTTP/1.1 that got no response. reqwest's text is left out, because it contains the URL. A server
    /// may close an idle connection while a request is on its way (RFC 9112, 9.3.1); with `reused` the connection was
    /// open before.
    pub(super) fn from_http1(error: &reqwest::Error, reused: bool, connect_timeout: Duration) -> Self {
        if !error.is_connect() {
            let closed = |error: &Cause| {
                error.is::<std::io::Error>() || error.downcast_ref().is_some_and(hyper::Error::is_incomplete_message)
            };
            return if reused && causes(error).any(closed) { Self::NotTaken } else { Self::NoAnswer };
        }
        match () {
            () if error.is_timeout() => Self::ConnectTimeout { after: connect_timeout },
            () if mentions_tls(error) => Self::Tls,
            () if mentions_files(error, error.is_dns()) => Self::OutOfFiles,
            () if error.is_dns() => Self::Connect(UNRESOLVED),
            () => Self::Connect(REFUSED),
        }
    }

    /// A request over HTTP/2 that got no response. HTTP/2 reports whether it was processed: a stream above the last one
    /// of a GOAWAY was not, and neither was a refused stream (RFC 9113, 6.8 and 8.7).
    pub(super) fn from_http2(failure: Failure, connect_timeout: Duration) -> Self {
        match failure {
            Failure::Sent(error) => {
                let unprocessed = mentions(&error, |error: &h2::Error| {
                    let away = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
                    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
                    error.is_remote() && (away || refused)
                });
                if unprocessed { Self::NotTaken } else { Self::NoAnswer }
            }
            Failure::NotTaken => Self::NotTaken,
            Failure::NoConnection(ConnectError::Refused) => Self::Connect(REFUSED),
            Failure::NoConnection(ConnectError::OutOfFiles) => Self::OutOfFiles,
            Failure::NoConnection(ConnectError::Unresolved) => Self::Connect(UNRESOLVED),
            Failure::NoConnection(ConnectError::NotHttp2) => {
                Self::Connect("it does not speak HTTP/2; set GEMINI_GRPC_UPSTREAM_HTTP to auto or 1")
            }
            Failure::NoConnection(ConnectError::Timeout) => Self::ConnectTimeout { after: connect_timeout },
            Failure::NoConnection(ConnectError::Tls) => Self::Tls,
        }
    }
}

const REFUSED: &str = "the connection was refused";
const UNRESOLVED: &str = "its name cannot be resolved";

impl From<events::Error> for Error {
    fn from(error: events::Error) -> Self {
        match error {
            events::Error::TooLarge { limit } => Self::TooLarge { limit },
            events::Error::Truncated => Self::Unfinished,
            events::Error::Unreadable => Self::NotJson { content_type: "neither JSON nor an event stream" },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::files;

    #[test]
    fn that_no_file_was_left_is_found_below_the_errors_of_connectors() {
        assert!(mentions_files(&files::out_of_files(), false));
        assert!(mentions_files(&io::Error::other(io::Error::other(files::out_of_files())), false));
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(!mentions_files(&refused, true) && !mentions_files(&io::Error::other(refused), true));
    }
}
