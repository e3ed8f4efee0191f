//! API keys of upstream.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use memchr::memmem::Finder;

/// A shorter text, in bytes, is a placeholder, such as a sandbox takes, and not a secret: it occurs in many answers.
const MIN_SECRET_BYTES: usize = 6;

/// A key for upstream: visible ASCII, so that it fits into a header. It prints as `***`.
#[derive(Clone)]
pub struct ApiKey(Arc<Secret>);

struct Secret {
    text: Box<str>,
    /// Built at the first search: most calls that bring a key of their own search for nothing.
    finder: OnceLock<Finder<'static>>,
}

/// A text that cannot be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key is 1 to 4096 visible ASCII characters")]
pub struct InvalidKey;

impl ApiKey {
    /// The secret itself, for the one header that carries it.
    pub fn expose(&self) -> &str {
        &self.0.text
    }

    /// Searches texts for the key. It is built once for all clones of a key, however many texts are searched. `None` for
    /// a key of fewer than 6 bytes, which is no secret: redacting it would only destroy answers.
    pub fn finder(&self) -> Option<&Finder<'static>> {
        let Secret { text, finder } = &*self.0;
        (text.len() >= MIN_SECRET_BYTES).then(|| finder.get_or_init(|| Finder::new(text.as_bytes()).into_owned()))
    }
}

impl PartialEq for ApiKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for ApiKey {}

impl FromStr for ApiKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        let fits = (1..=4096).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            return Err(InvalidKey);
        }
        Ok(Self(Arc::new(Secret { text: text.into(), finder: OnceLock::new() })))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(***)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_key_finds_itself_in_a_text_and_prints_as_stars() {
        let key: ApiKey = "AIza-one".parse().unwrap();
        let find = |text: &str| key.clone().finder().unwrap().find(text.as_bytes());
        assert_eq!(find("a text with AIza-one in it"), Some(12));
        assert_eq!(find("a text with AIza-two in it"), None);
        // Built or not, the search prints nothing of the key.
        assert_eq!(format!("{key:?}"), "ApiKey(***)");
        assert!(key == "AIza-one".parse().unwrap() && key != "AIza-two".parse().unwrap());
    }

    #[test]
    fn a_placeholder_is_not_searched_for() {
        assert!("dummy".parse::<ApiKey>().unwrap().finder().is_none());
    }
}
