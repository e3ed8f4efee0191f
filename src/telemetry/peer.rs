//! The address of a client, as telemetry writes it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// The address of a client. It is formatted once for all calls of a connection.
#[derive(Clone)]
pub struct PeerAddress {
    /// IP and port: `127.0.0.1:50051`.
    pub(super) text: Arc<str>,
    pub(super) ip: Arc<str>,
    pub(super) port: u16,
}

impl From<SocketAddr> for PeerAddress {
    fn from(address: SocketAddr) -> Self {
        let [text, ip] = [address.to_string(), address.ip().to_string()].map(Arc::from);
        Self { text, ip, port: address.port() }
    }
}

impl fmt::Debug for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
