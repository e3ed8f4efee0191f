//! The gateway as callers see it: the real server on loopback, over an upstream that answers byte for byte what a
//! test wants.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

/// Certificates and the files that they are in.
mod certificates;
/// HTTP/2 by hand.
mod frames;
/// A gateway, an upstream and a client, for the tests.
mod support;

/// The port for operators.
mod admin;
/// Answers as upstreams and relays write them.
mod answers;
/// Callers that are known, and their limits.
mod auth;
/// Calls that their callers give up.
mod cancel;
/// Certificates of clients: their names, and those that are no longer trusted.
mod client_certificates;
/// Answers that upstream packs.
mod compression;
/// What a connection may do, and for how long.
mod connection;
/// Calls that take too long.
mod deadline;
/// What is no call of gRPC.
mod door;
/// How a server stops.
mod drain;
/// IPv4 and IPv6 on one address.
mod families;
/// The bytes around a message.
mod framing;
/// Too many calls, too many bytes, too much silence.
mod limits;
/// What a call carries besides its message: keys, request ids.
mod metadata;
/// Upstreams that misbehave below what Gemini says.
mod misbehaviour;
/// A bug in one call.
mod panic;
/// Connections to an upstream that speaks HTTP/2.
mod pool;
/// Errors as upstreams and relays write them.
mod refusals;
/// Keys and certificates that are replaced while it runs.
mod reload;
/// What is tried again.
mod retry;
/// Health and reflection.
mod services;
/// What one caller may take from the others.
mod shares;
/// What callers are charged, and which places they keep.
mod spending;
/// What callers that are not known may take.
mod strangers;
/// Streams, and how they end.
mod stream;
/// TLS on both sides.
mod tls;
/// Single answers, and what may stand in their place.
mod unary;
/// Requests that are refused before anything is sent.
mod validation;
