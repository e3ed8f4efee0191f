//! Names of certificates.

/// A subject alternative name. The two kinds are never compared with each other: an authority that may sign for some
/// DNS names only (RFC 5280, 4.2.1.10) would otherwise make itself any caller with a URI, which it may sign freely.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum San {
    /// Letter for letter, as the certificate has it.
    Dns(String),
    /// Letter for letter, as the certificate has it.
    Uri(String),
}

impl San {
    /// A name from the file of callers: with `://` it is a URI, otherwise a DNS name.
    pub fn listed(name: &str) -> Self {
        if name.contains("://") { Self::Uri(name.to_owned()) } else { Self::Dns(name.to_owned()) }
    }
}
