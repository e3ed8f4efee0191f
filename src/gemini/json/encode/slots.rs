//! What the scan of a message notes of each field.

use crate::gemini::wire::Raw;

/// No slot.
const NONE: u8 = u8::MAX;

/// The values of one field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'w> {
    /// How many there are. Packed lists without an element are not counted.
    pub(super) count: u32,
    /// How many places of the message follow the one with the first value.
    pub(super) others: u32,
    /// The bytes of that place from the first value on.
    pub(super) first: &'w [u8],
    /// The last value: of a singular scalar, the one that counts.
    pub(super) last: Raw<'w>,
}

/// The slots of all messages that are open, as a stack: of each message only the fields that it has.
#[derive(Debug)]
pub(super) struct Slots<'w> {
    stack: Vec<Slot<'w>>,
}

/// The fields of one message.
#[derive(Debug)]
pub(super) struct Fields {
    /// A bit for each field that the message has, by its index.
    pub(super) present: u64,
    /// Where the slots of the message begin.
    start: usize,
    /// The slot of each field, from there.
    slots: [u8; 64],
}

impl<'w> Slots<'w> {
    pub(super) fn new() -> Self {
        // Enough for most requests.
        Self { stack: Vec::with_capacity(32) }
    }

    /// Begins a message.
    pub(super) fn open(&self) -> Fields {
        Fields { present: 0, start: self.stack.len(), slots: [NONE; 64] }
    }

    /// Ends a message, and all that were begun after it.
    pub(super) fn close(&mut self, fields: &Fields) {
        self.stack.truncate(fields.start);
    }

    /// Adds a value of a field, which is at that position of the message. An empty list is noted, but not counted.
    #[inline]
    pub(super) fn add(
        &mut self,
        fields: &mut Fields,
        field: usize,
        (first, others): (&'w [u8], u32),
        last: Raw<'w>,
        is_empty_list: bool,
    ) {
        let is_new = fields.present >> field & 1 == 0;
        fields.present |= 1 << field;
        let slot = Slot { count: u32::from(!is_empty_list), others, first, last };
        if fields.slots[field] == NONE {
            fields.slots[field] = (self.stack.len() - fields.start) as u8;
            self.stack.push(slot);
            return;
        }
        let known = &mut self.stack[fields.start + usize::from(fields.slots[field])];
        // If a rival in the oneof has replaced the field meanwhile, it begins again.
        if is_new || known.count == 0 {
            *known = slot;
        } else if !is_empty_list {
            known.count += 1;
            known.last = last;
        }
    }

    /// What is known of a field, if it has a value.
    #[inline]
    pub(super) fn get(&self, fields: &Fields, field: usize) -> Option<Slot<'w>> {
        if fields.present >> field & 1 == 0 {
            return None;
        }
        let slot = self.stack[fields.start + usize::from(fields.slots[field])];
        (slot.count > 0).then_some(slot)
    }
}
