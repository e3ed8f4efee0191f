//! Which client certificates are trusted.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateRevocationListDer, TrustAnchor};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use x509_parser::parse_x509_crl;
use x509_parser::time::ASN1Time;

/// Why a certificate or an authority cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TlsError(pub(super) Box<dyn std::error::Error + Send + Sync>);

/// The authorities that may sign client certificates, and what they have revoked.
#[derive(Clone, Debug)]
pub struct ClientTrust {
    authorities: Vec<TrustAnchor<'static>>,
    revoked: Vec<CertificateRevocationListDer<'static>>,
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
}

impl ClientTrust {
    /// Trusts certificates of these authorities, unless one of these lists names them, or an authority between. An error
    /// means that there is no authority, or that a list cannot be used.
    pub fn new(
        authorities: RootCertStore,
        revoked: Vec<CertificateRevocationListDer<'static>>,
    ) -> Result<Self, TlsError> {
        let anchors = authorities.roots.clone();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(authorities.into(), provider)
            .with_crls(revoked.iter().cloned())
            // Otherwise every authority would need a list, even one that has revoked nothing.
            .allow_unknown_revocation_status()
            // Otherwise a list that is no longer renewed would hide what was revoked since.
            .enforce_revocation_expiration()
            .build()
            .map_err(|error| TlsError(error.into()))?;
        Ok(Self { authorities: anchors, revoked, verifier })
    }

    /// Warns about lists that have expired: clients of their authorities are refused.
    pub(super) fn warn_if_expired(&self) {
        for next_update in self.revoked.iter().filter_map(|list| parse_x509_crl(list).ok()?.1.next_update()) {
            if next_update < ASN1Time::now() {
                tracing::warn!(
                    %next_update,
                    "GEMINI_GRPC_TLS_CLIENT_CRL: a revocation list has expired; clients of its authority are refused"
                );
            }
        }
    }
}

/// Equal if both trust the same certificates.
impl PartialEq for ClientTrust {
    fn eq(&self, other: &Self) -> bool {
        self.authorities == other.authorities && self.revoked == other.revoked
    }
}
