//! A small Gemini Compat API on loopback: for trying without a key, and as the upstream of the tests.
//!
//! It follows Mountsea's documentation and says in every text that it is a sandbox. It shares no code with the module
//! that calls upstream, so that it cannot share its mistakes; Google's own REST SDKs are its test.

mod answer;
mod error;
mod fault;
mod list;
mod measure;
mod models;
mod picture;
mod reported;
mod request;
mod routes;
mod schema;
mod stream;

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

pub use self::fault::FAULTS;

/// How the sandbox behaves.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The pause before each streamed word.
    pub pace: Duration,
    /// How many calls an HTTP/2 connection carries at once.
    pub streams: u32,
}

impl Default for Options {
    /// About as fast as a model speaks, and as many calls as most servers allow on a connection.
    fn default() -> Self {
        Self { pace: Duration::from_millis(25), streams: 100 }
    }
}

/// A sandbox whose address is bound.
#[derive(Debug)]
pub struct Sandbox {
    listener: std::net::TcpListener,
    address: SocketAddr,
    options: Options,
}

impl Sandbox {
    /// Binds a loopback address: the sandbox takes any key, so no other machine may reach it. Port 0 finds a free one.
    pub fn bind(address: SocketAddr, options: Options) -> std::io::Result<Self> {
        if !address.ip().is_loopback() {
            let message = "the sandbox listens on loopback only, such as 127.0.0.1:8080";
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, message));
        }
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, options })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base URL to give to a gateway or an SDK.
    pub fn url(&self) -> String {
        format!("http://{}/gemini", self.address)
    }

    /// Answers until `shutdown` is done.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> std::io::Result<()> {
        let listener = TcpListener::from_std(self.listener)?;
        let service = TowerToHyperService::new(routes::router(self.options));
        let mut builder = auto::Builder::new(TokioExecutor::new());
        builder.http2().max_concurrent_streams(self.options.streams);
        let serve = async {
            loop {
                // A connection that failed before it was taken, or no file left: others may still come.
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let _ = stream.set_nodelay(true);
                let (builder, service) = (builder.clone(), service.clone());
                tokio::spawn(async move { builder.serve_connection(TokioIo::new(stream), service).await.map(drop) });
            }
        };
        tokio::select! {
            () = serve => Ok(()),
            () = shutdown => Ok(()),
        }
    }
}
