//! Fuzzes bodies of streams, which arrive in pieces.
//!
//! The first line of an input says how it is read: `sse` or `sniff`, the maximum size of an event, and the sizes of the
//! pieces, which are repeated. The rest is the body.
#![no_main]

use bytes::Bytes;
use gemini_grpc::gemini::events::{Error, Events, Framing};
use libfuzzer_sys::fuzz_target;

const MAX_EVENT_BYTES: usize = 1 << 16;

/// The events of a body, and its end.
type Reading = (Vec<Bytes>, Result<(), Error>);

fuzz_target!(|input: &[u8]| {
    let (line, body) = input.split_at(input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len()));
    let body = Bytes::copy_from_slice(body.get(1..).unwrap_or_default());
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let framing = if words.next() == Some("sse") { Framing::Sse } else { Framing::Sniff };
    let limit = words.next().and_then(|word| word.parse().ok()).unwrap_or(MAX_EVENT_BYTES).min(MAX_EVENT_BYTES);
    let sizes: Vec<usize> = words.map(|word| word.parse().unwrap_or(1).clamp(1, MAX_EVENT_BYTES)).collect();
    let reader = Reader { framing, limit };

    let whole = reader.read([body.clone()]);
    every_event_is_within_the_limit_and_not_empty(&whole.0, limit);
    for sizes in [&sizes[..], &[1]] {
        assert_eq!(reader.read(cut(&body, sizes)), whole, "the result depends on the sizes of the pieces");
    }
    let cut_short = body.len() - sizes.first().unwrap_or(&1).min(&body.len());
    let (mut events, end) = reader.read([body.slice(..cut_short)]);
    if end.is_ok() {
        // The last event may have been cut behind a line that is a whole value.
        events.pop();
    }
    assert!(whole.0.starts_with(&events), "a part of a body has an event that the whole body does not have");
});

#[derive(Clone, Copy)]
struct Reader {
    framing: Framing,
    limit: usize,
}

impl Reader {
    fn read(self, pieces: impl IntoIterator<Item = Bytes>) -> Reading {
        let mut events = Events::new(self.framing, self.limit);
        let mut seen = Vec::new();
        for piece in pieces {
            events.push(piece);
            while let Some(event) = events.next() {
                match event {
                    Ok(event) => seen.push(event),
                    Err(error) => {
                        nothing_comes_after_an_error(events);
                        return (seen, Err(error));
                    }
                }
            }
        }
        let end = events.finish();
        seen.extend(end.clone().ok().flatten());
        (seen, end.map(|_| ()))
    }
}

fn nothing_comes_after_an_error(mut events: Events) {
    events.push(Bytes::from_static(b"data: {}\n\n{}"));
    assert!(events.next().is_none());
    assert_eq!(events.finish(), Err(Error::Truncated));
}

fn every_event_is_within_the_limit_and_not_empty(events: &[Bytes], limit: usize) {
    for event in events {
        let text = event.trim_ascii();
        assert!(event.len() <= limit && !text.is_empty() && text != b"[DONE]", "{event:?}");
    }
}

fn cut(body: &Bytes, sizes: &[usize]) -> Vec<Bytes> {
    let mut rest = body.clone();
    let mut pieces = Vec::new();
    for &size in sizes.iter().cycle().take_while(|_| !sizes.is_empty()) {
        if rest.is_empty() {
            break;
        }
        pieces.push(rest.split_to(size.min(rest.len())));
    }
    if sizes.is_empty() { vec![rest] } else { pieces }
}
