//! The settings of the HTTP client.

use std::time::Duration;

use super::tls::ClientTls;
use super::url::BaseUrl;

/// The settings of the client.
#[derive(Clone, Debug)]
pub struct Config {
    pub base: BaseUrl,
    pub key_header: KeyHeader,
    pub http: HttpVersion,
    pub connect_timeout: Duration,
    /// Whether HTTPS_PROXY and similar variables count.
    pub system_proxy: bool,
    /// The largest body of a unary response and the largest event of a stream, in bytes, unpacked.
    pub max_response_bytes: usize,
    /// The most retries of a call.
    pub retries: u32,
    pub tls: ClientTls,
}

/// The header that carries the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHeader {
    Bearer,
    XGoogApiKey,
}

/// The HTTP version towards upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// A connection for each request at once.
    Http1,
    /// As few connections as carry the requests. With an http URL it is spoken without negotiation (h2c).
    Http2,
    /// What upstream chooses by ALPN (RFC 7301), HTTP/2 if it can. With an http URL it is HTTP/1.1.
    Auto,
}
