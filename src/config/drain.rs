//! The flags of stopping.

use std::time::Duration;

use clap::Args;

use super::value::{seconds, seconds_or_none};
use crate::server;

/// The flags of stopping.
#[derive(Args, Clone, Debug)]
pub struct Drain {
    /// How long calls are still taken after SIGTERM, while health says NOT_SERVING, in seconds.
    #[arg(
        long,
        help_heading = "Stopping",
        env = "GEMINI_GRPC_DRAIN_DELAY",
        default_value = "5",
        value_parser = seconds_or_none,
        value_name = "SECONDS"
    )]
    pub drain_delay: Duration,

    /// When calls that are still open are ended, in seconds from SIGTERM.
    #[arg(
        long,
        help_heading = "Stopping",
        env = "GEMINI_GRPC_DRAIN_TIMEOUT",
        default_value = "600",
        value_parser = seconds,
        value_name = "SECONDS"
    )]
    pub drain_timeout: Duration,
}

impl Drain {
    pub(super) fn resolve(&self) -> server::Drain {
        server::Drain { delay: self.drain_delay, timeout: self.drain_timeout }
    }
}
