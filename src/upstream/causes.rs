//! Finds what caused an error of the HTTP client.

use crate::files::{self, Files};

pub(super) type Cause = dyn std::error::Error + 'static;

/// Whether an error of that type and kind is among the causes.
pub(super) fn mentions<T: std::error::Error + 'static>(error: &Cause, is: impl Fn(&T) -> bool) -> bool {
    causes(error).filter_map(|cause| cause.downcast_ref()).any(is)
}

/// Whether rustls is among the causes. reqwest has no method for it.
pub(super) fn mentions_tls(error: &Cause) -> bool {
    // tokio-rustls puts its error into one of input and output of this kind.
    mentions(error, |error: &std::io::Error| error.kind() == std::io::ErrorKind::InvalidData)
}

/// Whether the process was out of files. The error of a failed name lookup has no cause, so it counts while no file is
/// left.
pub(super) fn mentions_files(error: &Cause, is_dns: bool) -> bool {
    mentions(error, files::is_out_of_files) || (is_dns && Files::of_process().are_out())
}

/// An error and its causes, from the top down. The `source` of an `io::Error` skips the error that it contains, so that
/// is asked for.
pub(super) fn causes(error: &Cause) -> impl Iterator<Item = &Cause> {
    std::iter::successors(Some(error), |cause| match cause.downcast_ref::<std::io::Error>() {
        Some(io) => io.get_ref().map(|held| held as &Cause),
        None => cause.source(),
    })
}
