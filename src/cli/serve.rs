//! `gemini-grpc serve`: run the gateway until a signal.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::endpoint::DEFAULT_ENDPOINT;
use super::{Failure, log, reload, sandbox, signals, table};
use crate::config;
use crate::server::{Config, Server};
use crate::upstream::BaseUrl;

/// The sandbox takes any key. This one is no word that an answer could hold, since the key is struck out of errors.
const SANDBOX_KEY: &str = "no-key-is-needed-here";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gemini-grpc serve --sandbox
  MOUNTSEA_API_KEY=... gemini-grpc serve
  MOUNTSEA_API_KEY_FILE=/run/secrets/key gemini-grpc serve --listen 0.0.0.0:50051 --auth tokens \\
    --callers /etc/gemini-grpc/callers.toml
  gemini-grpc serve --sandbox --tls-cert server.pem --tls-key server-key.pem")]
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
    let signals = signals::listen()?;
    table::check_environment()?;
    let reloader = reload::Reloader::new(&args.serve);
    let mut config = args.serve.resolve().map_err(|error| Failure::Usage(error.to_string()))?;
    log::start(&args.serve.log)?;
    let mut sandbox_url = None;
    if args.sandbox {
        let url =
            sandbox::in_background().map_err(|error| Failure::Run(format!("the sandbox cannot start: {error}")))?;
        tracing::warn!(url, "answers come from the sandbox: no model is asked");
        use_sandbox(&mut config, &url);
        sandbox_url = Some(url);
    }
    let server = Server::bind(&config).map_err(|error| Failure::Run(error.to_string()))?;
    reloader.start(server.reload_handle(), sandbox_url, signals.hangups)?;
    // From here on the first signal stops the server instead of ending the process.
    let _ = signals.stop.set(server.stop_handle());
    tracing::info!(
        address = %server.address(),
        tls = config.tls.is_some(),
        upstream = %config.upstream.base,
        workers = config.workers,
        own_key = config.gateway.key.is_some(),
        "serving"
    );
    if args.sandbox {
        let endpoint = endpoint_flag(server.address(), config.tls.is_some());
        tracing::info!("try: gemini-grpc call {endpoint}'Why is the sky blue?'");
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
fn endpoint_flag(mut address: SocketAddr, tls: bool) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    let url = format!("http{}://{address}", if tls { "s" } else { "" });
    if url == DEFAULT_ENDPOINT { String::new() } else { format!("--endpoint {url} ") }
}
