//! The client of the load: gRPC over HTTP/2, and gRPC-Web, REST and OpenAI's API over HTTP/1.1. Every request is encoded
//! once, before the run, and answers are counted but not decoded.

mod answer;
mod caller;
mod connection;
mod job;

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

pub use self::caller::{Caller, Outcome, connect, share};
pub use self::job::Job;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    /// gRPC over HTTP/2
    Grpc,
    /// gRPC-Web with binary bodies over HTTP/1.1
    GrpcWeb,
    /// Gemini's REST API over HTTP/1.1, with server-sent events for streams
    Gemini,
    /// OpenAI's chat completions over HTTP/1.1
    Openai,
}

/// How to reach the gateway, and what to ask.
#[derive(clap::Args, Clone, Debug)]
pub struct TargetArgs {
    #[arg(long, value_enum, default_value = "grpc")]
    pub protocol: Protocol,
    /// host:port of the gateway
    #[arg(long)]
    pub address: String,
    /// PEM file with the authority to trust; plaintext without it
    #[arg(long)]
    pub ca: Option<PathBuf>,
    /// path of REST and OpenAI's API; {model} and {verb} are filled in
    #[arg(long, default_value = "/v1beta/models/{model}:{verb}")]
    pub path: String,
    /// further request header, "name: value"; may be repeated
    #[arg(long = "header")]
    pub headers: Vec<String>,
    /// what the upstream double answers, see src/model.rs; a name with `-stream-` is requested as a stream
    #[arg(long, default_value = "bench-unary")]
    pub model: String,
    /// put before the model's name in the body of OpenAI's API
    #[arg(long, default_value = "")]
    pub model_prefix: String,
    /// send a picture of this size with each request, in bytes
    #[arg(long, default_value_t = 0)]
    pub image: usize,
    /// send a text of this size with each request, in bytes
    #[arg(long, default_value_t = 0)]
    pub prompt: usize,
    /// send a conversation with 20 declared functions
    #[arg(long)]
    pub tools: bool,
    /// the HTTP/2 window of a stream, in bytes; a connection has four times that
    #[arg(long, default_value_t = 8 << 20)]
    pub window: u32,
    /// the largest HTTP/2 frame to receive, in bytes
    #[arg(long, default_value_t = 16384)]
    pub frame: u32,
}

impl TargetArgs {
    /// The number of connections that this number of callers has: those of gRPC share.
    pub fn connections(&self, callers: usize, shared: usize) -> usize {
        if self.protocol == Protocol::Grpc { shared.clamp(1, callers) } else { callers }
    }
}

/// Counted while answers arrive, so that a measurement may begin and end in the middle of calls.
#[derive(Default)]
pub struct Counters {
    pub messages: AtomicU64,
    pub bytes: AtomicU64,
    pub calls: AtomicU64,
    pub errors: AtomicU64,
}
