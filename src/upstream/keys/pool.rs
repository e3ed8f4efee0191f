//! The keys of a pool, and the choice among them.

use std::sync::Arc;

use super::super::key::ApiKey;
use super::lease::KeyLease;
use super::pooled::PooledKey;
use super::refusal::Rest;
use crate::store::resting::Resting;

/// The most keys of a pool. Each is searched in the errors of upstream.
pub const MAX_KEYS: usize = 100;

/// A key as it is configured.
#[derive(Clone, Debug)]
pub struct NamedKey {
    /// What logs, metrics and other gateways call it.
    pub name: Arc<str>,
    /// How many requests it gets compared with other keys; at least 1.
    pub weight: u32,
    pub key: ApiKey,
}

/// A pool of keys.
#[derive(Debug)]
pub struct KeyPool {
    keys: Box<[Arc<PooledKey>]>,
    /// What the gateways of a service know together.
    resting: Option<Arc<Resting>>,
}

/// The keys that a call has used, by their places in the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used(u128);

/// Why no key can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoKey {
    /// When the first of them has rested, in milliseconds since the Unix epoch.
    pub(super) until: u64,
    /// Whether upstream refuses all of them, as opposed to quotas.
    pub(super) all_refused: bool,
}

impl Used {
    fn contains(self, place: usize) -> bool {
        self.0 >> place & 1 == 1
    }

    pub(super) fn with(self, place: usize) -> Self {
        Self(self.0 | 1 << place)
    }
}

impl KeyPool {
    /// A pool of the first [`MAX_KEYS`] of these keys.
    pub(super) fn new(keys: Vec<NamedKey>) -> Self {
        let keys = keys.into_iter().take(MAX_KEYS).map(|NamedKey { name, weight, key }| {
            Arc::new(PooledKey { name, weight: weight.max(1), key, state: Arc::default() })
        });
        Self { keys: keys.collect(), resting: None }
    }

    pub(super) fn first(&self) -> Option<&ApiKey> {
        self.keys.first().map(|key| &key.key)
    }

    /// All keys, to be redacted.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &ApiKey> {
        self.keys.iter().map(|key| &key.key)
    }

    /// A key that has no other one next to it never rests: a call could only fail.
    pub(super) fn has_choice(&self) -> bool {
        self.keys.len() > 1
    }

    pub(super) fn carrying_state_from(&self, previous: &Self) -> Self {
        let keys = self.keys.iter().map(|key| {
            let is_same = |before: &&Arc<PooledKey>| before.name == key.name && before.key == key.key;
            let state = previous.keys.iter().find(is_same).map_or(&key.state, |before| &before.state);
            Arc::new(key.with_state(state))
        });
        Self { keys: keys.collect(), resting: self.resting.clone() }
    }

    pub(super) fn sharing(&self, resting: Arc<Resting>) -> Self {
        Self { keys: self.keys.clone(), resting: Some(resting) }
    }

    pub(super) fn resting(&self, now: u64) -> Vec<(&Arc<str>, u64)> {
        let seconds = |key: &PooledKey| {
            let shared = self.resting.as_ref().map_or(0, |resting| resting.until(&key.name));
            key.state.until().max(shared).saturating_sub(now).div_ceil(1000)
        };
        self.keys.iter().map(|key| (&key.name, if self.has_choice() { seconds(key) } else { 0 })).collect()
    }

    /// Chooses the key with the fewest requests in flight for its weight among those that do not rest and that the call
    /// has not used. Of several such keys one is chosen at random by weight; `random` returns a number below its
    /// argument. A key that was refused before is tried by one request at a time, as long as there are others.
    pub(super) fn choose(
        &self,
        model: &str,
        used: Used,
        now: u64,
        mut random: impl FnMut(u32) -> u32,
    ) -> Result<(usize, KeyLease), NoKey> {
        let mut best: Option<(usize, Load)> = None;
        let (mut tied, mut none) = (0, NoKey { until: u64::MAX, all_refused: true });
        for (place, key) in self.keys.iter().enumerate() {
            let until = self.until(key, model);
            if used.contains(place) || until > now {
                none.until = none.until.min(until.max(now));
                none.all_refused &= key.state.is_refused();
                continue;
            }
            let load = Load::of(key);
            match best.as_ref().map_or(std::cmp::Ordering::Less, |(_, best)| load.cmp(best)) {
                std::cmp::Ordering::Less => (best, tied) = (Some((place, load)), key.weight),
                std::cmp::Ordering::Equal => {
                    tied += key.weight;
                    if random(tied) < key.weight {
                        best = Some((place, load));
                    }
                }
                std::cmp::Ordering::Greater => {}
            }
        }
        let (place, _) = best.ok_or(none)?;
        Ok((place, KeyLease::new(self.keys[place].clone())))
    }

    /// Lets a key rest, and lets other gateways know. Returns the end of the rest, and how often in a row, if this refusal counts.
    pub(super) fn rest(&self, key: &PooledKey, rest: Rest, model: Option<&Arc<str>>, now: u64) -> (u64, Option<u32>) {
        let (until, count) = key.state.rest(rest, model, now);
        if let Some(resting) = self.resting.as_ref().filter(|_| until > now) {
            match model.filter(|_| rest.of_model) {
                Some(model) => resting.add(&format!("{}/{model}", key.name), until),
                None => resting.add(&key.name, until),
            }
        }
        (until, count)
    }

    /// Until when a key rests for a model.
    fn until(&self, key: &PooledKey, model: &str) -> u64 {
        if !self.has_choice() {
            return 0;
        }
        let until = key.state.until_for(model);
        match self.resting.as_ref().filter(|resting| !resting.is_empty()) {
            None => until,
            Some(resting) => until.max(resting.until(&key.name)).max(resting.until(&format!("{}/{model}", key.name))),
        }
    }
}

/// How busy a key is.
struct Load {
    is_tried: bool,
    in_flight: u64,
    weight: u64,
}

impl Load {
    fn of(key: &PooledKey) -> Self {
        Self { is_tried: key.state.is_tried(), in_flight: key.state.in_flight().into(), weight: key.weight.into() }
    }

    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let by_weight = (self.in_flight * other.weight).cmp(&(other.in_flight * self.weight));
        self.is_tried.cmp(&other.is_tried).then(by_weight)
    }
}
