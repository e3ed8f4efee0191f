//! JSON values in a row: an array of objects, or objects one after the other, as they come.

use bytes::Bytes;
use memchr::memchr2;

use super::body::Body;
use super::{Error, is_answer};

/// Finds the end of an object or array, over as many pieces as it comes in; each byte is looked at
/// once. Brackets are counted and strings skipped; whether the text is JSON, its reader tells.
#[derive(Default)]
pub(super) struct Brackets {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Brackets {
    /// Reads on. The length up to and with the bracket that closes the value, if it is in `bytes`.
    fn close(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.escaped {
                self.escaped = false;
            } else if self.in_string {
                // Nearly all bytes of an answer are in strings.
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

    /// The value that `body` begins or goes on with, once it is whole.
    pub(super) fn read(&mut self, body: &mut Body, limit: usize) -> Result<Option<Bytes>, Error> {
        let end = self.close(body.rest());
        let length = body.held().len() + end.unwrap_or(body.rest().len());
        if length > limit {
            return Err(Error::TooLarge { limit });
        }
        Ok(match end {
            Some(end) => Some(body.take(end)),
            None => {
                body.hold(limit);
                None
            }
        })
    }
}

/// Reads a body of JSON values.
pub(super) struct JsonStream {
    place: Place,
    array: bool,
}

enum Place {
    Between,
    Value(Brackets),
    /// After the `]` of the array.
    End,
}

impl JsonStream {
    /// The elements of an array whose `[` has been read.
    pub(super) fn array() -> Self {
        Self { place: Place::Between, array: true }
    }

    /// Values in a row, with white space between them or none.
    pub(super) fn objects() -> Self {
        Self { place: Place::Between, array: false }
    }

    pub(super) fn read(&mut self, body: &mut Body, limit: usize) -> Result<Option<Bytes>, Error> {
        loop {
            if let Place::Value(brackets) = &mut self.place {
                let Some(value) = brackets.read(body, limit)? else {
                    return Ok(None);
                };
                self.place = Place::Between;
                if is_answer(&value) {
                    return Ok(Some(value));
                }
            }
            body.skip_white_space();
            let Some(first) = body.rest().first() else {
                return Ok(None);
            };
            match (&self.place, first) {
                (Place::Between, b'{' | b'[') => self.place = Place::Value(Brackets::default()),
                // Commas are not counted: an element is whole by its own brackets.
                (Place::Between, b',') if self.array => body.skip(1),
                (Place::Between, b']') if self.array => {
                    body.skip(1);
                    self.place = Place::End;
                }
                _ => return Err(Error::Unreadable),
            }
        }
    }

    /// Whether the body may end here.
    pub(super) fn may_end(&self) -> bool {
        match self.place {
            Place::Between => !self.array,
            Place::Value(_) => false,
            Place::End => true,
        }
    }
}
