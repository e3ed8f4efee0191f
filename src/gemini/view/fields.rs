//! Reads the fields of a message one after another, and counts each as a step.

use crate::gemini::steps::{Interrupted, Steps};
use crate::gemini::wire::{Raw, Reader, WireError};

/// Why a view could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The [`Steps`] ran out, or their caller wants to stop.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The bytes are not protobuf, a field has another type than the contract gives it, or a text is not UTF-8. The
    /// translator knows where: it reads every field, and its errors have a path.
    #[error("the protobuf bytes are not readable")]
    Unreadable,
}

impl From<WireError> for ReadError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::Interrupted => Self::Interrupted(Interrupted),
            _ => Self::Unreadable,
        }
    }
}

/// The number and the value of the next field; `None` at the end of the message.
#[inline(always)]
pub(super) fn next<'w>(reader: &mut Reader<'w>, steps: &mut Steps<'_>) -> Result<Option<(u32, Raw<'w>)>, ReadError> {
    if reader.is_empty() {
        return Ok(None);
    }
    Ok(Some(reader.counted_field(steps)?))
}

/// An `int32` or an enum: 32 bits of the varint count (protobuf.dev/programming-guides/encoding).
pub(super) fn int32(value: Raw<'_>) -> Result<i32, ReadError> {
    match value {
        Raw::Varint(value) => Ok(value as i32),
        _ => Err(ReadError::Unreadable),
    }
}

/// A number of tokens. A negative one makes no sense and is read as 0.
pub(super) fn count(value: Raw<'_>) -> Result<u64, ReadError> {
    Ok(u64::try_from(int32(value)?).unwrap_or(0))
}

pub(super) fn float(value: Raw<'_>) -> Result<f32, ReadError> {
    match value {
        Raw::Fixed32(bits) => Ok(f32::from_bits(bits)),
        _ => Err(ReadError::Unreadable),
    }
}

/// Bytes, a message, or a text whose content does not matter.
#[inline]
pub(super) fn bytes(value: Raw<'_>) -> Result<&[u8], ReadError> {
    match value {
        Raw::Len(bytes) => Ok(bytes),
        _ => Err(ReadError::Unreadable),
    }
}

pub(super) fn text<'w>(value: Raw<'w>, steps: &mut Steps<'_>) -> Result<&'w str, ReadError> {
    let bytes = bytes(value)?;
    steps.take_bytes(bytes.len())?;
    simdutf8::basic::from_utf8(bytes).map_err(|_| ReadError::Unreadable)
}

/// The messages that a repeated field contains.
#[derive(Clone, Debug)]
pub(in crate::gemini) struct Elements<'w> {
    reader: Reader<'w>,
    number: u32,
}

impl<'w> Elements<'w> {
    pub(super) fn new(message: &'w [u8], number: u32) -> Self {
        Self { reader: Reader::new(message), number }
    }

    /// The wire bytes of the next message. Not an `Iterator`, since each call borrows the steps.
    pub(in crate::gemini) fn next(&mut self, steps: &mut Steps<'_>) -> Result<Option<&'w [u8]>, ReadError> {
        while let Some((number, value)) = next(&mut self.reader, steps)? {
            if number == self.number {
                return bytes(value).map(Some);
            }
        }
        Ok(None)
    }
}

/// The last value of a text or bytes field, if it is there.
pub(super) fn last<'w>(message: &'w [u8], number: u32, steps: &mut Steps<'_>) -> Result<Option<&'w [u8]>, ReadError> {
    let mut found = None;
    let mut values = Elements::new(message, number);
    while let Some(value) = values.next(steps)? {
        found = Some(value);
    }
    Ok(found)
}

/// Calls `f` with the wire bytes of each message at `path`, a field number for each level below `message`, in their
/// order, until it returns false. Returns whether it never did.
pub fn for_each<'w>(
    message: &'w [u8],
    path: &[u32],
    steps: &mut Steps<'_>,
    f: &mut dyn FnMut(&'w [u8], &mut Steps<'_>) -> bool,
) -> Result<bool, ReadError> {
    let Some((number, rest)) = path.split_first() else { return Ok(f(message, steps)) };
    let mut elements = Elements::new(message, *number);
    while let Some(element) = elements.next(steps)? {
        if !for_each(element, rest, steps, f)? {
            return Ok(false);
        }
    }
    Ok(true)
}
