//! A running server, and its settings.

use std::net::SocketAddr;
use std::thread::JoinHandle;

use clap::Parser;
use gemini_grpc::config::Serve;
use gemini_grpc::server::{Config, Reload, Server, Stop};
use gemini_grpc::telemetry::Telemetry;
use tonic::transport::{Channel, Endpoint};

use super::upstream::Upstream;

#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    serve: Serve,
}

/// The settings of a gateway, or the error in its flags.
pub fn resolve(flags: &[&str]) -> Result<Config, String> {
    let serve = Flags::parse_from(["test"].iter().chain(flags)).serve;
    serve.resolve().map_err(|error| error.to_string())
}

/// The settings of a gateway on a free port, whose key is `own-key`.
pub fn config(upstream: &Upstream, flags: &[&str]) -> Config {
    config_without_key(upstream, &[&["--api-key", "own-key"], flags].concat())
}

/// The settings of a gateway on a free port, without a key.
pub fn config_without_key(upstream: &Upstream, flags: &[&str]) -> Config {
    let fixed = ["test", "--listen", "127.0.0.1:0", "--drain-delay", "0", "--upstream-url", &upstream.url];
    Flags::parse_from(fixed.iter().chain(flags)).serve.resolve().unwrap()
}

/// A running server.
pub struct Running {
    pub address: SocketAddr,
    pub stop: Stop,
    pub reload: Reload,
    thread: JoinHandle<()>,
}

impl Running {
    pub fn start(config: &Config) -> Self {
        Self::with_telemetry(config, &Telemetry::default())
    }

    /// A server that records its calls with this telemetry.
    pub fn with_telemetry(config: &Config, telemetry: &Telemetry) -> Self {
        let server = Server::bind(config, telemetry, None).unwrap();
        let (address, stop, reload) = (server.address(), server.stop_handle(), server.reload_handle());
        Self { address, stop, reload, thread: std::thread::spawn(move || server.run().unwrap()) }
    }

    /// A plaintext connection.
    pub async fn connect(&self) -> Channel {
        Endpoint::try_from(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    /// Waits until the server has ended, after a stop.
    pub async fn wait(self) {
        tokio::task::spawn_blocking(|| self.thread.join().unwrap()).await.unwrap();
    }
}
