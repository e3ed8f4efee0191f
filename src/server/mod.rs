//! The front door: listeners and workers.
