//! Writes a streamed answer: as server-sent events or as an array, at a given pace, with the faults that were asked for.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio_stream::StreamExt as _;

use super::reported;

/// What is written next.
enum Piece {
    Bytes(Bytes),
    /// The connection breaks.
    Break,
    /// Nothing, forever.
    Silence,
}

/// A streamed answer. `sse` is false for a caller that did not ask for `alt=sse`: Google sends an array then. An `error`
/// comes as an event in the middle.
pub(super) fn response(events: &[Value], sse: bool, fault: &str, error: Option<Bytes>, pace: Duration) -> Response {
    let sse = sse && !matches!(fault, "array" | "object");
    let pieces = match (sse, fault) {
        (true, _) => server_sent(events, fault, error),
        (false, "object") => vec![text(super::answer::single(events).to_string())],
        (false, _) => array(events),
    };
    let kind = if sse { "text/event-stream" } else { "application/json; charset=UTF-8" };
    let mut first = true;
    // No pause after each byte: a short answer would take minutes. Other tasks get their turn in between, so each byte
    // is still written separately.
    let by_byte = fault == "one-byte";
    let body = tokio_stream::iter(pieces).then(move |piece| {
        let pause = if std::mem::take(&mut first) || by_byte { Duration::ZERO } else { pace };
        async move {
            if by_byte {
                tokio::task::yield_now().await;
            } else if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            match piece {
                Piece::Bytes(bytes) => Ok(bytes),
                Piece::Break => Err(std::io::Error::from(std::io::ErrorKind::ConnectionAborted)),
                Piece::Silence => std::future::pending().await,
            }
        }
    });
    ([(CONTENT_TYPE, kind)], Body::from_stream(body)).into_response()
}

fn text(text: impl Into<Bytes>) -> Piece {
    Piece::Bytes(text.into())
}

fn array(events: &[Value]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = events
        .iter()
        .enumerate()
        .map(|(i, event)| text(format!("{}{event:#}", if i == 0 { "[" } else { ",\r\n" })))
        .collect();
    pieces.push(text("]"));
    pieces
}

fn server_sent(events: &[Value], fault: &str, error: Option<Bytes>) -> Vec<Piece> {
    let end = match fault {
        "cr" => "\r",
        "lf" => "\n",
        _ => "\r\n",
    };
    let write = |event: &str| format!("data: {event}{end}{end}");
    let broken = json!({"error": {"code": 503, "message": "[sandbox] broke in the middle", "status": "UNAVAILABLE"}});
    let events: Vec<String> = match reported::answer(fault) {
        Some(events) => events.iter().map(|event| (*event).to_owned()).collect(),
        None => events.iter().map(Value::to_string).collect(),
    };
    let half = events.len().div_ceil(2);
    let mut pieces: Vec<Piece> = Vec::new();
    match fault {
        "bom" => pieces.push(text("\u{feff}")),
        "comments" => pieces.push(text(": sandbox\r\n\r\n")),
        _ => {}
    }
    let cut = error.is_some() || matches!(fault, "error-event" | "error-bare" | "cut" | "cut-event" | "hang-stream");
    let kept = match fault {
        "cut-clean" => &events[..events.len() - 1],
        _ if cut => &events[..half],
        _ => &events,
    };
    pieces.extend(kept.iter().map(|event| text(write(event))));
    match fault {
        "error-event" => pieces.push(text(write(&broken.to_string()))),
        "error-bare" => pieces.push(text(format!("{broken:#}\n"))),
        "cut" => pieces.push(Piece::Break),
        "cut-event" => pieces.push(text("data: {\"candidates\": [{\"content\"")),
        "hang-stream" => pieces.push(Piece::Silence),
        "done" => pieces.push(text(format!("data: [DONE]{end}{end}"))),
        _ => {}
    }
    if let Some(error) = error {
        pieces.push(text(write(&String::from_utf8_lossy(&error))));
    }
    if fault == "one-byte" {
        let whole: Vec<u8> =
            pieces.iter().flat_map(|p| if let Piece::Bytes(b) = p { b.to_vec() } else { vec![] }).collect();
        return whole.into_iter().map(|byte| text(vec![byte])).collect();
    }
    pieces
}
