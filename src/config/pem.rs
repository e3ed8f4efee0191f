//! Certificates and keys in files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::parse_x509_certificate;
use x509_parser::time::ASN1Time;

use super::Error;
use super::file::{MAX_FILE_BYTES, read_file};

/// A file that a flag names: the variable of the flag, the path, and what is in it.
pub(super) struct Pem<'f> {
    variable: &'static str,
    path: &'f Path,
    pub(super) bytes: Vec<u8>,
}

impl<'f> Pem<'f> {
    pub(super) fn read(variable: &'static str, path: &'f Path) -> Result<Self, Error> {
        match read_file(path, MAX_FILE_BYTES) {
            Ok(bytes) => Ok(Self { variable, path, bytes }),
            Err(problem) => Err(Error::File { variable, path: path.to_owned(), problem }),
        }
    }

    /// The mistake in one sentence that names the file.
    pub(super) fn fault(&self, problem: impl ToString) -> Error {
        Error::Pem { variable: self.variable, path: self.path.to_owned(), problem: problem.to_string() }
    }

    /// At least one certificate.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        let certificates = CertificateDer::pem_slice_iter(&self.bytes).collect::<Result<Vec<_>, _>>();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            Ok(_) => Err(self.fault("holds no certificate in PEM")),
            Err(error) => Err(self.fault(format_args!("holds broken PEM: {error:?}"))),
        }
    }

    /// When the first certificate ends, in seconds since 1970.
    pub(super) fn first_end(&self) -> Option<i64> {
        self.ends().into_iter().min()
    }

    /// The same for authorities. Many files keep an expired one next to its successor, so expired ones count only if all
    /// have expired.
    pub(super) fn first_end_of_authorities(&self) -> Option<i64> {
        let (ends, now) = (self.ends(), ASN1Time::now().timestamp());
        ends.iter().copied().filter(|end| *end > now).min().or(ends.into_iter().max())
    }

    fn ends(&self) -> Vec<i64> {
        let certificates = self.certificates().unwrap_or_default();
        let parsed = certificates.iter().filter_map(|certificate| parse_x509_certificate(certificate).ok());
        parsed.map(|(_, certificate)| certificate.validity().not_after.timestamp()).collect()
    }

    /// Authorities to trust.
    pub(super) fn authorities(&self) -> Result<RootCertStore, Error> {
        let mut authorities = RootCertStore::empty();
        for certificate in self.certificates()? {
            authorities.add(certificate).map_err(|error| self.fault(format_args!("is no authority: {error}")))?;
        }
        Ok(authorities)
    }

    /// At least one certificate revocation list.
    pub(super) fn revocation_lists(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
        let lists = CertificateRevocationListDer::pem_slice_iter(&self.bytes).collect::<Result<Vec<_>, _>>();
        let lists = lists.map_err(|error| self.fault(format_args!("holds broken PEM: {error:?}")))?;
        match lists.is_empty() {
            true => Err(self.fault("holds no revocation list (X509 CRL) in PEM")),
            false => Ok(lists),
        }
    }
}

/// A certificate, with those between it and its authority, and its key. The two may stand in one file.
pub(super) fn identity(certificate: &Pem<'_>, key: &Pem<'_>) -> Result<Arc<CertifiedKey>, Error> {
    let chain = certificate.certificates()?;
    let private = PrivateKeyDer::from_pem_slice(&key.bytes)
        .map_err(|_| key.fault("holds no private key in PEM; one that a password protects cannot be used"))?;
    match CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider()) {
        Ok(identity) => Ok(Arc::new(identity)),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(key.fault(format_args!("does not fit the certificate in {}", certificate.path.display())))
        }
        Err(rustls::Error::InvalidCertificate(error)) => {
            Err(certificate.fault(format_args!("holds a certificate that cannot be used: {error:?}")))
        }
        Err(error) => Err(key.fault(format_args!("holds a key that cannot be used: {error}"))),
    }
}

/// Two flags that require each other.
pub(super) fn together<'f>(
    first: (&'static str, &'f Option<PathBuf>),
    second: (&'static str, &'f Option<PathBuf>),
) -> Result<Option<(Pem<'f>, Pem<'f>)>, Error> {
    match (first.1, second.1) {
        (Some(one), Some(other)) => Ok(Some((Pem::read(first.0, one)?, Pem::read(second.0, other)?))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(Error::Alone { variable: first.0, missing: second.0 }),
        (None, Some(_)) => Err(Error::Alone { variable: second.0, missing: first.0 }),
    }
}
