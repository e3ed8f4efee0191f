//! Counts the work of reading, and makes room for what is written.

use super::super::error::Error;
use super::Decoder;

/// Below this length of the text, in bytes, the buffer grows as any other does: twice its size is not much.
const GROWS_FREELY: usize = 256 << 10;
/// Up to this length, in bytes, what was moved is counted at the end.
const SMALL: usize = 4 << 10;
/// Room for tags, lengths and numbers between two looks.
const SLACK: usize = 4 << 10;
/// A message is at most this many halves of its JSON's length. The worst is `[0,0,0]` in free-form JSON, of which each two bytes
/// become two tags, a length and a double.
const MAX_GROWTH_HALVES: usize = 11;

impl Decoder<'_, '_> {
    /// Counts a member or an element, and sees to it that there is room for it.
    #[inline(always)]
    pub(super) fn step(&mut self) -> Result<(), Error> {
        self.json.steps().take(1)?;
        if self.json.length() > SMALL { self.look_at_memory() } else { Ok(()) }
    }

    #[inline(never)]
    fn look_at_memory(&mut self) -> Result<(), Error> {
        self.count_moved()?;
        self.make_room(0);
        Ok(())
    }

    /// Counts the bytes that moved since the last time.
    pub(super) fn count_moved(&mut self) -> Result<(), Error> {
        let moved = self.frames.take_moved();
        Ok(self.json.steps().take_bytes(moved)?)
    }

    /// Makes room for a value of this many bytes.
    #[inline]
    pub(super) fn make_room(&mut self, bytes: usize) {
        let out = &self.frames.out;
        if self.json.length() > GROWS_FREELY && out.capacity() - out.len() < bytes + SLACK {
            self.grow(bytes + SLACK);
        }
    }

    /// Doubling would cost a large text twice what it needs, so its buffer grows to what the rest of the text may become.
    #[cold]
    fn grow(&mut self, bytes: usize) {
        let (length, out) = (self.json.length(), &mut self.frames.out);
        let rest = (length - self.json.at()) * MAX_GROWTH_HALVES / 2;
        let most = (length * MAX_GROWTH_HALVES / 2).saturating_sub(out.len());
        // Twice the slack, or the end of the text would make the buffer grow again.
        out.reserve_exact(rest.min(most).max(bytes) + 2 * SLACK);
    }
}
