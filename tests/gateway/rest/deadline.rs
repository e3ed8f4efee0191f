//! Deadlines, and calls whose client has gone: the request to upstream ends with them.

use std::time::Duration;

use super::client::{ARRAY, EVENTS, HI, Http1, Response, UNARY, call, error_info, exchange, http2, post, post_http2};
use super::errors::is_envelope;
use crate::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, Raw, SETTINGS};
use crate::support::{Answer, Running, STOP, Upstream, config, event, json, sse};

/// Long values for the other limits. If the tested limit does not work, the error names the ceiling instead.
const LONG_LIMITS: [&str; 4] = ["--upload-timeout", "20", "--max-duration", "20"];

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
    let middle = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{";
    let answers = [("", UNARY), (middle, UNARY), ("", EVENTS), ("", ARRAY)];
    let silent = answers.map(|(answer, _)| Answer::silence_after(answer));
    let upstream = Upstream::with([&silent[..], &[Answer::closing(json("200 OK", STOP))]].concat()).await;
    let running = Running::start(&config(&upstream, &[]));
    let client = http2();
    for (before, (_, path)) in answers.into_iter().enumerate() {
        let call = tokio::spawn(post_http2(&client, running.address, path, HI).send());
        upstream.wait_for_requests(before + 1).await;
        call.abort();
        upstream.wait_until_closed().await;
    }
    assert_eq!(post_http2(&client, running.address, UNARY, HI).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn over_http2_a_stream_ends_when_it_is_reset_or_its_connection_lost() {
    let upstream = Upstream::falling_silent_after(sse(event("one", false))).await;
    let running = Running::start(&config(&upstream, &[]));
    for is_reset in [true, false] {
        let mut raw = Raw::open(running.address).await;
        raw.send(HEADERS, END_HEADERS, 1, &head_http2(EVENTS, &[])).await;
        raw.send(DATA, END_STREAM, 1, HI.as_bytes()).await;
        assert!(raw.next_of(DATA).await.is_some());
        if is_reset {
            // CANCEL (RFC 9113, 7).
            raw.send(RST_STREAM, 0, 1, &8_u32.to_be_bytes()).await;
        } else {
            drop(raw);
        }
        upstream.wait_until_closed().await;
    }
}

#[tokio::test]
async fn over_http2_the_request_to_upstream_ends_at_the_deadline_even_if_the_window_is_closed() {
    let filler = event(&"x".repeat(10_000), false);
    let upstream = Upstream::with([Answer::dripping(sse(""), filler.repeat(50), Duration::from_millis(1))]).await;
    let running = Running::start(&config(&upstream, &[]));
    let mut raw = Raw::open(running.address).await;
    // SETTINGS_INITIAL_WINDOW_SIZE of 0 (RFC 9113, 6.5.2).
    raw.send(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]).await;
    raw.send(HEADERS, END_HEADERS, 1, &head_http2(EVENTS, &[("x-server-timeout", "1")])).await;
    raw.send(DATA, END_STREAM, 1, HI.as_bytes()).await;
    upstream.wait_for_requests(1).await;
    upstream.wait_until_closed().await;
    // The stream is reset, and the connection goes on.
    assert_eq!(raw.next_of(RST_STREAM).await.unwrap().stream, 1);
}

#[tokio::test]
async fn a_client_that_goes_away_before_a_retry_is_not_retried() {
    let busy = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let upstream =
        Upstream::with([Answer::closing(busy), Answer::closing(busy), Answer::closing(json("200 OK", STOP))]).await;
    let running = Running::start(&config(&upstream, &["--max-calls", "1", "--workers", "1"]));
    let mut first = Http1::open(running.address).await;
    first.send(post(UNARY, &[], &HI.replace("hi", "first"))).await;
    upstream.wait_for_requests(1).await;
    upstream.wait_until_closed().await;
    drop(first);
    while call(running.address, UNARY, &HI.replace("hi", "second")).await.status != 200 {}
    // The second call waited for the same delay and was retried, so a retry of the first call would have come before.
    let requests = upstream.requests();
    assert_eq!(requests.len(), 3, "{requests:?}");
    assert!(requests[1].contains("second") && requests[2].contains("second"), "{requests:?}");
}

/// A header block with this path (RFC 7541, 6.1 and 6.2.2).
fn head_http2(path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    // POST, http, and names from the static table, each followed by its value.
    let named = [&[0x83, 0x86, 0x01][..], &text("a"), &[0x04], &text(path), &[0x0f, 0x10], &text("application/json")];
    let rest = headers.iter().map(|(name, value)| [&[0][..], &text(name), &text(value)].concat());
    named.concat().into_iter().chain(rest.flatten()).collect()
}

/// Checks that an error is that of a time limit, and which.
#[track_caller]
fn timed_out(error: &serde_json::Value, limit: &str) {
    let info = error_info(error);
    assert_eq!((error["error"]["code"].as_u64(), info["reason"].as_str()), (Some(504), Some("TIMED_OUT")), "{error}");
    assert_eq!(info["metadata"]["limit"], limit, "{error}");
}

#[tokio::test]
async fn a_call_whose_deadline_has_passed_is_not_sent_upstream() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &[]));
    for path in [UNARY, EVENTS, ARRAY] {
        let response = exchange(running.address, post(path, &[("x-server-timeout", "0")], HI)).await;
        is_envelope(&response, 504, "DEADLINE_EXCEEDED", "TIMED_OUT");
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn each_time_limit_of_the_gateway_ends_calls() {
    let pause = Duration::from_millis(20);
    let trickle = Answer::dripping("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{", " ", pause);
    let drip = Answer::dripping(sse(event("a", false)), event("b", false), pause);
    let stops = Answer::silence_after(sse(event("a", false)));
    let nothing = Answer::silence_after("");
    let ceiling = vec!["--max-duration", "0.3"];
    let with = |flag| [&LONG_LIMITS[..], &[flag, "0.3"]].concat();
    for (answer, path, flags, limit) in [
        (&trickle, UNARY, ceiling.clone(), "ceiling"),
        (&drip, EVENTS, ceiling.clone(), "ceiling"),
        (&drip, ARRAY, ceiling, "ceiling"),
        (&stops, EVENTS, with("--idle-timeout"), "idle"),
        (&stops, ARRAY, with("--idle-timeout"), "idle"),
        (&nothing, UNARY, with("--first-byte-timeout"), "first-byte"),
        (&nothing, EVENTS, with("--first-byte-timeout"), "first-byte"),
        (&Answer::silence_after(sse("")), ARRAY, with("--first-byte-timeout"), "first-byte"),
    ] {
        let upstream = Upstream::with([answer.clone()]).await;
        let running = Running::start(&config(&upstream, &flags));
        let response = call(running.address, path, HI).await;
        timed_out(&error_of(&response, path), limit);
        upstream.wait_until_closed().await;
    }
}

/// The error of a call, wherever it is in the response.
fn error_of(response: &Response, path: &str) -> serde_json::Value {
    match path {
        _ if response.status != 200 => response.json(),
        EVENTS => response.last_event(),
        _ => response.json().as_array().unwrap().last().unwrap().clone(),
    }
}

#[tokio::test]
async fn an_unfinished_upload_ends_at_the_upload_timeout() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &["--upload-timeout", "0.3"]));
    let head = format!("POST {UNARY} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n");
    for rest in ["content-length: 100\r\n\r\n{", "transfer-encoding: chunked\r\n\r\n1\r\n{\r\n"] {
        let response = exchange(running.address, format!("{head}{rest}")).await;
        timed_out(&response.json(), "upload");
    }
    assert_eq!(upstream.requests().len(), 0);
}
