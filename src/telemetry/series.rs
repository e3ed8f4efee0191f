//! What is made once for each key and kept, such as instruments with their labels filled in.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

/// What was made for each key, read without a lock. It only grows, up to a limit, because callers and upstream choose
/// the keys.
pub struct Series<K, V> {
    made: ArcSwap<HashMap<K, Arc<V>>>,
    /// Locked while one is added, so that none is made twice: an instrument that was bound is exported forever.
    adding: Mutex<()>,
    max: usize,
}

impl<K: Clone + Eq + Hash, V> Series<K, V> {
    /// For this many keys.
    pub fn up_to(max: usize) -> Self {
        Self { made: ArcSwap::default(), adding: Mutex::default(), max }
    }

    /// What there is for a key.
    pub fn get<Q>(&self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.made.load().get(key).cloned()
    }

    /// What there is for a key. It is made if there is none and the limit allows it.
    pub fn get_or_add(&self, key: &K, make: impl FnOnce() -> V) -> Option<Arc<V>> {
        if let Some(known) = self.get(key) {
            return Some(known);
        }
        if self.made.load().len() >= self.max {
            return None;
        }
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let made = self.made.load();
        if made.contains_key(key) || made.len() >= self.max {
            return made.get(key).cloned();
        }
        let value = Arc::new(make());
        let mut more = HashMap::clone(&made);
        more.insert(key.clone(), value.clone());
        self.made.store(Arc::new(more));
        Some(value)
    }

    /// What was made for every key until now.
    pub fn all(&self) -> Arc<HashMap<K, Arc<V>>> {
        self.made.load_full()
    }
}

/// Without what was made, which may have no text.
impl<K, V> fmt::Debug for Series<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Series").field("made", &self.made.load().len()).field("max", &self.max).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn nothing_is_made_for_a_key_that_finds_no_room() {
        let (series, made) = (Series::up_to(10), AtomicUsize::new(0));
        let make = || made.fetch_add(1, Ordering::Relaxed);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..400).for_each(|key| drop(series.get_or_add(&key, make))));
            }
        });
        assert_eq!(made.into_inner(), 10);
        assert_eq!((0..400).filter(|key| series.get(key).is_some()).count(), 10);
    }
}
