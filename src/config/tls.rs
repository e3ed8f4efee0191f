//! TLS for callers.

use std::path::PathBuf;

use clap::Args;

use super::Error;
use super::pem::{Pem, identity, together};
use crate::server;

const CERT: &str = "GEMINI_GRPC_TLS_CERT";
const KEY: &str = "GEMINI_GRPC_TLS_KEY";
const CLIENT_CA: &str = "GEMINI_GRPC_TLS_CLIENT_CA";

/// The flags of TLS for callers. The files are read again when they change.
#[derive(Args, Clone, Debug)]
pub struct Tls {
    /// A PEM file with the certificate to show to callers, and those between it and its authority; none means plaintext.
    #[arg(long, help_heading = "TLS", env = CERT, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// A PEM file with the key of that certificate.
    #[arg(long, help_heading = "TLS", env = KEY, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// A PEM file with authorities: every caller has to show a certificate of one of them.
    #[arg(long, help_heading = "TLS", env = CLIENT_CA, value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
}

impl Tls {
    pub(super) fn resolve(&self) -> Result<Option<server::Tls>, Error> {
        let Some((certificate, key)) = together((CERT, &self.tls_cert), (KEY, &self.tls_key))? else {
            return match self.tls_client_ca {
                // Else whoever wants certificates from callers would serve anybody, in plaintext.
                Some(_) => Err(Error::Alone { variable: CLIENT_CA, missing: CERT }),
                None => Ok(None),
            };
        };
        let identity = identity(&certificate, &key)?;
        let client_ca = self.tls_client_ca.as_deref().map(|path| Pem::read(CLIENT_CA, path)).transpose()?;
        let authorities = client_ca.map(|pem| pem.authorities()).transpose()?;
        server::Tls::new(identity, authorities).map(Some).map_err(|error| certificate.fault(error))
    }

    pub(super) fn files(&self) -> [(&'static str, Option<&PathBuf>); 3] {
        [(CERT, self.tls_cert.as_ref()), (KEY, self.tls_key.as_ref()), (CLIENT_CA, self.tls_client_ca.as_ref())]
    }
}
