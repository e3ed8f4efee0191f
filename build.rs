//! Compiles the proto files: to Rust messages and a client, and to the descriptors that the translator and reflection
//! use. protox is a protobuf compiler in Rust, so protoc is not needed.

use std::path::PathBuf;

use prost::Message as _;

/// The proto files to compile; each also brings in the files that it imports.
const ROOTS: [&str; 9] = [
    "mountsea/gemini/v1/generative_service.proto",
    "mountsea/gemini/v1/model_service.proto",
    "google/ai/generativelanguage/v1/generative_service_v1.proto",
    "google/ai/generativelanguage/v1/model_service_v1.proto",
    "google/ai/generativelanguage/v1beta/generative_service_v1beta.proto",
    "google/ai/generativelanguage/v1beta/model_service_v1beta.proto",
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
    "grpc/health/v1/health.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut generated = protox::compile(ROOTS, ["proto"])?;
    let mut embedded = generated.clone();
    // Comments become the documentation of the Rust types. They are not needed at run time.
    embedded.file.iter_mut().for_each(|file| file.source_code_info = None);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), embedded.encode_to_vec())?;
    // google.ai has Google's names for our own service: they are in the descriptors, but no code is generated.
    // tonic-types already has the Rust types of google.rpc.
    generated.file.retain(|file| !file.package().starts_with("google.ai.") && file.package() != "google.rpc");
    let mut health = generated.clone();
    health.file.retain(|file| file.package() == "grpc.health.v1");
    generated.file.retain(|file| file.package() != "grpc.health.v1");
    // The server side is handwritten, since it passes wire bytes through instead of messages.
    tonic_prost_build::configure().build_server(false).bytes(".mountsea.gemini.v1").compile_fds(generated)?;
    tonic_prost_build::configure().compile_fds(health)?;
    Ok(())
}
