//! Tests of the real server on loopback, as callers see it, with an upstream that sends exactly the bytes that a test
//! wants.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

/// Certificates, and files for them.
mod certificates;
/// A client that sends HTTP/2 frames one by one.
mod frames;
/// A gateway, an upstream and a client for the tests.
mod support;

/// The port for operators.
mod admin;
/// Answers with the faults of known upstreams.
mod answers;
/// Callers with tokens, and their limits.
mod auth;
/// Budgets of callers, and prices of models.
mod budgets;
/// Cancelled calls.
mod cancel;
/// Client certificates: names and revocation.
mod client_certificates;
/// Compressed answers.
mod compression;
/// HTTP/2 connections: settings, age, pings.
mod connection;
/// The RPC `CountTokens`.
mod count_tokens;
/// Deadlines and timeouts.
mod deadline;
/// Requests that are not gRPC.
mod door;
/// Shutdown.
mod drain;
/// The RPCs that make vectors.
mod embeddings;
/// Models in the place of others.
mod fallback;
/// IPv4 and IPv6 on one address.
mod families;
/// The framing of a message.
mod framing;
/// Calls whose bytes are written down in files.
mod golden;
/// A pool of upstream keys.
mod keys;
/// Limits on calls and bytes, and heartbeats.
mod limits;
/// Load reports for clients that balance by them.
mod load_reports;
/// Keys, request ids and other metadata.
mod metadata;
/// Upstreams with faults in HTTP and TCP.
mod misbehaviour;
/// The service that describes models.
mod models;
/// A panic in one call.
mod panic;
/// Connections to an upstream that speaks HTTP/2.
mod pool;
/// Errors of upstream.
mod refusals;
/// Keys and certificates that are replaced while the server runs.
mod reload;
/// The REST face.
mod rest;
/// Retries.
mod retry;
/// Health and reflection.
mod services;
/// Limits that keep one caller from harming others.
mod shares;
/// The tokens and places that a caller is charged for.
mod spending;
/// Limits on clients without a call: health, reflection, connections.
mod strangers;
/// Streams.
mod stream;
/// TLS of both sides.
mod tls;
/// Unary answers, and what can arrive instead of them.
mod unary;
/// Requests that are refused before anything is sent.
mod validation;
/// How connections are spread over workers.
mod workers;
