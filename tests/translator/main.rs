//! The translator against prost-reflect, which knows proto3 JSON from somebody else's hand. The messages are made at
//! random from the descriptors, so that no field can be forgotten.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

/// Which messages there are, and which of their fields were seen.
mod catalogue;
/// Random choices that shrink.
mod dice;
/// Random messages.
mod grow;
/// Runs a property over every field of every message.
mod harness;
/// Wire bytes that cost a careless reader more than their size.
mod hostile;
/// JSON that does.
mod hostile_json;
/// Wire bytes in the other forms that protobuf allows.
mod loose;
/// prost-reflect.
mod oracle;
/// Where the translator differs from proto3 JSON on purpose.
mod quirks;
/// Numbers, texts and times, with a liking for the extreme.
mod scalars;
/// JSON in the other spellings that are accepted.
mod spell;
/// A message as a tree.
mod tree;
/// Wire bytes in canonical form.
mod wire;

/// What hostile messages cost.
mod cost;
/// Wire bytes and JSON that are broken.
mod damage;
/// Wire bytes and JSON that are sound.
mod properties;
/// Answers that are damaged beside their content.
mod sidecars;
