//! A key of the pool while a request uses it.

use std::fmt;
use std::sync::Arc;

use super::super::key::ApiKey;
use super::pooled::PooledKey;

/// A key of the pool that a request uses, until the last byte of its response. Dropping it ends that.
pub struct KeyLease {
    key: Arc<PooledKey>,
    /// Whether this request finds out if a key that was refused still is.
    tries: bool,
}

impl KeyLease {
    pub(super) fn new(key: Arc<PooledKey>) -> Self {
        let tries = key.state.enter();
        Self { key, tries }
    }

    /// The key itself.
    pub fn key(&self) -> &ApiKey {
        &self.key.key
    }

    /// The name of the key, which is no secret.
    pub fn name(&self) -> &Arc<str> {
        &self.key.name
    }

    pub(super) fn pooled(&self) -> &PooledKey {
        &self.key
    }

    /// Upstream has answered, whatever it said: other requests may try the key too.
    pub(super) fn tried(&mut self) {
        if std::mem::take(&mut self.tries) {
            self.key.state.tried();
        }
    }
}

impl Drop for KeyLease {
    fn drop(&mut self) {
        self.tried();
        self.key.state.leave();
    }
}

impl fmt::Debug for KeyLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyLease").field(&self.key.name).finish()
    }
}
