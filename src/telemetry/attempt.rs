//! One request to upstream: the HTTP CLIENT span and its duration, to the last byte of the answer.

use std::fmt;
use std::time::Instant;

use http::header::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanContext};
use opentelemetry_sdk::trace::Span;

use super::names::{self, attribute};
use super::operation::Parent;
use super::outcome::{self, Outcome};
use super::rpc::Rpc;
use crate::reason::ErrorKind;

/// A request to upstream. Dropped before `end`, it was given up.
pub struct Attempt {
    rpc: Rpc,
    span: Option<Box<Span>>,
    context: SpanContext,
    begun: Instant,
    status: Option<u16>,
    outcome: Option<Outcome>,
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
        Self { rpc: parent.rpc.clone(), span, context, begun: Instant::now(), status: None, outcome: None }
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
        if let Some(metrics) = self.rpc.0.telemetry.0.metrics.as_ref().filter(|_| was_made) {
            metrics.http(self.status, outcome.error(), self.begun.elapsed().as_secs_f64());
        }
        if let Some(span) = &mut self.span {
            outcome::end(span, outcome);
        }
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt").field("status", &self.status).finish_non_exhaustive()
    }
}
