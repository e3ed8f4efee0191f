//! The REST face: Gemini's own API, for the official SDKs and everything else that calls it by HTTP.
//!
//! `service` serves a call, `route` reads its path, `request` its head and body, `framing` writes its response, and
//! `error` renders what failed.

mod body;
mod error;
mod framing;
mod query;
mod request;
mod route;
mod service;
mod unserved;

pub use self::body::Body;
pub use self::service::{ResponseFuture, Rest};
