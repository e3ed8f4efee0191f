//! The flags of connections: how many there may be, and how long each may live.

use std::time::Duration;

use clap::Args;

use super::Error;
use super::value::seconds_or_none;
use crate::server;

/// More than any round trip.
const GOAWAY_FLIGHT: Duration = Duration::from_secs(2);
/// Longer than clients and load balancers keep a connection of HTTP/1 for the next call (Go 90 s, OkHttp 5 minutes,
/// Google's load balancer 10), so that they close it, and the gateway does not while they send.
const HTTP1_IDLE: Duration = Duration::from_secs(620);
/// For a client that was asked to go and has no open call.
const IDLE_GRACE: Duration = Duration::from_secs(20);
/// For the last message of a call that took as long as it may.
const LAST_MESSAGE: Duration = Duration::from_secs(60);
/// For a client on the other side of the world, on a line that loses packets.
const CLIENT_HELLO_TIMEOUT: Duration = Duration::from_secs(3);
/// A handshake with such a client takes some seconds.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pings find callers that vanished without a word.
const PING_INTERVAL: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The flags of connections.
#[derive(Args, Clone, Debug)]
pub struct Connections {
    /// Connections at once; for one more, the one that is idle longest is closed. 0 means one for each 64 KiB of --max-bytes-held, if the limit of open files allows that many.
    #[arg(
        long,
        help_heading = "Connections",
        env = "GEMINI_GRPC_MAX_CONNECTIONS",
        default_value_t = 0,
        value_name = "NUMBER"
    )]
    pub max_connections: usize,

    /// Calls at once on one connection. Fewer than all that are taken, so that one caller cannot have them all.
    #[arg(
        long,
        help_heading = "Connections",
        env = "GEMINI_GRPC_MAX_STREAMS",
        default_value_t = 100,
        value_name = "NUMBER"
    )]
    pub max_streams: u32,

    /// The age at which a caller is asked to reconnect, in seconds, give or take a tenth; 0 means never.
    #[arg(
        long,
        help_heading = "Connections",
        env = "GEMINI_GRPC_CONNECTION_AGE",
        default_value = "1800",
        value_parser = seconds_or_none,
        value_name = "SECONDS"
    )]
    pub connection_age: Duration,

    /// When a connection without a call that was admitted is asked to go, in seconds; 0 means never.
    #[arg(
        long,
        help_heading = "Connections",
        env = "GEMINI_GRPC_CONNECTION_IDLE",
        default_value = "60",
        value_parser = seconds_or_none,
        value_name = "SECONDS"
    )]
    pub connection_idle: Duration,
}

impl Connections {
    pub(super) fn resolve(&self, longest_call: Duration) -> Result<server::ConnectionLimits, Error> {
        if self.max_streams == 0 {
            return Err(Error::TooSmall { variable: "GEMINI_GRPC_MAX_STREAMS", least: 1 });
        }
        let idle = Some(self.connection_idle).filter(|idle| !idle.is_zero());
        Ok(server::ConnectionLimits {
            streams: self.max_streams,
            connections: self.max_connections,
            age: Some(self.connection_age).filter(|age| !age.is_zero()),
            idle,
            http1_idle: idle.map(|idle| idle.max(HTTP1_IDLE)),
            grace: longest_call + LAST_MESSAGE,
            goaway_flight: GOAWAY_FLIGHT,
            idle_grace: IDLE_GRACE,
            hello: CLIENT_HELLO_TIMEOUT,
            first_bytes: PREFACE_TIMEOUT,
            ping: PING_INTERVAL,
            ping_timeout: PING_TIMEOUT,
        })
    }
}
