//! Callers with tokens: which key is sent upstream, and the limits of each caller.

use std::io::Write as _;
use std::time::Duration;

use gemini_grpc::gateway::callers::TokenHash;
use gemini_grpc::pb::gemini::{GenerateContentRequest, GenerateContentResponse};
use gemini_grpc::pb::health::HealthCheckRequest;
use gemini_grpc::pb::health::health_client::HealthClient;
use gemini_grpc::pb::rpc;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status, Streaming};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use crate::support::{Details, Gateway, STOP, Upstream, assert_status, json, prompt, sse, text};

const TOKEN: &str = "gg_token-of-team-a";
const OTHER: &str = "gg_token-of-team-b";

/// A gateway with two callers; the first has these limits.
async fn gateway(upstream: &Upstream, limits: &str) -> Gateway {
    let [a, b] = [TOKEN, OTHER].map(|token| TokenHash::of(token).to_hex());
    let text = format!("[callers.team-a]\ntoken_sha256 = '{a}'\n{limits}\n[callers.team-b]\ntoken_sha256 = ['{b}']\n");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    Gateway::with(upstream, &["--auth", "tokens", "--callers", path]).await
}

fn with(header: &'static str, value: &str) -> Request<GenerateContentRequest> {
    let mut request = Request::new(prompt("hi"));
    request.metadata_mut().insert(header, MetadataValue::try_from(value).unwrap());
    request
}

async fn generate(gateway: &Gateway, token: &str) -> Result<(), Status> {
    gateway.client.clone().generate_content(with("x-goog-api-key", token)).await.map(drop)
}

/// A stream whose first message has arrived.
async fn open(gateway: &Gateway) -> Result<Streaming<GenerateContentResponse>, Status> {
    let request = with("x-goog-api-key", TOKEN);
    let mut stream = gateway.client.clone().stream_generate_content(request).await?.into_inner();
    assert_eq!(text(&stream.message().await?.unwrap()), "a");
    Ok(stream)
}

/// What the status of a call over a limit contains: the limit, its value, and the retry delay.
fn quota(status: &Status) -> (String, i64, Duration) {
    assert_status(status, Code::ResourceExhausted, "CALLER_QUOTA_EXCEEDED");
    let details = Details::of(status);
    assert!(status.message().starts_with("the caller team-a is at its limit of "), "{}", status.message());
    let failure: rpc::QuotaFailure = details.find("QuotaFailure").expect("the quota is in the status");
    let [violation] = &failure.violations[..] else { panic!("{failure:?}") };
    assert_eq!(violation.subject, "caller:team-a");
    assert_eq!(violation.description, status.message());
    let retry: rpc::RetryInfo = details.find("RetryInfo").expect("the retry delay is in the status");
    (violation.quota_id.clone(), violation.quota_value, retry.retry_delay.unwrap().try_into().unwrap())
}

/// One event of an unfinished stream, with the tokens of the call so far.
fn costing(tokens: u32) -> String {
    format!(
        "data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"a\"}}]}}}}],\"usageMetadata\":{{\"totalTokenCount\":{tokens}}}}}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_valid_token_admits_its_caller_and_is_not_sent_upstream() {
    for (header, value) in [
        ("x-goog-api-key", TOKEN.to_owned()),
        ("authorization", format!("Bearer {TOKEN}")),
        ("authorization", format!("bearer {OTHER}")),
    ] {
        let upstream = Upstream::answering(json("200 OK", STOP)).await;
        gateway(&upstream, "").await.client.clone().generate_content(with(header, &value)).await.unwrap();
        let request = &upstream.requests()[0];
        assert!(request.contains("\r\nauthorization: Bearer own-key\r\n"), "{request}");
        assert!(!request.contains("gg_"), "{request}");
    }
}

#[tokio::test]
async fn a_call_without_a_valid_token_is_refused_before_anything_is_sent() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = gateway(&upstream, "").await;
    let hash = TokenHash::of(TOKEN).to_hex();
    let basic = with("authorization", "Basic dTpw");
    for (request, reason) in [
        (Request::new(prompt("hi")), "TOKEN_MISSING"),
        (basic, "TOKEN_MISSING"),
        (with("x-goog-api-key", "gg_guessed"), "TOKEN_UNKNOWN"),
        // Neither the key of the gateway nor a hash from its file is a token.
        (with("x-goog-api-key", "own-key"), "TOKEN_UNKNOWN"),
        (with("x-goog-api-key", &hash), "TOKEN_UNKNOWN"),
    ] {
        let status = gateway.client.clone().generate_content(request).await.unwrap_err();
        assert_status(&status, Code::Unauthenticated, reason);
        let shown = format!("{status:?} {}", String::from_utf8_lossy(status.details()));
        assert!(!shown.contains("guessed") && !shown.contains(&hash), "{shown}");
    }
    let status = gateway.stream(prompt("hi")).await.unwrap_err();
    assert_eq!(Details::of(&status).reason(), "TOKEN_MISSING");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_model_that_is_not_allowed_is_refused_before_anything_is_sent() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = gateway(&upstream, "models = ['gemini-3-*']").await;
    let status = generate(&gateway, TOKEN).await.unwrap_err();
    assert_status(&status, Code::PermissionDenied, "MODEL_NOT_ALLOWED");
    assert!(status.message().contains("the caller team-a may not use the model gemini-2.5-flash"));
    assert!(upstream.requests().is_empty());
    generate(&gateway, OTHER).await.unwrap();
}

#[tokio::test]
async fn a_call_counts_against_its_callers_limit_until_its_stream_ends() {
    let upstream = Upstream::falling_silent_after(sse(costing(1))).await;
    let gateway = gateway(&upstream, "calls_in_flight = 1").await;
    let stream = open(&gateway).await.unwrap();
    let status = open(&gateway).await.unwrap_err();
    assert_eq!(quota(&status), ("calls_in_flight".to_owned(), 1, Duration::from_secs(1)));
    assert_eq!(upstream.requests().len(), 1);

    drop(stream);
    upstream.wait_until_closed().await;
    // Upstream may still be working on it, so it keeps its place for a second.
    while let Err(status) = open(&gateway).await {
        assert_eq!(quota(&status).0, "calls_in_flight");
    }
}

#[tokio::test]
async fn calls_per_minute_are_counted_separately_for_each_caller() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = gateway(&upstream, "calls_per_minute = 2").await;
    for _ in 0..2 {
        generate(&gateway, TOKEN).await.unwrap();
    }
    let (limit, value, retry_after) = quota(&generate(&gateway, TOKEN).await.unwrap_err());
    assert_eq!((limit.as_str(), value), ("calls_per_minute", 2));
    assert!(retry_after <= Duration::from_secs(30), "{retry_after:?}");
    assert_eq!(upstream.requests().len(), 2);
    for _ in 0..3 {
        generate(&gateway, OTHER).await.unwrap();
    }
}

#[tokio::test]
async fn an_invalid_request_uses_no_call_of_the_quota() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = gateway(&upstream, "calls_per_minute = 1").await;
    let mut request = with("x-goog-api-key", TOKEN);
    request.get_mut().contents.clear();
    let status = gateway.client.clone().generate_content(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    generate(&gateway, TOKEN).await.unwrap();
}

#[tokio::test]
async fn a_caller_that_has_overspent_its_tokens_has_to_wait() {
    let answer = STOP.replacen('{', r#"{"usageMetadata":{"promptTokenCount":10,"totalTokenCount":90},"#, 1);
    let upstream = Upstream::answering(json("200 OK", &answer)).await;
    let gateway = gateway(&upstream, "tokens_per_minute = 60").await;
    generate(&gateway, TOKEN).await.unwrap();
    let (limit, value, retry_after) = quota(&generate(&gateway, TOKEN).await.unwrap_err());
    assert_eq!((limit.as_str(), value), ("tokens_per_minute", 60));
    // 31 s, minus the time since then.
    assert!(retry_after <= Duration::from_secs(31), "{retry_after:?}");
    assert_eq!(upstream.requests().len(), 1);
    generate(&gateway, OTHER).await.unwrap();
}

#[tokio::test]
async fn the_tokens_of_a_cancelled_stream_are_charged() {
    let upstream = Upstream::falling_silent_after(sse(costing(40) + &costing(60))).await;
    let gateway = gateway(&upstream, "tokens_per_minute = 60").await;
    let mut stream = open(&gateway).await.unwrap();
    stream.message().await.unwrap().unwrap();
    drop(stream);
    upstream.wait_until_closed().await;
    let (limit, _, retry_after) = quota(&open(&gateway).await.unwrap_err());
    assert_eq!(limit, "tokens_per_minute");
    // 60 and not 100: each event has the sum so far.
    assert!(retry_after <= Duration::from_secs(1), "{retry_after:?}");
}

#[tokio::test]
async fn a_refused_key_of_the_gateway_is_an_internal_error() {
    let body = r#"{"error":{"code":401,"message":"API key not valid: own-key.","status":"UNAUTHENTICATED"}}"#;
    let upstream = Upstream::answering(json("401 Unauthorized", body)).await;
    let status = generate(&gateway(&upstream, "").await, TOKEN).await.unwrap_err();
    assert_status(&status, Code::Internal, "UPSTREAM_KEY_REFUSED");
}

#[tokio::test]
async fn health_and_reflection_need_no_token() {
    let upstream = Upstream::answering("").await;
    let gateway = gateway(&upstream, "").await;
    HealthClient::new(gateway.channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    let message_request = Some(MessageRequest::ListServices(String::new()));
    let request = ServerReflectionRequest { host: String::new(), message_request };
    let mut client = ServerReflectionClient::new(gateway.channel.clone());
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
}
