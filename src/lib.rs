//! gemini-grpc: the Gemini REST API, served over gRPC, REST and gRPC-Web.
//!
//! Modules import downward only (docs/architecture.md).

mod cause;
pub mod cli;
pub mod config;
pub mod face;
pub mod files;
pub mod gateway;
pub mod gemini;
pub mod grpc;
pub mod memory;
pub mod page;
pub mod pb;
pub mod reason;
pub mod rest;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod server;
pub mod store;
pub mod telemetry;
pub mod upstream;
