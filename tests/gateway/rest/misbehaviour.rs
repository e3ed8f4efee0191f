//! Upstreams with faults, keys that upstream repeats, and a panic, as callers over REST see them.

use std::time::Duration;

use super::client::{ARRAY, EVENTS, HI, Http1, Response, UNARY, call, call_http2, error_info, http2, post};
use super::errors::is_envelope;
use crate::panic::{DOOMED, panicking};
use crate::support::{Answer, Running, STOP, Upstream, config, event, http, json, sse};

/// The response to one call, when upstream sends these bytes and closes the connection.
async fn through(bytes: impl Into<Vec<u8>>, path: &str, flags: &[&str]) -> Response {
    let upstream = Upstream::answering(bytes).await;
    let running = Running::start(&config(&upstream, flags));
    call(running.address, path, HI).await
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_an_error_and_none_of_it_is_passed_on() {
    let headers: String = (0..5000).map(|n| format!("x-{n}: {}\r\n", "y".repeat(100))).collect();
    let flood = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n{STOP}", STOP.len());
    let too_long = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{STOP}", STOP.len() - 1);
    let mut packed = http("200 OK", "application/json", [0x1b, 0x42, 0x00]);
    packed.splice(17..17, b"content-encoding: br\r\n".iter().copied());
    let utf16: Vec<u8> = STOP.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let refused = r#"{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}"#;
    for (answer, status, code, reason) in [
        (json("200 OK", ""), 500, "INTERNAL", "UPSTREAM_ANSWER_EMPTY"),
        (b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_vec(), 500, "INTERNAL", "UPSTREAM_ANSWER_EMPTY"),
        (http("200 OK", "text/html", "<html>secret</html>"), 500, "INTERNAL", "UPSTREAM_ANSWER_UNREADABLE"),
        (json("200 OK", &format!("{STOP} secret")), 500, "INTERNAL", "UPSTREAM_ANSWER_UNREADABLE"),
        (json("200 OK", r#"{"candidates":[{"content":"secret"}]}"#), 500, "INTERNAL", "UPSTREAM_ANSWER_UNREADABLE"),
        (http("200 OK", "application/json", utf16), 500, "INTERNAL", "UPSTREAM_ANSWER_UNREADABLE"),
        (json("200 OK", refused), 429, "RESOURCE_EXHAUSTED", "UPSTREAM_REFUSED"),
        (flood.into_bytes(), 503, "UNAVAILABLE", "UPSTREAM_CLOSED"),
        (too_long.into_bytes(), 500, "INTERNAL", "UPSTREAM_ANSWER_UNREADABLE"),
        (packed, 500, "INTERNAL", "UPSTREAM_ANSWER_UNREADABLE"),
        (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), 503, "UNAVAILABLE", "UPSTREAM_CLOSED"),
    ] {
        let response = through(answer, UNARY, &[]).await;
        is_envelope(&response, status, code, reason);
        assert!(!response.body.contains("secret") && !response.body.contains("finishReason"), "{response:?}");
    }
    let hints = [b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n", &json("200 OK", STOP)[..]].concat();
    assert_eq!(through(hints, UNARY, &[]).await.body, STOP);
    for answer in [sse(""), http("200 OK", "text/html", "<html>secret</html>"), sse("data: secret\n\n")] {
        for path in [EVENTS, ARRAY] {
            let response = through(answer.clone(), path, &[]).await;
            assert!(response.status == 500 && !response.body.contains("secret"), "{response:?}");
        }
    }
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_unavailable() {
    let mut upstream = Upstream::answering("").await;
    // Nothing listens on this port: it was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [format!("http://{free}"), "http://no-such-host.invalid".to_owned()] {
        upstream.url = url;
        let running = Running::start(&config(&upstream, &["--retries", "0"]));
        for path in [UNARY, EVENTS, ARRAY] {
            is_envelope(&call(running.address, path, HI).await, 503, "UNAVAILABLE", "UPSTREAM_UNREACHABLE");
        }
    }
}

#[tokio::test]
async fn an_error_body_without_end_is_read_for_a_limited_time_and_up_to_a_limit() {
    let endless = "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\n\r\nno such model";
    let huge = "HTTP/1.1 404 Not Found\r\ncontent-length: 1099511627776\r\n\r\n";
    for (head, drop, every) in [(endless, ".".to_owned(), 100), (huge, "x".repeat(1 << 16), 0)] {
        let upstream = Upstream::with([Answer::dripping(head, drop, Duration::from_millis(every))]).await;
        let running = Running::start(&config(&upstream, &[]));
        let response = call(running.address, UNARY, HI).await;
        is_envelope(&response, 404, "NOT_FOUND", "UPSTREAM_REFUSED");
        assert!(response.json()["error"]["message"].as_str().unwrap().len() <= 1024, "{response:?}");
        upstream.wait_until_closed().await;
    }
}

#[tokio::test]
async fn an_answer_or_event_over_the_size_limit_is_an_error() {
    let limit = ["--max-response-bytes", "4096"];
    let long = "x".repeat(5000);
    let body = STOP.replace("ok", &long);
    let unannounced = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{body}");
    for answer in [json("200 OK", &body), unannounced.into_bytes()] {
        let response = through(answer, UNARY, &limit).await;
        is_envelope(&response, 429, "RESOURCE_EXHAUSTED", "UPSTREAM_ANSWER_TOO_LARGE");
    }
    // An event that is too long, and a line that never ends.
    for last in [event(&long, true), format!("data: {}", "x".repeat(100_000))] {
        let answer = sse(event("one", false) + &last);
        let response = through(answer.clone(), EVENTS, &limit).await;
        assert!(
            response.status == 200 && response.body.contains("one") && !response.body.contains("xxx"),
            "{response:?}"
        );
        let error = response.last_event();
        assert_eq!(
            (error["error"]["code"].as_u64(), error_info(&error)["reason"].as_str()),
            (Some(429), Some("UPSTREAM_ANSWER_TOO_LARGE")),
            "{error}"
        );
        let array = through(answer, ARRAY, &limit).await.json();
        assert_eq!((array[1]["error"]["code"].as_u64(), array.as_array().unwrap().len()), (Some(429), 2), "{array}");
    }
}

#[tokio::test]
async fn unusual_but_complete_streams_succeed() {
    let usage = "data: {\"usageMetadata\":{\"totalTokenCount\":3}}\n\n".to_owned();
    let blocked = "data: {\"promptFeedback\":{\"blockReason\":\"SAFETY\"}}\n\n".to_owned();
    for (body, count) in [
        (blocked, 1),
        (event("Hel", true) + &event("lo", true), 2),
        (event("Hel", true) + &event("lo", false), 2),
        (event("Hi", true) + &usage + "data: [DONE]\n\n", 2),
    ] {
        let response = through(sse(&body), EVENTS, &[]).await;
        assert_eq!((response.status, response.body.matches("data: ").count()), (200, count), "{response:?}");
        assert!(response.last_event().get("error").is_none(), "{response:?}");
        let array = through(sse(&body), ARRAY, &[]).await.json();
        let elements = array.as_array().unwrap();
        assert!(elements.len() == count && elements.iter().all(|element| element.get("error").is_none()), "{array}");
    }
}

#[tokio::test]
async fn an_error_after_a_heartbeat_is_the_last_event() {
    let late = Answer::dripping("", json("404 Not Found", "{}"), Duration::from_millis(1500));
    let upstream = Upstream::with([late]).await;
    let running = Running::start(&config(&upstream, &["--heartbeat", "1"]));
    let response = call(running.address, EVENTS, HI).await;
    assert!(response.status == 200 && response.body.starts_with("\n\n"), "{response:?}");
    assert_eq!(response.last_event()["error"]["code"], 404);
    let array = call(running.address, ARRAY, HI).await.json();
    assert_eq!((array[0]["error"]["code"].as_u64(), array.as_array().unwrap().len()), (Some(404), 1), "{array}");
}

#[tokio::test]
async fn a_key_that_upstream_repeats_is_redacted() {
    let refusal = r#"{"error":{"code":403,"message":"key own-key may not","status":"PERMISSION_DENIED","details":[
        {"@type":"type.googleapis.com/google.rpc.Help","links":[{"description":"for own-key","url":"https://x.test/?key=own-key"}]}]}}"#;
    let answer = STOP.replace("ok", "it is own-key.").replace("{\"cand", "{\"own-key\":\"\\u006fwn-key\",\"cand");
    let refusing_event = format!("data: {}\n\n", refusal.replace('\n', ""));
    for (bytes, path) in [
        (json("403 Forbidden", refusal), UNARY),
        (json("403 Forbidden", refusal), EVENTS),
        (json("200 OK", &answer), UNARY),
        (sse(format!("data: {answer}\n\n")), EVENTS),
        (sse(format!("data: {answer}\n\n")), ARRAY),
        (sse(event("one", false) + &refusing_event), EVENTS),
        (sse(event("one", false) + &refusing_event), ARRAY),
    ] {
        let response = through(bytes, path, &[]).await;
        assert!(!response.body.contains("own-key") && response.body.contains("***"), "{response:?}");
        assert!(!response.body.contains("\\u006f"), "{response:?}");
    }
}

#[tokio::test]
async fn a_panic_ends_only_its_own_call() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::with_telemetry(&config(&upstream, &["--max-calls", "1"]), &panicking());
    let client = http2();
    let mut connection = Http1::open(running.address).await;
    for path in [UNARY, EVENTS, ARRAY] {
        let doomed = path.replace("gemini-2.5-flash", DOOMED);
        connection.send(post(&doomed, &[("x-request-id", "an-id")], HI)).await;
        let over_http1 = connection.response().await;
        assert_eq!(over_http1.header("x-request-id"), Some("an-id"));
        for response in [over_http1, call_http2(&client, running.address, &doomed, HI).await] {
            is_envelope(&response, 500, "INTERNAL", "INTERNAL");
            assert!(!response.body.contains("secret"), "{response:?}");
        }
    }
    assert_eq!(upstream.requests().len(), 0);
    // Both connections still work, and the only place for a call is free.
    connection.send(post(UNARY, &[], HI)).await;
    assert_eq!(connection.response().await.status, 200);
    assert_eq!(call_http2(&client, running.address, UNARY, HI).await.status, 200);
}
