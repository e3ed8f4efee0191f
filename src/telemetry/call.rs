//! The call as its caller sees it: the SERVER span, the duration, and the line of the access log.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use http::header::{HOST, HeaderMap, HeaderValue};
use http::uri::Authority;
use opentelemetry::trace::{
    Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Span;

use super::access;
use super::facts::{CallEnd, CallFacts, CallIdentity, CallMethod, CallPhase, CallProtocol, Outcome};
use super::metrics::Metrics;
use super::names::{self, attribute};
use super::peer::PeerAddress;
use super::recorder::{Telemetry, recorded};
use crate::gemini::code::Code;
use crate::reason::ErrorKind;

/// The most attributes that the span of a call usually has.
const SERVER_ATTRIBUTES: usize = 12;

/// What is known of a call once its head was read.
#[derive(Debug)]
pub struct CallHead<'a> {
    pub protocol: CallProtocol,
    pub method: CallMethod,
    pub headers: &'a HeaderMap,
    /// The host and port that the client called.
    pub authority: Option<&'a Authority>,
    /// The address of the client.
    pub peer: &'a PeerAddress,
    /// The path of an unknown method, or of a request over HTTP.
    pub original: Option<&'a str>,
    pub request_id: &'a Arc<str>,
}

/// A shared handle to a call's telemetry. When the last clone is dropped, the span, the metrics and the access line are
/// written. Without [`CallSpan::end`] the call was cancelled, or it met its deadline.
#[derive(Clone)]
pub struct CallSpan(Arc<CallState>);

struct CallState {
    telemetry: Telemetry,
    identity: CallIdentity,
    begun: Instant,
    /// The caller's baggage, if it is forwarded to upstream.
    baggage: Option<HeaderValue>,
    span: Option<Box<Span>>,
    /// Whether upstream may have taken the last request.
    may_be_taken: AtomicBool,
    /// The model that answered or refused, of a call that more than one may answer.
    model_used: OnceLock<Arc<str>>,
    facts: Mutex<CallFacts>,
}

impl CallSpan {
    /// Begins the telemetry of a call.
    pub fn begin(telemetry: &Telemetry, head: &CallHead<'_>) -> Self {
        let propagation = telemetry.0.settings.propagation;
        let theirs = propagation.extract(head.headers);
        let span = server_span(telemetry, head, theirs.as_ref());
        let ours = span.as_ref().map(|span| span.span_context().clone()).filter(SpanContext::is_valid);
        let mut span = span.and_then(recorded);
        if let Some(span) = &mut span {
            describe(span, head);
        }
        if head.method.is_streaming() {
            telemetry.0.streams.fetch_add(1, Ordering::Relaxed);
        }
        Self(Arc::new(CallState {
            telemetry: telemetry.clone(),
            identity: CallIdentity {
                protocol: head.protocol,
                method: head.method,
                request_id: head.request_id.clone(),
                peer: head.peer.clone(),
                context: ours.or(theirs.filter(|_| propagation.trusted)).unwrap_or(SpanContext::NONE),
            },
            begun: Instant::now(),
            baggage: propagation.baggage(head.headers),
            span,
            may_be_taken: AtomicBool::new(false),
            model_used: OnceLock::new(),
            facts: Mutex::default(),
        }))
    }

    /// A call without telemetry, for unit tests.
    #[cfg(test)]
    pub(crate) fn disabled() -> Self {
        let head = CallHead {
            protocol: CallProtocol::Grpc,
            method: CallMethod::Unknown,
            headers: &HeaderMap::new(),
            authority: None,
            peer: &std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into(),
            original: None,
            request_id: &"an-id".into(),
        };
        Self::begin(&Telemetry::default(), &head)
    }

    /// The id of the request, which is in every error and log line of the call.
    pub fn request_id(&self) -> &Arc<str> {
        &self.0.identity.request_id
    }

    /// Records who calls, if callers are known, and how often the caller has tried before.
    pub fn admitted(&self, caller: Option<&Arc<str>>, previous_attempts: u32) {
        let mut facts = self.facts();
        facts.caller = caller.cloned();
        facts.previous_attempts = previous_attempts;
    }

    /// Records when the call has to be over. A call that is dropped after that was not cancelled.
    pub fn deadline(&self, at: Instant) {
        self.facts().deadline = Some(at);
    }

    /// Records the model of a call that is refused because of it.
    pub fn refused_model(&self, model: &Arc<str>) {
        self.facts().refused_model = Some(model.clone());
    }

    /// Records the status of a response over HTTP.
    pub fn http_status(&self, status: u16) {
        self.facts().http_status = Some(status);
    }

    /// Records how many fields of the request cannot be sent to upstream.
    pub fn unknown_fields(&self, count: usize) {
        self.facts().unknown_fields = count;
    }

    /// Whether upstream may have taken the last request of the call: it may have been sent, and upstream did not say
    /// that it has not taken it.
    pub fn may_be_taken(&self) -> bool {
        self.0.may_be_taken.load(Ordering::Relaxed)
    }

    /// The model whose response or error the caller gets, once it is known; `None` for a call that only one model may
    /// answer.
    pub fn model_used(&self) -> Option<&Arc<str>> {
        self.0.model_used.get()
    }

    pub(super) fn set_model_used(&self, model: &Arc<str>) {
        self.0.model_used.get_or_init(|| model.clone());
    }

    /// Sets how the call ended. Only the first end counts.
    pub fn end(&self, end: CallEnd) {
        self.facts().end.get_or_insert(end);
    }

    pub(super) fn set_may_be_taken(&self, may_be: bool) {
        self.0.may_be_taken.store(may_be, Ordering::Relaxed);
    }

    /// Sets how far the call has come.
    pub fn set_phase(&self, phase: CallPhase) {
        self.facts().phase = phase;
    }

    pub(super) fn telemetry(&self) -> &Telemetry {
        &self.0.telemetry
    }

    pub(super) fn context(&self) -> &SpanContext {
        &self.0.identity.context
    }

    pub(super) fn baggage(&self) -> Option<&HeaderValue> {
        self.0.baggage.as_ref()
    }

    pub(super) fn facts(&self) -> MutexGuard<'_, CallFacts> {
        self.0.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn server_span(telemetry: &Telemetry, head: &CallHead<'_>, theirs: Option<&SpanContext>) -> Option<Span> {
    let tracer = telemetry.0.tracer.as_ref()?;
    let name = match head.method {
        CallMethod::Known { name, .. } => name,
        CallMethod::Unknown => match head.protocol {
            CallProtocol::Grpc => CallProtocol::RPC_SYSTEM,
            CallProtocol::Http(request) => request.span_name(),
        },
    };
    let mut builder = SpanBuilder::from_name(name).with_kind(SpanKind::Server);
    builder.attributes = Some(Vec::with_capacity(SERVER_ATTRIBUTES));
    let parent = match theirs {
        Some(theirs) if telemetry.0.settings.propagation.trusted => {
            Context::new().with_remote_span_context(theirs.clone())
        }
        theirs => {
            builder.links = theirs.map(|theirs| vec![Link::with_context(theirs.clone())]);
            Context::new()
        }
    };
    Some(tracer.build_with_context(builder, &parent))
}

/// Sets the attributes that are known from the head.
fn describe(span: &mut Span, head: &CallHead<'_>) {
    let original = match head.protocol {
        CallProtocol::Grpc => {
            span.set_attribute(KeyValue::new(attribute::RPC_SYSTEM_NAME, CallProtocol::RPC_SYSTEM));
            span.set_attribute(KeyValue::new(attribute::RPC_METHOD, head.method.label()));
            attribute::RPC_METHOD_ORIGINAL
        }
        CallProtocol::Http(request) => {
            request.labels().for_each(|label| span.set_attribute(label));
            attribute::URL_PATH
        }
    };
    if let Some(path) = head.original {
        span.set_attribute(KeyValue::new(original, path.to_owned()));
    }
    // HTTP/1 has it in a header.
    let host = || head.headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    if let Some(authority) = head.authority.cloned().or_else(host) {
        let (host, port) = host_and_port(&authority);
        span.set_attribute(KeyValue::new(attribute::SERVER_ADDRESS, host.to_owned()));
        if let Some(port) = port {
            span.set_attribute(KeyValue::new(attribute::SERVER_PORT, i64::from(port)));
        }
    }
    span.set_attribute(KeyValue::new(attribute::NETWORK_PEER_ADDRESS, head.peer.ip.clone()));
    span.set_attribute(KeyValue::new(attribute::NETWORK_PEER_PORT, i64::from(head.peer.port)));
    span.set_attribute(KeyValue::new(attribute::REQUEST_ID, head.request_id.clone()));
}

/// The methods of `Authority` search it several times, for what few of them have: a user, or an address in brackets.
fn host_and_port(authority: &Authority) -> (&str, Option<u16>) {
    let text = authority.as_str();
    if text.bytes().any(|byte| byte == b'@' || byte == b'[') {
        return (authority.host(), authority.port_u16());
    }
    text.split_once(':').map_or((text, None), |(host, port)| (host, port.parse().ok()))
}

impl fmt::Debug for CallSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallSpan").field("request_id", self.request_id()).finish_non_exhaustive()
    }
}

impl Drop for CallState {
    fn drop(&mut self) {
        let facts = std::mem::take(self.facts.get_mut().unwrap_or_else(PoisonError::into_inner));
        let (end, elapsed) = (facts.end(), self.begun.elapsed());
        if self.identity.method.is_streaming() {
            self.telemetry.0.streams.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(metrics) = &self.telemetry.0.metrics {
            metrics.call(&self.identity, &end, facts.http_status, elapsed.as_secs_f64());
            count(metrics, &facts, &end);
            if let Some(operation) = facts.operation.as_ref().filter(|_| facts.has_fallen_back) {
                let used = operation.model_used.as_deref().unwrap_or(names::NONE);
                metrics.count_labels(names::FALLBACKS, &[&operation.model, used]);
            }
        }
        // A log line that is exported has the ids of the context in which it is written.
        let context = self.telemetry.0.logger.as_ref().map(|_| self.identity.context.clone());
        let _attached = context.map(|context| Context::new().with_remote_span_context(context).attach());
        access::log(&self.identity, &facts, &end, elapsed);
        let Some(span) = &mut self.span else { return };
        let error = match self.identity.protocol {
            CallProtocol::Grpc => {
                span.set_attribute(KeyValue::new(attribute::RPC_STATUS_CODE, end.code.as_str()));
                end.is_server_error().then(|| end.code.as_str().into())
            }
            CallProtocol::Http(_) => {
                if let Some(status) = facts.http_status {
                    span.set_attribute(KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status)));
                }
                end.http_error(facts.http_status)
            }
        };
        if let Some(caller) = facts.caller {
            span.set_attribute(KeyValue::new(attribute::CALLER, caller));
        }
        if let Some(key) = facts.key {
            span.set_attribute(KeyValue::new(attribute::KEY, key));
        }
        if let Some(reason) = &end.reason {
            span.set_attribute(KeyValue::new(attribute::REASON, reason.clone()));
        }
        if let Some(error) = error {
            span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error));
            // Not the message, because upstream may quote the prompt in it.
            span.set_status(Status::error(end.reason.unwrap_or_default()));
        }
        span.end();
    }
}

/// Counts a call that was cancelled or refused, and what it used.
fn count(metrics: &Metrics, facts: &CallFacts, end: &CallEnd) {
    let is_cancelled = facts.end.is_none() && end.code == Code::Cancelled;
    let is_refused = match &facts.operation {
        // Before upstream is asked, every reason is one of the gateway's. It is asked about models without an
        // operation.
        None => facts.attempts == 0,
        // Without a file for the connection, or a key that does not rest, upstream could not be asked.
        Some(operation) => match operation.outcome {
            Outcome::Failed(ErrorKind::OutOfFiles) => true,
            Outcome::Failed(ErrorKind::KeysResting) => facts.attempts == 0,
            _ => false,
        },
    };
    match &end.reason {
        _ if is_cancelled => metrics.count(names::CALLS_CANCELLED, Some(facts.phase.as_str())),
        Some(reason) if is_refused => metrics.count(names::CALLS_REFUSED, Some(reason)),
        _ => {}
    }
    if let Some(operation) = &facts.operation {
        metrics.usage.add(facts.caller.as_ref(), end.code, operation);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_those_of_the_parser() {
        for text in ["host", "host:443", "127.0.0.1:1", "[::1]:443", "[::1]", "me@host:1", "me:1@host:2", "me:1@host"] {
            let authority: Authority = text.parse().unwrap();
            assert_eq!(host_and_port(&authority), (authority.host(), authority.port_u16()), "{text}");
        }
    }
}
