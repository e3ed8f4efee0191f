//! HTTP/1 requests that are framed wrongly, and floods: nothing of them is executed.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;

use super::client::{HI, Http1, UNARY, call, exchange, post};
use crate::support::{Running, STOP, Upstream, config, json};

/// A short time, for tests that wait for a timeout.
const SOON: Duration = Duration::from_millis(50);

async fn gateway() -> (Upstream, Running) {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &[]));
    (upstream, running)
}

#[tokio::test]
async fn a_request_that_a_proxy_may_read_differently_is_refused() {
    let (upstream, running) = gateway().await;
    let head = format!("POST {UNARY} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n");
    let (length, smuggled) = (HI.len(), String::from_utf8(post(UNARY, &[], HI)).unwrap());
    let chunked = format!("{length:x}\r\n{HI}\r\n0\r\n\r\n");
    let both = |first: &str, second: &str| format!("{head}{first}\r\n{second}\r\n\r\n{chunked}{smuggled}");
    let (length_line, te) = (format!("content-length: {}", chunked.len()), "transfer-encoding: chunked");
    let requests = [
        both(&length_line, te),
        both(te, &length_line),
        format!("{head}content-length: {length}\r\ncontent-length: {length}\r\n\r\n{HI}"),
        format!("{head}content-length: {length}, {length}\r\n\r\n{HI}"),
        format!("{head}content-length: +{length}\r\n\r\n{HI}"),
        format!("{head}content-length : {length}\r\n\r\n{HI}"),
        format!("{head}transfer-encoding: gzip, chunked\r\n\r\n{chunked}"),
        format!("{head}transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n{chunked}"),
        format!("{head}transfer-encoding:\x0bchunked\r\n\r\n{chunked}"),
        format!("{head}x: y\r\n folded\r\ncontent-length: {length}\r\n\r\n{HI}"),
        format!("{head}x: y\ncontent-length: {length}\r\n\r\n{HI}"),
        format!("{head}content-length: {length}\n\n{HI}"),
        format!("{head}host: b\r\ncontent-length: {length}\r\n\r\n{HI}"),
        smuggled.replace("host: gateway\r\n", ""),
        smuggled.replace("POST /", "POST http://gateway/"),
        smuggled.replace("POST /", "POST  /"),
        smuggled.replace("HTTP/1.1", "HTTP/1.2"),
        smuggled.replace("host: gateway", "host: gateway\r\nx\0: y"),
        "CONNECT upstream:443 HTTP/1.1\r\nhost: upstream:443\r\n\r\n".to_owned(),
    ];
    for request in requests {
        let mut connection = Http1::open(running.address).await;
        connection.send(&request).await;
        let answer = connection.read_to_end().await;
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{request:?}: {answer:?}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{request:?}: {answer:?}");
    }
    assert_eq!(upstream.requests().len(), 0, "{:?}", upstream.requests());
}

#[tokio::test]
async fn a_broken_chunk_ends_the_connection_without_asking_upstream() {
    let (upstream, running) = gateway().await;
    let head = format!(
        "POST {UNARY} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let length = HI.len();
    for body in [
        format!("{length:x}\n{HI}\r\n0\r\n\r\n"),
        format!("0x{length:x}\r\n{HI}\r\n0\r\n\r\n"),
        format!("-{length:x}\r\n{HI}\r\n0\r\n\r\n"),
        format!("{length:x}\r\n{HI}x\r\n0\r\n\r\n"),
        format!("{:x}\r\n{HI}\r\n0\r\n\r\n", length - 1),
        format!("{length:x};{}\r\n{HI}\r\n0\r\n\r\n", "x".repeat(1000)),
        format!("ffffffffffffffff\r\n{HI}"),
        format!("fffffffffffffffff\r\n{HI}"),
    ] {
        let mut connection = Http1::open(running.address).await;
        connection.send(format!("{head}{body}")).await;
        connection.stream.shutdown().await.unwrap();
        let answer = connection.read_to_end().await;
        assert!(!answer.contains("HTTP/1.1 200"), "{body:?}: {answer:?}");
    }
    assert_eq!(upstream.requests().len(), 0, "{:?}", upstream.requests());
}

#[tokio::test]
async fn a_head_that_is_too_large_gets_431() {
    let (upstream, running) = gateway().await;
    for headers in [format!("x: {}\r\n", "y".repeat(20_000)), "x: y\r\n".repeat(200)] {
        let request = format!("POST {UNARY} HTTP/1.1\r\nhost: a\r\n{headers}\r\n");
        let answer = exchange(running.address, request).await;
        assert_eq!(answer.status, 431, "{answer:?}");
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn a_head_that_takes_too_long_ends_the_connection() {
    let mut config = config(&Upstream::answering("").await, &[]);
    config.limits.hello = SOON;
    let running = Running::start(&config);
    for beginning in ["P", "POST", "POST / HTTP/1.1\r\nhost: a\r\n", "POST / HTTP/1.1\r\nhost: a\r\nx: "] {
        let mut connection = Http1::open(running.address).await;
        connection.send(beginning).await;
        assert_eq!(connection.read_to_end().await, "", "{beginning:?}");
    }
    // A later request on the same connection, too.
    let mut connection = Http1::open(running.address).await;
    connection.send(post("/nothing", &[], HI)).await;
    assert_eq!(connection.response().await.status, 404);
    connection.send("POST / HT").await;
    assert_eq!(connection.read_to_end().await, "");
}

#[tokio::test]
async fn what_is_no_http_gets_no_answer() {
    let (_, running) = gateway().await;
    for bytes in ["\x16\x03\x01", "get / HTTP/1.1\r\n\r\n", "\0\0\0"] {
        let mut connection = Http1::open(running.address).await;
        connection.send(bytes).await;
        assert_eq!(connection.read_to_end().await, "", "{bytes:?}");
    }
}

#[tokio::test]
async fn a_body_that_is_refused_does_not_hide_the_response() {
    let (upstream, running) = gateway().await;
    for (path, length) in [("/nothing", 512 << 10), (UNARY, 512 << 10), (UNARY, 24 << 20)] {
        let long = "x".repeat(length);
        let mut connection = Http1::open(running.address).await;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n",
            long.len()
        );
        connection.send(head).await;
        connection.send(&long).await;
        let status = connection.response().await.status;
        assert_eq!(status, if path == UNARY { 415 } else { 404 });
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn connections_that_stall_do_not_keep_others_out() {
    let upstream = Upstream::answering(json("200 OK", STOP)).await;
    let running = Running::start(&config(&upstream, &["--max-connections", "20", "--workers", "1"]));
    let mut stalled = Vec::new();
    for count in 0..40 {
        let mut connection = Http1::open(running.address).await;
        connection.send(&post(UNARY, &[], HI)[..10 + count]).await;
        stalled.push(connection);
    }
    assert_eq!(call(running.address, UNARY, HI).await.status, 200);
}
