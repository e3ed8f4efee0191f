//! The flags of the model catalogue.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

use super::Error;
use super::value::read;
use crate::gemini::catalog::{Catalog, CatalogError, Profile};

const CATALOG: &str = "GEMINI_GRPC_CATALOG";

/// The flags of the catalogue.
#[derive(Args, Clone, Debug)]
pub struct Models {
    /// The image models that are known, with their ratios and sizes: those of Mountsea's documentation, or Google's.
    #[arg(
        long,
        help_heading = "Models",
        env = "GEMINI_GRPC_CATALOG_PROFILE",
        default_value = "mountsea",
        value_name = "PROFILE"
    )]
    pub catalog_profile: CatalogProfile,

    /// A TOML file with models to add to the catalogue, or to change in it (docs/models.md).
    #[arg(long, help_heading = "Models", env = CATALOG, value_name = "FILE")]
    pub catalog: Option<PathBuf>,

    /// Ask for TEXT and IMAGE when a request to an image model names no response_modalities.
    #[arg(
        long,
        help_heading = "Models",
        env = "GEMINI_GRPC_IMAGE_DEFAULT_MODALITIES",
        action = ArgAction::Set,
        default_value_t = true,
        value_name = "BOOL",
        hide_possible_values = true
    )]
    pub image_default_modalities: bool,
}

/// Whose documentation says which image models there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CatalogProfile {
    /// Mountsea's table.
    Mountsea,
    /// Google's ids, released ones and previews.
    Google,
}

impl Models {
    pub(super) fn resolve(&self) -> Result<Catalog, Error> {
        let profile = match self.catalog_profile {
            CatalogProfile::Mountsea => Profile::Mountsea,
            CatalogProfile::Google => Profile::Google,
        };
        let built_in = Catalog::of(profile);
        let Some(path) = &self.catalog else { return Ok(built_in) };
        let text = read(CATALOG, path)?;
        built_in
            .extended(&text)
            .map_err(|error| Error::Catalog { path: path.clone(), problem: in_short(&error, &text) })
    }

    pub(super) fn file(&self) -> (&'static str, Option<&PathBuf>) {
        (CATALOG, self.catalog.as_ref())
    }
}

/// The problem in one sentence. TOML's own text shows the line as well, which is a secret if the file is the wrong one.
fn in_short(error: &CatalogError, text: &str) -> String {
    match error {
        CatalogError::Toml(toml) => {
            let before = toml.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            format!("line {}: {}", before.matches('\n').count() + 1, toml.message().trim().replace('\n', ", "))
        }
        CatalogError::Row { .. } => error.to_string(),
    }
}
