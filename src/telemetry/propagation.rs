//! Trace context, in from a caller's headers and out to upstream (W3C Trace Context).

use http::header::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceId};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// The longest `baggage` that is forwarded, in bytes: as much as W3C Baggage, 3.3.2, asks for.
const MAX_BAGGAGE: usize = 8192;

/// What is read from callers, and what is forwarded to upstream.
#[derive(Clone, Copy, Debug)]
pub struct Propagation {
    /// Whether `traceparent` and `tracestate` are read and written.
    pub trace_context: bool,
    /// Whether upstream gets our trace, with the caller's `tracestate`. Otherwise each request to upstream begins a
    /// trace of its own, so that upstream can neither link the calls of a caller nor read what the caller put there.
    pub forward_trace: bool,
    /// Whether a caller's span becomes the parent of ours, and its sampling ours; otherwise it is linked to.
    pub trusted: bool,
    /// Whether a caller's `baggage` is forwarded to upstream, which belongs to another company.
    pub baggage: bool,
}

impl Default for Propagation {
    fn default() -> Self {
        Self { trace_context: true, forward_trace: false, trusted: true, baggage: false }
    }
}

impl Propagation {
    /// The caller's span, if it names a valid one; anything else is no error.
    pub(super) fn extract(self, headers: &HeaderMap) -> Option<SpanContext> {
        if !self.trace_context || !headers.contains_key(&TRACEPARENT) {
            return None;
        }
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(headers));
        Some(context.span().span_context().clone()).filter(SpanContext::is_valid)
    }

    /// The caller's baggage, if it goes on.
    pub(super) fn baggage(self, headers: &HeaderMap) -> Option<HeaderValue> {
        let baggage = if self.baggage { headers.get(&BAGGAGE) } else { None };
        baggage.filter(|value| value.len() <= MAX_BAGGAGE).cloned()
    }

    /// Writes the headers for a request to upstream, of which `span` is the span. Returns the id of the trace that they
    /// begin, if they do not continue that of the span.
    pub(super) fn inject(
        self,
        span: &SpanContext,
        baggage: Option<&HeaderValue>,
        headers: &mut HeaderMap,
    ) -> Option<TraceId> {
        headers.extend(baggage.map(|value| (BAGGAGE, value.clone())));
        if !self.trace_context || !span.is_valid() {
            return None;
        }
        if !self.forward_trace {
            // The span's own id stays out too: without a span of ours it is the caller's.
            let ids = RandomIdGenerator::default();
            let trace_id = ids.new_trace_id();
            insert_traceparent(headers, trace_id, ids.new_span_id(), span.is_sampled());
            return Some(trace_id);
        }
        insert_traceparent(headers, span.trace_id(), span.span_id(), span.is_sampled());
        let state = span.trace_state().header();
        if !state.is_empty() {
            headers.extend(HeaderValue::try_from(state).ok().map(|value| (TRACESTATE, value)));
        }
        None
    }
}

/// Not by `TraceContextPropagator`, which would add an empty `tracestate` to each request, and allocate a context for
/// it.
fn insert_traceparent(headers: &mut HeaderMap, trace_id: TraceId, span_id: SpanId, sampled: bool) {
    let mut value = *b"00-00000000000000000000000000000000-0000000000000000-00";
    // These are as long as their places, so neither fails.
    let _ = base16ct::lower::encode(&trace_id.to_bytes(), &mut value[3..35]);
    let _ = base16ct::lower::encode(&span_id.to_bytes(), &mut value[36..52]);
    value[54] += u8::from(sampled);
    headers.extend(HeaderValue::from_bytes(&value).ok().map(|value| (TRACEPARENT, value)));
}

/// The id as text. The formatter of std takes 700 instructions.
pub(super) fn hex(id: TraceId) -> String {
    base16ct::lower::encode_string(&id.to_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN_ID: &str = "b7ad6b7169203331";

    /// The headers for upstream of a call with this sampling, and the id of the trace that they begin.
    fn to_upstream(propagation: Propagation, sampled: &str) -> (HeaderMap, Option<TraceId>) {
        let traceparent = format!("00-{TRACE_ID}-{SPAN_ID}-{sampled}");
        let mut headers = HeaderMap::new();
        headers.insert(TRACEPARENT, traceparent.parse().unwrap());
        headers.insert(TRACESTATE, HeaderValue::from_static("vendor=secret"));
        headers.insert(BAGGAGE, HeaderValue::from_static("who=me"));
        let mut sent = HeaderMap::new();
        let context = propagation.extract(&headers).unwrap();
        let begun = propagation.inject(&context, propagation.baggage(&headers).as_ref(), &mut sent);
        (sent, begun)
    }

    fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
        headers.get(name).map(|value| value.to_str().unwrap())
    }

    #[test]
    fn upstream_gets_a_new_trace_and_nothing_that_the_caller_sent() {
        for sampled in ["00", "01"] {
            let (headers, begun) = to_upstream(Propagation::default(), sampled);
            let traceparent = text(&headers, TRACEPARENT).unwrap();
            assert!(traceparent.starts_with(&format!("00-{}-", begun.unwrap())), "{traceparent}");
            assert!(traceparent.ends_with(&format!("-{sampled}")), "{traceparent}");
            assert!(!traceparent.contains(TRACE_ID) && !traceparent.contains(SPAN_ID), "{traceparent}");
            assert_eq!(headers.len(), 1, "{headers:?}");
        }
        let traces = [(); 2].map(|()| to_upstream(Propagation::default(), "01").1.unwrap());
        assert_ne!(traces[0], traces[1]);
    }

    #[test]
    fn upstream_gets_the_trace_of_the_call_if_that_is_configured() {
        let propagation = Propagation { forward_trace: true, baggage: true, ..Propagation::default() };
        let (headers, begun) = to_upstream(propagation, "01");
        assert_eq!(begun, None);
        assert_eq!(text(&headers, TRACEPARENT), Some(&*format!("00-{TRACE_ID}-{SPAN_ID}-01")));
        assert_eq!(text(&headers, TRACESTATE), Some("vendor=secret"));
        assert_eq!(text(&headers, BAGGAGE), Some("who=me"));
    }

    #[test]
    fn without_a_trace_upstream_gets_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(Propagation::default().inject(&SpanContext::NONE, None, &mut headers), None);
        let off = Propagation { trace_context: false, ..Propagation::default() };
        let context = SpanContext::new(
            TraceId::from(1),
            SpanId::from(1),
            opentelemetry::TraceFlags::SAMPLED,
            true,
            opentelemetry::trace::TraceState::NONE,
        );
        assert_eq!(off.inject(&context, None, &mut headers), None);
        assert!(headers.is_empty(), "{headers:?}");
    }
}
