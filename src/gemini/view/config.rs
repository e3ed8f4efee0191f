//! The view of a request's generation config.

use super::fields::{Elements, ReadError, bytes, float, int32, last, next, text};
use super::numbers::{ADDITIONAL_FIELDS, config, json};
use crate::gemini::steps::Steps;
use crate::gemini::wire::{Raw, Reader};

/// A `GenerationConfig`, including the fields of its small nested messages.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerationConfigView<'w> {
    pub candidate_count: Option<i32>,
    pub max_output_tokens: Option<i32>,
    pub temperature: Option<f32>,
    pub top_p: Option<f32>,
    pub top_k: Option<i32>,
    pub seed: Option<i32>,
    pub response_mime_type: &'w str,
    pub presence_penalty: Option<f32>,
    pub frequency_penalty: Option<f32>,
    pub response_modalities: Modalities,
    /// `thinking_config.thinking_level`: the number of a `ThinkingConfig.ThinkingLevel`.
    pub thinking_level: Option<i32>,
    /// `image_config.aspect_ratio`.
    pub aspect_ratio: Option<&'w str>,
    /// `image_config.image_size`.
    pub image_size: Option<&'w str>,
    /// `response_format.image.aspect_ratio`: the number of an `ImageResponseFormat.AspectRatio`.
    pub format_aspect_ratio: Option<i32>,
    /// `response_format.image.image_size`: the number of an `ImageResponseFormat.ImageSize`.
    pub format_image_size: Option<i32>,
    /// The length of all schemas on the wire, in bytes.
    pub(super) schema_bytes: u64,
    /// The wire bytes of the members that the contract does not have: a `Struct`.
    pub(super) additional: &'w [u8],
}

/// A member of a generation config that only REST has. It stands for one of `image_config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gemini) enum Shortcut {
    AspectRatio,
    ImageSize,
}

impl Shortcut {
    fn of(name: &[u8]) -> Option<Self> {
        match name {
            b"aspectRatio" | b"aspect_ratio" => Some(Self::AspectRatio),
            b"imageSize" | b"image_size" => Some(Self::ImageSize),
            _ => None,
        }
    }
}

/// The MIME types of responses that telemetry distinguishes.
const KNOWN_MIME_TYPES: [&str; 2] = ["application/json", "text/plain"];

impl<'w> GenerationConfigView<'w> {
    /// A copy that does not borrow from the request: without its texts, except for a known MIME type.
    pub fn without_texts(&self) -> GenerationConfigView<'static> {
        let known = KNOWN_MIME_TYPES.into_iter().find(|known| *known == self.response_mime_type);
        GenerationConfigView {
            response_mime_type: known.unwrap_or_default(),
            aspect_ratio: None,
            image_size: None,
            additional: &[],
            ..*self
        }
    }

    /// Merges the wire bytes of a `GenerationConfig` into this one.
    pub(super) fn merge(&mut self, message: &'w [u8], steps: &mut Steps<'_>) -> Result<(), ReadError> {
        let mut reader = Reader::new(message);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                config::CANDIDATE_COUNT => self.candidate_count = Some(int32(value)?),
                config::MAX_OUTPUT_TOKENS => self.max_output_tokens = Some(int32(value)?),
                config::TEMPERATURE => self.temperature = Some(float(value)?),
                config::TOP_P => self.top_p = Some(float(value)?),
                config::TOP_K => self.top_k = Some(int32(value)?),
                config::SEED => self.seed = Some(int32(value)?),
                config::RESPONSE_MIME_TYPE => self.response_mime_type = text(value, steps)?,
                config::PRESENCE_PENALTY => self.presence_penalty = Some(float(value)?),
                config::FREQUENCY_PENALTY => self.frequency_penalty = Some(float(value)?),
                config::RESPONSE_MODALITIES => self.response_modalities.merge(value, steps)?,
                config::THINKING_CONFIG => self.merge_thinking(bytes(value)?, steps)?,
                config::IMAGE_CONFIG => self.merge_image(bytes(value)?, steps)?,
                config::RESPONSE_FORMAT => self.merge_format(bytes(value)?, steps)?,
                config::RESPONSE_SCHEMA | config::RESPONSE_JSON_SCHEMA | config::RESPONSE_JSON_SCHEMA_ORDERED => {
                    self.schema_bytes += bytes(value)?.len() as u64;
                }
                ADDITIONAL_FIELDS => self.additional = bytes(value)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Calls `f` with each shortcut that is a text. One that is given twice is read twice.
    pub(in crate::gemini) fn shortcuts(
        &self,
        steps: &mut Steps<'_>,
        f: &mut dyn FnMut(Shortcut, &'w str),
    ) -> Result<(), ReadError> {
        let mut entries = Elements::new(self.additional, json::ENTRIES);
        while let Some(entry) = entries.next(steps)? {
            if let Some(shortcut) = Shortcut::of(last(entry, json::KEY, steps)?.unwrap_or_default())
                && let Some(value) = last(entry, json::VALUE, steps)?
                && let Some(value) = last(value, json::STRING, steps)?
            {
                f(shortcut, text(Raw::Len(value), steps)?);
            }
        }
        Ok(())
    }

    fn merge_thinking(&mut self, message: &'w [u8], steps: &mut Steps<'_>) -> Result<(), ReadError> {
        let mut reader = Reader::new(message);
        while let Some((number, value)) = next(&mut reader, steps)? {
            if number == config::THINKING_LEVEL {
                self.thinking_level = Some(int32(value)?);
            }
        }
        Ok(())
    }

    fn merge_image(&mut self, message: &'w [u8], steps: &mut Steps<'_>) -> Result<(), ReadError> {
        let mut reader = Reader::new(message);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                config::ASPECT_RATIO => self.aspect_ratio = Some(text(value, steps)?),
                config::IMAGE_SIZE => self.image_size = Some(text(value, steps)?),
                _ => {}
            }
        }
        Ok(())
    }

    fn merge_format(&mut self, message: &'w [u8], steps: &mut Steps<'_>) -> Result<(), ReadError> {
        let mut images = Elements::new(message, config::FORMAT_IMAGE);
        while let Some(image) = images.next(steps)? {
            let mut reader = Reader::new(image);
            while let Some((number, value)) = next(&mut reader, steps)? {
                match number {
                    config::FORMAT_ASPECT_RATIO => self.format_aspect_ratio = Some(int32(value)?),
                    config::FORMAT_IMAGE_SIZE => self.format_image_size = Some(int32(value)?),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

/// A set of `GenerationConfig.Modality`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modalities {
    /// A bit for each enum number. The last bit stands for all higher numbers.
    bits: u8,
}

impl Modalities {
    pub const TEXT: i32 = 1;
    pub const IMAGE: i32 = 2;
    pub const AUDIO: i32 = 3;
    const OTHER: u32 = u8::BITS - 1;

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// Whether the set contains this modality. It must be one of the constants, since higher numbers share a bit.
    pub fn contains(self, modality: i32) -> bool {
        self.bits & Self::bit(modality) != 0
    }

    /// Adds one element, or all elements of a packed list.
    fn merge(&mut self, value: Raw<'_>, steps: &mut Steps<'_>) -> Result<(), ReadError> {
        let Raw::Len(packed) = value else {
            self.bits |= Self::bit(int32(value)?);
            return Ok(());
        };
        let mut reader = Reader::new(packed);
        while !reader.is_empty() {
            steps.take(1)?;
            self.bits |= Self::bit(reader.varint()? as i32);
        }
        Ok(())
    }

    fn bit(modality: i32) -> u8 {
        1 << u32::try_from(modality).unwrap_or(Self::OTHER).min(Self::OTHER)
    }
}

impl FromIterator<i32> for Modalities {
    fn from_iter<I: IntoIterator<Item = i32>>(modalities: I) -> Self {
        Self { bits: modalities.into_iter().fold(0, |bits, modality| bits | Self::bit(modality)) }
    }
}
