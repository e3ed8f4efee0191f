//! stub
#[derive(Clone, Debug)]
pub struct ModelName(String);
impl ModelName {
    pub fn parse(raw: &str) -> Result<Self, ()> {
        Ok(Self(raw.strip_prefix("models/").unwrap_or(raw).to_owned()))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
