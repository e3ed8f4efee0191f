//! The target of the encoder: a buffer, or a counter if only the length of the JSON is needed.

use base64_simd::STANDARD;

use super::error::Error;
use super::escape::{escaped_length, put_escaped};

/// Receives JSON piece by piece.
pub(super) trait Output {
    /// The number of bytes so far.
    fn len(&self) -> usize;

    /// Appends bytes as they are.
    fn put(&mut self, bytes: &[u8]);

    /// Appends the text of a string, or a part of it, with its JSON escapes and without quotes.
    fn text(&mut self, text: &[u8]) -> Result<(), Error>;

    /// Appends base64 without its quotes.
    fn base64(&mut self, bytes: &[u8]);

    /// Ends an object or a list. Every element is written with a comma after it, so unless the list is empty the
    /// bracket replaces the last comma.
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

/// Counts the bytes of the JSON without writing it.
#[derive(Debug, Default)]
pub(super) struct Length(usize);

impl Output for Length {
    fn len(&self) -> usize {
        self.0
    }

    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    /// Does not check that the text is UTF-8: the same text is written later and fails then.
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
