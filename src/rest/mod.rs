//! The REST face: Gemini's own API, for the official SDKs and everything else that calls it by HTTP.
//!
//! `service` serves a call, `route` reads its path, `headers` and `upload` its head and body, `framing` writes its
//! response, and `error` renders what failed.

mod body;
mod error;
mod framing;
mod headers;
mod query;
mod route;
mod service;
mod unserved;
mod upload;

pub use self::body::Body;
#[cfg(test)]
pub(crate) use self::error::rows;
pub use self::service::{ResponseFuture, Rest};
