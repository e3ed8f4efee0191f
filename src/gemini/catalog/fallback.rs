//! The models that may answer in the place of one that refuses a call.

use super::Catalog;
use crate::gemini::model::ModelName;

/// The list of one row of a catalogue file, to be checked once all rows are known.
pub(super) struct GivenFallback {
    /// One of the names of the row.
    pub(super) model: ModelName,
    pub(super) names: Vec<String>,
}

impl GivenFallback {
    /// The list of the row with these names, if it has one.
    pub(super) fn of(row: &[ModelName], list: Option<Vec<String>>) -> Option<Self> {
        Some(Self { model: row.first()?.clone(), names: list? })
    }
}

impl Catalog {
    /// The models to try, in this order, if the model refuses a call before it has begun to answer; `None` if the
    /// operator names none. Their own lists do not count.
    pub fn fallbacks(&self, name: &ModelName) -> Option<&[ModelName]> {
        self.fallbacks.get(name).map(|models| &**models)
    }

    /// Sets the list of a row, for all of its names. An empty one removes it.
    ///
    /// # Errors
    ///
    /// A text is not a model name, a model is in the list twice or in its own list, or only one of two models generates
    /// images: neither could answer a request to the other.
    pub(super) fn set_fallback(&mut self, given: &GivenFallback) -> Result<(), &'static str> {
        let GivenFallback { model, names } = given;
        let mut models: Vec<ModelName> = Vec::with_capacity(names.len());
        for name in names {
            let name = ModelName::parse(name).map_err(|_| "fallback has a text that is not a model name")?;
            if self.is_same(&name, model) {
                return Err("fallback names the model itself");
            }
            if models.iter().any(|known| self.is_same(known, &name)) {
                return Err("fallback names a model twice");
            }
            if self.makes_pictures(&name) != self.makes_pictures(model) {
                return Err("fallback of an image model names image models only, and that of a text model none");
            }
            models.push(name);
        }
        for id in self.ids(model).to_vec() {
            let Ok(id) = ModelName::parse(&id) else { continue };
            match models.is_empty() {
                true => self.fallbacks.remove(&id),
                false => self.fallbacks.insert(id, models.clone().into()),
            };
        }
        Ok(())
    }

    /// Whether two names are those of one model.
    fn is_same(&self, one: &ModelName, other: &ModelName) -> bool {
        one == other || self.ids(one).iter().any(|id| id == other.as_str())
    }

    /// Whether a request to this model is one for pictures. Upstream has image models that the catalogue does not know.
    pub fn makes_pictures(&self, name: &ModelName) -> bool {
        self.find(name).is_some() || name.names_an_image_model()
    }

    /// All names of the row that has this one; empty if none has it.
    fn ids(&self, name: &ModelName) -> &[String] {
        let image = self.rows.iter().map(|row| &row.ids);
        let text = self.text.iter().map(|row| &row.ids);
        image.chain(text).find(|ids| ids.iter().any(|id| id == name.as_str())).map_or(&[], |ids| ids)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn fallbacks(catalog: &Catalog, name: &str) -> Option<Vec<String>> {
        let models = catalog.fallbacks(&ModelName::parse(name).unwrap())?;
        Some(models.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_row_names_models_to_try_for_all_of_its_names() {
        let text = r#"
            [[text_model]]
            ids = ["gemini-2.5-pro", "pro-latest"]
            fallback = ["models/gemini-2.5-flash", "gemini-9"]
            [[image_model]]
            ids = ["nano-banana-pro"]
            fallback = ["gemini-3.1-flash-image-preview", "gemini-7-image", "house-image"]
            [[image_model]]
            ids = ["house-image"]
            aspect_ratios = ["1:1"]
            "#;
        assert_eq!(fallbacks(&Catalog::default(), "gemini-2.5-pro"), None);
        let catalog = Catalog::default().extended(text).unwrap();
        for name in ["gemini-2.5-pro", "models/pro-latest"] {
            assert_eq!(fallbacks(&catalog, name).unwrap(), ["gemini-2.5-flash", "gemini-9"]);
        }
        // The built-in name of the row, which the file does not mention.
        let image = ["gemini-3.1-flash-image-preview", "gemini-7-image", "house-image"];
        assert_eq!(fallbacks(&catalog, "gemini-3-pro-image-preview").unwrap(), image);
        for name in ["gemini-2.5-flash", "house-image", "gemini-9"] {
            assert_eq!(fallbacks(&catalog, name), None, "{name}");
        }
        // A later row without a list leaves the list as it is, and an empty one removes it.
        let more = "[[text_model]]\nids = ['gemini-2.5-pro']\n";
        let kept = catalog.clone().extended(more).unwrap();
        assert_eq!(fallbacks(&kept, "pro-latest"), fallbacks(&catalog, "pro-latest"));
        assert_eq!(fallbacks(&catalog.extended(&format!("{more}fallback = []")).unwrap(), "pro-latest"), None);
    }

    #[test]
    fn a_list_that_could_not_be_followed_is_refused_with_its_row() {
        let text = "[[text_model]]\nids = ['other']\n[[text_model]]\nids = ['gemini-2.5-pro', 'pro']\nfallback = ";
        let image = "[[image_model]]\nids = ['nano-banana-pro']\nfallback = ";
        for (row, list, expected) in [
            (text, "['a/b']", "text_model 2: fallback has a text that is not a model name"),
            (text, "['a', 'a']", "text_model 2: fallback names a model twice"),
            (text, "['gemini-2.5-pro']", "text_model 2: fallback names the model itself"),
            (text, "['pro']", "text_model 2: fallback names the model itself"),
            (text, "['nano-banana-2']", "text_model 2: fallback of an image model"),
            (text, "['gemini-7-image']", "text_model 2: fallback of an image model"),
            (text, "'gemini-2.5-flash'", "invalid type"),
            (image, "['gemini-2.5-flash']", "image_model 1: fallback of an image model"),
            (image, "['gemini-3-pro-image-preview']", "image_model 1: fallback names the model itself"),
            (
                image,
                "['nano-banana-2', 'gemini-3.1-flash-image-preview']",
                "image_model 1: fallback names a model twice",
            ),
        ] {
            let error = Catalog::default().extended(&format!("{row}{list}")).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
