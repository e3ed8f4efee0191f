//! REST: no key and no prompt is in any output of the real program.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::support::Gateway;

const KEY: &str = "AIza-marked-key-of-a-caller";
const PROMPT: &str = "a-marked-prompt";

/// Sends a request and reads until the gateway closes the connection.
fn send(endpoint: &str, line: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(endpoint.trim_start_matches("http://")).unwrap();
    let length = body.len();
    write!(
        stream,
        "{line} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

#[test]
fn keys_and_prompts_are_in_no_log_line_span_or_error() {
    let gateway = Gateway::with(["--log", "trace", "--otel-traces-exporter", "console"]);
    let Gateway { mut running, mut log, endpoint } = gateway;
    // Read all the time, because lines that are not read are dropped.
    let mut out = running.out();
    let reading = [std::thread::spawn(move || out.rest()), std::thread::spawn(move || log.rest())];
    let body = format!(r#"{{"contents":[{{"role":"user","parts":[{{"text":"{PROMPT}"}}]}}]}}"#);
    let broken = format!(r#"{{"contents":[{{"role":"{PROMPT}","parts":[{{"text":{PROMPT}}}]}}]}}"#);
    let json = "content-type: application/json\r\n";
    let mut answers = String::new();
    for path in [
        "/v1beta/models/gemini-2.5-flash:generateContent",
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent",
        "/v1beta/models/sandbox-429:generateContent",
        "/v1beta/models/sandbox-cut:streamGenerateContent",
        "/v1beta/files",
        "/v1beta/models/x:unknown",
    ] {
        for method in ["POST", "GET", "OPTIONS"] {
            for (content_type, body) in [(json, &body), (json, &broken), ("", &body)] {
                send(&endpoint, &format!("{method} {path}?alt=sse&key={KEY}"), content_type, body);
                let headers = format!("{content_type}x-goog-api-key: {KEY}\r\n");
                send(&endpoint, &format!("{method} {path}"), &headers, body);
                let headers = format!("{content_type}authorization: Bearer {KEY} x\r\norigin: https://{PROMPT}\r\n");
                answers += &send(&endpoint, &format!("{method} {path}?key={KEY}%01"), &headers, body);
            }
        }
    }
    // Refused, so their answers repeat nothing.
    answers += &send(&endpoint, &format!("POST /v1/models/x:generateContent?key={KEY}%01"), json, &body);
    answers += &send(&endpoint, &format!("POST /v1/models/x:generateContent?key={KEY}\n"), json, &body);
    running.signal("TERM");
    let shown = reading.map(|reading| reading.join().unwrap()).concat();
    assert!(shown.contains("gemini_grpc::access") && shown.contains("http.route"), "{shown}");
    for text in [&shown, &answers] {
        for secret in [KEY, PROMPT] {
            let at = text.find(secret);
            assert_eq!(at, None, "{}", &text[at.unwrap_or_default().saturating_sub(300)..]);
        }
    }
}
