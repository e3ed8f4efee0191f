//! Certificates, and files for them.

use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use tempfile::TempDir;

/// The number in the name of the next authority.
static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A certificate authority.
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
        Self::with(CertificateParams::default())
    }

    /// An authority whose own certificate expires on the first day of a year.
    #[allow(dead_code, reason = "not every test binary has a use for it")]
    pub fn until(year: i32) -> Self {
        let mut params = CertificateParams::default();
        params.not_after = date_time_ymd(year, 1, 1);
        Self::with(params)
    }

    fn with(mut params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Revocation lists are matched to their authority by its name.
        params
            .distinguished_name
            .push(DnType::CommonName, format!("authority {}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for loopback, for either side of a connection.
    pub fn issue(&self) -> Issued {
        self.sign(|_| {})
    }

    /// A certificate that has expired.
    #[allow(dead_code, reason = "not every test binary has a use for it")]
    pub fn issue_expired(&self) -> Issued {
        self.issue_until(2001)
    }

    /// A certificate that expires on the first day of a year.
    #[allow(dead_code, reason = "not every test binary has a use for it")]
    pub fn issue_until(&self, year: i32) -> Issued {
        self.sign(|params| params.not_after = date_time_ymd(year, 1, 1))
    }

    /// A certificate with only this name.
    #[allow(dead_code, reason = "not every test binary has a use for it")]
    pub fn issue_for(&self, name: SanType) -> Issued {
        self.sign(|params| params.subject_alt_names = vec![name])
    }

    /// A certificate with this serial number.
    #[allow(dead_code, reason = "not every test binary has a use for it")]
    pub fn issue_numbered(&self, serial: u64) -> Issued {
        self.sign(|params| params.serial_number = Some(SerialNumber::from(serial)))
    }

    /// A revocation list with these serial numbers, which expires on the first day of a year.
    #[allow(dead_code, reason = "not every test binary has a use for it")]
    pub fn revoke(&self, serials: &[u64], until: i32) -> String {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2001, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2001, 1, 1),
            next_update: date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
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

/// A folder for files, which is deleted on drop.
pub struct Files(TempDir);

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes or replaces a file, and returns its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}
