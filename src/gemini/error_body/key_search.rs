//! Finds keys in texts, also if they are encoded or split.
//!
//! A text is reduced to its ASCII letters and digits, once as it is written and once with its escapes decoded. The
//! letters and digits of the key are searched in both. So nothing between them can hide a key: blanks, quotes, dashes,
//! characters without width. The time is linear in the length of the text.

use std::ops::Range;

use memchr::memmem;

/// A key, or an encoded form of it, is searched among the letters only if it has at least this many: shorter ones would
/// be found in ordinary words.
const MIN_LETTERS: usize = 6;

/// Finds all occurrences of `keys` in `text`. The ranges are in order and do not touch each other.
pub(super) fn find(text: &str, keys: &[&str]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let spellings = [Spelling::of(text, false), Spelling::of(text, true)];
    let lower: Vec<Vec<u8>> = spellings.iter().map(|spelling| spelling.letters.to_ascii_lowercase()).collect();
    for key in keys.iter().filter(|key| !key.is_empty()) {
        found.extend(memmem::find_iter(text.as_bytes(), *key).map(|start| start..start + key.len()));
        let plain = letters(key.as_bytes());
        // The text was decoded, so the key must be as well: it may contain what looks like an escape.
        let decoded_key = Spelling::of(key, true).letters;
        let hex: Vec<u8> = key.bytes().flat_map(|byte| [byte >> 4, byte & 15]).map(hex_digit).collect();
        let base64 = [0, 1, 2].map(|before| base64_of(key, before));
        for (spelling, lower) in spellings.iter().zip(&lower) {
            spelling.search(&spelling.letters, &plain, &mut found);
            spelling.search(&spelling.letters, &decoded_key, &mut found);
            spelling.search(lower, &hex, &mut found);
            for form in &base64 {
                let first = found.len();
                spelling.search(&spelling.letters, form, &mut found);
                found[first..].iter_mut().for_each(|range| *range = with_neighbors(text, range));
            }
        }
    }
    merged(found)
}

/// The ASCII letters and digits of a text.
struct Spelling {
    letters: Vec<u8>,
    /// The range of each in the text: longer than a byte for an escape.
    places: Vec<Range<u32>>,
}

impl Spelling {
    fn of(text: &str, decode: bool) -> Self {
        let bytes = text.as_bytes();
        let mut spelling = Self { letters: Vec::with_capacity(bytes.len()), places: Vec::with_capacity(bytes.len()) };
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let (letter, end) = if decode { decoded(bytes, at) } else { (byte, at + 1) };
            // Texts are much shorter than 4 GiB, so offsets of 32 bits are enough.
            if let (true, Ok(start), Ok(end)) = (letter.is_ascii_alphanumeric(), u32::try_from(at), u32::try_from(end))
            {
                spelling.letters.push(letter);
                spelling.places.push(start..end);
            }
            at = end;
        }
        spelling
    }

    /// Searches `form` in `letters`, and adds the ranges of the text where it was found.
    fn search(&self, letters: &[u8], form: &[u8], found: &mut Vec<Range<usize>>) {
        if form.len() < MIN_LETTERS {
            return;
        }
        for first in memmem::find_iter(letters, form) {
            if let (Some(from), Some(to)) = (self.places.get(first), self.places.get(first + form.len() - 1)) {
                found.push(from.start as usize..to.end as usize);
            }
        }
    }
}

/// Decodes the byte at an offset, which may be escaped. Returns it and the offset after it. A decoded character that is
/// not ASCII is 0.
fn decoded(bytes: &[u8], at: usize) -> (u8, usize) {
    let escaped = match bytes[at] {
        b'%' => percent(bytes, at),
        b'\\' => Some(backslash(bytes, at)),
        b'&' => entity(bytes, at),
        _ => None,
    };
    escaped.unwrap_or((bytes[at], at + 1))
}

/// Decodes `%2D`, or `%252D` if it was encoded twice.
fn percent(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let mut digits = at + 1;
    while bytes[digits..].starts_with(b"25") {
        digits += 2;
    }
    number(bytes, digits, 2, 16).or_else(|| number(bytes, at + 1, 2, 16))
}

/// Decodes `\u002d`, `\x2d` and `\n` in JSON or code, with any number of backslashes.
fn backslash(bytes: &[u8], at: usize) -> (u8, usize) {
    let name = at + bytes[at..].iter().take_while(|byte| **byte == b'\\').count();
    let escaped = match bytes.get(name) {
        Some(b'u') => number(bytes, name + 1, 4, 16),
        Some(b'x') => number(bytes, name + 1, 2, 16),
        Some(b'b' | b'f' | b'n' | b'r' | b't') => Some((b' ', name + 1)),
        _ => None,
    };
    // All backslashes are consumed in any case. Otherwise a long row of them would be scanned again from each one:
    // quadratic time.
    escaped.unwrap_or((b' ', name))
}

/// Decodes `&#45;` and `&#x2d;` in a web page, and some named entities.
fn entity(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    for name in [&b"amp;"[..], b"lt;", b"gt;", b"quot;", b"apos;", b"nbsp;", b"shy;"] {
        if bytes[at + 1..].starts_with(name) {
            return Some((b' ', at + 1 + name.len()));
        }
    }
    let digits = at + 1 + usize::from(bytes.get(at + 1) == Some(&b'#'));
    let (start, radix) = match bytes.get(digits) {
        _ if digits == at + 1 => return None,
        Some(b'x' | b'X') => (digits + 1, 16),
        _ => (digits, 10),
    };
    let length = bytes[start..].iter().take(8).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (letter, end) = number(bytes, start, length, radix)?;
    Some((letter, end + usize::from(bytes.get(end) == Some(&b';'))))
}

/// Reads a number of `length` digits. Returns the ASCII character with this number, or 0 for another character, and the
/// offset after the digits.
fn number(bytes: &[u8], start: usize, length: usize, radix: u32) -> Option<(u8, usize)> {
    let digits = std::str::from_utf8(bytes.get(start..start + length)?).ok()?;
    // `from_str_radix` would accept a sign.
    let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    let value = u32::from_str_radix(digits, radix).ok()?;
    Some((u8::try_from(value).ok().filter(u8::is_ascii).unwrap_or(0), start + length))
}

fn letters(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(u8::is_ascii_alphanumeric).collect()
}

fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

/// The letters in the base64 of a text that depend only on the key in it, if `before` bytes precede the key in its
/// group of three. They are the same in both alphabets, which differ only in characters that are not letters or digits.
fn base64_of(key: &str, before: usize) -> Vec<u8> {
    let encoded = base64_simd::STANDARD_NO_PAD.encode_to_string([&[0; 2][..before], key.as_bytes(), &[0; 2]].concat());
    let own = (before * 8).div_ceil(6)..(before + key.len()) * 8 / 6;
    letters(encoded.as_bytes().get(own).unwrap_or_default())
}

/// The range with the base64 character on either side, which encodes a few bits of the key too.
fn with_neighbors(text: &str, range: &Range<usize>) -> Range<usize> {
    let is_base64 = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte));
    let bytes = text.as_bytes();
    let start = range.start - usize::from(range.start > 0 && is_base64(bytes.get(range.start - 1)));
    start..range.end + usize::from(is_base64(bytes.get(range.end)))
}

/// Sorts the ranges, and merges those that overlap or touch.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
