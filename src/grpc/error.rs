//! Why a call over gRPC failed: a fault of the bytes around its message, or an error of the call itself.

use crate::face::InvalidHeader;
use crate::gateway;
use crate::gemini::code::Code;
use crate::gemini::method::Method;
use crate::reason::{Blame, Retry, reasons};

/// A failed call, as this face renders it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Call(#[from] gateway::Error),
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    #[error("the request holds no message")]
    NoMessage,
    #[error("the request is not gRPC: {0}")]
    Framing(&'static str),
    #[error("the grpc-encoding of the request is not known; gzip and identity are")]
    Encoding,
    #[error("{method} is not offered here; {} are, and what GEMINI_GRPC_UPSTREAM_METHODS adds to them", offered())]
    NotOffered { method: String },
    #[error("there is no service of that name here; mountsea.gemini.v1.GenerativeService is the one to call")]
    NoService,
}

/// The names of the methods that every gateway has, as a part of a sentence.
fn offered() -> String {
    let methods = Method::ALL.iter().filter(|method| method.generates() || method.describes_models());
    let names: Vec<_> = methods.map(|method| method.rpc()).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

// One row for each variant, and one in docs/errors.md for each new reason.
reasons! {
    Error {
        Self::Header(_) => InvalidArgument, "METADATA_INVALID", Caller, Unsaid, Other;
        Self::NoMessage => InvalidArgument, "REQUEST_MALFORMED", Caller, Unsaid, Other;
        // gRPC's own rule for a broken compression flag (grpc.io, compression.md).
        Self::Framing(_) => Internal, "REQUEST_NOT_GRPC", Caller, Unsaid, Other;
        Self::Encoding => Unimplemented, "ENCODING_UNKNOWN", Caller, Unsaid, Other;
        Self::NotOffered { .. } => Unimplemented, "METHOD_NOT_OFFERED", Caller, Unsaid, Other;
        Self::NoService => Unimplemented, "SERVICE_UNKNOWN", Caller, Unsaid, Other;
    } else {
        Self::Call(error) => error.row();
    }
}

impl Error {
    /// The error of the call, unless it is one of gRPC.
    pub(super) fn call(&self) -> Option<&gateway::Error> {
        match self {
            Self::Call(error) => Some(error),
            _ => None,
        }
    }

    /// The status code.
    pub(super) fn code(&self) -> Code {
        self.call().map_or_else(|| self.row().code, gateway::Error::code)
    }

    /// The stable name for programs (docs/errors.md).
    pub(super) fn reason(&self) -> &str {
        self.call().map_or_else(|| self.row().reason, gateway::Error::reason)
    }

    /// Who has to act.
    pub(super) fn blame(&self) -> Blame {
        self.call().map_or_else(|| self.row().blame, gateway::Error::blame)
    }

    /// Whether to retry, and when.
    pub(super) fn retry(&self) -> Retry {
        self.call().map_or_else(|| self.row().retry, gateway::Error::retry)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_is_documented_with_its_code_and_every_documented_reason_exists() {
        let row = |reason: &str, code: &str| format!("| `{reason}` | {code} |");
        let ours: BTreeSet<_> = gateway::Error::rows()
            .chain(Error::ROWS)
            .map(|of| match of.reason {
                "UPSTREAM_REFUSED" => row(of.reason, "as upstream says"),
                reason => row(reason, of.code.as_str()),
            })
            .collect();
        let table = include_str!("../../docs/errors.md").split("| reason | code |").nth(1).unwrap_or_default();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let documented: BTreeSet<_> =
            rows.map(|line| line.splitn(4, '|').take(3).collect::<Vec<_>>().join("|") + "|").collect();
        assert_eq!(ours, documented, "the errors on the left, the table of docs/errors.md on the right");
    }
}
