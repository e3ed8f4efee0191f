//! gRPC-Web over HTTP/1.1 and HTTP/2, binary and text.

use base64_simd::STANDARD as BASE64;
use gemini_grpc::pb::gemini::GenerateContentResponse;
use prost::Message as _;

use crate::support::{Answer, Running, STOP, Upstream, config, event, json, prompt, sse, text};

const SERVICE: &str = "mountsea.gemini.v1.GenerativeService";
/// The content types of gRPC-Web.
pub const TYPES: [&str; 4] = [
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
];

/// A response of gRPC-Web.
pub struct Response {
    pub status: u16,
    headers: http::HeaderMap,
    pub messages: Vec<GenerateContentResponse>,
    /// The frames of trailers in the body.
    trailers: Vec<String>,
}

impl Response {
    /// The value of `grpc-status`, in the headers or in the trailers.
    pub fn code(&self) -> &str {
        let trailers = || self.trailers.first()?.lines().find_map(|line| line.strip_prefix("grpc-status:"));
        let header = self.headers.get("grpc-status").and_then(|value| value.to_str().ok());
        header.or_else(trailers).unwrap().trim()
    }
}

/// Each padded part of a text of base64 on its own.
fn decoded(text: &[u8]) -> Vec<u8> {
    text.split_inclusive(|byte| *byte == b'=')
        .fold((Vec::new(), Vec::new()), |(mut all, mut part): (Vec<u8>, Vec<u8>), piece| {
            part.extend_from_slice(piece);
            // The second of two padding bytes belongs to the same part.
            if part.len() % 4 == 0 {
                all.extend(BASE64.decode_to_vec(&part).unwrap());
                part.clear();
            }
            (all, part)
        })
        .0
}

async fn call(running: &Running, http2: bool, content_type: &str, method: &str, headers: &[(&str, &str)]) -> Response {
    send(running, http2, content_type, method, headers, &prompt("hi").encode_to_vec()).await
}

/// Sends a message, and reads the response.
pub async fn send(
    running: &Running,
    http2: bool,
    content_type: &str,
    method: &str,
    headers: &[(&str, &str)],
    message: &[u8],
) -> Response {
    let mut body = [&[0][..], &(message.len() as u32).to_be_bytes(), message].concat();
    let is_text = content_type.contains("text");
    if is_text {
        body = BASE64.encode_to_string(&body).into_bytes();
    }
    let builder = reqwest::Client::builder();
    let client = if http2 { builder.http2_prior_knowledge() } else { builder.http1_only() }.build().unwrap();
    let mut request = client.post(format!("http://{}/{SERVICE}/{method}", running.address));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.header("content-type", content_type).header("accept", content_type).body(body);
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = response.bytes().await.unwrap().to_vec();
    if is_text {
        body = decoded(&body);
    }
    let (mut messages, mut trailers, mut rest) = (Vec::new(), Vec::new(), &body[..]);
    while let [flag, a, b, c, d, after @ ..] = rest {
        let (frame, next) = after.split_at(u32::from_be_bytes([*a, *b, *c, *d]) as usize);
        match flag {
            0 => messages.push(GenerateContentResponse::decode(frame).unwrap()),
            _ => trailers.push(String::from_utf8(frame.to_vec()).unwrap()),
        }
        rest = next;
    }
    assert!(rest.is_empty(), "{rest:?}");
    Response { status, headers, messages, trailers }
}

#[tokio::test]
async fn both_methods_are_served_with_their_trailers_in_the_body() {
    for http2 in [false, true] {
        for content_type in TYPES {
            let answers = [json("200 OK", STOP), sse(event("Hel", false) + &event("lo", true))];
            let upstream = Upstream::with(answers.map(Answer::closing)).await;
            let running = Running::start(&config(&upstream, &[]));
            for (method, texts) in [("GenerateContent", &["ok"][..]), ("StreamGenerateContent", &["Hel", "lo"])] {
                let response = call(&running, http2, content_type, method, &[]).await;
                assert_eq!((response.status, response.code()), (200, "0"), "{content_type} {method}");
                assert!(response.headers["content-type"].to_str().unwrap().starts_with("application/grpc-web"));
                assert_eq!(response.messages.iter().map(text).collect::<Vec<_>>(), texts);
                assert_eq!(response.trailers.len(), 1, "{:?}", response.trailers);
            }
            assert_eq!(upstream.requests().len(), 2);
        }
    }
}

#[tokio::test]
async fn the_trailers_have_a_load_report_if_that_is_configured() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &["--load-reports"]));
    let response = call(&running, false, TYPES[1], "GenerateContent", &[]).await;
    assert!(response.trailers[0].contains("endpoint-load-metrics-bin:"), "{:?}", response.trailers);
}

#[tokio::test]
async fn an_error_has_its_status_in_the_headers_and_no_empty_frame_of_trailers() {
    let error = r#"{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}"#;
    for http2 in [false, true] {
        for content_type in TYPES {
            let upstream = Upstream::answering(json("429 Too Many Requests", error)).await;
            let running = Running::start(&config(&upstream, &[]));
            for method in ["GenerateContent", "StreamGenerateContent", "Unknown"] {
                let response = call(&running, http2, content_type, method, &[]).await;
                assert_eq!(response.status, 200);
                assert_eq!(response.headers["grpc-status"], if method == "Unknown" { "12" } else { "8" });
                assert!(response.headers.contains_key("grpc-status-details-bin"));
                assert!(response.messages.is_empty() && response.trailers.is_empty());
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_upstream_did_not_finish_ends_with_an_error_in_its_trailers() {
    let upstream = Upstream::answering(sse(event("Hel", false))).await;
    let running = Running::start(&config(&upstream, &[]));
    let response = call(&running, false, TYPES[0], "StreamGenerateContent", &[]).await;
    assert_eq!((response.code(), response.messages.len(), response.trailers.len()), ("14", 1, 1));
    assert!(response.trailers[0].contains("grpc-status-details-bin"), "{:?}", response.trailers);
}

#[tokio::test]
async fn a_page_may_call_only_if_its_origin_is_listed() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &["--cors-origins", "https://app.example"]));
    for http2 in [false, true] {
        for origin in ["https://evil.example", "null"] {
            let response = call(&running, http2, TYPES[1], "GenerateContent", &[("origin", origin)]).await;
            assert_eq!(response.headers["grpc-status"], "7");
            assert!(!response.headers.contains_key("access-control-allow-origin"));
        }
        assert_eq!(upstream.requests().len(), usize::from(http2));
        let response = call(&running, http2, TYPES[1], "GenerateContent", &[("origin", "https://app.example")]).await;
        assert_eq!(
            (response.code(), &response.headers["access-control-allow-origin"]),
            ("0", &"https://app.example".parse().unwrap())
        );
        let exposed = response.headers["access-control-expose-headers"].to_str().unwrap();
        assert!(
            ["grpc-status", "grpc-message", "grpc-status-details-bin"].iter().all(|name| exposed.contains(name)),
            "{exposed}"
        );
    }
}

#[tokio::test]
async fn a_deadline_of_the_caller_holds() {
    let upstream = Upstream::falling_silent_after("").await;
    let running = Running::start(&config(&upstream, &[]));
    let response = call(&running, false, TYPES[0], "GenerateContent", &[("grpc-timeout", "200m")]).await;
    assert_eq!(response.code(), "4");
    upstream.wait_until_closed().await;
}
