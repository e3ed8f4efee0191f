//! What is logged, and how.

use clap::{Args, ValueEnum};

/// What is logged, to standard error.
#[derive(Args, Clone, Debug)]
pub struct Log {
    /// Levels by module, such as `info` or `warn,gemini_grpc=debug`.
    #[arg(
        long = "log",
        help_heading = "Logging",
        env = "GEMINI_GRPC_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    pub filter: String,

    /// The form of a log line.
    #[arg(
        long = "log-format",
        help_heading = "Logging",
        env = "GEMINI_GRPC_LOG_FORMAT",
        value_enum,
        default_value_t = LogFormat::Auto,
        value_name = "FORMAT"
    )]
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people on a terminal, else JSON.
    Auto,
    Human,
    Json,
}
