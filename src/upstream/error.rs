//! What can go wrong on the way out.

use std::borrow::Cow;
use std::error::Error as _;
use std::time::Duration;

use crate::files::{self, Files};
use crate::gemini::error_body::{ErrorBody, Reply};
use crate::gemini::{events, json};
use crate::telemetry::names;

/// Why upstream gave no answer, or not a whole one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Upstream refused, in words of its own.
    #[error("{}", .0.message)]
    Refused(Box<ErrorBody>),
    /// The connection could not be made: upstream has seen nothing.
    #[error("upstream cannot be reached ({0})")]
    Connect(&'static str),
    /// It was not made because this process, or its system, may open no more files.
    #[error("no file is left for a connection to upstream")]
    OutOfFiles,
    /// It was not made in time.
    #[error("connecting to upstream took longer than {} s", .after.as_secs_f64())]
    ConnectTimeout { after: Duration },
    #[error("upstream cannot be reached: TLS failed; its certificate may not be trusted here")]
    Tls,
    /// Upstream let go of a connection that was open already: it has not taken the call.
    #[error("upstream closed the connection before it took the call")]
    NotTaken,
    /// The connection broke before the head of the answer came: upstream may have seen the request.
    #[error("upstream closed the connection without an answer")]
    NoAnswer,
    /// The answer broke off.
    #[error("the answer from upstream broke off")]
    Cut,
    /// The body ended, but its last event did not, or nothing in it said that the answer is finished.
    #[error("the answer from upstream ended before it was finished")]
    Unfinished,
    #[error("the answer from upstream is larger than {limit} bytes; raise GEMINI_GRPC_MAX_RESPONSE_BYTES to take it")]
    TooLarge { limit: usize },
    #[error("upstream answered HTTP {status} with an empty body")]
    Empty { status: u16 },
    #[error("upstream answered {content_type} where JSON was expected")]
    NotJson { content_type: &'static str },
    #[error("the answer from upstream cannot be read: {0}")]
    Unreadable(json::Error),
    /// A header value that HTTP cannot carry.
    #[error("a header of the request to upstream is not valid")]
    Header,
}

impl Error {
    /// A refusal, in whatever shape it came.
    pub fn refused(reply: &Reply<'_>) -> Self {
        let encode = |name: &str, value: &serde_json::Value| json::to_wire(name, value.to_string().as_bytes()).ok();
        Self::Refused(Box::new(ErrorBody::read(reply, &encode)))
    }

    /// What exactly went wrong, in the stable names of docs/errors.md.
    pub fn reason(&self) -> &str {
        match self {
            Self::Refused(body) => body.reason().unwrap_or("UPSTREAM_REFUSED"),
            Self::Connect(_) | Self::NotTaken => "UPSTREAM_UNREACHABLE",
            Self::OutOfFiles => names::REASON_OUT_OF_FILES,
            Self::ConnectTimeout { .. } => "TIMED_OUT",
            Self::Tls => "UPSTREAM_TLS_FAILED",
            Self::NoAnswer => "UPSTREAM_CLOSED",
            Self::Cut => "UPSTREAM_CUT_OFF",
            Self::Unfinished => "UPSTREAM_UNFINISHED",
            Self::TooLarge { .. } => "UPSTREAM_ANSWER_TOO_LARGE",
            Self::Empty { .. } => "UPSTREAM_ANSWER_EMPTY",
            Self::NotJson { .. } | Self::Unreadable(_) => "UPSTREAM_ANSWER_UNREADABLE",
            Self::Header => "INTERNAL",
        }
    }

    /// What kind of error, of few: the `error.type` of spans and metrics.
    pub fn kind(&self) -> Cow<'static, str> {
        match self {
            Self::Refused(body) => body.status.to_string().into(),
            Self::Connect(_) => "connect".into(),
            Self::OutOfFiles => names::OUT_OF_FILES.into(),
            Self::ConnectTimeout { .. } => "timeout".into(),
            Self::Tls => "tls".into(),
            Self::NotTaken | Self::NoAnswer | Self::Cut => "connection_closed".into(),
            Self::Unfinished | Self::TooLarge { .. } | Self::Empty { .. } => "invalid_response".into(),
            Self::NotJson { .. } | Self::Unreadable(_) => "invalid_response".into(),
            Self::Header => "_OTHER".into(),
        }
    }

    /// Whether upstream cannot have taken the request, or says that it did not: only then may it go out again, since
    /// generation is billed. A quota per day is final all the same, and files are not free again that soon.
    pub fn is_not_taken(&self) -> bool {
        match self {
            Self::Connect(_) | Self::ConnectTimeout { .. } | Self::NotTaken => true,
            Self::Refused(body) => matches!(body.status, 429 | 503) && !body.daily_quota,
            _ => false,
        }
    }

    /// A request that got no answer. reqwest's own text is left out: it names the URL.
    pub(super) fn from_send(error: reqwest::Error, sent: Sent) -> Self {
        if !error.is_connect() {
            return if is_taken(&error, sent) { Self::NoAnswer } else { Self::NotTaken };
        }
        match () {
            () if error.is_timeout() => Self::ConnectTimeout { after: sent.connect_timeout },
            () if mentions_tls(&error) => Self::Tls,
            () if mentions_files(&error) => Self::OutOfFiles,
            () if error.is_dns() => Self::Connect("its name cannot be resolved"),
            () => Self::Connect("the connection was refused"),
        }
    }
}

/// How a request went out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    /// On a connection that was open already.
    pub(super) reused: bool,
    pub(super) http2: bool,
    pub(super) connect_timeout: Duration,
}

/// Whether upstream may have taken a request that got no answer.
///
/// HTTP/2 says so: a stream above the last of a GOAWAY, or refused, was not processed (RFC 9113, 6.8 and 8.7). In
/// HTTP/1.1 a server closes an idle connection as it likes, and a request may cross that on the way (RFC 9112, 9.3.1).
fn is_taken(error: &reqwest::Error, sent: Sent) -> bool {
    if sent.http2 {
        return !causes(error).filter_map(|error| error.downcast_ref::<h2::Error>()).any(|error| {
            let away = error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR);
            error.is_remote() && (away || (error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM)))
        });
    }
    let closed = |error: &(dyn std::error::Error + 'static)| {
        error.is::<std::io::Error>() || error.downcast_ref().is_some_and(hyper::Error::is_incomplete_message)
    };
    !(sent.reused && causes(error).any(closed))
}

/// Whether rustls is among the causes: reqwest has no question for it.
fn mentions_tls(error: &reqwest::Error) -> bool {
    causes(error).filter_map(|cause| cause.downcast_ref()).any(is_of_tls)
}

/// Whether no file was left. A name that could not be looked up for lack of one is reported as any other that could not,
/// so it counts while none is left.
fn mentions_files(error: &reqwest::Error) -> bool {
    causes(error).filter_map(|cause| cause.downcast_ref()).any(is_of_files)
        || (error.is_dns() && Files::of_process().are_out())
}

/// Connectors put errors of the system into errors of their own, like those of TLS below.
fn is_of_files(error: &std::io::Error) -> bool {
    let held = error.get_ref().and_then(|held| held.downcast_ref());
    files::is_out_of_files(error) || held.is_some_and(is_of_files)
}

/// tokio-rustls puts its error into one of input and output, and hyper-rustls that one into another, which names the
/// causes of what it holds and not what it holds.
fn is_of_tls(error: &std::io::Error) -> bool {
    let held = error.get_ref().and_then(|held| held.downcast_ref());
    error.kind() == std::io::ErrorKind::InvalidData || held.is_some_and(is_of_tls)
}

/// What lies below an error, from the top down.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause| (**cause).source())
}

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

    #[test]
    fn that_no_file_was_left_is_found_below_the_errors_of_connectors() {
        assert!(is_of_files(&files::out_of_files()));
        assert!(is_of_files(&io::Error::other(io::Error::other(files::out_of_files()))));
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(!is_of_files(&refused) && !is_of_files(&io::Error::other(refused)));
    }
}
