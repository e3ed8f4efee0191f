//! The bytes that are being read: the current chunk, and the beginning of its event from earlier chunks.

use bytes::{Buf, Bytes};

/// Up to this length, in bytes, an event is buffered with exactly the capacity it needs. Above, the capacity is this
/// times a power of 8.
const EXACT_CAPACITY_BYTES: usize = 16 << 10;

/// A chunk, and the buffered beginning of the event that continues in it. When both are empty it has no memory
/// allocated.
#[derive(Default)]
pub(super) struct Body {
    chunk: Bytes,
    buffered: Vec<u8>,
}

impl Body {
    /// Sets the next chunk. Bytes that are still unread are copied in front of it.
    pub(super) fn push(&mut self, chunk: Bytes) {
        self.chunk = if self.chunk.is_empty() { chunk } else { [&self.chunk[..], &chunk[..]].concat().into() };
    }

    /// Whether the chunk was read. Something may still be buffered.
    pub(super) fn is_empty(&self) -> bool {
        self.chunk.is_empty()
    }

    /// The unread bytes of the chunk.
    pub(super) fn rest(&self) -> &[u8] {
        &self.chunk
    }

    /// The bytes of earlier chunks that [`Body::buffer_rest`] kept.
    pub(super) fn buffered(&self) -> &[u8] {
        &self.buffered
    }

    pub(super) fn skip(&mut self, length: usize) {
        self.chunk.advance(length);
        if self.chunk.is_empty() {
            // An empty slice would keep the memory of the whole chunk.
            self.chunk = Bytes::new();
        }
    }

    pub(super) fn skip_white_space(&mut self) {
        let blank = self.chunk.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.skip(blank);
    }

    /// The buffered bytes and the next `length` bytes together. If nothing is buffered, a slice of the chunk.
    pub(super) fn take(&mut self, length: usize) -> Bytes {
        if self.buffered.is_empty() {
            return self.chunk.split_to(length);
        }
        let mut text = std::mem::take(&mut self.buffered);
        text.reserve_exact(length);
        text.extend_from_slice(&self.chunk[..length]);
        self.skip(length);
        text.into()
    }

    /// Buffers the rest of the chunk, since the event in it continues. An event has at most `max` bytes.
    pub(super) fn buffer_rest(&mut self, max: usize) {
        // The capacity grows eightfold: the bytes of a picture in thousands of chunks are moved little more than once,
        // and memory that is never written to costs only address space. Doubling took three times as long.
        //
        // The steps are the same for every event, whatever the size of its first chunk, so that the allocator can give
        // the next picture the memory of the last one. With other capacities for each, pictures of 4 MiB one after
        // another took 110 MiB instead of 35 MiB.
        let needed = self.buffered.len() + self.chunk.len();
        if needed > self.buffered.capacity() {
            let mut capacity = needed.max(self.buffered.capacity() * 8);
            if capacity > EXACT_CAPACITY_BYTES {
                capacity = EXACT_CAPACITY_BYTES;
                while capacity < needed {
                    capacity = capacity.saturating_mul(8);
                }
            }
            self.buffered.reserve_exact(needed.max(capacity.min(max)) - self.buffered.len());
        }
        self.buffered.extend_from_slice(&self.chunk);
        self.chunk = Bytes::new();
    }

    /// Keeps the rest of the chunk, which must be a few bytes, unread until the next chunk arrives. It is copied, so
    /// that the memory of the chunk is freed.
    pub(super) fn wait_for_more(&mut self) {
        self.chunk = Bytes::copy_from_slice(&self.chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_event_gets_the_same_capacity_whatever_the_size_of_its_first_chunk() {
        let capacity = |first: usize| {
            let mut body = Body::default();
            for length in [first, 5 << 20] {
                body.push(vec![b'a'; length].into());
                body.buffer_rest(64 << 20);
            }
            body.buffered.capacity()
        };
        assert_eq!([500, 9_000, 70_000, 300_000].map(capacity), [8 << 20; 4]);
    }

    #[test]
    fn a_small_event_gets_no_more_capacity_than_it_needs() {
        let mut body = Body::default();
        body.push(vec![b'a'; 500].into());
        body.buffer_rest(64 << 20);
        assert_eq!(body.buffered.capacity(), 500);
    }
}
