//! Upstream's connection breaks at any byte of an answer: no caller can take what arrives for a finished answer.

use super::client::{ARRAY, EVENTS, HI, Response, UNARY, call, call_http2, http2};
use super::errors::is_envelope;
use crate::support::{Answer, Running, STOP, Upstream, config, event, http, json, sse};

const ONE: &str = r#"{"candidates":[{"content":{"parts":[{"text":"one"}]}}]}"#;
const TWO: &str = r#"{"candidates":[{"content":{"parts":[{"text":"two"}]},"finishReason":"STOP"}]}"#;

/// What callers get of an answer that upstream cuts to each of its lengths, from nothing to all of it, over one version
/// of HTTP.
async fn cut_everywhere(answer: &[u8], path: &str, over_http2: bool) -> Vec<Response> {
    let cuts: Vec<_> = (0..=answer.len()).map(|length| Answer::closing(&answer[..length])).collect();
    let count = cuts.len();
    let upstream = Upstream::with(cuts).await;
    let running = Running::start(&config(&upstream, &["--retries", "0"]));
    let client = http2();
    let mut responses = Vec::with_capacity(count);
    for _ in 0..count {
        responses.push(match over_http2 {
            false => call(running.address, path, HI).await,
            true => call_http2(&client, running.address, path, HI).await,
        });
    }
    assert_eq!(upstream.requests().len(), count);
    responses
}

/// An answer that is sent in chunks, whose end is a chunk of its own.
fn chunked(content_type: &str, pieces: &[&str]) -> Vec<u8> {
    let chunks: String = pieces.iter().map(|piece| format!("{:x}\r\n{piece}\r\n", piece.len())).collect();
    format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
        .into_bytes()
}

/// The elements or events of a stream, and whether the last one is an error.
fn messages(response: &Response, path: &str) -> (Vec<serde_json::Value>, bool) {
    let messages: Vec<serde_json::Value> = match path {
        ARRAY => serde_json::from_str(&response.body).unwrap_or_else(|error| panic!("{error}: {response:?}")),
        _ => {
            let events = response.body.strip_suffix("\n\n").unwrap_or_else(|| panic!("{response:?}"));
            let read = |event: &str| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
            events.split("\n\n").map(read).collect()
        }
    };
    let is_error = messages.last().is_some_and(|last| last["error"]["code"].is_u64());
    (messages, is_error)
}

#[tokio::test]
async fn an_answer_that_is_cut_at_any_byte_is_an_error() {
    let to_the_end = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n{STOP}");
    let (front, back) = STOP.split_at(30);
    for answer in [json("200 OK", STOP), chunked("application/json", &[front, back]), to_the_end.into_bytes()] {
        for over_http2 in [false, true] {
            let mut responses = cut_everywhere(&answer, UNARY, over_http2).await;
            let whole = responses.pop().unwrap();
            assert_eq!((whole.status, &*whole.body), (200, STOP));
            for (length, response) in responses.iter().enumerate() {
                let place = format!("cut to {length} of {}: {response:?}", answer.len());
                assert!(response.status >= 500 && !response.body.contains("role"), "{place}");
                assert_eq!(response.json()["error"]["code"], response.status, "{place}");
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_at_any_byte_ends_with_an_error() {
    let events = [format!("data: {ONE}\n\n"), format!("data: {TWO}\n\n")];
    let array = format!("[{ONE},\r\n{TWO}]");
    for (answer, may_end_before) in [
        (chunked("text/event-stream", &[&events[0], &events[1]]), 0),
        // Without chunks, only the JSON itself says what is whole. The last event needs no empty line.
        (sse(events.concat()), 2),
        (http("200 OK", "text/event-stream", events.concat()), 0),
        (json("200 OK", &array), 0),
        (chunked("application/json", &[&array[..40], &array[40..]]), 0),
    ] {
        for path in [EVENTS, ARRAY] {
            let responses = cut_everywhere(&answer, path, path == ARRAY).await;
            for (length, response) in responses.iter().enumerate() {
                let place = format!("{path}, cut to {length} of {}: {response:?}", answer.len());
                let is_whole = length + may_end_before >= answer.len();
                if response.status != 200 {
                    assert!(!is_whole && response.json()["error"]["code"] == response.status, "{place}");
                    continue;
                }
                let (messages, is_error) = messages(response, path);
                assert_eq!(is_error, !is_whole, "{place}");
                let expected: Vec<serde_json::Value> =
                    [ONE, TWO].map(|json| serde_json::from_str(json).unwrap()).into();
                let arrived = messages.len() - usize::from(is_error);
                assert_eq!(messages[..arrived], expected[..arrived], "{place}");
            }
        }
    }
}

#[tokio::test]
async fn a_finish_reason_alone_does_not_complete_a_stream_that_breaks_off() {
    // All events are there, and then the connection is reset instead of ended.
    let body = event("one", false) + &event("two", true);
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n";
    let upstream = Upstream::answering(format!("{head}{body}")).await;
    let running = Running::start(&config(&upstream, &[]));
    for path in [EVENTS, ARRAY] {
        let response = call(running.address, path, HI).await;
        let (messages, is_error) = messages(&response, path);
        assert!(is_error && messages.len() == 3, "{response:?}");
    }
    let response = call(running.address, UNARY, HI).await;
    is_envelope(&response, 503, "UNAVAILABLE", "UPSTREAM_CUT_OFF");
}
