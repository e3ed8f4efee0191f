//! The flags of the listener and its workers.

use std::net::SocketAddr;

use clap::{ArgAction, Args};

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
    /// How many threads serve.
    pub(super) fn workers(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        }
    }
}
