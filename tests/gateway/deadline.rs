//! Deadlines and timeouts of calls.

use std::time::Duration;

use gemini_grpc::pb::gemini::{GenerateContentRequest, GenerateContentResponse};
use tonic::{Code, Request, Status, Streaming};

use crate::support::{Answer, Details, Gateway, STOP, Upstream, event, json, prompt, sse, unfinished_body};

/// Long values for the other limits. If the tested limit does not work, the status names the ceiling instead.
const LONG_LIMITS: [&str; 4] = ["--upload-timeout", "20", "--max-duration", "20"];
const PAUSE: Duration = Duration::from_millis(20);

fn within(timeout: &str) -> Request<GenerateContentRequest> {
    let mut request = Request::new(prompt("hi"));
    request.metadata_mut().insert("grpc-timeout", timeout.parse().unwrap());
    request
}

async fn end(mut stream: Streaming<GenerateContentResponse>) -> Status {
    loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "the stream ended without an error"),
            Err(status) => return status,
        }
    }
}

#[track_caller]
fn timed_out(status: &Status, limit: &str) {
    assert_eq!(status.code(), Code::DeadlineExceeded, "{}", status.message());
    let info = Details::of(status).info();
    assert_eq!((info.reason.as_str(), info.metadata["limit"].as_str()), ("TIMED_OUT", limit));
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "-1");
}

/// A stream that sends events forever.
async fn dripping() -> Upstream {
    let head = sse(event("a", false));
    Upstream::with([Answer::dripping(head, event("b", false), PAUSE)]).await
}

/// A unary answer that arrives byte by byte and never ends.
async fn trickling() -> Upstream {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{";
    Upstream::with([Answer::dripping(head, " ", PAUSE)]).await
}

#[tokio::test]
async fn a_stream_ends_at_the_callers_deadline_and_closes_its_upstream_connection() {
    let upstream = dripping().await;
    let gateway = Gateway::over(&upstream).await;
    let stream = gateway.client_without_timeout().stream_generate_content(within("300m")).await.unwrap().into_inner();
    timed_out(&end(stream).await, "caller");
    upstream.wait_until_closed().await;
}

#[tokio::test]
async fn a_slow_answer_ends_at_the_callers_deadline_and_closes_its_upstream_connection() {
    let upstream = trickling().await;
    let gateway = Gateway::over(&upstream).await;
    let status = gateway.client_without_timeout().generate_content(within("300m")).await.unwrap_err();
    timed_out(&status, "caller");
    upstream.wait_until_closed().await;
}

#[tokio::test]
async fn max_duration_ends_streams_and_answers_with_a_later_deadline() {
    let upstream = dripping().await;
    let gateway = Gateway::with(&upstream, &["--max-duration", "0.3"]).await;
    let stream = gateway.client_without_timeout().stream_generate_content(within("1H")).await.unwrap().into_inner();
    timed_out(&end(stream).await, "ceiling");
    upstream.wait_until_closed().await;

    let upstream = trickling().await;
    let gateway = Gateway::with(&upstream, &["--max-duration", "0.3"]).await;
    timed_out(&gateway.generate(prompt("hi")).await.unwrap_err(), "ceiling");
    upstream.wait_until_closed().await;
}

#[tokio::test]
async fn a_silent_stream_ends_at_the_idle_timeout() {
    let upstream = Upstream::falling_silent_after(sse(event("a", false))).await;
    let gateway = Gateway::with(&upstream, &[&LONG_LIMITS[..], &["--idle-timeout", "0.3"]].concat()).await;
    let (texts, end) = gateway.stream(prompt("hi")).await.unwrap();
    assert_eq!(texts, ["a"]);
    timed_out(&end.unwrap_err(), "idle");
    upstream.wait_until_closed().await;
}

#[tokio::test]
async fn a_call_without_a_first_event_ends_at_the_first_byte_timeout() {
    // The limit applies to the first event: neither silence nor response headers alone are enough.
    for head in [Vec::new(), sse("")] {
        let upstream = Upstream::falling_silent_after(head).await;
        let gateway = Gateway::with(&upstream, &[&LONG_LIMITS[..], &["--first-byte-timeout", "0.3"]].concat()).await;
        timed_out(&gateway.stream(prompt("hi")).await.unwrap_err(), "first-byte");
        timed_out(&gateway.generate(prompt("hi")).await.unwrap_err(), "first-byte");
        upstream.wait_until_closed().await;
    }
}

#[tokio::test]
async fn a_stream_with_regular_events_outlives_the_idle_timeout() {
    let upstream = Upstream::with([Answer::dripping(sse(event("a", false)), event("b", false), PAUSE)]).await;
    let flags = ["--idle-timeout", "0.3", "--first-byte-timeout", "0.3"];
    let gateway = Gateway::with(&upstream, &flags).await;
    let stream = gateway.client_without_timeout().stream_generate_content(within("1S")).await.unwrap().into_inner();
    timed_out(&end(stream).await, "caller");
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_is_not_sent_upstream() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::over(&upstream).await;
    timed_out(&gateway.client_without_timeout().generate_content(within("0n")).await.unwrap_err(), "caller");
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn an_invalid_grpc_timeout_is_refused() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::over(&upstream).await;
    for timeout in ["5x", "999999999S", "-1S"] {
        let status = gateway.client_without_timeout().generate_content(within(timeout)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{timeout}");
        assert!(status.message().contains("grpc-timeout"), "{}", status.message());
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn a_caller_that_does_not_read_releases_upstream_at_the_deadline() {
    let upstream = Upstream::with([Answer::dripping(
        sse(event("a", false)),
        event(&"b".repeat(100_000), false),
        Duration::from_millis(1),
    )])
    .await;
    let gateway = Gateway::with(&upstream, &["--max-duration", "1"]).await;
    let mut stream = gateway.client_without_timeout().stream_generate_content(within("1H")).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    // Nothing more is read, so the caller's flow-control window closes.
    upstream.wait_until_closed().await;
}

#[tokio::test]
async fn an_unfinished_upload_ends_at_the_upload_timeout() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::with(&upstream, &["--upload-timeout", "0.3"]).await;
    timed_out(&gateway.raw("GenerateContent", [], unfinished_body()).await, "upload");
    assert_eq!(upstream.requests().len(), 0);
}
