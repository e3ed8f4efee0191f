//! Calls that are cancelled, in every phase: their upstream connection is closed.

use prost::Message as _;

use crate::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, Raw};
use crate::shares::{TOKENS, framed, gateway as gateway_with_callers};
use crate::strangers::{PATH, head};
use crate::support::{Answer, Gateway, STOP, Upstream, event, json, prompt, sse};

/// The error code of RST_STREAM with which gRPC clients cancel a call (RFC 9113, 7).
const CANCEL: u32 = 8;

#[tokio::test]
async fn a_call_cancelled_during_its_upload_frees_its_place() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = gateway_with_callers(&upstream, "calls_in_flight = 1", &[]).await;
    let (head, message) = (head(PATH, TOKENS[0]), framed(&prompt("hi").encode_to_vec(), false));
    let mut raw = Raw::open(gateway.running.address).await;
    raw.send(HEADERS, END_HEADERS, 1, &head).await;
    raw.send(DATA, 0, 1, &message[..6]).await;
    // The server reads the frames in order, so the first call has the only place, and the second one is refused.
    raw.send(HEADERS, END_HEADERS, 3, &head).await;
    raw.send(DATA, END_STREAM, 3, &message).await;
    assert_eq!(raw.next_of(HEADERS).await.unwrap().stream, 3);
    assert_eq!(upstream.requests().len(), 0);
    raw.send(RST_STREAM, 0, 1, &CANCEL.to_be_bytes()).await;
    let mut stream = 5;
    while upstream.requests().is_empty() {
        raw.send(HEADERS, END_HEADERS, stream, &head).await;
        raw.send(DATA, END_STREAM, stream, &message).await;
        assert_eq!(raw.next_of(HEADERS).await.unwrap().stream, stream);
        stream += 2;
    }
}

#[tokio::test]
async fn a_call_cancelled_before_its_answer_closes_its_upstream_connection() {
    let upstream = Upstream::falling_silent_after("").await;
    let gateway = Gateway::over(&upstream).await;
    for (before, method) in ["unary", "stream"].into_iter().enumerate() {
        let mut client = gateway.client.clone();
        let call = tokio::spawn(async move {
            match method {
                "unary" => drop(client.generate_content(prompt("hi")).await),
                _ => drop(client.stream_generate_content(prompt("hi")).await),
            }
        });
        upstream.wait_for_requests(before + 1).await;
        call.abort();
        upstream.wait_until_closed().await;
    }
}

#[tokio::test]
async fn a_cancelled_stream_closes_its_upstream_connection() {
    let upstream = Upstream::falling_silent_after(sse(event("Hel", false))).await;
    let gateway = Gateway::over(&upstream).await;
    let mut stream = gateway.client.clone().stream_generate_content(prompt("hi")).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    drop(stream);
    upstream.wait_until_closed().await;
}

#[tokio::test]
async fn a_call_cancelled_in_the_middle_of_its_answer_closes_its_upstream_connection() {
    let upstream = Upstream::falling_silent_after("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{").await;
    let gateway = Gateway::over(&upstream).await;
    let mut client = gateway.client.clone();
    let call = tokio::spawn(async move { client.generate_content(prompt("hi")).await });
    upstream.wait_for_requests(1).await;
    call.abort();
    upstream.wait_until_closed().await;
}

#[tokio::test]
async fn a_call_cancelled_before_its_retry_is_not_retried() {
    let busy = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let answers = [Answer::closing(busy), Answer::closing(busy), Answer::closing(json("200 OK", STOP))];
    let upstream = Upstream::with(answers).await;
    let gateway = Gateway::with(&upstream, &["--max-calls", "1", "--workers", "1"]).await;
    let mut client = gateway.client.clone();
    let call = tokio::spawn(async move { client.generate_content(prompt("first")).await });
    upstream.wait_for_requests(1).await;
    upstream.wait_until_closed().await;
    call.abort();
    while gateway.generate(prompt("second")).await.is_err() {}
    // The second call waited for the same delay and was retried, so a retry of the first call would have come before.
    let requests = upstream.requests();
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert!(requests[1].contains("second") && requests[2].contains("second"), "{requests:?}");
}

#[tokio::test]
async fn a_lost_connection_cancels_its_calls() {
    let upstream = Upstream::falling_silent_after(sse(event("Hel", false))).await;
    let gateway = Gateway::over(&upstream).await;
    let channel = gateway.new_channel().await;
    let mut client = crate::support::Client::new(channel);
    let mut stream = client.stream_generate_content(prompt("hi")).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    drop((stream, client));
    upstream.wait_until_closed().await;
}
