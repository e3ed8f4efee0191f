//! The REST face: Gemini's own API over HTTP/1.1 and HTTP/2.

/// Callers with tokens, and their limits.
mod callers;
/// A client that sends and reads the bytes of HTTP/1.
pub mod client;
/// HTTP/1 connections: shutdown, age, idle time and TLS.
mod connection;
/// Answers that are cut at any byte.
mod cut;
/// Deadlines and cancelled calls.
mod deadline;
/// Errors, by status and envelope.
mod errors;
/// HTTP/1 requests that are framed wrongly, and floods.
mod framing;
/// Limits on calls and bytes.
mod limits;
/// Upstreams with faults, and a panic.
mod misbehaviour;
/// The models, and the methods that not every upstream has.
mod models;
/// Web pages, by their origin.
mod pages;
/// The page to try the gateway.
mod playground;
/// Paths, keys, headers and bodies of requests.
mod requests;
/// Streams: the one framing that all SDKs read.
mod stream;
/// Spans and metrics.
pub mod telemetry;
/// gRPC-Web.
pub mod web;
