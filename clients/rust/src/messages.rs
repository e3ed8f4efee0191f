//! Short forms for what nearly every program writes or reads.

use crate::v1::{Content, GenerateContentResponse, Part, part::Data};

impl From<&str> for Part {
    /// A text.
    fn from(text: &str) -> Self {
        Data::Text(text.to_owned()).into()
    }
}

impl From<Data> for Part {
    fn from(data: Data) -> Self {
        Self { data: Some(data), ..Self::default() }
    }
}

impl Content {
    /// What the user says.
    pub fn user(parts: impl Into<Vec<Part>>) -> Self {
        Self { role: "user".into(), parts: parts.into(), ..Self::default() }
    }
}

impl GenerateContentResponse {
    /// The parts of the first candidate. There are none if the prompt is blocked.
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        self.candidates.iter().take(1).flat_map(|candidate| &candidate.content).flat_map(|content| &content.parts)
    }

    /// The text of the first candidate, without its thoughts. The texts of a stream's responses are to be concatenated.
    pub fn text(&self) -> String {
        let texts = self.parts().filter(|part| !part.thought).filter_map(|part| match &part.data {
            Some(Data::Text(text)) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }
}
