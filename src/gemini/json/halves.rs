//! Joins characters that were cut in two between the texts of an answer.
//!
//! An upstream that counts in UTF-16 may end one piece of text with the first half of a character and begin the next with
//! the second. A half that waits belongs to one candidate and to its thoughts or its answer. One that is alone becomes
//! U+FFFD.

use super::decode::Fault;
use super::error::{Error, Problem};
use super::repairs::{REPLACEMENT, decode, is_high, is_low, pair};
use super::{Oddity, Response};
use crate::gemini::steps::Steps;
use crate::gemini::view::numbers::{content, part, response};
use crate::gemini::view::{CandidateKeys, CandidateView, ReadError};
use crate::gemini::wire::{Raw, Reader, WireType, put_tag, put_varint};

/// No more halves than this wait at a time.
const MAX_WAITING: usize = 32;

/// The halves that wait for the next text of their kind.
#[derive(Debug, Default)]
pub struct Halves {
    waiting: Vec<(Kind, u32)>,
}

/// Which texts belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    candidate: u64,
    is_thought: bool,
}

/// One pass over a message.
struct Pass<'h, 's, 'i> {
    halves: &'h mut Halves,
    steps: &'s mut Steps<'i>,
    is_last: bool,
    replaced: u64,
}

impl Halves {
    /// Whether a half waits: then the next message has to be joined, whatever it contains.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Joins the halves in the texts of a message with those before it, and keeps those that may go on. `is_last`: no
    /// message follows.
    pub fn join(&mut self, response: &mut Response, is_last: bool, steps: &mut Steps<'_>) -> Result<(), Error> {
        let mut pass = Pass { halves: self, steps, is_last, replaced: 0 };
        response.message = pass.response(&response.message)?;
        if pass.replaced > 0 {
            response.oddities.push(Oddity {
                fault: Fault::Repaired,
                message: "Part",
                member: "text",
                first: "text: one half of a character is missing".to_owned(),
                count: pass.replaced,
            });
        }
        Ok(())
    }

    fn take(&mut self, kind: Kind) -> Option<u32> {
        let at = self.waiting.iter().position(|(of, _)| *of == kind)?;
        Some(self.waiting.swap_remove(at).1)
    }
}

impl Pass<'_, '_, '_> {
    fn response(&mut self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut keys = CandidateKeys::default();
        self.rewrite(message, response::CANDIDATES, |pass, candidate, out| pass.candidate(candidate, &mut keys, out))
    }

    /// Copies a message, and lets `write` write the values of one of its fields, with their tags.
    fn rewrite(
        &mut self,
        message: &[u8],
        number: u32,
        mut write: impl FnMut(&mut Self, &[u8], &mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<Vec<u8>, Error> {
        // A joined character is not longer than its halves.
        let mut out = Vec::with_capacity(message.len() + 16);
        let mut reader = Reader::new(message);
        while !reader.is_empty() {
            let rest = reader.rest();
            match reader.counted_field(self.steps)? {
                (of, Raw::Len(value)) if of == number => write(self, value, &mut out)?,
                _ => {
                    let field = &rest[..rest.len() - reader.rest().len()];
                    self.steps.take_bytes(field.len())?;
                    out.extend_from_slice(field);
                }
            }
        }
        Ok(out)
    }

    fn candidate(&mut self, candidate: &[u8], keys: &mut CandidateKeys, out: &mut Vec<u8>) -> Result<(), Error> {
        let view = CandidateView::read(candidate, self.steps).map_err(unreadable)?;
        let key = keys.next(&view);
        let is_over = self.is_last || view.has_ended();
        let mut has_content = false;
        let mut written = self.rewrite(candidate, response::CONTENT, |pass, content, out| {
            has_content = true;
            let content = pass.content(content, key, is_over)?;
            put(out, response::CONTENT, &content);
            Ok(())
        })?;
        if is_over && !has_content {
            let mut content = Vec::new();
            self.flush(key, &mut content);
            if !content.is_empty() {
                put(&mut content, content::ROLE, b"model");
                put(&mut written, response::CONTENT, &content);
            }
        }
        put(out, response::CANDIDATES, &written);
        Ok(())
    }

    fn content(&mut self, content: &[u8], candidate: u64, is_over: bool) -> Result<Vec<u8>, Error> {
        // Of the last text of a kind it is known that nothing follows, once the candidate is over.
        let mut last = [None; 2];
        let mut position = 0;
        let mut reader = Reader::new(content);
        while !reader.is_empty() {
            if let (content::PARTS, Raw::Len(part)) = reader.counted_field(self.steps)? {
                if let Some((_, is_thought)) = self.text(part)? {
                    last[usize::from(is_thought)] = Some(position);
                }
                position += 1;
            }
        }
        position = 0;
        let mut written = self.rewrite(content, content::PARTS, |pass, part, out| {
            let text = pass.text(part)?;
            let here = position;
            position += 1;
            let Some((text, is_thought)) = text else {
                put(out, content::PARTS, part);
                return Ok(());
            };
            let kind = Kind { candidate, is_thought };
            let may_go_on = !(is_over && last[usize::from(is_thought)] == Some(here));
            let text = pass.joined(text, kind, may_go_on)?;
            let part = pass.rewrite(part, part::TEXT, |_, _, out| {
                put(out, part::TEXT, &text);
                Ok(())
            })?;
            put(out, content::PARTS, &part);
            Ok(())
        })?;
        if is_over {
            self.flush(candidate, &mut written);
        }
        Ok(written)
    }

    /// The text of a part, and whether it is a thought.
    fn text<'p>(&mut self, part: &'p [u8]) -> Result<Option<(&'p [u8], bool)>, Error> {
        let (mut text, mut is_thought) = (None, false);
        let mut reader = Reader::new(part);
        while !reader.is_empty() {
            match reader.counted_field(self.steps)? {
                (part::TEXT, Raw::Len(value)) => text = Some(value),
                (part::THOUGHT, Raw::Varint(value)) => is_thought = value != 0,
                _ => {}
            }
        }
        Ok(text.map(|text| (text, is_thought)))
    }

    /// A text that begins with the half that waited, and without the one that may go on.
    fn joined(&mut self, text: &[u8], kind: Kind, may_go_on: bool) -> Result<Vec<u8>, Error> {
        self.steps.take_bytes(text.len())?;
        let mut out = Vec::with_capacity(text.len() + 4);
        let mut rest = text;
        let low = rest.first_chunk().and_then(|bytes| decode(*bytes)).filter(|half| is_low(*half));
        if low.is_some() {
            rest = &rest[3..];
        }
        // An empty text says nothing of what comes.
        let high = if text.is_empty() && may_go_on { None } else { self.halves.take(kind) };
        match (high, low) {
            (Some(high), Some(low)) => {
                let character = char::from_u32(pair(high, low)).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            (None, None) => {}
            _ => self.replace(&mut out),
        }
        match rest.last_chunk().and_then(|bytes| decode(*bytes)).filter(|half| is_high(*half)) {
            Some(half) => {
                out.extend_from_slice(&rest[..rest.len() - 3]);
                if may_go_on && self.halves.waiting.len() < MAX_WAITING {
                    self.halves.waiting.push((kind, half));
                } else {
                    self.replace(&mut out);
                }
            }
            None => out.extend_from_slice(rest),
        }
        Ok(out)
    }

    /// Writes what waits for a candidate that is over as parts of its content.
    fn flush(&mut self, candidate: u64, content: &mut Vec<u8>) {
        for is_thought in [true, false] {
            if self.halves.take(Kind { candidate, is_thought }).is_some() {
                let (mut text, mut part) = (Vec::new(), Vec::new());
                self.replace(&mut text);
                put(&mut part, part::TEXT, &text);
                if is_thought {
                    put_tag(&mut part, part::THOUGHT, WireType::Varint);
                    put_varint(&mut part, 1);
                }
                put(content, content::PARTS, &part);
            }
        }
    }

    fn replace(&mut self, out: &mut Vec<u8>) {
        self.replaced += 1;
        out.extend_from_slice(REPLACEMENT);
    }
}

/// Writes a length-delimited field.
fn put(out: &mut Vec<u8>, number: u32, value: &[u8]) {
    put_tag(out, number, WireType::Len);
    put_varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn unreadable(error: ReadError) -> Error {
    match error {
        ReadError::Interrupted(interrupted) => interrupted.into(),
        ReadError::Unreadable => Problem::InvalidTag.into(),
    }
}
