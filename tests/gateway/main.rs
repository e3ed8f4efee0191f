//! The gateway as callers see it: the real server on loopback, over an upstream that answers byte for byte what a
//! test wants.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

/// Certificates and the files that they are in.
mod certificates;
/// HTTP/2 by hand.
mod frames;
/// A gateway, an upstream and a client, for the tests.
mod support;

/// Answers that upstream packs.
mod compression;
/// What a connection may do, and for how long.
mod connection;
/// How a server stops.
mod drain;
/// What a call carries besides its message: keys, request ids.
mod metadata;
/// Keys and certificates that are replaced while it runs.
mod reload;
/// Health and reflection.
mod services;
/// Streams, and how they end.
mod stream;
/// TLS on both sides.
mod tls;
/// Single answers, and what may stand in their place.
mod unary;
/// Requests that are refused before anything is sent.
mod validation;
