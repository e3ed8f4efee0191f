//! What is logged, and how.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Error;
use super::value::read;

const FILTER: &str = "GEMINI_GRPC_LOG";
const FILE: &str = "GEMINI_GRPC_LOG_FILTER_FILE";

/// What is logged, to standard error.
#[derive(Args, Clone, Debug)]
pub struct Log {
    /// Levels by module, such as `info` or `warn,gemini_grpc=debug`.
    #[arg(
        long = "log",
        help_heading = "Logging",
        env = FILTER,
        default_value = "info",
        value_name = "FILTER"
    )]
    pub filter: String,

    /// A file with such levels. It takes precedence over --log, and is read again when it changes.
    #[arg(long, help_heading = "Logging", env = FILE, value_name = "FILE")]
    pub log_filter_file: Option<PathBuf>,

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

impl Log {
    /// Levels by module, and the variable that they come from.
    pub fn filter(&self) -> Result<(&'static str, String), Error> {
        match &self.log_filter_file {
            Some(path) => Ok((FILE, read(FILE, path)?.trim().to_owned())),
            None => Ok((FILTER, self.filter.clone())),
        }
    }

    pub(super) fn file(&self) -> (&'static str, Option<&PathBuf>) {
        (FILE, self.log_filter_file.as_ref())
    }
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people on a terminal, otherwise JSON.
    Auto,
    Human,
    Json,
}
