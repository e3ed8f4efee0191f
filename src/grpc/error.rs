//! Why a call over gRPC failed: a fault of the bytes around its message, or an error of the call itself.

use crate::face::{Failure, InvalidHeader};
use crate::gateway;
use crate::gemini::method::Method;
use crate::reason::{Row, reasons};

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
    #[error(
        "{method} is not offered here; the methods are {}, and those that GEMINI_GRPC_UPSTREAM_METHODS adds",
        offered()
    )]
    NotOffered { method: String },
    #[error("there is no service of that name here; mountsea.gemini.v1.GenerativeService is the one to call")]
    NoService,
    #[error(
        "web pages of this origin may not call this gateway; its operator can allow it with GEMINI_GRPC_CORS_ORIGINS"
    )]
    Origin,
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
        Self::Origin => PermissionDenied, "ORIGIN_NOT_ALLOWED", Caller, Unsaid, Other;
    } else {
        Self::Call(error) => error.row();
    }
}

impl Failure for Error {
    fn call(&self) -> Option<&gateway::Error> {
        match self {
            Self::Call(error) => Some(error),
            _ => None,
        }
    }

    fn row(&self) -> Row {
        Self::row(self)
    }
}

/// The rows of the errors that only this face has.
#[cfg(test)]
pub(crate) fn rows() -> &'static [Row] {
    Error::ROWS
}
