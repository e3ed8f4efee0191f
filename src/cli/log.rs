//! Sets up logging, to standard error.

use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::Failure;
use crate::config::{Log, LogFormat};

pub(super) fn start(log: &Log) -> Result<(), Failure> {
    let usage = |what: String| Failure::Usage(format!("GEMINI_GRPC_LOG: {what}; try info, or warn,gemini_grpc=debug"));
    // A word alone is taken for the name of a module, so a misspelt level would silence all.
    let is_level = |word: &&str| word.contains('=') || word.trim().parse::<LevelFilter>().is_ok();
    if let Some(word) = log.filter.split(',').find(|word| !is_level(word)) {
        return Err(usage(format!("{word:?} is no level")));
    }
    let filter = EnvFilter::try_new(&log.filter).map_err(|error| usage(error.to_string()))?;
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
    std::panic::set_hook(Box::new(report_panic));
    Ok(())
}

/// Where it was, and nothing of what it says: that may be a part of somebody's prompt.
fn report_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(location, "a bug: please report this line; the call ended with INTERNAL, others go on");
}
