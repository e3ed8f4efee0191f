//! Requests against those that the SDK makes of the same spans.

#![allow(clippy::unwrap_used)]

use std::str::FromStr as _;
use std::time::Duration;

use opentelemetry::trace::{Event, Link, TraceFlags, TraceId, TraceState};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use prost::Message as _;

use super::*;

/// A span in which everything is the default or empty.
fn empty() -> SpanData {
    SpanData {
        span_context: SpanContext::NONE,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: "".into(),
        start_time: UNIX_EPOCH,
        end_time: UNIX_EPOCH,
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: Default::default(),
        links: Default::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::default(),
    }
}

fn context(flags: u8, is_remote: bool, state: &str) -> SpanContext {
    let (trace, span) = (TraceId::from(u128::MAX - 7), SpanId::from(0x0102_0304_0506_0708));
    SpanContext::new(trace, span, TraceFlags::new(flags), is_remote, TraceState::from_str(state).unwrap())
}

/// Attributes of every type.
fn attributes() -> Vec<KeyValue> {
    let strings = vec!["".into(), "a".to_owned().into(), "ö".repeat(200).into()];
    let values: [Value; 19] = [
        "".into(),
        "a text".into(),
        "owned".to_owned().into(),
        std::sync::Arc::<str>::from("shared").into(),
        false.into(),
        true.into(),
        0.into(),
        300.into(),
        (-1).into(),
        i64::MAX.into(),
        i64::MIN.into(),
        0.0.into(),
        (-0.5).into(),
        f64::INFINITY.into(),
        Value::Array(Array::Bool(vec![true, false])),
        Value::Array(Array::I64(vec![0, -7, 1 << 40])),
        Value::Array(Array::F64(vec![0.0, 1.5])),
        Value::Array(Array::String(strings)),
        Value::Array(Array::String(Vec::new())),
    ];
    values.into_iter().enumerate().map(|(number, value)| KeyValue::new(format!("key.{number}"), value)).collect()
}

/// A span in which everything has a value.
fn full() -> SpanData {
    let time = |seconds, nanoseconds| UNIX_EPOCH + Duration::new(seconds, nanoseconds);
    let mut span = SpanData {
        span_context: context(1, true, "vendor=value,other=1"),
        parent_span_id: SpanId::from(9),
        parent_span_is_remote: true,
        span_kind: SpanKind::Server,
        name: "a name".to_owned().into(),
        start_time: time(1_764_500_000, 123_456_789),
        end_time: time(1_764_500_001, 0),
        attributes: attributes(),
        dropped_attributes_count: 300,
        status: Status::error("failed"),
        instrumentation_scope: InstrumentationScope::builder("a scope")
            .with_version("1.2.3")
            .with_schema_url("https://example.com/scope")
            .with_attributes(attributes())
            .build(),
        ..empty()
    };
    span.events.events =
        vec![Event::new("", UNIX_EPOCH, Vec::new(), 0), Event::new("an event", time(1, 2), attributes(), 3)];
    span.events.dropped_count = 4;
    span.links.links =
        vec![Link::new(SpanContext::NONE, Vec::new(), 0), Link::new(context(0, true, "a=b"), attributes(), 5)];
    span.links.dropped_count = u32::MAX;
    span
}

fn a_resource() -> Resource {
    Resource::builder_empty().with_schema_url(attributes(), "https://example.com/resource").build()
}

fn request(spans: &[SpanData], of: &Resource) -> Vec<u8> {
    let mut batch = Batch::new(&resource(of), &spans[0].instrumentation_scope, 0);
    spans.iter().for_each(|one| batch.push(&span(one)));
    batch.finish()
}

fn assert_as_the_sdk(spans: Vec<SpanData>, resource_of_spans: &Resource) {
    let request = request(&spans, resource_of_spans);
    let decoded = ExportTraceServiceRequest::decode(&*request).unwrap();
    let resource_spans = group_spans_by_resource_and_scope(spans, &resource_of_spans.into());
    let expected = ExportTraceServiceRequest { resource_spans };
    assert_eq!(decoded, expected);
}

#[test]
fn spans_of_every_shape_are_encoded_as_the_sdk_encodes_them() {
    let with = |change: &dyn Fn(&mut SpanData)| {
        let mut span = full();
        change(&mut span);
        span
    };
    let kinds = [SpanKind::Internal, SpanKind::Client, SpanKind::Producer, SpanKind::Consumer];
    let mut spans: Vec<_> = kinds.iter().map(|kind| with(&|span| span.span_kind = kind.clone())).collect();
    spans.extend([
        full(),
        with(&|span| span.status = Status::Ok),
        with(&|span| span.status = Status::error("")),
        with(&|span| span.parent_span_is_remote = false),
        with(&|span| span.span_context = context(0, false, "")),
        // Before 1970.
        with(&|span| span.start_time = UNIX_EPOCH - Duration::from_secs(1)),
    ]);
    for span in &spans {
        assert_as_the_sdk(vec![span.clone()], &a_resource());
    }
    assert_as_the_sdk(spans, &a_resource());
    assert_as_the_sdk(vec![empty()], &Resource::builder_empty().build());
}

#[test]
fn lengths_of_any_number_of_bytes_are_right() {
    for length in (0..300).chain(16_000..16_400).step_by(7).chain([1 << 21, 1 << 22]) {
        let mut span = empty();
        span.attributes = vec![KeyValue::new("key", "x".repeat(length))];
        assert_as_the_sdk(vec![span], &Resource::builder_empty().build());
    }
}
