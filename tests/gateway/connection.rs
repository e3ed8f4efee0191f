//! HTTP/2 connections: settings, age, pings, and the limit of connections.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gemini_grpc::pb::health::HealthCheckRequest;
use gemini_grpc::pb::health::health_client::HealthClient;
use gemini_grpc::server::Config;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

use crate::frames::{ACK, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, Raw, SETTINGS, WINDOW_UPDATE};
use crate::support::{Client, Running, Upstream, config, event, prompt, sse};

/// A short time, for tests that wait for a timeout.
const SOON: Duration = Duration::from_millis(50);

/// `:method: GET` (RFC 7541, appendix A), an incomplete header block.
const GET: [u8; 1] = [0x82];

async fn with(flags: &[&str], change: impl FnOnce(&mut Config)) -> Running {
    let mut config = config(&Upstream::answering("").await, flags);
    change(&mut config);
    Running::start(&config)
}

async fn check(channel: &Channel) {
    HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
}

#[tokio::test]
async fn the_settings_frame_has_the_limits_of_streams_and_headers() {
    let running = with(&["--max-streams", "7"], |_| {}).await;
    let frame = Raw::open(running.address).await.next_of(SETTINGS).await.unwrap();
    let pairs = frame.payload.chunks(6).map(|setting| {
        let (name, value) = setting.split_at(2);
        (u16::from_be_bytes(name.try_into().unwrap()), u32::from_be_bytes(value.try_into().unwrap()))
    });
    let settings: HashMap<u16, u32> = pairs.collect();
    // MAX_CONCURRENT_STREAMS and MAX_HEADER_LIST_SIZE (RFC 9113, 6.5.2).
    assert_eq!((settings.get(&3), settings.get(&6)), (Some(&7), Some(&16384)));
}

#[tokio::test]
async fn an_old_connection_is_closed_with_two_goaway_frames() {
    let running = with(&["--connection-age", "0.05"], |_| {}).await;
    let mut raw = Raw::open(running.address).await;
    let last = |payload: &[u8]| u32::from_be_bytes(payload[..4].try_into().unwrap());
    let first = raw.next_of(GOAWAY).await.unwrap();
    // The first GOAWAY allows every call that is already on its way. The second one, after the answer to the ping, has
    // the last call that was accepted.
    assert_eq!((last(&first.payload), &first.payload[4..8]), ((1 << 31) - 1, &[0; 4][..]));
    let ping = raw.next_of(PING).await.unwrap();
    raw.send(PING, ACK, 0, &ping.payload).await;
    assert_eq!(last(&raw.next_of(GOAWAY).await.unwrap().payload), 0);
    assert!(raw.next().await.is_none());
}

#[tokio::test]
async fn a_call_after_goaway_does_not_break_other_calls() {
    let running = with(&["--connection-age", "0.05"], |_| {}).await;
    let mut raw = Raw::open(running.address).await;
    raw.send(HEADERS, END_HEADERS, 1, &watch()).await;
    raw.send(DATA, END_STREAM, 1, &[0; 5]).await;
    assert_eq!(raw.next_of(HEADERS).await.unwrap().stream, 1);
    let ping = raw.next_of(PING).await.unwrap();
    raw.send(PING, ACK, 0, &ping.payload).await;
    assert_eq!(raw.next_of(GOAWAY).await.unwrap().payload, [0, 0, 0, 1, 0, 0, 0, 0]);
    // The frames of a gRPC client that starts a call before it has received GOAWAY.
    raw.send(HEADERS, END_HEADERS, 3, &watch()).await;
    raw.send(WINDOW_UPDATE, 0, 3, &[0, 0, 1, 0]).await;
    raw.send(DATA, END_STREAM, 3, &[0; 5]).await;
    raw.send(WINDOW_UPDATE, 0, 1, &[0, 0, 1, 0]).await;
    raw.send(PING, 0, 0, b"are you?").await;
    assert_eq!(raw.next().await.unwrap().payload, b"are you?");
}

/// The header block of a call of Health/Watch, which stays open (RFC 7541, 6.1 and 6.2.2).
fn watch() -> Vec<u8> {
    let path = b"/grpc.health.v1.Health/Watch";
    let kind = b"application/grpc";
    [
        // POST, http, and names from the static table, each followed by its value.
        &[0x83, 0x86, 0x01, 1, b'a', 0x04, u8::try_from(path.len()).unwrap()][..],
        path,
        &[0x0f, 0x10, u8::try_from(kind.len()).unwrap()],
        kind,
    ]
    .concat()
}

#[tokio::test]
async fn replacing_old_connections_fails_no_call() {
    let running = with(&["--connection-age", "0.05"], |_| {}).await;
    let (address, connections) = (running.address, Arc::new(AtomicUsize::new(0)));
    let counted = connections.clone();
    let connector = tower::service_fn(move |_: http::Uri| {
        counted.fetch_add(1, Ordering::Relaxed);
        async move { TcpStream::connect(address).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://gateway");
    let channel = endpoint.connect_with_connector(connector).await.unwrap();
    while connections.load(Ordering::Relaxed) < 4 {
        check(&channel).await;
    }
}

#[tokio::test]
async fn an_old_connection_that_stays_is_cut_after_the_longest_call() {
    let running = with(&["--connection-age", "0.05"], |config| config.limits.grace = SOON).await;
    let mut raw = Raw::open(running.address).await;
    // It never answers the ping.
    assert!(raw.next_of(GOAWAY).await.is_some());
    raw.read_to_end().await;
}

#[tokio::test]
async fn a_connection_without_an_http2_preface_in_time_is_closed() {
    let running = with(&[], |config| config.limits.first_bytes = SOON).await;
    for sent in [&b""[..], b"P", &PREFACE[..23]] {
        let mut raw = Raw::connect(running.address).await;
        raw.write(sent).await;
        assert_eq!(raw.read_to_end().await, b"", "{sent:?}");
    }
}

#[tokio::test]
async fn a_connection_that_does_not_speak_http2_is_closed_immediately() {
    let running = with(&[], |config| config.limits.first_bytes = Duration::MAX).await;
    for sent in
        [&b"\x16\x03\x01"[..], b"get / HTTP/1.1\r\n\r\n", b"INVALID CONNECTION PREFACE\r\n\r\n", b"\0\0\0\0", b"\xff"]
    {
        let mut raw = Raw::connect(running.address).await;
        raw.write(sent).await;
        assert_eq!(raw.read_to_end().await, b"", "{sent:?}");
    }
    check(&running.connect().await).await;
}

#[tokio::test]
async fn only_clients_that_answer_pings_stay_connected() {
    let short = |config: &mut Config| (config.limits.ping, config.limits.ping_timeout) = (SOON, Duration::from_secs(5));
    let running = with(&[], short).await;
    let mut raw = Raw::open(running.address).await;
    let mut ping = raw.next_of(PING).await.unwrap();
    for _ in 0..3 {
        raw.send(PING, ACK, 0, &ping.payload).await;
        ping = raw.next_of(PING).await.unwrap();
    }
    // No frame may interrupt a header block, so the answer to the ping is a protocol error.
    raw.send(HEADERS, 0, 1, &GET).await;
    raw.send(PING, ACK, 0, &ping.payload).await;
    assert!(raw.next_of(GOAWAY).await.is_some());
    raw.read_to_end().await;
    let short = |config: &mut Config| (config.limits.ping, config.limits.ping_timeout) = (SOON, SOON);
    let running = with(&[], short).await;
    let mut raw = Raw::open(running.address).await;
    raw.send(HEADERS, 0, 1, &GET).await;
    raw.read_to_end().await;
}

#[tokio::test]
async fn an_excess_connection_waits_while_all_others_have_open_calls() {
    let upstream = Upstream::falling_silent_after(sse(event("one", false))).await;
    let flags = ["--max-connections", "1", "--workers", "2"];
    let running = Running::start(&config(&upstream, &flags));
    let first = running.connect().await;
    let mut call = Client::new(first.clone()).stream_generate_content(prompt("hi")).await.unwrap().into_inner();
    assert!(call.message().await.unwrap().is_some());
    let mut second = Raw::open(running.address).await;
    for _ in 0..20 {
        check(&first).await;
    }
    let nothing = second.0.try_read(&mut [0; 1]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    // Without an open call, the first connection is closed to make room.
    drop(call);
    assert!(second.next_of(SETTINGS).await.is_some());
    drop(first);
}
