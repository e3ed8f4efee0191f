//! The call: check, forward, watch; whoever asks.
