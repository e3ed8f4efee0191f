//! Which models a caller may use.

use crate::gemini::model::ModelName;

/// A name of a model, or the beginning of names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pattern {
    Name(ModelName),
    /// `gemini-2.5-*`, without its star.
    Prefix(String),
}

impl Pattern {
    /// Takes a name, with `*` at its end or without, and with `models/` before it or without.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let Some(start) = text.strip_suffix('*') else { return ModelName::parse(text).ok().map(Self::Name) };
        let start = start.strip_prefix("models/").unwrap_or(start);
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        start.bytes().all(plain).then(|| Self::Prefix(start.to_owned()))
    }

    pub(super) fn fits(&self, model: &ModelName) -> bool {
        match self {
            Self::Name(name) => name == model,
            Self::Prefix(start) => model.as_str().starts_with(start),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_end() {
        for (pattern, name, fits) in [
            ("gemini-2.5-*", "gemini-2.5-flash", true),
            ("gemini-2.5-*", "gemini-2.5-", true),
            ("gemini-2.5-*", "gemini-2.5", false),
            ("gemini-2.5-*", "gemini-3-pro", false),
            ("models/gemini-2.5-*", "models/gemini-2.5-flash", true),
            ("gemini-2.5-flash", "gemini-2.5-flash", true),
            ("models/gemini-2.5-flash", "gemini-2.5-flash", true),
            ("gemini-2.5-flash", "gemini-2.5-flash-lite", false),
            ("gemini-2.5-flash", "Gemini-2.5-Flash", false),
            ("*", "anything", true),
        ] {
            let model = ModelName::parse(name).unwrap();
            assert_eq!(Pattern::parse(pattern).unwrap().fits(&model), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn a_star_elsewhere_is_no_pattern() {
        for text in ["", "*-flash", "gemini-*-flash", "gemini-**", "a b", "a/*", "tunedModels/*", "gemini-?"] {
            assert_eq!(Pattern::parse(text), None, "{text}");
        }
    }
}
