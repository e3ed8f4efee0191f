//! Where the JSON goes: into a buffer, or nowhere, when only its length is asked for.

use base64_simd::STANDARD;

use super::error::Error;
use super::escape::{escaped_length, put_escaped};

/// Takes JSON piece by piece.
pub(super) trait Output {
    /// How many bytes there are so far.
    fn len(&self) -> usize;

    /// Appends bytes as they are.
    fn put(&mut self, bytes: &[u8]);

    /// Appends the inside of a string, or a part of it, with what JSON escapes.
    fn text(&mut self, text: &[u8]) -> Result<(), Error>;

    /// Appends base64 without its quotes.
    fn base64(&mut self, bytes: &[u8]);

    /// Ends an object or a list. If it is not empty, the bracket replaces the comma behind its last element.
    fn close(&mut self, bracket: u8, empty: bool);
}

impl Output for Vec<u8> {
    #[inline]
    fn len(&self) -> usize {
        self.len()
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn text(&mut self, text: &[u8]) -> Result<(), Error> {
        put_escaped(self, text)
    }

    fn base64(&mut self, bytes: &[u8]) {
        STANDARD.encode_append(bytes, self);
    }

    #[inline]
    fn close(&mut self, bracket: u8, empty: bool) {
        match self.last_mut() {
            Some(comma) if !empty => *comma = bracket,
            _ => self.push(bracket),
        }
    }
}

/// Only counts the bytes.
#[derive(Debug, Default)]
pub(super) struct Length(usize);

impl Output for Length {
    fn len(&self) -> usize {
        self.0
    }

    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    /// Does not look whether the text is UTF-8: the same text is written later, and refused then.
    fn text(&mut self, text: &[u8]) -> Result<(), Error> {
        self.0 += escaped_length(text);
        Ok(())
    }

    fn base64(&mut self, bytes: &[u8]) {
        self.0 += STANDARD.encoded_length(bytes.len());
    }

    fn close(&mut self, _: u8, empty: bool) {
        self.0 += usize::from(empty);
    }
}
