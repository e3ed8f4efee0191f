//! The view of a part: its media for validation, and its amount of text and images.

use super::Estimate;
use super::fields::{Elements, ReadError, bytes, int32, last, next, text};
use super::numbers::{ADDITIONAL_FIELDS, media, part};
use crate::gemini::steps::Steps;
use crate::gemini::wire::Reader;

/// Media in a part.
#[derive(Clone, Copy, Default)]
pub(in crate::gemini) struct BlobView<'w> {
    pub(in crate::gemini) mime_type: &'w str,
    pub(in crate::gemini) data: &'w [u8],
}

impl<'w> BlobView<'w> {
    fn merge(&mut self, blob: &'w [u8], steps: &mut Steps<'_>) -> Result<(), ReadError> {
        let mut reader = Reader::new(blob);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                media::BLOB_MIME_TYPE => self.mime_type = text(value, steps)?,
                media::BLOB_DATA => self.data = bytes(value)?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// A part with the member of its oneof `data` that counts, which is the last one.
#[derive(Clone, Copy, Default)]
pub(in crate::gemini) struct PartView<'w> {
    /// The field number of the member; 0 for none.
    member: u32,
    /// The `inline_data`, if that is the member.
    blob: BlobView<'w>,
    /// The number of images in a file or in a function response.
    images: u64,
    text_bytes: u64,
    /// Whether it is a thought.
    is_thought: bool,
    /// Whether the part has a thought signature, or members that the contract does not have.
    has_others: bool,
}

impl<'w> PartView<'w> {
    /// Reads the wire bytes of a `Part`.
    pub(in crate::gemini) fn read(part: &'w [u8], steps: &mut Steps<'_>) -> Result<Self, ReadError> {
        let (mut view, mut has_others, mut is_thought) = (Self::default(), false, false);
        let mut reader = Reader::new(part);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                part::TEXT => view = Self { member: number, text_bytes: length(bytes(value)?), ..Self::default() },
                part::INLINE_DATA => view.member(number).blob.merge(bytes(value)?, steps)?,
                part::FUNCTION_RESPONSE => view.member(number).function_response(bytes(value)?, steps)?,
                part::FILE_DATA => {
                    let mime_type = last(bytes(value)?, media::FILE_MIME_TYPE, steps)?;
                    view.member(number).set_mime_type(mime_type);
                }
                // Names, arguments, code and its output: nearly all of these messages is text.
                part::FUNCTION_CALL
                | part::EXECUTABLE_CODE
                | part::CODE_EXECUTION_RESULT
                | part::TOOL_CALL
                | part::TOOL_RESPONSE => view.member(number).text_bytes += length(bytes(value)?),
                part::THOUGHT => is_thought = int32(value)? != 0,
                part::THOUGHT_SIGNATURE | ADDITIONAL_FIELDS => has_others = true,
                _ => {}
            }
        }
        Ok(Self { has_others, is_thought, ..view })
    }

    /// Whether the part has nothing that could be its data; a model refuses such a part. A part with only a signature
    /// is valid (it ends a thought), and a member that the contract does not have may be a new kind of data.
    pub(in crate::gemini) fn is_empty(&self) -> bool {
        self.member == 0 && !self.has_others
    }

    pub(in crate::gemini) fn inline_data(&self) -> Option<&BlobView<'w>> {
        (self.member == part::INLINE_DATA).then_some(&self.blob)
    }

    pub(in crate::gemini) fn estimate(&self) -> Estimate {
        let images = self.images + u64::from(is_image(self.blob.mime_type.as_bytes()));
        Estimate { text_bytes: self.text_bytes, images, drafts: if self.is_thought { images } else { 0 } }
    }

    /// Sets the member. Another member before it is replaced; the same one is kept, to be merged.
    fn member(&mut self, number: u32) -> &mut Self {
        if self.member != number {
            *self = Self { member: number, ..Self::default() };
        }
        self
    }

    fn set_mime_type(&mut self, mime_type: Option<&[u8]>) {
        if let Some(mime_type) = mime_type {
            self.images = u64::from(is_image(mime_type));
        }
    }

    /// Merges a `FunctionResponse`: its parts are media, everything else is text.
    fn function_response(&mut self, response: &[u8], steps: &mut Steps<'_>) -> Result<(), ReadError> {
        self.text_bytes += length(response);
        let mut parts = Elements::new(response, media::RESPONSE_PARTS);
        while let Some(part) = parts.next(steps)? {
            self.text_bytes -= length(part);
            self.images += u64::from(is_image_part(part, steps)?);
        }
        Ok(())
    }
}

/// Whether a `FunctionResponsePart` is an image.
fn is_image_part(part: &[u8], steps: &mut Steps<'_>) -> Result<bool, ReadError> {
    let mut view = PartView::default();
    let mut reader = Reader::new(part);
    while let Some((number, value)) = next(&mut reader, steps)? {
        let field = match number {
            media::RESPONSE_INLINE_DATA => media::RESPONSE_BLOB_MIME_TYPE,
            media::RESPONSE_FILE_DATA => media::RESPONSE_FILE_MIME_TYPE,
            _ => continue,
        };
        let mime_type = last(bytes(value)?, field, steps)?;
        view.member(number).set_mime_type(mime_type);
    }
    Ok(view.images > 0)
}

/// Whether this is the MIME type of an image. Case does not matter (RFC 2045, 5.1).
fn is_image(mime_type: &[u8]) -> bool {
    const IMAGE: &[u8] = b"image/";
    mime_type.get(..IMAGE.len()).is_some_and(|start| start.eq_ignore_ascii_case(IMAGE))
}

fn length(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}
