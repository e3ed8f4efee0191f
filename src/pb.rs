//! The generated protobuf code and the descriptors.

/// All messages of the service, and a client for it.
///
/// The server does not use these types, since it passes wire bytes through (`grpc`). They are for clients and tests.
#[allow(missing_docs, clippy::all, unreachable_pub)]
pub mod gemini {
    tonic::include_proto!("mountsea.gemini.v1");
}

/// The gRPC health checking protocol.
#[allow(missing_docs, clippy::all, unreachable_pub)]
pub mod health {
    tonic::include_proto!("grpc.health.v1");
}

/// The messages of `google.rpc`, for the details of errors.
pub use tonic_types::pb as rpc;

/// The descriptors of all services and messages with their imports, and of `google.rpc`: an encoded
/// `FileDescriptorSet`, for the translator. It does not have the rules that clients can check.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The same with those rules, and with the file that defines them, for reflection and for `gemini-grpc contract`.
pub const CONTRACT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/contract.bin"));
