//! TLS towards upstream.

use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_platform_verifier::Verifier;

/// The authorities to trust in addition to the system's, and the certificate to show to upstream.
#[derive(Clone, Default)]
pub struct ClientTls {
    authorities: Vec<CertificateDer<'static>>,
    identity: Option<Arc<CertifiedKey>>,
}

/// Without the key.
impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identity = self.identity.is_some();
        f.debug_struct("ClientTls").field("authorities", &self.authorities.len()).field("identity", &identity).finish()
    }
}

impl ClientTls {
    /// Trusts these authorities too.
    pub fn trust(&mut self, authorities: Vec<CertificateDer<'static>>) {
        self.authorities = authorities;
    }

    /// Shows this certificate, with its intermediates.
    pub fn identify(&mut self, identity: Arc<CertifiedKey>) {
        self.identity = Some(identity);
    }

    /// The configuration for rustls, without protocols for ALPN.
    pub(super) fn client_config(&self) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Verifier::new_with_extra_roots(self.authorities.iter().cloned(), provider.clone())?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        Ok(match &self.identity {
            None => config.with_no_client_auth(),
            Some(identity) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.clone()))),
        })
    }
}
