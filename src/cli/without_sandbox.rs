//! Stands in for `sandbox.rs` in a build without the feature `sandbox`, and says what to build.

use super::Failure;
use crate::server::Config;

/// Accepts whatever the real command accepts, so that every use of it ends with the same sentence.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    arguments: Vec<String>,
}

pub(super) fn run(_: &Args) -> Result<(), Failure> {
    Err(missing())
}

/// A sandbox inside this process, of which this build can start none.
#[derive(Debug)]
pub(super) enum InProcess {}

impl InProcess {
    pub(super) fn start() -> Result<Self, Failure> {
        Err(missing())
    }

    pub(super) fn url(&self) -> &str {
        match *self {}
    }

    pub(super) fn use_in(&self, _: &mut Config) {
        match *self {}
    }
}

fn missing() -> Failure {
    Failure::Usage(
        "this binary was built without the sandbox; build it with `cargo build --features sandbox`".to_owned(),
    )
}
