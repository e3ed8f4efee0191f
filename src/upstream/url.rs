//! Where upstream is.

use std::fmt;

use reqwest::Url;

use super::Method;
use crate::gemini::model::ModelName;

/// The part of the URL before `/v1beta/models`.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl(Url);

impl BaseUrl {
    /// Takes an http or https URL without a query or a fragment.
    pub fn parse(text: &str) -> Option<Self> {
        let mut url = Url::parse(text).ok()?;
        let plain = url.query().is_none() && url.fragment().is_none();
        if !plain || !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return None;
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Some(Self(url))
    }

    pub(super) fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The URL of a method. A model name holds nothing that could change the path.
    pub(super) fn path(&self, model: &ModelName, method: Method) -> Url {
        let base = self.0.path().trim_end_matches('/');
        let name = match method {
            Method::GenerateContent => "generateContent",
            Method::StreamGenerateContent => "streamGenerateContent",
        };
        let mut url = self.0.clone();
        url.set_path(&format!("{base}/v1beta/models/{}:{name}", model.as_str()));
        if method == Method::StreamGenerateContent {
            url.set_query(Some("alt=sse"));
        }
        url
    }
}

/// Without what a URL may hold in secret.
impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.origin().ascii_serialization(), self.0.path())
    }
}
