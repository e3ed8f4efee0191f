//! Which keys of upstream rest, and until when, as the gateways of one service tell each other. Only names are shared,
//! never anything of a key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;

/// What rests: the name of a key, or `name/model` for a key that rests for one model only.
type Name = Arc<str>;

/// A table of names and of the times until which they rest, in milliseconds since the Unix epoch. It is read without a
/// lock.
#[derive(Debug, Default)]
pub struct Resting {
    /// What the gateways together know, replaced as a whole.
    shared: ArcSwap<HashMap<Name, u64>>,
    /// What this gateway has found out, and has not sent yet. Locked only when a key begins to rest, and by what sends
    /// it.
    unsent: Mutex<HashMap<Name, u64>>,
}

impl Resting {
    /// Until when this name rests by what all gateways know; 0 if nothing is known.
    pub fn until(&self, name: &str) -> u64 {
        self.shared.load().get(name).copied().unwrap_or_default()
    }

    /// Whether nothing rests by what all gateways know.
    pub fn is_empty(&self) -> bool {
        self.shared.load().is_empty()
    }

    /// Adds what this gateway has found out. A rest is never shortened.
    pub fn add(&self, name: &str, until: u64) {
        later(&mut self.unsent(), name.into(), until);
    }

    /// Takes what was not sent yet.
    pub fn take_unsent(&self) -> Vec<(Arc<str>, u64)> {
        self.unsent().drain().collect()
    }

    /// Puts back what could not be sent.
    pub fn put_back(&self, unsent: Vec<(Arc<str>, u64)>) {
        let mut all = self.unsent();
        unsent.into_iter().for_each(|(name, until)| later(&mut all, name, until));
    }

    /// Replaces what the gateways together know.
    pub fn replace(&self, all: impl IntoIterator<Item = (String, u64)>) {
        let all: HashMap<Name, u64> = all.into_iter().map(|(name, until)| (name.into(), until)).collect();
        // Nearly always nothing rests, before and after.
        if !(all.is_empty() && self.is_empty()) {
            self.shared.store(Arc::new(all));
        }
    }

    fn unsent(&self) -> MutexGuard<'_, HashMap<Name, u64>> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn later(all: &mut HashMap<Name, u64>, name: Name, until: u64) {
    let known = all.entry(name).or_default();
    *known = (*known).max(until);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_out_is_sent_once_and_what_all_know_is_replaced_as_a_whole() {
        let resting = Resting::default();
        resting.add("a", 5);
        resting.add("a", 3);
        resting.add("b/m", 7);
        // It is sent first, and known to this gateway when all know it: the pool has it of its own until then.
        assert_eq!(resting.until("a"), 0);
        let mut unsent = resting.take_unsent();
        unsent.sort();
        assert_eq!(unsent, [("a".into(), 5), ("b/m".into(), 7)]);
        assert_eq!(resting.take_unsent(), []);
        // What could not be sent does not take back what was found out meanwhile.
        resting.add("a", 9);
        resting.put_back(unsent);
        let mut unsent = resting.take_unsent();
        unsent.sort();
        assert_eq!(unsent, [("a".into(), 9), ("b/m".into(), 7)]);

        resting.replace([("a".to_owned(), 9), ("c".to_owned(), 11)]);
        assert_eq!(["a", "b/m", "c"].map(|name| resting.until(name)), [9, 0, 11]);
        resting.replace([]);
        assert!(resting.is_empty());
    }
}
