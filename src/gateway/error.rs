//! Why a call failed: its code, its reason, who has to act, and when to retry.

use super::callers::{AuthError, Exceeded, KeyOwner};
use super::limits::{Limit, TimedOut};
use crate::gemini::code::Code;
use crate::gemini::error_body::ErrorBody;
use crate::gemini::json;
use crate::gemini::method::Method;
use crate::gemini::model::ModelName;
use crate::gemini::validate::Violations;
#[cfg(test)]
use crate::reason::Row;
use crate::reason::{Blame, ErrorKind, Retry, reasons};
use crate::upstream;

/// Why a call failed. Faces render it in their protocol.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Invalid(#[from] Violations),
    #[error("the request cannot be read: {0}")]
    Malformed(json::Error),
    #[error("the request cannot be read: it is not a request of {method}")]
    NotARequest { method: &'static str },
    #[error(
        "{} is not offered here; if the upstream of this gateway has it, the gateway's operator can offer it with GEMINI_GRPC_UPSTREAM_METHODS={}",
        .method.rpc(), .method.action()
    )]
    NotOffered { method: Method },
    #[error(
        "the catalogue of this gateway has no model {model}; ListModels has all of its models. Upstream may accept others"
    )]
    UnknownModel { model: ModelName },
    #[error("the request is larger than {limit} bytes; send less, or raise GEMINI_GRPC_MAX_REQUEST_BYTES")]
    TooLarge { limit: usize },
    #[error("the gzip message unpacks to more than 1 MiB and {ratio} times its length; send it without compression")]
    TooPacked { ratio: usize },
    #[error(
        "the request has more than {limit} elements (contents, parts, tools and everything else in lists and maps); send fewer, or raise GEMINI_GRPC_MAX_ELEMENTS"
    )]
    TooManyElements { limit: usize },
    #[error(transparent)]
    Caller(#[from] AuthError),
    #[error("the API key in {header} is not one: 1 to 4096 visible ASCII characters are expected")]
    InvalidKey { header: &'static str },
    #[error("the gateway's own API key was refused by upstream; its operator has to look at MOUNTSEA_API_KEY")]
    OwnKeyRefused(Box<ErrorBody>),
    #[error("{0}")]
    Upstream(upstream::Error),
    #[error("{0}")]
    TimedOut(TimedOut),
    #[error("{cap} calls are in flight, and no more are taken at once (GEMINI_GRPC_MAX_CALLS)")]
    TooManyCalls { cap: usize },
    #[error("calls in flight hold all of the {cap} bytes that they may hold (GEMINI_GRPC_MAX_BYTES_HELD)")]
    NoMemory { cap: usize },
    /// Each connection is a file, of a caller and to upstream.
    #[error(
        "the gateway may open no more files, and each connection needs one: raise its limit of open files (ulimit -Hn, \
         LimitNOFILE), or run more gateways; docs/operations.md#files"
    )]
    OutOfFiles,
    #[error("the gateway is stopping and takes no more calls; another one will")]
    Stopping,
    #[error("this connection was asked to go and takes no more calls; another one will")]
    Leaving,
    #[error("the gateway stopped before the call was over, at the end of its drain time (GEMINI_GRPC_DRAIN_TIMEOUT)")]
    Stopped,
    #[error("a fault of the gateway; please report it with the request id")]
    Panicked,
}

// One row for each variant, and one in docs/errors.md for each new reason.
reasons! {
    Error {
        Self::Invalid(_) => InvalidArgument, "REQUEST_INVALID", Caller, Unsaid, Other;
        Self::Malformed(_) => InvalidArgument, "REQUEST_MALFORMED", Caller, Unsaid, Other;
        Self::NotARequest { .. } => InvalidArgument, "REQUEST_MALFORMED", Caller, Unsaid, Other;
        Self::NotOffered { .. } => Unimplemented, "METHOD_NOT_OFFERED", Caller, Unsaid, Other;
        Self::UnknownModel { .. } => NotFound, "MODEL_NOT_FOUND", Caller, Unsaid, Other;
        Self::TooLarge { .. } => ResourceExhausted, "REQUEST_TOO_LARGE", Caller, Unsaid, Other;
        Self::TooPacked { .. } => ResourceExhausted, "REQUEST_TOO_PACKED", Caller, Unsaid, Other;
        Self::TooManyElements { .. } => InvalidArgument, "TOO_MANY_ELEMENTS", Caller, Unsaid, Other;
        Self::InvalidKey { .. } => Unauthenticated, "API_KEY_MALFORMED", Caller, Unsaid, Other;
        Self::OwnKeyRefused(_) => Internal, "UPSTREAM_KEY_REFUSED", Gateway, Never, Other;
        Self::TimedOut(TimedOut { limit: Limit::Connect, .. }) => DeadlineExceeded, "TIMED_OUT", Upstream, Soon, Timeout;
        Self::TimedOut(TimedOut { limit: Limit::FirstByte | Limit::Idle, .. }) =>
            DeadlineExceeded, "TIMED_OUT", Upstream, Never, Timeout;
        Self::TimedOut(TimedOut { limit: Limit::Ceiling, .. }) => DeadlineExceeded, "TIMED_OUT", Gateway, Never, Timeout;
        Self::TimedOut(TimedOut { limit: Limit::Caller { .. } | Limit::Upload, .. }) =>
            DeadlineExceeded, "TIMED_OUT", Caller, Never, Timeout;
        Self::TooManyCalls { .. } => ResourceExhausted, "TOO_MANY_CALLS", Gateway, Soon, Other;
        Self::NoMemory { .. } => ResourceExhausted, "TOO_MANY_BYTES", Gateway, Soon, Other;
        Self::OutOfFiles => ResourceExhausted, "OUT_OF_FILES", Gateway, Soon, OutOfFiles;
        Self::Stopping => Unavailable, "STOPPING", Gateway, Soon, Other;
        Self::Leaving => Unavailable, "STOPPING", Gateway, Soon, Other;
        Self::Stopped => Unavailable, "STOPPING", Gateway, Never, Stopped;
        Self::Panicked => Internal, "INTERNAL", Gateway, Unsaid, Other;
    } else {
        Self::Caller(error) => error.row();
        Self::Upstream(error) => error.row();
    }
}

impl Error {
    /// The rows of all errors that a call can fail with.
    #[cfg(test)]
    pub(crate) fn rows() -> impl Iterator<Item = &'static Row> {
        [Self::ROWS, AuthError::ROWS, upstream::Error::ROWS].into_iter().flatten()
    }

    /// An error of upstream, which depends on whose key was sent.
    pub(super) fn upstream(error: upstream::Error, owner: KeyOwner) -> Self {
        match error {
            upstream::Error::Refused(body) if owner == KeyOwner::Gateway && body.is_about_key() => {
                Self::OwnKeyRefused(body)
            }
            upstream::Error::ConnectTimeout { after } => Self::TimedOut(TimedOut { limit: Limit::Connect, after }),
            upstream::Error::OutOfFiles => Self::OutOfFiles,
            error => Self::Upstream(error),
        }
    }

    /// The status code.
    pub fn code(&self) -> Code {
        match self {
            Self::Upstream(error) => error.code(),
            _ => self.row().code,
        }
    }

    /// The stable name for programs (docs/errors.md).
    pub fn reason(&self) -> &str {
        match self {
            Self::Upstream(error) => error.reason(),
            _ => self.row().reason,
        }
    }

    /// The `error.type` of the operation that failed.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Upstream(error) => error.kind(),
            Self::OwnKeyRefused(body) => ErrorKind::Status(body.status),
            _ => self.row().kind,
        }
    }

    /// Who has to act.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Upstream(error) => error.blame(),
            _ => self.row().blame,
        }
    }

    /// Whether to retry, and when. Without it, Google's clients retry UNAVAILABLE up to five times.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Upstream(error) => error.retry(),
            Self::Caller(AuthError::Exceeded(exceeded)) => match exceeded.until {
                Some(_) => Retry::Later(exceeded.retry_after),
                None => Retry::After(exceeded.retry_after),
            },
            _ => self.row().retry,
        }
    }

    /// The time limit that ran out, if that is why it failed.
    pub fn limit(&self) -> Option<Limit> {
        match self {
            Self::TimedOut(timed_out) => Some(timed_out.limit),
            _ => None,
        }
    }

    /// The limit that the caller is at, if that is why it failed.
    pub fn quota(&self) -> Option<&Exceeded> {
        match self {
            Self::Caller(AuthError::Exceeded(exceeded)) => Some(exceeded),
            _ => None,
        }
    }

    /// Upstream's own error, if it is one and the caller may read it.
    pub fn refusal(&self) -> Option<&ErrorBody> {
        match self {
            Self::Upstream(upstream::Error::Refused(body)) => Some(body),
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::gemini::error_body::ErrorReply;

    #[test]
    fn upstreams_reason_and_domain_are_passed_on_for_the_documented_reason_alone() {
        let body = |status| {
            upstream::Error::refused(&ErrorReply {
                status,
                content_type: None,
                retry_after: None,
                body: br#"{"error":{"message":"m","details":[{"reason":"R","domain":"d"}]}}"#,
                now: SystemTime::UNIX_EPOCH,
                keys: &[],
            })
        };
        let passed_on = |error: &Error| error.refusal().and_then(|body| body.info.clone());
        let info = passed_on(&Error::upstream(body(403), KeyOwner::Gateway)).unwrap();
        assert_eq!((&*info.reason, &*info.domain), ("R", "d"));
        // An error without upstream's body has no reason of upstream to pass on.
        let refused_key = Error::upstream(body(401), KeyOwner::Gateway);
        assert_eq!((refused_key.reason(), passed_on(&refused_key)), ("UPSTREAM_KEY_REFUSED", None));
        let documented = include_str!("../../docs/errors.md").replace('\n', " ");
        for sentence in [
            "that pair is passed on unchanged in the place of `UPSTREAM_REFUSED` of `gemini-grpc`",
            "No other reason of the table gives way to upstream's.",
            "| `UPSTREAM_REFUSED` | as upstream says |",
            "| `UPSTREAM_KEY_REFUSED` | INTERNAL |",
        ] {
            assert!(documented.contains(sentence), "docs/errors.md lacks {sentence}");
        }
    }
}
