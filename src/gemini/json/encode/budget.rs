//! Limits on the elements, the output and the memory of one translation.

use super::super::RequestLimits;
use super::super::error::{Error, Problem};

/// The JSON may have this many times the bytes of the message, plus [`EXTRA_JSON_BYTES`].
const MAX_JSON_GROWTH: usize = 8;
const EXTRA_JSON_BYTES: usize = 8 << 20;
/// The most memory in addition to the JSON, in bytes. The caller does not reserve it, so it is small: enough for a map
/// with a million keys, or for a message in a million fragments.
const MAX_SCRATCH_BYTES: usize = 8 << 20;

/// Counts elements and bytes, and fails when a limit is exceeded.
#[derive(Debug)]
pub(super) struct Budget {
    limits: RequestLimits,
    elements: usize,
    /// The limit of the JSON, in bytes.
    max_json: usize,
    /// The bytes that are allocated now in addition to the JSON: for messages in several fragments, and for the keys of
    /// maps.
    scratch: usize,
}

impl Budget {
    /// A budget for a message of `length` bytes.
    pub(super) fn new(length: usize, limits: RequestLimits) -> Result<Self, Error> {
        // Offsets in the message have 32 bits, as the length of a message has in gRPC.
        if u32::try_from(length).is_err() {
            return Err(Problem::TooLong.into());
        }
        Ok(Self { limits, elements: 0, max_json: length * MAX_JSON_GROWTH + EXTRA_JSON_BYTES, scratch: 0 })
    }

    /// Counts an element of a list or an entry of a map.
    #[inline]
    pub(super) fn count_element(&mut self) -> Result<(), Error> {
        self.elements += 1;
        let limit = self.limits.elements;
        if self.elements > limit { Err(Problem::TooManyElements(limit).into()) } else { Ok(()) }
    }

    /// Fails if `json_bytes`, the length of the JSON so far, exceeds the limit.
    #[inline]
    pub(super) fn check_json(&self, json_bytes: usize) -> Result<(), Error> {
        if json_bytes > self.max_json { Err(Problem::TooLong.into()) } else { Ok(()) }
    }

    /// Counts bytes that will be allocated in addition to the JSON.
    pub(super) fn reserve_scratch(&mut self, bytes: usize) -> Result<(), Error> {
        self.scratch += bytes;
        if self.scratch > MAX_SCRATCH_BYTES { Err(Problem::TooFragmented.into()) } else { Ok(()) }
    }

    /// Subtracts bytes that were freed.
    pub(super) fn release_scratch(&mut self, bytes: usize) {
        self.scratch -= bytes;
    }
}
