//! The RPC `CountTokens`, whose messages are only translated, and which not every upstream has.

use std::time::Duration;

use gemini_grpc::pb::gemini::{CountTokensRequest, CountTokensResponse, Modality};
use gemini_grpc::pb::rpc;
use tonic::{Code, Request, Status};

use crate::answers::SERVICES;
use crate::models::{TOKEN, callers, with_token};
use crate::spending::scraped;
use crate::support::{Details, Gateway, Upstream, assert_status, body, json, prompt};

const OFFERED: [&str; 2] = ["--upstream-methods", "countTokens"];
const COUNT: &str = r#"{"totalTokens":31,"promptTokensDetails":[{"modality":"TEXT","tokenCount":31}],"news":true}"#;

/// The contents of a prompt, and the whole of another.
fn request() -> CountTokensRequest {
    CountTokensRequest {
        model: "models/gemini-2.5-flash".into(),
        contents: prompt("hi").contents,
        generate_content_request: Some(prompt("ho")),
        ..Default::default()
    }
}

/// A request in which the whole prompt names another model.
fn naming(model: &str) -> CountTokensRequest {
    let mut request = request();
    request.generate_content_request.as_mut().unwrap().model = model.into();
    request
}

async fn count(
    gateway: &Gateway,
    request: impl tonic::IntoRequest<CountTokensRequest>,
) -> Result<CountTokensResponse, Status> {
    gateway.client.clone().count_tokens(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn the_messages_are_translated_both_ways() {
    let upstream = Upstream::answering(json("200 OK", COUNT)).await;
    let answer = count(&Gateway::with(&upstream, &OFFERED).await, request()).await.unwrap();

    let head = &upstream.requests()[0];
    assert!(head.starts_with("POST /gemini/v1beta/models/gemini-2.5-flash:countTokens HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nauthorization: Bearer own-key\r\n"));
    let turn = |text: &str| serde_json::json!([{ "parts": [{ "text": text }], "role": "user" }]);
    let whole = serde_json::json!({ "model": "models/gemini-2.5-flash", "contents": turn("ho") });
    assert_eq!(upstream.body(), serde_json::json!({ "contents": turn("hi"), "generateContentRequest": whole }));

    assert_eq!(answer.total_tokens, 31);
    let details: Vec<_> = answer.prompt_tokens_details.iter().map(|of| (of.modality(), of.token_count)).collect();
    assert_eq!(details, [(Modality::Text, 31)]);
    assert!(answer.additional_fields.unwrap().fields.contains_key("news"));
}

#[tokio::test]
async fn a_method_that_upstream_is_not_said_to_have_is_refused_before_anything_is_read() {
    let upstream = Upstream::answering(json("200 OK", COUNT)).await;
    let gateway = Gateway::with(&upstream, &["--upstream-methods", "embedContent"]).await;
    for service in SERVICES {
        // The message never comes to its end.
        let headers = gateway.raw_at(&format!("{service}/CountTokens"), [], body([vec![0, 0]])).await;
        let status = Status::from_header_map(&headers).unwrap();
        assert_status(&status, Code::Unimplemented, "METHOD_NOT_OFFERED");
        assert!(status.message().contains("GEMINI_GRPC_UPSTREAM_METHODS=countTokens"), "{}", status.message());
    }
    assert!(upstream.requests().is_empty());
    // The other two as well, each by its own name.
    let gateway = Gateway::with(&upstream, &OFFERED).await;
    for (method, setting) in [("EmbedContent", "=embedContent"), ("BatchEmbedContents", "=batchEmbedContents")] {
        let status = gateway.raw(method, [], body([vec![0, 0]])).await;
        assert_status(&status, Code::Unimplemented, "METHOD_NOT_OFFERED");
        assert!(status.message().ends_with(setting), "{}", status.message());
    }
}

#[tokio::test]
async fn its_errors_are_those_of_other_calls() {
    let slow_down = r#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}"#;
    for (answer, code, reason) in [
        (json("429 Too Many Requests", slow_down), Code::ResourceExhausted, "UPSTREAM_REFUSED"),
        (json("200 OK", slow_down), Code::ResourceExhausted, "UPSTREAM_REFUSED"),
        (json("200 OK", r#"{"totalTokens":[]}"#), Code::Internal, "UPSTREAM_ANSWER_UNREADABLE"),
        (json("200 OK", ""), Code::Internal, "UPSTREAM_ANSWER_EMPTY"),
    ] {
        let upstream = Upstream::answering(answer).await;
        let gateway = Gateway::with(&upstream, &[&OFFERED[..], &["--retries", "0"]].concat()).await;
        assert_status(&count(&gateway, request()).await.unwrap_err(), code, reason);
    }
    let upstream = Upstream::falling_silent_after("").await;
    let gateway = Gateway::with(&upstream, &OFFERED).await;
    let no_model = count(&gateway, CountTokensRequest { model: String::new(), ..request() }).await.unwrap_err();
    assert_status(&no_model, Code::InvalidArgument, "REQUEST_INVALID");
    assert!(upstream.requests().is_empty());
    let mut late = Request::new(request());
    late.set_timeout(Duration::from_millis(100));
    let late = gateway.client_without_timeout().count_tokens(late).await.unwrap_err();
    assert_status(&late, Code::DeadlineExceeded, "TIMED_OUT");
}

#[tokio::test]
async fn a_prompt_inside_cannot_name_a_model_that_its_caller_may_not_use() {
    let upstream = Upstream::answering(json("200 OK", COUNT)).await;
    let file = callers("models = ['gemini-2.5-*']");
    let flags = ["--auth", "tokens", "--callers", file.path().to_str().unwrap()];
    let gateway = Gateway::with(&upstream, &[&OFFERED[..], &flags].concat()).await;
    for other in ["models/gemini-3-pro", "gemini-2.5-pro", "../other", "models/"] {
        let status = count(&gateway, with_token(naming(other))).await.unwrap_err();
        assert_status(&status, Code::InvalidArgument, "REQUEST_INVALID");
        let violations = Details::of(&status).find::<rpc::BadRequest>("BadRequest").unwrap().field_violations;
        assert_eq!(violations[0].field, "generate_content_request.model");
        assert_eq!(violations[0].reason, "MODEL_DIFFERS");
    }
    let status = count(&gateway, with_token(CountTokensRequest { model: "gemini-3-pro".into(), ..naming("") })).await;
    assert_status(&status.unwrap_err(), Code::PermissionDenied, "MODEL_NOT_ALLOWED");
    assert!(upstream.requests().is_empty());
    for same in ["gemini-2.5-flash", "models/gemini-2.5-flash", ""] {
        count(&gateway, with_token(naming(same))).await.unwrap();
    }
}

#[tokio::test]
async fn it_counts_as_a_call_of_its_caller_and_costs_no_tokens() {
    let (telemetry, scrape) = scraped();
    let file = callers("calls_per_minute = 2\ntokens_per_minute = 1");
    let upstream = Upstream::answering(json("200 OK", COUNT)).await;
    let flags = ["--auth", "tokens", "--callers", file.path().to_str().unwrap()];
    let gateway = Gateway::with_telemetry(&upstream, &[&OFFERED[..], &flags].concat(), &telemetry).await;
    assert_status(&count(&gateway, request()).await.unwrap_err(), Code::Unauthenticated, "TOKEN_MISSING");
    for _ in 0..2 {
        count(&gateway, with_token(request())).await.unwrap();
    }
    let status = count(&gateway, with_token(request())).await.unwrap_err();
    assert_status(&status, Code::ResourceExhausted, "CALLER_QUOTA_EXCEEDED");
    assert!(!TOKEN.is_empty() && !upstream.requests()[0].contains(TOKEN));
    let scrape = scrape();
    for label in ["gen_ai_operation_name=\"count_tokens\"", "mountsea.gemini.v1.GenerativeService/CountTokens"] {
        assert!(scrape.contains(label), "{scrape}");
    }
    let mut charged = scrape.lines().filter(|line| line.starts_with("gemini_grpc_usage_tokens_total{"));
    assert!(charged.all(|line| line.ends_with(" 0")), "{scrape}");
}
