//! Certificates and the files that they are in.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// Somebody who issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    pub pem: String,
}

/// A certificate and its key, in PEM.
pub struct Issued {
    pub cert: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let (mut params, key) = (CertificateParams::default(), KeyPair::generate().unwrap());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for loopback, for either side of a connection.
    pub fn issue(&self) -> Issued {
        self.sign(|_| {})
    }

    /// One that was valid long ago.
    #[allow(dead_code, reason = "not every test binary has a use for it")]
    pub fn issue_expired(&self) -> Issued {
        self.sign(|params| params.not_after = rcgen::date_time_ymd(2001, 1, 1))
    }

    fn sign(&self, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let (mut params, key) = (
            CertificateParams::new(["127.0.0.1", "localhost"].map(str::to_owned)).unwrap(),
            KeyPair::generate().unwrap(),
        );
        change(&mut params);
        Issued { cert: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }
}

/// A folder of files, for as long as it lives.
pub struct Files(TempDir);

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a file, or writes it anew, and hands over its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}
