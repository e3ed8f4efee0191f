//! What every failed call has, over whichever face: a code, a reason, who has to act, and whether to retry.

use std::fmt;

use crate::gateway;
use crate::gemini::code::Code;
use crate::reason::{Blame, Retry, Row};
use crate::telemetry::CallEnd;

/// A failed call, as one face knows it: an error of the call itself, or one of the face's protocol.
pub trait Failure: fmt::Display {
    /// The error of the call, unless it is one of the protocol.
    fn call(&self) -> Option<&gateway::Error>;

    /// Its row in a table of reasons.
    fn row(&self) -> Row;

    /// The status code.
    fn code(&self) -> Code {
        self.call().map_or_else(|| self.row().code, gateway::Error::code)
    }

    /// The stable name for programs (docs/errors.md).
    fn reason(&self) -> &str {
        self.call().map_or_else(|| self.row().reason, gateway::Error::reason)
    }

    /// Who has to act.
    fn blame(&self) -> Blame {
        self.call().map_or_else(|| self.row().blame, gateway::Error::blame)
    }

    /// Whether to retry, and when.
    fn retry(&self) -> Retry {
        self.call().map_or_else(|| self.row().retry, gateway::Error::retry)
    }

    /// The outcome as telemetry records it.
    fn end(&self) -> CallEnd {
        CallEnd { code: self.code(), reason: Some(self.reason().to_owned().into()), blame: Some(self.blame()) }
    }
}
