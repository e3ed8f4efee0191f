//! The bytes that are being read: the current chunk, and what earlier chunks held of the text in it.

use bytes::{Buf, Bytes};

/// Up to here the capacity of a held text is what it needs, in bytes; above, it is 8, 64, 512… times this.
const SMALL: usize = 16 << 10;

/// A chunk and the beginning of the text that ends in it. Empty, it holds no memory.
#[derive(Default)]
pub(super) struct Body {
    chunk: Bytes,
    held: Vec<u8>,
}

impl Body {
    /// Takes the next chunk. Bytes still unread are copied in front of it.
    pub(super) fn push(&mut self, chunk: Bytes) {
        self.chunk = if self.chunk.is_empty() { chunk } else { [&self.chunk[..], &chunk[..]].concat().into() };
    }

    /// Nothing is unread. Something may still be held.
    pub(super) fn is_empty(&self) -> bool {
        self.chunk.is_empty()
    }

    /// The bytes not yet read.
    pub(super) fn rest(&self) -> &[u8] {
        &self.chunk
    }

    /// What was kept of earlier chunks by [`Body::hold`].
    pub(super) fn held(&self) -> &[u8] {
        &self.held
    }

    pub(super) fn skip(&mut self, length: usize) {
        self.chunk.advance(length);
        if self.chunk.is_empty() {
            self.chunk = Bytes::new();
        }
    }

    pub(super) fn skip_white_space(&mut self) {
        let blank = self.chunk.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.skip(blank);
    }

    /// What was held and the next `length` bytes, as one. A slice of the chunk if nothing was held.
    pub(super) fn take(&mut self, length: usize) -> Bytes {
        if self.held.is_empty() {
            return self.chunk.split_to(length);
        }
        let mut text = std::mem::take(&mut self.held);
        text.reserve_exact(length);
        text.extend_from_slice(&self.chunk[..length]);
        self.skip(length);
        text.into()
    }

    /// Keeps the rest of the chunk until the text in it ends. That is expected within `most` bytes.
    ///
    /// Capacity grows eightfold: a picture in thousands of chunks is copied once and a seventh, and memory that is
    /// never written to costs an address only. Doubling took three times as long.
    ///
    /// Large capacities are the same ones for every event, whatever the size of its first chunk, so that the
    /// allocator gives the next picture the memory of the one before. With capacities of their own, pictures of 4 MiB
    /// that were sent one after another took 110 MiB instead of 35.
    pub(super) fn hold(&mut self, most: usize) {
        let needed = self.held.len() + self.chunk.len();
        if needed > self.held.capacity() {
            let mut capacity = needed.max(self.held.capacity() * 8);
            if capacity > SMALL {
                capacity = SMALL;
                while capacity < needed {
                    capacity = capacity.saturating_mul(8);
                }
            }
            self.held.reserve_exact(needed.max(capacity.min(most)) - self.held.len());
        }
        self.held.extend_from_slice(&self.chunk);
        self.chunk = Bytes::new();
    }

    /// Leaves the rest, a few bytes, unread until there is more, and lets go of the chunk it is in.
    pub(super) fn wait(&mut self) {
        self.chunk = Bytes::copy_from_slice(&self.chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_text_has_the_same_capacity_whatever_its_first_chunk_was() {
        let capacity = |first: usize| {
            let mut body = Body::default();
            for length in [first, 5 << 20] {
                body.push(vec![b'a'; length].into());
                body.hold(64 << 20);
            }
            body.held.capacity()
        };
        assert_eq!([500, 9_000, 70_000, 300_000].map(capacity), [8 << 20; 4]);
    }

    #[test]
    fn a_small_text_has_no_more_capacity_than_it_needs() {
        let mut body = Body::default();
        body.push(vec![b'a'; 500].into());
        body.hold(64 << 20);
        assert_eq!(body.held.capacity(), 500);
    }
}
