//! What a caller sends to identify itself.

use std::fmt;
use std::str::FromStr;

use crate::upstream::{ApiKey, InvalidKey};

/// A caller's API key or token. Only `Auth` turns it into an [`ApiKey`], so a caller's token can never
/// go upstream. It prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(ApiKey);

impl Credential {
    pub(super) fn token(&self) -> &str {
        self.0.expose()
    }

    pub(super) fn into_api_key(self) -> ApiKey {
        self.0
    }
}

impl FromStr for Credential {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        text.parse().map(Self)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(***)")
    }
}
