//! What can go wrong on the way out.

use std::error::Error as _;

use crate::gemini::error_body::{ErrorBody, Reply};
use crate::gemini::{events, json};

/// Why upstream gave no answer, or not a whole one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Upstream refused, in words of its own.
    #[error("{}", .0.message)]
    Refused(Box<ErrorBody>),
    /// The connection could not be made: upstream has seen nothing.
    #[error("upstream cannot be reached ({0})")]
    Connect(&'static str),
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

    /// A request that got no answer. reqwest's own text is left out: it names the URL.
    pub(super) fn from_send(error: reqwest::Error) -> Self {
        if !error.is_connect() {
            return Self::NoAnswer;
        }
        Self::Connect(match () {
            () if error.is_timeout() => "connecting took too long",
            () if error.is_dns() => "its name cannot be resolved",
            () if mentions_tls(&error) => "TLS failed; its certificate may not be trusted here",
            () => "the connection was refused",
        })
    }
}

/// Whether rustls is among the causes: reqwest has no question for it.
fn mentions_tls(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|e| e.kind() == std::io::ErrorKind::InvalidData) {
            return true;
        }
        cause = error.source();
    }
    false
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
