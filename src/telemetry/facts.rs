//! What is known of a call, an operation and a request: plain values, which spans, metrics and the access log share.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanContext;

use super::names::{self, attribute};
use super::peer::PeerAddress;
use crate::gemini::catalog::price::Cost;
use crate::gemini::code::Code;
use crate::gemini::method::Method;
use crate::gemini::view::UsageView;
use crate::reason::{Blame, ErrorKind};

/// The protocol that a call came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallProtocol {
    Grpc,
    /// Gemini's REST API.
    Http(HttpRequest),
}

impl CallProtocol {
    /// The value of `rpc.system.name` of an RPC.
    pub(super) const RPC_SYSTEM: &'static str = "grpc";
}

/// What is recorded of an HTTP request: few values of each, so that metrics have few series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HttpRequest {
    /// The value of `http.request.method`.
    method: &'static str,
    /// The pattern of its path, if it is known.
    route: Option<&'static str>,
    scheme: &'static str,
    version: &'static str,
}

impl HttpRequest {
    pub fn new(method: &http::Method, route: Option<&'static str>, is_tls: bool, version: http::Version) -> Self {
        const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
        Self {
            method: METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or(names::UNKNOWN_METHOD),
            route,
            scheme: if is_tls { "https" } else { "http" },
            version: match version {
                http::Version::HTTP_2 => "2",
                http::Version::HTTP_10 => "1.0",
                _ => "1.1",
            },
        }
    }

    /// The name of a span of which only this is known (semantic conventions for HTTP, "Name").
    pub(super) fn span_name(self) -> &'static str {
        if self.method == names::UNKNOWN_METHOD { "HTTP" } else { self.method }
    }

    /// The labels of its metrics, and attributes of its span.
    pub(super) fn labels(self) -> impl Iterator<Item = KeyValue> {
        let route = self.route.map(|route| KeyValue::new(attribute::HTTP_ROUTE, route));
        [
            KeyValue::new(attribute::HTTP_REQUEST_METHOD, self.method),
            KeyValue::new(attribute::URL_SCHEME, self.scheme),
            KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, self.version),
        ]
        .into_iter()
        .chain(route)
    }
}

/// The method of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallMethod {
    /// One that is offered, and its full name, with the service.
    Known { name: &'static str, method: Method },
    /// Any other.
    Unknown,
}

impl CallMethod {
    /// Its name in metrics, spans and the access log.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Known { name, .. } => name,
            Self::Unknown => names::UNKNOWN_METHOD,
        }
    }

    pub(super) fn is_streaming(self) -> bool {
        matches!(self, Self::Known { method, .. } if method.is_streaming())
    }
}

/// How far a call has come. docs/architecture.md names the steps within each phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallPhase {
    /// The request is read, checked and translated. Nothing was sent to upstream.
    #[default]
    Upload,
    /// Upstream was asked and has not answered yet.
    Awaiting,
    /// A part of the response has come.
    Answering,
    /// The response is complete, and on its way to the caller.
    Sending,
}

impl CallPhase {
    pub(super) const ALL: [Self; 4] = [Self::Upload, Self::Awaiting, Self::Answering, Self::Sending];

    /// Its name in metrics and in the access log.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Awaiting => "awaiting",
            Self::Answering => "answering",
            Self::Sending => "sending",
        }
    }
}

/// How a call ended, as its caller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallEnd {
    pub code: Code,
    /// The reason of docs/errors.md; `None` for OK and for a call that its caller cancelled.
    pub reason: Option<Cow<'static, str>>,
    /// Who has to act; `None` for OK.
    pub blame: Option<Blame>,
}

impl CallEnd {
    pub const OK: Self = Self { code: Code::Ok, reason: None, blame: None };

    /// Whether the conventions for RPC count it as an error of the server. Other codes are the caller's own affair.
    pub(super) fn is_server_error(&self) -> bool {
        use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
        matches!(self.code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
    }

    /// The `error.type` of an HTTP request that was answered with this status (semantic conventions for HTTP servers).
    /// A response that breaks off has the status of its head, so its code is the error then.
    pub(super) fn http_error(&self, status: Option<u16>) -> Option<Cow<'static, str>> {
        match status {
            Some(status @ 500..) => Some(status.to_string().into()),
            Some(400..) => None,
            _ => self.is_server_error().then(|| self.code.as_str().into()),
        }
    }
}

/// What is fixed once the head of a call was read.
#[derive(Debug)]
pub(super) struct CallIdentity {
    pub(super) protocol: CallProtocol,
    pub(super) method: CallMethod,
    pub(super) request_id: Arc<str>,
    /// The address of the client.
    pub(super) peer: PeerAddress,
    /// The context of our span, otherwise the caller's.
    pub(super) context: SpanContext,
}

/// What becomes known of a call while it runs.
#[derive(Debug, Default)]
pub(super) struct CallFacts {
    pub(super) end: Option<CallEnd>,
    pub(super) deadline: Option<Instant>,
    pub(super) phase: CallPhase,
    pub(super) caller: Option<Arc<str>>,
    /// The model of a call that was refused because of it.
    pub(super) refused_model: Option<Arc<str>>,
    pub(super) previous_attempts: u32,
    /// Requests to upstream.
    pub(super) attempts: u32,
    /// The name of the key that the last request was sent with, if it is one of a pool.
    pub(super) key: Option<Arc<str>>,
    /// The HTTP status of the response to the caller, if it was one of HTTP.
    pub(super) http_status: Option<u16>,
    /// The HTTP status of the last response of upstream.
    pub(super) upstream_status: Option<u16>,
    /// Whether a model was asked in the place of another one.
    pub(super) has_fallen_back: bool,
    /// Fields of the request that JSON cannot carry.
    pub(super) unknown_fields: usize,
    pub(super) operation: Option<OperationFacts>,
}

impl CallFacts {
    /// How the call ended. One that was dropped without an end met its deadline, or its caller cancelled it.
    pub(super) fn end(&self) -> CallEnd {
        if let Some(end) = &self.end {
            return end.clone();
        }
        let blame = Some(Blame::Caller);
        match self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            true => CallEnd { code: Code::DeadlineExceeded, reason: Some("TIMED_OUT".into()), blame },
            false => CallEnd { code: Code::Cancelled, reason: None, blame },
        }
    }
}

/// What is known of an operation at its end.
#[derive(Debug)]
pub(super) struct OperationFacts {
    pub(super) model: Arc<str>,
    /// The model that answered, if it is not the one that was asked for.
    pub(super) model_used: Option<Arc<str>>,
    /// The model that answered, as metrics name it.
    pub(super) label: Arc<str>,
    pub(super) response_model: String,
    /// Joined with commas.
    pub(super) finish_reasons: String,
    pub(super) block_reason: Option<&'static str>,
    /// From the request to the first message of the response.
    pub(super) first_chunk: Option<Duration>,
    pub(super) chunks: u64,
    pub(super) tokens: Tokens,
    /// Tokens that upstream did not report.
    pub(super) estimated: EstimatedTokens,
    /// By the prices of the catalogue; `None` for a model that has none.
    pub(super) cost: Option<Cost>,
    pub(super) images: u64,
    pub(super) outcome: Outcome,
}

/// How an operation, or one request to upstream, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Succeeded,
    Failed(ErrorKind),
    /// The caller or the gateway did not wait for its end.
    GivenUp,
}

impl Outcome {
    /// Success, or this error.
    pub fn of(error: Option<ErrorKind>) -> Self {
        error.map_or(Self::Succeeded, Self::Failed)
    }

    /// The `error.type`; `None` if it succeeded.
    pub(super) fn error(self) -> Option<ErrorKind> {
        match self {
            Self::Succeeded => None,
            Self::Failed(kind) => Some(kind),
            Self::GivenUp => Some(ErrorKind::Cancelled),
        }
    }
}

/// Tokens that upstream did not report, as the gateway estimates them. They are kept apart from those that it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EstimatedTokens {
    pub input: u64,
    pub output: u64,
}

/// The tokens of a call by kind. Each is counted under one kind only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) input: u64,
    pub(super) cached_input: u64,
    pub(super) tool_use_input: u64,
    pub(super) output: u64,
    pub(super) reasoning: u64,
}

impl Tokens {
    /// The names of the kinds in metrics, in the order of [`Tokens::kinds`].
    pub(super) const KINDS: [&str; 5] = ["input", "cached_input", "tool_use_input", "output", "reasoning"];

    pub(super) fn of(usage: &UsageView) -> Self {
        let cached = usage.cached_content_token_count;
        Self {
            // Gemini counts cached tokens as a part of the prompt, but neither tools nor thoughts as a part of
            // anything.
            input: usage.prompt_token_count.saturating_sub(cached),
            cached_input: cached,
            tool_use_input: usage.tool_use_prompt_token_count,
            output: usage.candidates_token_count,
            reasoning: usage.thoughts_token_count,
        }
    }

    pub(super) fn all_input(&self) -> u64 {
        self.input + self.cached_input + self.tool_use_input
    }

    pub(super) fn all_output(&self) -> u64 {
        self.output + self.reasoning
    }

    pub(super) fn kinds(&self) -> [u64; 5] {
        [self.input, self.cached_input, self.tool_use_input, self.output, self.reasoning]
    }
}
