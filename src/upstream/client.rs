//! The HTTP client: how connections to upstream are made and kept.

use std::time::Duration;

use tower::util::MapFutureLayer;

use super::{Config, dial};
use crate::cause::cause;

const USER_AGENT: &str = concat!("gemini-grpc/", env!("CARGO_PKG_VERSION"));

/// How long an HTTP/1 connection is kept for the next request. Node's servers close theirs after 5 s without one; a
/// request that goes out at that moment is lost, and must not be sent twice since generation is billed. So we close
/// first.
const IDLE: Duration = Duration::from_secs(4);
/// An HTTP/2 connection is kept for longer: pings find out whether it is still there, and GOAWAY tells of its end.
const IDLE_HTTP2: Duration = Duration::from_secs(90);
const PING: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Whom to trust beside the system's authorities, and what to show upstream.
#[derive(Clone, Default)]
pub struct Tls {
    authorities: Vec<reqwest::Certificate>,
    identity: Option<reqwest::Identity>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let identity = self.identity.is_some();
        f.debug_struct("Tls").field("authorities", &self.authorities.len()).field("identity", &identity).finish()
    }
}

impl Tls {
    /// Trusts an authority as well, in PEM or several of them.
    pub fn trust(&mut self, pem: &[u8]) -> Result<(), BuildError> {
        self.authorities = reqwest::Certificate::from_pem_bundle(pem).map_err(BuildError)?;
        Ok(())
    }

    /// Shows a certificate; it stands in the same PEM as its key.
    pub fn identify(&mut self, pem: &[u8]) -> Result<(), BuildError> {
        self.identity = Some(reqwest::Identity::from_pem(pem).map_err(BuildError)?);
        Ok(())
    }
}

/// A client that cannot be built, because the TLS library found no usable roots for example.
#[derive(Debug, thiserror::Error)]
#[error("{}", cause(.0))]
pub struct BuildError(reqwest::Error);

/// What makes requests and keeps connections.
#[derive(Clone, Debug)]
pub struct Client(reqwest::Client);

impl Client {
    pub(super) fn post(&self, url: impl reqwest::IntoUrl) -> reqwest::RequestBuilder {
        self.0.post(url)
    }
}

impl Config {
    /// A client with these settings.
    pub fn client(&self) -> Result<Client, BuildError> {
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(self.connect_timeout)
            .connector_layer(MapFutureLayer::new(dial))
            .tcp_nodelay(true)
            .pool_idle_timeout(if self.http2 { IDLE_HTTP2 } else { IDLE })
            // reqwest resends a request on REFUSED_STREAM and GOAWAY by itself. Generation is billed.
            .retry(reqwest::retry::never())
            // A redirect would carry the prompt, and maybe the key, somewhere else.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .tls_certs_merge(self.tls.authorities.iter().cloned());
        if let Some(identity) = &self.tls.identity {
            builder = builder.identity(identity.clone());
        }
        if !self.system_proxy {
            builder = builder.no_proxy();
        }
        builder = match (self.http2, self.base.is_tls()) {
            (false, _) => builder.http1_only(),
            (true, false) => builder.http2_prior_knowledge(),
            // TLS negotiates the version by ALPN.
            (true, true) => builder,
        };
        builder = builder
            .http2_initial_stream_window_size(4 << 20)
            .http2_initial_connection_window_size(32 << 20)
            .http2_max_frame_size(1 << 20)
            .http2_keep_alive_interval(PING)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .http2_keep_alive_while_idle(true);
        builder.build().map(Client).map_err(BuildError)
    }
}
