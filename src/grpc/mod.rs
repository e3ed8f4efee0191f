//! The gRPC face. `handlers` has the RPCs, `service` calls them, and the other files frame requests, responses and
//! errors.

mod auxiliary;
mod body;
mod bounded;
mod error;
mod handlers;
mod health;
mod metadata;
mod oldest;
mod orca;
mod protocol;
mod request;
mod route;
mod service;
mod status;
mod web;

#[cfg(test)]
pub(crate) use self::error::rows;
pub use self::health::Health;
pub use self::protocol::{is_grpc, is_service_path};
pub use self::service::{Config, Grpc, GrpcService, ReflectionError, ResponseFuture};
pub use self::web::{STATUS_HEADERS, is_grpc_web};

/// The body of a response.
pub type Body = tonic::body::Body;
