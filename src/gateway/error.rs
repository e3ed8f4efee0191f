//! Why a call failed: what kind, what exactly, whose fault, and when to try again.

use std::borrow::Cow;
use std::time::Duration;

use crate::gateway::callers::{AuthError, Exceeded};
use crate::gateway::{KeyOwner, Limit, TimedOut};
use crate::gemini::code::Code;
use crate::gemini::error_body::ErrorBody;
use crate::gemini::json;
use crate::gemini::validate::Violations;
use crate::telemetry::names;
use crate::upstream;

/// A failed call. The faces render it; they ask nothing else.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Invalid(#[from] Violations),
    #[error("the request cannot be read: {0}")]
    Malformed(json::Error),
    #[error("the request cannot be read: it is not a GenerateContentRequest")]
    NotARequest,
    #[error("the request holds no message")]
    NoMessage,
    #[error("the request is not gRPC: {0}")]
    Framing(String),
    #[error("the grpc-encoding of the request is not known; gzip and identity are")]
    Encoding,
    #[error(
        "{method} is not offered here; GenerateContent and StreamGenerateContent are all that the Gemini Compat API has"
    )]
    NotOffered { method: String },
    #[error("there is no service of that name here; mountsea.gemini.v1.GenerativeService is the one to call")]
    NoService,
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
    #[error("{header} cannot be used: {expected}")]
    Metadata { header: &'static str, expected: &'static str },
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

/// What a failed call says about trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// A second try may help after this time.
    After(Duration),
    /// It would not help, or be billed twice.
    Never,
    /// The code says enough.
    Unsaid,
}

/// For trying again where nothing better is known.
const SOON: Duration = Duration::from_secs(1);

/// Who has to do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Caller,
    Upstream,
    Gateway,
}

impl Source {
    /// Its name in errors and in the access log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Upstream => "upstream",
            Self::Gateway => "gateway",
        }
    }
}

impl Error {
    /// An error of upstream, in the light of whose key was sent.
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

    /// What kind of error.
    pub fn code(&self) -> Code {
        use upstream::Error as Up;
        match self {
            Self::Invalid(_) | Self::Malformed(_) | Self::NotARequest | Self::NoMessage | Self::Metadata { .. } => {
                Code::InvalidArgument
            }
            Self::TooManyElements { .. } => Code::InvalidArgument,
            Self::TooLarge { .. } | Self::TooPacked { .. } | Self::TooManyCalls { .. } | Self::NoMemory { .. } => {
                Code::ResourceExhausted
            }
            Self::OutOfFiles => Code::ResourceExhausted,
            Self::InvalidKey { .. } => Code::Unauthenticated,
            Self::Caller(error) => error.code(),
            Self::Encoding | Self::NotOffered { .. } | Self::NoService => Code::Unimplemented,
            // gRPC's own rule for a broken compression flag (grpc.io, compression.md).
            Self::OwnKeyRefused(_) | Self::Framing(_) | Self::Panicked => Code::Internal,
            Self::TimedOut(_) => Code::DeadlineExceeded,
            Self::Stopping | Self::Leaving | Self::Stopped => Code::Unavailable,
            Self::Upstream(error) => match error {
                Up::Refused(body) if body.is_key_refused() => Code::Unauthenticated,
                Up::Refused(body) => body.code,
                Up::ConnectTimeout { .. } => Code::DeadlineExceeded,
                Up::Connect(_) | Up::Tls | Up::NotTaken | Up::NoAnswer | Up::Cut | Up::Unfinished => Code::Unavailable,
                Up::TooLarge { .. } | Up::OutOfFiles => Code::ResourceExhausted,
                Up::Empty { .. } | Up::NotJson { .. } | Up::Unreadable(_) | Up::Header => Code::Internal,
            },
        }
    }

    /// What exactly: the `ErrorInfo.reason`. These names are stable (docs/errors.md).
    pub fn reason(&self) -> &str {
        match self {
            Self::Invalid(_) => "REQUEST_INVALID",
            Self::Malformed(_) | Self::NotARequest | Self::NoMessage => "REQUEST_MALFORMED",
            Self::Metadata { .. } => "METADATA_INVALID",
            Self::TooLarge { .. } => "REQUEST_TOO_LARGE",
            Self::TooPacked { .. } => "REQUEST_TOO_PACKED",
            Self::TooManyElements { .. } => "TOO_MANY_ELEMENTS",
            Self::Framing(_) => "REQUEST_NOT_GRPC",
            Self::Encoding => "ENCODING_UNKNOWN",
            Self::NotOffered { .. } => "METHOD_NOT_OFFERED",
            Self::NoService => "SERVICE_UNKNOWN",
            Self::Caller(error) => error.reason(),
            Self::InvalidKey { .. } => "API_KEY_MALFORMED",
            Self::OwnKeyRefused(_) => "UPSTREAM_KEY_REFUSED",
            Self::TimedOut(_) => "TIMED_OUT",
            Self::TooManyCalls { .. } => "TOO_MANY_CALLS",
            Self::NoMemory { .. } => "TOO_MANY_BYTES",
            Self::OutOfFiles => names::REASON_OUT_OF_FILES,
            Self::Stopping | Self::Leaving | Self::Stopped => "STOPPING",
            Self::Panicked => "INTERNAL",
            Self::Upstream(error) => error.reason(),
        }
    }

    /// What kind of error, of few: the `error.type` of what was asked of upstream.
    pub fn kind(&self) -> Cow<'static, str> {
        match self {
            Self::Upstream(error) => error.kind(),
            Self::OwnKeyRefused(body) => body.status.to_string().into(),
            Self::TimedOut(_) => "timeout".into(),
            Self::Stopped => "stopped".into(),
            Self::OutOfFiles => names::OUT_OF_FILES.into(),
            _ => "_OTHER".into(),
        }
    }

    /// Whose fault it is.
    pub fn source(&self) -> Source {
        use upstream::Error as Up;
        match self {
            Self::TimedOut(TimedOut { limit: Limit::Connect | Limit::FirstByte | Limit::Idle, .. }) => Source::Upstream,
            Self::TimedOut(TimedOut { limit: Limit::Ceiling, .. }) => Source::Gateway,
            Self::TooManyCalls { .. } | Self::NoMemory { .. } | Self::OutOfFiles => Source::Gateway,
            Self::Stopping | Self::Leaving | Self::Stopped => Source::Gateway,
            Self::OwnKeyRefused(_) | Self::Panicked | Self::Upstream(Up::Header | Up::OutOfFiles) => Source::Gateway,
            Self::Upstream(Up::Refused(body)) if (400..500).contains(&body.status) => Source::Caller,
            Self::Upstream(_) => Source::Upstream,
            _ => Source::Caller,
        }
    }

    /// Whether to try again, and when. UNAVAILABLE alone makes Google's clients try five times.
    pub fn retry(&self) -> Retry {
        match self {
            Self::TooManyCalls { .. } | Self::NoMemory { .. } | Self::Stopping | Self::Leaving => Retry::After(SOON),
            Self::OutOfFiles | Self::Upstream(upstream::Error::OutOfFiles) => Retry::After(SOON),
            Self::TimedOut(TimedOut { limit: Limit::Connect, .. }) => Retry::After(SOON),
            Self::TimedOut(_) | Self::Stopped | Self::OwnKeyRefused(_) => Retry::Never,
            Self::Caller(error) => error.retry_after().map_or(Retry::Unsaid, Retry::After),
            Self::Upstream(error) => match error {
                upstream::Error::Refused(body) if error.is_not_taken() => {
                    Retry::After(body.retry_after.unwrap_or(SOON))
                }
                _ if error.is_not_taken() => Retry::After(SOON),
                // It is the request that upstream does not like, and not for being out of credit or quota.
                upstream::Error::Refused(body) if (400..500).contains(&body.status) && !body.is_used_up() => {
                    body.retry_after.map_or(Retry::Unsaid, Retry::After)
                }
                // Whoever fails otherwise may have taken the call, and a second one is billed again.
                _ => Retry::Never,
            },
            _ => Retry::Unsaid,
        }
    }

    /// The time limit that ran out.
    pub fn limit(&self) -> Option<Limit> {
        match self {
            Self::TimedOut(timed_out) => Some(timed_out.limit),
            _ => None,
        }
    }

    /// The limit that the caller is at, if it is one of its own.
    pub fn quota(&self) -> Option<&Exceeded> {
        match self {
            Self::Caller(AuthError::Exceeded(exceeded)) => Some(exceeded),
            _ => None,
        }
    }

    /// What upstream said, if it is upstream that refused and the caller may know.
    pub fn refusal(&self) -> Option<&ErrorBody> {
        match self {
            Self::Upstream(upstream::Error::Refused(body)) => Some(body),
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::unwrap_used)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::gateway::callers::{Exceeded, Quota};
    use crate::gemini::error_body::ErrorReply;
    use crate::gemini::model::ModelName;
    use crate::gemini::validate::Violations;
    use upstream::Error as Up;

    fn exceeded() -> Exceeded {
        Exceeded { caller: "a".into(), quota: Quota::CallsInFlight, limit: 1, retry_after: Duration::ZERO }
    }

    /// One of each kind that names its reason itself.
    fn one_of_each() -> Vec<Error> {
        let unreadable = || {
            json::response(b"", None, &mut crate::gemini::steps::Steps::unlimited()).expect_err("nothing is no answer")
        };
        let upstream = [
            Up::Connect("refused"),
            Up::OutOfFiles,
            Up::ConnectTimeout { after: Duration::ZERO },
            Up::Tls,
            Up::NoAnswer,
            Up::Cut,
            Up::Unfinished,
            Up::TooLarge { limit: 1 },
            Up::Empty { status: 200 },
            Up::NotJson { content_type: "HTML" },
            Up::Unreadable(unreadable()),
            Up::Header,
        ];
        let own = [
            Error::Invalid(Violations::default()),
            Error::Malformed(unreadable()),
            Error::NotARequest,
            Error::NoMessage,
            Error::TooLarge { limit: 1 },
            Error::TooPacked { ratio: 1 },
            Error::TooManyElements { limit: 1 },
            Error::Framing(String::new()),
            Error::Encoding,
            Error::NotOffered { method: String::new() },
            Error::NoService,
            Error::Caller(AuthError::NoKey),
            Error::Caller(AuthError::NoToken),
            Error::Caller(AuthError::UnknownToken),
            Error::Caller(AuthError::NoCertificate),
            Error::Caller(AuthError::UnknownCertificate),
            Error::Caller(AuthError::ModelNotAllowed { caller: "a".into(), model: ModelName::parse("m").unwrap() }),
            Error::Caller(AuthError::Exceeded(exceeded())),
            Error::InvalidKey { header: "x-goog-api-key" },
            Error::Metadata { header: "grpc-timeout", expected: "" },
            Error::TimedOut(TimedOut { limit: Limit::Idle, after: Duration::ZERO }),
            Error::TooManyCalls { cap: 1 },
            Error::NoMemory { cap: 1 },
            Error::OutOfFiles,
            Error::Stopping,
            Error::Leaving,
            Error::Panicked,
        ];
        own.into_iter().chain(upstream.map(Error::Upstream)).collect()
    }

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
        let refused_key = Error::upstream(body(401), KeyOwner::Gateway);
        assert_eq!((refused_key.reason(), passed_on(&refused_key)), ("UPSTREAM_KEY_REFUSED", None));
        for error in one_of_each() {
            assert_eq!(passed_on(&error), None, "{}", error.reason());
        }
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

    #[test]
    fn every_reason_is_documented_with_its_code() {
        let documented = include_str!("../../docs/errors.md");
        for error in one_of_each() {
            let row = format!("| `{}` | {} |", error.reason(), error.code().as_str());
            assert!(documented.contains(&row), "docs/errors.md lacks {row}");
        }
    }
}
