//! API keys and where they came from.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A key for upstream: visible ASCII, so that it fits into a header. It prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(Arc<str>);

/// A text that cannot be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 1 to 4096 visible ASCII characters")]
pub struct InvalidKey;

/// Whose key goes upstream: it decides who is to blame when upstream refuses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    Caller,
    Gateway,
}

impl ApiKey {
    /// The secret itself, for the one header that carries it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApiKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let fits = (1..=4096).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(text.into())) } else { Err(InvalidKey) }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(***)")
    }
}
