//! `gemini-grpc contract`: writes the contract that this program serves, with all that code generators need.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Failure, output};
use crate::pb;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gemini-grpc contract --out contract
  cd contract && buf generate             code for the languages in buf.gen.yaml

It writes the protos with all that they import, buf.yaml and buf.gen.yaml, service_config.json
(the retries of a gRPC client), and contract.binpb: the protos as an encoded FileDescriptorSet, for
tools such as `grpcurl -protoset`.")]
pub(super) struct Args {
    /// The folder to write to. It is made if it does not exist.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// Write into a folder that is not empty. Files of the same names are replaced, others are left alone.
    #[arg(long)]
    force: bool,
}

/// A file of the repository: where it goes, and its bytes.
type File = (&'static str, &'static [u8]);

/// Embeds files, each under its path from the root of the repository.
macro_rules! embed {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path)).as_slice())),*]
    };
}

const FILES: [File; 26] = embed![
    "buf.gen.yaml",
    "buf.yaml",
    "proto/buf/validate/validate.proto",
    "proto/google/ai/generativelanguage/v1/generative_service_v1.proto",
    "proto/google/ai/generativelanguage/v1/model_service_v1.proto",
    "proto/google/ai/generativelanguage/v1beta/generative_service_v1beta.proto",
    "proto/google/ai/generativelanguage/v1beta/model_service_v1beta.proto",
    "proto/google/rpc/code.proto",
    "proto/google/rpc/error_details.proto",
    "proto/google/rpc/status.proto",
    "proto/grpc/health/v1/health.proto",
    "proto/mountsea/gemini/v1/candidate.proto",
    "proto/mountsea/gemini/v1/content.proto",
    "proto/mountsea/gemini/v1/generation_config.proto",
    "proto/mountsea/gemini/v1/generative_service.proto",
    "proto/mountsea/gemini/v1/grounding.proto",
    "proto/mountsea/gemini/v1/media.proto",
    "proto/mountsea/gemini/v1/model_service.proto",
    "proto/mountsea/gemini/v1/response_format.proto",
    "proto/mountsea/gemini/v1/safety.proto",
    "proto/mountsea/gemini/v1/schema.proto",
    "proto/mountsea/gemini/v1/speech.proto",
    "proto/mountsea/gemini/v1/tool.proto",
    "proto/mountsea/gemini/v1/tool_config.proto",
    "proto/xds/data/orca/v3/orca_load_report.proto",
    "proto/xds/service/orca/v3/orca.proto",
];
/// In the repository it is next to the protos.
const SERVICE_CONFIG: File =
    ("service_config.json", include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/proto/service_config.json")));

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let out = &args.out;
    if !args.force && !is_empty(out)? {
        let advice = "name a new folder, or add --force to replace the files of the contract in it";
        return Err(Failure::Usage(format!("--out: {} is not empty; {advice}", out.display())));
    }
    for (path, bytes) in FILES.into_iter().chain([SERVICE_CONFIG, ("contract.binpb", pb::CONTRACT)]) {
        let path = out.join(path);
        write(&path, bytes)?;
        output::line(path.display())?;
    }
    output::line(format_args!("\nNext, in {}: buf generate (its head says which plugins are needed)", out.display()))
}

/// Whether nothing is in the folder, or there is none yet.
fn is_empty(folder: &Path) -> Result<bool, Failure> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Failure::Usage(format!("--out: {} is not a usable folder: {error}", folder.display()))),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, bytes));
    written.map_err(|error| Failure::Run(format!("cannot write {}: {error}", path.display())))
}
