//! `gemini-grpc serve`: run the gateway until a signal.

use std::process::ExitCode;

use crate::config;
use crate::server::Server;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    serve: config::Serve,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let config = match args.serve.resolve() {
        Ok(config) => config,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    let served = Server::bind(&config).and_then(Server::run);
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
