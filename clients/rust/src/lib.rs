//! A client for gemini-grpc: the messages and stubs of its contract in [`v1`], and a channel to call them with.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use mountsea_gemini::{connect, v1::Content, v1::GenerateContentRequest};
//!
//! let mut gemini = connect("gemini.example.com:443", "a key", None)?.generative();
//! let request = GenerateContentRequest {
//!     model: "gemini-2.5-flash".into(),
//!     contents: vec![Content::user(["Why is the sky blue?".into()])],
//!     ..Default::default()
//! };
//! println!("{}", gemini.generate_content(request).await?.into_inner().text());
//! # Ok(())
//! # }
//! ```

mod channel;
mod error;
mod messages;
#[allow(clippy::all, rustdoc::all)]
pub mod v1;

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use tonic::transport::{Channel as Transport, Endpoint};

pub use channel::Channel;
pub use error::{Failure, code_name, explain};
pub use prost_types;
pub use tonic;

/// The largest message in bytes that is received: a picture may be larger than tonic's default of 4 MiB, and a response
/// that the client rejects is billed all the same.
pub const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// A channel to the gateway at `HOST:PORT`, or at a URL with the scheme `http` or `https`, that sends `key` with each call.
///
/// Without a scheme it uses TLS if there is a CA, or if the host is not loopback. `ca` is a file of certificates in PEM;
/// without it the system's authorities are trusted. The connection is made at the first call, and made again when it breaks.
///
/// It needs the runtime of tokio, and fails if the endpoint is no address, the file cannot be read, or the key has
/// characters that a header cannot have.
pub fn connect(endpoint: &str, key: &str, ca: Option<&Path>) -> io::Result<Channel> {
    let url = url_of(endpoint, ca.is_some());
    let endpoint = Endpoint::from_shared(url.clone()).map_err(invalid)?;
    let endpoint = if url.starts_with("https://") { with_tls(endpoint, ca)? } else { endpoint };
    let transport: Transport = endpoint
        .connect_timeout(Duration::from_secs(20))
        // Only while calls are open: a connection without any may be closed by the gateway.
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20))
        .connect_lazy();
    Channel::new(transport, key).map_err(invalid)
}

fn url_of(endpoint: &str, has_ca: bool) -> String {
    if endpoint.contains("://") {
        return endpoint.to_owned();
    }
    let host = endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host).trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    format!("{}://{endpoint}", if has_ca || !loopback { "https" } else { "http" })
}

#[cfg(feature = "tls")]
fn with_tls(endpoint: Endpoint, ca: Option<&Path>) -> io::Result<Endpoint> {
    use tonic::transport::{Certificate, ClientTlsConfig};
    let config = match ca {
        Some(file) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(std::fs::read(file)?)),
        None => ClientTlsConfig::new().with_native_roots(),
    };
    endpoint.tls_config(config).map_err(invalid)
}

#[cfg(not(feature = "tls"))]
fn with_tls(_: Endpoint, _: Option<&Path>) -> io::Result<Endpoint> {
    Err(invalid("TLS needs the feature tls of mountsea-gemini"))
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

#[cfg(test)]
mod tests {
    use super::url_of;

    #[test]
    fn tls_is_the_default_for_all_but_loopback() {
        for endpoint in ["localhost:1", "127.0.0.1:1", "127.9.9.9:1", "[::1]:1"] {
            assert_eq!(url_of(endpoint, false), format!("http://{endpoint}"));
            assert_eq!(url_of(endpoint, true), format!("https://{endpoint}"));
        }
        assert_eq!(url_of("gemini.example.com:443", false), "https://gemini.example.com:443");
        assert_eq!(url_of("http://gemini.example.com:80", false), "http://gemini.example.com:80");
    }
}
