//! The text models of the catalogue. No request is checked against them; they are listed.

use serde::Deserialize;

use super::Catalog;
use super::price::Prices;
use crate::gemini::model::ModelName;

/// A model that generates text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextModel {
    /// The names that requests may use for it.
    pub ids: Vec<String>,
    /// The most tokens of a prompt, if it is known.
    pub input_token_limit: Option<u32>,
    /// The most tokens of an answer, if it is known.
    pub output_token_limit: Option<u32>,
    /// What it costs, if the operator says it.
    pub prices: Option<Prices>,
}

/// A row of a catalogue file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileRow {
    pub(super) ids: Vec<String>,
    input_token_limit: Option<u32>,
    output_token_limit: Option<u32>,
    prices: Option<toml::Table>,
    pub(super) fallback: Option<Vec<String>>,
}

impl FileRow {
    pub(super) fn into_model(self) -> Result<TextModel, String> {
        let Self { ids, input_token_limit, output_token_limit, prices, fallback: _ } = self;
        let prices = prices.as_ref().map(Prices::from_toml).transpose()?;
        Ok(TextModel { ids, input_token_limit, output_token_limit, prices })
    }
}

/// The text models of each profile, with the limits that Google's own list has (ai.google.dev/gemini-api/docs/models).
pub(super) fn built_in() -> Vec<TextModel> {
    ["gemini-2.5-flash", "gemini-2.5-pro"]
        .map(|id| TextModel {
            ids: vec![id.to_owned()],
            input_token_limit: Some(1_048_576),
            output_token_limit: Some(65_536),
            prices: None,
        })
        .into()
}

impl Catalog {
    /// Changes the row that has one of these names, otherwise adds a new one.
    pub(super) fn add_text_model(&mut self, given: TextModel, names: &[ModelName]) {
        let ids = names.iter().map(ToString::to_string);
        let Some(known) = self.text.iter_mut().find(|row| ids.clone().any(|id| row.ids.contains(&id))) else {
            self.text.push(TextModel { ids: ids.collect(), ..given });
            return;
        };
        for id in ids {
            if !known.ids.contains(&id) {
                known.ids.push(id);
            }
        }
        known.input_token_limit = given.input_token_limit.or(known.input_token_limit);
        known.output_token_limit = given.output_token_limit.or(known.output_token_limit);
        known.prices = given.prices.or(known.prices);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_can_change_a_text_model_and_add_another() {
        let text = r#"
            [[text_model]]
            ids = ["models/gemini-2.5-pro", "pro-latest"]
            output_token_limit = 7
            [[text_model]]
            ids = ["house-model"]
            "#;
        let catalog = Catalog::default().extended(text).unwrap();
        let row = |id: &str| catalog.text.iter().find(|row| row.ids.iter().any(|known| known == id)).unwrap();
        assert_eq!(row("pro-latest").ids, ["gemini-2.5-pro", "pro-latest"]);
        assert_eq!(row("gemini-2.5-pro").input_token_limit, Some(1_048_576));
        assert_eq!(row("gemini-2.5-pro").output_token_limit, Some(7));
        assert_eq!(row("house-model").input_token_limit, None);
        assert_eq!(catalog.text.len(), 3);
    }
}
