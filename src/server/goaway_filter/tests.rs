//! What the filter drops and keeps, however the bytes are cut, and whether h2 still needs it.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body_util::Empty;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::Notify;

use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn update(stream: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &[0, 0, 1, 0])
}

/// The filtered bytes of frames that come in pieces, which end at these places.
fn filtered(bytes: &[u8], cuts: &[usize]) -> Vec<u8> {
    let (mut filter, mut pending, mut all) = (FrameFilter::default(), Vec::new(), Vec::new());
    let ends = cuts.iter().copied().chain([bytes.len()]);
    ends.fold(0, |start, end| {
        let mut piece = [&pending[..], &bytes[start..end]].concat();
        let (kept, rest) = filter.filter(&mut piece);
        all.extend_from_slice(&piece[..kept]);
        pending = piece[kept..kept + rest].to_vec();
        end
    });
    [all, pending].concat()
}

/// Two streams, a shutdown and a third stream; and the same without the frames to drop.
fn frames_around_a_shutdown() -> (Vec<u8>, Vec<u8>) {
    let before = [
        frame(SETTINGS, 0, 0, &[]),
        frame(HEADERS, 4, 1, b"head"),
        frame(PING, ACK, 0, b"anything"),
        update(1),
        frame(HEADERS, 4, 3, b"head"),
        frame(0, 1, 3, &[7; 300]),
        update(3),
        frame(PING, 0, 0, &SHUTDOWN_PING),
        update(5),
        frame(PING, ACK, 0, &SHUTDOWN_PING),
    ]
    .concat();
    let all = [
        before.clone(),
        frame(HEADERS, 5, 5, b"late"),
        update(5),
        update(3),
        update(0),
        update(7),
        frame(0, 1, 1, b"x"),
    ];
    let kept = [before, frame(HEADERS, 5, 5, b"late"), update(3), update(0), frame(0, 1, 1, b"x")];
    (all.concat(), kept.concat())
}

#[test]
fn updates_of_late_streams_are_dropped_however_the_bytes_are_cut() {
    let (all, kept) = frames_around_a_shutdown();
    assert_eq!(filtered(&all, &[]), kept);
    for first in 0..all.len() {
        assert_eq!(filtered(&all, &[first]), kept, "{first}");
    }
    let each: Vec<_> = (1..all.len()).collect();
    assert_eq!(filtered(&all, &each), kept);
    for size in 2..40 {
        let cuts: Vec<_> = (size..all.len()).step_by(size).collect();
        assert_eq!(filtered(&all, &cuts), kept, "{size}");
    }
}

#[test]
fn no_byte_waits_before_the_shutdown() {
    let bytes = frame(HEADERS, 4, 1, b"head");
    for cut in 0..bytes.len() {
        let (mut filter, mut piece) = (FrameFilter::default(), bytes[..cut].to_vec());
        assert_eq!(filter.filter(&mut piece), (cut, 0));
    }
}

#[test]
fn an_acknowledgement_of_another_ping_is_no_shutdown() {
    let all = [frame(PING, ACK, 0, &[0; 8]), frame(PING, 0, 0, &SHUTDOWN_PING), update(9)].concat();
    assert_eq!(filtered(&all, &[]), all);
}

#[tokio::test]
async fn a_stream_lacks_the_dropped_frames_however_little_is_read_at_a_time() {
    let (all, kept) = frames_around_a_shutdown();
    for size in 1..30 {
        let mut stream = FilteredStream::new(b"before", tokio::io::join(&all[..], tokio::io::sink()));
        let (mut read, mut piece) = (Vec::new(), vec![0; size]);
        loop {
            match stream.read(&mut piece).await.unwrap() {
                0 => break,
                more => read.extend_from_slice(&piece[..more]),
            }
        }
        assert!(read == [&b"before"[..], &kept].concat(), "{size}");
    }
}

/// Reads frames up to one of that kind without ACK, and returns its payload.
async fn next_of(client: &mut DuplexStream, wanted: u8) -> Vec<u8> {
    loop {
        let mut header = [0; HEADER];
        client.read_exact(&mut header).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, header[0], header[1], header[2]]) as usize];
        client.read_exact(&mut payload).await.unwrap();
        if header[3] == wanted && header[4] & ACK == 0 {
            return payload;
        }
    }
}

/// Shuts down a connection of hyper with an open call, to which the client then sends a late stream and its WINDOW_UPDATE.
/// Returns how the connection ends once the call was answered.
async fn serve_a_late_stream<S>(mut client: DuplexStream, stream: S) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let [arrived, shutdown, answer] = [(); 3].map(|()| Arc::new(Notify::new()));
    let signals = (arrived.clone(), shutdown.clone(), answer.clone());
    let server = tokio::spawn(async move {
        let (arrived, shutdown, answer) = signals;
        let service = service_fn(|_| {
            arrived.notify_one();
            let answer = answer.clone();
            async move {
                answer.notified().await;
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        });
        let connection = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            ended = connection.as_mut() => return ended,
            () = shutdown.notified() => connection.as_mut().graceful_shutdown(),
        }
        connection.await
    });
    // POST / http a, without Huffman codes.
    let call = |stream| frame(HEADERS, END_HEADERS | END_STREAM, stream, b"\x83\x86\x84\x41\x01a");
    client.write_all(&[frame(SETTINGS, 0, 0, &[]), call(1)].concat()).await.unwrap();
    arrived.notified().await;
    shutdown.notify_one();
    assert_eq!(next_of(&mut client, PING).await, SHUTDOWN_PING);
    client.write_all(&frame(PING, ACK, 0, &SHUTDOWN_PING)).await.unwrap();
    assert_eq!(next_of(&mut client, GOAWAY).await[..4], [0, 0, 0, 1]);
    client.write_all(&[call(3), update(3), frame(PING, 0, 0, &[0; 8])].concat()).await.unwrap();
    // What was sent so far is read: its PING is acknowledged, or the connection is at an end.
    let mut read = [0; HEADER + 8];
    client.read_exact(&mut read).await.unwrap();
    answer.notify_one();
    let _ = client.read_to_end(&mut Vec::new()).await;
    server.await.unwrap()
}

#[tokio::test]
async fn h2_still_breaks_the_connection_without_the_filter() {
    let (mut client, stream) = duplex(1 << 16);
    client.write_all(PREFACE).await.unwrap();
    let ended = serve_a_late_stream(client, stream).await;
    assert!(ended.is_err(), "h2 ignores the frame by itself: delete src/server/goaway_filter.rs");
}

#[tokio::test]
async fn with_the_filter_an_open_call_is_answered_after_a_late_stream() {
    let (client, stream) = duplex(1 << 16);
    serve_a_late_stream(client, FilteredStream::new(PREFACE, stream)).await.unwrap();
}
