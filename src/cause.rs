//! What lies at the bottom of an error.

use std::error::Error;

/// The words of the error at the bottom: those above say no more than that something failed.
pub(crate) fn cause(error: &(dyn Error + 'static)) -> String {
    let mut bottom = error;
    while let Some(below) = bottom.source() {
        bottom = below;
    }
    bottom.to_string()
}
