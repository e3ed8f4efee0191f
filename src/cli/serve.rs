//! `gemini-grpc serve`: run the gateway until a signal.

use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, block_on, log, sandbox, table};
use crate::config;
use crate::server::{Config, Server, Stop};
use crate::upstream::BaseUrl;

/// What a second signal ends with, as a shell reports SIGTERM.
const KILLED: i32 = 143;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Answer from a sandbox inside this process instead of upstream: no key, no cost, no model.
    #[arg(long, env = "GEMINI_GRPC_SANDBOX", action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", default_value_t = false)]
    pub(super) sandbox: bool,

    #[command(flatten)]
    pub(super) serve: config::Serve,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    table::check_environment()?;
    let mut config = args.serve.resolve().map_err(|error| Failure::Usage(error.to_string()))?;
    log::start(&args.serve.log)?;
    if args.sandbox {
        let url =
            sandbox::in_background().map_err(|error| Failure::Run(format!("the sandbox cannot start: {error}")))?;
        tracing::warn!(url, "answers come from the sandbox: no model is asked");
        use_sandbox(&mut config, &url);
    }
    let server = Server::bind(&config).map_err(|error| Failure::Run(error.to_string()))?;
    let stop = server.stop_handle();
    std::thread::spawn(move || block_on(stop_on_signal(stop)));
    tracing::info!(
        address = %server.address(),
        upstream = %config.upstream.base,
        workers = config.workers,
        own_key = config.gateway.key.is_some(),
        "serving"
    );
    server.run().map_err(|error| Failure::Run(error.to_string()))?;
    tracing::info!("stopped");
    Ok(())
}

/// Points a gateway at a sandbox, which takes any key.
pub(super) fn use_sandbox(config: &mut Config, url: &str) {
    if let Some(base) = BaseUrl::parse(url) {
        config.upstream.base = base;
    }
    if config.gateway.key.is_none() {
        config.gateway.key = "sandbox".parse().ok();
    }
}

/// The first signal lets open calls end, the second does not.
async fn stop_on_signal(stop: Stop) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be heard; only SIGKILL will end this process");
        return;
    };
    for first in [true, false] {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if first {
            tracing::info!("stopping: no new calls, open ones may finish; a second signal ends at once");
            stop.stop();
        }
    }
    std::process::exit(KILLED);
}
