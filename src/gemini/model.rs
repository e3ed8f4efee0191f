//! Parses model names, so that one is safe to put into the path of a URL.

use std::fmt;
use std::sync::Arc;

/// The longest model name, in bytes. Published names are much shorter.
const MAX_NAME_BYTES: usize = 256;

/// The bare name of a model, such as `gemini-2.5-flash`.
///
/// It contains only ASCII letters, digits, `.`, `_` and `-`, does not contain `..` and is not `.`, so it cannot change
/// the path that it is put into.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ModelName(Arc<str>);

/// Why a text is not a model name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidModel {
    #[error("a model is required, such as gemini-2.5-flash")]
    Empty,
    #[error("a model name has at most {MAX_NAME_BYTES} bytes")]
    TooLong,
    #[error("tuned models are not offered by the Compat API; name a base model, such as gemini-2.5-flash")]
    Tuned,
    #[error("a model name has only letters, digits, '.', '_' and '-', after an optional models/")]
    Character,
}

impl ModelName {
    /// Parses a name with or without `models/` in front, which Google's clients write.
    ///
    /// # Errors
    ///
    /// The text is not a model name; the error says why, for the caller of the API.
    pub fn parse(raw: &str) -> Result<Self, InvalidModel> {
        let name = raw.strip_prefix("models/").unwrap_or(raw);
        let is_allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        match name {
            "" => Err(InvalidModel::Empty),
            _ if name.len() > MAX_NAME_BYTES => Err(InvalidModel::TooLong),
            _ if name.starts_with("tunedModels/") => Err(InvalidModel::Tuned),
            // Dots alone would lead out of the folder of the path.
            _ if !name.bytes().all(is_allowed) || name.contains("..") || name == "." => Err(InvalidModel::Character),
            _ => Ok(Self(name.into())),
        }
    }

    /// Whether the name is one of an image model: `gemini-*-image*` or `*nano-banana*`, as Google names them.
    pub fn names_an_image_model(&self) -> bool {
        let is_gemini_image = self.0.strip_prefix("gemini-").is_some_and(|rest| rest.contains("-image"));
        is_gemini_image || self.0.contains("nano-banana")
    }

    /// The name as a shared string, which is cheap to clone.
    pub fn shared(&self) -> &Arc<str> {
        &self.0
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModelName({})", self.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_parsed_with_or_without_its_collection() {
        for raw in ["gemini-2.5-flash", "models/gemini-2.5-flash"] {
            assert_eq!(ModelName::parse(raw).unwrap().as_str(), "gemini-2.5-flash");
        }
    }

    #[test]
    fn an_image_model_is_recognized_by_its_name() {
        for (name, makes_pictures) in [
            ("gemini-2.5-flash-image", true),
            ("models/gemini-3.1-flash-lite-image", true),
            ("gemini-3-pro-image-preview-11-2026", true),
            ("gemini-2.0-flash-preview-image-generation", true),
            ("gemini-nano-banana-2.1", true),
            ("nano-banana", true),
            ("gemini-2.5-flash", false),
            ("gemini-imagine", false),
            ("imagen-4.0-generate-001", false),
            ("house-image-model", false),
        ] {
            assert_eq!(ModelName::parse(name).unwrap().names_an_image_model(), makes_pictures, "{name}");
        }
    }

    #[test]
    fn a_text_that_could_change_the_path_is_refused() {
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        for (raw, reason) in [
            ("", InvalidModel::Empty),
            ("models/", InvalidModel::Empty),
            (&long, InvalidModel::TooLong),
            ("tunedModels/mine", InvalidModel::Tuned),
            ("models/models/x", InvalidModel::Character),
            ("../../admin", InvalidModel::Character),
            ("..", InvalidModel::Character),
            (".", InvalidModel::Character),
            ("a..b", InvalidModel::Character),
            ("a/b", InvalidModel::Character),
            ("a\\b", InvalidModel::Character),
            ("a%2fb", InvalidModel::Character),
            ("a?x=1", InvalidModel::Character),
            ("a#b", InvalidModel::Character),
            ("a:generateContent", InvalidModel::Character),
            ("a b", InvalidModel::Character),
            ("a\n", InvalidModel::Character),
            ("a\0", InvalidModel::Character),
            ("gеmini", InvalidModel::Character), // a Cyrillic е
        ] {
            assert_eq!(ModelName::parse(raw), Err(reason), "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_parses_is_safe_in_a_path(raw in "\\PC{0,40}|[a-z./%?#:\\\\-]{0,20}") {
            if let Ok(name) = ModelName::parse(&raw) {
                prop_assert!(name.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)));
                prop_assert!(!name.as_str().contains("..") && name.as_str() != "." && !name.as_str().is_empty());
            }
        }
    }
}
