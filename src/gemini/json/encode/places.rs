//! Where a message stands on the wire: nearly always in one place, though protobuf lets a message field come in several,
//! which are read as one message.

use super::super::error::Error;
use super::super::schema::Field;
use super::slots::Slot;
use crate::gemini::steps::Steps;
use crate::gemini::wire::{Raw, Reader};

/// The wire bytes that are translated, in a few parts that are read one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire<'w> {
    parts: &'w [&'w [u8]],
}

/// A place in the wire bytes, in half the memory of a slice: a message may be in as many places as it has bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    at: u32,
    length: u32,
}

impl<'w> Wire<'w> {
    /// The parts have at most `u32::MAX` bytes together.
    pub(super) fn new(parts: &'w [&'w [u8]]) -> Self {
        Self { parts }
    }

    /// The places of the whole message: the first part, and the others.
    pub(super) fn whole(self) -> (&'w [u8], Vec<Span>) {
        let (first, others) = self.parts.split_first().map_or((&[][..], &[][..]), |(first, others)| (*first, others));
        (first, others.iter().filter(|part| !part.is_empty()).map(|part| self.span(part)).collect())
    }

    /// The place of a slice of the wire bytes. It is found by its address, so that nothing but slices is carried along
    /// where a message is in one place.
    pub(super) fn span(self, bytes: &[u8]) -> Span {
        let mut before = 0;
        for part in self.parts {
            let at = bytes.as_ptr().addr().wrapping_sub(part.as_ptr().addr());
            if at.saturating_add(bytes.len()) <= part.len() {
                return Span { at: (before + at) as u32, length: bytes.len() as u32 };
            }
            before += part.len();
        }
        Span::default()
    }

    /// Where a slice of the wire bytes begins, in bytes from the start.
    pub(super) fn offset(self, bytes: &[u8]) -> u32 {
        self.span(bytes).at
    }

    /// The bytes from an offset to the end of its part.
    pub(super) fn from(self, offset: u32) -> &'w [u8] {
        let mut at = offset as usize;
        for part in self.parts {
            if at < part.len() {
                return &part[at..];
            }
            at -= part.len();
        }
        &[]
    }

    fn bytes(self, span: Span) -> &'w [u8] {
        self.from(span.at).get(..span.length as usize).unwrap_or_default()
    }
}

/// The bytes of one message from some field on: what is left of the first place, and the places behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places<'w, 'p> {
    first: Reader<'w>,
    others: &'p [Span],
}

impl<'w, 'p> Places<'w, 'p> {
    pub(super) fn one(first: &'w [u8]) -> Self {
        Self::new(first, &[])
    }

    pub(super) fn several(others: &'p [Span]) -> Self {
        Self::new(&[], others)
    }

    pub(super) fn new(first: &'w [u8], others: &'p [Span]) -> Self {
        Self { first: Reader::new(first), others }
    }

    /// Where the next field is: the rest of its place, and how many places follow.
    #[inline]
    pub(super) fn position(&self) -> (&'w [u8], u32) {
        (self.first.rest(), self.others.len() as u32)
    }

    /// These places from a position on, which an earlier [`Places::position`] of them gave.
    fn at(&self, first: &'w [u8], others: u32) -> Self {
        Self::new(first, &self.others[self.others.len() - others as usize..])
    }

    /// Reads the next field, wherever it is.
    #[inline]
    pub(super) fn field(&mut self, wire: Wire<'w>, steps: &mut Steps<'_>) -> Result<Option<(u32, Raw<'w>)>, Error> {
        while self.first.is_empty() {
            let Some((next, others)) = self.others.split_first() else { return Ok(None) };
            *self = Self::new(wire.bytes(*next), others);
        }
        Ok(Some(self.first.counted_field(steps)?))
    }
}

/// The values of one field of a message, in the order of the wire.
#[derive(Debug)]
pub(super) struct Values<'w, 'p> {
    /// The only value: it is known already.
    only: Option<Raw<'w>>,
    places: Places<'w, 'p>,
    field: &'static Field,
    left: u32,
}

impl<'w, 'p> Values<'w, 'p> {
    /// The values that were counted in `slot` when the message, which is in these places, was scanned.
    pub(super) fn new(field: &'static Field, slot: &Slot<'w>, places: Places<'w, 'p>) -> Self {
        let only = (slot.count == 1).then_some(slot.last);
        Self { only, places: places.at(slot.first, slot.others), field, left: slot.count }
    }

    pub(super) fn next(&mut self, wire: Wire<'w>, steps: &mut Steps<'_>) -> Result<Option<Raw<'w>>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        if let Some(only) = self.only {
            self.left = 0;
            return Ok(Some(only));
        }
        while let Some((number, value)) = self.places.field(wire, steps)? {
            if number == self.field.number && !is_empty_list(self.field, value) {
                self.left -= 1;
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

/// Whether that is a packed list without an element, which counts as absent.
pub(super) fn is_empty_list(field: &Field, value: Raw<'_>) -> bool {
    field.is_packable_list() && matches!(value, Raw::Len([]))
}
