//! The web pages that may call, by their origin (CORS).
//!
//! A browser sends the origin of a page with each request that the page makes to another server, and with each POST.
//! Without a rule, any page that a user opens could spend the gateway's key from inside the user's network. So a request
//! from an origin that is not listed is refused before anything is done. Programs send no origin.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER};
use http::{Method, Uri};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};

use crate::{face, grpc};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The headers of a response that a page may read, in addition to those of gRPC's status.
const EXPOSED: [HeaderName; 3] = [X_REQUEST_ID, RETRY_AFTER, face::MODEL_USED];
/// How long a browser may cache the response to a preflight request.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// The origins of web pages that may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// None: no web page may call.
    #[default]
    None,
    Listed(Vec<HeaderValue>),
    /// Every page of every origin. Safe only where each caller needs a key or token of its own.
    Any,
}

/// A text that is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an origin; a scheme, a host and perhaps a port are expected, such as https://app.example.com, or * alone"
)]
pub struct InvalidOrigin(String);

impl FromStr for Origins {
    type Err = InvalidOrigin;

    /// Reads a list, separated by commas.
    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let names: Vec<_> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        match names[..] {
            [] => Ok(Self::None),
            ["*"] => Ok(Self::Any),
            _ => names.iter().map(|name| origin(name)).collect::<Result<_, _>>().map(Self::Listed),
        }
    }
}

/// An origin as browsers send it: a scheme, a host in lower case, and a port unless it is that of the scheme.
fn origin(text: &str) -> Result<HeaderValue, InvalidOrigin> {
    let invalid = || InvalidOrigin(text.to_owned());
    let uri: Uri = text.parse().map_err(|_| invalid())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(invalid()) };
    let default_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return Err(invalid()),
    };
    let port = authority.port_u16().filter(|port| *port != default_port).map(|port| format!(":{port}"));
    let host = authority.host().to_lowercase();
    let is_canonical = !host.is_empty() && text == format!("{scheme}://{host}{}", port.unwrap_or_default());
    if is_canonical { HeaderValue::from_str(text).map_err(|_| invalid()) } else { Err(invalid()) }
}

/// What a request says of the page that makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No page makes it.
    NoPage,
    /// A page that may call. The response has to say so.
    Allowed,
    Refused,
}

impl Origins {
    /// Judges a request by its headers.
    pub(super) fn judge(&self, headers: &HeaderMap) -> Verdict {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else {
            // The GET of a page may have no Origin. But over HTTPS, and to localhost, browsers always send this header.
            let site = headers.get(&SEC_FETCH_SITE).map(HeaderValue::as_bytes);
            let is_of_another = matches!(site, Some(b"cross-site" | b"same-site"));
            return if is_of_another && *self != Self::Any { Verdict::Refused } else { Verdict::NoPage };
        };
        let is_allowed = match self {
            Self::None => false,
            Self::Listed(listed) => listed.contains(origin) && origins.next().is_none(),
            Self::Any => true,
        };
        if is_allowed { Verdict::Allowed } else { Verdict::Refused }
    }

    /// The layer that answers preflight requests, and lets a page read the response.
    pub(super) fn layer(&self) -> CorsLayer {
        let origins = match self {
            Self::None => AllowOrigin::list([]),
            Self::Listed(listed) => AllowOrigin::list(listed.clone()),
            Self::Any => AllowOrigin::from(Any),
        };
        CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::POST])
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(EXPOSED.into_iter().chain(grpc::STATUS_HEADERS).collect::<Vec<_>>())
            .max_age(MAX_AGE)
    }
}

impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Listed(listed) => {
                let names: Vec<_> = listed.iter().filter_map(|origin| origin.to_str().ok()).collect();
                f.write_str(&names.join(","))
            }
            Self::Any => f.write_str("*"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        all.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn an_origin_is_what_a_browser_sends() {
        for text in ["https://a.example", "http://localhost:8080", "http://[::1]:80801", "https://a.example:8443"] {
            let parsed: Result<Origins, _> = text.parse();
            assert_eq!(parsed.is_ok(), !text.ends_with("80801"), "{text}");
        }
        assert_eq!("".parse::<Origins>().unwrap(), Origins::None);
        assert_eq!(" * ".parse::<Origins>().unwrap(), Origins::Any);
        assert_eq!(
            "https://a.example, http://b.example".parse::<Origins>().unwrap().to_string(),
            "https://a.example,http://b.example"
        );
        for text in [
            "a.example",
            "https://",
            "https://a.example/",
            "https://a.example/x",
            "https://a.example?x",
            "HTTPS://a.example",
            "https://A.example",
            "https://u@a.example",
            "https://a.example:443",
            "http://a.example:80",
            "ftp://a.example",
            "null",
            "*,https://a.example",
            "https://*.example",
            "https://a.example https://b.example",
        ] {
            let parsed = text.parse::<Origins>();
            assert!(parsed.is_err() || text.contains('*'), "{text}: {parsed:?}");
        }
    }

    #[test]
    fn only_pages_of_listed_origins_may_call() {
        let listed = "https://a.example,http://localhost:3000".parse::<Origins>().unwrap();
        for (sent, expected) in [
            (&[][..], Verdict::NoPage),
            (&[("sec-fetch-mode", "cors")], Verdict::NoPage),
            (&[("sec-fetch-site", "none")], Verdict::NoPage),
            (&[("sec-fetch-site", "same-origin")], Verdict::NoPage),
            (&[("sec-fetch-site", "cross-site")], Verdict::Refused),
            (&[("sec-fetch-site", "same-site")], Verdict::Refused),
            (&[("origin", "https://a.example")], Verdict::Allowed),
            (&[("origin", "https://a.example"), ("sec-fetch-site", "cross-site")], Verdict::Allowed),
            (&[("origin", "http://localhost:3000")], Verdict::Allowed),
            (&[("origin", "http://localhost")], Verdict::Refused),
            (&[("origin", "http://a.example")], Verdict::Refused),
            (&[("origin", "https://a.example.evil")], Verdict::Refused),
            (&[("origin", "https://b.a.example")], Verdict::Refused),
            (&[("origin", "null")], Verdict::Refused),
            (&[("origin", "")], Verdict::Refused),
        ] {
            assert_eq!(listed.judge(&headers(sent)), expected, "{sent:?}");
            let (none, any) = (Origins::None.judge(&headers(sent)), Origins::Any.judge(&headers(sent)));
            let is_page = sent.iter().any(|(name, _)| *name == "origin");
            assert_eq!(none, if is_page { Verdict::Refused } else { expected }, "{sent:?}");
            assert_eq!(any, if is_page { Verdict::Allowed } else { Verdict::NoPage }, "{sent:?}");
        }
    }
}
