//! The generated code and its descriptors, under one name.

/// Every message of the service and a client for it.
///
/// The server does not use these types: it moves wire bytes (`grpc`). They are for clients.
#[allow(missing_docs, clippy::all, unreachable_pub)]
pub mod gemini {
    tonic::include_proto!("mountsea.gemini.v1");
}

/// The health protocol.
#[allow(missing_docs, clippy::all, unreachable_pub)]
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}

/// The details of an error, as `google.rpc` defines them.
pub use tonic_types::pb as rpc;

/// The descriptors of all services and messages, with their imports, and of `google.rpc`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
