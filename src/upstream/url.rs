//! The URL of upstream.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use reqwest::Url;

use super::target::Target;
use crate::gemini::method::Method;
use crate::gemini::model::ModelName;

/// How many URLs of calls are kept.
const MAX_RECENT_URLS: usize = 32;

/// The part of the URL before `/v1beta/models`.
#[derive(Clone, PartialEq, Eq)]
pub struct BaseUrl {
    base: Url,
    /// `{base}/v1beta/models`, without and with the query of a stream: a call adds its last segment.
    models: Url,
    models_streamed: Url,
}

impl BaseUrl {
    /// Accepts an http or https URL without user, query or fragment; the key is another setting.
    pub fn parse(text: &str) -> Option<Self> {
        // The parser follows browsers: it reads the host `gemini` in `http:///gemini` and `http:gemini`, and drops
        // blanks.
        let (_, host) = text.split_once("://")?;
        if !host.starts_with(|first: char| first.is_alphanumeric() || first == '[')
            || text.contains(char::is_whitespace)
        {
            return None;
        }
        let mut url = Url::parse(text).ok()?;
        let no_user = url.username().is_empty() && url.password().is_none();
        let plain = no_user && url.query().is_none() && url.fragment().is_none();
        if !plain || !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return None;
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        let mut models = url.clone();
        models.set_path(&format!("{path}/v1beta/models"));
        let mut models_streamed = models.clone();
        models_streamed.set_query(Some("alt=sse"));
        Some(Self { base: url, models, models_streamed })
    }

    /// The host, and the port.
    pub fn authority(&self) -> (String, u16) {
        (self.base.host_str().unwrap_or_default().to_owned(), self.base.port_or_known_default().unwrap_or_default())
    }

    pub(super) fn is_tls(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// The URL of what a request asks for.
    pub(super) fn url(&self, target: &Target<'_>) -> Url {
        match *target {
            Target::Action { model, method } => self.path(model, method),
            Target::Model(model) => self.below_models(model.as_str()),
            Target::Models { page_size, page_token } => {
                let mut url = self.models.clone();
                // 0 and an empty text mean that the caller asks for none. An empty query would leave a `?` behind.
                if page_size != 0 {
                    url.query_pairs_mut().append_pair("pageSize", &page_size.to_string());
                }
                if !page_token.is_empty() {
                    url.query_pairs_mut().append_pair("pageToken", page_token);
                }
                url
            }
        }
    }

    fn below_models(&self, segment: &str) -> Url {
        let mut url = self.models.clone();
        // Fails only for URLs that cannot have a path, such as mailto:.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push(segment);
        }
        url
    }

    /// The URL of a method. A model name contains nothing that could change the path.
    pub fn path(&self, model: &ModelName, method: Method) -> Url {
        let mut url = if method.is_streaming() { self.models_streamed.clone() } else { self.models.clone() };
        // Fails only for URLs that cannot have a path, such as mailto:.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.push(&format!("{}:{}", model.as_str(), method.action()));
        }
        url
    }
}

/// The URLs of requests. Those of recent calls are kept, because to build one parses its path again.
#[derive(Debug)]
pub(super) struct Urls {
    base: BaseUrl,
    recent: Mutex<Vec<(ModelName, Method, Url)>>,
}

impl Urls {
    pub(super) fn new(base: BaseUrl) -> Self {
        Self { base, recent: Mutex::default() }
    }

    /// The URL of what a request asks for.
    pub(super) fn url(&self, target: &Target<'_>) -> Url {
        let Target::Action { model, method } = *target else { return self.base.url(target) };
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, url)) = recent.iter().find(|(other, action, _)| *action == method && other == model) {
            return url.clone();
        }
        let url = self.base.path(model, method);
        if recent.len() == MAX_RECENT_URLS {
            recent.clear();
        }
        recent.push((model.clone(), method, url.clone()));
        url
    }
}

/// Without user, password and query, which may be secret.
impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self)
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.base.origin().ascii_serialization(), self.base.path())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_call_goes_to_its_models_path_below_the_base() {
        let model = ModelName::parse("gemini-2.5-flash").unwrap();
        for (base, shown) in [
            ("https://api.mountsea.ai/gemini", "https://api.mountsea.ai/gemini"),
            ("https://api.mountsea.ai/gemini/", "https://api.mountsea.ai/gemini"),
            ("http://[::1]:8080", "http://[::1]:8080/"),
        ] {
            let url = BaseUrl::parse(base).unwrap();
            let base = base.trim_end_matches('/');
            let path = format!("{base}/v1beta/models/gemini-2.5-flash");
            assert_eq!(url.path(&model, Method::GenerateContent).as_str(), format!("{path}:generateContent"));
            let streamed = url.path(&model, Method::StreamGenerateContent);
            assert_eq!(streamed.as_str(), format!("{path}:streamGenerateContent?alt=sse"));
            assert_eq!(format!("{url}, {url:?}"), format!("{shown}, {shown}"));
        }
    }

    #[test]
    fn a_kept_url_is_that_of_its_model_and_method() {
        let base = BaseUrl::parse("https://api.mountsea.ai/gemini").unwrap();
        let urls = Urls::new(base.clone());
        for _ in 0..2 {
            for number in 0..2 * MAX_RECENT_URLS {
                let model = ModelName::parse(&format!("model-{number}")).unwrap();
                for method in [Method::GenerateContent, Method::StreamGenerateContent] {
                    let url = urls.url(&Target::Action { model: &model, method });
                    assert_eq!(url, base.path(&model, method));
                }
                assert!(urls.recent.lock().unwrap().len() <= MAX_RECENT_URLS);
            }
        }
    }

    #[test]
    fn models_are_asked_for_below_the_base() {
        let base = BaseUrl::parse("https://api.mountsea.ai/gemini").unwrap();
        let model = ModelName::parse("models/gemini-2.5-flash").unwrap();
        let path = "https://api.mountsea.ai/gemini/v1beta/models";
        assert_eq!(base.url(&Target::Model(&model)).as_str(), format!("{path}/gemini-2.5-flash"));
        for (page_size, page_token, query) in [
            (0, "", ""),
            (5, "", "?pageSize=5"),
            (0, "a/b&c=d e", "?pageToken=a%2Fb%26c%3Dd+e"),
            (2, "x", "?pageSize=2&pageToken=x"),
        ] {
            let url = base.url(&Target::Models { page_size, page_token });
            assert_eq!(url.as_str(), format!("{path}{query}"));
        }
    }

    #[test]
    fn what_is_no_base_is_refused() {
        for text in [
            "",
            "api.mountsea.ai",
            "ftp://host/",
            "http://",
            "http:///gemini",
            "https:////gemini",
            "http:gemini",
            "http:/gemini",
            "http:\\\\gemini",
            "http://\\gemini",
            "http://:80/x",
            "http://\n/gemini",
            "http://ho\tst/gemini",
            "http://?x",
            "https://.",
            "https://host/?key=x",
            "https://host/#x",
            "https://u:p@host/",
            "https://u@host/",
            "mailto:a@b",
        ] {
            assert!(BaseUrl::parse(text).is_none(), "{text}");
        }
    }
}
