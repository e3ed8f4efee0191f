//! TLS for callers: what is spoken, and who the caller is.

use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// gRPC is HTTP/2, and says so in the handshake.
const H2: &[u8] = b"h2";
/// Handshakes at once, per worker. Each costs a signature; what waits here waits for less than its own time limit.
const HANDSHAKES: usize = 256;

/// The certificate that callers are shown, and whom callers have to be known to.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<rustls::ServerConfig>,
    certificate: CertificateDer<'static>,
}

/// Why it cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TlsError(Box<dyn std::error::Error + Send + Sync>);

impl Tls {
    /// With authorities, every caller has to show a certificate of one of them.
    pub fn new(identity: Arc<CertifiedKey>, authorities: Option<RootCertStore>) -> std::result::Result<Self, TlsError> {
        let certificate = identity.cert.first().cloned().ok_or_else(|| TlsError("no certificate".into()))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone());
        let builder = builder.with_safe_default_protocol_versions().map_err(|error| TlsError(error.into()))?;
        let (builder, resumed) = match authorities {
            Some(authorities) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(authorities.into(), provider).build();
                (builder.with_client_cert_verifier(verifier.map_err(|error| TlsError(error.into()))?), false)
            }
            None => (builder.with_no_client_auth(), true),
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        config.alpn_protocols = vec![H2.to_vec()];
        if resumed {
            config.ticketer = aws_lc_rs::Ticketer::new().map_err(|error| TlsError(error.into()))?;
        } else {
            // A ticket would outlive the certificate of the caller who got it.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Self { config: Arc::new(config), certificate })
    }

    /// Says so if the certificate has expired. It is served all the same: callers judge it, and a restart for another
    /// reason should not become an outage.
    pub(super) fn warn_if_expired(&self) {
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

/// Makes TLS of connections, with whatever certificate is the current one.
#[derive(Clone, Debug)]
pub(super) struct Acceptor {
    current: Arc<ArcSwap<rustls::ServerConfig>>,
    handshakes: Arc<Semaphore>,
}

impl Acceptor {
    pub(super) fn new(tls: &Tls) -> Self {
        Self { current: Arc::new(ArcSwap::new(tls.config.clone())), handshakes: Arc::new(Semaphore::new(HANDSHAKES)) }
    }

    /// New connections are shown another certificate, the open ones stay as they are.
    pub(super) fn replace(&self, tls: &Tls) {
        self.current.store(tls.config.clone());
    }

    /// Shakes hands; with the stream comes who the caller is, if it had to say so.
    pub(super) async fn accept(&self, stream: TcpStream) -> Result<(TlsStream<TcpStream>, Option<Arc<[String]>>)> {
        let _slot = self.handshakes.acquire().await.map_err(Error::other)?;
        let stream = TlsAcceptor::from(self.current.load_full()).accept(stream).await?;
        let (_, session) = stream.get_ref();
        // rustls refuses a list without h2, and takes a caller who sends no list.
        if session.alpn_protocol() != Some(H2) {
            return Err(Error::new(ErrorKind::InvalidData, "the caller does not ask for h2 (ALPN)"));
        }
        let names = session.peer_certificates().and_then(<[_]>::first).map(names);
        Ok((stream, names))
    }
}

/// The names for which a certificate stands: its subject alternative names, as text.
fn names(certificate: &CertificateDer<'_>) -> Arc<[String]> {
    let parsed = parse_x509_certificate(certificate);
    let parsed = parsed.as_ref().ok().and_then(|(_, parsed)| parsed.subject_alternative_name().ok().flatten());
    let names = parsed.iter().flat_map(|extension| &extension.value.general_names);
    names
        .filter_map(|name| match name {
            // Not e-mail and IP addresses: as text they could be taken for one of the others.
            GeneralName::DNSName(name) | GeneralName::URI(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests;
