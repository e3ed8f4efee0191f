//! Finds a field by the name of its JSON member.

/// No field: an index that no field has.
pub(super) const NONE: u8 = u8::MAX;

/// A hash table from JSON member names to fields: open addressing, a power of two slots, at most half full.
#[derive(Debug)]
pub(super) struct Members {
    /// Names and field indexes; [`NONE`] marks a free slot.
    slots: Box<[(&'static str, u8)]>,
}

impl Members {
    /// A table of these names and field indexes. If a name occurs twice, the first one counts.
    pub(super) fn new(names: &[(&'static str, u8)]) -> Self {
        let size = (names.len() * 2 + 1).next_power_of_two();
        let mut members = Self { slots: vec![("", NONE); size].into() };
        for (name, index) in names {
            members.insert(name, *index);
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
    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
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
