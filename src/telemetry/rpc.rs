//! The call as its caller sees it: the SERVER span, its duration, and one line in the access log.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::header::{HeaderMap, HeaderValue};
use http::uri::Authority;
use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Span;

use super::names::{self, attribute};
use super::outcome::Outcome;
use super::usage::{EstimatedTokens, Tokens};
use super::{Telemetry, access, recorded};
use crate::gemini::code::Code;
use crate::gemini::method::Method;
use crate::reason::{Blame, ErrorKind};

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

    fn span_name(self) -> &'static str {
        match self {
            Self::Known { name, .. } => name,
            Self::Unknown => names::UNKNOWN_RPC,
        }
    }

    fn is_streaming(self) -> bool {
        matches!(self, Self::Known { method, .. } if method.is_streaming())
    }
}

/// What is known of a call when its head has come.
#[derive(Debug)]
pub struct Arrived<'a> {
    pub method: CallMethod,
    pub headers: &'a HeaderMap,
    /// `:authority`.
    pub authority: Option<&'a Authority>,
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// The path of a method that there is not.
    pub original: Option<&'a str>,
    pub request_id: &'a Arc<str>,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// The request is being read.
    #[default]
    Upload,
    /// Upstream was asked.
    Awaiting,
    /// A part of the answer has come.
    Answering,
    /// The answer is there, and on its way to the caller.
    Sending,
}

impl Phase {
    pub(super) const ALL: [Self; 4] = [Self::Upload, Self::Awaiting, Self::Answering, Self::Sending];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Awaiting => "awaiting",
            Self::Answering => "answering",
            Self::Sending => "sending",
        }
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    pub code: Code,
    /// `ErrorInfo.reason`; nothing for OK.
    pub reason: Option<Cow<'static, str>>,
    /// Who has to act; nothing for OK.
    pub blame: Option<Blame>,
}

impl End {
    pub const OK: Self = Self { code: Code::Ok, reason: None, blame: None };
}

/// A call. Whoever has something to say of it has a handle; when the last is dropped it is over, and told. A call that
/// nobody has ended was given up by its caller.
#[derive(Clone)]
pub struct Rpc(pub(super) Arc<Call>);

pub(super) struct Call {
    pub(super) telemetry: Telemetry,
    pub(super) method: CallMethod,
    pub(super) request_id: Arc<str>,
    pub(super) peer: SocketAddr,
    pub(super) begun: Instant,
    /// Ours, else the caller's.
    pub(super) context: SpanContext,
    pub(super) baggage: Option<HeaderValue>,
    span: Option<Box<Span>>,
    /// Whether upstream may have taken the last request.
    may_be_taken: AtomicBool,
    known: Mutex<Known>,
}

/// What becomes known of a call.
#[derive(Debug, Default)]
pub(super) struct Known {
    end: Option<End>,
    deadline: Option<Instant>,
    pub(super) phase: Phase,
    pub(super) caller: Option<Arc<str>>,
    pub(super) previous_attempts: u32,
    /// Requests to upstream.
    pub(super) attempts: u32,
    pub(super) upstream_status: Option<u16>,
    /// Fields of the request that JSON cannot carry.
    pub(super) unknown_fields: usize,
    pub(super) asked: Option<AskedAndAnswered>,
}

/// What an operation leaves behind.
#[derive(Debug)]
pub(super) struct AskedAndAnswered {
    pub(super) model: Arc<str>,
    /// The model as metrics name it.
    pub(super) label: Arc<str>,
    pub(super) response_model: String,
    pub(super) finish_reasons: String,
    pub(super) block_reason: Option<&'static str>,
    pub(super) first_chunk: Option<Duration>,
    pub(super) chunks: u64,
    pub(super) tokens: Tokens,
    /// What upstream did not report of them.
    pub(super) estimated: EstimatedTokens,
    pub(super) images: u64,
    pub(super) outcome: Outcome,
}

impl Telemetry {
    /// A call begins.
    pub fn rpc(&self, arrived: &Arrived<'_>) -> Rpc {
        let propagation = self.0.settings.propagation;
        let theirs = propagation.extract(arrived.headers);
        let span = self.server_span(arrived, theirs.as_ref());
        let ours = span.as_ref().map(|span| span.span_context().clone()).filter(SpanContext::is_valid);
        let mut span = span.and_then(recorded);
        if let Some(span) = &mut span {
            describe(span, arrived);
        }
        if arrived.method.is_streaming() {
            self.0.streams.fetch_add(1, Ordering::Relaxed);
        }
        Rpc(Arc::new(Call {
            telemetry: self.clone(),
            method: arrived.method,
            request_id: arrived.request_id.clone(),
            peer: arrived.peer,
            begun: Instant::now(),
            context: ours.or(theirs.filter(|_| propagation.trusted)).unwrap_or(SpanContext::NONE),
            baggage: propagation.baggage(arrived.headers),
            span,
            may_be_taken: AtomicBool::new(false),
            known: Mutex::default(),
        }))
    }

    fn server_span(&self, arrived: &Arrived<'_>, theirs: Option<&SpanContext>) -> Option<Span> {
        let tracer = self.0.tracer.as_ref()?;
        let mut builder = SpanBuilder::from_name(arrived.method.span_name()).with_kind(SpanKind::Server);
        let parent = match theirs {
            Some(theirs) if self.0.settings.propagation.trusted => {
                Context::new().with_remote_span_context(theirs.clone())
            }
            theirs => {
                builder.links = theirs.map(|theirs| vec![Link::with_context(theirs.clone())]);
                Context::new()
            }
        };
        Some(tracer.build_with_context(builder, &parent))
    }
}

/// What is known from the beginning.
fn describe(span: &mut Span, arrived: &Arrived<'_>) {
    span.set_attribute(KeyValue::new(attribute::RPC_SYSTEM_NAME, "grpc"));
    span.set_attribute(KeyValue::new(attribute::RPC_METHOD, arrived.method.label()));
    if let Some(original) = arrived.original {
        span.set_attribute(KeyValue::new(attribute::RPC_METHOD_ORIGINAL, original.to_owned()));
    }
    if let Some(authority) = arrived.authority {
        span.set_attribute(KeyValue::new(attribute::SERVER_ADDRESS, authority.host().to_owned()));
        if let Some(port) = authority.port_u16() {
            span.set_attribute(KeyValue::new(attribute::SERVER_PORT, i64::from(port)));
        }
    }
    span.set_attribute(KeyValue::new(attribute::NETWORK_PEER_ADDRESS, arrived.peer.ip().to_string()));
    span.set_attribute(KeyValue::new(attribute::NETWORK_PEER_PORT, i64::from(arrived.peer.port())));
    span.set_attribute(KeyValue::new(attribute::REQUEST_ID, arrived.request_id.clone()));
}

impl Rpc {
    /// A call that nothing is told of, for tests of parts.
    #[cfg(test)]
    pub(crate) fn unheard() -> Self {
        Telemetry::default().rpc(&Arrived {
            method: CallMethod::Unknown,
            headers: &HeaderMap::new(),
            authority: None,
            peer: SocketAddr::from(([127, 0, 0, 1], 0)),
            original: None,
            request_id: &"an-id".into(),
        })
    }

    /// The id that stands in everything that is said of the call.
    pub fn request_id(&self) -> &Arc<str> {
        &self.0.request_id
    }

    /// Who calls, if callers are known, and how often it has tried before (gRFC A6).
    pub fn admitted(&self, caller: Option<&Arc<str>>, previous_attempts: u32) {
        let mut known = self.known();
        known.caller = caller.cloned();
        known.previous_attempts = previous_attempts;
    }

    /// When it has to be over. A call that is dropped after that was not given up.
    pub fn deadline(&self, at: Instant) {
        self.known().deadline = Some(at);
    }

    /// The request has fields that cannot be sent on.
    pub fn unknown_fields(&self, count: usize) {
        self.known().unknown_fields = count;
    }

    /// Whether upstream may have taken the last request that was made for the call: it may have been sent, and upstream
    /// has not said that it did not take it.
    pub fn may_be_taken(&self) -> bool {
        self.0.may_be_taken.load(Ordering::Relaxed)
    }

    pub(super) fn set_may_be_taken(&self, may_be: bool) {
        self.0.may_be_taken.store(may_be, Ordering::Relaxed);
    }

    /// How it ended. The first word counts.
    pub fn end(&self, end: End) {
        self.known().end.get_or_insert(end);
    }

    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rpc").field("request_id", &self.0.request_id).finish_non_exhaustive()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let known = self.known.get_mut().unwrap_or_else(PoisonError::into_inner);
        let known = std::mem::take(known);
        let end = known.end.clone().unwrap_or_else(|| unended(&known));
        let elapsed = self.begun.elapsed();
        if self.method.is_streaming() {
            self.telemetry.0.streams.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(metrics) = &self.telemetry.0.metrics {
            let is_fault = is_fault(end.code);
            metrics.rpc(self.method.label(), end.code, is_fault, elapsed.as_secs_f64());
            match (&known.asked, &end.reason) {
                _ if known.end.is_none() && end.code == Code::Cancelled => {
                    metrics.count(names::CALLS_CANCELLED, Some(known.phase.name()));
                }
                // Before upstream was asked every reason is one of ours. Without a file it could not be asked.
                (None, Some(reason)) => metrics.count(names::CALLS_REFUSED, Some(reason)),
                (Some(asked), Some(reason)) if asked.outcome == Outcome::Failed(ErrorKind::OutOfFiles) => {
                    metrics.count(names::CALLS_REFUSED, Some(reason));
                }
                _ => {}
            }
            if let Some(asked) = &known.asked {
                metrics.usage.add(known.caller.as_ref(), end.code, asked);
            }
        }
        // Lines that are exported are found by their trace.
        let context = self.telemetry.0.logger.as_ref().map(|_| self.context.clone());
        let _attached = context.map(|context| Context::new().with_remote_span_context(context).attach());
        access::log(self, &known, &end, elapsed);
        let Some(span) = &mut self.span else { return };
        span.set_attribute(KeyValue::new(attribute::RPC_STATUS_CODE, end.code.as_str()));
        if let Some(caller) = known.caller {
            span.set_attribute(KeyValue::new(attribute::CALLER, caller));
        }
        if let Some(reason) = &end.reason {
            span.set_attribute(KeyValue::new(attribute::REASON, reason.clone()));
        }
        if is_fault(end.code) {
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, end.code.as_str()));
            // Not the message: upstream may quote the prompt in it.
            span.set_status(Status::error(end.reason.unwrap_or_default()));
        }
        span.end();
    }
}

/// How a call ended that was dropped.
fn unended(known: &Known) -> End {
    match known.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
        true => End { code: Code::DeadlineExceeded, reason: Some("TIMED_OUT".into()), blame: Some(Blame::Caller) },
        false => End { code: Code::Cancelled, reason: None, blame: Some(Blame::Caller) },
    }
}

/// Which codes are errors of a server, in the conventions for RPC; the others are the caller's own affair.
fn is_fault(code: Code) -> bool {
    use Code::{DataLoss, DeadlineExceeded, Internal, Unavailable, Unimplemented, Unknown};
    matches!(code, Unknown | DeadlineExceeded | Unimplemented | Internal | Unavailable | DataLoss)
}
