//! Why a call failed: what kind, what exactly, whose fault, and when to try again.

use std::time::Duration;

use crate::gateway::KeyOwner;
use crate::gemini::code::Code;
use crate::gemini::error_body::ErrorBody;
use crate::gemini::json;
use crate::gemini::validate::Violations;
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
    #[error(
        "no API key: send it as x-goog-api-key or as authorization: Bearer, or give the gateway one of its own (MOUNTSEA_API_KEY)"
    )]
    NoKey,
    #[error("the API key in {header} is not one: 1 to 4096 visible ASCII characters are expected")]
    InvalidKey { header: &'static str },
    #[error("the gateway's own API key was refused by upstream; its operator has to look at MOUNTSEA_API_KEY")]
    OwnKeyRefused(Box<ErrorBody>),
    #[error("{0}")]
    Upstream(upstream::Error),
}

/// Who has to do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Caller,
    Upstream,
    Gateway,
}

impl Error {
    /// An error of upstream, in the light of whose key was sent.
    pub(super) fn upstream(error: upstream::Error, owner: KeyOwner) -> Self {
        match error {
            upstream::Error::Refused(body) if owner == KeyOwner::Gateway && body.is_key_refused() => {
                Self::OwnKeyRefused(body)
            }
            error => Self::Upstream(error),
        }
    }

    /// What kind of error.
    pub fn code(&self) -> Code {
        use upstream::Error as Up;
        match self {
            Self::Invalid(_) | Self::Malformed(_) | Self::NotARequest | Self::NoMessage => Code::InvalidArgument,
            Self::TooLarge { .. } => Code::ResourceExhausted,
            Self::NoKey | Self::InvalidKey { .. } => Code::Unauthenticated,
            Self::Encoding | Self::NotOffered { .. } | Self::NoService => Code::Unimplemented,
            // gRPC's own rule for a broken compression flag (grpc.io, compression.md).
            Self::OwnKeyRefused(_) | Self::Framing(_) => Code::Internal,
            Self::Upstream(error) => match error {
                Up::Refused(body) if body.is_key_refused() => Code::Unauthenticated,
                Up::Refused(body) => body.code,
                Up::Connect(_) | Up::NoAnswer | Up::Cut | Up::Unfinished => Code::Unavailable,
                Up::TooLarge { .. } => Code::ResourceExhausted,
                Up::Empty { .. } | Up::NotJson { .. } | Up::Unreadable(_) | Up::Header => Code::Internal,
            },
        }
    }

    /// What exactly: the `ErrorInfo.reason`. These names are stable (docs/errors.md).
    pub fn reason(&self) -> &str {
        use upstream::Error as Up;
        match self {
            Self::Invalid(_) => "REQUEST_INVALID",
            Self::Malformed(_) | Self::NotARequest | Self::NoMessage => "REQUEST_MALFORMED",
            Self::TooLarge { .. } => "REQUEST_TOO_LARGE",
            Self::Framing(_) => "REQUEST_NOT_GRPC",
            Self::Encoding => "ENCODING_UNKNOWN",
            Self::NotOffered { .. } => "METHOD_NOT_OFFERED",
            Self::NoService => "SERVICE_UNKNOWN",
            Self::NoKey => "API_KEY_MISSING",
            Self::InvalidKey { .. } => "API_KEY_MALFORMED",
            Self::OwnKeyRefused(_) => "UPSTREAM_KEY_REFUSED",
            Self::Upstream(error) => match error {
                Up::Refused(body) => body.reason.as_deref().unwrap_or("UPSTREAM_REFUSED"),
                Up::Connect(_) => "UPSTREAM_UNREACHABLE",
                Up::NoAnswer => "UPSTREAM_CLOSED",
                Up::Cut => "UPSTREAM_CUT_OFF",
                Up::Unfinished => "UPSTREAM_UNFINISHED",
                Up::TooLarge { .. } => "UPSTREAM_ANSWER_TOO_LARGE",
                Up::Empty { .. } => "UPSTREAM_ANSWER_EMPTY",
                Up::NotJson { .. } | Up::Unreadable(_) => "UPSTREAM_ANSWER_UNREADABLE",
                Up::Header => "INTERNAL",
            },
        }
    }

    /// Whose fault it is.
    pub fn source(&self) -> Source {
        match self {
            Self::OwnKeyRefused(_) | Self::Upstream(upstream::Error::Header) => Source::Gateway,
            Self::Upstream(upstream::Error::Refused(body)) if (400..500).contains(&body.status) => Source::Caller,
            Self::Upstream(_) => Source::Upstream,
            _ => Source::Caller,
        }
    }

    /// When a second try may help, if upstream said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.refusal().and_then(|body| body.retry_after)
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
#[allow(clippy::expect_used)]
mod tests {
    use super::*;
    use crate::gemini::validate::Violations;
    use upstream::Error as Up;

    /// One of each kind that names its reason itself.
    fn one_of_each() -> Vec<Error> {
        let unreadable = || json::response(b"").expect_err("nothing is no answer");
        let upstream = [
            Up::Connect("refused"),
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
            Error::Framing(String::new()),
            Error::Encoding,
            Error::NotOffered { method: String::new() },
            Error::NoService,
            Error::NoKey,
            Error::InvalidKey { header: "x-goog-api-key" },
        ];
        own.into_iter().chain(upstream.map(Error::Upstream)).collect()
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
