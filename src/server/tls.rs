//! TLS for callers: the handshake, and the names in a client certificate.

mod name;

use std::future::poll_fn;
use std::io::{Error, Result};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::yield_now;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::trust::{ClientTrust, TlsError};
use crate::gateway::callers::San;

/// The ALPN name of HTTP/2, which gRPC needs.
pub(super) const H2: &[u8] = b"h2";
/// The ALPN name of HTTP/1, over which REST and gRPC-Web come too.
const HTTP1: &[u8] = b"http/1.1";
/// Handshakes that one worker begins before its other tasks get a turn: each costs a signature.
const HANDSHAKES_PER_TURN: usize = 8;

/// The certificate that callers are shown, and the client certificates that are trusted.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<rustls::ServerConfig>,
    certificate: CertificateDer<'static>,
    clients: Option<ClientTrust>,
}

impl ServerTls {
    /// With `clients`, every client has to show a certificate.
    pub fn new(identity: Arc<CertifiedKey>, clients: Option<ClientTrust>) -> std::result::Result<Self, TlsError> {
        let certificate = identity.cert.first().cloned().ok_or_else(|| TlsError("no certificate".into()))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| TlsError(error.into()))?;
        let (builder, resumed) = match &clients {
            Some(trust) => (builder.with_client_cert_verifier(trust.verifier.clone()), false),
            None => (builder.with_no_client_auth(), true),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        config.alpn_protocols = vec![H2.to_vec(), HTTP1.to_vec()];
        if resumed {
            config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| TlsError(error.into()))?;
        } else {
            // A session ticket would outlive the client certificate for which it was issued.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Self { config: Arc::new(config), certificate, clients })
    }

    /// Warns if the certificate or a revocation list has expired. It is served all the same: callers judge it, and a restart
    /// for another reason should not become an outage.
    pub(super) fn warn_if_expired(&self) {
        if let Some(trust) = &self.clients {
            trust.warn_if_expired();
        }
        if let Ok((_, certificate)) = parse_x509_certificate(&self.certificate)
            && !certificate.validity().is_valid()
        {
            tracing::warn!(
                not_before = %certificate.validity().not_before,
                not_after = %certificate.validity().not_after,
                "GEMINI_GRPC_TLS_CERT: the certificate is not valid today; most callers will refuse it"
            );
        }
    }
}

/// Does the TLS handshake of connections, with the current certificate.
#[derive(Clone, Debug)]
pub(super) struct Acceptor {
    current: Arc<ArcSwap<ServerTls>>,
    turn: Arc<Semaphore>,
}

impl Acceptor {
    pub(super) fn new(tls: &ServerTls) -> Self {
        let turn = Arc::new(Semaphore::new(HANDSHAKES_PER_TURN));
        Self { current: Arc::new(ArcSwap::from_pointee(tls.clone())), turn }
    }

    /// Uses another certificate for new connections; open ones stay as they are. Returns whether the trusted client
    /// certificates have changed.
    pub(super) fn replace(&self, tls: &ServerTls) -> bool {
        self.current.swap(Arc::new(tls.clone())).clients != tls.clients
    }

    /// Reads the ClientHello. Nothing is computed or reserved for a connection before it is whole.
    pub(super) async fn hello(stream: TcpStream) -> Result<StartHandshake<TcpStream>> {
        LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await
    }

    /// Does the TLS handshake; with client authentication also returns the names of the certificate.
    pub(super) async fn accept(
        &self,
        hello: StartHandshake<TcpStream>,
    ) -> Result<(TlsStream<TcpStream>, Option<Arc<[San]>>)> {
        let mut handshake = pin!(hello.into_stream(self.current.load().config.clone()));
        let turn = self.turn.acquire().await.map_err(Error::other)?;
        // The signature is made by the first poll; what comes after is mostly waiting for the client, which may be
        // silent on purpose and must not keep others from their turn.
        let begun = poll_fn(|cx| Poll::Ready(handshake.as_mut().poll(cx))).await;
        yield_now().await;
        drop(turn);
        let stream = match begun {
            Poll::Ready(done) => done?,
            Poll::Pending => handshake.await?,
        };
        let (_, session) = stream.get_ref();
        let names = session.peer_certificates().and_then(<[_]>::first).map(names);
        Ok((stream, names))
    }
}

/// The names for which a certificate stands: its subject alternative names.
fn names(certificate: &CertificateDer<'_>) -> Arc<[San]> {
    let parsed = parse_x509_certificate(certificate);
    let parsed = parsed.as_ref().ok().and_then(|(_, parsed)| parsed.subject_alternative_name().ok().flatten());
    let names = parsed.iter().flat_map(|extension| &extension.value.general_names);
    names
        .filter_map(|name| match name {
            // Not e-mail and IP addresses: as text they could be taken for one of the others.
            GeneralName::DNSName(name) => Some(San::Dns((*name).to_owned())),
            GeneralName::URI(name) => Some(San::Uri((*name).to_owned())),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
