//! Instruments with their labels filled in, kept by the values of the labels.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use arc_swap::ArcSwap;

/// What was made for each key, read without a lock. It only grows, and not beyond a limit: somebody else chooses the
/// keys.
pub(super) struct Series<K, V> {
    made: ArcSwap<HashMap<K, Arc<V>>>,
    most: usize,
}

impl<K: Clone + Eq + Hash, V> Series<K, V> {
    pub(super) fn up_to(most: usize) -> Self {
        Self { made: ArcSwap::default(), most }
    }

    /// What there is for a key.
    pub(super) fn get<Q>(&self, key: &Q) -> Option<Arc<V>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.made.load().get(key).cloned()
    }

    /// Makes it for a new key; none if there are too many.
    pub(super) fn add(&self, key: &K, value: V) -> Option<Arc<V>> {
        let value = Arc::new(value);
        self.made.rcu(|map| {
            let mut map = HashMap::clone(map);
            if map.len() < self.most {
                map.entry(key.clone()).or_insert_with(|| value.clone());
            }
            map
        });
        self.get(key)
    }
}
