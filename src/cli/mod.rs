//! The command line: one file per subcommand.

mod call;
mod client;
mod contract;
mod demo;
mod endpoint;
mod environment;
mod healthcheck;
mod hint;
mod log;
mod output;
mod print;
mod reload;
mod rest;
#[cfg_attr(not(feature = "sandbox"), path = "without_sandbox.rs")]
mod sandbox;
mod serve;
mod signals;
mod table;
mod token;
mod usage;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use rustix::process::{Resource, Rlimit, setrlimit};

use crate::files;

/// The Gemini API over gRPC and REST.
#[derive(Debug, Parser)]
#[command(name = "gemini-grpc", version, about, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = if cfg!(feature = "sandbox") {
    "\
Examples:
  gemini-grpc demo                                    everything at once, without a key
  gemini-grpc serve --sandbox                         a gateway to try, without a key
  MOUNTSEA_API_KEY=... gemini-grpc serve              the real thing
  gemini-grpc call 'Why is the sky blue?'             ask it"
} else {
    "\
Examples:
  MOUNTSEA_API_KEY=... gemini-grpc serve
  gemini-grpc call 'Why is the sky blue?'             ask it"
};

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "there is one of it")]
enum Command {
    /// Run the gateway.
    Serve(serve::Args),
    /// Run a small Gemini Compat API of our own, for trying without a key.
    #[command(hide = cfg!(not(feature = "sandbox")))]
    Sandbox(sandbox::Args),
    /// Make one call to a gateway and show the answer as it comes.
    Call(call::Args),
    /// Start sandbox and gateway and make calls: a text, a picture, an edit, a refusal.
    Demo(demo::Args),
    /// Ask a gateway for its health; exit code 0 if it serves.
    Healthcheck(healthcheck::Args),
    /// Write the contract: protos, settings of buf, a gRPC service config.
    Contract(contract::Args),
    /// Make a token for a caller, or the hash of one.
    Token(token::Args),
    /// Show what each caller of a gateway has used and has left.
    Usage(usage::Args),
}

/// Why a command failed.
#[derive(Debug)]
enum Failure {
    /// A mistake in flags, variables or files that they name: exit code 2.
    Usage(String),
    /// Anything else: exit code 1.
    Run(String),
    /// The reader of the output has closed it, so there is no reason to go on: exit code 0.
    OutputClosed,
}

/// Runs the command that the arguments name. A mistake in them ends with code 2, a failure with 1.
pub fn run() -> ExitCode {
    // Before the arguments are read, since variables can contain a key.
    forbid_core_dumps();
    files::raise_limit();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => match environment::explain(&Cli::command(), &error) {
            Some(sentence) => return end(Failure::Usage(sentence)),
            None => error.exit(),
        },
    };
    let done = match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Sandbox(args) => sandbox::run(&args),
        Command::Call(args) => call::run(args),
        Command::Demo(args) => demo::run(&args),
        Command::Healthcheck(args) => healthcheck::run(&args),
        Command::Contract(args) => contract::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Usage(args) => usage::run(&args),
    };
    done.map_or_else(end, |()| ExitCode::SUCCESS)
}

/// A Markdown table of the settings of `serve`: flag, variable, default, meaning.
pub fn configuration_table() -> String {
    table::of_settings(&serve::definition())
}

/// A core dump would write keys and prompts to disk. Neither this process nor another one of its user can raise the
/// limit again.
fn forbid_core_dumps() {
    // Lowering a limit is always allowed.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

fn end(failure: Failure) -> ExitCode {
    let (code, message) = match failure {
        Failure::Usage(message) => (2, message),
        Failure::Run(message) => (1, message),
        Failure::OutputClosed => return ExitCode::SUCCESS,
    };
    output::note(format_args!("error: {message}\n"));
    ExitCode::from(code)
}

/// The most threads for work that blocks: drawing the pictures of a sandbox, resolving names.
const MAX_BLOCKING_THREADS: usize = 4;

/// Runs a future on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(MAX_BLOCKING_THREADS).build();
    Ok(runtime.map_err(|error| Failure::Run(format!("cannot start a runtime: {error}")))?.block_on(future))
}
