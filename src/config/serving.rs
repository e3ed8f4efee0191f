//! The flags of the listener and its workers.

use std::net::SocketAddr;

use clap::{ArgAction, Args};

use super::Error;
use crate::gateway::callers::Auth;
use crate::server::Origins;

/// The flags of the listener and its workers.
#[derive(Args, Clone, Debug)]
pub struct Serving {
    /// The address on which callers are served.
    #[arg(
        long,
        help_heading = "Serving",
        env = "GEMINI_GRPC_LISTEN",
        default_value = "127.0.0.1:50051",
        value_name = "ADDRESS"
    )]
    pub listen: SocketAddr,

    /// Threads that serve callers, each with its own connections; 0 means one per core.
    #[arg(long, help_heading = "Serving", env = "GEMINI_GRPC_WORKERS", default_value_t = 0, value_name = "NUMBER")]
    pub workers: usize,

    /// Answer reflection, which tools such as grpcurl use to learn the contract.
    #[arg(
        long,
        help_heading = "Serving",
        env = "GEMINI_GRPC_REFLECTION",
        action = ArgAction::Set,
        default_value_t = true,
        value_name = "BOOL",
        hide_possible_values = true
    )]
    pub reflection: bool,

    /// Add a load report to the trailers of each gRPC call (endpoint-load-metrics-bin), for clients that balance by it and do
    /// not ask for a stream of reports.
    #[arg(
        long,
        help_heading = "Serving",
        env = "GEMINI_GRPC_LOAD_REPORTS",
        action = ArgAction::Set,
        num_args = 0..=1,
        default_missing_value = "true",
        default_value_t = false,
        value_name = "BOOL",
        hide_possible_values = true
    )]
    pub load_reports: bool,

    /// The web pages that may call over REST and gRPC-Web, by their origins, separated by commas, such as
    /// https://app.example.com. * allows every page, and is accepted only if each caller needs a key or token. By default
    /// no page may call.
    #[arg(
        long,
        help_heading = "Serving",
        env = "GEMINI_GRPC_CORS_ORIGINS",
        default_value = "",
        hide_default_value = true,
        value_name = "ORIGINS"
    )]
    pub cors_origins: String,

    /// Serve a page to try the gateway in a browser, at `/`. A sandbox always has it.
    #[arg(
        long,
        help_heading = "Serving",
        env = "GEMINI_GRPC_PLAYGROUND",
        action = ArgAction::Set,
        num_args = 0..=1,
        default_missing_value = "true",
        default_value_t = false,
        value_name = "BOOL",
        hide_possible_values = true
    )]
    pub playground: bool,
}

impl Serving {
    /// The web pages that may call. Every page may only if each caller needs a key or token of its own.
    pub(super) fn origins(&self, auth: &Auth, has_key: bool) -> Result<Origins, Error> {
        let origins: Origins = self.cors_origins.parse().map_err(Error::Origin)?;
        let needs_key = match auth {
            Auth::Forward => !has_key,
            Auth::Tokens(_) => true,
            // A browser shows a certificate by itself.
            Auth::Certificates(_) => false,
        };
        if origins == Origins::Any && !needs_key { Err(Error::AnyOrigin) } else { Ok(origins) }
    }

    /// How many threads serve.
    pub(super) fn workers(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        }
    }
}
