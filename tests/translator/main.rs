//! Compares the translator with prost-reflect, an independent implementation of proto3 JSON. The messages are generated
//! at random from the descriptors, so that no field can be forgotten.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

// What the tests are built from.

/// All messages of the contract, and which of their fields a test has covered.
mod catalogue;
/// Random choices that proptest can shrink.
mod dice;
/// Generates random messages.
mod generate;
/// Runs a property for every field of every message.
mod harness;
/// Generates wire bytes that are expensive to read for their size.
mod hostile;
/// Generates JSON that is expensive to read for its size.
mod hostile_json;
/// Writes wire bytes in the forms that protobuf allows besides the canonical one.
mod non_canonical;
/// prost-reflect, with which results are compared.
mod oracle;
/// The intended differences between the translator and proto3 JSON.
mod quirks;
/// Generates random numbers, texts and times, often extreme ones.
mod scalars;
/// Writes JSON in all spellings that are accepted.
mod spelling;
/// A message as a tree.
mod tree;
/// Writes wire bytes in canonical form.
mod wire;

// The tests.

/// The steps that hostile messages take.
mod cost;
/// Damaged wire bytes and JSON.
mod damage;
/// JSON that is passed on.
mod outline;
/// Valid wire bytes and JSON.
mod properties;
/// Responses that are damaged outside their content.
mod sidecars;
