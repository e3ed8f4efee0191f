//! Reads server-sent events by the rules of the HTML standard (9.2.6), and JSON between them.

use bytes::{Buf, Bytes};
use memchr::memchr2;

use super::body::Body;
use super::json::{ValueEnd, is_whole_value};
use super::{DONE, Error, has_content};

const DATA_FIELD: &[u8] = b"data:";

/// A reader of server-sent events.
#[derive(Default)]
pub(super) struct Sse {
    line: Line,
    /// The data lines of the current event.
    data: Option<Data>,
    /// The last byte was a CR. An LF that follows is part of the same line end.
    after_cr: bool,
    /// A line has ended with CRLF. Then a body that ends with a CR is cut inside a line end.
    has_crlf: bool,
}

/// The state of the current line.
#[derive(Default)]
enum Line {
    #[default]
    Start,
    /// A data line whose beginning is buffered.
    Data,
    /// A comment or another field, with its length so far, in bytes.
    Ignored(usize),
    /// JSON without `data:`, on one line or several.
    Json(ValueEnd),
}

/// The values of an event's data lines.
enum Data {
    One(Bytes),
    /// Several values, joined with LF as the standard requires.
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
    /// Reads the next event; `None` if more of the body is needed.
    pub(super) fn read(&mut self, body: &mut Body, limit: usize) -> Result<Option<Bytes>, Error> {
        while let Some(&first) = body.rest().first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                self.has_crlf = true;
                body.skip(1);
                continue;
            }
            let event = match &mut self.line {
                Line::Json(value_end) => {
                    let Some(value) = value_end.read(body, limit)? else {
                        return Ok(None);
                    };
                    self.line = Line::Start;
                    Some(value).filter(|value| has_content(value))
                }
                // No field begins with a bracket. JSON here is an error that Gemini sends without `data:`. Data lines
                // before it are an event of their own, although no empty line has ended it.
                Line::Start if matches!(first, b'{' | b'[') => {
                    self.line = Line::Json(ValueEnd::default());
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

    /// Reads a line that ends at `end`. An empty line ends the event.
    fn end_line(&mut self, body: &mut Body, end: usize, limit: usize) -> Result<Option<Bytes>, Error> {
        let line = &body.rest()[..end];
        let mut event = None;
        match self.line {
            Line::Start if line.is_empty() => event = self.dispatch(),
            Line::Start if value_start(line).is_none() => check_limit(line.len(), limit)?,
            Line::Ignored(length) => check_limit(length + line.len(), limit)?,
            _ => {
                let mut line = body.take(end);
                line.advance(value_start(&line).unwrap_or(0));
                self.add_data(line, limit)?;
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

    /// Reads the beginning of a line that continues in the next chunk.
    fn begin_line(&mut self, body: &mut Body, limit: usize) -> Result<(), Error> {
        let rest = body.rest();
        if matches!(self.line, Line::Start) {
            // Too short to know whether it is a data line.
            if rest.len() < DATA_FIELD.len() && DATA_FIELD.starts_with(rest) {
                body.wait_for_more();
                return Ok(());
            }
            self.line = if rest.starts_with(DATA_FIELD) { Line::Data } else { Line::Ignored(0) };
        }
        // What is ignored is counted against the limit, but not buffered.
        if let Line::Ignored(length) = &mut self.line {
            *length += rest.len();
            check_limit(*length, limit)?;
            body.skip(rest.len());
            return Ok(());
        }
        body.buffer_rest(DATA_FIELD.len() + 1 + limit);
        let line = body.buffered();
        check_limit(self.joined_length(line.len() - value_start(line).unwrap_or(0)), limit)
    }

    /// The length of the data with one more value of this length, in bytes.
    fn joined_length(&self, value: usize) -> usize {
        self.data.as_ref().map_or(value, |data| data.len() + 1 + value)
    }

    fn add_data(&mut self, value: Bytes, limit: usize) -> Result<(), Error> {
        check_limit(self.joined_length(value.len()), limit)?;
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

    /// Ends the event and returns its data, if it has any.
    fn dispatch(&mut self) -> Option<Bytes> {
        let payload = match self.data.take()? {
            Data::One(value) => value,
            Data::Several(values) => values.into(),
        };
        has_content(&payload).then_some(payload)
    }

    /// Ends the body. The standard drops a last event without an empty line, because the rest of it may be missing. JSON
    /// shows by its own brackets whether it is complete, so one whole JSON value is returned. A `[DONE]` is ignored.
    pub(super) fn finish(&mut self, body: &mut Body, limit: usize) -> Result<Option<Bytes>, Error> {
        let is_cut_in_line_end = self.after_cr && self.has_crlf;
        match self.line {
            Line::Start if self.data.is_none() && !is_cut_in_line_end => return Ok(None),
            Line::Start => {}
            Line::Data => {
                let mut line = body.take(0);
                line.advance(value_start(&line).unwrap_or(0));
                self.add_data(line, limit)?;
            }
            Line::Ignored(_) | Line::Json(_) => return Err(Error::Truncated),
        }
        let payload = match self.data.take().ok_or(Error::Truncated)? {
            Data::One(value) => value,
            Data::Several(values) => values.into(),
        };
        match has_content(&payload) {
            true if is_whole_value(&payload) => Ok(Some(payload)),
            false if payload == DONE => Ok(None),
            _ => Err(Error::Truncated),
        }
    }
}

/// The offset of the value in a data line; `None` for any other line.
fn value_start(line: &[u8]) -> Option<usize> {
    match line.strip_prefix(DATA_FIELD) {
        Some([b' ', ..]) => Some(DATA_FIELD.len() + 1),
        Some(_) => Some(DATA_FIELD.len()),
        // A field without a colon has an empty value.
        None => (line == b"data").then_some(line.len()),
    }
}

/// Fails if `length` is over the limit of an event.
fn check_limit(length: usize, limit: usize) -> Result<(), Error> {
    if length > limit { Err(Error::TooLarge { limit }) } else { Ok(()) }
}
