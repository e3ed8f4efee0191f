//! Counts the steps of decoding, and grows the output buffer.

use super::super::error::Error;
use super::Decoder;

/// For JSON up to this length, in bytes, the output grows as any `Vec` does: for a small buffer, doubling wastes little.
pub(super) const MAX_FREE_GROWTH_JSON_BYTES: usize = 256 << 10;
/// For JSON up to this length, in bytes, the moved bytes are counted once at the end. For longer JSON they are counted
/// at every step, so that the work can be interrupted.
pub(super) const MAX_UNCHECKED_JSON_BYTES: usize = 4 << 10;
/// Capacity for the tags, lengths and numbers that are written between two checks, in bytes.
const SLACK_BYTES: usize = 4 << 10;
/// A message is at most 11/2 times as long as its JSON. The worst case is `[0,0,0]` in free-form JSON: two bytes, `0,`,
/// become two tags, a length and a double (11 bytes).
const MAX_GROWTH_HALVES: usize = 11;

/// The first capacity of the output for a response of this length, in bytes. Member names become tags of a byte or two, and
/// base64 becomes bytes: three quarters of the JSON is enough for most. Not even the slack of a long picture makes such a
/// buffer grow, which could copy all of it.
pub(in super::super) fn first_capacity(json_bytes: usize) -> usize {
    json_bytes / 4 * 3 + if json_bytes > MAX_FREE_GROWTH_JSON_BYTES { 2 * SLACK_BYTES } else { 0 }
}

impl Decoder<'_, '_> {
    /// Counts a member or an element as a step, and makes sure that the output has capacity for it.
    #[inline(always)]
    pub(super) fn step(&mut self) -> Result<(), Error> {
        self.json.steps().take(1)?;
        if self.json.length() > MAX_UNCHECKED_JSON_BYTES { self.check_capacity() } else { Ok(()) }
    }

    #[inline(never)]
    fn check_capacity(&mut self) -> Result<(), Error> {
        self.count_moved()?;
        self.ensure_capacity(0)
    }

    /// Counts the bytes that the writer moved since the last call as steps.
    pub(super) fn count_moved(&mut self) -> Result<(), Error> {
        let moved = self.writer.take_moved_bytes();
        Ok(self.json.steps().take_bytes(moved)?)
    }

    /// Makes sure that the output has capacity for a value of this many bytes.
    #[inline]
    pub(super) fn ensure_capacity(&mut self, bytes: usize) -> Result<(), Error> {
        let out = &self.writer.out;
        if self.json.length() > self.max_free_growth && out.capacity() - out.len() < bytes + SLACK_BYTES {
            self.grow(bytes + SLACK_BYTES)?;
        }
        Ok(())
    }

    /// Grows the output to the most that the rest of the JSON can become. Doubling could take twice the memory that is
    /// needed, and the limit is 8 times the JSON and 8 MiB.
    ///
    /// An outline is doubled up to the length of the JSON, since it rarely has as many bytes.
    #[cold]
    fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        let (length, out) = (self.json.length(), &mut self.writer.out);
        let for_rest = (length - self.json.position()) * MAX_GROWTH_HALVES / 2;
        let for_all = (length * MAX_GROWTH_HALVES / 2).saturating_sub(out.len());
        // Twice the slack: with less, the last bytes of the JSON would make the buffer grow again.
        let mut more = for_rest.min(for_all).max(bytes) + 2 * SLACK_BYTES;
        if let Some(outline) = &mut self.outline {
            let doubled = out.capacity().max(bytes);
            if out.len() + doubled < length {
                more = more.min(doubled);
            }
            outline.reserve(out.len() + more)?;
        }
        out.reserve_exact(more);
        Ok(())
    }
}
