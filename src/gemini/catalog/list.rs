//! The models of the catalogue, as Gemini's API lists them.

use serde_json::{Value, json};

use super::{Catalog, ImageModel, TextModel};
use crate::gemini::model::ModelName;

/// How many models a page has if the request sets no size, and at most (ai.google.dev/api/models).
const DEFAULT_PAGE_SIZE: usize = 50;
const MAX_PAGE_SIZE: usize = 1000;

/// A model of the catalogue under one of its names.
#[derive(Clone, Debug)]
pub struct ListedModel<'c> {
    pub name: ModelName,
    row: Row<'c>,
}

#[derive(Clone, Copy, Debug)]
enum Row<'c> {
    Text(&'c TextModel),
    Image(&'c ImageModel),
}

/// A part of the list.
#[derive(Clone, Debug)]
pub struct Page<'c> {
    models: Vec<ListedModel<'c>>,
    /// Where the next page begins; `None` on the last page.
    next: Option<String>,
}

impl Catalog {
    /// Every name of every model, those of text models first.
    pub fn listed(&self) -> impl Iterator<Item = ListedModel<'_>> {
        let text = self.text.iter().flat_map(|row| row.ids.iter().map(move |id| (id, Row::Text(row))));
        let image = self.rows.iter().flat_map(|row| row.ids.iter().map(move |id| (id, Row::Image(row))));
        text.chain(image).filter_map(|(id, row)| Some(ListedModel { name: ModelName::parse(id).ok()?, row }))
    }
}

impl<'c> Page<'c> {
    /// The page of these models that `token` names; an empty one names the first page. It is the name of the last model
    /// before the page, so it stays valid when models are added. A `size` of 0 means the default.
    ///
    /// Returns `None` if none of the models is the one that the token names.
    pub fn of(models: impl Iterator<Item = ListedModel<'c>>, size: usize, token: &str) -> Option<Self> {
        let mut models = models;
        if !token.is_empty() {
            models.find(|model| model.name.as_str() == token)?;
        }
        let size = if size == 0 { DEFAULT_PAGE_SIZE } else { size.min(MAX_PAGE_SIZE) };
        let page: Vec<_> = models.by_ref().take(size).collect();
        let next = models.next().and(page.last()).map(|last| last.name.to_string());
        Some(Self { models: page, next })
    }

    /// Gemini's JSON of the page. `methods` are those that can be called with each model.
    pub fn to_json(&self, methods: &[&str]) -> Value {
        let models: Vec<_> = self.models.iter().map(|model| model.to_json(methods)).collect();
        let mut page = json!({ "models": models });
        if let Some(next) = &self.next {
            page["nextPageToken"] = json!(next);
        }
        page
    }
}

impl ListedModel<'_> {
    /// Gemini's JSON of the model. `methods` are those that can be called with it.
    pub fn to_json(&self, methods: &[&str]) -> Value {
        let name = self.name.as_str();
        let mut model = json!({ "name": format!("models/{name}"), "displayName": name });
        let ids = match self.row {
            Row::Text(row) => &row.ids,
            Row::Image(row) => &row.ids,
        };
        if let Some(base) = ids.first().filter(|first| *first != name) {
            model["baseModelId"] = json!(base);
        }
        match self.row {
            Row::Text(row) => {
                model["description"] = json!("Generates text.");
                for (member, limit) in
                    [("inputTokenLimit", row.input_token_limit), ("outputTokenLimit", row.output_token_limit)]
                {
                    if let Some(limit) = limit {
                        model[member] = json!(limit);
                    }
                }
            }
            Row::Image(row) => {
                if !row.native.is_empty() {
                    model["displayName"] = json!(row.native);
                }
                model["description"] = json!(describe(row));
                model["aspectRatios"] = json!(row.aspect_ratios);
                model["imageSizes"] = json!(row.image_sizes);
            }
        }
        model["supportedGenerationMethods"] = json!(methods);
        model
    }
}

/// What an image model takes, for clients whose schema has no field for it.
fn describe(row: &ImageModel) -> String {
    let sizes = match &row.image_sizes[..] {
        [] => "It takes no image size".to_owned(),
        sizes => format!("Image sizes: {}", sizes.join(" ")),
    };
    format!("Generates and edits images. Aspect ratios: {}. {sizes}.", row.aspect_ratios.join(" "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(page: &Page<'_>) -> Vec<String> {
        page.models.iter().map(|model| model.name.to_string()).collect()
    }

    #[test]
    fn pages_of_any_size_make_the_whole_list() {
        let catalog = Catalog::default();
        let all: Vec<_> = catalog.listed().map(|model| model.name.to_string()).collect();
        assert_eq!(all[0], "gemini-2.5-flash");
        assert!(all.contains(&"nano-banana-pro".to_owned()) && all.len() == 8, "{all:?}");
        for size in 1..=all.len() + 1 {
            let (mut seen, mut token) = (Vec::new(), String::new());
            loop {
                let page = Page::of(catalog.listed(), size, &token).unwrap();
                assert!(page.models.len() <= size && !page.models.is_empty());
                seen.extend(names(&page));
                let Some(next) = page.next else { break };
                token = next;
            }
            assert_eq!(seen, all, "in pages of {size}");
        }
    }

    #[test]
    fn a_page_has_fifty_models_unless_another_size_is_given_and_a_thousand_at_most() {
        let rows = (0..1100).map(|i| format!("[[text_model]]\nids = [\"model-{i}\"]\n")).collect::<String>();
        let catalog = Catalog::default().extended(&rows).unwrap();
        for (size, count) in [(0, 50), (7, 7), (usize::MAX, 1000)] {
            assert_eq!(Page::of(catalog.listed(), size, "").unwrap().models.len(), count);
        }
    }

    #[test]
    fn a_token_that_names_no_model_of_the_list_is_none() {
        let catalog = Catalog::default();
        assert!(Page::of(catalog.listed(), 1, "gemini-9").is_none());
        // A caller that may not use a model has no page that begins behind it.
        let without = catalog.listed().filter(|model| model.name.as_str() != "gemini-2.5-flash");
        assert!(Page::of(without, 1, "gemini-2.5-flash").is_none());
    }

    #[test]
    fn a_model_has_what_it_takes_and_nothing_that_is_not_known() {
        let catalog = Catalog::default();
        let json = |name: &str| {
            let model = catalog.listed().find(|model| model.name.as_str() == name).unwrap();
            model.to_json(&["countTokens"])
        };
        assert_eq!(
            json("gemini-2.5-flash"),
            json!({
                "name": "models/gemini-2.5-flash",
                "displayName": "gemini-2.5-flash",
                "description": "Generates text.",
                "inputTokenLimit": 1_048_576,
                "outputTokenLimit": 65_536,
                "supportedGenerationMethods": ["countTokens"],
            })
        );
        let image = json("nano-banana-pro");
        assert_eq!(image["baseModelId"], "gemini-3-pro-image-preview");
        assert_eq!(
            (&image["displayName"], &image["imageSizes"]),
            (&json!("NanoBananaPro"), &json!(["1K", "2K", "4K"]))
        );
        assert_eq!(image["aspectRatios"].as_array().unwrap().len(), 10);
        assert_eq!(image.get("inputTokenLimit"), None);
        let plain = json("gemini-2.5-flash-image");
        assert!(plain["description"].as_str().unwrap().ends_with("9:16 21:9. It takes no image size."), "{plain}");
    }
}
