//! stub
use super::{
    catalog::{Catalog, ModelRow},
    model::ModelName,
    view::RequestView,
};
#[derive(Debug, thiserror::Error)]
#[error("invalid")]
pub struct Violations(pub Vec<Violation>);
#[derive(Debug)]
pub struct Violation {
    pub field: String,
    pub description: String,
    pub reason: &'static str,
}
impl Violations {
    pub fn iter(&self) -> std::slice::Iter<'_, Violation> {
        self.0.iter()
    }
}
#[derive(Debug)]
pub struct Options {
    pub image_default_modalities: bool,
}
#[derive(Debug)]
pub struct Valid<'c> {
    pub name: ModelName,
    pub row: Option<&'c ModelRow>,
    pub default_modalities: bool,
}
pub fn validate<'c>(r: &RequestView, _: &'c Catalog, _: &Options) -> Result<Valid<'c>, Violations> {
    Ok(Valid {
        name: ModelName::parse(&r.model).map_err(|_| Violations(vec![]))?,
        row: None,
        default_modalities: false,
    })
}
