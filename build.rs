//! Compiles the contract: messages and client for Rust, and the descriptors that drive the
//! translator and reflection. protox is a compiler in Rust, so no protoc is needed.

use std::path::PathBuf;

use prost::Message as _;

/// What this service implements; each file brings in those that it imports.
const ROOTS: [&str; 6] = [
    "mountsea/gemini/v1/generative_service.proto",
    "google/ai/generativelanguage/v1/generative_service_v1.proto",
    "google/ai/generativelanguage/v1beta/generative_service_v1beta.proto",
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
    "grpc/health/v1/health.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut generated = protox::compile(ROOTS, ["proto"])?;
    let mut embedded = generated.clone();
    // Comments become the docs of the Rust types; at run time nobody reads them.
    embedded.file.iter_mut().for_each(|file| file.source_code_info = None);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), embedded.encode_to_vec())?;
    // The doors are Google's names for our own service: they are described, not generated. The Rust types of
    // google.rpc are those of tonic-types.
    generated.file.retain(|file| !file.package().starts_with("google.ai.") && file.package() != "google.rpc");
    let mut health = generated.clone();
    health.file.retain(|file| file.package() == "grpc.health.v1");
    generated.file.retain(|file| file.package() != "grpc.health.v1");
    // The server side of the service is ours: it moves wire bytes, not messages.
    tonic_prost_build::configure().build_server(false).bytes(".mountsea.gemini.v1").compile_fds(generated)?;
    tonic_prost_build::configure().compile_fds(health)?;
    Ok(())
}
