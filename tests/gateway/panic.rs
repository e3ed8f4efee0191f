//! A panic in one call. Here a span processor panics at the span of that call, since no real bug is known.

use std::time::Duration;

use gemini_grpc::pb::gemini::GenerateContentRequest;
use gemini_grpc::pb::rpc;
use gemini_grpc::telemetry::{Settings, Telemetry};
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use prost::Message as _;
use tonic::Code;

use crate::support::{Details, Gateway, STOP, Upstream, assert_status, body, json, prompt};

/// Only the calls that should panic have this model.
pub const DOOMED: &str = "a-model-that-panics";

/// Panics when the span of a request to this model starts.
#[derive(Debug)]
struct Panicking;

impl SpanProcessor for Panicking {
    fn on_start(&self, span: &mut Span, _: &Context) {
        let name = span.exported_data().unwrap().name;
        assert!(!name.ends_with(DOOMED), "the prompt was: a secret");
    }

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn set_resource(&mut self, _: &Resource) {}
}

/// Telemetry that panics in calls with the model [`DOOMED`].
pub fn panicking() -> Telemetry {
    let spans = SdkTracerProvider::builder().with_span_processor(Panicking).build();
    Telemetry::new(Settings::default(), Some(&spans), None, None)
}

#[tokio::test]
async fn a_panic_ends_only_its_own_call() {
    let telemetry = panicking();
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::with_telemetry(&upstream, &["--max-calls", "1"], &telemetry).await;
    let message = GenerateContentRequest { model: DOOMED.to_owned(), ..prompt("hi") }.encode_to_vec();
    let framed = [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat();
    for method in ["GenerateContent", "StreamGenerateContent"] {
        let status = gateway.raw(method, [("x-request-id", "an-id")], body([framed.clone()])).await;
        assert_status(&status, Code::Internal, "INTERNAL");
        assert!(!status.message().contains("secret"));
        assert_eq!(Details::of(&status).find::<rpc::RequestInfo>("RequestInfo").unwrap().request_id, "an-id");
    }
    assert_eq!(upstream.requests().len(), 0);
    // The connection still works, and the only place for a call is free.
    gateway.generate(prompt("hi")).await.unwrap();
}
