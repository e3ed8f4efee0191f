//! Why a request got no answer over HTTP/2.

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::upstream) enum ConnectError {
    Refused,
    Timeout,
    /// No file is left for it.
    OutOfFiles,
    /// The name of upstream is not known.
    Unresolved,
    Tls,
    /// Upstream took part in TLS and chose HTTP/1.1, or it does not speak HTTP/2.
    NotHttp2,
}

/// Why a request got no head of an answer.
#[derive(Debug)]
pub(in crate::upstream) enum Failure {
    /// There is no connection for it.
    NoConnection(ConnectError),
    /// Connections ended before they took it.
    NotTaken,
    Sent(hyper::Error),
}
