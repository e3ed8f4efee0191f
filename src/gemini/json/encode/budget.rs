//! What the translation of one request may take.

use super::super::RequestLimits;
use super::super::error::{Error, Problem};

/// The JSON is limited to this many times the bytes of the message, plus [`SPARE`].
const MAX_GROWTH: usize = 8;
const SPARE: usize = 8 << 20;
/// The most memory beside the JSON, in bytes. Nothing reserves it before it is used, so it is small: for a million keys of
/// a map, or a message in a million places.
const MAX_BESIDE: usize = 8 << 20;

/// Counts elements and bytes against their limits.
#[derive(Debug)]
pub(super) struct Budget {
    limits: RequestLimits,
    elements: usize,
    /// The most bytes of JSON.
    most: usize,
    /// The bytes that are allocated beside the JSON: for messages in several places, and for the keys of maps.
    beside: usize,
}

impl Budget {
    /// For a message of this length, in bytes.
    pub(super) fn new(length: usize, limits: RequestLimits) -> Result<Self, Error> {
        // Places have 32 bits. gRPC allows no longer messages either.
        if u32::try_from(length).is_err() {
            return Err(Problem::TooLong.into());
        }
        Ok(Self { limits, elements: 0, most: length * MAX_GROWTH + SPARE, beside: 0 })
    }

    /// Counts an element of a list or an entry of a map.
    #[inline]
    pub(super) fn count_element(&mut self) -> Result<(), Error> {
        self.elements += 1;
        let most = self.limits.elements;
        if self.elements > most { Err(Problem::TooManyElements(most).into()) } else { Ok(()) }
    }

    /// Fails if the JSON, of this many bytes, is too long.
    #[inline]
    pub(super) fn check(&self, json: usize) -> Result<(), Error> {
        if json > self.most { Err(Problem::TooLong.into()) } else { Ok(()) }
    }

    /// Counts bytes that are about to be allocated beside the JSON.
    pub(super) fn reserve(&mut self, bytes: usize) -> Result<(), Error> {
        self.beside += bytes;
        if self.beside > MAX_BESIDE { Err(Problem::TooScattered.into()) } else { Ok(()) }
    }

    /// Counts bytes that were freed.
    pub(super) fn release(&mut self, bytes: usize) {
        self.beside -= bytes;
    }
}
