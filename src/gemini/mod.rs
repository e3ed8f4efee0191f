//! What Gemini is: its names, rules and JSON. Values in, values out; no I/O, no async, no clock.

pub mod code;
pub mod error_body;
pub mod events;
pub mod json;
