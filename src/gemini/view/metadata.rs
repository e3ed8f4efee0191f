//! The metadata of a response: version, id, and tokens by modality.

use super::fields::{ReadError, bytes, int32, next, text};
use super::numbers::{response, usage};
use crate::gemini::steps::Steps;
use crate::gemini::wire::{Raw, Reader};

/// A longer version or id is cut, in bytes. Gemini's have some tens of bytes.
const MAX_NAME_BYTES: usize = 256;

/// The metadata of a response. It is nearly the same in each message of a stream, so it is read only at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetadataView {
    /// The last usage that was reported.
    pub usage: Option<UsageDetailsView>,
    pub model_version: String,
    pub response_id: String,
}

/// Tokens by modality.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageDetailsView {
    pub prompt: ModalityCounts,
    pub cached: ModalityCounts,
    pub candidates: ModalityCounts,
}

/// Tokens of the modalities that the OpenTelemetry conventions name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModalityCounts {
    pub text: Option<i32>,
    pub image: Option<i32>,
    pub audio: Option<i32>,
}

impl MetadataView {
    /// Takes over the metadata of a message. What the message does not contain is not changed.
    ///
    /// # Errors
    ///
    /// The message cannot be read, or the steps ran out.
    pub fn update(&mut self, message: &[u8], steps: &mut Steps<'_>) -> Result<(), ReadError> {
        let mut details: Option<UsageDetailsView> = None;
        let mut reader = Reader::new(message);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                response::USAGE_METADATA => details.get_or_insert_default().merge(bytes(value)?, steps)?,
                response::MODEL_VERSION => set(&mut self.model_version, text(value, steps)?),
                response::RESPONSE_ID => set(&mut self.response_id, text(value, steps)?),
                _ => {}
            }
        }
        self.usage = details.or(self.usage);
        Ok(())
    }
}

impl UsageDetailsView {
    fn merge(&mut self, message: &[u8], steps: &mut Steps<'_>) -> Result<(), ReadError> {
        let mut reader = Reader::new(message);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                usage::PROMPT_TOKENS_DETAILS => self.prompt.add(value, steps)?,
                usage::CACHE_TOKENS_DETAILS => self.cached.add(value, steps)?,
                usage::CANDIDATES_TOKENS_DETAILS => self.candidates.add(value, steps)?,
                _ => {}
            }
        }
        Ok(())
    }
}

impl ModalityCounts {
    /// Adds a `ModalityTokenCount`.
    fn add(&mut self, value: Raw<'_>, steps: &mut Steps<'_>) -> Result<(), ReadError> {
        let (mut modality, mut tokens) = (0, 0);
        let mut reader = Reader::new(bytes(value)?);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                usage::MODALITY => modality = int32(value)?,
                usage::TOKEN_COUNT => tokens = int32(value)?,
                _ => {}
            }
        }
        // The numbers of the enum `Modality`.
        let count = match modality {
            1 => &mut self.text,
            2 => &mut self.image,
            4 => &mut self.audio,
            _ => return Ok(()),
        };
        *count = Some(tokens);
        Ok(())
    }
}

/// Replaces a text, reusing its memory.
fn set(name: &mut String, value: &str) {
    let end = (0..=value.len().min(MAX_NAME_BYTES)).rev().find(|end| value.is_char_boundary(*end));
    name.clear();
    name.push_str(value.get(..end.unwrap_or(0)).unwrap_or_default());
}
