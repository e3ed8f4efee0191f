//! Finds the last entry of each key of a map. Protobuf allows a key to occur several times, and the last entry counts.

use std::hash::{BuildHasher, RandomState};

use super::super::error::{Error, Problem};
use super::fragments::Wire;
use crate::gemini::steps::Steps;
use crate::gemini::wire::{Raw, Reader};

/// Up to this many keys are compared with each other; more are put into a hash table.
const MAX_COMPARED_KEYS: usize = 8;
/// The value of a free slot.
const FREE_SLOT: u32 = u32::MAX;

/// One entry of a map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'w> {
    /// The wire bytes of the entry.
    pub(super) bytes: &'w [u8],
    /// The key; empty if it is absent.
    pub(super) key: &'w [u8],
    /// The bytes of the entry from the field of the key on.
    pub(super) key_field: &'w [u8],
    /// The last value.
    pub(super) value: Option<Raw<'w>>,
    /// How many times a value occurs.
    pub(super) value_count: u32,
}

/// The keys of a map and the last entry of each.
#[derive(Debug)]
pub(super) enum LastEntries<'w> {
    Few { keys: [&'w [u8]; MAX_COMPARED_KEYS], count: usize },
    Many(KeyTable),
}

/// A hash table with open addressing. A slot is the offset of a key in the wire bytes, so the table takes few bytes for
/// each entry. Callers choose the keys, so the hash has a random seed.
#[derive(Debug)]
pub(super) struct KeyTable {
    slots: Vec<u32>,
    hasher: RandomState,
    /// The index of the last entry with an empty key. Such a key may be absent on the wire, and has no offset then.
    empty_key: Option<usize>,
}

/// The number of slots for this many entries: at most three quarters are used.
fn slot_count(entries: usize) -> usize {
    entries + entries / 3 + 1
}

impl<'w> LastEntries<'w> {
    /// For a map with this many entries.
    pub(super) fn new(entries: usize) -> Self {
        if entries <= MAX_COMPARED_KEYS {
            return Self::Few { keys: [&[]; MAX_COMPARED_KEYS], count: 0 };
        }
        let slots = vec![FREE_SLOT; slot_count(entries)];
        Self::Many(KeyTable { slots, hasher: RandomState::new(), empty_key: None })
    }

    /// The number of bytes that [`LastEntries::new`] allocates for this many entries.
    pub(super) fn allocated_bytes(entries: usize) -> usize {
        if entries <= MAX_COMPARED_KEYS { 0 } else { slot_count(entries) * size_of::<u32>() }
    }

    /// Adds the next entry, which has this index.
    pub(super) fn add(
        &mut self,
        index: usize,
        entry: &Entry<'w>,
        wire: Wire<'w>,
        steps: &mut Steps<'_>,
    ) -> Result<(), Error> {
        match self {
            Self::Few { keys, count } => {
                keys[*count] = entry.key;
                *count += 1;
            }
            Self::Many(table) if entry.key.is_empty() => table.empty_key = Some(index),
            Self::Many(table) => {
                let slot = table.slot(entry.key, wire, steps)?;
                table.slots[slot] = wire.offset(entry.key_field);
            }
        }
        Ok(())
    }

    /// Whether no later entry has the key of this one. All entries must have been added.
    pub(super) fn is_last(
        &self,
        index: usize,
        entry: &Entry<'w>,
        wire: Wire<'w>,
        steps: &mut Steps<'_>,
    ) -> Result<bool, Error> {
        match self {
            Self::Few { keys, count } => {
                let later = &keys[index + 1..*count];
                steps.take_bytes(entry.key.len() * later.len())?;
                Ok(!later.contains(&entry.key))
            }
            Self::Many(table) if entry.key.is_empty() => Ok(table.empty_key == Some(index)),
            Self::Many(table) => {
                let slot = table.slot(entry.key, wire, steps)?;
                Ok(table.slots[slot] == wire.offset(entry.key_field))
            }
        }
    }
}

impl KeyTable {
    /// The index of the slot that has this key, or of the free slot for it.
    fn slot(&self, key: &[u8], wire: Wire<'_>, steps: &mut Steps<'_>) -> Result<usize, Error> {
        steps.take_bytes(key.len())?;
        let size = self.slots.len();
        // The upper half of hash × size is evenly distributed over the slots, for any size.
        let mut slot = ((u128::from(self.hasher.hash_one(key)) * size as u128) >> 64) as usize;
        loop {
            steps.take(1)?;
            let offset = self.slots[slot];
            if offset == FREE_SLOT {
                return Ok(slot);
            }
            let Raw::Len(other) = Reader::new(wire.from(offset)).field()?.1 else {
                return Err(Problem::WireType.into());
            };
            if other.len() == key.len() {
                steps.take_bytes(key.len())?;
                if other == key {
                    return Ok(slot);
                }
            }
            slot = if slot + 1 == size { 0 } else { slot + 1 };
        }
    }
}
