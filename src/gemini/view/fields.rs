//! Functions that read the fields of a message one after another and count each as a step.

use crate::gemini::steps::{Interrupted, Steps};
use crate::gemini::wire::{Raw, Reader, WireError};

/// Why a view could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The [`Steps`] ran out, or their caller interrupted the work.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The bytes are not protobuf, a field does not have the type of the contract, or a text is not UTF-8. There is no
    /// path here: the translator reads the same message, and its error has one.
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

/// Reads the number and the value of the next field. Returns `None` at the end of the message.
#[inline(always)]
pub(super) fn next<'w>(reader: &mut Reader<'w>, steps: &mut Steps<'_>) -> Result<Option<(u32, Raw<'w>)>, ReadError> {
    if reader.is_empty() {
        return Ok(None);
    }
    Ok(Some(reader.counted_field(steps)?))
}

/// The value of an `int32` or an enum: the lower 32 bits of the varint (protobuf.dev/programming-guides/encoding).
pub(super) fn int32(value: Raw<'_>) -> Result<i32, ReadError> {
    match value {
        Raw::Varint(value) => Ok(value as i32),
        _ => Err(ReadError::Unreadable),
    }
}

/// A number of tokens. A negative number makes no sense and is read as 0.
pub(super) fn count(value: Raw<'_>) -> Result<u64, ReadError> {
    Ok(u64::try_from(int32(value)?).unwrap_or(0))
}

/// The value of a `float`.
pub(super) fn float(value: Raw<'_>) -> Result<f32, ReadError> {
    match value {
        Raw::Fixed32(bits) => Ok(f32::from_bits(bits)),
        _ => Err(ReadError::Unreadable),
    }
}

/// The value of a bytes field, a message, or a text that need not be valid UTF-8.
#[inline]
pub(super) fn bytes(value: Raw<'_>) -> Result<&[u8], ReadError> {
    match value {
        Raw::Len(bytes) => Ok(bytes),
        _ => Err(ReadError::Unreadable),
    }
}

/// The value of a text, which must be valid UTF-8.
pub(super) fn text<'w>(value: Raw<'w>, steps: &mut Steps<'_>) -> Result<&'w str, ReadError> {
    let bytes = bytes(value)?;
    steps.take_bytes(bytes.len())?;
    simdutf8::basic::from_utf8(bytes).map_err(|_| ReadError::Unreadable)
}

/// Reads the elements of a repeated message field.
#[derive(Clone, Debug)]
pub(in crate::gemini) struct Elements<'w> {
    reader: Reader<'w>,
    number: u32,
}

impl<'w> Elements<'w> {
    pub(super) fn new(message: &'w [u8], number: u32) -> Self {
        Self { reader: Reader::new(message), number }
    }

    /// The wire bytes of the next element. This is not an `Iterator`, since each call borrows the steps.
    pub(in crate::gemini) fn next(&mut self, steps: &mut Steps<'_>) -> Result<Option<&'w [u8]>, ReadError> {
        while let Some((number, value)) = next(&mut self.reader, steps)? {
            if number == self.number {
                return bytes(value).map(Some);
            }
        }
        Ok(None)
    }
}

/// The last value of a length-delimited field, if there is any.
pub(super) fn last<'w>(message: &'w [u8], number: u32, steps: &mut Steps<'_>) -> Result<Option<&'w [u8]>, ReadError> {
    let mut found = None;
    let mut values = Elements::new(message, number);
    while let Some(value) = values.next(steps)? {
        found = Some(value);
    }
    Ok(found)
}

/// Calls `f` with the wire bytes of each message at `path`, in order, until it returns false. `path` has a field number
/// for each level below `message`. Returns false if `f` did.
///
/// # Errors
///
/// The message cannot be read, or the steps ran out.
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
