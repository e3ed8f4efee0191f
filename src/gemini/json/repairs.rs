//! Repairs texts that JSON can contain and UTF-8 cannot: lone halves of surrogate pairs, and bytes cut inside a
//! character.

use super::error::{Error, Problem};

/// Replaces what is not a character.
pub(super) const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// What to do with texts that UTF-8 cannot represent, and what was done.
#[derive(Debug, Default)]
pub(super) struct Repairs {
    /// Whether such texts are repaired; otherwise they are errors.
    pub(super) allowed: bool,
    /// Whether halves of surrogate pairs are replaced in any case. JSON can contain them as escapes.
    pub(super) replaces_halves: bool,
    /// Whether the current text may continue in the next event. A half of a pair at its start or end is then written as
    /// three bytes, in the way UTF-8 would encode a surrogate if it could, and
    /// [`SurrogateJoiner`](super::surrogates::SurrogateJoiner) joins it later.
    pub(super) joins: bool,
    /// How many replacements were made since the decoder last read and reset this count.
    pub(super) count: u32,
    /// Whether halves were written that have to be joined.
    pub(super) has_split_surrogates: bool,
}

impl Repairs {
    /// Appends a piece of text without escapes; if it is not UTF-8, its invalid bytes are replaced.
    pub(super) fn put(&mut self, piece: &[u8], is_utf8: bool, out: &mut Vec<u8>) -> Result<(), Error> {
        if is_utf8 {
            out.extend_from_slice(piece);
            return Ok(());
        }
        for chunk in piece.utf8_chunks() {
            out.extend_from_slice(chunk.valid().as_bytes());
            if !chunk.invalid().is_empty() {
                self.replace(self.allowed, out)?;
            }
        }
        Ok(())
    }

    /// Appends a half of a surrogate pair that came as an escape: either for joining, or replaced.
    pub(super) fn put_half(
        &mut self,
        half: u32,
        is_first: bool,
        is_last: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        if self.joins && ((is_first && is_low(half)) || (is_last && is_high(half))) {
            self.has_split_surrogates = true;
            out.extend_from_slice(&encode_half(half));
            return Ok(());
        }
        self.replace(self.allowed || self.replaces_halves, out).map_err(|_| Problem::Syntax.into())
    }

    fn replace(&mut self, is_allowed: bool, out: &mut Vec<u8>) -> Result<(), Error> {
        if !is_allowed {
            return Err(Problem::Utf8.into());
        }
        self.count += 1;
        out.extend_from_slice(REPLACEMENT);
        Ok(())
    }
}

/// Whether this is the first half of a surrogate pair.
pub(super) fn is_high(code: u32) -> bool {
    (0xd800..0xdc00).contains(&code)
}

/// Whether this is the second half of a surrogate pair.
pub(super) fn is_low(code: u32) -> bool {
    (0xdc00..0xe000).contains(&code)
}

/// The code point of a surrogate pair.
pub(super) fn join(high: u32, low: u32) -> u32 {
    0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
}

/// Encodes a half of a pair as three bytes, in the scheme of UTF-8.
fn encode_half(half: u32) -> [u8; 3] {
    [0xe0 | (half >> 12) as u8, 0x80 | (half >> 6 & 0x3f) as u8, 0x80 | (half & 0x3f) as u8]
}

/// Decodes the bytes of [`encode_half`]; `None` if they are something else.
pub(super) fn decode_half(bytes: [u8; 3]) -> Option<u32> {
    let half = u32::from(bytes[0] & 0xf) << 12 | u32::from(bytes[1] & 0x3f) << 6 | u32::from(bytes[2] & 0x3f);
    (bytes[0] == 0xed && (is_high(half) || is_low(half))).then_some(half)
}
