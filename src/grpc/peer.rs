//! Who the caller is, by its certificate.

use std::sync::Arc;

/// The DNS names and URIs in the caller's verified certificate. It stands among
/// the extensions of a request if callers have to show a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer(pub Arc<[String]>);
