//! A small Gemini Compat API on loopback: for trying without a key, and as the upstream of the tests.
