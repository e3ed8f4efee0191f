//! What the scan of a message finds out about each field.

use crate::gemini::wire::Raw;

/// A field without a summary.
const NONE: u8 = u8::MAX;

/// The values of one field of a message: how many there are, and where.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldSummary<'w> {
    /// The number of values. A packed list counts as one value, and an empty packed list as none.
    pub(super) count: u32,
    /// The number of fragments of the message after the one that has the first value.
    pub(super) others: u32,
    /// The bytes of that fragment from the first value on.
    pub(super) first: &'w [u8],
    /// The last value. For a scalar that is not a list, it is the one that counts.
    pub(super) last: Raw<'w>,
}

/// The summaries of all messages that are being written, as a stack, so that nothing is allocated for each message.
/// Only fields that a message has are on it.
#[derive(Debug)]
pub(super) struct SummaryStack<'w> {
    stack: Vec<FieldSummary<'w>>,
}

/// The fields that one message has.
#[derive(Debug)]
pub(super) struct PresentFields {
    /// A bit set of field indexes.
    pub(super) present: u64,
    /// Where the summaries of the message begin on the stack.
    start: usize,
    /// For each field, the offset of its summary from `start`, or [`NONE`].
    slots: [u8; 64],
}

impl<'w> SummaryStack<'w> {
    pub(super) fn new() -> Self {
        // Enough for most requests.
        Self { stack: Vec::with_capacity(32) }
    }

    /// Begins the scan of a message.
    pub(super) fn open(&self) -> PresentFields {
        PresentFields { present: 0, start: self.stack.len(), slots: [NONE; 64] }
    }

    /// Removes the summaries of a message and of all messages that were begun after it.
    pub(super) fn close(&mut self, fields: &PresentFields) {
        self.stack.truncate(fields.start);
    }

    /// Adds a value of the field with this index. The value is at the position `(first, others)` of the message. An
    /// empty list makes the field present, but is not counted.
    #[inline]
    pub(super) fn add(
        &mut self,
        fields: &mut PresentFields,
        field: usize,
        (first, others): (&'w [u8], u32),
        last: Raw<'w>,
        is_empty_list: bool,
    ) {
        let is_new = fields.present >> field & 1 == 0;
        fields.present |= 1 << field;
        let summary = FieldSummary { count: u32::from(!is_empty_list), others, first, last };
        if fields.slots[field] == NONE {
            fields.slots[field] = (self.stack.len() - fields.start) as u8;
            self.stack.push(summary);
            return;
        }
        let known = &mut self.stack[fields.start + usize::from(fields.slots[field])];
        // Another member of the oneof replaced this one in between, so its earlier values do not count any more.
        if is_new || known.count == 0 {
            *known = summary;
        } else if !is_empty_list {
            known.count += 1;
            known.last = last;
        }
    }

    /// The summary of the field with this index, if it has a value.
    #[inline]
    pub(super) fn get(&self, fields: &PresentFields, field: usize) -> Option<FieldSummary<'w>> {
        if fields.present >> field & 1 == 0 {
            return None;
        }
        let summary = self.stack[fields.start + usize::from(fields.slots[field])];
        (summary.count > 0).then_some(summary)
    }
}
