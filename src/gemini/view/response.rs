//! A response, or one message of a streamed response, as the gateway watches it.

use super::fields::{Elements, ReadError, bytes, int32, next};
use super::numbers::{ADDITIONAL_FIELDS, json, response};
use super::{Estimate, UsageView};
use crate::gemini::steps::Steps;
use crate::gemini::wire::Reader;

/// Finish reasons of this many candidates are kept; Gemini makes at most 8.
pub const MAX_CANDIDATES: usize = 16;

/// A `GenerateContentResponse`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseView {
    /// How many candidates there are.
    pub candidates: usize,
    pub finish_reasons: FinishReasons,
    pub prompt_feedback: Option<PromptFeedbackView>,
    pub usage_metadata: Option<UsageView>,
    /// Whether there are members that the contract does not have. An error would be among them.
    pub has_additional_fields: bool,
    /// The text and the pictures of all candidates.
    pub estimate: Estimate,
    /// Whether a candidate has a finish reason, be it one that the contract does not have.
    candidate_finished: bool,
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
    pub fn read(message: &[u8], steps: &mut Steps<'_>) -> Result<Self, ReadError> {
        let mut view = Self::default();
        let mut reader = Reader::new(message);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                response::CANDIDATES => view.candidate(bytes(value)?, steps)?,
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
        Ok(view)
    }

    /// Whether a candidate ended or the prompt was blocked: without either, a response is not complete.
    ///
    /// Some models rate every prompt in `promptFeedback`; beside candidates that alone says nothing about the end.
    pub fn is_finished(&self) -> bool {
        let blocked = |feedback: PromptFeedbackView| {
            feedback.block_reason != 0 || feedback.has_unknown_reason || self.candidates == 0
        };
        self.candidate_finished || self.prompt_feedback.is_some_and(blocked)
    }

    fn candidate(&mut self, candidate: &[u8], steps: &mut Steps<'_>) -> Result<(), ReadError> {
        let (mut reason, mut has_unknown_reason) = (0, false);
        let mut reader = Reader::new(candidate);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                response::CONTENT => self.estimate += Estimate::of_content(bytes(value)?, steps)?,
                response::FINISH_REASON => reason = int32(value)?,
                ADDITIONAL_FIELDS => {
                    has_unknown_reason |= names(bytes(value)?, ["finishReason", "finish_reason"], steps)?;
                }
                _ => {}
            }
        }
        self.finish_reasons.set(self.candidates, reason);
        self.candidate_finished |= reason != 0 || has_unknown_reason;
        self.candidates += 1;
        Ok(())
    }
}

impl PromptFeedbackView {
    fn merge(&mut self, feedback: &[u8], steps: &mut Steps<'_>) -> Result<(), ReadError> {
        let mut reader = Reader::new(feedback);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                response::BLOCK_REASON => self.block_reason = int32(value)?,
                ADDITIONAL_FIELDS => {
                    self.has_unknown_reason |= names(bytes(value)?, ["blockReason", "block_reason"], steps)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a struct has a member of one of these names: an enum value that the contract does not have is kept so.
fn names(additional: &[u8], spellings: [&str; 2], steps: &mut Steps<'_>) -> Result<bool, ReadError> {
    let mut entries = Elements::new(additional, json::ENTRIES);
    while let Some(entry) = entries.next(steps)? {
        let mut key: &[u8] = &[];
        let mut keys = Elements::new(entry, json::KEY);
        while let Some(last) = keys.next(steps)? {
            key = last;
        }
        if spellings.iter().any(|name| name.as_bytes() == key) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `FinishReason` by number of the first [`MAX_CANDIDATES`] candidates; 0 for one that has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FinishReasons {
    reasons: [i32; MAX_CANDIDATES],
    /// Up to the last candidate that has one.
    len: usize,
}

impl FinishReasons {
    /// By candidate, up to the last that has one.
    pub fn as_slice(&self) -> &[i32] {
        self.reasons.get(..self.len).unwrap_or_default()
    }

    /// Takes over those of a later message.
    pub fn merge(&mut self, later: &Self) {
        later.as_slice().iter().enumerate().for_each(|(candidate, reason)| self.set(candidate, *reason));
    }

    fn set(&mut self, candidate: usize, reason: i32) {
        if let Some(place) = self.reasons.get_mut(candidate).filter(|_| reason != 0) {
            *place = reason;
            self.len = self.len.max(candidate + 1);
        }
    }
}
