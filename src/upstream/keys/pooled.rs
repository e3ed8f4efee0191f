//! One key of a pool.

use std::sync::Arc;

use super::super::key::ApiKey;
use super::state::KeyState;

/// A key of a pool. Requests in flight keep it, also when a reload has removed it.
#[derive(Debug)]
pub(super) struct PooledKey {
    pub(super) name: Arc<str>,
    pub(super) weight: u32,
    pub(super) key: ApiKey,
    /// Shared with the same key of the pool before.
    pub(super) state: Arc<KeyState>,
}

impl PooledKey {
    /// The same key with the state that it had before a reload.
    pub(super) fn with_state(&self, state: &Arc<KeyState>) -> Self {
        Self { name: self.name.clone(), weight: self.weight, key: self.key.clone(), state: state.clone() }
    }
}
