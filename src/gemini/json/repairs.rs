//! Texts that JSON can carry and UTF-8 cannot: halves of surrogate pairs, and bytes that are cut inside of a character.

use super::error::{Error, Problem};

/// What stands in the place of that which is no character.
pub(super) const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// What becomes of texts that UTF-8 cannot carry.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    /// Whether they are repaired; otherwise they are errors.
    pub(super) allowed: bool,
    /// Whether the text that is read now may go on in the next event. Then a half at its start or its end is written as
    /// three bytes, as UTF-8 would if it had surrogates, for [`Halves`](super::halves::Halves) to join.
    pub(super) joins: bool,
    /// How many texts were repaired since this was last taken.
    pub(super) count: u32,
    /// Whether halves were written that are to be joined.
    pub(super) has_halves: bool,
}

impl Repairs {
    /// Appends a piece of text without escapes.
    pub(super) fn put(&mut self, piece: &[u8], is_utf8: bool, out: &mut Vec<u8>) -> Result<(), Error> {
        if is_utf8 {
            out.extend_from_slice(piece);
            return Ok(());
        }
        for chunk in piece.utf8_chunks() {
            out.extend_from_slice(chunk.valid().as_bytes());
            if !chunk.invalid().is_empty() {
                self.replace(out)?;
            }
        }
        Ok(())
    }

    /// Appends what stands for one half of a pair.
    pub(super) fn half(&mut self, half: u32, is_first: bool, is_last: bool, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.joins && ((is_first && is_low(half)) || (is_last && is_high(half))) {
            self.has_halves = true;
            out.extend_from_slice(&encode(half));
            return Ok(());
        }
        self.replace(out).map_err(|_| Problem::Syntax.into())
    }

    fn replace(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        if !self.allowed {
            return Err(Problem::Utf8.into());
        }
        self.count += 1;
        out.extend_from_slice(REPLACEMENT);
        Ok(())
    }
}

/// Whether this is the first half of a pair.
pub(super) fn is_high(code: u32) -> bool {
    (0xd800..0xdc00).contains(&code)
}

/// Whether this is the second half of a pair.
pub(super) fn is_low(code: u32) -> bool {
    (0xdc00..0xe000).contains(&code)
}

/// The character that two halves make.
pub(super) fn pair(high: u32, low: u32) -> u32 {
    0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
}

/// A half as three bytes, in the scheme of UTF-8.
fn encode(half: u32) -> [u8; 3] {
    [0xe0 | (half >> 12) as u8, 0x80 | (half >> 6 & 0x3f) as u8, 0x80 | (half & 0x3f) as u8]
}

/// The half that these three bytes stand for.
pub(super) fn decode(bytes: [u8; 3]) -> Option<u32> {
    let half = u32::from(bytes[0] & 0xf) << 12 | u32::from(bytes[1] & 0x3f) << 6 | u32::from(bytes[2] & 0x3f);
    (bytes[0] == 0xed && (is_high(half) || is_low(half))).then_some(half)
}
