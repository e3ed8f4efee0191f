//! Encodes spans as OTLP's `ExportTraceServiceRequest` (opentelemetry/proto/trace/v1/trace.proto).
//!
//! Each span is read once, where it ends, and written once. The SDK takes it to another thread, copies it into generated
//! structs, and then computes the length of each message again for every message around it.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceState};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;

use crate::gemini::wire::{WireType, begin_message, end_message, put_bytes, put_number, put_tag};

/// About the bytes of a span, so that memory rarely has to grow while it is written.
const SPAN_BYTES: usize = 1024;
/// Bits of `SpanFlags`: that it is known whether the parent is remote, and that it is.
const KNOWS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// The fields of `ResourceSpans` that are about the resource.
pub(in crate::telemetry) fn resource(resource: &Resource) -> Vec<u8> {
    let mut encoder = Encoder(Vec::new());
    encoder.message(1, |message| {
        resource.iter().for_each(|(key, value)| message.attribute(1, key.as_str(), value));
    });
    encoder.bytes(3, resource.schema_url().unwrap_or_default().as_bytes());
    encoder.0
}

/// The field `ScopeSpans.spans` with one span.
pub(in crate::telemetry) fn span(span: &SpanData) -> Vec<u8> {
    let mut encoder = Encoder(Vec::with_capacity(SPAN_BYTES));
    let start = begin_message::<2>(&mut encoder.0, 2);
    encoder.span(span);
    end_message::<2>(&mut encoder.0, start);
    encoder.0
}

/// A request that grows by a span at a time.
pub(in crate::telemetry) struct Batch {
    encoder: Encoder,
    /// Where its `ResourceSpans` and its `ScopeSpans` start.
    starts: [usize; 2],
    pub(in crate::telemetry) scope: InstrumentationScope,
    /// How many it has.
    pub(in crate::telemetry) spans: usize,
}

impl Batch {
    /// For spans of one scope, and of what [`resource`] returned. It will have about this number of bytes.
    pub(in crate::telemetry) fn new(resource: &[u8], scope: &InstrumentationScope, bytes: usize) -> Self {
        let mut encoder = Encoder(Vec::with_capacity(bytes));
        let start = begin_message::<3>(&mut encoder.0, 1);
        encoder.0.extend_from_slice(resource);
        let starts = [start, begin_message::<3>(&mut encoder.0, 2)];
        encoder.scope(scope);
        Self { encoder, starts, scope: scope.clone(), spans: 0 }
    }

    /// Adds what [`span`] returned.
    pub(in crate::telemetry) fn push(&mut self, span: &[u8]) {
        self.encoder.0.extend_from_slice(span);
        self.spans += 1;
    }

    /// The request.
    pub(in crate::telemetry) fn finish(mut self) -> Vec<u8> {
        self.starts.into_iter().rev().for_each(|start| end_message::<3>(&mut self.encoder.0, start));
        self.encoder.0
    }
}

/// Writes the fields of messages. Numbers are those of the proto.
struct Encoder(Vec<u8>);

impl Encoder {
    fn scope(&mut self, scope: &InstrumentationScope) {
        self.message(1, |message| {
            message.bytes(1, scope.name().as_bytes());
            message.bytes(2, scope.version().unwrap_or_default().as_bytes());
            message.attributes(3, scope.attributes());
        });
        self.bytes(3, scope.schema_url().unwrap_or_default().as_bytes());
    }

    fn span(&mut self, span: &SpanData) {
        self.context(&span.span_context);
        if span.parent_span_id != SpanId::INVALID {
            self.bytes(4, &span.parent_span_id.to_bytes());
        }
        self.bytes(5, span.name.as_bytes());
        self.varint(6, kind(&span.span_kind));
        self.time(7, span.start_time);
        self.time(8, span.end_time);
        self.attributes(9, &span.attributes);
        self.varint(10, span.dropped_attributes_count.into());
        for event in span.events.iter() {
            self.message(11, |message| {
                message.time(1, event.timestamp);
                message.bytes(2, event.name.as_bytes());
                message.attributes(3, &event.attributes);
                message.varint(4, event.dropped_attributes_count.into());
            });
        }
        self.varint(12, span.events.dropped_count.into());
        for link in span.links.iter() {
            self.message(13, |message| {
                message.context(&link.span_context);
                message.attributes(4, &link.attributes);
                message.varint(5, link.dropped_attributes_count.into());
                message.flags(6, &link.span_context, link.span_context.is_remote());
            });
        }
        self.varint(14, span.links.dropped_count.into());
        self.message(15, |message| match &span.status {
            Status::Unset => {}
            Status::Ok => message.varint(3, 1),
            Status::Error { description } => {
                message.bytes(2, description.as_bytes());
                message.varint(3, 2);
            }
        });
        self.flags(16, &span.span_context, span.parent_span_is_remote);
    }

    /// The fields in which spans and links begin.
    fn context(&mut self, context: &SpanContext) {
        self.bytes(1, &context.trace_id().to_bytes());
        self.bytes(2, &context.span_id().to_bytes());
        // The SDK allocates for an empty one too, which nearly all are.
        let state = Some(context.trace_state()).filter(|state| **state != TraceState::NONE);
        self.bytes(3, state.map(TraceState::header).unwrap_or_default().as_bytes());
    }

    fn attributes<'a>(&mut self, number: u32, attributes: impl IntoIterator<Item = &'a KeyValue>) {
        attributes.into_iter().for_each(|pair| self.attribute(number, pair.key.as_str(), &pair.value));
    }

    fn attribute(&mut self, number: u32, key: &str, value: &Value) {
        self.message(number, |message| {
            message.bytes(1, key.as_bytes());
            message.message(2, |any| any.value(value));
        });
    }

    /// The field of an `AnyValue`.
    fn value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.bytes(1, text.as_str().as_bytes()),
            Value::Bool(value) => self.varint(2, (*value).into()),
            Value::I64(value) => self.varint(3, value.cast_unsigned()),
            Value::F64(value) => self.fixed64(4, value.to_bits()),
            Value::Array(array) => self.message(5, |message| match array {
                Array::Bool(values) => message.elements(values.iter().copied()),
                Array::I64(values) => message.elements(values.iter().copied()),
                Array::F64(values) => message.elements(values.iter().copied()),
                Array::String(values) => message.elements(values.iter().cloned()),
                // The enums may get more variants.
                _ => {}
            }),
            _ => {}
        }
    }

    fn elements(&mut self, values: impl Iterator<Item = impl Into<Value>>) {
        values.for_each(|value| self.message(1, |any| any.value(&value.into())));
    }

    fn message(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        let start = begin_message::<1>(&mut self.0, number);
        write(self);
        end_message::<1>(&mut self.0, start);
    }

    #[inline]
    fn bytes(&mut self, number: u32, bytes: &[u8]) {
        put_bytes(&mut self.0, number, bytes);
    }

    fn varint(&mut self, number: u32, value: u64) {
        put_number(&mut self.0, number, value);
    }

    fn fixed64(&mut self, number: u32, value: u64) {
        put_tag(&mut self.0, number, WireType::Fixed64);
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    /// Nanoseconds since 1970.
    fn time(&mut self, number: u32, time: SystemTime) {
        self.fixed64(number, time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64);
    }

    fn flags(&mut self, number: u32, context: &SpanContext, is_remote: bool) {
        let flags = u32::from(context.trace_flags().to_u8()) | KNOWS_REMOTE | if is_remote { IS_REMOTE } else { 0 };
        put_tag(&mut self.0, number, WireType::Fixed32);
        self.0.extend_from_slice(&flags.to_le_bytes());
    }
}

fn kind(kind: &SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

#[cfg(test)]
mod tests;
