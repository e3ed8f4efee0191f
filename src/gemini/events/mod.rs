//! Splits the body of a streamed response into events: bytes in, complete JSON texts out.
//!
//! Only the beginning and the end of an event are found here; its JSON is not read. An event is returned once it is
//! complete, never before. A body that ends in the middle of an event is an error.

mod body;
mod json;
mod sse;

use std::fmt;

use bytes::Bytes;
use thiserror::Error;

use self::body::Body;
use self::json::JsonStream;
use self::sse::Sse;

/// The byte-order mark of UTF-8.
const BOM: &[u8] = b"\xEF\xBB\xBF";
/// The last event of OpenAI's streams. Upstreams that serve both APIs also send it to callers of Gemini.
const DONE: &[u8] = b"[DONE]";

/// The framing of events in a response body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events by the rules of the HTML standard (9.2.6), and also JSON without `data:` between them: Gemini
    /// sends an error in the middle of a stream like that.
    Sse,
    /// Decided by the first byte that is not white space: `[` is an array of objects, `{` is one object or several in a
    /// row, `<` is a web page, which is an error. Anything else is server-sent events with a wrong content type.
    Sniff,
}

impl Framing {
    /// The framing for a `Content-Type` header. For anything but `text/event-stream`, the body itself decides.
    pub fn from_content_type(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("text/event-stream") { Self::Sse } else { Self::Sniff }
    }
}

/// Why a body cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Error {
    /// One event, or one line without data, is longer than the limit.
    #[error(
        "an event of the answer is larger than the limit of {limit} bytes; ask for less in one answer or raise the limit"
    )]
    TooLarge {
        /// The limit of an event, in bytes.
        limit: usize,
    },
    /// The body ended in the middle of an event.
    #[error("the answer ended in the middle of an event")]
    Truncated,
    /// The body is neither server-sent events nor JSON objects.
    #[error("the answer is neither an event stream nor JSON objects, alone or in an array")]
    Unreadable,
}

/// Reads events from a body that arrives in chunks, which may be cut at any byte.
///
/// Push a chunk, then take events until there are none, and repeat. At the end of the body call [`Events::finish`]. As
/// an [`Iterator`] it may return events again after a `None`, once another chunk was pushed. After an error there are
/// no more events.
///
/// An event inside one chunk is a slice of that chunk; only an event that spans chunks is copied. At most one event and
/// one chunk are buffered.
pub struct Events {
    body: Body,
    limit: usize,
    state: State,
}

enum State {
    Start(Framing),
    Sniff,
    Sse(Sse),
    Json(JsonStream),
    /// After an error, and after the end.
    Ended,
}

impl Events {
    /// A reader for events of at most `max_event_bytes` each.
    pub fn new(framing: Framing, max_event_bytes: usize) -> Self {
        Self { body: Body::default(), limit: max_event_bytes, state: State::Start(framing) }
    }

    /// Takes the next chunk of the body.
    pub fn push(&mut self, chunk: Bytes) {
        if !matches!(self.state, State::Ended) {
            self.body.push(chunk);
        }
    }

    /// Ends a body that has ended cleanly, and returns its last event if that still lacks its empty line: some upstreams
    /// do not send it. All other events must have been taken before.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] if an event has begun and is not one whole JSON value, if bytes are unread, or after an
    /// earlier error.
    pub fn finish(&mut self) -> Result<Option<Bytes>, Error> {
        let last = match &mut self.state {
            _ if !self.body.is_empty() => Err(Error::Truncated),
            State::Start(_) | State::Sniff => Ok(None),
            State::Ended => Err(Error::Truncated),
            State::Sse(sse) => sse.finish(&mut self.body, self.limit),
            State::Json(json) => json.may_end().then_some(None).ok_or(Error::Truncated),
        };
        self.end();
        last
    }

    /// The number of bytes in memory: of an event that is not complete, and of a chunk that is not read yet.
    pub fn buffered_bytes(&self) -> usize {
        self.body.rest().len() + self.body.buffered().len()
    }

    fn end(&mut self) {
        self.state = State::Ended;
        self.body = Body::default();
    }

    fn read(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match &mut self.state {
                State::Start(framing) => match start(&mut self.body, *framing) {
                    Some(state) => self.state = state,
                    None => return Ok(None),
                },
                State::Sniff => match sniff(&mut self.body)? {
                    Some(state) => self.state = state,
                    None => return Ok(None),
                },
                State::Sse(sse) => return sse.read(&mut self.body, self.limit),
                State::Json(json) => return json.read(&mut self.body, self.limit),
                State::Ended => return Ok(None),
            }
        }
    }
}

impl Iterator for Events {
    type Item = Result<Bytes, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let event = self.read();
        if event.is_err() {
            self.end();
        }
        event.transpose()
    }
}

/// Does not print the buffered bytes, which may be private.
impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Skips a byte-order mark. `None`: more bytes are needed to know whether there is one.
fn start(body: &mut Body, framing: Framing) -> Option<State> {
    if body.rest().len() < BOM.len() && BOM.starts_with(body.rest()) {
        body.wait_for_more();
        return None;
    }
    if body.rest().starts_with(BOM) {
        body.skip(BOM.len());
    }
    Some(match framing {
        Framing::Sse => State::Sse(Sse::default()),
        Framing::Sniff => State::Sniff,
    })
}

/// Decides the framing by the first byte that is not white space. `None`: there is none yet.
fn sniff(body: &mut Body) -> Result<Option<State>, Error> {
    body.skip_white_space();
    Ok(match body.rest().first() {
        None => None,
        Some(b'[') => {
            body.skip(1);
            Some(State::Json(JsonStream::array()))
        }
        Some(b'{') => Some(State::Json(JsonStream::objects())),
        Some(b'<') => return Err(Error::Unreadable),
        Some(_) => Some(State::Sse(Sse::default())),
    })
}

/// Whether an event has to be returned. Not if it is empty, which only keeps the connection alive, and not if it is
/// `[DONE]`, which belongs to another protocol.
fn has_content(payload: &[u8]) -> bool {
    let payload = payload.trim_ascii();
    !payload.is_empty() && payload != DONE
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod tests;
