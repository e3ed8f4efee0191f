//! The client at the other end of a connection.

use std::sync::Arc;

use crate::gateway::Connection;
use crate::gateway::callers::San;
use crate::telemetry::PeerAddress;

/// The client at the other end of a connection, and what its calls share.
#[derive(Clone, Debug)]
pub struct Peer {
    pub address: PeerAddress,
    /// The DNS names and URIs in the client's verified certificate; `None` if it need not show one.
    pub names: Option<Arc<[San]>>,
    /// Whether the connection is encrypted.
    pub is_tls: bool,
    /// Whether the connection is in use, and whose it is.
    pub connection: Arc<Connection>,
}
