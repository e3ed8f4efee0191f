//! Unary answers, and what can arrive instead of them.

use gemini_grpc::pb::rpc;
use tonic::Code;

use crate::support::{Details, Gateway, STOP, Upstream, assert_status, http, json, prompt, text};

#[tokio::test]
async fn every_2xx_status_is_a_success() {
    for status in ["200 OK", "201 Created", "202 Accepted"] {
        let upstream = Upstream::answering(json(status, STOP)).await;
        let answer = Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap();
        assert_eq!(text(&answer), "ok", "{status}");
    }
}

#[tokio::test]
async fn the_request_has_the_model_in_its_path_and_the_key_in_a_header() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::over(&upstream).await;
    gateway.generate(prompt("hi")).await.unwrap();

    let request = &upstream.requests()[0];
    assert!(
        request.starts_with("POST /gemini/v1beta/models/gemini-2.5-flash:generateContent HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(request.contains("\r\nauthorization: Bearer own-key\r\n"));
    assert_eq!(upstream.body(), serde_json::json!({"contents": [{"parts": [{"text": "hi"}], "role": "user"}]}));
}

#[tokio::test]
async fn an_unusable_answer_is_an_error_with_a_reason() {
    for (answer, code, reason) in [
        (json("200 OK", ""), Code::Internal, "UPSTREAM_ANSWER_EMPTY"),
        (b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_vec(), Code::Internal, "UPSTREAM_ANSWER_EMPTY"),
        (http("200 OK", "text/html", "<html>secret</html>"), Code::Internal, "UPSTREAM_ANSWER_UNREADABLE"),
        (json("200 OK", "{} trailing"), Code::Internal, "UPSTREAM_ANSWER_UNREADABLE"),
        (json("200 OK", r#"{"candidates":[{"content":7}]}"#), Code::Internal, "UPSTREAM_ANSWER_UNREADABLE"),
        (
            json("200 OK", r#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}"#),
            Code::ResourceExhausted,
            "UPSTREAM_REFUSED",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"candidates\":[".to_vec(),
            Code::Unavailable,
            "UPSTREAM_CUT_OFF",
        ),
        (Vec::new(), Code::Unavailable, "UPSTREAM_CLOSED"),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), Code::Unavailable, "UPSTREAM_CLOSED"),
    ] {
        let upstream = Upstream::answering(answer).await;
        let status = Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap_err();
        assert_status(&status, code, reason);
        assert!(!status.message().contains("secret"));
    }
}

#[tokio::test]
async fn an_unreachable_upstream_is_unavailable() {
    let mut upstream = Upstream::answering("").await;
    // Nothing listens on this port: it was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    upstream.url = format!("http://{free}");
    let status = Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap_err();
    assert_status(&status, Code::Unavailable, "UPSTREAM_UNREACHABLE");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Upstream::answering(json("200 OK", STOP)).await;
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        target.url
    );
    let upstream = Upstream::answering(redirect).await;
    let status = Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("redirect"), "{}", status.message());
    assert!(target.requests().is_empty());
}

#[tokio::test]
async fn the_message_and_details_of_upstreams_errors_are_passed_on() {
    let body = r#"{"error":{"code":429,"message":"quota is used up","status":"RESOURCE_EXHAUSTED","details":[
        {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"subject":"project","description":"per minute"}]},
        {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"3.5s"}]}}"#;
    let upstream = Upstream::answering(json("429 Too Many Requests", body)).await;
    let status = Gateway::with(&upstream, &["--retries", "0"]).await.generate(prompt("hi")).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::ResourceExhausted, "quota is used up"));
    let details = Details::of(&status);
    let quota: rpc::QuotaFailure = details.find("QuotaFailure").unwrap();
    assert_eq!(quota.violations[0].description, "per minute");
    let retry = details.find::<rpc::RetryInfo>("RetryInfo").unwrap().retry_delay.unwrap();
    assert_eq!((retry.seconds, retry.nanos), (3, 500_000_000));
}

#[tokio::test]
async fn a_retry_after_header_becomes_retry_info() {
    let answer = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let upstream = Upstream::answering(answer).await;
    let status = Gateway::with(&upstream, &["--retries", "0"]).await.generate(prompt("hi")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    let retry = Details::of(&status).find::<rpc::RetryInfo>("RetryInfo").unwrap();
    assert_eq!(retry.retry_delay.unwrap().seconds, 7);
}

#[tokio::test]
async fn details_that_would_not_fit_into_headers_are_left_out() {
    let huge = "x".repeat(20_000);
    let body = format!(
        r#"{{"error":{{"code":400,"message":"{huge}","status":"INVALID_ARGUMENT","details":[{{"@type":"type.googleapis.com/google.rpc.LocalizedMessage","locale":"en","message":"{huge}"}}]}}}}"#
    );
    let upstream = Upstream::answering(json("400 Bad Request", &body)).await;
    let status = Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().len() <= 1024 + 16 && status.details().len() < 6000, "{}", status.details().len());
}

#[tokio::test]
async fn an_answer_over_the_size_limit_is_refused_with_and_without_a_length() {
    let body = format!(r#"{{"candidates":[{{"content":{{"parts":[{{"text":"{}"}}]}}}}]}}"#, "x".repeat(5000));
    let unannounced = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{body}");
    for answer in [json("200 OK", &body), unannounced.into_bytes()] {
        let upstream = Upstream::answering(answer).await;
        let gateway = Gateway::with(&upstream, &["--max-response-bytes", "4096"]).await;
        let status = gateway.generate(prompt("hi")).await.unwrap_err();
        assert_status(&status, Code::ResourceExhausted, "UPSTREAM_ANSWER_TOO_LARGE");
        assert!(status.message().contains("4096"));
    }
}
