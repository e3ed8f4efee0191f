//! Reads JSON values as events: the elements of an array, or objects one after another.

use bytes::Bytes;
use memchr::memchr2;

use super::body::Body;
use super::{Error, has_content};

/// Finds the end of an object or array that arrives in any number of chunks. Each byte is read once.
///
/// It only counts brackets and skips strings. Whether the text is valid JSON is left to the translator.
#[derive(Default)]
pub(super) struct ValueEnd {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl ValueEnd {
    /// Continues with the next bytes. If they contain the bracket that closes the value, returns the length up to and
    /// including it.
    fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.escaped {
                self.escaped = false;
            } else if self.in_string {
                // Nearly all bytes of a response are inside strings, so these are searched with SIMD.
                at += memchr2(b'"', b'\\', &bytes[at..])?;
                self.escaped = bytes[at] == b'\\';
                self.in_string = self.escaped;
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => {
                        self.depth -= 1;
                        if self.depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                }
            }
            at += 1;
        }
        None
    }

    /// Returns the value that `body` begins or continues with, once it is complete.
    pub(super) fn read(&mut self, body: &mut Body, limit: usize) -> Result<Option<Bytes>, Error> {
        let end = self.find(body.rest());
        let length = body.buffered().len() + end.unwrap_or(body.rest().len());
        if length > limit {
            return Err(Error::TooLarge { limit });
        }
        Ok(match end {
            Some(end) => Some(body.take(end)),
            None => {
                body.buffer_rest(limit);
                None
            }
        })
    }
}

/// Whether a text is one object or array from its first bracket to its last, with nothing but white space around it.
pub(super) fn is_whole_value(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    matches!(text.first(), Some(b'{' | b'[')) && ValueEnd::default().find(text) == Some(text.len())
}

/// Reads a body of JSON values.
pub(super) struct JsonStream {
    state: JsonState,
    is_array: bool,
}

enum JsonState {
    /// Between two values, or before the first one.
    Between,
    Value(ValueEnd),
    /// After the `]` of the array.
    End,
}

impl JsonStream {
    /// Reads the elements of an array whose `[` was consumed.
    pub(super) fn array() -> Self {
        Self { state: JsonState::Between, is_array: true }
    }

    /// Reads values one after another, with or without white space between them.
    pub(super) fn objects() -> Self {
        Self { state: JsonState::Between, is_array: false }
    }

    /// Reads the next value; `None` if more of the body is needed.
    pub(super) fn read(&mut self, body: &mut Body, limit: usize) -> Result<Option<Bytes>, Error> {
        loop {
            if let JsonState::Value(value_end) = &mut self.state {
                let Some(value) = value_end.read(body, limit)? else {
                    return Ok(None);
                };
                self.state = JsonState::Between;
                if has_content(&value) {
                    return Ok(Some(value));
                }
            }
            body.skip_white_space();
            let Some(first) = body.rest().first() else {
                return Ok(None);
            };
            match (&self.state, first) {
                (JsonState::Between, b'{' | b'[') => self.state = JsonState::Value(ValueEnd::default()),
                // Any number of commas is accepted: an element is complete by its own brackets.
                (JsonState::Between, b',') if self.is_array => body.skip(1),
                (JsonState::Between, b']') if self.is_array => {
                    body.skip(1);
                    self.state = JsonState::End;
                }
                _ => return Err(Error::Unreadable),
            }
        }
    }

    /// Whether the body may end here.
    pub(super) fn may_end(&self) -> bool {
        match self.state {
            JsonState::Between => !self.is_array,
            JsonState::Value(_) => false,
            JsonState::End => true,
        }
    }
}
