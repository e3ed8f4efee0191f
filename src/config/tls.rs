//! TLS for callers.

use std::path::PathBuf;

use clap::Args;

use super::Error;
use super::pem::{Pem, identity, together};
use crate::server;

const CERT: &str = "GEMINI_GRPC_TLS_CERT";
const KEY: &str = "GEMINI_GRPC_TLS_KEY";
const CLIENT_CA: &str = "GEMINI_GRPC_TLS_CLIENT_CA";
const CLIENT_CRL: &str = "GEMINI_GRPC_TLS_CLIENT_CRL";

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

    /// A PEM file with revocation lists of these authorities: certificates that they name are refused.
    #[arg(long, help_heading = "TLS", env = CLIENT_CRL, value_name = "FILE")]
    pub tls_client_crl: Option<PathBuf>,
}

impl Tls {
    /// Fills in when its certificates end.
    pub(super) fn resolve(&self, ends: &mut server::CertificateEnds) -> Result<Option<server::ServerTls>, Error> {
        let Some((certificate, key)) = together((CERT, &self.tls_cert), (KEY, &self.tls_key))? else {
            // Without TLS, a client CA would be ignored and everyone served in plaintext.
            return match (&self.tls_client_ca, &self.tls_client_crl) {
                (Some(_), _) => Err(Error::Alone { variable: CLIENT_CA, missing: CERT }),
                (None, Some(_)) => Err(Error::Alone { variable: CLIENT_CRL, missing: CLIENT_CA }),
                (None, None) => Ok(None),
            };
        };
        let identity = identity(&certificate, &key)?;
        ends.server = certificate.first_end();
        server::ServerTls::new(identity, self.client_trust(ends)?).map(Some).map_err(|error| certificate.fault(error))
    }

    fn client_trust(&self, ends: &mut server::CertificateEnds) -> Result<Option<server::ClientTrust>, Error> {
        let client_ca = match (&self.tls_client_ca, &self.tls_client_crl) {
            (Some(path), _) => Pem::read(CLIENT_CA, path)?,
            (None, Some(_)) => return Err(Error::Alone { variable: CLIENT_CRL, missing: CLIENT_CA }),
            (None, None) => return Ok(None),
        };
        let authorities = client_ca.authorities()?;
        ends.client_ca = client_ca.first_end_of_authorities();
        let trust = match &self.tls_client_crl {
            None => server::ClientTrust::new(authorities, Vec::new()).map_err(|error| client_ca.fault(error)),
            Some(path) => {
                let pem = Pem::read(CLIENT_CRL, path)?;
                server::ClientTrust::new(authorities, pem.revocation_lists()?).map_err(|error| pem.fault(error))
            }
        };
        trust.map(Some)
    }

    pub(super) fn files(&self) -> [(&'static str, Option<&PathBuf>); 4] {
        [
            (CERT, self.tls_cert.as_ref()),
            (KEY, self.tls_key.as_ref()),
            (CLIENT_CA, self.tls_client_ca.as_ref()),
            (CLIENT_CRL, self.tls_client_crl.as_ref()),
        ]
    }
}
