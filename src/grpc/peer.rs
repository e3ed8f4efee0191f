//! The other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::gateway::Connection;
use crate::gateway::callers::San;

/// The other end of a connection, and what its calls share.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it connects from.
    pub address: SocketAddr,
    /// The DNS names and URIs in its verified certificate, if it has to show one.
    pub names: Option<Arc<[San]>>,
    /// Whether the connection is in use, and whose it is.
    pub connection: Arc<Connection>,
}
