//! Writes nested protobuf messages in one pass, although the length of a message stands before its content.
//!
//! `open_field` leaves one byte free for the length. If the length needs more bytes, `close_field` moves the content
//! up. A large value, such as a picture, is never moved: before it is written, the lengths of all open fields are
//! widened for it.

use super::{WireType, put_tag, put_varint, varint_len};

/// Before a value of at least this many bytes is written, the lengths of the open fields are widened for it.
const LARGE_VALUE_BYTES: usize = 4096;

/// Wire bytes, and the fields in them that are still open.
#[derive(Debug)]
pub struct WireWriter {
    pub out: Vec<u8>,
    open: Vec<OpenField>,
    /// How many bytes were moved since [`WireWriter::take_moved_bytes`] was last called.
    moved_bytes: usize,
}

/// A position in the output, relative to the innermost open field: that field may move when the lengths around it grow.
#[derive(Clone, Copy, Debug)]
pub struct OutputPosition {
    /// How many fields are open.
    open: usize,
    /// How many bytes were written since the innermost open field began.
    pub written: usize,
}

#[derive(Clone, Copy, Debug)]
struct OpenField {
    /// Where the length begins in the output.
    length_at: usize,
    /// How many bytes the length has now.
    length_bytes: usize,
}

impl OpenField {
    fn content_start(&self) -> usize {
        self.length_at + self.length_bytes
    }
}

impl WireWriter {
    pub fn new(out: Vec<u8>) -> Self {
        Self { out, open: Vec::new(), moved_bytes: 0 }
    }

    /// How many bytes were moved since the last call: work that the caller counts as steps.
    #[inline]
    pub fn take_moved_bytes(&mut self) -> usize {
        std::mem::take(&mut self.moved_bytes)
    }

    /// Where the next byte is written, for [`WireWriter::rewind`].
    #[inline(always)]
    pub fn position(&self) -> OutputPosition {
        OutputPosition { open: self.open.len(), written: self.written() }
    }

    /// How many bytes were written since the innermost open field began.
    #[inline(always)]
    pub fn written(&self) -> usize {
        self.out.len() - self.open.last().map_or(0, OpenField::content_start)
    }

    /// Removes what was written and opened since `position`. The fields that were open then must still be open.
    pub fn rewind(&mut self, position: OutputPosition) {
        self.open.truncate(position.open);
        self.out.truncate(self.open.last().map_or(0, OpenField::content_start) + position.written);
    }

    /// Begins a length-delimited field whose length is not known yet.
    pub fn open_field(&mut self, number: u32) {
        put_tag(&mut self.out, number, WireType::Len);
        self.open.push(OpenField { length_at: self.out.len(), length_bytes: 1 });
        self.out.push(0);
    }

    /// Ends the innermost open field and writes its length.
    pub fn close_field(&mut self) {
        let Some(field) = self.open.pop() else { return };
        let length = self.out.len() - field.content_start();
        if length < 0x80 && field.length_bytes == 1 {
            self.out[field.length_at] = length as u8;
            return;
        }
        self.close_long_field(field, length);
    }

    fn close_long_field(&mut self, field: OpenField, length: usize) {
        let width = varint_len(length as u64);
        if width != field.length_bytes {
            self.moved_bytes += length;
        }
        if width > field.length_bytes {
            let end = self.out.len();
            self.out.resize(end + width - field.length_bytes, 0);
            self.out.copy_within(field.content_start()..end, field.length_at + width);
        } else {
            // The length was widened for a value that turned out to be smaller.
            self.out.drain(field.length_at..field.content_start() - width);
        }
        // A varint in place: `put_varint` can only append.
        let mut rest = length as u64;
        let mut at = field.length_at;
        while rest >= 0x80 {
            self.out[at] = rest as u8 | 0x80;
            rest >>= 7;
            at += 1;
        }
        self.out[at] = rest as u8;
        // If the parent needs a wider length as well, its parents are likely to: all of them are widened in one move.
        // Field by field, deeply nested messages would be moved once for each level.
        if length >= LARGE_VALUE_BYTES
            && let Some(parent) = self.open.last()
            && varint_len((self.out.len() - parent.content_start()) as u64) > parent.length_bytes
        {
            self.widen_open_fields(0);
        }
    }

    /// Writes the tag and the length of a length-delimited field of `length` bytes. The caller appends the bytes to
    /// `out`. Returns where the field begins, so that the caller can truncate `out` to remove it.
    pub fn sized_field(&mut self, number: u32, length: usize) -> usize {
        if length >= LARGE_VALUE_BYTES {
            self.widen_open_fields(length);
        }
        let start = self.out.len();
        self.out.reserve(length + 16);
        put_tag(&mut self.out, number, WireType::Len);
        put_varint(&mut self.out, length as u64);
        start
    }

    /// Widens the lengths of the open fields for `more` bytes that follow. Each byte is moved once, however many fields
    /// it is in.
    fn widen_open_fields(&mut self, more: usize) {
        let end = self.out.len();
        let width = |field: &OpenField, shift: usize| {
            varint_len((end - field.content_start() + shift + more) as u64).max(field.length_bytes)
        };
        let mut shift = 0;
        for field in self.open.iter().rev() {
            shift += width(field, shift) - field.length_bytes;
        }
        // Visiting an open field costs about as much as moving 16 bytes.
        self.moved_bytes += self.open.len() * 16;
        self.out.resize(end + shift, 0);
        // From the end to the start, so that nothing is overwritten before it is moved. The content of a field moves by
        // as much as the lengths of this field and of all fields around it grow.
        let (mut inner_shift, mut content_end) = (0, end);
        for field in self.open.iter_mut().rev() {
            if shift == 0 {
                break;
            }
            let content = field.content_start();
            self.out.copy_within(content..content_end, content + shift);
            self.moved_bytes += content_end - content;
            content_end = field.length_at;
            let grown = width(field, inner_shift) - field.length_bytes;
            inner_shift += grown;
            shift -= grown;
            field.length_at += shift;
            field.length_bytes += grown;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_was_widened_for_nothing_becomes_short_again() {
        let mut writer = WireWriter::new(Vec::new());
        writer.open_field(1);
        writer.sized_field(2, 100_000);
        writer.out.truncate(4);
        writer.out.push(b'x');
        writer.close_field();
        assert_eq!(writer.out, [10, 1, b'x']);
    }

    #[test]
    fn nested_fields_are_moved_together() {
        let mut writer = WireWriter::new(Vec::new());
        let mut expected = Vec::new();
        for size in [10_000, 100_000, 3_000_000] {
            (0..100).for_each(|_| writer.open_field(1));
            writer.sized_field(2, size);
            writer.out.resize(writer.out.len() + size, b'x');
            (0..100).for_each(|_| writer.close_field());

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
        assert_eq!(writer.out, expected);
        // Many small values: none of them is large enough to widen the open fields.
        (0..100).for_each(|_| writer.open_field(1));
        writer.take_moved_bytes();
        for _ in 0..1_000 {
            writer.open_field(1);
            writer.out.resize(writer.out.len() + 100, b'x');
            writer.close_field();
        }
        (0..100).for_each(|_| writer.close_field());
        assert!(writer.take_moved_bytes() < 5 * 100_000);
    }

    #[test]
    fn lengths_are_correct_for_content_of_any_size() {
        for size in [0, 1, 127, 128, 4000, 4095, 4096, 16_383, 16_384, 2_097_152] {
            let mut writer = WireWriter::new(Vec::new());
            writer.open_field(1);
            writer.out.extend_from_slice(b"ab");
            writer.open_field(2);
            writer.sized_field(3, size);
            writer.out.resize(writer.out.len() + size, b'x');
            writer.close_field();
            writer.close_field();

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
            assert_eq!(writer.out, expected, "size {size}");
        }
    }
}
