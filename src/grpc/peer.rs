//! Who is at the other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub address: SocketAddr,
    /// The DNS names and URIs in its verified certificate, if it has to show one.
    pub names: Option<Arc<[String]>>,
}
