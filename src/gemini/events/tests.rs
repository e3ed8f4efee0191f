//! The rules of reading events one by one: framing, copies, limits and ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;

use super::{Error, Events, Framing};

pub(super) const LIMIT: usize = 1 << 20;

/// The events of a body, and how it ended.
pub(super) type Reading = (Vec<Bytes>, Result<(), Error>);

pub(super) fn read(framing: Framing, limit: usize, chunks: impl IntoIterator<Item = Bytes>) -> Reading {
    let mut events = Events::new(framing, limit);
    let mut seen = Vec::new();
    for chunk in chunks {
        events.push(chunk);
        for event in events.by_ref() {
            match event {
                Ok(event) => seen.push(event),
                Err(error) => return (seen, Err(error)),
            }
        }
    }
    let end = events.finish();
    (seen.into_iter().chain(end.clone().ok().flatten()).collect(), end.map(|_| ()))
}

fn read_whole(framing: Framing, body: &str) -> Reading {
    read(framing, LIMIT, [Bytes::copy_from_slice(body.as_bytes())])
}

/// Cuts `body` into chunks of the given sizes, in turn.
pub(super) fn cut(body: &Bytes, sizes: &[usize]) -> Vec<Bytes> {
    let mut rest = body.clone();
    let mut chunks = Vec::new();
    for &size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        chunks.push(rest.split_to(size.min(rest.len())));
    }
    chunks
}

fn too_large(limit: usize) -> Error {
    Error::TooLarge { limit }
}

#[test]
fn the_content_type_decides_the_framing() {
    for name in ["text/event-stream", "Text/Event-Stream; charset=utf-8", " text/event-stream ;x"] {
        assert_eq!(Framing::from_content_type(name), Framing::Sse, "{name}");
    }
    for name in [
        "application/json",
        "application/json; charset=UTF-8",
        "application/problem+json",
        "",
        "text/html",
        "text/event-streams",
    ] {
        assert_eq!(Framing::from_content_type(name), Framing::Sniff, "{name}");
    }
}

#[test]
fn an_event_within_one_chunk_is_a_slice_of_it() {
    for (framing, body) in [
        (Framing::Sse, "data: {\"a\":1}\r\n\r\n"),
        (Framing::Sse, "{\"a\":1}\n"),
        (Framing::Sniff, "[{\"a\":1}"),
        (Framing::Sniff, "{\"a\":1}"),
    ] {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let (events, _) = read(framing, LIMIT, [body.clone()]);
        assert_eq!(events, ["{\"a\":1}"]);
        assert!(body.as_ptr_range().contains(&events[0].as_ptr()), "the event was copied");
    }
}

#[test]
fn nothing_is_buffered_between_events() {
    for (framing, body) in [(Framing::Sse, "data: {\"a\":1}\r\n\r\n"), (Framing::Sniff, "[{\"a\":1},")] {
        let mut events = Events::new(framing, LIMIT);
        let body = Bytes::copy_from_slice(body.as_bytes());
        for chunk in cut(&body, &[5]) {
            events.push(chunk);
            events.by_ref().for_each(drop);
        }
        assert_eq!(events.body.buffered().len(), 0);
        assert!(events.body.is_empty());
        assert!(body.is_unique(), "a chunk is kept alive");
    }
}

#[test]
fn the_first_bytes_of_a_line_do_not_keep_their_chunk_in_memory() {
    let mut events = Events::new(Framing::Sse, LIMIT);
    let chunk = Bytes::copy_from_slice(b"data: {}\n\nda");
    events.push(chunk.clone());
    assert_eq!(events.by_ref().count(), 1);
    assert!(chunk.is_unique(), "a chunk is kept alive");
}

#[test]
fn an_event_is_returned_as_soon_as_it_is_complete() {
    let mut events = Events::new(Framing::Sse, LIMIT);
    events.push(Bytes::from_static(b"data: {}\r\n\r"));
    assert_eq!(events.next(), Some(Ok(Bytes::from_static(b"{}"))));
    events.push(Bytes::from_static(b"\ndata: []\n\n"));
    assert_eq!(events.next(), Some(Ok(Bytes::from_static(b"[]"))));
    assert_eq!(events.next(), None);
    assert_eq!(events.finish(), Ok(None));
}

#[test]
fn chunks_may_be_pushed_before_the_last_is_read() {
    let mut events = Events::new(Framing::Sse, LIMIT);
    for chunk in ["data: {}\n\nda", "ta: []", "\n\n"] {
        events.push(Bytes::from_static(chunk.as_bytes()));
    }
    assert_eq!(events.by_ref().collect::<Result<Vec<_>, _>>().unwrap(), ["{}", "[]"]);
    assert_eq!(events.finish(), Ok(None));
}

#[test]
fn a_body_that_ends_before_its_events_were_taken_is_truncated() {
    let mut events = Events::new(Framing::Sse, LIMIT);
    events.push(Bytes::from_static(b"data: {}\n\n"));
    assert_eq!(events.finish(), Err(Error::Truncated));
}

#[test]
fn there_are_no_events_after_an_error() {
    let mut events = Events::new(Framing::Sse, 4);
    events.push(Bytes::from_static(b"data: 1234\n\ndata: 12345\n\ndata: 1\n\n"));
    assert_eq!(events.next(), Some(Ok(Bytes::from_static(b"1234"))));
    assert_eq!(events.next(), Some(Err(too_large(4))));
    assert_eq!(events.next(), None);
    events.push(Bytes::from_static(b"data: 1\n\n"));
    assert_eq!(events.next(), None);
    assert_eq!(events.finish(), Err(Error::Truncated));
}

#[test]
fn debug_output_contains_nothing_of_the_response() {
    let mut events = Events::new(Framing::Sse, LIMIT);
    events.push(Bytes::from_static(b"data: secret"));
    assert!(!format!("{events:?}").contains("secret"));
    events.next();
    assert!(!format!("{events:?}").contains("secret"));
}

/// Bodies whose largest event, or line without data, has exactly `limit` bytes.
fn bodies_of(limit: usize) -> Vec<(Framing, String)> {
    let json = format!("{{\"a\":\"{}\"}}", "x".repeat(limit - 8));
    let text = "x".repeat(limit);
    let half = "x".repeat(limit / 2);
    let other_half = "x".repeat(limit - limit / 2 - 1);
    vec![
        (Framing::Sse, format!("data: {json}\r\n\r\n")),
        (Framing::Sse, format!("data:{text}\n\n")),
        (Framing::Sse, format!("data:{half}\ndata: {other_half}\n\n")),
        (Framing::Sse, format!("data{}\n\n", "\ndata".repeat(limit))),
        (Framing::Sse, format!(":{}\n", &text[1..])),
        (Framing::Sse, format!("{text}\n")),
        (Framing::Sse, format!("{json}\n")),
        (Framing::Sniff, json.clone()),
        (Framing::Sniff, format!("{{}}{json}")),
        (Framing::Sniff, format!("[{json}]")),
        (Framing::Sniff, format!("\n: hello\ndata: {json}\n\n")),
    ]
}

#[test]
fn an_event_may_have_as_many_bytes_as_the_limit_and_not_one_more() {
    for size in [1, 2, 3, 7, 1000] {
        for (framing, body) in bodies_of(64) {
            let chunks = cut(&body.clone().into(), &[size]);
            assert_eq!(read(framing, 64, chunks).1, Ok(()), "{body:?} by {size}");
        }
        for (framing, body) in bodies_of(65) {
            let chunks = cut(&body.clone().into(), &[size]);
            assert_eq!(read(framing, 64, chunks).1, Err(too_large(64)), "{body:?} by {size}");
        }
    }
}

#[test]
fn an_event_that_never_ends_is_refused_at_the_limit_and_not_buffered_beyond_it() {
    for (framing, start, more) in [
        (Framing::Sse, "data: ", "xxxxxxxxxx"),
        (Framing::Sse, ": ", "xxxxxxxxxx"),
        (Framing::Sse, "x", "xxxxxxxxxx"),
        (Framing::Sse, "", "data: xxxx\n"),
        (Framing::Sse, "", "data\n"),
        (Framing::Sse, "{", "\"xxxxxxxx\""),
        (Framing::Sse, "{\"", "xxxxxxxxxx"),
        (Framing::Sniff, "[{\"", "xxxxxxxxxx"),
        (Framing::Sniff, "{", "[[[[[[[[[["),
    ] {
        let mut events = Events::new(framing, 1000);
        events.push(Bytes::from_static(start.as_bytes()));
        let mut pushed = 0;
        let end = loop {
            if let Some(end) = events.next() {
                break end;
            }
            assert!(events.body.buffered().len() <= 1000 + "data: ".len());
            assert!(pushed <= 6000, "{start:?} {more:?} is not refused");
            events.push(Bytes::from_static(more.as_bytes()));
            pushed += more.len();
        };
        assert_eq!(end, Err(too_large(1000)), "{start:?} {more:?}");
        assert_eq!(events.body.buffered().len(), 0);
    }
}

#[test]
fn the_number_of_keep_alive_events_is_not_limited() {
    let (events, end) =
        read(Framing::Sse, 100, [Bytes::from(": ping\n\n".repeat(10_000)), Bytes::from("data\n\n".repeat(10_000))]);
    assert_eq!((events.len(), end), (0, Ok(())));
}

#[test]
fn an_event_of_megabytes_in_small_chunks_is_returned_whole() {
    let text = format!("{{\"data\":\"{}\"}}", "iVBORw0K".repeat(1 << 17));
    for (framing, body) in [
        (Framing::Sse, format!("data: {text}\r\n\r\n")),
        (Framing::Sse, format!("{text}\n")),
        (Framing::Sniff, format!("[{text}]")),
    ] {
        let (events, end) = read(framing, text.len(), cut(&body.into(), &[16 << 10]));
        assert_eq!((events.len(), end), (1, Ok(())));
        assert_eq!(events[0], text);
    }
}

#[test]
fn a_body_without_an_event_may_end() {
    for framing in [Framing::Sse, Framing::Sniff] {
        assert_eq!(read_whole(framing, ""), (vec![], Ok(())));
        assert_eq!(read_whole(framing, "\n\n"), (vec![], Ok(())));
    }
}

#[test]
fn the_last_event_may_lack_its_empty_line_if_it_is_a_whole_value() {
    let first = "data: {\"a\":1}\n\n";
    for last in
        ["data: {\"b\":2}", "data:{\"b\":2}\n", "data: {\"b\":\ndata: 2}", "data: {\"b\":2}\r\n", "data: {\"b\":2}\r"]
    {
        let (events, end) = read_whole(Framing::Sse, &format!("{first}{last}"));
        assert_eq!((events.len(), end), (2, Ok(())), "{last:?}");
        assert_eq!(events[1].iter().filter(|byte| !byte.is_ascii_whitespace()).count(), 7, "{last:?}");
    }
    for cut in [
        "data: {\"b\":2",
        "data: {\"b\":\n",
        "data: {\"b\":2}}",
        "data: {}{}",
        "data: {}\n: comm",
        "data: b",
        "dat",
        "data: {}\nda",
    ] {
        let (events, end) = read_whole(Framing::Sse, &format!("{first}{cut}"));
        assert_eq!((events.len(), end), (1, Err(Error::Truncated)), "{cut:?}");
    }
}
