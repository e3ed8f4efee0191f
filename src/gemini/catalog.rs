//! The catalogue of models that are listed, some of which have rules of their own. It is data, and an operator can
//! extend it with a file.

mod fallback;
mod list;
pub mod price;
mod profile;
mod text;

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;

use self::fallback::GivenFallback;
pub use self::list::{ListedModel, Page};
use self::price::Prices;
pub use self::profile::Profile;
pub use self::text::TextModel;
use super::model::ModelName;

/// A model that generates images, and the options that it accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageModel {
    /// The names that requests may use for it.
    pub ids: Vec<String>,
    /// The name of the model that Mountsea routes it to; empty if there is none.
    pub native: String,
    /// The allowed values of `image_config.aspect_ratio`.
    pub aspect_ratios: Vec<String>,
    /// The allowed values of `image_config.image_size`; empty if the model does not accept any.
    pub image_sizes: Vec<String>,
    /// What it costs, if the operator says it.
    pub prices: Option<Prices>,
}

/// All models that are listed. Those that generate images have rules of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    rows: Vec<ImageModel>,
    text: Vec<TextModel>,
    /// The prices of the models that have some, by each of their names.
    prices: HashMap<String, Prices>,
    /// By every name of a model that has some.
    fallbacks: HashMap<ModelName, Arc<[ModelName]>>,
}

/// Why a catalogue file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("{}", .0.to_string().trim_end())]
    Toml(#[from] toml::de::Error),
    #[error("{table} {row}: {problem}")]
    Row { table: &'static str, row: usize, problem: String },
}

impl Default for Catalog {
    /// The image models in Mountsea's documentation.
    fn default() -> Self {
        Self::of(Profile::default())
    }
}

/// The format of a catalogue file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    image_model: Vec<FileRow>,
    #[serde(default)]
    text_model: Vec<text::FileRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRow {
    ids: Vec<String>,
    native: Option<String>,
    aspect_ratios: Option<Vec<String>>,
    image_sizes: Option<Vec<String>>,
    prices: Option<toml::Table>,
    fallback: Option<Vec<String>>,
}

impl Catalog {
    /// The built-in rows of a profile.
    pub fn of(profile: Profile) -> Self {
        Self { rows: profile.rows(), text: text::built_in(), prices: HashMap::new(), fallbacks: HashMap::new() }
    }

    /// This catalogue extended by the rows of an operator's TOML file (docs/models.md). A row with an id that is known
    /// changes the known row; any other row is added.
    ///
    /// # Errors
    ///
    /// The file is not valid TOML, or a row is not usable.
    pub fn extended(mut self, text: &str) -> Result<Self, CatalogError> {
        let file: File = toml::from_str(text)?;
        let mut fallbacks = Vec::new();
        for (row, mut given) in file.image_model.into_iter().enumerate() {
            let row_error = |problem: String| CatalogError::Row { table: "image_model", row: row + 1, problem };
            let names = names(&given.ids).map_err(|problem| row_error(problem.into()))?;
            let prices = given.prices.as_ref().map(Prices::from_toml).transpose().map_err(row_error)?;
            fallbacks.extend(GivenFallback::of(&names, given.fallback.take()).map(|given| ("image_model", row, given)));
            match self.rows.iter_mut().find(|known| names.iter().any(|name| known.has_id(name))) {
                Some(known) => known.change(given, prices, &names),
                None => self.rows.push(given.into_new(prices, &names).map_err(|problem| row_error(problem.into()))?),
            }
        }
        for (row, mut given) in file.text_model.into_iter().enumerate() {
            let row_error = |problem: String| CatalogError::Row { table: "text_model", row: row + 1, problem };
            let names = names(&given.ids).map_err(|problem| row_error(problem.into()))?;
            if names.iter().any(|name| self.find(name).is_some()) {
                return Err(row_error("an id is that of an image model".into()));
            }
            fallbacks.extend(GivenFallback::of(&names, given.fallback.take()).map(|given| ("text_model", row, given)));
            self.add_text_model(given.into_model().map_err(row_error)?, &names);
        }
        let image = self.rows.iter().map(|row| (&row.ids, row.prices));
        let rows = image.chain(self.text.iter().map(|row| (&row.ids, row.prices)));
        let priced = rows.filter_map(|(ids, prices)| Some((ids, prices?)));
        self.prices = priced.flat_map(|(ids, prices)| ids.iter().map(move |id| (id.clone(), prices))).collect();
        // After all rows, because a list may name the models of later ones.
        for (table, row, given) in fallbacks {
            let row_error = |problem: &str| CatalogError::Row { table, row: row + 1, problem: problem.into() };
            self.set_fallback(&given).map_err(row_error)?;
        }
        Ok(self)
    }

    /// What a model costs, if the catalogue says it.
    pub fn prices(&self, name: &str) -> Option<Prices> {
        // Without prices the map is empty, and an empty map does not even hash the name.
        self.prices.get(name).copied()
    }

    /// The row of a model, if it has rules of its own.
    pub fn find(&self, name: &ModelName) -> Option<&ImageModel> {
        self.rows.iter().find(|row| row.has_id(name))
    }

    /// All rows, the built-in ones first.
    pub fn rows(&self) -> &[ImageModel] {
        &self.rows
    }
}

/// The names in a row.
fn names(ids: &[String]) -> Result<Vec<ModelName>, &'static str> {
    let names = ids.iter().map(|id| ModelName::parse(id)).collect::<Result<Vec<_>, _>>();
    match names.map_err(|_| "an id is not a model name")? {
        names if names.is_empty() => Err("ids must name the model"),
        names => Ok(names),
    }
}

impl ImageModel {
    /// Whether this is the row of the model with this name.
    fn has_id(&self, name: &ModelName) -> bool {
        self.ids.iter().any(|id| id == name.as_str())
    }

    fn change(&mut self, given: FileRow, prices: Option<Prices>, names: &[ModelName]) {
        for name in names {
            if !self.has_id(name) {
                self.ids.push(name.to_string());
            }
        }
        self.native = given.native.unwrap_or(std::mem::take(&mut self.native));
        self.aspect_ratios = given.aspect_ratios.unwrap_or(std::mem::take(&mut self.aspect_ratios));
        self.image_sizes = given.image_sizes.unwrap_or(std::mem::take(&mut self.image_sizes));
        self.prices = prices.or(self.prices);
    }
}

impl FileRow {
    fn into_new(self, prices: Option<Prices>, names: &[ModelName]) -> Result<ImageModel, &'static str> {
        Ok(ImageModel {
            ids: names.iter().map(ToString::to_string).collect(),
            native: self.native.unwrap_or_default(),
            aspect_ratios: self.aspect_ratios.ok_or("a new model needs aspect_ratios")?,
            image_sizes: self.image_sizes.unwrap_or_default(),
            prices,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::price::Billable;
    use super::*;

    fn find<'c>(catalog: &'c Catalog, name: &str) -> Option<&'c ImageModel> {
        catalog.find(&ModelName::parse(name).unwrap())
    }

    #[test]
    fn a_model_is_found_by_googles_name_and_by_its_native_name() {
        let catalog = Catalog::default();
        for (google, native_id, native) in [
            ("gemini-2.5-flash-image", "nano-banana-fast", "NanoBananaFast"),
            ("gemini-3.1-flash-image-preview", "nano-banana-2", "NanoBanana2"),
            ("gemini-3-pro-image-preview", "nano-banana-pro", "NanoBananaPro"),
        ] {
            assert_eq!(find(&catalog, google).unwrap().native, native);
            assert_eq!(find(&catalog, google), find(&catalog, native_id));
        }
        assert_eq!(find(&catalog, "gemini-2.5-flash"), None);
    }

    #[test]
    fn a_file_can_change_a_row_and_add_another() {
        let catalog = Catalog::default()
            .extended(
                r#"
            [[image_model]]
            ids = ["nano-banana-pro", "pro-latest"]
            image_sizes = ["1K", "8K"]
            [[image_model]]
            ids = ["new-image"]
            aspect_ratios = ["1:1"]
            "#,
            )
            .unwrap();
        let pro = find(&catalog, "pro-latest").unwrap();
        assert_eq!(pro.image_sizes, ["1K", "8K"]);
        assert_eq!((pro.native.as_str(), pro.aspect_ratios.len()), ("NanoBananaPro", 10));
        assert_eq!(find(&catalog, "new-image").unwrap().aspect_ratios, ["1:1"]);
    }

    #[test]
    fn a_file_extends_the_chosen_profile() {
        let text = "[[image_model]]\nids = [\"gemini-nano-banana-2.1\"]\nimage_sizes = [\"8K\"]";
        let google = Catalog::of(Profile::Google).extended(text).unwrap();
        let row = find(&google, "gemini-nano-banana-2.1").unwrap();
        assert_eq!((row.image_sizes.join(" "), row.aspect_ratios.len()), ("8K".to_owned(), 14));
        assert!(find(&google, "gemini-3-pro-image").is_some());
        // Mountsea's profile does not know the model, so the row would be new and lacks ratios.
        assert!(Catalog::default().extended(text).is_err());
    }

    #[test]
    fn only_the_flash_model_takes_512_under_googles_profile() {
        let google = Catalog::of(Profile::Google);
        let with_512: Vec<&str> = google
            .rows()
            .iter()
            .filter(|row| row.image_sizes.iter().any(|size| size == "512"))
            .flat_map(|row| row.ids.iter().map(String::as_str))
            .collect();
        assert_eq!(with_512, ["gemini-3.1-flash-image", "gemini-3.1-flash-image-preview"]);
        assert_eq!(find(&google, "models/gemini-3.1-flash-lite-image").unwrap().image_sizes, ["1K"]);
    }

    #[test]
    fn a_model_has_its_prices_under_each_of_its_names() {
        let catalog = Catalog::default()
            .extended(
                r#"
            [[image_model]]
            ids = ["nano-banana-pro", "pro-latest"]
            prices = { input = 2, output = 120.0 }
            [[text_model]]
            ids = ["gemini-2.5-pro"]
            prices = { input = 9 }
            [[text_model]]
            ids = ["gemini-2.5-pro"]
            prices = { input = 1.25, output = 10 }
            [[text_model]]
            ids = ["gemini-2.5-pro", "pro"]
            "#,
            )
            .unwrap();
        let cost = |name| {
            let prices = catalog.prices(ModelName::parse(name).unwrap().as_str())?;
            Some(prices.cost(&Billable { input: 1_000_000, output: 1_000_000, ..Billable::default() }).to_string())
        };
        for name in ["gemini-3-pro-image-preview", "nano-banana-pro", "models/pro-latest"] {
            assert_eq!(cost(name).as_deref(), Some("122"), "{name}");
        }
        // The last row that has prices counts, as a whole.
        assert_eq!(cost("gemini-2.5-pro").as_deref(), Some("11.25"));
        assert_eq!(cost("pro").as_deref(), Some("11.25"));
        assert_eq!((cost("gemini-2.5-flash"), cost("unknown")), (None, None));
        assert_eq!(Catalog::default().prices("gemini-2.5-pro"), None);
    }

    #[test]
    fn an_error_in_a_file_says_which_row_it_is_in() {
        for (text, expected) in [
            ("[[image_model]]\nids = []", "image_model 1: ids must name the model"),
            ("[[image_model]]\nids = [\"a/b\"]", "image_model 1: an id is not a model name"),
            ("[[image_model]]\nids = [\"a\"]", "image_model 1: a new model needs aspect_ratios"),
            ("[[text_model]]\nids = []", "text_model 1: ids must name the model"),
            ("[[text_model]]\nids = [\"nano-banana-pro\"]", "text_model 1: an id is that of an image model"),
            ("[[text_model]]\nids = [\"a\"]\ninput_token_limit = -1", "invalid value"),
            ("[[image_model]]\nids = [\"a\"]\nratios = 1", "unknown field `ratios`"),
            ("image_model = 3", "invalid type"),
            ("[[image_model]]\nids = [\"a\"]\nprices = {}", "image_model 1: prices: at least one price is expected"),
            ("[[text_model]]\nids = [\"a\"]\nprices = 3", "invalid type"),
            (
                "[[text_model]]\nids = [\"a\"]\n[[text_model]]\nids = [\"b\"]\nprices = { input = -1 }",
                "text_model 2: prices.input: ",
            ),
        ] {
            let error = Catalog::default().extended(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
