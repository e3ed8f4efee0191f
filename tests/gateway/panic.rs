//! A bug in one call. None is known, so the log is made to have one: it panics at a line of one call.

use gemini_grpc::pb::rpc;
use prost::Message as _;
use tonic::Code;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{Details, Gateway, STOP, Upstream, body, json, prompt};

const DOOMED: &str = "a-call-that-panics";

/// Panics when a call of that id reports fields that it does not know.
struct Panicking;

/// Looks for the two.
#[derive(Default)]
struct Found {
    doomed: bool,
    unknown: bool,
}

impl Visit for Found {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.doomed |= field.name() == "request_id" && value == DOOMED;
    }

    fn record_u64(&mut self, field: &Field, _: u64) {
        self.unknown |= field.name() == "unknown_fields";
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl Subscriber for Panicking {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("gemini_grpc::gateway")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn event(&self, event: &Event<'_>) {
        let mut found = Found::default();
        event.record(&mut found);
        assert!(!(found.doomed && found.unknown), "the prompt was: a secret");
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn a_panic_ends_its_own_call_and_nothing_else() {
    tracing::subscriber::set_global_default(Panicking).unwrap();
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::with(&upstream, &["--api-key", "own", "--max-calls", "1"]).await;
    // Field 19998 with the number 1, which no contract has.
    let message = [prompt("hi").encode_to_vec(), vec![0xf0, 0xe1, 0x09, 1]].concat();
    let framed = [&[0][..], &(message.len() as u32).to_be_bytes(), &message].concat();
    for method in ["GenerateContent", "StreamGenerateContent"] {
        let status = gateway.raw(method, [("x-request-id", DOOMED)], body([framed.clone()])).await;
        assert_eq!(status.code(), Code::Internal, "{}", status.message());
        assert!(!status.message().contains("secret"));
        let details = Details::of(&status);
        assert_eq!(details.reason(), "INTERNAL");
        assert_eq!(details.find::<rpc::RequestInfo>("RequestInfo").unwrap().request_id, DOOMED);
    }
    assert_eq!(upstream.requests().len(), 0);
    // On the same connection as before, with the one permit that there is.
    gateway.generate(prompt("hi")).await.unwrap();
}
