//! The body of a streamed answer, cut into events: bytes in, complete JSON texts out.
//!
//! What an event holds is not looked at here, only where it begins and ends. An event is given out
//! once it is whole, never before; an answer that ends in the middle of one is an error.

mod body;
mod json;
mod sse;

use std::fmt;

use bytes::Bytes;
use thiserror::Error;

use self::body::Body;
use self::json::JsonStream;
use self::sse::Sse;

const BOM: &[u8] = b"\xEF\xBB\xBF";
/// OpenAI's last event. Upstreams that serve both APIs send it to Gemini's callers as well.
const DONE: &[u8] = b"[DONE]";

/// How the body of an answer is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events, by the rules of the HTML standard (9.2.6), and JSON on lines of its own:
    /// Gemini sends an error in the middle of a stream so, without `data:`.
    Sse,
    /// The first byte that is not white space tells: `[` is an array of objects, `{` one object or
    /// several in a row, anything else but markup is server-sent events under a wrong name.
    Sniff,
}

impl Framing {
    /// The framing that a `Content-Type` header announces. An empty or unknown one is not believed.
    pub fn from_content_type(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("text/event-stream") { Self::Sse } else { Self::Sniff }
    }
}

/// Why a body cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Error {
    /// One event, or one line that carries none, is longer than the reader may hold.
    #[error(
        "an event of the answer is larger than the limit of {limit} bytes; ask for less in one answer or raise the limit"
    )]
    TooLarge {
        /// The most bytes that an event may have.
        limit: usize,
    },
    /// The body ended before the event that it was in.
    #[error("the answer ended in the middle of an event")]
    Truncated,
    /// The body is neither server-sent events nor JSON objects.
    #[error("the answer is neither an event stream nor JSON objects, alone or in an array")]
    Unreadable,
}

/// Reads events from a body that comes in chunks, cut anywhere.
///
/// Push a chunk, then take events until there are none, and so on; at the end of the body call
/// [`Events::finish`]. As an [`Iterator`] it goes on after a `None` when there is more to read.
/// After an error there are no more events.
///
/// An event that lies in one chunk is a slice of that chunk; only an event that spans chunks is
/// copied. What is held is at most one event and one chunk.
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
    /// A reader of events of at most `max_event` bytes each.
    pub fn new(framing: Framing, max_event: usize) -> Self {
        Self { body: Body::default(), limit: max_event, state: State::Start(framing) }
    }

    /// Takes the next chunk of the body.
    pub fn push(&mut self, chunk: Bytes) {
        if !matches!(self.state, State::Ended) {
            self.body.push(chunk);
        }
    }

    /// The body has ended cleanly, and all events were taken: was it whole?
    ///
    /// [`Error::Truncated`] if an event was begun and not ended, if bytes are unread, or after an error.
    pub fn finish(&mut self) -> Result<(), Error> {
        let whole = self.body.is_empty()
            && match &self.state {
                State::Start(_) | State::Sniff => true,
                State::Ended => false,
                State::Sse(sse) => sse.may_end(&self.body),
                State::Json(json) => json.may_end(),
            };
        self.end();
        if whole { Ok(()) } else { Err(Error::Truncated) }
    }

    /// How many bytes are held: those of an event that is not whole, and of a chunk that is not read.
    pub fn held(&self) -> usize {
        self.body.rest().len() + self.body.held().len()
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

/// Says nothing of what is held: that is somebody's answer.
impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Takes the byte-order mark away, if there is one. `None`: the first bytes do not yet tell.
fn start(body: &mut Body, framing: Framing) -> Option<State> {
    if body.rest().len() < BOM.len() && BOM.starts_with(body.rest()) {
        body.wait();
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

/// Tells the framing by the first byte that is not white space. `None`: there is none yet.
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

/// What a reader of answers has to see: not an empty event, which only keeps a connection alive, and
/// not the `[DONE]` of another protocol.
fn is_answer(payload: &[u8]) -> bool {
    let payload = payload.trim_ascii();
    !payload.is_empty() && payload != DONE
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod tests;
