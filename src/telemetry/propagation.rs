//! Trace context, in from a caller's headers and out to upstream (W3C Trace Context).

use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// W3C Baggage, 3.3.2: so much has to be passed on.
const MAX_BAGGAGE: usize = 8192;

/// What is taken from callers, and what goes on to upstream.
#[derive(Clone, Copy, Debug)]
pub struct Propagation {
    /// Whether `traceparent` and `tracestate` are read and written.
    pub trace_context: bool,
    /// Whether a caller's span becomes the parent of ours, and its sampling ours; else it is linked to.
    pub trusted: bool,
    /// Whether a caller's `baggage` goes to upstream, which is somebody else's.
    pub baggage: bool,
}

impl Default for Propagation {
    fn default() -> Self {
        Self { trace_context: true, trusted: true, baggage: false }
    }
}

impl Propagation {
    /// The caller's span, if it names a valid one; anything else is no error.
    pub(super) fn extract(self, headers: &HeaderMap) -> Option<SpanContext> {
        if !self.trace_context || !headers.contains_key(&TRACEPARENT) {
            return None;
        }
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
        Some(context.span().span_context().clone()).filter(SpanContext::is_valid)
    }

    /// The caller's baggage, if it goes on.
    pub(super) fn baggage(self, headers: &HeaderMap) -> Option<HeaderValue> {
        let baggage = if self.baggage { headers.get(&BAGGAGE) } else { None };
        baggage.filter(|value| value.len() <= MAX_BAGGAGE).cloned()
    }

    /// Tells upstream which span its own belong under.
    pub(super) fn inject(self, span: &SpanContext, baggage: Option<&HeaderValue>, headers: &mut HeaderMap) {
        if self.trace_context && span.is_valid() {
            let flags = u8::from(span.is_sampled());
            let value = format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id());
            headers.extend(HeaderValue::try_from(value).ok().map(|value| (TRACEPARENT, value)));
            let state = span.trace_state().header();
            if !state.is_empty() {
                headers.extend(HeaderValue::try_from(state).ok().map(|value| (TRACESTATE, value)));
            }
        }
        headers.extend(baggage.map(|value| (BAGGAGE, value.clone())));
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
