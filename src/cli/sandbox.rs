//! `gemini-grpc sandbox`, the small Compat API on its own, and the sandbox inside another command.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::{Failure, block_on, output};
use crate::gateway::Keys;
use crate::sandbox::{FAULTS, Options, Sandbox};
use crate::server::Config;
use crate::upstream::BaseUrl;

/// Any key will do. Keys are redacted from errors, so this one is a word that no answer contains.
const SANDBOX_KEY: &str = "no-key-is-needed-here";

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gemini-grpc sandbox
  gemini-grpc sandbox --listen 127.0.0.1:0 --pace 0
  gemini-grpc sandbox --faults

Models named sandbox-NAME misbehave; --faults lists them.")]
pub(super) struct Args {
    /// The loopback address to listen on.
    #[arg(long, env = "GEMINI_GRPC_SANDBOX_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,

    /// The pause before each streamed word, in milliseconds.
    #[arg(long, env = "GEMINI_GRPC_SANDBOX_PACE", default_value_t = 25, value_name = "MILLISECONDS")]
    pace: u64,

    /// How many calls an HTTP/2 connection carries at once.
    #[arg(long, env = "GEMINI_GRPC_SANDBOX_STREAMS", default_value_t = 100, value_name = "NUMBER")]
    streams: u32,

    /// List what the sandbox can do wrong, and end.
    #[arg(long)]
    faults: bool,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    if args.faults {
        output::line("sandbox-429              an error of that status, for every number from 400 to 599")?;
        return FAULTS.iter().try_for_each(|(name, what)| output::line(format_args!("sandbox-{name:<16} {what}")));
    }
    let options = Options { pace: Duration::from_millis(args.pace), streams: args.streams };
    let sandbox = Sandbox::bind(args.listen, options).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => Failure::Usage(format!("GEMINI_GRPC_SANDBOX_LISTEN: {}: {error}", args.listen)),
        _ => Failure::Run(format!("cannot listen on {}: {error}", args.listen)),
    })?;
    // A reader who leaves after the greeting does not end it.
    let _ = output::print(greeting(&sandbox.url()));
    let ended = block_on(sandbox.run(async { drop(tokio::signal::ctrl_c().await) }))?;
    ended.map_err(|error| Failure::Run(format!("the sandbox broke: {error}")))
}

fn greeting(url: &str) -> String {
    format!(
        r#"The sandbox answers at {url} and takes any key. Try:

  curl {url}/v1beta/models/gemini-2.5-flash:generateContent -H 'x-goog-api-key: any' \
    -H 'content-type: application/json' -d '{{"contents":[{{"parts":[{{"text":"hello"}}]}}]}}'
  MOUNTSEA_API_KEY=any gemini-grpc serve --upstream-url {url}
"#
    )
}

/// A sandbox on a thread of this process. It runs for as long as the process lives.
#[derive(Debug)]
pub(super) struct InProcess {
    url: String,
}

impl InProcess {
    /// Starts it on a free loopback port.
    pub(super) fn start() -> Result<Self, Failure> {
        let cannot = |error| Failure::Run(format!("the sandbox cannot start: {error}"));
        let sandbox = Sandbox::bind((Ipv4Addr::LOCALHOST, 0).into(), Options::default()).map_err(cannot)?;
        let url = sandbox.url();
        let run = move || {
            let ended = block_on(sandbox.run(std::future::pending()));
            tracing::error!(?ended, "the sandbox ended");
        };
        std::thread::Builder::new().name("sandbox".to_owned()).spawn(run).map_err(cannot)?;
        Ok(Self { url })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Makes it the upstream of a gateway in this process.
    pub(super) fn use_in(&self, config: &mut Config) {
        if let Some(base) = BaseUrl::parse(&self.url) {
            config.upstream.base = base;
        }
        config.playground = true;
        // Both ends of a connection to the sandbox are files of this process.
        config.files_per_call = 2;
        if config.gateway.keys.is_none() {
            config.gateway.keys = SANDBOX_KEY.parse().ok().map(Keys::One);
        }
    }
}
