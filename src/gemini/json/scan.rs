//! Reads JSON text token by token (RFC 8259), without building a tree.

use memchr::{memchr, memchr2};

use super::MAX_DEPTH;
use super::error::{Error, Problem};
use super::plain::mark_ends_and_non_plain;
use super::string::Str;
use crate::gemini::steps::Steps;

/// A position in a JSON text. Reading is counted in steps.
#[derive(Debug)]
pub(super) struct Scanner<'j, 's> {
    text: &'j [u8],
    at: usize,
    steps: &'j mut Steps<'s>,
    /// Whether to accept what is common in responses and not valid JSON: `NaN`, `Infinity`, and skipped values of any
    /// depth.
    pub(super) tolerant: bool,
    /// Whether a string with an escape was read.
    pub(super) has_escapes: bool,
}

/// Where a string ends is guessed if at least this many bytes of JSON come, and it does not end in the first half of them.
const MIN_GUESSED_BYTES: usize = 128 << 10;
/// How many bytes are searched in each step of a guess.
const GUESS_WINDOW_BYTES: usize = 1 << 10;

/// The end of a string is searched eight bytes at a time up to this length; most strings end before it. From there on
/// memchr is faster.
const MAX_WORDWISE_BYTES: usize = 32;

impl<'j, 's> Scanner<'j, 's> {
    /// Starts at the first byte after a byte-order mark, which RFC 8259 (8.1) allows a reader to ignore.
    pub(super) fn new(text: &'j [u8], steps: &'j mut Steps<'s>) -> Self {
        Self {
            text: text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text),
            at: 0,
            steps,
            tolerant: false,
            has_escapes: false,
        }
    }

    /// The steps that reading is counted with.
    pub(super) fn steps(&mut self) -> &mut Steps<'s> {
        self.steps
    }

    /// The length of the whole text, in bytes.
    pub(super) fn length(&self) -> usize {
        self.text.len()
    }

    /// The offset of the next byte.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Moves to an offset that [`Scanner::position`] returned.
    pub(super) fn seek(&mut self, at: usize) {
        self.at = at;
    }

    /// The number of bytes that were not read yet.
    pub(super) fn remaining(&self) -> usize {
        self.text.len() - self.at
    }

    /// The first byte of the next token, without consuming it. White space before it is consumed.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> Result<u8, Error> {
        match self.text.get(self.at) {
            Some(&byte) if byte > b' ' => Ok(byte),
            _ => self.peek_past_space(),
        }
    }

    #[inline(always)]
    fn peek_past_space(&mut self) -> Result<u8, Error> {
        // Most writers put one space after a colon or a comma, or none.
        if let [b' ', next, ..] = self.text[self.at..]
            && next > b' '
        {
            self.at += 1;
            return Ok(next);
        }
        self.peek_past_spaces()
    }

    fn peek_past_spaces(&mut self) -> Result<u8, Error> {
        /// The work can be interrupted after each block of this many bytes.
        const BLOCK: usize = 64 << 10;
        loop {
            let rest = &self.text[self.at..];
            let block = &rest[..rest.len().min(BLOCK)];
            let blank = block.iter().take_while(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')).count();
            // White space is read byte by byte, which takes 16 times as long as a vectorized search.
            self.steps.take_bytes(blank * 16)?;
            self.at += blank;
            if let Some(&byte) = block.get(blank) {
                return Ok(byte);
            }
            if block.is_empty() {
                return Err(Problem::TruncatedJson.into());
            }
        }
    }

    /// Consumes `byte` if it comes next.
    #[inline]
    pub(super) fn eat(&mut self, byte: u8) -> Result<bool, Error> {
        let there = self.peek()? == byte;
        self.at += usize::from(there);
        Ok(there)
    }

    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.eat(byte)? { Ok(()) } else { Err(Problem::Syntax.into()) }
    }

    /// Consumes `null` if it comes next.
    #[inline(always)]
    pub(super) fn eat_null(&mut self) -> Result<bool, Error> {
        if self.peek()? != b'n' {
            return Ok(false);
        }
        self.expect_word(b"null")?;
        Ok(true)
    }

    pub(super) fn expect_word(&mut self, word: &[u8]) -> Result<(), Error> {
        if !self.text[self.at..].starts_with(word) {
            return Err(Problem::Syntax.into());
        }
        self.at += word.len();
        Ok(())
    }

    /// After an element or a member: consumes the comma and returns true, or consumes `close` and returns false.
    #[inline(always)]
    pub(super) fn has_next(&mut self, close: u8) -> Result<bool, Error> {
        let byte = self.peek()?;
        if byte != b',' && byte != close {
            return Err(Problem::Syntax.into());
        }
        self.at += 1;
        Ok(byte == b',')
    }

    /// Consumes `key`, which is a name with its quotes and its colon, if exactly these bytes come next.
    #[inline]
    pub(super) fn eat_key(&mut self, key: &str) -> bool {
        let there = self.text[self.at..].starts_with(key.as_bytes());
        self.at += if there { key.len() } else { 0 };
        there
    }

    /// Reads a string: finds its end, and checks its text only as far as that costs nothing.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Str<'j>, Error> {
        self.expect(b'"')?;
        let text = &self.text[self.at..];
        // Bytes before the end that are not printable ASCII.
        let mut non_plain = 0;
        for at in (0..MAX_WORDWISE_BYTES).step_by(8) {
            let Some(word) = text.get(at..).and_then(<[u8]>::first_chunk) else { break };
            let (ends, word_non_plain) = mark_ends_and_non_plain(*word);
            if ends == 0 {
                non_plain |= word_non_plain;
                continue;
            }
            let length = at + ends.trailing_zeros() as usize / 8;
            if text[length] == b'\\' {
                break;
            }
            self.at += length + 1;
            // Only the marks below the lowest end mark: the bytes after the closing quote do not belong to the string.
            non_plain |= word_non_plain & ((ends & ends.wrapping_neg()) - 1);
            return Ok(Str { raw: &text[..length], escaped: false, plain: non_plain == 0 });
        }
        self.long_string()
    }

    /// Reads the rest of a string whose opening quote was consumed.
    fn long_string(&mut self) -> Result<Str<'j>, Error> {
        let start = self.at;
        let mut escaped = false;
        loop {
            let found = memchr2(b'"', b'\\', &self.text[self.at..]).ok_or(Problem::TruncatedJson)?;
            self.at += found + 1;
            self.steps.take_bytes(found)?;
            if self.text[self.at - 1] == b'"' {
                return Ok(Str { raw: &self.text[start..self.at - 1], escaped, plain: false });
            }
            (escaped, self.has_escapes) = (true, true);
            self.steps.take(1)?;
            if self.remaining() == 0 {
                return Err(Problem::TruncatedJson.into());
            }
            self.at += 1;
        }
    }

    /// Reads a long string up to where it probably ends. To search all of it for its end would take half as long as to
    /// decode it. If its text is base64, which has no quotes and no backslashes, the guess was right. Otherwise the caller
    /// has to go back, and to read the string as any other.
    pub(super) fn guess_string(&mut self) -> Result<Option<&'j [u8]>, Error> {
        self.peek()?;
        let Some(text) = self.text[self.at..].strip_prefix(b"\"") else { return Ok(None) };
        if text.len() < MIN_GUESSED_BYTES || memchr2(b'"', b'\\', &text[..MIN_GUESSED_BYTES / 2]).is_some() {
            return Ok(None);
        }
        // The quote comes between these two, if no other long string does.
        let (mut inside, mut outside) = (0, text.len());
        while outside - inside > GUESS_WINDOW_BYTES {
            let middle = inside + (outside - inside) / 2;
            let window = &text[middle..text.len().min(middle + GUESS_WINDOW_BYTES)];
            match memchr(b'"', window) {
                None => inside = middle,
                Some(_) => outside = middle,
            }
        }
        let Some(rest) = memchr(b'"', &text[inside..]) else { return Ok(None) };
        self.at += inside + rest + 2;
        Ok(Some(&text[..inside + rest]))
    }

    /// Reads a whole number of at most 18 digits. Returns `None` for anything else, and consumes nothing then.
    #[inline]
    pub(super) fn short_integer(&mut self) -> Option<i64> {
        /// Any number of this many digits fits into 64 bits.
        const MAX_DIGITS: usize = 18;
        let text = &self.text[self.at..];
        let sign = usize::from(text.first() == Some(&b'-'));
        let mut value = 0;
        let mut at = sign;
        while let Some(digit) = text.get(at).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            if at - sign == MAX_DIGITS {
                return None;
            }
            value = value * 10 + i64::from(digit);
            at += 1;
        }
        let leading_zero = text.get(sign) == Some(&b'0') && at > sign + 1;
        if at == sign || leading_zero || matches!(text.get(at), Some(b'.' | b'e' | b'E')) {
            return None;
        }
        self.at += at;
        Some(if sign == 1 { -value } else { value })
    }

    /// Reads a number by the grammar of RFC 8259.
    pub(super) fn number(&mut self) -> Result<&'j str, Error> {
        let start = self.at;
        let digits = |scanner: &mut Self| {
            let from = scanner.at;
            while scanner.text.get(scanner.at).is_some_and(u8::is_ascii_digit) {
                scanner.at += 1;
            }
            if scanner.at == from { Err(Error::from(Problem::Syntax)) } else { Ok(scanner.at - from) }
        };
        let next_is = |scanner: &Self, bytes: &[u8]| scanner.text.get(scanner.at).is_some_and(|b| bytes.contains(b));
        self.at += usize::from(next_is(self, b"-"));
        let leading_zero = next_is(self, b"0");
        if digits(self)? > 1 && leading_zero {
            return Err(Problem::Syntax.into());
        }
        if next_is(self, b".") {
            self.at += 1;
            digits(self)?;
        }
        if next_is(self, b"eE") {
            self.at += 1;
            self.at += usize::from(next_is(self, b"+-"));
            digits(self)?;
        }
        // Digits are read one by one, here and again when they are parsed.
        self.steps.take_bytes((self.at - start) * 16)?;
        str::from_utf8(&self.text[start..self.at]).map_err(|_| Problem::Utf8.into())
    }

    /// Consumes `NaN`, `Infinity` or `-Infinity` without quotes, if `tolerant`. They are not JSON, but Python's `json`
    /// writes them.
    pub(super) fn eat_non_finite(&mut self) -> Option<&'static str> {
        let rest = &self.text[self.at..];
        let word = ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| rest.starts_with(word.as_bytes()))?;
        self.at += if self.tolerant { word.len() } else { return None };
        Some(word)
    }

    /// Skips a value of any kind. Without recursion, so that a deep value cannot overflow the stack. The order of the
    /// tokens inside is not checked: what is kept is read again, and fails then.
    pub(super) fn skip_value(&mut self) -> Result<(), Error> {
        let mut depth = 0;
        loop {
            self.steps.take(1)?;
            match self.peek()? {
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    if depth > MAX_DEPTH && !self.tolerant {
                        return Err(Problem::TooDeep.into());
                    }
                    continue;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => {
                    self.at += 1;
                    continue;
                }
                b'"' => drop(self.string()?),
                b'n' => self.expect_word(b"null")?,
                b't' => self.expect_word(b"true")?,
                b'f' => self.expect_word(b"false")?,
                _ if self.eat_non_finite().is_some() => {}
                _ => drop(self.number()?),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// Fails unless only white space follows.
    pub(super) fn expect_end(&mut self) -> Result<(), Error> {
        if self.peek().is_ok() { Err(Problem::TrailingData.into()) } else { Ok(()) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
