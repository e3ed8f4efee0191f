//! Prints the output of commands. Rust's `println!` panics when the reader has closed the pipe, as `head -1` does after a
//! line; here that is an ordinary end.

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};

use super::Failure;

/// Writes to standard output, at once.
pub(super) fn print(text: impl Display) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    write!(out, "{text}").and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::Run(format!("cannot write to standard output: {error}")),
    })
}

/// Writes a line to standard output.
pub(super) fn line(text: impl Display) -> Result<(), Failure> {
    print(format_args!("{text}\n"))
}

/// Writes to standard error. A failure is ignored: there is no other place to report it.
pub(super) fn note(text: impl Display) {
    let mut err = std::io::stderr();
    let _ = write!(err, "{text}").and_then(|()| err.flush());
}
