//! `gemini-grpc serve`: run the gateway until a signal.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::reload::ReloadTarget;
use super::{Failure, hint, log, reload, sandbox, signals, table};
use crate::config;
use crate::server::{Config, Scrape, Server, seconds_until};
use crate::telemetry::{self, Pipelines, names};
use crate::upstream::BaseUrl;

/// The sandbox takes any key. This one is no word that an answer could hold, since the key is struck out of errors.
const SANDBOX_KEY: &str = "no-key-is-needed-here";

/// What is left to export at the end is worth so much time.
const LAST_EXPORT: Duration = Duration::from_secs(5);

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
    let mut telemetry = args.serve.telemetry.resolve().map_err(|error| Failure::Usage(error.to_string()))?;
    let pipelines = Pipelines::start(&telemetry).map_err(|error| Failure::Usage(error.to_string()))?;
    let logging = log::start(&args.serve.log, &pipelines)?;
    let mut sandbox_url = None;
    if args.sandbox {
        let url =
            sandbox::in_background().map_err(|error| Failure::Run(format!("the sandbox cannot start: {error}")))?;
        tracing::warn!(url, "answers come from the sandbox: no model is asked");
        use_sandbox(&mut config, &url);
        sandbox_url = Some(url);
    }
    let (host, port) = config.upstream.base.authority();
    (telemetry.settings.upstream_address, telemetry.settings.upstream_port) = (host.into(), port);
    let told = pipelines.telemetry(telemetry.settings.clone());
    let dropped = logging.dropped.clone();
    told.observe(names::LOG_LINES_DROPPED, None, move || dropped.dropped_lines() as u64);
    // These files are not read again.
    let ends = telemetry.certificate_ends();
    let files = ["collector_client", "collector_ca"];
    told.observe_each(names::CERTIFICATE_EXPIRY, files, move || seconds_until(ends));
    let scrape = pipelines.scrape().map(|scrape| Arc::new(scrape) as Scrape);
    let server = Server::bind(&config, &told, scrape).map_err(|error| Failure::Run(error.to_string()))?;
    let levels = logging.levels.clone();
    let target = ReloadTarget { server: server.reload_handle(), levels, sandbox: sandbox_url, telemetry: told };
    reloader.start(target, signals.hangups)?;
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
        tracing::info!("try: {}", hint::try_it(server.address(), config.tls.as_ref(), &args.serve.tls));
    }
    say_what_is_told(&telemetry, server.admin_address());
    let served = server.run().map_err(|error| Failure::Run(error.to_string()));
    tracing::info!("stopped");
    pipelines.shutdown(LAST_EXPORT);
    served
}

/// So that nobody has to guess where spans and metrics are, and nobody is surprised by prompts among them.
fn say_what_is_told(told: &telemetry::Config, admin: Option<SocketAddr>) {
    if let Some(address) = admin {
        tracing::info!(%address, metrics = told.metrics.prometheus, "operators are answered");
    }
    let [traces, metrics, logs] = [&told.traces, &told.metrics, &told.logs].map(|to| to.to_string());
    if [&traces, &metrics, &logs].iter().any(|to| *to != "none") {
        tracing::info!(traces, metrics, logs, "telemetry is exported");
    }
    if told.settings.capture.is_some() {
        tracing::warn!(
            "prompts and answers are exported with telemetry: OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT says so"
        );
    }
}

/// Points a gateway at a sandbox in this process, which takes any key.
pub(super) fn use_sandbox(config: &mut Config, url: &str) {
    if let Some(base) = BaseUrl::parse(url) {
        config.upstream.base = base;
    }
    config.files_per_call = 2;
    if config.gateway.key.is_none() {
        config.gateway.key = SANDBOX_KEY.parse().ok();
    }
}
