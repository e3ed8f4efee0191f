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

/// Load reports (gRFC A51). The modules are nested as the packages are, because the generated code names them so.
#[allow(missing_docs, clippy::all, unreachable_pub)]
pub mod xds {
    /// The messages of reports.
    pub mod data {
        pub mod orca {
            pub mod v3 {
                tonic::include_proto!("xds.data.orca.v3");
            }
        }
    }
    /// The service that sends them.
    pub mod service {
        pub mod orca {
            pub mod v3 {
                tonic::include_proto!("xds.service.orca.v3");
            }
        }
    }
}

/// The messages of `google.rpc`, for the details of errors.
pub use tonic_types::pb as rpc;

/// The descriptors of all services and messages with their imports, except load reports, and of `google.rpc`: an
/// encoded `FileDescriptorSet`, for the translator. It does not have the rules that clients can check.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The same with load reports and those rules, and with the file that defines them, for reflection and for `gemini-grpc contract`.
pub const CONTRACT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/contract.bin"));
