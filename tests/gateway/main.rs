//! The gateway as callers see it: the real server on loopback, over an upstream that answers byte for byte what a
//! test wants.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

/// A gateway, an upstream and a client, for the tests.
mod support;

/// Calls that their callers give up.
mod cancel;
/// Answers that upstream packs.
mod compression;
/// Calls that take too long.
mod deadline;
/// Too many calls, too many bytes, too much silence.
mod limits;
/// What a call carries besides its message: keys, request ids.
mod metadata;
/// Upstreams that misbehave below what Gemini says.
mod misbehaviour;
/// A bug in one call.
mod panic;
/// What is tried again.
mod retry;
/// Health and reflection.
mod services;
/// Streams, and how they end.
mod stream;
/// Single answers, and what may stand in their place.
mod unary;
/// Requests that are refused before anything is sent.
mod validation;
