//! Server-sent events, as the HTML standard reads them (9.2.6), and JSON that stands between them.

use bytes::{Buf, Bytes};
use memchr::memchr2;

use super::body::Body;
use super::json::Brackets;
use super::{DONE, Error, is_answer};

const DATA: &[u8] = b"data:";

#[derive(Default)]
pub(super) struct Sse {
    line: Line,
    data: Option<Data>,
    /// The last byte was a CR: an LF that follows belongs to it.
    after_cr: bool,
    /// Lines end in CRLF here, so a CR at the very end is half a line end.
    crlf: bool,
}

/// The line that is being read.
#[derive(Default)]
enum Line {
    #[default]
    Start,
    /// `data:`, with its beginning held.
    Data,
    /// A comment, or a field of no use to us, of this length so far.
    Ignored(usize),
    /// Not a line but JSON, over as many lines as it likes.
    Json(Brackets),
}

/// The values of an event's data lines.
enum Data {
    One(Bytes),
    /// Joined with LF.
    Several(Vec<u8>),
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::One(value) => value.len(),
            Self::Several(values) => values.len(),
        }
    }
}

impl Sse {
    pub(super) fn read(&mut self, body: &mut Body, limit: usize) -> Result<Option<Bytes>, Error> {
        while let Some(&first) = body.rest().first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                self.crlf = true;
                body.skip(1);
                continue;
            }
            let event = match &mut self.line {
                Line::Json(brackets) => {
                    let Some(value) = brackets.read(body, limit)? else {
                        return Ok(None);
                    };
                    self.line = Line::Start;
                    Some(value).filter(|value| is_answer(value))
                }
                Line::Start if matches!(first, b'{' | b'[') => {
                    self.line = Line::Json(Brackets::default());
                    self.dispatch()
                }
                _ => match memchr2(b'\n', b'\r', body.rest()) {
                    Some(end) => self.end_line(body, end, limit)?,
                    None => return self.begin_line(body, limit).map(|()| None),
                },
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    /// The line ends at `end`. An empty one ends the event.
    fn end_line(&mut self, body: &mut Body, end: usize, limit: usize) -> Result<Option<Bytes>, Error> {
        let line = &body.rest()[..end];
        let mut event = None;
        match self.line {
            Line::Start if line.is_empty() => event = self.dispatch(),
            Line::Start if value_start(line).is_none() => within(line.len(), limit)?,
            Line::Ignored(length) => within(length + line.len(), limit)?,
            _ => {
                let mut line = body.take(end);
                line.advance(value_start(&line).unwrap_or(0));
                self.add(line, limit)?;
                self.finish_line(body, 0);
                return Ok(None);
            }
        }
        self.finish_line(body, end);
        Ok(event)
    }

    fn finish_line(&mut self, body: &mut Body, end: usize) {
        self.after_cr = body.rest().get(end) == Some(&b'\r');
        self.line = Line::Start;
        body.skip(end + 1);
    }

    /// The line goes on in the next chunk.
    fn begin_line(&mut self, body: &mut Body, limit: usize) -> Result<(), Error> {
        let rest = body.rest();
        if matches!(self.line, Line::Start) {
            if rest.len() < DATA.len() && DATA.starts_with(rest) {
                body.wait();
                return Ok(());
            }
            self.line = if rest.starts_with(DATA) { Line::Data } else { Line::Ignored(0) };
        }
        if let Line::Ignored(length) = &mut self.line {
            *length += rest.len();
            within(*length, limit)?;
            body.skip(rest.len());
            return Ok(());
        }
        body.hold(DATA.len() + 1 + limit);
        let line = body.held();
        within(self.joined(line.len() - value_start(line).unwrap_or(0)), limit)
    }

    /// The size of the data with one more value.
    fn joined(&self, value: usize) -> usize {
        self.data.as_ref().map_or(value, |data| data.len() + 1 + value)
    }

    fn add(&mut self, value: Bytes, limit: usize) -> Result<(), Error> {
        within(self.joined(value.len()), limit)?;
        self.data = Some(match self.data.take() {
            None => Data::One(value),
            Some(data) => {
                let mut values = match data {
                    Data::One(first) => first.to_vec(),
                    Data::Several(values) => values,
                };
                values.push(b'\n');
                values.extend_from_slice(&value);
                Data::Several(values)
            }
        });
        Ok(())
    }

    fn dispatch(&mut self) -> Option<Bytes> {
        let payload = match self.data.take()? {
            Data::One(value) => value,
            Data::Several(values) => values.into(),
        };
        is_answer(&payload).then_some(payload)
    }

    /// Whether the body may end here. `[DONE]` alone needs no line end: there is nothing in it to lose.
    pub(super) fn may_end(&self, body: &Body) -> bool {
        let done = match (&self.line, &self.data) {
            (Line::Start, None) => true,
            (Line::Start, Some(Data::One(value))) => value == DONE,
            (Line::Data, None) => value_start(body.held()).is_some_and(|start| &body.held()[start..] == DONE),
            _ => false,
        };
        done && !(self.after_cr && self.crlf)
    }
}

/// Where the value of a data line begins. `None` for any other line.
fn value_start(line: &[u8]) -> Option<usize> {
    match line.strip_prefix(DATA) {
        Some([b' ', ..]) => Some(DATA.len() + 1),
        Some(_) => Some(DATA.len()),
        // A field without a colon has the empty value.
        None => (line == b"data").then_some(line.len()),
    }
}

fn within(length: usize, limit: usize) -> Result<(), Error> {
    if length > limit { Err(Error::TooLarge { limit }) } else { Ok(()) }
}
