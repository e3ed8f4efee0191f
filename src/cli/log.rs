//! Sets up logging, to standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use super::Failure;
use crate::config::{Log, LogFormat};

pub(super) fn start(log: &Log) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(&log.filter)
        .map_err(|error| Failure::Usage(format!("GEMINI_GRPC_LOG: {error}; try info, or warn,gemini_grpc=debug")))?;
    let terminal = std::io::stderr().is_terminal();
    let human = match log.format {
        LogFormat::Auto => terminal,
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Else a log that nobody reads any more would end the process with a panic.
        .log_internal_errors(false);
    // A subscriber that is set already, as in a test, is as good.
    let _ = match human {
        true => builder.with_ansi(terminal).with_target(false).try_init(),
        false => builder.json().try_init(),
    };
    Ok(())
}
