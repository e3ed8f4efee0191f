//! Flags and environment, read once.
