//! Finds the bytes of a string that need special treatment, eight bytes at a time in one 64-bit word.
//!
//! Most strings of a response are names and short words. For those, calling a vectorized search costs more than the
//! search.

/// A 1 in each byte of a word.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte of a word.
const HIGH_BITS: u64 = ONES << 7;

/// Returns two words that have the highest bit set in some bytes: in the first, those of quotes and backslashes; in the
/// second, those of bytes that are not printable ASCII.
///
/// The lowest mark is always correct, the ones above it may be wrong: the subtraction borrows from the next byte
/// (Hacker's Delight, 6-1).
#[inline]
pub(super) fn mark_ends_and_non_plain(word: [u8; 8]) -> (u64, u64) {
    let word = u64::from_le_bytes(word);
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH_BITS;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (is(b'"') | is(b'\\'), below(word, 0x20) | (word & HIGH_BITS))
}

/// Whether a text is printable ASCII without anything that JSON escapes. For short texts.
#[inline]
pub(super) fn is_plain(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks();
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    words.iter().chain([&last]).all(|word| mark_ends_and_non_plain(*word) == (0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_is_not_plain_is_found_at_any_position() {
        for length in 0..40 {
            assert!(is_plain(&vec![b'~'; length]));
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut text = vec![b'x'; length];
                    text[at] = byte;
                    let plain = (b' '..0x80).contains(&byte) && byte != b'"' && byte != b'\\';
                    assert_eq!(is_plain(&text), plain, "{byte} at {at} of {length}");
                }
            }
        }
    }
}
