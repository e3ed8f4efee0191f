//! stub
#[derive(Clone, Debug, Default)]
pub struct Catalog;
#[derive(Debug, thiserror::Error)]
#[error("stub")]
pub struct CatalogError;
impl Catalog {
    pub fn from_toml(_: &str) -> Result<Self, CatalogError> {
        Ok(Self)
    }
}
#[derive(Clone, Debug)]
pub struct ModelRow;
