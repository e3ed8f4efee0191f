//! A JSON string as it is written, and its text.

use std::borrow::Cow;

use super::error::{Error, Problem};
use super::repairs::{Repairs, is_high, is_low, join};
use crate::gemini::steps::Steps;

/// A string as it is written in the JSON.
#[derive(Clone, Copy, Debug)]
pub(super) struct Str<'j> {
    /// The bytes between the quotes.
    pub(super) raw: &'j [u8],
    /// Whether it contains a backslash.
    pub(super) escaped: bool,
    /// Whether it is known to be printable ASCII, so that nothing is left to check.
    pub(super) plain: bool,
}

impl<'j> Str<'j> {
    /// Appends the text of the string with its escapes decoded. `repairs` decides what becomes of text that is not
    /// valid Unicode. A control character that is not escaped is an error.
    #[inline]
    pub(super) fn put(&self, out: &mut Vec<u8>, steps: &mut Steps<'_>, repairs: &mut Repairs) -> Result<(), Error> {
        if self.plain {
            out.extend_from_slice(self.raw);
            return Ok(());
        }
        self.put_checked(out, steps, repairs)
    }

    fn put_checked(&self, out: &mut Vec<u8>, steps: &mut Steps<'_>, repairs: &mut Repairs) -> Result<(), Error> {
        let is_utf8 = self.utf8(steps)?.is_some();
        if !self.escaped && is_utf8 {
            out.extend_from_slice(self.raw);
            return Ok(());
        }
        let start = out.len();
        let mut rest = self.raw;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            steps.take(1)?;
            repairs.put(&rest[..at], is_utf8, out)?;
            rest = unescape(&rest[at + 1..], out, start, repairs)?;
        }
        repairs.put(rest, is_utf8, out)
    }

    /// The bytes between the quotes as text, or `None` if they are not UTF-8. A control character that is not escaped
    /// is an error.
    pub(super) fn utf8(&self, steps: &mut Steps<'_>) -> Result<Option<&'j str>, Error> {
        steps.take_bytes(self.raw.len())?;
        // Without an early exit, so that the compiler can vectorize it.
        if self.raw.iter().fold(false, |any, &b| any | (b < 0x20)) {
            return Err(Problem::Syntax.into());
        }
        Ok(simdutf8::basic::from_utf8(self.raw).ok())
    }

    /// The text of the string, borrowed if possible. For short or rare strings: it may allocate.
    pub(super) fn text(&self, steps: &mut Steps<'_>, repairs: &mut Repairs) -> Result<Cow<'j, str>, Error> {
        if !self.escaped
            && let Some(text) = self.utf8(steps)?
        {
            return Ok(Cow::Borrowed(text));
        }
        let mut out = Vec::with_capacity(self.raw.len());
        self.put(&mut out, steps, repairs)?;
        String::from_utf8(out).map(Cow::Owned).map_err(|_| Problem::Utf8.into())
    }
}

/// Decodes the escape whose backslash was consumed, and appends its character to `out`. Returns the bytes after it. The
/// text of the string begins at `start` in `out`.
pub(super) fn unescape<'j>(
    escape: &'j [u8],
    out: &mut Vec<u8>,
    start: usize,
    repairs: &mut Repairs,
) -> Result<&'j [u8], Error> {
    let (&letter, rest) = escape.split_first().ok_or(Problem::Syntax)?;
    out.push(match letter {
        b'"' | b'\\' | b'/' => letter,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'u' => {
            let (first, rest) = hex(rest)?;
            let second = if is_high(first) { rest.strip_prefix(b"\\u").map(hex).transpose()? } else { None };
            let (code, rest) = match second {
                Some((second, rest)) if is_low(second) => (join(first, second), rest),
                _ => (first, rest),
            };
            match char::from_u32(code) {
                Some(character) => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
                // A surrogate without its other half is not a character.
                None => repairs.put_half(code, out.len() == start, rest.is_empty(), out)?,
            }
            return Ok(rest);
        }
        _ => return Err(Problem::Syntax.into()),
    });
    Ok(rest)
}

/// Reads four hexadecimal digits; returns their value and the bytes after them.
fn hex(text: &[u8]) -> Result<(u32, &[u8]), Error> {
    let (digits, rest) = text.split_first_chunk::<4>().ok_or(Problem::Syntax)?;
    let mut value = 0;
    for &digit in digits {
        value = value << 4 | char::from(digit).to_digit(16).ok_or(Problem::Syntax)?;
    }
    Ok((value, rest))
}
