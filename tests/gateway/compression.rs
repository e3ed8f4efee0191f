//! Compressed answers of upstream.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tonic::Code;

use crate::support::{Gateway, STOP, Upstream, assert_status, event, prompt, text};

const HEAD: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\n";

/// A response with a compressed body, flushed after each piece. Without `end`, gzip's final checksum is missing.
fn compressed(pieces: &[&str], end: bool) -> Vec<u8> {
    let mut encoder = GzEncoder::new(HEAD.to_vec(), Compression::fast());
    for piece in pieces {
        encoder.write_all(piece.as_bytes()).unwrap();
        encoder.flush().unwrap();
    }
    if end { encoder.finish().unwrap() } else { encoder.get_ref().clone() }
}

#[tokio::test]
async fn a_compressed_answer_is_decompressed() {
    let gateway = |bytes| async { Gateway::over(&Upstream::answering(bytes).await).await };
    let answer = gateway(compressed(&[STOP], true)).await.generate(prompt("hi")).await.unwrap();
    assert_eq!(text(&answer), "ok");
    let stream = compressed(&[&event("Hel", false), &event("lo", true)], true);
    let (texts, end) = gateway(stream).await.stream(prompt("hi")).await.unwrap();
    assert_eq!(texts, ["Hel", "lo"]);
    end.unwrap();
}

#[tokio::test]
async fn a_compressed_event_is_delivered_as_soon_as_upstream_flushes_it() {
    let upstream = Upstream::falling_silent_after(compressed(&[&event("Hel", false)], false)).await;
    let gateway = Gateway::over(&upstream).await;
    let mut stream = gateway.client.clone().stream_generate_content(prompt("hi")).await.unwrap().into_inner();
    assert_eq!(text(&stream.message().await.unwrap().unwrap()), "Hel");
}

#[tokio::test]
async fn a_compressed_stream_cut_at_any_byte_never_succeeds() {
    let whole = compressed(&[&event("Hel", false), &event("lo", true)], true);
    for length in HEAD.len()..whole.len() {
        let upstream = Upstream::answering(&whole[..length]).await;
        let ended = Gateway::over(&upstream).await.stream(prompt("hi")).await;
        assert!(!matches!(ended, Ok((_, Ok(())))), "cut to {length} of {} bytes", whole.len());
    }
}

#[tokio::test]
async fn the_size_limit_applies_to_decompressed_bytes() {
    let bomb = "x".repeat(1 << 20);
    let events = event(&bomb, true);
    for (body, stream) in [(bomb.as_str(), false), (&events, true)] {
        let bytes = compressed(&[body], true);
        assert!(bytes.len() < 16 << 10);
        let upstream = Upstream::answering(bytes).await;
        let gateway = Gateway::with(&upstream, &["--max-response-bytes", "65536"]).await;
        let status = match stream {
            false => gateway.generate(prompt("hi")).await.unwrap_err(),
            true => gateway.stream(prompt("hi")).await.unwrap_err(),
        };
        assert_status(&status, Code::ResourceExhausted, "UPSTREAM_ANSWER_TOO_LARGE");
    }
}
