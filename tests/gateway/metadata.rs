//! The metadata of a call: keys, trace context, request ids.

use gemini_grpc::pb::rpc;
use gemini_grpc::telemetry::Telemetry;
use prost::Message as _;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request};

use crate::support::{Details, Gateway, STOP, Upstream, assert_status, config_without_key, json, prompt, sse, text};

fn with(metadata: &[(&'static str, &str)]) -> Request<gemini_grpc::pb::gemini::GenerateContentRequest> {
    let mut request = Request::new(prompt("hi"));
    for (name, value) in metadata {
        request.metadata_mut().insert(*name, MetadataValue::try_from(*value).unwrap());
    }
    request
}

#[tokio::test]
async fn the_callers_key_takes_precedence_over_the_gateways() {
    for (metadata, sent) in [
        (vec![], "own-key"),
        (vec![("x-goog-api-key", "caller")], "caller"),
        (vec![("authorization", "Bearer caller")], "caller"),
        (vec![("authorization", "bearer caller")], "caller"),
        (vec![("authorization", "Bearer mesh"), ("x-goog-api-key", "caller")], "caller"),
        (vec![("authorization", "Basic dTpw")], "own-key"),
    ] {
        let upstream = Upstream::answering(json("200 OK", STOP)).await;
        let gateway = Gateway::over(&upstream).await;
        gateway.client.clone().generate_content(with(&metadata)).await.unwrap();
        assert!(upstream.requests()[0].contains(&format!("\r\nauthorization: Bearer {sent}\r\n")), "{metadata:?}");
    }
}

#[tokio::test]
async fn the_callers_trace_context_is_not_sent_upstream() {
    let trace_id = "0af7651916cd43dd8448eb211c80319c";
    let traceparent = format!("00-{trace_id}-b7ad6b7169203331-01");
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::over(&upstream).await;
    let metadata = [("traceparent", &*traceparent), ("tracestate", "vendor=secret"), ("baggage", "who=me")];
    for _ in 0..2 {
        gateway.client.clone().generate_content(with(&metadata)).await.unwrap();
    }
    let sent = upstream.requests().into_iter().map(|request| {
        let request = request.to_lowercase();
        assert!(
            !["tracestate", "baggage", trace_id, "b7ad6b7169203331"].iter().any(|word| request.contains(word)),
            "{request}"
        );
        request.lines().find_map(|line| Some(line.strip_prefix("traceparent: 00-")?.to_owned())).unwrap()
    });
    let sent: Vec<String> = sent.collect();
    assert_ne!(sent[0], sent[1], "a caller's requests cannot be linked");
}

#[tokio::test]
async fn the_key_can_be_sent_in_googles_header() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::with(&upstream, &["--upstream-auth", "x-goog-api-key"]).await;
    gateway.generate(prompt("hi")).await.unwrap();
    let request = upstream.requests()[0].to_lowercase();
    assert!(request.contains("\r\nx-goog-api-key: own-key\r\n") && !request.contains("authorization"), "{request}");
}

#[tokio::test]
async fn a_call_without_a_key_is_not_sent_upstream() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::start(&config_without_key(&upstream, &[]), &Telemetry::default()).await;
    for (metadata, reason) in [(vec![], "API_KEY_MISSING"), (vec![("x-goog-api-key", "a b")], "API_KEY_MALFORMED")] {
        let status = gateway.client.clone().generate_content(with(&metadata)).await.unwrap_err();
        assert_status(&status, Code::Unauthenticated, reason);
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_refused_key_is_unauthenticated_only_if_the_caller_sent_it() {
    let body = r#"{"error":{"code":400,"message":"API key not valid: own-key.","status":"INVALID_ARGUMENT","details":[
        {"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"#;
    for answer in [
        json("400 Bad Request", body),
        json("401 Unauthorized", r#"{"statusCode":401,"message":"Unauthorized own-key"}"#),
    ] {
        let upstream = Upstream::answering(answer).await;
        let gateway = Gateway::over(&upstream).await;
        let status = gateway.generate(prompt("hi")).await.unwrap_err();
        assert_status(&status, Code::Internal, "UPSTREAM_KEY_REFUSED");
        assert!(!format!("{status:?}").contains("own-key"));

        let status =
            gateway.client.clone().generate_content(with(&[("x-goog-api-key", "caller-key")])).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
    }
}

#[tokio::test]
async fn a_key_echoed_in_an_error_is_redacted() {
    let body = r#"{"error":{"code":403,"message":"key own-key may not","status":"PERMISSION_DENIED","details":[
        {"@type":"type.googleapis.com/google.rpc.Help","links":[{"description":"for own-key","url":"https://x.test/?key=own-key"}]}]}}"#;
    let upstream = Upstream::answering(json("403 Forbidden", body)).await;
    let status = Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "key *** may not"));
    assert!(!String::from_utf8_lossy(status.details()).contains("own-key"));
    assert!(Details::of(&status).find::<rpc::Help>("Help").is_some());
}

#[tokio::test]
async fn a_key_echoed_in_an_answer_is_redacted_everywhere() {
    let answer = r#"{"candidates":[{"content":{"parts":[{"text":"it is own-key."},{"functionCall":{"name":"f","args":
        {"own-key":["x own-key y",{"a":"\u006fwn-key"}]}}}],"own-key":1},"finishReason":"own-key"}],
        "modelVersion":"own-key","debug":{"authorization":"Bearer own-key"},"own-keys":"own-key"}"#;
    let one_line = answer.replace('\n', "");
    for (bytes, stream) in [(json("200 OK", answer), false), (sse(format!("data: {one_line}\r\n\r\n")), true)] {
        let gateway = Gateway::over(&Upstream::answering(bytes).await).await;
        let message = match stream {
            false => gateway.generate(prompt("hi")).await.unwrap(),
            true => {
                let mut messages =
                    gateway.client.clone().stream_generate_content(prompt("hi")).await.unwrap().into_inner();
                messages.message().await.unwrap().unwrap()
            }
        };
        let wire = message.encode_to_vec();
        assert!(memchr::memmem::find(&wire, b"own-key").is_none(), "{message:?}");
        assert_eq!(text(&message), "it is ***.");
        assert_eq!(message.model_version, "***");
    }
}

#[tokio::test]
async fn the_request_id_is_sent_upstream_and_returned() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::over(&upstream).await;
    let response = gateway.client.clone().generate_content(with(&[("x-request-id", "ticket-7")])).await.unwrap();
    assert_eq!(response.metadata().get("x-request-id").unwrap(), "ticket-7");
    assert!(upstream.requests()[0].contains("\r\nx-request-id: ticket-7\r\n"));
}

#[tokio::test]
async fn a_missing_or_invalid_request_id_is_replaced_and_returned_in_errors() {
    let upstream = Upstream::answering(json("500 Internal Server Error", "")).await;
    let gateway = Gateway::over(&upstream).await;
    let long = "x".repeat(129);
    for metadata in [vec![], vec![("x-request-id", "with space")], vec![("x-request-id", long.as_str())]] {
        let status = gateway.client.clone().generate_content(with(&metadata)).await.unwrap_err();
        let id = status.metadata().get("x-request-id").unwrap().to_str().unwrap();
        assert_eq!(id.len(), 36);
        let info: rpc::RequestInfo = Details::of(&status).find("RequestInfo").unwrap();
        assert_eq!(info.request_id, id);
        assert!(upstream.requests().last().unwrap().contains(id));
    }
}
