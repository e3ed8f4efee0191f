//! A gateway, an upstream and a client for the tests.

/// A running gateway, and its clients.
mod client;
/// Requests, answers and request bodies.
mod messages;
/// A running server, and its settings.
mod server;
/// The status of a call, and its details.
mod status;
/// An upstream that sends exactly the bytes that a test wants.
mod upstream;

pub use client::*;
pub use messages::*;
pub use server::*;
pub use status::*;
pub use upstream::*;
