//! Streams: however upstream frames its events, callers get the one framing that all SDKs read.

use super::client::{ARRAY, EVENTS, HI, Http1, Response, call, post};
use crate::support::{Answer, Running, Upstream, config, http, sse};

const ONE: &str = r#"{"candidates":[{"content":{"parts":[{"text":"one"}]}}]}"#;
const TWO: &str = r#"{"candidates":[{"content":{"parts":[{"text":"two"}]},"finishReason":"STOP"}]}"#;

/// What a caller gets when upstream sends these bytes and closes the connection.
async fn through(bytes: impl Into<Vec<u8>>, path: &str) -> Response {
    let upstream = Upstream::answering(bytes).await;
    let running = Running::start(&config(&upstream, &[]));
    call(running.address, path, HI).await
}

/// The events of a body, each in exactly the one framing.
fn events(body: &str) -> Vec<serde_json::Value> {
    let blocks = body.strip_suffix("\n\n").unwrap_or_else(|| panic!("no empty line at the end: {body:?}"));
    let read = |block: &str| {
        let json = block.strip_prefix("data: ").unwrap_or_else(|| panic!("not an event: {block:?}"));
        assert!(!json.contains(['\n', '\r']), "{json:?}");
        serde_json::from_str(json).unwrap()
    };
    blocks.split("\n\n").map(read).collect()
}

#[tokio::test]
async fn every_framing_of_upstream_becomes_the_one_that_all_sdks_read() {
    let expected = format!("data: {ONE}\n\ndata: {TWO}\n\n");
    let split = TWO.replace("},\"finish", "}\r\ndata: ,\"finish");
    for body in [
        format!("data: {ONE}\n\ndata: {TWO}\n\n"),
        format!("data: {ONE}\r\n\r\ndata: {TWO}\r\n\r\n"),
        format!("data: {ONE}\r\rdata: {TWO}\r\r"),
        format!("data:{ONE}\n\ndata:{TWO}\n\n"),
        format!(": ping\n\ndata: {ONE}\n\n: ping\n\ndata: {TWO}\n\n"),
        format!(": ping\ndata: {ONE}\n: ping\n\n: ping\ndata: {TWO}\n\n"),
        format!("event: message\nid: 1\nretry: 5\ndata: {ONE}\n\nid: 2\ndata: {TWO}\nevent: x\n\n"),
        format!("data: {ONE}\n\n\n\n\ndata: {TWO}\n\n"),
        format!("\ndata: {ONE}\n\n\ndata: {TWO}\n\n\n"),
        format!("data: {ONE}\r\n\r\n\n\ndata: {TWO}\r\n\r\n"),
        format!("data: {ONE}\n\ndata: {TWO}\n\ndata: [DONE]\n\n"),
        format!("data: {ONE}\n\ndata: {TWO}\n\ndata:[DONE]"),
        format!("data: {ONE}\n\ndata: {TWO}"),
        format!("data: {ONE}\n\ndata: {TWO}\n"),
        format!("\u{feff}data: {ONE}\n\ndata: {TWO}\n\n"),
        format!("data: {ONE}\r\n\r\ndata: {split}\r\n\r\n"),
    ] {
        let response = through(sse(&body), EVENTS).await;
        assert_eq!((response.status, &*response.body), (200, &*expected), "{body:?}");
        assert_eq!(response.header("content-type"), Some("text/event-stream"));
        assert_eq!((response.header("x-accel-buffering"), response.header("content-encoding")), (Some("no"), None));
    }
    for (content_type, body) in [
        ("application/json", format!("[{ONE},\n{TWO}]")),
        ("application/json; charset=UTF-8", format!(" [\r\n{ONE}\r\n,\r\n{TWO}\r\n]\r\n")),
    ] {
        let response = through(http("200 OK", content_type, &body), EVENTS).await;
        assert_eq!((response.status, &*response.body), (200, &*expected), "{body:?}");
    }
    let response = through(http("201 Created", "application/json", TWO), EVENTS).await;
    assert_eq!((response.status, response.body), (200, format!("data: {TWO}\n\n")));
}

#[tokio::test]
async fn an_event_of_several_lines_arrives_as_one_with_the_same_meaning() {
    let pretty = TWO.replace('{', "{\n  ").replace("two", "a\u{2028}b\u{2029}c\u{85}d“é");
    let lines: String = pretty.lines().map(|line| format!("data: {line}\n")).collect();
    for body in [format!("{lines}\n"), format!("data: {}\n\n", pretty.replace('\n', " "))] {
        let response = through(sse(&body), EVENTS).await;
        // As httpx reads lines.
        let is_line_end = |c| matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}');
        assert!(!response.body.contains(is_line_end), "{:?}", response.body);
        assert_eq!(events(&response.body), [serde_json::from_str::<serde_json::Value>(&pretty).unwrap()], "{body:?}");
    }
}

#[tokio::test]
async fn without_alt_sse_a_stream_is_an_array_of_json() {
    let body = sse(format!("data: {ONE}\n\ndata: {TWO}\n\n"));
    for path in [ARRAY.to_owned(), format!("{ARRAY}?alt=json"), format!("{ARRAY}?key=own-key")] {
        let response = through(body.clone(), &path).await;
        assert_eq!((response.status, &*response.body), (200, &*format!("[{ONE},\n{TWO}]")));
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
    // Cut, it is still valid JSON, and its last element says what happened.
    let response = through(sse(format!("data: {ONE}\n\n")), ARRAY).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.json()[0]["candidates"][0]["content"]["parts"][0]["text"], "one");
    assert_eq!(response.json()[1]["error"]["status"], "UNAVAILABLE", "{response:?}");
    // Upstream's own framing does not matter.
    let response = through(http("200 OK", "application/json", format!("[{ONE},{TWO}]")), ARRAY).await;
    assert_eq!(response.body, format!("[{ONE},\n{TWO}]"));
}

#[tokio::test]
async fn an_error_in_a_stream_is_an_event_with_error_as_its_first_member() {
    let quota = r#"{"x":1,"error":{"code":429,"message":"no more","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"7s"},{"@type":"type.googleapis.com/a.b.Unknown","c":[1]}]}}"#;
    for event in [format!("data: {quota}\n\n"), format!("{quota}\n\n"), format!("event: error\ndata: {quota}\n\n")] {
        let response = through(sse(format!("data: {ONE}\n\n{event}data: {TWO}\n\n")), EVENTS).await;
        let Some((first, last)) = response.body.split_once("\n\ndata: ") else { panic!("{response:?}") };
        assert_eq!((response.status, first), (200, &*format!("data: {ONE}")));
        assert!(last.starts_with(r#"{"error":{"code":429,"message":""#), "{last}");
        let events = events(&response.body);
        assert_eq!(events.len(), 2, "{response:?}");
        let error = &events[1]["error"];
        assert_eq!((error["code"].as_u64(), error["status"].as_str()), (Some(429), Some("RESOURCE_EXHAUSTED")));
        assert!(error["message"].as_str().unwrap().contains("no more"));
        let detail = |name: &str| {
            let details = error["details"].as_array().unwrap().iter();
            details
                .clone()
                .find(|detail| detail["@type"].as_str().is_some_and(|url| url.ends_with(name)))
                .unwrap_or_else(|| panic!("{error}"))
        };
        assert_eq!(detail("google.rpc.RetryInfo")["retryDelay"], "7s");
        assert_eq!(detail("a.b.Unknown")["c"][0].as_f64(), Some(1.0));
        assert_eq!(detail("google.rpc.ErrorInfo")["domain"], "gemini-grpc");
        assert!(detail("google.rpc.RequestInfo")["requestId"].is_string());
    }
}

#[tokio::test]
async fn a_stream_that_is_cut_at_any_byte_never_looks_complete() {
    let body = format!("data: {ONE}\n\ndata: {TWO}\n\n");
    let whole = sse(&body);
    let head = whole.len() - body.len();
    // An event whose JSON is complete needs no empty line.
    let (first, last) = (head + format!("data: {ONE}").len(), whole.len() - 2);
    for length in 0..=whole.len() {
        for path in [EVENTS, ARRAY] {
            let response = through(&whole[..length], path).await;
            let is_error = response.body.contains(r#"{"error":{"code":"#);
            assert_eq!(is_error, length < last, "{path} cut to {length} of {}: {response:?}", whole.len());
            assert_eq!(response.status != 200, length < first, "{length}: {response:?}");
            if path == EVENTS && response.status == 200 {
                events(&response.body);
            } else {
                response.json();
            }
        }
    }
}

#[tokio::test]
async fn a_heartbeat_is_an_empty_line_or_white_space() {
    for (path, beat, begin, end) in [(EVENTS, "\n\n", "data: ", "\n\n"), (ARRAY, "\n", "[", "]")] {
        let (upstream, go_on) =
            Upstream::pausing(Vec::new(), String::from_utf8(sse(format!("data: {TWO}\n\n"))).unwrap()).await;
        let running = Running::start(&config(&upstream, &[]));
        let mut connection = Http1::open(running.address).await;
        connection.send(post(path, &[("x-heartbeat-seconds", "1")], HI)).await;
        assert_eq!(connection.head().await.status, 200);
        let mut body = String::from_utf8(connection.chunk().await.unwrap().unwrap()).unwrap();
        assert_eq!(body, if path == EVENTS { beat.to_owned() } else { format!("[{beat}") });
        go_on.send(()).unwrap();
        while let Some(chunk) = connection.chunk().await.unwrap() {
            body += str::from_utf8(&chunk).unwrap();
        }
        let rest = body.trim_start_matches(['\n', '[']);
        assert_eq!(rest, format!("{begin}{TWO}{end}").trim_start_matches('['), "{body:?}");
    }
}

#[tokio::test]
async fn events_are_delivered_as_they_come_and_those_of_one_read_in_one_piece() {
    let (upstream, go_on) =
        Upstream::pausing(sse(format!("data: {ONE}\n\ndata: {ONE}\n\n")), format!("data: {TWO}\n\n")).await;
    let running = Running::start(&config(&upstream, &[]));
    let mut connection = Http1::open(running.address).await;
    connection.send(post(EVENTS, &[], HI)).await;
    connection.head().await;
    let first = connection.chunk().await.unwrap().unwrap();
    assert_eq!(String::from_utf8(first).unwrap(), format!("data: {ONE}\n\ndata: {ONE}\n\n"));
    go_on.send(()).unwrap();
    let last = connection.chunk().await.unwrap().unwrap();
    assert_eq!(String::from_utf8(last).unwrap(), format!("data: {TWO}\n\n"));
    assert_eq!(connection.chunk().await, Ok(None));
}

#[tokio::test]
async fn a_picture_passes_through_unchanged() {
    let picture = "QUJD".repeat(1 << 18);
    let message =
        TWO.replace("\"text\":\"two\"", &format!(r#""inlineData":{{"mimeType":"image/png","data":"{picture}"}}"#));
    let response = through(sse(format!("data: {ONE}\n\ndata: {message}\n\n")), EVENTS).await;
    assert!(response.body == format!("data: {ONE}\n\ndata: {message}\n\n"));
    let response = through(sse(format!("data: {ONE}\n\ndata: {message}\n\n")), ARRAY).await;
    assert!(response.body == format!("[{ONE},\n{message}]"));
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_stream() {
    let answer = |body: String| Answer::closing(sse(body));
    let upstream = Upstream::with([answer(format!("data: {TWO}\n\n")), answer(format!("data: {ONE}\n\n"))]).await;
    let running = Running::start(&config(&upstream, &[]));
    let mut connection = Http1::open(running.address).await;
    for _ in 0..3 {
        connection.send(post(EVENTS, &[], HI)).await;
        connection.response().await;
    }
}
