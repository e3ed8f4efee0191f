//! Reads JSON text piece by piece (RFC 8259), without building anything.

use std::borrow::Cow;

use memchr::memchr2;

use super::MAX_DEPTH;
use super::error::{Error, Problem};

/// A place in a JSON text.
#[derive(Clone, Debug)]
pub(super) struct Scanner<'j> {
    text: &'j [u8],
    at: usize,
}

/// What stands between the quotes of a string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Str<'j> {
    pub(super) raw: &'j [u8],
    pub(super) escaped: bool,
}

impl<'j> Scanner<'j> {
    /// Starts behind a byte-order mark, if there is one (RFC 8259, 8.1 lets a reader ignore it).
    pub(super) fn new(text: &'j [u8]) -> Self {
        Self { text: text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text), at: 0 }
    }

    /// How much text is left, in bytes.
    pub(super) fn left(&self) -> usize {
        self.text.len() - self.at
    }

    /// The first byte of the next token; it is not consumed.
    pub(super) fn peek(&mut self) -> Result<u8, Error> {
        while let Some(&byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(Problem::TruncatedJson.into())
    }

    /// Consumes `byte` if it comes next.
    pub(super) fn eat(&mut self, byte: u8) -> Result<bool, Error> {
        let there = self.peek()? == byte;
        self.at += usize::from(there);
        Ok(there)
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.eat(byte)? { Ok(()) } else { Err(Problem::Syntax.into()) }
    }

    /// Consumes `null` if it comes next.
    pub(super) fn null(&mut self) -> Result<bool, Error> {
        if self.peek()? != b'n' {
            return Ok(false);
        }
        self.word(b"null")?;
        Ok(true)
    }

    pub(super) fn word(&mut self, word: &[u8]) -> Result<(), Error> {
        if !self.text[self.at..].starts_with(word) {
            return Err(Problem::Syntax.into());
        }
        self.at += word.len();
        Ok(())
    }

    /// Moves to the next element or member after one was read: true if there is one, false at `close`.
    pub(super) fn more(&mut self, close: u8) -> Result<bool, Error> {
        if self.eat(b',')? {
            return Ok(true);
        }
        self.expect(close)?;
        Ok(false)
    }

    /// A string; its text is not looked at beyond finding its end.
    pub(super) fn string(&mut self) -> Result<Str<'j>, Error> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let found = memchr2(b'"', b'\\', &self.text[self.at..]).ok_or(Problem::TruncatedJson)?;
            self.at += found + 1;
            if self.text[self.at - 1] == b'"' {
                return Ok(Str { raw: &self.text[start..self.at - 1], escaped });
            }
            escaped = true;
            if self.left() == 0 {
                return Err(Problem::TruncatedJson.into());
            }
            self.at += 1;
        }
    }

    /// A number by RFC 8259's grammar.
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
        str::from_utf8(&self.text[start..self.at]).map_err(|_| Problem::Utf8.into())
    }

    /// Skips a value of any kind and hands over its text.
    pub(super) fn skip(&mut self) -> Result<&'j [u8], Error> {
        self.peek()?;
        let start = self.at;
        let mut open = 0;
        loop {
            match self.peek()? {
                b'{' | b'[' => {
                    open += 1;
                    self.at += 1;
                    if open > MAX_DEPTH {
                        return Err(Problem::TooDeep.into());
                    }
                    continue;
                }
                b'}' | b']' if open > 0 => {
                    open -= 1;
                    self.at += 1;
                }
                b',' | b':' if open > 0 => {
                    self.at += 1;
                    continue;
                }
                b'"' => drop(self.string()?),
                b'n' => self.word(b"null")?,
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                _ => drop(self.number()?),
            }
            if open == 0 {
                return Ok(&self.text[start..self.at]);
            }
        }
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        if self.peek().is_ok() { Err(Problem::TrailingData.into()) } else { Ok(()) }
    }
}

impl<'j> Str<'j> {
    /// Appends the text of the string, which must be UTF-8 without bare control characters.
    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        simdutf8::basic::from_utf8(self.raw).map_err(|_| Problem::Utf8)?;
        if self.raw.iter().fold(false, |any, &b| any | (b < 0x20)) {
            return Err(Problem::Syntax.into());
        }
        if !self.escaped {
            out.extend_from_slice(self.raw);
            return Ok(());
        }
        let mut rest = self.raw;
        while let Some(at) = memchr::memchr(b'\\', rest) {
            out.extend_from_slice(&rest[..at]);
            rest = unescape(&rest[at + 1..], out)?;
        }
        out.extend_from_slice(rest);
        Ok(())
    }

    /// The text of a string that is short or rare.
    pub(super) fn text(&self) -> Result<Cow<'j, str>, Error> {
        if !self.escaped {
            return simdutf8::basic::from_utf8(self.raw).map(Cow::Borrowed).map_err(|_| Problem::Utf8.into());
        }
        let mut out = Vec::with_capacity(self.raw.len());
        self.put(&mut out)?;
        String::from_utf8(out).map(Cow::Owned).map_err(|_| Problem::Utf8.into())
    }
}

/// Appends the character that an escape stands for; hands over what follows it.
fn unescape<'j>(escape: &'j [u8], out: &mut Vec<u8>) -> Result<&'j [u8], Error> {
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
            let (code, rest) = match first {
                0xd800..0xdc00 => {
                    let (second, rest) = hex(rest.strip_prefix(b"\\u").ok_or(Problem::Syntax)?)?;
                    if !(0xdc00..0xe000).contains(&second) {
                        return Err(Problem::Syntax.into());
                    }
                    (0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00), rest)
                }
                _ => (first, rest),
            };
            // A surrogate without its other half is no character.
            let character = char::from_u32(code).ok_or(Problem::Syntax)?;
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            return Ok(rest);
        }
        _ => return Err(Problem::Syntax.into()),
    });
    Ok(rest)
}

fn hex(text: &[u8]) -> Result<(u32, &[u8]), Error> {
    let (digits, rest) = text.split_first_chunk::<4>().ok_or(Problem::Syntax)?;
    let mut value = 0;
    for &digit in digits {
        value = value << 4 | char::from(digit).to_digit(16).ok_or(Problem::Syntax)?;
    }
    Ok((value, rest))
}
