//! The framing of a stream: server-sent events in the one form that every SDK reads, or an array of JSON.
//!
//! An event is exactly `data: `, one line of JSON, and an empty line; a heartbeat is two LF. Comments, ids, names of
//! events, CRLF, `[DONE]` and heartbeats of another length each break one of the official SDKs.

use bytes::{BufMut as _, BytesMut};
use http::HeaderMap;

use super::error::Error;
use super::query::Alt;
use crate::face::{Failure as _, Framing, Large, NO_COPY_FROM};
use crate::gateway::{self, Message};
use crate::telemetry::{CallEnd, CallSpan};

/// How a stream is framed, and how far it has come.
#[derive(Debug)]
pub(super) struct JsonFraming {
    alt: Alt,
    /// Whether an array has elements, so that the next one needs a comma.
    has_elements: bool,
    /// Whether an array was opened.
    is_open: bool,
}

impl JsonFraming {
    pub(super) fn new(alt: Alt) -> Self {
        Self { alt, has_elements: false, is_open: false }
    }

    /// Adds what comes before an event or an element.
    fn begin(&mut self, batch: &mut BytesMut) {
        match self.alt {
            Alt::Sse => batch.put_slice(b"data: "),
            Alt::Json => {
                self.open(batch);
                if self.has_elements {
                    batch.put_slice(b",\n");
                }
                self.has_elements = true;
            }
        }
    }

    fn open(&mut self, batch: &mut BytesMut) {
        if !self.is_open {
            batch.put_u8(b'[');
            self.is_open = true;
        }
    }

    /// What comes after an event or an element.
    fn suffix(&self) -> &'static [u8] {
        match self.alt {
            Alt::Sse => b"\n\n",
            Alt::Json => b"",
        }
    }

    /// Adds a heartbeat. Readers skip it.
    fn heartbeat(&mut self, batch: &mut BytesMut) {
        match self.alt {
            Alt::Sse => batch.put_slice(b"\n\n"),
            Alt::Json => {
                self.open(batch);
                batch.put_u8(b'\n');
            }
        }
    }
}

impl Framing for JsonFraming {
    fn message(&mut self, message: Message, batch: &mut BytesMut) -> Option<Large> {
        let json = message.as_ref();
        if json.is_empty() {
            self.heartbeat(batch);
            return None;
        }
        self.begin(batch);
        let breaks_lines = self.alt == Alt::Sse && breaks_a_line(json);
        if json.len() >= NO_COPY_FROM && !breaks_lines {
            return Some(Large { bytes: message.into_bytes(), suffix: self.suffix() });
        }
        batch.reserve(json.len() + 8);
        match breaks_lines {
            true => put_on_one_line(json, batch),
            false => batch.put_slice(json),
        }
        batch.put_slice(self.suffix());
        None
    }

    fn end(
        &mut self,
        error: Option<gateway::Error>,
        span: &CallSpan,
        batch: &mut BytesMut,
    ) -> (Option<HeaderMap>, CallEnd) {
        let error = error.map(Error::from);
        if let Some(error) = &error {
            self.begin(batch);
            batch.put_slice(error.envelope(span.request_id()).as_bytes());
            batch.put_slice(self.suffix());
        }
        if self.alt == Alt::Json {
            self.open(batch);
            batch.put_u8(b']');
        }
        (None, error.map_or(CallEnd::OK, |error| error.end()))
    }
}

/// The characters beyond CR and LF at which some readers end a line: U+0085, U+2028 and U+2029. Python's `splitlines`
/// does, by which httpx reads events; JSON may contain them as they are.
const LINE_ENDS: [(&[u8], &[u8]); 3] =
    [(b"\xc2\x85", b"\\u0085"), (b"\xe2\x80\xa8", b"\\u2028"), (b"\xe2\x80\xa9", b"\\u2029")];

/// Whether some reader of events would break this JSON into several lines.
fn breaks_a_line(json: &[u8]) -> bool {
    memchr::memchr2(b'\n', b'\r', json).is_some()
        || memchr::memchr2_iter(0xc2, 0xe2, json).any(|at| line_end(&json[at..]).is_some())
}

fn line_end(json: &[u8]) -> Option<&'static (&'static [u8], &'static [u8])> {
    LINE_ENDS.iter().find(|(character, _)| json.starts_with(character))
}

/// Writes JSON on one line. CR and LF can only be white space between its tokens, since they are escaped in texts. The
/// other line ends can only be in texts.
fn put_on_one_line(json: &[u8], batch: &mut BytesMut) {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r' | 0xc2 | 0xe2)) {
        batch.put_slice(&rest[..at]);
        rest = &rest[at..];
        match line_end(rest) {
            Some((character, escaped)) => {
                batch.put_slice(escaped);
                rest = &rest[character.len()..];
            }
            None => {
                if rest[0] >= 0x80 {
                    batch.put_u8(rest[0]);
                }
                rest = &rest[1..];
            }
        }
    }
    batch.put_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_written_on_one_line_with_the_same_meaning() {
        let one_line = |json: &str| {
            let mut batch = BytesMut::new();
            put_on_one_line(json.as_bytes(), &mut batch);
            String::from_utf8_lossy(&batch).into_owned()
        };
        let pretty = "{\r\n  \"a\": \"x\u{2028}y\u{2029}\u{85}é“z”\",\n\t\"b\": [1,\r2]\n}\n";
        let written = one_line(pretty);
        assert_eq!(written, "{  \"a\": \"x\\u2028y\\u2029\\u0085é“z”\",\t\"b\": [1,2]}");
        let parse = |json: &str| serde_json::from_str::<serde_json::Value>(json).ok();
        assert_eq!(parse(&written), parse(pretty));
        assert!(breaks_a_line(pretty.as_bytes()) && !breaks_a_line(written.as_bytes()));
        for (json, breaks) in
            [("{\"a\":\"“é—\"}", false), ("\u{85}", true), ("\u{2028}", true), ("\u{2029}", true), ("\r", true)]
        {
            assert_eq!(breaks_a_line(json.as_bytes()), breaks, "{json:?}");
        }
    }
}
