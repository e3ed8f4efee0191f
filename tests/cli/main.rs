//! Tests of the real binary: its output and its exit codes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

/// Certificates, and files for them.
#[path = "../gateway/certificates.rs"]
mod certificates;
/// Runs the binary in a clean environment.
mod support;

/// `call`: text, pictures, tools, errors.
mod call;
/// `call --rest`: it prints what `call` prints.
mod call_rest;
/// `contract`.
mod contract;
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
/// Files that are reloaded while `serve` runs.
mod reload;
/// REST: what is in no output.
mod rest;
/// `sandbox`.
mod sandbox;
/// `serve` and `healthcheck`: where it listens, signals, health.
mod serve;
/// The page about telemetry, and the access log.
mod telemetry;
/// TLS between `serve` and the commands that call it.
mod tls;
/// `token`.
mod token;
/// `usage`.
mod usage;
