//! The part of OpenTelemetry's environment variables that its Rust SDK leaves to the program.
//!
//! Samplers, limits and intervals are read by the SDK itself, and so are batches of logs, and headers and compression of
//! metrics and logs. What is here, and what would end it:
//!
//! - `flags`: on and off, the choice of exporters and propagators, and what is captured. Until the SDK configures itself
//!   (open-telemetry/opentelemetry-rust#890, and #1936 for `OTEL_SDK_DISABLED`).
//! - `otlp`: the address of a collector and its TLS files, until the OTLP exporter reads the files (#774); headers,
//!   compression and batches of spans, which we export ourselves.
//! - `environment`: refuses values that the SDK cannot use. It stays: the specification wants the SDK to go on with its
//!   default, and a server that starts with a misspelt sampler would export everything.

mod environment;
mod flags;
mod otlp;

pub use self::flags::Telemetry;
