//! `gemini-grpc serve`: run the gateway until a signal.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args as _;

use super::reload::{ReloadTarget, Reloader};
use super::sandbox::InProcess;
use super::{Failure, environment, hint, log, signals};
use crate::config;
use crate::server::{Config, Scrape, Server, seconds_until};
use crate::telemetry::{self, Pipelines, Telemetry, names};

/// How long to wait at the end for telemetry that is not exported yet.
const LAST_EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

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
        hide_possible_values = true,
        hide = cfg!(not(feature = "sandbox"))
    )]
    pub(super) sandbox: bool,

    #[command(flatten)]
    pub(super) serve: config::Serve,
}

/// The flags and variables of `serve`.
pub(super) fn definition() -> clap::Command {
    Args::augment_args(clap::Command::new("serve"))
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let signals = signals::listen()?;
    environment::check(&definition())?;
    // Fingerprints come first: a file that changes while it is read is then read again.
    let reloader = Reloader::new(&args.serve);
    let mut config = args.serve.resolve().map_err(|error| Failure::Usage(error.to_string()))?;
    let mut exports = args.serve.telemetry.resolve().map_err(|error| Failure::Usage(error.to_string()))?;
    let pipelines = Pipelines::start(&exports).map_err(|error| Failure::Usage(error.to_string()))?;
    let logging = log::start(&args.serve.log, &pipelines)?;
    let sandbox = args.sandbox.then(|| start_sandbox(&mut config)).transpose()?;
    let (host, port) = config.upstream.base.authority();
    (exports.settings.upstream_address, exports.settings.upstream_port) = (host.into(), port);
    let telemetry = start_telemetry(&pipelines, &exports, &logging);
    let scrape = pipelines.scrape().map(|scrape| Arc::new(scrape) as Scrape);
    let server = Server::bind(&config, &telemetry, scrape).map_err(|error| Failure::Run(error.to_string()))?;
    let target = ReloadTarget { server: server.reload_handle(), levels: logging.levels.clone(), sandbox, telemetry };
    reloader.start(target, signals.hangups)?;
    // From here on the first signal stops the server instead of ending the process.
    let _ = signals.stop.set(server.stop_handle());
    announce(args, &config, &server);
    announce_exports(&exports, server.admin_address());
    let served = server.run().map_err(|error| Failure::Run(error.to_string()));
    tracing::info!("stopped");
    pipelines.shutdown(LAST_EXPORT_TIMEOUT);
    served
}

/// Starts a sandbox inside this process and makes it the upstream.
fn start_sandbox(config: &mut Config) -> Result<InProcess, Failure> {
    let sandbox = InProcess::start()?;
    tracing::warn!(url = sandbox.url(), "answers come from the sandbox: no model is asked");
    sandbox.use_in(config);
    Ok(sandbox)
}

/// The telemetry of calls, with the gauges of this command.
fn start_telemetry(pipelines: &Pipelines, exports: &telemetry::Config, logging: &log::Logging) -> Telemetry {
    let telemetry = pipelines.telemetry(exports.settings.clone());
    let dropped = logging.dropped.clone();
    telemetry.observe(names::LOG_LINES_DROPPED, None, move || dropped.dropped_lines() as u64);
    // The certificates of exporters are not read again.
    let ends = exports.certificate_ends();
    let files = ["collector_client", "collector_ca"];
    telemetry.observe_each(names::CERTIFICATE_EXPIRY, files, move || seconds_until(ends));
    telemetry
}

/// Logs what is served where, and for a sandbox a command to try.
fn announce(args: &Args, config: &Config, server: &Server) {
    tracing::info!(
        address = %server.address(),
        tls = config.tls.is_some(),
        upstream = %config.upstream.base,
        workers = config.workers,
        own_key = config.gateway.keys.is_some(),
        "serving"
    );
    if config.store.is_none() && config.gateway.auth.has_budgets() {
        tracing::info!(
            "the daily and monthly limits of callers are counted in this process alone, and a restart forgets what was \
             used; GEMINI_GRPC_LIMITS_URL names a store for them"
        );
    }
    if args.sandbox {
        tracing::info!("try: {}", hint::try_it(server.address(), config.tls.as_ref(), &args.serve.tls));
    }
    if config.playground {
        tracing::info!("a page to try it: {}", hint::page(server.address(), config.tls.as_ref()));
    }
}

/// Logs where spans, metrics and logs go, and warns if they contain prompts.
fn announce_exports(exports: &telemetry::Config, admin: Option<SocketAddr>) {
    if let Some(address) = admin {
        tracing::info!(%address, metrics = exports.metrics.prometheus, "admin port listening");
    }
    let [traces, metrics, logs] = [&exports.traces, &exports.metrics, &exports.logs].map(|to| to.to_string());
    if [&traces, &metrics, &logs].iter().any(|to| *to != "none") {
        tracing::info!(traces, metrics, logs, "telemetry is exported");
    }
    if exports.settings.capture.is_some() {
        tracing::warn!(
            "prompts and answers are exported with telemetry: OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT is set"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_of_serve_has_a_variable_and_the_definition_is_valid() {
        definition().debug_assert();
        for argument in definition().get_arguments() {
            assert!(argument.get_env().is_some() && argument.get_long().is_some(), "{}", argument.get_id());
            assert!(argument.get_help().is_some(), "{}", argument.get_id());
        }
    }
}
