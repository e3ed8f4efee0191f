//! Which bytes of a string need a second look, told for eight bytes at a time.
//!
//! Most strings of an answer are names and short words, for which a call of a vectorised search costs more than the search.

/// A byte in each byte of a word.
const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = EACH << 7;

/// Marks, in the highest bit of their bytes, the quotes and backslashes of a word, and the bytes that are not
/// printable ASCII. The lowest mark of each is right; one above it may be wrong (Hacker's Delight, 6-1).
#[inline]
pub(super) fn mark_ends_and_non_plain(word: [u8; 8]) -> (u64, u64) {
    let word = u64::from_le_bytes(word);
    let below = |word: u64, limit: u64| word.wrapping_sub(EACH * limit) & !word & HIGH;
    let is = |byte: u8| below(word ^ (EACH * u64::from(byte)), 1);
    (is(b'"') | is(b'\\'), below(word, 0x20) | (word & HIGH))
}

/// Whether a short text is ASCII without anything that JSON escapes.
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
    fn a_byte_that_is_not_plain_is_seen_wherever_it_stands() {
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
