//! Which entries of a map count: of those with the same key, the last.

use std::hash::{BuildHasher, RandomState};

use super::super::error::{Error, Problem};
use super::places::Wire;
use crate::gemini::steps::Steps;
use crate::gemini::wire::{Raw, Reader};

/// Up to this many keys are compared with each other.
const FEW: usize = 8;
/// A free slot.
const FREE: u32 = u32::MAX;

/// One entry of a map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'w> {
    /// The entry itself.
    pub(super) bytes: &'w [u8],
    /// Empty if it is absent.
    pub(super) key: &'w [u8],
    /// The bytes of the entry from the key's field on.
    pub(super) key_field: &'w [u8],
    /// The last value, and how many there are.
    pub(super) value: Option<Raw<'w>>,
    pub(super) values: u32,
}

/// The keys of a map, each with the last entry that has it.
#[derive(Debug)]
pub(super) enum LastOfKey<'w> {
    Few { keys: [&'w [u8]; FEW], count: usize },
    Many(Table),
}

/// A hash table by open addressing. Its slots are offsets of keys in the wire bytes: four bytes an entry, of five at least on
/// the wire. Callers choose the keys, so the hash is seeded.
#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<u32>,
    hasher: RandomState,
    /// The index of the last entry with an empty key: it may be absent, so it has no offset.
    empty_key: Option<usize>,
}

/// How many slots the table for so many entries has: three quarters are used at most.
fn slots(entries: usize) -> usize {
    entries + entries / 3 + 1
}

impl<'w> LastOfKey<'w> {
    /// For a map with this many entries.
    pub(super) fn new(entries: usize) -> Self {
        if entries <= FEW {
            return Self::Few { keys: [&[]; FEW], count: 0 };
        }
        let slots = vec![FREE; slots(entries)];
        Self::Many(Table { slots, hasher: RandomState::new(), empty_key: None })
    }

    /// How many bytes of memory this allocates for so many entries.
    pub(super) fn memory(entries: usize) -> usize {
        if entries <= FEW { 0 } else { slots(entries) * size_of::<u32>() }
    }

    /// Notes the next entry, of this index.
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

    /// Whether no later entry has the key of this one. All entries were added.
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

impl Table {
    /// The slot with that key, or the one where it would be.
    fn slot(&self, key: &[u8], wire: Wire<'_>, steps: &mut Steps<'_>) -> Result<usize, Error> {
        steps.take_bytes(key.len())?;
        let size = self.slots.len();
        // The upper bits of hash × size: evenly spread over any size.
        let mut slot = ((u128::from(self.hasher.hash_one(key)) * size as u128) >> 64) as usize;
        loop {
            steps.take(1)?;
            let offset = self.slots[slot];
            if offset == FREE {
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
