//! How to call the gateway which has just started: a command, and a page.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use super::endpoint::DEFAULT_ENDPOINT;
use crate::config;
use crate::server::ServerTls;

/// A `gemini-grpc call` that reaches the gateway: with its address unless that is the default one, and with what TLS
/// asks for. Files that only the operator knows are in capitals.
pub(super) fn try_it(address: SocketAddr, tls: Option<&ServerTls>, flags: &config::Tls) -> String {
    format!("gemini-grpc call {}'Why is the sky blue?'", endpoint_flags(address, tls, flags))
}

/// The URL of the page to try it.
pub(super) fn page(address: SocketAddr, tls: Option<&ServerTls>) -> String {
    format!("{}/", url(address, tls))
}

fn url(mut address: SocketAddr, tls: Option<&ServerTls>) -> String {
    if address.ip().is_unspecified() {
        // `[::]` serves IPv4 too, and not every machine has an address of IPv6 for itself.
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    match tls {
        Some(tls) => format!("https://{}:{}", tls.host(address.ip()), address.port()),
        None => format!("http://{address}"),
    }
}

fn endpoint_flags(address: SocketAddr, tls: Option<&ServerTls>, flags: &config::Tls) -> String {
    let url = url(address, tls);
    let Some(tls) = tls else {
        return if url == DEFAULT_ENDPOINT { String::new() } else { format!("--endpoint {url} ") };
    };
    let authority = match &flags.tls_cert {
        Some(path) if tls.is_self_signed() => quoted(path),
        _ => "CA.pem".to_owned(),
    };
    let client = if flags.tls_client_ca.is_some() { "--cert CERT.pem --cert-key KEY.pem " } else { "" };
    format!("--endpoint {url} --ca {authority} {client}")
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-');
    if text.bytes().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
