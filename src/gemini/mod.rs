//! Everything about Gemini itself: model names, rules, JSON, events and errors. Pure functions: no I/O, no async, no
//! clock.

pub mod catalog;
pub mod code;
pub mod error_body;
pub mod events;
pub mod json;
pub mod method;
pub mod model;
pub mod steps;
pub mod validate;
pub mod view;
pub mod wire;
