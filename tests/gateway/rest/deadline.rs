//! Deadlines, and calls whose client has gone: the request to upstream ends with them.

use std::time::Duration;

use super::client::{EVENTS, HI, Http1, UNARY, exchange, post};
use crate::support::{Answer, Running, Upstream, config, event, sse};

#[tokio::test]
async fn a_call_ends_at_its_callers_deadline_and_so_does_its_request_to_upstream() {
    let upstream = Upstream::falling_silent_after("").await;
    let running = Running::start(&config(&upstream, &[]));
    for (before, (path, name)) in [(UNARY, "X-Server-Timeout"), (EVENTS, "x-server-timeout")].into_iter().enumerate() {
        let response = exchange(running.address, post(path, &[(name, "0.2")], HI)).await;
        assert_eq!(response.status, 504, "{response:?}");
        let error = &response.json()["error"];
        assert_eq!(error["status"], "DEADLINE_EXCEEDED");
        assert!(error["message"].as_str().unwrap().contains("within 0.2 s (the caller's x-server-timeout)"), "{error}");
        assert_eq!(error["details"].as_array().unwrap().last().unwrap()["metadata"]["limit"], "caller");
        upstream.wait_for_requests(before + 1).await;
        upstream.wait_until_closed().await;
    }
}

#[tokio::test]
async fn a_stream_that_meets_its_deadline_ends_with_an_error() {
    let upstream = Upstream::falling_silent_after(sse(event("one", false))).await;
    let running = Running::start(&config(&upstream, &[]));
    let response = exchange(running.address, post(EVENTS, &[("x-server-timeout", "0.2")], HI)).await;
    assert_eq!(response.status, 200);
    let (first, last) = response.body.split_once("\n\n").unwrap();
    assert!(first.contains("one") && last.starts_with(r#"data: {"error":{"code":504,"#), "{response:?}");
    upstream.wait_until_closed().await;
}

#[tokio::test]
async fn the_request_to_upstream_ends_at_the_deadline_even_if_the_client_reads_nothing() {
    let filler = event(&"x".repeat(10_000), false);
    let upstream = Upstream::with([Answer::dripping(sse(""), filler.repeat(50), Duration::from_millis(1))]).await;
    let running = Running::start(&config(&upstream, &[]));
    let mut connection = Http1::open(running.address).await;
    connection.send(post(EVENTS, &[("x-server-timeout", "1")], HI)).await;
    upstream.wait_for_requests(1).await;
    upstream.wait_until_closed().await;
    // The connection is closed, since it could not be used for another call.
    let answer = connection.read_to_end().await;
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.ends_with("0\r\n\r\n"));
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_call() {
    for (answer, path) in [("", UNARY), ("", EVENTS), ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{", UNARY)] {
        let upstream = Upstream::falling_silent_after(answer).await;
        let running = Running::start(&config(&upstream, &[]));
        let mut connection = Http1::open(running.address).await;
        connection.send(post(path, &[], HI)).await;
        upstream.wait_for_requests(1).await;
        drop(connection);
        upstream.wait_until_closed().await;
    }
    let upstream = Upstream::falling_silent_after(sse(event("one", false))).await;
    let running = Running::start(&config(&upstream, &[]));
    let mut connection = Http1::open(running.address).await;
    connection.send(post(EVENTS, &[], HI)).await;
    connection.head().await;
    connection.chunk().await.unwrap().unwrap();
    drop(connection);
    upstream.wait_until_closed().await;
}

#[tokio::test]
async fn over_http2_a_call_is_cancelled_and_the_connection_goes_on() {
    let upstream = Upstream::with([
        Answer::silence_after(""),
        Answer::closing(crate::support::json("200 OK", crate::support::STOP)),
    ])
    .await;
    let running = Running::start(&config(&upstream, &[]));
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let url = format!("http://{}{UNARY}", running.address);
    let send = || client.post(&url).header("content-type", "application/json").body(HI).send();
    let call = tokio::spawn(send());
    upstream.wait_for_requests(1).await;
    call.abort();
    upstream.wait_until_closed().await;
    assert_eq!(send().await.unwrap().status(), 200);
}
