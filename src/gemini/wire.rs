//! Reads and writes protobuf's wire format: tags, varints and lengths (protobuf.dev/programming-guides/encoding).

mod writer;

use std::ops::Range;

pub(super) use self::writer::OutputPosition;
pub use self::writer::WireWriter;
use super::steps::{Interrupted, Steps};

/// The deepest nesting of unknown groups.
const MAX_GROUP_DEPTH: usize = 100;

/// Why bytes are not valid protobuf, or were not read to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("the protobuf bytes end inside a value")]
    Truncated,
    #[error("a protobuf varint is longer than 10 bytes")]
    OverlongVarint,
    #[error("a protobuf tag is not valid")]
    InvalidTag,
    #[error("groups nest too deep")]
    TooDeep,
    #[error("the work was interrupted")]
    Interrupted,
}

impl From<Interrupted> for WireError {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

/// A value as it is encoded on the wire.
#[derive(Clone, Copy, Debug)]
pub(super) enum Raw<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Len(&'a [u8]),
    /// A group of proto2. No field of the schema is one.
    Group,
}

/// Reads the fields of one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes that were not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads the number and the value of the next field.
    pub(super) fn field(&mut self) -> Result<(u32, Raw<'a>), WireError> {
        self.counted_field(&mut Steps::unlimited())
    }

    /// Reads the number and the value of the next field. Counts a step for the field; for a group, also for each field
    /// in it.
    #[inline(always)]
    pub(super) fn counted_field(&mut self, steps: &mut Steps<'_>) -> Result<(u32, Raw<'a>), WireError> {
        steps.take(1)?;
        let (number, wire_type) = self.tag()?;
        let value = match wire_type {
            0 => Raw::Varint(self.varint()?),
            1 => Raw::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = self.varint()?;
                Raw::Len(self.take(usize::try_from(length).map_err(|_| WireError::Truncated)?)?)
            }
            5 => Raw::Fixed32(u32::from_le_bytes(self.array()?)),
            3 => {
                self.skip_group(number, steps)?;
                Raw::Group
            }
            _ => return Err(WireError::InvalidTag),
        };
        Ok((number, value))
    }

    /// Reads a tag: the number and the wire type of a field.
    fn tag(&mut self) -> Result<(u32, u8), WireError> {
        let tag = u32::try_from(self.varint()?).map_err(|_| WireError::InvalidTag)?;
        match tag >> 3 {
            0 => Err(WireError::InvalidTag),
            number => Ok((number, (tag & 7) as u8)),
        }
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, WireError> {
        // Most tags, lengths and numbers have one byte or two.
        match *self.rest {
            [first, ref rest @ ..] if first < 0x80 => {
                self.rest = rest;
                Ok(u64::from(first))
            }
            [first, second, ref rest @ ..] if second < 0x80 => {
                self.rest = rest;
                Ok(u64::from(first & 0x7f) | u64::from(second) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0;
        for (i, &byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if byte < 0x80 {
                // 64 bits are nine bytes of 7 bits and one more bit.
                if i == 9 && byte > 1 {
                    return Err(WireError::OverlongVarint);
                }
                self.rest = &self.rest[i + 1..];
                return Ok(value);
            }
        }
        Err(if self.rest.len() < 10 { WireError::Truncated } else { WireError::OverlongVarint })
    }

    /// Reads the next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// Skips the rest of a group, without recursion.
    #[cold]
    fn skip_group(&mut self, number: u32, steps: &mut Steps<'_>) -> Result<(), WireError> {
        let mut open = vec![number];
        while let Some(&innermost) = open.last() {
            steps.take(1)?;
            let (number, wire_type) = self.tag()?;
            match wire_type {
                0 => drop(self.varint()?),
                1 => drop(self.array::<8>()?),
                2 => {
                    let length = self.varint()?;
                    self.take(usize::try_from(length).map_err(|_| WireError::Truncated)?)?;
                }
                3 if open.len() < MAX_GROUP_DEPTH => open.push(number),
                3 => return Err(WireError::TooDeep),
                4 if number == innermost => drop(open.pop()),
                5 => drop(self.array::<4>()?),
                _ => return Err(WireError::InvalidTag),
            }
        }
        Ok(())
    }
}

/// The wire types that are written.
#[derive(Clone, Copy, Debug)]
pub enum WireType {
    Varint = 0,
    Fixed64 = 1,
    Len = 2,
    Fixed32 = 5,
}

#[inline]
pub fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: WireType) {
    put_varint(out, u64::from(number << 3) | wire_type as u64);
}

#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes a field with a number.
#[inline]
pub fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    put_tag(out, number, WireType::Varint);
    put_varint(out, value);
}

/// Writes a length-delimited field.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_tag(out, number, WireType::Len);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Begins a message, and returns where its content starts. `N` bytes are left free for its length: 1 for a message of
/// less than 128 bytes, 2 for one of less than 16 KiB.
///
/// This is for messages that contain few others. [`WireWriter`] moves bytes once however many messages they are in, and
/// takes longer for a small message.
#[inline(always)]
pub fn begin_message<const N: usize>(out: &mut Vec<u8>, number: u32) -> usize {
    put_tag(out, number, WireType::Len);
    out.extend_from_slice(&[0; N]);
    out.len()
}

/// Ends the message whose content starts at `start`. The content moves if its length does not need `N` bytes.
#[inline(always)]
pub fn end_message<const N: usize>(out: &mut Vec<u8>, start: usize) {
    let length = out.len() - start;
    match (N, length) {
        (1, ..0x80) => out[start - 1] = length as u8,
        (2, 0x80..0x4000) => out[start - 2..start].copy_from_slice(&[length as u8 | 0x80, (length >> 7) as u8]),
        _ => replace_length(out, start - N..start, length),
    }
}

#[cold]
#[inline(never)]
fn replace_length(out: &mut Vec<u8>, place: Range<usize>, length: usize) {
    let mut bytes = Vec::with_capacity(10);
    put_varint(&mut bytes, length as u64);
    out.splice(place, bytes);
}

/// The number of bytes of a varint: 1 to 10.
pub(super) fn varint_len(value: u64) -> usize {
    // The number of significant bits divided by 7 and rounded up. 9/64 is slightly less than 1/7, and gives the exact
    // result for every number of bits from 1 to 64.
    ((64 - (value | 1).leading_zeros() as usize) * 9 + 64) / 64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_length_before_it_whatever_was_left_free() {
        fn assert_written<const N: usize>(content: &[u8]) {
            let (mut written, mut expected) = (b"before".to_vec(), b"before".to_vec());
            let start = begin_message::<N>(&mut written, 3);
            written.extend_from_slice(content);
            end_message::<N>(&mut written, start);
            put_bytes(&mut expected, 3, content);
            assert_eq!(written, expected, "{N} bytes for {}", content.len());
        }
        for length in [0, 1, 127, 128, 129, 16_383, 16_384, 2_097_151, 2_097_152] {
            let content = vec![b'x'; length];
            assert_written::<1>(&content);
            assert_written::<2>(&content);
        }
    }

    #[test]
    fn the_computed_length_of_a_varint_is_the_number_of_bytes_written() {
        for bits in 0..64 {
            for value in [1u64 << bits, (1u64 << bits) - 1, u64::MAX >> bits] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                assert_eq!(out.len(), varint_len(value), "{value}");
                assert_eq!(Reader::new(&out).varint().unwrap(), value);
            }
        }
    }

    #[test]
    fn a_varint_of_eleven_bytes_or_65_bits_is_refused() {
        assert_eq!(Reader::new(&[0xff; 11]).varint().unwrap_err(), WireError::OverlongVarint);
        let mut bits_65 = [0xff; 10];
        bits_65[9] = 2;
        assert_eq!(Reader::new(&bits_65).varint().unwrap_err(), WireError::OverlongVarint);
        assert_eq!(Reader::new(&[0xff; 3]).varint().unwrap_err(), WireError::Truncated);
    }
}
