//! Limits on calls and bytes over REST: excess calls are refused immediately, and each call releases its share when it
//! ends.

use super::client::{EVENTS, HI, Http1, UNARY, call, exchange, post};
use super::errors::is_envelope;
use crate::support::{Answer, Running, STOP, Upstream, config, event, json, sse};

const MIB: usize = 1 << 20;

/// A request with a picture of this length, as it is in JSON.
pub(super) fn with_picture(bytes: usize) -> String {
    let data = "A".repeat(bytes);
    HI.replace("\"text\":\"hi\"", &format!(r#""inlineData":{{"mimeType":"image/png","data":"{data}"}}"#))
}

#[tokio::test]
async fn a_call_counts_as_in_flight_until_its_client_goes_away() {
    let silent = Answer::silence_after(sse(event("a", false)));
    let upstream = Upstream::with([silent, Answer::closing(json("200 OK", STOP))]).await;
    let running = Running::start(&config(&upstream, &["--max-calls", "1", "--workers", "1"]));
    let mut open = Http1::open(running.address).await;
    open.send(post(EVENTS, &[], HI)).await;
    open.head().await;
    is_envelope(&call(running.address, UNARY, HI).await, 429, "RESOURCE_EXHAUSTED", "TOO_MANY_CALLS");
    drop(open);
    upstream.wait_until_closed().await;
    while call(running.address, UNARY, HI).await.status == 429 {}
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn an_unfinished_upload_does_not_block_other_calls() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &["--max-calls", "1", "--workers", "1"]));
    let mut uploading = Http1::open(running.address).await;
    let head = format!(
        "POST {UNARY} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n"
    );
    uploading.send(head).await;
    // The call is admitted, and its body awaited.
    assert_eq!(uploading.head().await.status, 100);
    assert_eq!(call(running.address, UNARY, HI).await.status, 200);
}

#[tokio::test]
async fn a_request_larger_than_the_free_bytes_is_refused_and_small_ones_are_served() {
    let upstream = Upstream::with([Answer::silence_after(""), Answer::closing(json("200 OK", STOP))]).await;
    let cap = (8 * MIB).to_string();
    let running = Running::start(&config(&upstream, &["--max-bytes-held", &cap]));
    let body = with_picture(5 * MIB);
    let request = String::from_utf8(post(UNARY, &[("expect", "100-continue")], &body)).unwrap();
    let head = &request[..request.len() - body.len()];
    let mut first = Http1::open(running.address).await;
    first.send(head).await;
    assert_eq!(first.head().await.status, 100);
    first.send(&body).await;
    upstream.wait_for_requests(1).await;
    // It is refused by its length, before its body is asked for.
    let refused = exchange(running.address, head).await;
    is_envelope(&refused, 429, "RESOURCE_EXHAUSTED", "TOO_MANY_BYTES");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(call(running.address, UNARY, HI).await.status, 200);
    drop(first);
    upstream.wait_until_closed().await;
    // The bytes are free a moment after the call has ended.
    let mut next = loop {
        let mut next = Http1::open(running.address).await;
        next.send(head).await;
        if next.head().await.status == 100 {
            break next;
        }
    };
    next.send(&body).await;
    assert_eq!(next.response().await.status, 200);
}

#[tokio::test]
async fn answers_over_the_byte_limit_wait_for_one_another_and_all_succeed() {
    let picture = "QUJD".repeat(MIB);
    let answer =
        STOP.replace("\"text\":\"ok\"", &format!(r#""inlineData":{{"mimeType":"image/png","data":"{picture}"}}"#));
    let streaming = Upstream::answering(sse(format!("data: {answer}\r\n\r\n"))).await;
    let unary = Upstream::answering(json("200 OK", &answer)).await;
    let cap = (6 * MIB).to_string();
    let start = |upstream: &Upstream| Running::start(&config(upstream, &["--max-bytes-held", &cap]));
    let (streaming, unary) = (start(&streaming), start(&unary));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..6 {
        for (address, path) in [(streaming.address, EVENTS), (unary.address, UNARY)] {
            calls.spawn(async move { (path, call(address, path, HI).await) });
        }
    }
    while let Some(ended) = calls.join_next().await {
        let (path, response) = ended.unwrap();
        let expected = if path == EVENTS { format!("data: {answer}\n\n") } else { answer.clone() };
        assert!(response.status == 200 && response.body == expected, "{path}: {}", response.status);
    }
}

#[tokio::test]
async fn a_long_request_does_not_block_other_calls() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &["--workers", "1"]));
    let address = running.address;
    // Every character is an escape, which takes the most steps for its length.
    let long = HI.replace("hi", &"\\u0041".repeat(8 * MIB));
    let mut long = tokio::spawn(async move { call(address, UNARY, &long).await });
    let mut answered = 0;
    let response = loop {
        tokio::select! {
            response = &mut long => break response.unwrap(),
            other = call(address, UNARY, HI) => {
                assert_eq!(other.status, 200);
                answered += 1;
            }
        }
    };
    assert_eq!(response.status, 200, "{response:?}");
    assert!(answered > 20, "{answered}");
}
