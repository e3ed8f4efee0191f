//! The root cause of an error, for messages and logs.

use std::error::Error;

/// The text of the innermost source of an error. The errors around it usually only say that something failed.
pub(crate) fn cause(error: &(dyn Error + 'static)) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}
