//! Finds a field by the name of its JSON member.

use super::table::{ADDITIONAL_FIELDS, Field, NONE};

/// A hash table from JSON member names to fields: open addressing, a power of two slots, at most half full.
#[derive(Debug)]
pub(super) struct Members {
    /// Names and field indexes; `NONE` marks a free slot.
    slots: Box<[(&'static str, u8)]>,
}

impl Members {
    pub(super) fn new(fields: &[Field]) -> Self {
        let size = (fields.len() * 4).next_power_of_two().max(4);
        let mut members = Self { slots: vec![("", NONE); size].into() };
        // A JSON name takes precedence over another field's proto name: `responseJsonSchema` is field 28 of
        // GenerationConfig, `response_json_schema` field 24, whose JSON name is `_responseJsonSchema`.
        for name in [|f: &Field| f.json_name, |f: &Field| f.name] {
            for (i, field) in fields.iter().enumerate().filter(|(_, f)| f.number != ADDITIONAL_FIELDS) {
                members.insert(name(field), i as u8);
            }
        }
        members
    }

    fn insert(&mut self, name: &'static str, index: u8) {
        let mask = self.slots.len() - 1;
        let mut at = Self::hash(name.as_bytes()) & mask;
        while self.slots[at].1 != NONE {
            if self.slots[at].0 == name {
                return;
            }
            at = (at + 1) & mask;
        }
        self.slots[at] = (name, index);
    }

    /// The index of the field with this JSON name or proto name.
    pub(super) fn find(&self, name: &[u8], fields: &[Field]) -> Option<usize> {
        debug_assert!(self.slots.len() > fields.len());
        let mask = self.slots.len() - 1;
        let mut at = Self::hash(name) & mask;
        while self.slots[at].1 != NONE {
            if self.slots[at].0.as_bytes() == name {
                return Some(self.slots[at].1.into());
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Hashes the length and three letters: nearly unique among the members of each message, and much cheaper than the
    /// whole name.
    fn hash(name: &[u8]) -> usize {
        let n = name.len();
        let letter = |i: usize| name.get(i).copied().unwrap_or(0) as usize;
        letter(0) + letter(n / 2).wrapping_mul(7) + letter(n.wrapping_sub(1)).wrapping_mul(31) + n.wrapping_mul(131)
    }
}
