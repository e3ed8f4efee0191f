//! The view of a response, or of one message of a streamed response, for the gateway.

use super::fields::{Elements, ReadError, bytes, int32, last, next};
use super::numbers::{ADDITIONAL_FIELDS, content, embedding, json, response};
use super::{Estimate, PartView, UsageView};
use crate::gemini::steps::Steps;
use crate::gemini::wire::{Raw, Reader};

/// Finish reasons are kept for this many candidates. Gemini generates at most 8.
pub const MAX_CANDIDATES: usize = 16;

/// A `GenerateContentResponse`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseView {
    /// The number of candidates.
    pub candidates: usize,
    pub finish_reasons: FinishReasons,
    pub prompt_feedback: Option<PromptFeedbackView>,
    pub usage_metadata: Option<UsageView>,
    /// Whether there are members that the contract does not have. An error would be one of them.
    pub has_additional_fields: bool,
    /// The text and images of all candidates.
    pub estimate: Estimate,
    /// Whether a candidate has a part.
    pub has_parts: bool,
    /// Which candidates it contains, and which of them end in it.
    pub ends: Ends,
}

/// Which candidates were seen, and which of them have ended. It can be accumulated over the messages of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// A bit for each candidate. Those from the 64th on share the last bit.
    seen: u64,
    ended: u64,
    is_blocked: bool,
}

/// A `Candidate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::gemini) struct CandidateView {
    index: Option<i32>,
    /// `FinishReason` by number; 0 for none, and for one that the contract does not have.
    reason: i32,
    /// Whether there is a reason that the contract does not have.
    has_unknown_reason: bool,
    estimate: Estimate,
    has_parts: bool,
}

/// Assigns a key to each candidate of one message, by which it is recognized in all messages of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::gemini) struct CandidateKeys {
    /// The position of the next candidate in the message.
    position: u64,
    /// Whether the candidate with the key 0 has come.
    has_first: bool,
}

/// A `PromptFeedback`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PromptFeedbackView {
    /// `BlockReason` by number; 0 for none, and for one that the contract does not have.
    pub block_reason: i32,
    /// Whether there is a reason that the contract does not have.
    has_unknown_reason: bool,
}

impl ResponseView {
    /// Reads the wire bytes of a response.
    ///
    /// # Errors
    ///
    /// The response cannot be read, or the steps ran out.
    pub fn read(message: &[u8], steps: &mut Steps<'_>) -> Result<Self, ReadError> {
        let (mut view, mut keys) = (Self::default(), CandidateKeys::default());
        let mut reader = Reader::new(message);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                response::CANDIDATES => view.candidate(bytes(value)?, &mut keys, steps)?,
                response::PROMPT_FEEDBACK => {
                    view.prompt_feedback.get_or_insert_default().merge(bytes(value)?, steps)?;
                }
                response::USAGE_METADATA => {
                    view.usage_metadata.get_or_insert_default().merge(bytes(value)?, steps)?;
                }
                ADDITIONAL_FIELDS => view.has_additional_fields = true,
                _ => {}
            }
        }
        view.ends.is_blocked =
            view.prompt_feedback.is_some_and(|feedback| feedback.block_reason != 0 || feedback.has_unknown_reason);
        Ok(view)
    }

    /// Reads the wire bytes of a response without generated content: only the usage of embeddings, and whether the
    /// contract has all its members.
    ///
    /// # Errors
    ///
    /// Those of [`ResponseView::read`].
    pub fn read_other(message: &[u8], steps: &mut Steps<'_>) -> Result<Self, ReadError> {
        let mut view = Self::default();
        let mut reader = Reader::new(message);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                embedding::USAGE_METADATA => {
                    // In another message this number is another field.
                    let Raw::Len(usage) = value else { continue };
                    view.usage_metadata.get_or_insert_default().merge_embedding(usage, steps)?;
                }
                ADDITIONAL_FIELDS => view.has_additional_fields = true,
                _ => {}
            }
        }
        Ok(view)
    }

    /// Whether this is a complete unary response: each candidate has ended, or the prompt was blocked.
    ///
    /// Some upstreams never report a reason. Then a response with content is taken for complete.
    pub fn is_whole(&self) -> bool {
        self.ends.is_finished() || (self.ends.ended == 0 && self.has_parts)
    }

    fn candidate(
        &mut self,
        candidate: &[u8],
        keys: &mut CandidateKeys,
        steps: &mut Steps<'_>,
    ) -> Result<(), ReadError> {
        let view = CandidateView::read(candidate, steps)?;
        self.estimate += view.estimate;
        self.has_parts |= view.has_parts;
        self.finish_reasons.set(self.candidates, view.reason);
        self.ends.candidate(keys.next(&view), view.has_ended());
        self.candidates += 1;
        Ok(())
    }
}

impl Ends {
    /// Adds the candidates of a later message.
    pub fn add(&mut self, later: &Self) {
        self.seen |= later.seen;
        self.ended |= later.ended;
        self.is_blocked |= later.is_blocked;
    }

    /// Whether every candidate that was seen has ended, or the prompt was blocked. Otherwise a response is not
    /// complete.
    ///
    /// A `promptFeedback` without a block reason does not count: some models rate every prompt in it.
    pub fn is_finished(&self) -> bool {
        self.is_blocked || (self.seen != 0 && self.seen == self.ended)
    }

    /// Whether a candidate has ended, or the prompt was blocked.
    pub fn has_any(&self) -> bool {
        self.is_blocked || self.ended != 0
    }

    fn candidate(&mut self, key: u64, has_ended: bool) {
        let bit = 1 << key.min(63);
        self.seen |= bit;
        self.ended |= if has_ended { bit } else { 0 };
    }
}

impl CandidateView {
    /// Reads the wire bytes of a candidate.
    #[inline(always)]
    pub(in crate::gemini) fn read(candidate: &[u8], steps: &mut Steps<'_>) -> Result<Self, ReadError> {
        let mut view = Self::default();
        let mut reader = Reader::new(candidate);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                response::CONTENT => view.content(bytes(value)?, steps)?,
                response::FINISH_REASON => view.reason = int32(value)?,
                response::INDEX => view.index = Some(int32(value)?),
                ADDITIONAL_FIELDS => {
                    view.has_unknown_reason |= has_enum_name(bytes(value)?, ["finishReason", "finish_reason"], steps)?;
                }
                _ => {}
            }
        }
        Ok(view)
    }

    /// Whether it has a finish reason, including one that the contract does not have.
    pub(in crate::gemini) fn has_ended(&self) -> bool {
        self.reason != 0 || self.has_unknown_reason
    }

    fn content(&mut self, content: &[u8], steps: &mut Steps<'_>) -> Result<(), ReadError> {
        let mut parts = Elements::new(content, content::PARTS);
        while let Some(part) = parts.next(steps)? {
            self.has_parts = true;
            self.estimate += PartView::read(part, steps)?.estimate();
        }
        Ok(())
    }
}

impl CandidateKeys {
    /// The key of the next candidate: its index. A candidate without an index is number 0, since writers leave a zero
    /// out; if number 0 has already come, its position counts.
    pub(in crate::gemini) fn next(&mut self, candidate: &CandidateView) -> u64 {
        let key = match candidate.index {
            Some(index) => u64::try_from(index).unwrap_or(u64::MAX),
            None if self.has_first => self.position,
            None => 0,
        };
        self.position += 1;
        self.has_first |= key == 0;
        key
    }
}

impl PromptFeedbackView {
    fn merge(&mut self, feedback: &[u8], steps: &mut Steps<'_>) -> Result<(), ReadError> {
        let mut reader = Reader::new(feedback);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                response::BLOCK_REASON => self.block_reason = int32(value)?,
                ADDITIONAL_FIELDS => {
                    self.has_unknown_reason |= has_enum_name(bytes(value)?, ["blockReason", "block_reason"], steps)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether `additional` has a string under one of these names that is not blank: the translator keeps an unknown enum
/// name like that. Any other value is not an enum name.
fn has_enum_name(additional: &[u8], spellings: [&str; 2], steps: &mut Steps<'_>) -> Result<bool, ReadError> {
    let mut entries = Elements::new(additional, json::ENTRIES);
    while let Some(entry) = entries.next(steps)? {
        let key = last(entry, json::KEY, steps)?.unwrap_or_default();
        if spellings.iter().any(|name| name.as_bytes() == key)
            && let Some(value) = last(entry, json::VALUE, steps)?
            && let Some(text) = last(value, json::STRING, steps)?
        {
            return Ok(!text.trim_ascii().is_empty());
        }
    }
    Ok(false)
}

/// The `FinishReason`s, by number, of the first [`MAX_CANDIDATES`] candidates; 0 for one that has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FinishReasons {
    reasons: [i32; MAX_CANDIDATES],
    /// The number of candidates up to the last one that has a reason.
    len: usize,
}

impl FinishReasons {
    /// The reason of each candidate, up to the last one that has a reason.
    pub fn as_slice(&self) -> &[i32] {
        self.reasons.get(..self.len).unwrap_or_default()
    }

    /// Takes over the reasons of a later message.
    pub fn merge(&mut self, later: &Self) {
        later.as_slice().iter().enumerate().for_each(|(candidate, reason)| self.set(candidate, *reason));
    }

    fn set(&mut self, candidate: usize, reason: i32) {
        if let Some(known) = self.reasons.get_mut(candidate).filter(|_| reason != 0) {
            *known = reason;
            self.len = self.len.max(candidate + 1);
        }
    }
}
