//! Finds the field that the name of a JSON member means.

use super::table::{ADDITIONAL_FIELDS, Field, NONE};

/// JSON member names to fields: open addressing over a power of two, at most half full.
#[derive(Debug)]
pub(super) struct Members {
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

    /// Length and four letters tell the members of every message apart, nearly.
    fn hash(name: &[u8]) -> usize {
        let n = name.len();
        let letter = |i: usize| name.get(i).copied().unwrap_or(0) as usize;
        letter(0) + letter(n / 2).wrapping_mul(7) + letter(n.wrapping_sub(1)).wrapping_mul(31) + n.wrapping_mul(131)
    }
}
