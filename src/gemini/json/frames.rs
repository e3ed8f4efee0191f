//! Messages inside messages, written in one pass: the length that stands before a message is only
//! known behind it.
//!
//! One byte is kept free for a length, and the message moves up if that was too little. So that
//! a picture never moves, room is made in all open frames before a large value is written. Messages that are
//! deep inside each other grow beyond their lengths together, so they are all moved at once, too.

use crate::gemini::wire::{WireType, put_tag, put_varint, varint_len};

/// From this size a value is worth a look at the open frames before it is written.
const LARGE: usize = 4096;

/// Wire bytes with frames still open.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) out: Vec<u8>,
    open: Vec<Frame>,
    /// How many bytes were moved since this was last asked, as work that is to be counted.
    moved: usize,
}

/// A place in what is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    open: usize,
    /// Since the innermost open field began, in bytes.
    pub(super) written: usize,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Where the length stands, and how many bytes it has.
    at: usize,
    width: usize,
}

impl Frame {
    fn content(&self) -> usize {
        self.at + self.width
    }
}

impl Frames {
    pub(super) fn new(out: Vec<u8>) -> Self {
        Self { out, open: Vec::new(), moved: 0 }
    }

    /// How many bytes were moved since the last call.
    #[inline]
    pub(super) fn take_moved(&mut self) -> usize {
        std::mem::take(&mut self.moved)
    }

    /// Where the next byte is written, for [`Frames::rewind`]. It is counted from the innermost open field: that may
    /// move, when lengths around it grow.
    #[inline(always)]
    pub(super) fn place(&self) -> Place {
        Place { open: self.open.len(), written: self.written() }
    }

    /// How many bytes were written since the innermost open field began.
    #[inline(always)]
    pub(super) fn written(&self) -> usize {
        self.out.len() - self.open.last().map_or(0, Frame::content)
    }

    /// Forgets what was written and opened since that place. The fields that were open there must still be open.
    pub(super) fn rewind(&mut self, place: Place) {
        self.open.truncate(place.open);
        self.out.truncate(self.open.last().map_or(0, Frame::content) + place.written);
    }

    /// Begins a length-delimited field.
    pub(super) fn open(&mut self, number: u32) {
        put_tag(&mut self.out, number, WireType::Len);
        self.open.push(Frame { at: self.out.len(), width: 1 });
        self.out.push(0);
    }

    /// Ends the innermost field.
    pub(super) fn close(&mut self) {
        let Some(frame) = self.open.pop() else { return };
        let length = self.out.len() - frame.content();
        if length < 0x80 && frame.width == 1 {
            self.out[frame.at] = length as u8;
            return;
        }
        self.close_long(frame, length);
    }

    fn close_long(&mut self, frame: Frame, length: usize) {
        let width = varint_len(length as u64);
        if width != frame.width {
            self.moved += length;
        }
        if width > frame.width {
            let end = self.out.len();
            self.out.resize(end + width - frame.width, 0);
            self.out.copy_within(frame.content()..end, frame.at + width);
        } else {
            // Room was made for a value that turned out smaller.
            self.out.drain(frame.at..frame.content() - width);
        }
        let mut rest = length as u64;
        let mut at = frame.at;
        while rest >= 0x80 {
            self.out[at] = rest as u8 | 0x80;
            rest >>= 7;
            at += 1;
        }
        self.out[at] = rest as u8;
        if length >= LARGE
            && let Some(parent) = self.open.last()
            && varint_len((self.out.len() - parent.content()) as u64) > parent.width
        {
            self.make_room(0);
        }
    }

    /// Begins a length-delimited field of a known length, of which the caller appends the bytes.
    /// Returns where the field begins, so that it can be taken back.
    pub(super) fn sized(&mut self, number: u32, length: usize) -> usize {
        if length >= LARGE {
            self.make_room(length);
        }
        let start = self.out.len();
        self.out.reserve(length + 16);
        put_tag(&mut self.out, number, WireType::Len);
        put_varint(&mut self.out, length as u64);
        start
    }

    /// Widens the lengths of the open frames for `more` bytes to come. Each byte is moved once, however many frames it is in.
    fn make_room(&mut self, more: usize) {
        let end = self.out.len();
        let width =
            |frame: &Frame, shift: usize| varint_len((end - frame.content() + shift + more) as u64).max(frame.width);
        let mut shift = 0;
        for frame in self.open.iter().rev() {
            shift += width(frame, shift) - frame.width;
        }
        // A look at a frame is worth a few bytes.
        self.moved += self.open.len() * 16;
        self.out.resize(end + shift, 0);
        // From the back: what is behind a frame's length moves by what that frame and those around it grow.
        let (mut inner_shift, mut behind) = (0, end);
        for frame in self.open.iter_mut().rev() {
            if shift == 0 {
                break;
            }
            let content = frame.content();
            self.out.copy_within(content..behind, content + shift);
            self.moved += behind - content;
            behind = frame.at;
            let grown = width(frame, inner_shift) - frame.width;
            inner_shift += grown;
            shift -= grown;
            frame.at += shift;
            frame.width += grown;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_that_was_not_needed_is_taken_back() {
        let mut frames = Frames::new(Vec::new());
        frames.open(1);
        frames.sized(2, 100_000);
        frames.out.truncate(4);
        frames.out.push(b'x');
        frames.close();
        assert_eq!(frames.out, [10, 1, b'x']);
    }

    #[test]
    fn nested_frames_are_moved_together() {
        let mut frames = Frames::new(Vec::new());
        let mut expected = Vec::new();
        for size in [10_000, 100_000, 3_000_000] {
            (0..100).for_each(|_| frames.open(1));
            frames.sized(2, size);
            frames.out.resize(frames.out.len() + size, b'x');
            (0..100).for_each(|_| frames.close());

            let mut inner = Vec::new();
            put_tag(&mut inner, 2, WireType::Len);
            put_varint(&mut inner, size as u64);
            inner.resize(inner.len() + size, b'x');
            for _ in 0..100 {
                let mut outer = Vec::new();
                put_tag(&mut outer, 1, WireType::Len);
                put_varint(&mut outer, inner.len() as u64);
                outer.append(&mut inner);
                inner = outer;
            }
            expected.append(&mut inner);
        }
        assert_eq!(frames.out, expected);
        // Many small values, of which none makes room.
        (0..100).for_each(|_| frames.open(1));
        frames.take_moved();
        for _ in 0..1_000 {
            frames.open(1);
            frames.out.resize(frames.out.len() + 100, b'x');
            frames.close();
        }
        (0..100).for_each(|_| frames.close());
        assert!(frames.take_moved() < 5 * 100_000);
    }

    #[test]
    fn lengths_are_right_whatever_the_sizes_inside() {
        for size in [0, 1, 127, 128, 4000, 4095, 4096, 16_383, 16_384, 2_097_152] {
            let mut frames = Frames::new(Vec::new());
            frames.open(1);
            frames.out.extend_from_slice(b"ab");
            frames.open(2);
            frames.sized(3, size);
            frames.out.resize(frames.out.len() + size, b'x');
            frames.close();
            frames.close();

            let mut inner = Vec::new();
            put_tag(&mut inner, 3, WireType::Len);
            put_varint(&mut inner, size as u64);
            inner.resize(inner.len() + size, b'x');
            let mut outer = b"ab".to_vec();
            put_tag(&mut outer, 2, WireType::Len);
            put_varint(&mut outer, inner.len() as u64);
            outer.extend_from_slice(&inner);
            let mut expected = Vec::new();
            put_tag(&mut expected, 1, WireType::Len);
            put_varint(&mut expected, outer.len() as u64);
            expected.extend_from_slice(&outer);
            assert_eq!(frames.out, expected, "size {size}");
        }
    }
}
