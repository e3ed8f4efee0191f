//! `gemini-grpc serve`: run the gateway until a signal.

use std::io::IsTerminal as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::mpsc;

use tokio::signal::unix::{SignalKind, signal};

use super::client::DEFAULT_ENDPOINT;
use super::{Failure, block_on, log, sandbox, table};
use crate::config;
use crate::server::{Config, Server, Stop};
use crate::upstream::BaseUrl;

/// What a second signal ends with, as a shell reports SIGTERM.
const KILLED: i32 = 143;

/// The sandbox takes any key. This one is no word that an answer could hold, since the key is struck out of errors.
const SANDBOX_KEY: &str = "no-key-is-needed-here";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gemini-grpc serve --sandbox
  MOUNTSEA_API_KEY=... gemini-grpc serve
  MOUNTSEA_API_KEY_FILE=/run/secrets/key gemini-grpc serve --listen 0.0.0.0:50051 --auth tokens \\
    --callers /etc/gemini-grpc/callers.toml")]
pub(super) struct Args {
    /// Answer from a sandbox inside this process instead of upstream: no key, no cost, no model.
    #[arg(
        long,
        env = "GEMINI_GRPC_SANDBOX",
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        default_missing_value = "true",
        default_value_t = false,
        value_name = "BOOL",
        hide_possible_values = true
    )]
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
    let (ready, listening) = mpsc::channel();
    std::thread::spawn(move || block_on(stop_on_signal(stop, ready)));
    // From here on a signal stops the server instead of ending the process; the log may say that it serves.
    let _ = listening.recv();
    tracing::info!(
        address = %server.address(),
        upstream = %config.upstream.base,
        workers = config.workers,
        own_key = config.gateway.key.is_some(),
        "serving"
    );
    if args.sandbox {
        tracing::info!("try: gemini-grpc call {}'Why is the sky blue?'", endpoint_flag(server.address()));
    }
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
        config.gateway.key = SANDBOX_KEY.parse().ok();
    }
}

/// What `call` needs to find the gateway: nothing at its default address.
fn endpoint_flag(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    let url = format!("http://{address}");
    if url == DEFAULT_ENDPOINT { String::new() } else { format!("--endpoint {url} ") }
}

/// The first signal lets open calls end, the second does not.
async fn stop_on_signal(stop: Stop, ready: mpsc::Sender<()>) {
    let signals = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
    let [Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)] = signals else {
        tracing::error!("signals cannot be heard; only SIGKILL will end this process");
        return;
    };
    drop(ready);
    // Without a terminal, SIGHUP comes from tools that believe it makes a server read its configuration again.
    let terminal = std::io::stderr().is_terminal();
    for first in [true, false] {
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hangup.recv() => match terminal {
                    true => break,
                    false => tracing::info!("SIGHUP changes nothing; restart to read the configuration again"),
                },
            }
        }
        if first {
            tracing::info!("stopping: no new calls, open ones may finish; a second signal ends at once");
            stop.stop();
        }
    }
    std::process::exit(KILLED);
}
