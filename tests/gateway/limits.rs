//! Limits on calls and bytes: excess calls are refused immediately, and each call releases its share when it ends.
//! Heartbeats too.

use std::time::Duration;

use gemini_grpc::pb::gemini::{Blob, GenerateContentRequest, Part, part};
use gemini_grpc::pb::rpc;
use prost::Message as _;
use tonic::{Code, Status};

use crate::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, Raw};
use crate::shares::framed;
use crate::strangers::{PATH, head};
use crate::support::{Answer, Details, Gateway, STOP, Upstream, assert_status, event, json, prompt, sse};

const MIB: usize = 1 << 20;

fn with_picture(bytes: usize) -> GenerateContentRequest {
    let mut request = prompt("hi");
    let blob = Blob { mime_type: "image/png".into(), data: vec![7; bytes].into(), ..Default::default() };
    request.contents[0].parts.push(Part { data: Some(part::Data::InlineData(blob)), ..Default::default() });
    request
}

#[track_caller]
fn refused(status: &Status, reason: &str) {
    assert_status(status, Code::ResourceExhausted, reason);
    assert!(Details::of(status).find::<rpc::RetryInfo>("RetryInfo").is_some());
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "1000");
}

#[tokio::test]
async fn a_call_counts_as_in_flight_until_its_stream_ends() {
    let silent = Answer::silence_after(sse(event("a", false)));
    let upstream = Upstream::with([silent.clone(), silent, Answer::closing(json("200 OK", STOP))]).await;
    let gateway = Gateway::with(&upstream, &["--max-calls", "2"]).await;
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = gateway.client.clone().stream_generate_content(prompt("hi")).await.unwrap().into_inner();
        stream.message().await.unwrap().unwrap();
        streams.push(stream);
    }
    refused(&gateway.generate(prompt("hi")).await.unwrap_err(), "TOO_MANY_CALLS");
    assert_eq!(upstream.requests().len(), 2);
    drop(streams);
    upstream.wait_until_closed().await;
    gateway.generate(prompt("hi")).await.unwrap();
}

#[tokio::test]
async fn an_unfinished_upload_does_not_block_other_calls() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let gateway = Gateway::with(&upstream, &["--max-calls", "1"]).await;
    let mut raw = Raw::open(gateway.running.address).await;
    let (head, message) = (head(PATH, "a-key"), framed(&prompt("hi").encode_to_vec(), false));
    raw.send(HEADERS, END_HEADERS, 1, &head).await;
    raw.send(DATA, 0, 1, &message[..6]).await;
    // The server reads the frames in order, so it has the beginning of the first call when it answers the second one.
    raw.send(HEADERS, END_HEADERS, 3, &head).await;
    raw.send(DATA, END_STREAM, 3, &message).await;
    assert_eq!(raw.next_of(HEADERS).await.unwrap().stream, 3);
    assert_eq!(upstream.requests().len(), 1, "the second call was refused");
}

#[tokio::test]
async fn a_request_larger_than_the_free_bytes_is_refused_and_small_ones_are_served() {
    let silent = Answer::silence_after("");
    let upstream = Upstream::with([silent, Answer::closing(json("200 OK", STOP))]).await;
    let cap = (8 * MIB).to_string();
    let gateway = Gateway::with(&upstream, &["--max-bytes-held", &cap]).await;
    let mut client = gateway.client.clone();
    // In JSON, three bytes of the picture become four.
    let large = tokio::spawn(async move { client.generate_content(with_picture(4 * MIB)).await });
    upstream.wait_for_requests(1).await;
    refused(&gateway.generate(with_picture(4 * MIB)).await.unwrap_err(), "TOO_MANY_BYTES");
    assert_eq!(upstream.requests().len(), 1);
    gateway.generate(prompt("hi")).await.unwrap();
    large.abort();
    upstream.wait_until_closed().await;
    gateway.generate(with_picture(4 * MIB)).await.unwrap();
}

#[tokio::test]
async fn a_short_request_counts_with_its_json_even_if_that_is_far_longer() {
    let silent = Answer::silence_after("");
    let upstream = Upstream::with([silent.clone(), silent, Answer::closing(json("200 OK", STOP))]).await;
    let gateway = Gateway::with(&upstream, &["--max-bytes-held", &MIB.to_string()]).await;
    // A control character takes six bytes in JSON, so each of these has 360 KiB.
    let escaped = || prompt(&"\u{1}".repeat(60 << 10));
    let mut held = Vec::new();
    for count in 1..=2 {
        let mut client = gateway.client.clone();
        held.push(tokio::spawn(async move { client.generate_content(escaped()).await }));
        upstream.wait_for_requests(count).await;
    }
    refused(&gateway.generate(escaped()).await.unwrap_err(), "TOO_MANY_BYTES");
    assert_eq!(upstream.requests().len(), 2);
    held.iter().for_each(tokio::task::JoinHandle::abort);
    upstream.wait_until_closed().await;
    gateway.generate(escaped()).await.unwrap();
}

#[tokio::test]
async fn answers_over_the_byte_limit_wait_for_one_another_and_all_succeed() {
    let picture = base64_simd::STANDARD.encode_to_string(vec![7; 3 * MIB]);
    let answer = format!(
        r#"{{"candidates":[{{"content":{{"parts":[{{"inlineData":{{"mimeType":"image/png","data":"{picture}"}}}}]}},"finishReason":"STOP"}}]}}"#
    );
    let upstream = Upstream::answering(sse(format!("data: {answer}\r\n\r\n"))).await;
    let unary = Upstream::answering(json("200 OK", &answer)).await;
    let cap = (5 * MIB).to_string();
    let streaming = Gateway::with(&upstream, &["--max-bytes-held", &cap]).await;
    let unary = Gateway::with(&unary, &["--max-bytes-held", &cap]).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..12 {
        let (mut client, mut other) = (streaming.client.clone(), unary.client.clone());
        calls.spawn(async move {
            let mut stream = client.stream_generate_content(prompt("hi")).await?.into_inner();
            while stream.message().await?.is_some() {}
            Ok::<_, Status>(())
        });
        calls.spawn(async move { other.generate_content(prompt("hi")).await.map(drop) });
    }
    while let Some(ended) = calls.join_next().await {
        ended.unwrap().unwrap();
    }
}

#[tokio::test]
async fn heartbeats_are_sent_while_upstream_is_silent() {
    // One gateway is configured to send heartbeats; on the other one the caller requests them.
    let late = Answer::dripping(sse(""), event("late", true), Duration::from_millis(2500));
    let upstream = Upstream::with([late]).await;
    let configured = Gateway::with(&upstream, &["--heartbeat", "1"]).await;
    let plain = Gateway::over(&upstream).await;
    let mut asking = tonic::Request::new(prompt("hi"));
    asking.metadata_mut().insert("x-heartbeat-seconds", "1".parse().unwrap());
    for (gateway, request) in [(&configured, tonic::Request::new(prompt("hi"))), (&plain, asking)] {
        let mut stream = gateway.client.clone().stream_generate_content(request).await.unwrap().into_inner();
        let mut empty = 0;
        while stream.message().await.unwrap().unwrap() == Default::default() {
            empty += 1;
        }
        assert!(empty >= 1);
    }
}

#[tokio::test]
async fn an_error_after_a_heartbeat_ends_the_stream_with_its_own_code() {
    let late = Answer::dripping("", json("404 Not Found", "{}"), Duration::from_millis(1500));
    let upstream = Upstream::with([late]).await;
    let gateway = Gateway::with(&upstream, &["--heartbeat", "1"]).await;
    let (texts, end) = gateway.stream(prompt("hi")).await.unwrap();
    assert_eq!((texts, end.unwrap_err().code()), (vec![String::new()], Code::NotFound));
}

#[tokio::test]
async fn an_invalid_heartbeat_interval_is_refused() {
    let upstream = Upstream::answering("").await;
    let mut request = tonic::Request::new(prompt("hi"));
    request.metadata_mut().insert("x-heartbeat-seconds", "often".parse().unwrap());
    let gateway = Gateway::over(&upstream).await;
    let status = gateway.client.clone().stream_generate_content(request).await.unwrap_err();
    assert_eq!(Details::of(&status).reason(), "METADATA_INVALID");
}
