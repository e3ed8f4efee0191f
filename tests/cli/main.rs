//! The real binary: its output and its exit codes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

/// Certificates and the files that they are in.
#[path = "../gateway/certificates.rs"]
mod certificates;
/// Runs the binary in a clean environment, and ends what it started.
mod support;

/// `call`: text, pictures, tools, errors.
mod call;
/// `demo`.
mod demo;
/// Checks the pages against the program.
mod documentation;
/// Open files.
#[cfg(target_os = "linux")]
mod files;
/// `--help`.
mod help;
/// Mistakes in flags, variables and files.
mod mistakes;
/// `serve` behind a proxy.
mod proxy;
/// Files that are read again while `serve` runs.
mod reload;
/// `sandbox`.
mod sandbox;
/// `serve` and `healthcheck`: where it listens, signals, health.
mod serve;
/// Telemetry of calls.
mod telemetry;
/// TLS between `serve` and the commands that call it.
mod tls;
/// `token`.
mod token;
