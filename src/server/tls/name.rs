//! By which name a client of this machine reaches the server, so that its certificate fits.

use std::net::IpAddr;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use super::ServerTls;

impl ServerTls {
    /// The host for the URL of a server that is reached at `address`: the address itself if the certificate has it among
    /// its names, otherwise `localhost` or the first DNS name of the certificate. A certificate without any of these
    /// gives the address.
    pub fn host(&self, address: IpAddr) -> String {
        let parsed = parse_x509_certificate(&self.certificate);
        let names = parsed.as_ref().ok().and_then(|(_, certificate)| certificate.subject_alternative_name().ok()?);
        let names = names.as_ref().map(|names| &names.value.general_names[..]).unwrap_or_default();
        let octets = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let of_address = names.iter().any(|name| matches!(name, GeneralName::IPAddress(name) if **name == octets[..]));
        let mut dns = names.iter().filter_map(|name| match name {
            // No client can ask for a wildcard.
            GeneralName::DNSName(name) if !name.contains('*') => Some(*name),
            _ => None,
        });
        let host = match (of_address, dns.clone().find(|name| address.is_loopback() && *name == "localhost")) {
            (true, _) => None,
            (false, Some(local)) => Some(local),
            (false, None) => dns.next(),
        };
        match (host, address) {
            (Some(name), _) => name.to_owned(),
            (None, IpAddr::V4(address)) => address.to_string(),
            (None, IpAddr::V6(address)) => format!("[{address}]"),
        }
    }

    /// Whether the certificate is its own issuer, so that a client trusts it by the same file.
    pub fn is_self_signed(&self) -> bool {
        let own = |certificate: X509Certificate<'_>| certificate.issuer() == certificate.subject();
        parse_x509_certificate(&self.certificate).is_ok_and(|(_, certificate)| own(certificate))
    }
}
