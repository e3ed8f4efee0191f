//! Upstreams with faults below Gemini's API: in HTTP and TCP.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tonic::Code;

use crate::frames::{DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PREFACE, RST_STREAM, Raw, SETTINGS, frame};
use crate::support::{Answer, Details, Gateway, STOP, Upstream, assert_status, http, json, prompt, text};

#[tokio::test]
async fn a_host_that_does_not_exist_is_unavailable() {
    let mut upstream = Upstream::answering("").await;
    upstream.url = "http://no-such-host.invalid".to_owned();
    let status = Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap_err();
    assert_status(&status, Code::Unavailable, "UPSTREAM_UNREACHABLE");
    assert!(status.message().contains("name"), "{}", status.message());
}

#[tokio::test]
async fn a_connection_that_takes_too_long_is_reported_as_the_connect_timeout() {
    // A listener that accepts nothing and has a full backlog: the kernel drops further connection attempts.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let _full = std::net::TcpStream::connect(address).unwrap();
    let mut upstream = Upstream::answering("").await;
    upstream.url = format!("http://{address}");
    let gateway = Gateway::with(&upstream, &["--connect-timeout", "0.2"]).await;
    let status = gateway.generate(prompt("hi")).await.unwrap_err();
    let info = Details::of(&status).info();
    assert_eq!((status.code(), info.reason.as_str()), (Code::DeadlineExceeded, "TIMED_OUT"), "{}", status.message());
    assert_eq!(info.metadata["limit"], "connect");
}

#[tokio::test]
async fn an_endless_error_body_is_read_only_for_a_limited_time() {
    let head = "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\n\r\nno such model";
    let upstream = Upstream::with([Answer::dripping(head, ".", Duration::from_millis(100))]).await;
    let status = Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("no such model"), "{}", status.message());
    upstream.wait_until_closed().await;
}

#[tokio::test]
async fn only_the_beginning_of_a_huge_error_body_is_read() {
    let head = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 1099511627776\r\n\r\n";
    let upstream = Upstream::with([Answer::dripping(head, "x".repeat(1 << 16), Duration::ZERO)]).await;
    let status = Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(status.message().len() <= 1024);
    upstream.wait_until_closed().await;
}

#[tokio::test]
async fn an_answer_with_too_many_headers_fails() {
    let headers: String = (0..5000).map(|n| format!("x-{n}: {}\r\n", "y".repeat(100))).collect();
    let flood = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n{STOP}", STOP.len());
    let upstream = Upstream::answering(flood).await;
    let status = Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap_err();
    assert_status(&status, Code::Unavailable, "UPSTREAM_CLOSED");
}

#[tokio::test]
async fn an_answer_longer_than_its_content_length_fails() {
    let body = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{STOP}", STOP.len() - 1);
    let upstream = Upstream::answering(body).await;
    let status = Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap_err();
    assert_eq!(Details::of(&status).reason(), "UPSTREAM_ANSWER_UNREADABLE");
}

#[tokio::test]
async fn an_answer_in_an_unrequested_encoding_fails() {
    let mut answer = http("200 OK", "application/json", [0x1b, 0x42, 0x00]);
    answer.splice(17..17, b"content-encoding: br\r\n".iter().copied());
    let upstream = Upstream::answering(answer).await;
    let status = Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap_err();
    assert_eq!(Details::of(&status).reason(), "UPSTREAM_ANSWER_UNREADABLE");
}

#[tokio::test]
async fn early_hints_are_not_taken_for_the_answer() {
    let mut answer = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".to_vec();
    answer.extend(json("200 OK", STOP));
    let upstream = Upstream::answering(answer).await;
    assert_eq!(text(&Gateway::over(&upstream).await.generate(prompt("hi")).await.unwrap()), "ok");
}

/// An upstream that speaks HTTP/2, answers its first call with these frames, and all others with success. Also returns
/// the number of calls.
async fn refusing_once(refusal: fn(u32) -> Vec<u8>) -> (Upstream, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut upstream = Upstream::answering("").await;
    upstream.url = format!("http://{}", listener.local_addr().unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (count, mut raw) = (count.clone(), Raw(stream));
            tokio::spawn(async move {
                raw.0.read_exact(&mut [0; PREFACE.len()]).await.unwrap();
                raw.send(SETTINGS, 0, 0, &[]).await;
                while let Some(Frame { stream, .. }) = raw.next_of(HEADERS).await {
                    if count.fetch_add(1, Ordering::Relaxed) == 0 {
                        raw.write(&refusal(stream)).await;
                        continue;
                    }
                    // `:status: 200` is entry 8 of HPACK's table.
                    raw.send(HEADERS, END_HEADERS, stream, &[0x88]).await;
                    raw.send(DATA, END_STREAM, stream, STOP.as_bytes()).await;
                }
            });
        }
    });
    (upstream, calls)
}

#[tokio::test]
async fn a_call_that_http2_reports_as_unprocessed_is_retried() {
    // GOAWAY with 0 as the last processed stream, and REFUSED_STREAM.
    let refusals: [fn(u32) -> Vec<u8>; 2] =
        [|_| frame(GOAWAY, 0, 0, &[0; 8]), |stream| frame(RST_STREAM, 0, stream, &7_u32.to_be_bytes())];
    for refusal in refusals {
        let (upstream, calls) = refusing_once(refusal).await;
        let gateway = Gateway::with(&upstream, &["--upstream-http", "2"]).await;
        assert_eq!(text(&gateway.generate(prompt("hi")).await.unwrap()), "ok");
        assert_eq!(calls.load(Ordering::Relaxed), 2);
    }
}

#[tokio::test]
async fn a_call_that_http2_may_have_processed_is_not_retried() {
    // GOAWAY with INTERNAL_ERROR, and a stream reset with INTERNAL_ERROR.
    let refusals: [fn(u32) -> Vec<u8>; 2] = [
        |_| frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 2]),
        |stream| frame(RST_STREAM, 0, stream, &2_u32.to_be_bytes()),
    ];
    for refusal in refusals {
        let (upstream, calls) = refusing_once(refusal).await;
        let gateway = Gateway::with(&upstream, &["--upstream-http", "2"]).await;
        let status = gateway.generate(prompt("hi")).await.unwrap_err();
        assert_status(&status, Code::Unavailable, "UPSTREAM_CLOSED");
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }
}
