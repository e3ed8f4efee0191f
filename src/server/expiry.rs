//! When certificates end.

use x509_parser::time::ASN1Time;

/// When the first certificate of each file ends, in seconds since 1970; `None` where there is no such file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CertificateEnds {
    /// The certificate that callers are shown.
    pub server: Option<i64>,
    /// The authorities of client certificates.
    pub client_ca: Option<i64>,
    /// The client certificate that upstream is shown.
    pub upstream_client: Option<i64>,
    /// The authorities of upstream's certificate, in addition to those of the system.
    pub upstream_ca: Option<i64>,
}

impl CertificateEnds {
    /// The names of the files in metrics, in the order of `seconds_left`.
    pub(super) const NAMES: [&str; 4] = ["server", "client_ca", "upstream_client", "upstream_ca"];

    /// How long it is until then, in seconds.
    pub(super) fn seconds_left(&self) -> [Option<i64>; 4] {
        seconds_until([self.server, self.client_ca, self.upstream_client, self.upstream_ca])
    }
}

/// How long it is until then: seconds since 1970 become seconds from now on.
pub fn seconds_until<const N: usize>(ends: [Option<i64>; N]) -> [Option<i64>; N] {
    let now = ASN1Time::now().timestamp();
    ends.map(|end| Some(end? - now))
}
