//! What the gateway keeps of a token: its SHA-256.
//!
//! A hash without salt is enough for 32 random bytes, which cannot be guessed; `gemini-grpc token` makes such tokens.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// The SHA-256 of a token. It prints as `***`: no one can call with it, but it need not be in logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

/// A text that is not 64 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("64 hex digits are expected; `gemini-grpc token --hash` prints them")]
pub struct InvalidHash;

impl TokenHash {
    /// The hash of a token.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// As the file of callers has it: 64 lower-case hex digits.
    pub fn to_hex(self) -> String {
        base16ct::lower::encode_string(&self.0)
    }

    /// Whether both are the same; it takes as long for any two.
    pub(super) fn is(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl FromStr for TokenHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let mut hash = [0; 32];
        match base16ct::mixed::decode(text, &mut hash) {
            Ok(decoded) if decoded.len() == 32 => Ok(Self(hash)),
            _ => Err(InvalidHash),
        }
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(***)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// FIPS 180-4's own example.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn it_is_sha_256_in_hex() {
        assert_eq!(TokenHash::of("abc").to_hex(), ABC);
        for text in [ABC.to_owned(), ABC.to_uppercase()] {
            assert!(bool::from(text.parse::<TokenHash>().unwrap().is(&TokenHash::of("abc"))));
        }
        assert!(!bool::from(TokenHash::of("abd").is(&TokenHash::of("abc"))));
    }

    #[test]
    fn what_is_not_64_hex_digits_is_none() {
        let sign = format!("+{}", &ABC[1..]);
        for text in ["", &ABC[1..], &format!("{ABC}0"), &sign, &"ä".repeat(32), &ABC.replace('b', "g")] {
            assert_eq!(text.parse::<TokenHash>(), Err(InvalidHash), "{text}");
        }
    }

    #[test]
    fn it_is_not_printed() {
        assert_eq!(format!("{:?}", TokenHash::of("abc")), "TokenHash(***)");
    }
}
