//! Makes connections to upstream: by name or through a proxy, in plaintext or TLS.

use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::dns::GaiResolver;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::legacy::connect::{self as legacy, Connection as _, HttpConnector};
use hyper_util::client::proxy::matcher::Intercept;
use rustls::ClientConfig;
use tower::util::MapErr;
use tower::{BoxError, ServiceExt as _};

use super::connection::{Connection, Driver, Io};
use super::failure::ConnectError;
use crate::files::Files;
use crate::upstream::causes::{mentions, mentions_files, mentions_tls};

type Resolver = MapErr<GaiResolver, fn(std::io::Error) -> Unresolved>;
type Direct = HttpsConnector<HttpConnector<Resolver>>;

/// A name that cannot be resolved.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unresolved(std::io::Error);

/// How connections are made.
#[derive(Clone)]
pub(in crate::upstream) struct Connector {
    target: Uri,
    timeout: Duration,
    way: Way,
}

#[derive(Clone)]
enum Way {
    Direct(Direct),
    Proxy(Box<HttpsConnector<Tunnel<Direct>>>),
}

impl Connector {
    /// Connections to the host of `target`. With `choose`, upstream is offered HTTP/1.1 as well. A proxy has to offer
    /// CONNECT.
    pub(in crate::upstream) fn new(
        target: Uri,
        timeout: Duration,
        tls: ClientConfig,
        choose: bool,
        proxy: Option<&Intercept>,
    ) -> Self {
        let resolver: Resolver = GaiResolver::new().map_err(Unresolved);
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let to_upstream = HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
        let to_upstream = if choose { to_upstream.enable_all_versions() } else { to_upstream.enable_http2() };
        let way = match proxy {
            None => Way::Direct(to_upstream.wrap_connector(tcp)),
            Some(proxy) => {
                let to_proxy = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1();
                let mut tunnel = Tunnel::new(proxy.uri().clone(), to_proxy.wrap_connector(tcp));
                if let Some(credentials) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(credentials.clone());
                }
                Way::Proxy(Box::new(to_upstream.wrap_connector(tunnel)))
            }
        };
        Self { target, timeout, way }
    }

    /// A connection that is ready for requests.
    pub(super) async fn connect(&self) -> Result<(Connection, Driver), ConnectError> {
        let opened = async { Connection::open(self.dial().await?).await };
        tokio::time::timeout(self.timeout, opened).await.unwrap_or(Err(ConnectError::Timeout))
    }

    async fn dial(&self) -> Result<Io, ConnectError> {
        // The files that are kept back are not for connections.
        let files = Files::of_process();
        if files.are_out() {
            return Err(ConnectError::OutOfFiles);
        }
        let io = self.dial_target().await?;
        if files.are_out() { Err(ConnectError::OutOfFiles) } else { Ok(io) }
    }

    async fn dial_target(&self) -> Result<Io, ConnectError> {
        let target = self.target.clone();
        match &self.way {
            Way::Direct(direct) => self.checked(direct.clone().oneshot(target).await),
            Way::Proxy(proxy) => self.checked((**proxy).clone().oneshot(target).await),
        }
    }

    /// Whether upstream chose HTTP/2. In plaintext nothing is chosen: it either speaks it or not.
    fn checked<T>(&self, dialed: Result<MaybeHttpsStream<T>, BoxError>) -> Result<Io, ConnectError>
    where
        T: Read + Write + legacy::Connection + Send + Unpin + 'static,
    {
        match dialed {
            Ok(io @ MaybeHttpsStream::Https(_)) if !io.connected().is_negotiated_h2() => Err(ConnectError::NotHttp2),
            Ok(io) => Ok(Box::new(io)),
            Err(error) => Err(ConnectError::from(&*error)),
        }
    }
}

impl From<&(dyn std::error::Error + Send + Sync + 'static)> for ConnectError {
    fn from(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Self {
        let no_protocol = rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol);
        let is_dns = mentions(error, |_: &Unresolved| true);
        match () {
            () if mentions_files(error, is_dns) => Self::OutOfFiles,
            () if mentions(error, |cause: &rustls::Error| *cause == no_protocol) => Self::NotHttp2,
            () if mentions_tls(error) => Self::Tls,
            () if is_dns => Self::Unresolved,
            () => Self::Refused,
        }
    }
}
