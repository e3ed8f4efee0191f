//! A message as its fragments on the wire. It nearly always has one, but protobuf allows a message field to occur
//! several times; all occurrences together are then one message.

use super::super::error::Error;
use super::super::schema::Field;
use super::summary::FieldSummary;
use crate::gemini::steps::Steps;
use crate::gemini::wire::{Raw, Reader};

/// The wire bytes of the whole message, in one part or a few that are read one after another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wire<'w> {
    parts: &'w [&'w [u8]],
}

/// A range of the wire bytes. It takes half the memory of a slice, since a message can have nearly as many fragments as
/// bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    at: u32,
    length: u32,
}

impl<'w> Wire<'w> {
    /// The parts must have at most `u32::MAX` bytes in total.
    pub(super) fn new(parts: &'w [&'w [u8]]) -> Self {
        Self { parts }
    }

    /// The whole message: its first part, and the spans of the others.
    pub(super) fn whole(self) -> (&'w [u8], Vec<Span>) {
        let (first, others) = self.parts.split_first().map_or((&[][..], &[][..]), |(first, others)| (*first, others));
        (first, others.iter().filter(|part| !part.is_empty()).map(|part| self.span(part)).collect())
    }

    /// The span of a slice of the wire bytes. It is computed from the addresses, so that the common case, a message in
    /// one fragment, only has to pass slices around.
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

    /// The offset of a slice of the wire bytes from the start of the first part.
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

/// The unread bytes of one message: the rest of the current fragment, and the fragments after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragments<'w, 'p> {
    first: Reader<'w>,
    others: &'p [Span],
}

impl<'w, 'p> Fragments<'w, 'p> {
    pub(super) fn one(first: &'w [u8]) -> Self {
        Self::new(first, &[])
    }

    pub(super) fn many(others: &'p [Span]) -> Self {
        Self::new(&[], others)
    }

    pub(super) fn new(first: &'w [u8], others: &'p [Span]) -> Self {
        Self { first: Reader::new(first), others }
    }

    /// The position of the next field: the rest of the current fragment, and how many fragments follow.
    #[inline]
    pub(super) fn position(&self) -> (&'w [u8], u32) {
        (self.first.rest(), self.others.len() as u32)
    }

    /// These fragments from a position on that [`Fragments::position`] returned.
    fn at(&self, first: &'w [u8], others: u32) -> Self {
        Self::new(first, &self.others[self.others.len() - others as usize..])
    }

    /// Whether neither a field nor another fragment follows.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.others.is_empty()
    }

    /// Reads the next field, in this fragment or the next one.
    #[inline]
    pub(super) fn field(&mut self, wire: Wire<'w>, steps: &mut Steps<'_>) -> Result<Option<(u32, Raw<'w>)>, Error> {
        while self.first.is_empty() {
            let Some((next, others)) = self.others.split_first() else { return Ok(None) };
            *self = Self::new(wire.bytes(*next), others);
        }
        Ok(Some(self.first.counted_field(steps)?))
    }
}

/// Reads the values of one field of a message, in the order of the wire.
#[derive(Debug)]
pub(super) struct Values<'w, 'p> {
    /// The value, if there is only one: it is known from the scan, and nothing is read again.
    only: Option<Raw<'w>>,
    fragments: Fragments<'w, 'p>,
    field: &'static Field,
    left: u32,
}

impl<'w, 'p> Values<'w, 'p> {
    /// The values of a field that were counted in `summary` when the message in these fragments was scanned.
    pub(super) fn new(field: &'static Field, summary: &FieldSummary<'w>, fragments: Fragments<'w, 'p>) -> Self {
        let only = (summary.count == 1).then_some(summary.last);
        Self { only, fragments: fragments.at(summary.first, summary.others), field, left: summary.count }
    }

    pub(super) fn next(&mut self, wire: Wire<'w>, steps: &mut Steps<'_>) -> Result<Option<Raw<'w>>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        if let Some(only) = self.only {
            self.left = 0;
            return Ok(Some(only));
        }
        while let Some((number, value)) = self.fragments.field(wire, steps)? {
            if number == self.field.number && !is_empty_list(self.field, value) {
                self.left -= 1;
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

/// Whether the value is an empty packed list, which counts as absent.
pub(super) fn is_empty_list(field: &Field, value: Raw<'_>) -> bool {
    field.is_packable_list() && matches!(value, Raw::Len([]))
}
