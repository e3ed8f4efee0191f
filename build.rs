//! Compiles the proto files: to Rust messages and a client, and to the descriptors that the translator and reflection
//! use. protox is a protobuf compiler in Rust, so protoc is not needed.

use std::collections::HashSet;
use std::path::PathBuf;

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// The file with the options that the rules of the contract are written in.
const RULES: &str = "buf/validate/validate.proto";

/// The proto files to compile; each also brings in the files that it imports.
const ROOTS: [&str; 10] = [
    "mountsea/gemini/v1/generative_service.proto",
    "mountsea/gemini/v1/model_service.proto",
    "google/ai/generativelanguage/v1/generative_service_v1.proto",
    "google/ai/generativelanguage/v1/model_service_v1.proto",
    "google/ai/generativelanguage/v1beta/generative_service_v1beta.proto",
    "google/ai/generativelanguage/v1beta/model_service_v1beta.proto",
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
    "grpc/health/v1/health.proto",
    "xds/service/orca/v3/orca.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(ROOTS)?;
    let mut generated = compiler.file_descriptor_set();
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // Comments become the documentation of the Rust types. They are not needed at run time.
    std::fs::write(out.join("contract.bin"), compiler.include_source_info(false).encode_file_descriptor_set())?;
    without_rules(&mut generated);
    let mut embedded = generated.clone();
    // Load reports are not translated.
    embedded.file.retain(|file| !file.package().starts_with("xds."));
    embedded.file.iter_mut().for_each(|file| file.source_code_info = None);
    std::fs::write(out.join("descriptors.bin"), embedded.encode_to_vec())?;
    // google.ai has Google's names for our own service: they are in the descriptors, but no code is generated.
    // tonic-types already has the Rust types of google.rpc.
    generated.file.retain(|file| !file.package().starts_with("google.ai.") && file.package() != "google.rpc");
    let is_auxiliary = |package: &str| package == "grpc.health.v1" || package.starts_with("xds.");
    let mut auxiliary = generated.clone();
    auxiliary.file.retain(|file| is_auxiliary(file.package()) || file.package() == "google.protobuf");
    generated.file.retain(|file| !is_auxiliary(file.package()));
    // The server side is handwritten, since it passes wire bytes through instead of messages.
    tonic_prost_build::configure().build_server(false).bytes(".mountsea.gemini.v1").compile_fds(generated)?;
    tonic_prost_build::configure().compile_fds(auxiliary)?;
    Ok(())
}

/// Removes the file of the rules, and those that only it imports. prost has dropped the rules themselves, since they are
/// options that it does not know.
fn without_rules(set: &mut FileDescriptorSet) {
    set.file.retain(|file| file.name() != RULES);
    set.file.iter_mut().for_each(|file| file.dependency.retain(|name| name != RULES));
    let imported: HashSet<_> = set.file.iter().flat_map(|file| file.dependency.clone()).collect();
    set.file.retain(|file| imported.contains(file.name()) || ROOTS.contains(&file.name()));
}
