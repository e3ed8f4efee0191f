//! Puts new keys, certificates and models into a running server.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::open::OpenConnections;
use super::tls::Acceptor;
use super::worker::{Handles, Shared};
use super::{CertificateEnds, Config, Error};
use crate::gateway::{self, callers::CallerChanges};
use crate::store::Store;
use crate::upstream::Upstream;

/// What of a running server can be replaced. The rest of its settings needs a restart.
#[derive(Clone, Debug)]
pub struct Reload {
    /// One per worker.
    acceptors: Vec<Acceptor>,
    open: OpenConnections,
    gateway: Arc<ArcSwap<gateway::Config>>,
    /// One per worker.
    upstreams: Vec<Upstream>,
    store: Option<Store>,
    pub(super) certificate_ends: Arc<ArcSwap<CertificateEnds>>,
}

impl Reload {
    pub(super) fn new(config: &Config, shared: &Shared, workers: &[Handles]) -> Self {
        Self {
            acceptors: workers.iter().filter_map(|worker| worker.acceptor.clone()).collect(),
            open: shared.open.clone(),
            gateway: shared.gateway.config.clone(),
            upstreams: workers.iter().map(|worker| worker.upstream.clone()).collect(),
            store: shared.gateway.store.clone(),
            certificate_ends: Arc::new(ArcSwap::from_pointee(config.certificate_ends)),
        }
    }

    /// New calls, connections and requests have the new settings, and what is open goes on with the old ones. Where
    /// other client certificates are trusted than before, open connections are asked to go. After an error everything is
    /// as it was. Returns what is different about callers, where they are known.
    pub fn apply(&self, config: &Config) -> Result<Option<CallerChanges>, Error> {
        let clients = self
            .upstreams
            .iter()
            .map(|_| config.upstream.client())
            .collect::<Result<Vec<_>, _>>()
            .map_err(Error::Upstream)?;
        // From here on nothing fails.
        if let Some(tls) = &config.tls {
            tls.warn_if_expired();
            let mut is_other_trust = false;
            for acceptor in &self.acceptors {
                is_other_trust |= acceptor.replace(tls);
            }
            // After the replacement: a connection that is not asked now was verified by the new settings.
            if is_other_trust {
                tracing::info!(
                    connections = self.open.count(),
                    "trusted client certificates have changed: open connections are asked to reconnect"
                );
                self.open.leave();
            }
        }
        for (upstream, client) in self.upstreams.iter().zip(clients) {
            upstream.replace(client);
        }
        // Whether there is a store at all is decided at the start.
        if let (Some(store), Some(config)) = (&self.store, &config.store) {
            store.replace(config.clone());
        }
        self.certificate_ends.store(Arc::new(config.certificate_ends));
        let previous = self.gateway.load();
        let changes = config.gateway.auth.changes_since(&previous.auth);
        let auth = config.gateway.auth.carrying_usage_from(&previous.auth);
        let resting = self.store.as_ref().map(Store::resting);
        let keys = config.gateway.keys.clone();
        let keys = keys.map(|keys| keys.carrying_state_from(previous.keys.as_ref()).sharing(resting));
        self.gateway.store(Arc::new(gateway::Config { auth, keys, ..config.gateway.clone() }));
        Ok(changes)
    }
}
