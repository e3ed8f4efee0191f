//! Joins surrogate pairs that were cut in two between the texts of a response.
//!
//! An upstream that cuts text by UTF-16 units may end one piece with the first half of a pair and begin the next with
//! the second half. The first half is kept until the next text of the same candidate and the same kind (thought or
//! answer) comes. A half without its other half becomes U+FFFD.

use super::decode::AnomalyKind;
use super::error::{Error, Problem};
use super::repairs::{REPLACEMENT, decode_half, is_high, is_low, join};
use super::{Anomaly, Response};
use crate::gemini::steps::Steps;
use crate::gemini::view::numbers::{content, part, response};
use crate::gemini::view::{CandidateKeys, CandidateView, ReadError};
use crate::gemini::wire::{Raw, Reader, WireType, put_tag, put_varint};

/// At most this many first halves are kept at a time; further ones are replaced.
const MAX_WAITING: usize = 32;

/// The first halves that wait for the next text of their stream of text.
#[derive(Debug, Default)]
pub struct SurrogateJoiner {
    waiting: Vec<(TextStream, u32)>,
}

/// The texts that belong together: those of one candidate, either its thoughts or its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TextStream {
    candidate: u64,
    is_thought: bool,
}

/// One pass over a message, which writes it again with its texts joined.
struct Pass<'h, 's, 'i> {
    surrogates: &'h mut SurrogateJoiner,
    steps: &'s mut Steps<'i>,
    /// Whether no message follows.
    is_last: bool,
    /// How many halves were replaced by U+FFFD.
    replaced: u64,
}

impl SurrogateJoiner {
    /// Whether a half is waiting. Then the next message has to go through [`SurrogateJoiner::join`], even if it has no
    /// halves itself.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Joins the texts of a message with the halves that wait, and keeps its last halves for the next message.
    /// `is_last`: no message follows, so that every half that is left over is replaced.
    ///
    /// # Errors
    ///
    /// The steps ran out, or the message is not a valid `GenerateContentResponse`.
    pub fn join(&mut self, response: &mut Response, is_last: bool, steps: &mut Steps<'_>) -> Result<(), Error> {
        let mut pass = Pass { surrogates: self, steps, is_last, replaced: 0 };
        response.message = pass.response(&response.message)?;
        if pass.replaced > 0 {
            response.anomalies.push(Anomaly {
                kind: AnomalyKind::Repaired,
                message: "Part",
                member: "text",
                first: "text: one half of a character is missing".to_owned(),
                count: pass.replaced,
            });
        }
        Ok(())
    }

    fn take(&mut self, stream: TextStream) -> Option<u32> {
        let at = self.waiting.iter().position(|(of, _)| *of == stream)?;
        Some(self.waiting.swap_remove(at).1)
    }
}

impl Pass<'_, '_, '_> {
    fn response(&mut self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut keys = CandidateKeys::default();
        self.rewrite(message, response::CANDIDATES, |pass, candidate, out| pass.candidate(candidate, &mut keys, out))
    }

    /// Copies a message, except for the values of one of its fields: `write` writes those, each with its tag.
    fn rewrite(
        &mut self,
        message: &[u8],
        number: u32,
        mut write: impl FnMut(&mut Self, &[u8], &mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<Vec<u8>, Error> {
        // The new message has nearly the same length: a joined character has 4 bytes, its second half had 3.
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
        let has_ended = self.is_last || view.has_ended();
        let mut has_content = false;
        let mut written = self.rewrite(candidate, response::CONTENT, |pass, content, out| {
            has_content = true;
            let content = pass.content(content, key, has_ended)?;
            put_field(out, response::CONTENT, &content);
            Ok(())
        })?;
        if has_ended && !has_content {
            let mut content = Vec::new();
            self.flush(key, &mut content);
            if !content.is_empty() {
                put_field(&mut content, content::ROLE, b"model");
                put_field(&mut written, response::CONTENT, &content);
            }
        }
        put_field(out, response::CANDIDATES, &written);
        Ok(())
    }

    fn content(&mut self, content: &[u8], candidate: u64, has_ended: bool) -> Result<Vec<u8>, Error> {
        // First pass: find the last text of each kind. If the candidate has ended, nothing can follow that text.
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
                put_field(out, content::PARTS, part);
                return Ok(());
            };
            let stream = TextStream { candidate, is_thought };
            let may_continue = !(has_ended && last[usize::from(is_thought)] == Some(here));
            let text = pass.joined(text, stream, may_continue)?;
            let part = pass.rewrite(part, part::TEXT, |_, _, out| {
                put_field(out, part::TEXT, &text);
                Ok(())
            })?;
            put_field(out, content::PARTS, &part);
            Ok(())
        })?;
        if has_ended {
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

    /// Joins a text with the half that waits for it. If the stream may continue, a first half at the end of the text is
    /// taken away and kept.
    fn joined(&mut self, text: &[u8], stream: TextStream, may_continue: bool) -> Result<Vec<u8>, Error> {
        self.steps.take_bytes(text.len())?;
        let mut out = Vec::with_capacity(text.len() + 4);
        let mut rest = text;
        let low = rest.first_chunk().and_then(|bytes| decode_half(*bytes)).filter(|half| is_low(*half));
        if low.is_some() {
            rest = &rest[3..];
        }
        // Upstreams send empty texts in between. The half keeps waiting for a text with content.
        let high = if text.is_empty() && may_continue { None } else { self.surrogates.take(stream) };
        match (high, low) {
            (Some(high), Some(low)) => {
                let character = char::from_u32(join(high, low)).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            (None, None) => {}
            _ => self.replace(&mut out),
        }
        match rest.last_chunk().and_then(|bytes| decode_half(*bytes)).filter(|half| is_high(*half)) {
            Some(half) => {
                out.extend_from_slice(&rest[..rest.len() - 3]);
                if may_continue && self.surrogates.waiting.len() < MAX_WAITING {
                    self.surrogates.waiting.push((stream, half));
                } else {
                    self.replace(&mut out);
                }
            }
            None => out.extend_from_slice(rest),
        }
        Ok(out)
    }

    /// Replaces the halves that still wait when a candidate has ended: each becomes a part of its content with U+FFFD.
    fn flush(&mut self, candidate: u64, content: &mut Vec<u8>) {
        for is_thought in [true, false] {
            if self.surrogates.take(TextStream { candidate, is_thought }).is_some() {
                let (mut text, mut part) = (Vec::new(), Vec::new());
                self.replace(&mut text);
                put_field(&mut part, part::TEXT, &text);
                if is_thought {
                    put_tag(&mut part, part::THOUGHT, WireType::Varint);
                    put_varint(&mut part, 1);
                }
                put_field(content, content::PARTS, &part);
            }
        }
    }

    fn replace(&mut self, out: &mut Vec<u8>) {
        self.replaced += 1;
        out.extend_from_slice(REPLACEMENT);
    }
}

/// Writes a length-delimited field.
fn put_field(out: &mut Vec<u8>, number: u32, value: &[u8]) {
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
