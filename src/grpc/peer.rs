//! Who the caller is, by its certificate.

use std::sync::Arc;

/// The names in the caller's verified certificate: DNS names, URIs, e-mail and IP addresses, as text. It stands among
/// the extensions of a request if callers have to show a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer(pub Arc<[String]>);
