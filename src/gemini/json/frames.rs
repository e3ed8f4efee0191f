//! Messages inside messages, written in one pass: the length that stands before a message is only
//! known behind it.
//!
//! One byte is kept free for a length, and the message moves up if that was too little. So that
//! a picture never moves, room is made in all open frames before a large value is written.

use crate::gemini::wire::{WireType, put_tag, put_varint, varint_len};

/// From this size a value is worth a look at the open frames before it is written.
const LARGE: usize = 4096;

/// Wire bytes with frames still open.
#[derive(Debug)]
pub(super) struct Frames {
    pub(super) out: Vec<u8>,
    open: Vec<Frame>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Where the length stands, and how many bytes it has.
    at: usize,
    width: usize,
}

impl Frames {
    pub(super) fn new(out: Vec<u8>) -> Self {
        Self { out, open: Vec::new() }
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
        let length = self.out.len() - frame.at - frame.width;
        if length < 0x80 && frame.width == 1 {
            self.out[frame.at] = length as u8;
            return;
        }
        let width = varint_len(length as u64);
        self.widen(frame, width);
        // Room was made for a value that turned out smaller.
        self.out.drain(frame.at..frame.at + frame.width.saturating_sub(width));
        let mut rest = length as u64;
        let mut at = frame.at;
        while rest >= 0x80 {
            self.out[at] = rest as u8 | 0x80;
            rest >>= 7;
            at += 1;
        }
        self.out[at] = rest as u8;
    }

    /// Begins a length-delimited field of a known length, of which the caller appends the bytes.
    /// Hands over where the field begins, for taking it back.
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

    /// Widens the open frames for `more` bytes to come.
    fn make_room(&mut self, more: usize) {
        for i in 0..self.open.len() {
            let frame = self.open[i];
            let width = varint_len((self.out.len() - frame.at - frame.width + more) as u64);
            if width > frame.width {
                let shift = self.widen(frame, width);
                self.open[i].width = width;
                for inner in &mut self.open[i + 1..] {
                    inner.at += shift;
                }
            }
        }
    }

    /// Moves a frame's content up so that its length may have `width` bytes; says how far.
    fn widen(&mut self, frame: Frame, width: usize) -> usize {
        let shift = width.saturating_sub(frame.width);
        if shift > 0 {
            let content = frame.at + frame.width;
            let end = self.out.len();
            self.out.resize(end + shift, 0);
            self.out.copy_within(content..end, content + shift);
        }
        shift
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
