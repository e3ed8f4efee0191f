//! One request to upstream: the HTTP CLIENT span and its duration, to the last byte of the answer.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use http::header::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanContext, Status};
use opentelemetry_sdk::trace::Span;

use super::call::CallSpan;
use super::context::UpstreamContext;
use super::facts::Outcome;
use super::names::attribute;
use super::propagation::hex;
use crate::reason::ErrorKind;

/// A request to upstream. Dropped before `end`, it was given up.
pub struct Attempt {
    call: CallSpan,
    span: Option<Box<Span>>,
    context: SpanContext,
    /// The HTTP method.
    method: &'static str,
    begun: Instant,
    status: Option<u16>,
    outcome: Option<Outcome>,
}

impl Attempt {
    /// Begins when a request with this HTTP method is about to be sent to a URL, which must contain no key. `resend` is
    /// how many requests of the call came before.
    pub fn begin(context: &UpstreamContext, method: &'static str, resend: u32, url: &impl fmt::Display) -> Self {
        let UpstreamContext { call, span: parent } = context;
        let mut span = call.telemetry().child(|| method, parent, 11);
        if let Some(span) = &mut span {
            span.set_attribute(KeyValue::new(attribute::HTTP_REQUEST_METHOD, method));
            span.set_attribute(KeyValue::new(attribute::URL_FULL, url.to_string()));
            if resend > 0 {
                span.set_attribute(KeyValue::new(attribute::HTTP_REQUEST_RESEND_COUNT, i64::from(resend)));
            }
        }
        call.facts().attempts += 1;
        let context = span.as_ref().map_or_else(|| parent.clone(), |span| span.span_context().clone());
        Self { call: call.clone(), span, context, method, begun: Instant::now(), status: None, outcome: None }
    }

    /// Records the name of the key of a pool that the request is sent with.
    pub fn key(&mut self, name: &Arc<str>) {
        self.call.facts().key = Some(name.clone());
        if let Some(span) = &mut self.span {
            span.set_attribute(KeyValue::new(attribute::KEY, name.clone()));
        }
    }

    /// Adds the headers of its trace. If they begin a new trace, the span gets its id, so that both can be matched.
    pub fn inject(&mut self, headers: &mut HeaderMap) {
        let propagation = self.call.telemetry().0.settings.propagation;
        let begun = propagation.inject(&self.context, self.call.baggage(), headers);
        if let (Some(trace_id), Some(span)) = (begun, &mut self.span) {
            span.set_attribute(KeyValue::new(attribute::UPSTREAM_TRACE_ID, hex(trace_id)));
        }
    }

    /// Records the head of the response.
    pub fn answered(&mut self, status: u16, version: http::Version) {
        self.status = Some(status);
        self.call.set_may_be_taken(true);
        self.call.facts().upstream_status = Some(status);
        if let Some(span) = &mut self.span {
            span.set_attribute(KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status)));
            let version = if version == http::Version::HTTP_2 { "2" } else { "1.1" };
            span.set_attribute(KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, version));
        }
    }

    /// Sets how it ended. Only the first outcome counts; without one it was given up.
    pub fn end(&mut self, outcome: Outcome) {
        self.outcome.get_or_insert(outcome);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let outcome = self.outcome.unwrap_or(Outcome::GivenUp);
        // Without a file for the connection no request was made.
        let was_made = outcome != Outcome::Failed(ErrorKind::OutOfFiles);
        if let Some(metrics) = self.call.telemetry().0.metrics.as_ref().filter(|_| was_made) {
            metrics.http(self.method, self.status, outcome.error(), self.begun.elapsed().as_secs_f64());
        }
        if let Some(span) = &mut self.span {
            end_span(span, outcome);
        }
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Ends the span of an attempt or an operation.
pub(super) fn end_span(span: &mut Span, outcome: Outcome) {
    if let Some(error) = outcome.error() {
        span.set_attribute(KeyValue::new(attribute::ERROR_TYPE, error.as_str()));
        span.set_status(Status::error(""));
    }
    span.end();
}
