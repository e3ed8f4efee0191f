//! The keys that go upstream: one, or a pool of them. A request gets the key of the pool that has the fewest requests in
//! flight for its weight. One that upstream refuses rests, and the call goes on with another one.

mod lease;
mod pacific;
mod pick;
mod pool;
mod pooled;
mod refusal;
mod state;

use std::sync::Arc;

pub use self::lease::KeyLease;
pub(super) use self::pick::KeyPick;
pub use self::pool::{KeyPool, MAX_KEYS, NamedKey};
use super::key::ApiKey;
use crate::store::resting::Resting;

/// What the requests of a call are authenticated with. Clones are cheap, and share their state.
#[derive(Clone, Debug)]
pub enum Keys {
    One(ApiKey),
    Pool(Arc<KeyPool>),
}

impl Keys {
    /// A pool of these keys.
    pub fn pool(keys: Vec<NamedKey>) -> Self {
        Self::Pool(Arc::new(KeyPool::new(keys)))
    }

    /// The key, if there is no choice.
    pub fn only(&self) -> Option<&ApiKey> {
        match self {
            Self::One(key) => Some(key),
            Self::Pool(_) => None,
        }
    }

    /// The first key, for a command that calls and needs one.
    pub fn first(&self) -> Option<&ApiKey> {
        match self {
            Self::One(key) => Some(key),
            Self::Pool(pool) => pool.first(),
        }
    }

    /// How many keys there are; at least 1.
    pub(super) fn count(&self) -> usize {
        self.all().count().max(1)
    }

    /// All keys, to be redacted.
    pub(super) fn all(&self) -> impl Iterator<Item = &ApiKey> {
        let (only, pool) = match self {
            Self::One(key) => (Some(key), None),
            Self::Pool(pool) => (None, Some(pool)),
        };
        only.into_iter().chain(pool.into_iter().flat_map(|pool| pool.secrets()))
    }

    /// The same keys. Those that were there before, with the same name, go on with their state: one that rests, rests
    /// on.
    pub fn carrying_state_from(self, previous: Option<&Self>) -> Self {
        match (self, previous) {
            (Self::Pool(pool), Some(Self::Pool(previous))) => Self::Pool(Arc::new(pool.carrying_state_from(previous))),
            (keys, _) => keys,
        }
    }

    /// The same keys, which rest as other gateways say in this table, too, and write there when one begins to rest.
    pub fn sharing(self, resting: Option<&Arc<Resting>>) -> Self {
        match (self, resting) {
            (Self::Pool(pool), Some(resting)) => Self::Pool(Arc::new(pool.sharing(resting.clone()))),
            (keys, _) => keys,
        }
    }

    /// For each key of a pool: its name, and for how many more seconds it rests for all models.
    pub fn resting(&self) -> Vec<(&Arc<str>, u64)> {
        match self {
            Self::One(_) => Vec::new(),
            Self::Pool(pool) => pool.resting(now()),
        }
    }
}

impl From<ApiKey> for Keys {
    fn from(key: ApiKey) -> Self {
        Self::One(key)
    }
}

/// The time in milliseconds since the Unix epoch. Not monotonic, because gateways share it, and days end by it.
fn now() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
