//! Retries, and calls that must not be retried.

use gemini_grpc::pb::rpc;
use tonic::{Code, Status};

use crate::support::{Answer, Details, Gateway, STOP, Upstream, event, json, prompt, sse, text};

const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// An answer after which the connection stays open.
fn keep_alive(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn pushback(status: &Status) -> Option<&str> {
    Some(status.metadata().get("grpc-retry-pushback-ms")?.to_str().unwrap())
}

#[tokio::test]
async fn calls_that_upstream_refused_unprocessed_are_retried() {
    for refusal in [BUSY.into(), json("429 Too Many Requests", "{}")] {
        let answers =
            [Answer::closing(refusal.clone()), Answer::closing(refusal), Answer::closing(json("200 OK", STOP))];
        let upstream = Upstream::with(answers).await;
        let answer = Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap();
        assert_eq!((text(&answer).as_str(), upstream.requests().len()), ("ok", 3));
    }
    let answers = [Answer::closing(BUSY), Answer::closing(sse(event("ok", true)))];
    let upstream = Upstream::with(answers).await;
    let (texts, end) = Gateway::over(&upstream).await.stream(prompt("hi")).await.unwrap();
    end.unwrap();
    assert_eq!((texts.concat().as_str(), upstream.requests().len()), ("ok", 2));
}

#[tokio::test]
async fn after_two_retries_the_caller_gets_a_retry_delay() {
    let upstream = Upstream::answering(BUSY).await;
    let status = Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap_err();
    assert_eq!((status.code(), upstream.requests().len()), (Code::Unavailable, 3));
    assert_eq!(pushback(&status), Some("1000"));
    let retry: rpc::RetryInfo = Details::of(&status).find("RetryInfo").unwrap();
    assert_eq!(retry.retry_delay.unwrap().seconds, 1);
}

#[tokio::test]
async fn a_retry_delay_over_half_a_minute_is_left_to_the_caller() {
    let later = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 31\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let upstream = Upstream::answering(later).await;
    let status = Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap_err();
    assert_eq!((status.code(), upstream.requests().len()), (Code::ResourceExhausted, 1));
    assert_eq!(pushback(&status), Some("31000"));
}

#[tokio::test]
async fn a_retry_delay_beyond_the_deadline_is_left_to_the_caller() {
    let later = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 20\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let upstream = Upstream::answering(later).await;
    let gateway = Gateway::with(&upstream, &["--max-duration", "10"]).await;
    let status = gateway.generate(prompt("hi")).await.unwrap_err();
    assert_eq!((status.code(), pushback(&status)), (Code::Unavailable, Some("20000")));
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn calls_that_may_be_billed_are_not_retried_and_callers_are_told_not_to() {
    let daily = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"used up","details":[
        {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDay"}]}]}}"#;
    for (answer, code) in [
        (json("500 Internal Server Error", "{}"), Code::Internal),
        (json("502 Bad Gateway", "{}"), Code::Unavailable),
        (json("504 Gateway Timeout", "{}"), Code::DeadlineExceeded),
        // Even with retry-after, upstream may have processed the call.
        (
            b"HTTP/1.1 502 Bad Gateway\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_vec(),
            Code::Unavailable,
        ),
        (json("200 OK", r#"{"error":{"status":"UNAVAILABLE","message":"busy"}}"#), Code::Unavailable),
        (json("429 Too Many Requests", daily), Code::ResourceExhausted),
        // A new connection is closed without an answer.
        (Vec::new(), Code::Unavailable),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec(), Code::Unavailable),
    ] {
        let upstream = Upstream::answering(answer).await;
        let status = Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap_err();
        assert_eq!((status.code(), pushback(&status)), (code, Some("-1")), "{}", status.message());
        assert_eq!(upstream.requests().len(), 1, "{}", status.message());
    }
}

#[tokio::test]
async fn client_errors_are_not_retried() {
    for status in ["400 Bad Request", "403 Forbidden", "404 Not Found"] {
        let upstream = Upstream::answering(json(status, "{}")).await;
        let error = Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap_err();
        assert_eq!((upstream.requests().len(), pushback(&error)), (1, None), "{status}");
    }
}

#[tokio::test]
async fn a_call_on_a_closed_idle_connection_is_retried() {
    // The second request is sent on the connection of the first one, which upstream then closes without an answer.
    let answers = [Answer::keeping_alive(keep_alive(STOP)), Answer::closing(""), Answer::closing(keep_alive(STOP))];
    let upstream = Upstream::with(answers).await;
    let gateway = Gateway::with(&upstream, &["--workers", "1"]).await;
    gateway.generate(prompt("hi")).await.unwrap();
    gateway.generate(prompt("hi")).await.unwrap();
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn the_retry_budget_limits_retries_in_an_outage() {
    let upstream = Upstream::answering(BUSY).await;
    let gateway = Gateway::over(&upstream).await;
    for _ in 0..10 {
        assert_eq!(gateway.generate(prompt("hi")).await.unwrap_err().code(), Code::Unavailable);
    }
    let retries = upstream.requests().len() - 10;
    // The budget allows three, and one more for every ten calls. A new window may have begun meanwhile.
    assert!((3..=8).contains(&retries), "{retries}");
}
