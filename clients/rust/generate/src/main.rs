//! Generates the Rust code of the contract: `generate FOLDER <descriptors`. The input is a FileDescriptorSet with comments,
//! as `buf build` writes it.

use std::error::Error;
use std::io::{Read as _, stdin};

use prost::Message as _;
use prost_types::FileDescriptorSet;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: generate FOLDER")?;
    let mut bytes = Vec::new();
    stdin().read_to_end(&mut bytes)?;
    let mut files = FileDescriptorSet::decode(&*bytes)?;
    // Options make no code. prost-types has the types of google.protobuf.
    files.file.retain(|file| file.package() != "buf.validate");
    tonic_prost_build::configure()
        .build_server(false)
        // A picture is then not copied out of the response.
        .bytes(".mountsea.gemini.v1")
        .out_dir(folder)
        .compile_fds(files)?;
    Ok(())
}
