//! TLS towards upstream.

use std::path::PathBuf;

use clap::Args;

use super::Error;
use super::pem::{Pem, identity, together};
use crate::server::CertificateEnds;
use crate::upstream;

const CA: &str = "GEMINI_GRPC_UPSTREAM_CA";
const CERT: &str = "GEMINI_GRPC_UPSTREAM_CERT";
const KEY: &str = "GEMINI_GRPC_UPSTREAM_CERT_KEY";

/// The flags of TLS towards upstream. The files are read again when they change.
#[derive(Args, Clone, Debug)]
pub struct UpstreamTls {
    /// A PEM file with authorities to trust in addition to the system's.
    #[arg(long, help_heading = "Upstream", env = CA, value_name = "FILE")]
    pub upstream_ca: Option<PathBuf>,

    /// A PEM file with a certificate to show to upstream.
    #[arg(long, help_heading = "Upstream", env = CERT, value_name = "FILE")]
    pub upstream_cert: Option<PathBuf>,

    /// A PEM file with the key of that certificate.
    #[arg(long, help_heading = "Upstream", env = KEY, value_name = "FILE")]
    pub upstream_cert_key: Option<PathBuf>,
}

impl UpstreamTls {
    /// Fills in when its certificates end.
    pub(super) fn resolve(&self, ends: &mut CertificateEnds) -> Result<upstream::ClientTls, Error> {
        let mut tls = upstream::ClientTls::default();
        if let Some(path) = &self.upstream_ca {
            let pem = Pem::read(CA, path)?;
            pem.authorities()?;
            ends.upstream_ca = pem.first_end_of_authorities();
            tls.trust(pem.certificates()?);
        }
        if let Some((certificate, key)) = together((CERT, &self.upstream_cert), (KEY, &self.upstream_cert_key))? {
            tls.identify(identity(&certificate, &key)?);
            ends.upstream_client = certificate.first_end();
        }
        Ok(tls)
    }

    pub(super) fn files(&self) -> [(&'static str, Option<&PathBuf>); 3] {
        [(CA, self.upstream_ca.as_ref()), (CERT, self.upstream_cert.as_ref()), (KEY, self.upstream_cert_key.as_ref())]
    }
}
