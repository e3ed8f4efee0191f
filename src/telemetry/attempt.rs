//! One request to upstream: the HTTP CLIENT span and its duration, to the last byte of the answer.

use std::borrow::Cow;
use std::fmt;
use std::time::Instant;

use http::header::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanContext};
use opentelemetry_sdk::trace::Span;

use super::ending::{self, Ending};
use super::names::{self, attribute};
use super::operation::Parent;
use super::rpc::Rpc;

/// A request on its way. Dropped without a word of its end it was given up.
pub struct Attempt {
    rpc: Rpc,
    span: Option<Box<Span>>,
    context: SpanContext,
    begun: Instant,
    status: Option<u16>,
    ending: Ending,
}

impl Attempt {
    /// A request is about to go out to a URL, which holds no key. `resend` counts the ones before it.
    pub fn begin(parent: &Parent, resend: u32, url: &impl fmt::Display) -> Self {
        let telemetry = &parent.rpc.0.telemetry;
        let mut span = telemetry.child(|| names::HTTP_REQUEST, &parent.context, 10);
        if let Some(span) = &mut span {
            span.set_attribute(KeyValue::new(attribute::HTTP_REQUEST_METHOD, names::HTTP_REQUEST));
            span.set_attribute(KeyValue::new(attribute::URL_FULL, url.to_string()));
            if resend > 0 {
                span.set_attribute(KeyValue::new(attribute::HTTP_REQUEST_RESEND_COUNT, i64::from(resend)));
            }
        }
        parent.rpc.known().attempts += 1;
        let context = span.as_ref().map_or_else(|| parent.context.clone(), |span| span.span_context().clone());
        Self { rpc: parent.rpc.clone(), span, context, begun: Instant::now(), status: None, ending: Ending::default() }
    }

    /// Adds the headers of its trace. A trace that begins here is recorded in the span, so that both can be matched.
    pub fn inject(&mut self, headers: &mut HeaderMap) {
        let call = &self.rpc.0;
        let propagation = call.telemetry.0.settings.propagation;
        let begun = propagation.inject(&self.context, call.baggage.as_ref(), headers);
        if let (Some(trace_id), Some(span)) = (begun, &mut self.span) {
            span.set_attribute(KeyValue::new(attribute::UPSTREAM_TRACE_ID, trace_id.to_string()));
        }
    }

    /// The head of the answer has come.
    pub fn answered(&mut self, status: u16, version: http::Version) {
        self.status = Some(status);
        self.rpc.set_may_be_taken(true);
        self.rpc.known().upstream_status = Some(status);
        if let Some(span) = &mut self.span {
            span.set_attribute(KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status)));
            let version = if version == http::Version::HTTP_2 { "2" } else { "1.1" };
            span.set_attribute(KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, version));
        }
    }

    /// It is over: well, or with an `error.type`. The first word counts.
    pub fn end(&mut self, error: Option<Cow<'static, str>>) {
        self.ending.set(error);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let error = self.ending.take();
        // Without a file there was no request, and upstream is not at fault.
        let was_made = error.as_deref() != Some(names::OUT_OF_FILES);
        if let Some(metrics) = self.rpc.0.telemetry.0.metrics.as_ref().filter(|_| was_made) {
            metrics.http(self.status, error.as_deref(), self.begun.elapsed().as_secs_f64());
        }
        if let Some(span) = &mut self.span {
            ending::end(span, error);
        }
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("status", &self.status).finish_non_exhaustive()
    }
}
