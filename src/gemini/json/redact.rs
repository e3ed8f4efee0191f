//! Redacts a key in the strings of a JSON text that is passed on, and leaves everything else as it is.
//!
//! A key may be written with escapes. Texts without the key are only searched.

use std::ops::Range;

use memchr::memmem::Finder;
use memchr::{memchr, memchr2};

use super::TABLE;
use super::repairs::Repairs;
use super::string::unescape;
use crate::gemini::steps::{Interrupted, Steps};

/// Replaces the key.
const REDACTED: &[u8] = b"***";

/// A key shorter than this, in bytes, is not searched in long base64, where it can occur by chance.
const MIN_KEY_BYTES_IN_DATA: usize = 16;
/// Base64 from this length on is data, in bytes.
const MIN_DATA_BYTES: usize = 256;

/// The text with `***` in the place of the key, or `None` if no string contains it. `has_escapes` says whether a string
/// has escapes.
pub(super) fn redact(
    json: &[u8],
    key: &Finder<'_>,
    has_escapes: bool,
    steps: &mut Steps<'_>,
) -> Result<Option<Vec<u8>>, Interrupted> {
    if key.needle().is_empty() {
        return Ok(None);
    }
    // Searching with SIMD is less than half of the work of copying.
    steps.take_bytes(json.len() / 2)?;
    if key.find(json).is_none() && !(has_escapes && escapes_may_be_of(key.needle(), json, steps)?) {
        return Ok(None);
    }
    let mut search = KeySearch::new(key.needle());
    let mut redacted = Redacted { json, out: Vec::new(), done: 0 };
    let mut at = 0;
    while let Some(start) = memchr(b'"', &json[at..]).map(|quote| at + quote + 1) {
        let text = &json[start..string_end(json, start)];
        at = (start + text.len() + 1).min(json.len());
        // Each byte is compared, which takes 16 times as long as a vectorized search.
        steps.take(1)?;
        steps.take_bytes(text.len() * 16)?;
        if !is_known_name(text, &json[at..]) && !is_data_for(key.needle(), text) {
            search.find(text, |place| redacted.replace(start + place.start..start + place.end));
        }
    }
    Ok(redacted.finish())
}

/// Whether an escape in the text can be a character of the key.
fn escapes_may_be_of(key: &[u8], json: &[u8], steps: &mut Steps<'_>) -> Result<bool, Interrupted> {
    steps.take_bytes(json.len() / 2)?;
    let (mut rest, mut character) = (json, Vec::new());
    while let Some(at) = memchr(b'\\', rest) {
        steps.take(1)?;
        character.clear();
        rest = after_escape(&rest[at + 1..], &mut character);
        if character.iter().any(|byte| key.contains(byte)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Decodes the escape whose backslash was consumed, and returns the bytes after it. Half of a surrogate pair is a
/// character that no key has. What is no escape, as in a member that nothing reads, may be the key itself.
fn after_escape<'j>(escape: &'j [u8], character: &mut Vec<u8>) -> &'j [u8] {
    let mut repairs = Repairs { allowed: true, ..Repairs::default() };
    unescape(escape, character, 0, &mut repairs).unwrap_or_else(|_| {
        character.clear();
        escape
    })
}

/// The offset of the quote that ends a string.
fn string_end(json: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(found) = memchr2(b'"', b'\\', json.get(at..).unwrap_or_default()) {
        if json[at + found] == b'"' {
            return at + found;
        }
        at += found + 2;
    }
    json.len()
}

/// Whether a text is the name of a member that the contract has. Such a name cannot be replaced, and a key is no such
/// name.
fn is_known_name(text: &[u8], after: &[u8]) -> bool {
    after.trim_ascii_start().first() == Some(&b':') && TABLE.has_member(text)
}

/// Whether a text is base64 in which a key like this one occurs by chance.
fn is_data_for(key: &[u8], text: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=\\".contains(byte);
    key.len() < MIN_KEY_BYTES_IN_DATA && text.len() >= MIN_DATA_BYTES && text.iter().all(is_base64)
}

/// A text with [`REDACTED`] in some places.
struct Redacted<'j> {
    json: &'j [u8],
    out: Vec<u8>,
    /// How much of the text is in `out`.
    done: usize,
}

impl Redacted<'_> {
    /// Replaces a place, which must be after all earlier ones.
    fn replace(&mut self, place: Range<usize>) {
        if self.out.is_empty() {
            self.out.reserve(self.json.len());
        }
        self.out.extend_from_slice(&self.json[self.done..place.start]);
        self.out.extend_from_slice(REDACTED);
        self.done = place.end;
    }

    /// The whole text; `None` if nothing was replaced.
    fn finish(mut self) -> Option<Vec<u8>> {
        if self.out.is_empty() {
            return None;
        }
        self.out.extend_from_slice(&self.json[self.done..]);
        self.out.shrink_to_fit();
        Some(self.out)
    }
}

/// Searches a key in strings with escapes, byte by byte (Knuth, Morris and Pratt): in linear time, and with memory for
/// the key alone.
struct KeySearch<'k> {
    key: &'k [u8],
    /// For each length of a beginning of the key: the length of the longest shorter beginning that it ends with.
    shorter: Vec<usize>,
    /// Where the last characters begin in the text, as many as the key has.
    starts: Vec<usize>,
}

impl<'k> KeySearch<'k> {
    fn new(key: &'k [u8]) -> Self {
        let mut search = Self { key, shorter: vec![0; key.len()], starts: vec![0; key.len()] };
        let mut matched = 0;
        for (at, &byte) in key.iter().enumerate().skip(1) {
            matched = search.advance(matched, byte);
            search.shorter[at] = matched;
        }
        search
    }

    /// How much of the key is matched after one more byte, if this much of it, but not all, was matched before.
    fn advance(&self, mut matched: usize, byte: u8) -> usize {
        while matched > 0 && self.key[matched] != byte {
            matched = self.shorter[matched - 1];
        }
        matched + usize::from(self.key[matched] == byte)
    }

    /// Finds the places of the key in a string.
    fn find(&mut self, text: &[u8], mut found: impl FnMut(Range<usize>)) {
        let (mut rest, mut character) = (text, Vec::new());
        let (mut matched, mut count) = (0, 0);
        while let Some((&first, after)) = rest.split_first() {
            let start = text.len() - rest.len();
            character.clear();
            if first == b'\\' {
                rest = after_escape(after, &mut character);
            } else {
                character.push(first);
                rest = after;
            }
            for &byte in &character {
                self.starts[count % self.key.len()] = start;
                count += 1;
                matched = self.advance(matched, byte);
                if matched == self.key.len() {
                    let first = self.starts[count % self.key.len()];
                    found(first..text.len() - rest.len());
                    matched = 0;
                }
            }
        }
    }
}
