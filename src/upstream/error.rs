//! What can go wrong on the way out.

use std::borrow::Cow;
use std::time::Duration;

use super::pool::{Failure, Unmade};
use crate::files::{self, Files};
use crate::gemini::error_body::{ErrorBody, ErrorReply};
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
    pub fn refused(reply: &ErrorReply<'_>) -> Self {
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

    /// A request over HTTP/1.1 that got no answer. reqwest's own text is left out: it names the URL. A server closes an
    /// idle connection as it likes, and a request may cross that on the way (RFC 9112, 9.3.1); `reused` says that the
    /// connection was open already.
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

    /// A request over HTTP/2 that got no answer. HTTP/2 says whether it was processed: a stream above the last of a
    /// GOAWAY, or refused, was not (RFC 9113, 6.8 and 8.7).
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
            Failure::Unmade(Unmade::Refused) => Self::Connect(REFUSED),
            Failure::Unmade(Unmade::OutOfFiles) => Self::OutOfFiles,
            Failure::Unmade(Unmade::Unresolved) => Self::Connect(UNRESOLVED),
            Failure::Unmade(Unmade::NotHttp2) => {
                Self::Connect("it does not speak HTTP/2; set GEMINI_GRPC_UPSTREAM_HTTP to auto or 1")
            }
            Failure::Unmade(Unmade::Timeout) => Self::ConnectTimeout { after: connect_timeout },
            Failure::Unmade(Unmade::Tls) => Self::Tls,
        }
    }
}

const REFUSED: &str = "the connection was refused";
const UNRESOLVED: &str = "its name cannot be resolved";

type Cause = dyn std::error::Error + 'static;

/// Whether an error of that type and kind is among the causes.
pub(super) fn mentions<T: std::error::Error + 'static>(error: &Cause, is: impl Fn(&T) -> bool) -> bool {
    causes(error).filter_map(|cause| cause.downcast_ref()).any(is)
}

/// Whether rustls is among the causes: reqwest has no question for it.
pub(super) fn mentions_tls(error: &Cause) -> bool {
    // tokio-rustls puts its error into one of input and output of this kind.
    mentions(error, |error: &std::io::Error| error.kind() == std::io::ErrorKind::InvalidData)
}

/// Whether no file was left. A name that could not be looked up for lack of one is reported as any other that could not,
/// so that counts while none is left.
pub(super) fn mentions_files(error: &Cause, is_dns: bool) -> bool {
    mentions(error, files::is_out_of_files) || (is_dns && Files::of_process().are_out())
}

/// An error and what lies below it, from the top down. An error of input and output names the causes of what it holds,
/// not what it holds.
fn causes(error: &Cause) -> impl Iterator<Item = &Cause> {
    std::iter::successors(Some(error), |cause| match cause.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|held| held as &Cause),
        None => cause.source(),
    })
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
        assert!(mentions_files(&files::out_of_files(), false));
        assert!(mentions_files(&io::Error::other(io::Error::other(files::out_of_files())), false));
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(!mentions_files(&refused, true) && !mentions_files(&io::Error::other(refused), true));
    }
}
