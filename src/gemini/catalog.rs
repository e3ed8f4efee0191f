//! The models that have rules, and what each can do. Data; an operator can add to it from a file.

use serde::Deserialize;

use super::model::ModelName;

const RATIOS: [&str; 10] = ["1:1", "4:3", "3:2", "2:3", "5:4", "4:5", "3:4", "16:9", "9:16", "21:9"];
const WIDE_RATIOS: [&str; 4] = ["1:4", "4:1", "1:8", "8:1"];
const SIZES: [&str; 3] = ["1K", "2K", "4K"];

/// A model that makes pictures, and what may be asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageModel {
    /// The names it is called by; the first is Google's.
    pub ids: Vec<String>,
    /// What Mountsea routes it to.
    pub native: String,
    /// The values of `image_config.aspect_ratio`.
    pub aspect_ratios: Vec<String>,
    /// The values of `image_config.image_size`; empty if the model takes none.
    pub image_sizes: Vec<String>,
}

/// Every model with rules of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    rows: Vec<ImageModel>,
}

/// Why a catalogue file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error("{}", .0.to_string().trim_end())]
    Toml(#[from] toml::de::Error),
    #[error("image_model {row}: {problem}")]
    Row { row: usize, problem: &'static str },
}

impl Default for Catalog {
    /// The image models of Mountsea's documentation.
    fn default() -> Self {
        let row = |google: &str, id: &str, native: &str, wide: bool, sizes: &[&str]| ImageModel {
            ids: vec![google.to_owned(), id.to_owned()],
            native: native.to_owned(),
            aspect_ratios: RATIOS.iter().chain(WIDE_RATIOS.iter().filter(|_| wide)).map(ToString::to_string).collect(),
            image_sizes: sizes.iter().map(ToString::to_string).collect(),
        };
        Self {
            rows: vec![
                row("gemini-2.5-flash-image", "nano-banana-fast", "NanoBananaFast", false, &[]),
                row("gemini-3.1-flash-image-preview", "nano-banana-2", "NanoBanana2", true, &SIZES),
                row("gemini-3-pro-image-preview", "nano-banana-pro", "NanoBananaPro", false, &SIZES),
            ],
        }
    }
}

/// The form of a catalogue file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    image_model: Vec<FileRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRow {
    ids: Vec<String>,
    native: Option<String>,
    aspect_ratios: Option<Vec<String>>,
    image_sizes: Option<Vec<String>>,
}

impl Catalog {
    /// The built-in rows with those of an operator's TOML file (docs/models.md). A row that shares an id with a known
    /// one changes it; any other is new.
    pub fn from_toml(text: &str) -> Result<Self, CatalogError> {
        let file: File = toml::from_str(text)?;
        let mut catalog = Self::default();
        for (row, given) in file.image_model.into_iter().enumerate() {
            let fault = |problem| CatalogError::Row { row: row + 1, problem };
            let names = given.ids.iter().map(|id| ModelName::parse(id)).collect::<Result<Vec<_>, _>>();
            let names = names.map_err(|_| fault("an id is not a model name"))?;
            if names.is_empty() {
                return Err(fault("ids must name the model"));
            }
            match catalog.rows.iter_mut().find(|known| names.iter().any(|name| known.is(name))) {
                Some(known) => known.change(given, &names),
                None => catalog.rows.push(given.into_new(&names).map_err(fault)?),
            }
        }
        Ok(catalog)
    }

    /// The row of a model, if it has one.
    pub fn find(&self, name: &ModelName) -> Option<&ImageModel> {
        self.rows.iter().find(|row| row.is(name))
    }

    pub fn rows(&self) -> &[ImageModel] {
        &self.rows
    }
}

impl ImageModel {
    fn is(&self, name: &ModelName) -> bool {
        self.ids.iter().any(|id| id == name.as_str())
    }

    fn change(&mut self, given: FileRow, names: &[ModelName]) {
        for name in names {
            if !self.is(name) {
                self.ids.push(name.to_string());
            }
        }
        self.native = given.native.unwrap_or(std::mem::take(&mut self.native));
        self.aspect_ratios = given.aspect_ratios.unwrap_or(std::mem::take(&mut self.aspect_ratios));
        self.image_sizes = given.image_sizes.unwrap_or(std::mem::take(&mut self.image_sizes));
    }
}

impl FileRow {
    fn into_new(self, names: &[ModelName]) -> Result<ImageModel, &'static str> {
        Ok(ImageModel {
            ids: names.iter().map(ToString::to_string).collect(),
            native: self.native.unwrap_or_default(),
            aspect_ratios: self.aspect_ratios.ok_or("a new model needs aspect_ratios")?,
            image_sizes: self.image_sizes.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn find<'c>(catalog: &'c Catalog, name: &str) -> Option<&'c ImageModel> {
        catalog.find(&ModelName::parse(name).unwrap())
    }

    #[test]
    fn a_model_is_found_by_googles_name_and_by_its_native_one() {
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
    fn a_file_changes_a_row_and_adds_another() {
        let catalog = Catalog::from_toml(
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
        assert_eq!((pro.native.as_str(), pro.aspect_ratios.len()), ("NanoBananaPro", RATIOS.len()));
        assert_eq!(find(&catalog, "new-image").unwrap().aspect_ratios, ["1:1"]);
    }

    #[test]
    fn a_broken_file_is_refused_with_the_place() {
        for (text, says) in [
            ("[[image_model]]\nids = []", "image_model 1: ids must name the model"),
            ("[[image_model]]\nids = [\"a/b\"]", "image_model 1: an id is not a model name"),
            ("[[image_model]]\nids = [\"a\"]", "image_model 1: a new model needs aspect_ratios"),
            ("[[image_model]]\nids = [\"a\"]\nratios = 1", "unknown field `ratios`"),
            ("image_model = 3", "invalid type"),
        ] {
            let error = Catalog::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn the_documentation_shows_the_data() {
        let documented = include_str!("../../docs/models.md");
        for row in Catalog::default().rows() {
            let sizes = if row.image_sizes.is_empty() { "none".to_owned() } else { row.image_sizes.join(" ") };
            let line = format!(
                "| `{}` | `{}` | {} | {} | {sizes} |",
                row.ids[0],
                row.ids[1],
                row.native,
                row.aspect_ratios.join(" ")
            );
            assert!(documented.contains(&line), "docs/models.md lacks {line}");
        }
    }
}
