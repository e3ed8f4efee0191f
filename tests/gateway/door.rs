//! Requests to gRPC services that are not gRPC are refused first: nothing is executed, and no quota is used.

use std::sync::Arc;

use gemini_grpc::gateway::callers::TokenHash;
use gemini_grpc::server::Config;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tonic::Code;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::{Service as _, ServiceExt as _};

use crate::certificates::{Authority, Files};
use crate::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, Raw, WINDOW_UPDATE};
use crate::spending::scraped;
use crate::strangers::head;
use crate::support::{Client, Running, STOP, Upstream, body, config, config_without_key, json, prompt};
use crate::tls::{connect, roots, speaking_tls};

const CALLS: [&str; 6] = [
    "/mountsea.gemini.v1.GenerativeService/GenerateContent",
    "/mountsea.gemini.v1.GenerativeService/StreamGenerateContent",
    "/google.ai.generativelanguage.v1beta.GenerativeService/GenerateContent",
    "/google.ai.generativelanguage.v1beta.GenerativeService/StreamGenerateContent",
    "/google.ai.generativelanguage.v1.GenerativeService/GenerateContent",
    "/google.ai.generativelanguage.v1.GenerativeService/StreamGenerateContent",
];
const OTHERS: [&str; 6] = [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "/no.such.Service/Method",
];
const METHODS: [Method; 8] = [
    Method::GET,
    Method::HEAD,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
    Method::TRACE,
    Method::POST,
];
const GRPC: [&str; 4] =
    ["application/grpc", "application/grpc+proto", "application/grpc;a=b", "Application/Grpc+Proto"];
const NOT_GRPC: [&str; 12] = [
    "",
    "text/plain",
    "text/plain;charset=UTF-8",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json",
    "application/proto",
    "application/connect+proto",
    "application/grpc-web+json",
    "application/grpc-web; charset=utf-8",
    "application/grpc-webtext",
    "application/grpc+json",
];

/// A header block with GET, http, / and an authority (RFC 7541, 6.1 and 6.2.2).
const GET: [u8; 6] = [0x82, 0x86, 0x84, 0x01, 1, b'a'];

fn framed() -> Vec<u8> {
    let message = prompt("hi").encode_to_vec();
    [&[0], &(message.len() as u32).to_be_bytes()[..], &message].concat()
}

/// Sends a request, with a content type if there is one.
async fn send(channel: &Channel, method: &Method, path: &str, content_type: Option<&str>) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(path).header("te", "trailers");
    if let Some(content_type) = content_type {
        request = request.header("content-type", content_type);
    }
    let mut channel = channel.clone();
    channel.ready().await.unwrap().call(request.body(body([framed()])).unwrap()).await.unwrap()
}

/// Tries every method with every content type on every path. Only gRPC requests reach `upstream`.
async fn only_grpc_is_executed(upstream: &Upstream, channel: &Channel) {
    for path in CALLS.iter().chain(&OTHERS) {
        for method in METHODS {
            for content_type in GRPC.iter().chain(&NOT_GRPC).map(Some).chain([None]) {
                let is_grpc = content_type.is_some_and(|name| GRPC.contains(name));
                if method == Method::POST && is_grpc {
                    continue;
                }
                let response = send(channel, &method, path, content_type.copied()).await;
                let (head, body) = response.into_parts();
                let words = body.collect().await.unwrap().to_bytes();
                let case = format!("{method} {path} {content_type:?}");
                if method == Method::POST {
                    assert_eq!(head.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{case}");
                } else {
                    assert_eq!(
                        (head.status, &head.headers["allow"]),
                        (StatusCode::METHOD_NOT_ALLOWED, &"POST".parse().unwrap()),
                        "{case}"
                    );
                }
                assert_eq!(head.headers["grpc-status"], "3", "{case}");
                let status = tonic::Status::from_header_map(&head.headers).unwrap();
                for words in [status.message(), str::from_utf8(&words).unwrap()] {
                    // HEAD has no body.
                    assert!(
                        words.contains("application/grpc") || (method == Method::HEAD && words.is_empty()),
                        "{case}: {words}"
                    );
                }
            }
        }
    }
    assert_eq!(upstream.requests().len(), 0);
    for (before, path) in CALLS.iter().enumerate() {
        let response = send(channel, &Method::POST, path, Some(GRPC[before % GRPC.len()])).await;
        assert_eq!(response.status(), StatusCode::OK);
        response.into_body().collect().await.unwrap();
        assert_eq!(upstream.requests().len(), before + 1, "{path}");
    }
}

#[tokio::test]
async fn only_grpc_posts_are_executed_in_plaintext() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &[]));
    only_grpc_is_executed(&upstream, &running.connect().await).await;
}

#[tokio::test]
async fn only_grpc_posts_are_executed_over_tls() {
    let (files, authority) = (Files::new(), Authority::new());
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&speaking_tls(&upstream, &files, &authority, &[]));
    only_grpc_is_executed(&upstream, &connect(&running, &authority, None).await.unwrap()).await;
}

#[tokio::test]
async fn requests_that_are_not_grpc_are_refused_before_admission() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    // The calls have no key, so admission would refuse them with another status.
    let running = Running::start(&config_without_key(&upstream, &["--max-calls", "1"]));
    let channel = running.connect().await;
    for _ in 0..10 {
        let response = send(&channel, &Method::POST, CALLS[0], Some("text/plain")).await;
        assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let response = send(&channel, &Method::POST, CALLS[0], Some("application/grpc")).await;
    assert_eq!(response.headers()["grpc-status"], "16");
}

/// The answer to a client that speaks HTTP/1.1.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

fn requests() -> [String; 5] {
    let [path, other] = [CALLS[0], OTHERS[0]];
    let long =
        format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc\r\ncontent-length: 524288\r\n\r\n");
    [
        format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"),
        format!("GET {other} HTTP/1.0\r\n\r\n"),
        long + &"x".repeat(512 << 10),
        format!(
            "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n"
        ),
        "POST /any HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc+proto\r\n\r\n".to_owned(),
    ]
}

fn has_explanation(answer: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.") && head[8..].starts_with(" 426 "), "{head}");
    assert!(head.contains("\r\nconnection: close") && head.contains("\r\ngrpc-status: 3"), "{head}");
    assert!(head.contains(&format!("\r\ncontent-length: {}", body.len())), "{head}");
    assert!(body.contains("application/grpc") && body.contains("--http2-prior-knowledge"), "{body}");
}

#[tokio::test]
async fn grpc_over_http_1_gets_an_explanation() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &[]));
    for request in requests() {
        has_explanation(&exchange(TcpStream::connect(running.address).await.unwrap(), request.as_bytes()).await);
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn grpc_over_http_1_and_tls_gets_an_explanation() {
    let (files, authority) = (Files::new(), Authority::new());
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let settings: Config = speaking_tls(&upstream, &files, &authority, &[]);
    let running = Running::start(&settings);
    for protocols in [vec![], vec![b"http/1.1".to_vec()]] {
        let mut client = ClientConfig::builder().with_root_certificates(roots(&authority)).with_no_client_auth();
        client.alpn_protocols = protocols;
        let connector = TlsConnector::from(Arc::new(client));
        // hyper ends a connection that asks for an upgrade without TLS's last message.
        for request in requests().into_iter().filter(|request| !request.contains("h2c")) {
            let stream = TcpStream::connect(running.address).await.unwrap();
            let name = ServerName::try_from("127.0.0.1").unwrap();
            has_explanation(&exchange(connector.connect(name, stream).await.unwrap(), request.as_bytes()).await);
        }
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn an_answer_to_head_over_http_1_has_no_body() {
    let running = Running::start(&config(&Upstream::answering("").await, &[]));
    let head = format!("HEAD {} HTTP/1.1\r\nhost: a\r\n\r\n", CALLS[0]);
    let answer = exchange(TcpStream::connect(running.address).await.unwrap(), head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 426 ") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn an_endless_http_1_request_is_closed() {
    let running = Running::start(&config(&Upstream::answering("").await, &[]));
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    while stream.write_all(&[b'x'; 64 << 10]).await.is_ok() {}
}

#[tokio::test]
async fn thousands_of_refused_requests_do_not_close_the_connection() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &[]));
    let mut raw = Raw::open(running.address).await;
    // Otherwise each body waits for the acknowledgement of its headers.
    raw.0.set_nodelay(true).unwrap();
    // All answers together exceed the initial window.
    raw.send(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes()).await;
    // More than the resets that HTTP/2 tolerates. Each body is sent after its request was refused.
    let (mut stream, last) = (1, 2 * 1100 + 1);
    while stream < last {
        raw.send(HEADERS, END_HEADERS, stream, &GET).await;
        while raw.next_of(HEADERS).await.unwrap().stream != stream {}
        raw.send(DATA, END_STREAM, stream, &framed()).await;
        stream += 2;
    }
    raw.send(HEADERS, END_HEADERS, last, &head(CALLS[0], "a-key")).await;
    raw.send(DATA, END_STREAM, last, &framed()).await;
    upstream.wait_for_requests(1).await;
}

#[tokio::test]
async fn refused_requests_use_no_quota_and_are_counted_by_reason() {
    let (telemetry, scrape) = scraped();
    let (upstream, files) = (Upstream::answering(json("200 OK", STOP)).await, Files::new());
    let hash = TokenHash::of("gg_a-token").to_hex();
    let callers = files.write("callers.toml", &format!("[callers.a]\ntoken_sha256 = '{hash}'\ncalls_per_minute = 1"));
    let flags = ["--auth", "tokens", "--callers", &callers];
    let running = Running::with_telemetry(&config(&upstream, &flags), &telemetry);
    let channel = running.connect().await;
    for _ in 0..3 {
        send(&channel, &Method::GET, CALLS[0], Some("application/grpc")).await;
    }
    for _ in 0..2 {
        send(&channel, &Method::POST, CALLS[0], Some("text/plain")).await;
    }
    exchange(TcpStream::connect(running.address).await.unwrap(), requests()[0].as_bytes()).await;
    let metrics = scrape();
    for (reason, count) in [("method", 3), ("content_type", 2), ("http1", 1)] {
        let mut lines = metrics.lines().filter(|line| line.starts_with("gemini_grpc_requests_refused_total{"));
        let line = lines.find(|line| line.contains(&format!("reason=\"{reason}\""))).unwrap();
        assert!(line.ends_with(&format!(" {count}")), "{line}");
    }
    // They are counted neither as calls nor for a model.
    let calls = ["rpc_server_call_duration_seconds_count", "gemini_grpc_usage_calls_total", "gen_ai_"];
    assert!(!metrics.lines().any(|line| calls.iter().any(|name| line.starts_with(name))), "{metrics}");
    // The only call of this minute is still available.
    for code in [None, Some(Code::ResourceExhausted)] {
        let mut request = tonic::Request::new(prompt("hi"));
        request.metadata_mut().insert("x-goog-api-key", "gg_a-token".parse().unwrap());
        let called = Client::new(channel.clone()).generate_content(request).await;
        assert_eq!(called.err().map(|status| status.code()), code);
    }
}
