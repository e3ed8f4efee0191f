//! Calls that are cancelled, in every phase: their upstream connection is closed.

use std::time::Duration;

use crate::support::{Answer, Gateway, STOP, Upstream, event, json, prompt, sse, unfinished_body};

#[tokio::test]
async fn a_call_cancelled_during_its_upload_frees_its_place() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::with(&upstream, &["--max-calls", "1"]).await;
    let sending = gateway.raw("GenerateContent", [], unfinished_body());
    let _ = tokio::time::timeout(Duration::from_millis(200), sending).await.unwrap_err();
    gateway.generate(prompt("hi")).await.unwrap();
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn a_call_cancelled_before_its_answer_closes_its_upstream_connection() {
    let upstream = Upstream::falling_silent_after("").await;
    let gateway = Gateway::over(&upstream).await;
    for method in ["unary", "stream"] {
        let mut client = gateway.client.clone();
        let call = tokio::spawn(async move {
            match method {
                "unary" => drop(client.generate_content(prompt("hi")).await),
                _ => drop(client.stream_generate_content(prompt("hi")).await),
            }
        });
        upstream.wait_for_requests(1).await;
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
    let upstream = Upstream::with([Answer::closing(busy), Answer::closing(json("200 OK", STOP))]).await;
    let gateway = Gateway::with(&upstream, &["--max-calls", "1"]).await;
    let mut client = gateway.client.clone();
    let call = tokio::spawn(async move { client.generate_content(prompt("first")).await });
    upstream.wait_for_requests(1).await;
    upstream.wait_until_closed().await;
    call.abort();
    while gateway.generate(prompt("second")).await.is_err() {}
    // The first call would have gone out again by now, had it gone on for the second that upstream asked for.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let requests = upstream.requests();
    assert!(requests.len() == 2 && requests[1].contains("second"), "{requests:?}");
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
