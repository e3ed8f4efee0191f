//! The page to try the gateway in a browser: one HTML document, and the headers that confine it.

mod document;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::header::{HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Response, StatusCode};

use self::document::DOCUMENT;

/// Headers of the page that are always the same.
const HEADERS: [(HeaderName, &str); 6] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    // A browser asks whether the page has changed, so that it never shows one of an older gateway.
    (CACHE_CONTROL, "no-cache"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The response to a request for the page. A browser that has the page already gets 304 without a body.
pub fn respond(method: &Method, headers: &HeaderMap) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    if method != Method::GET && method != Method::HEAD {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let page = &*DOCUMENT;
    response.headers_mut().extend(HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, page.policy.clone());
    response.headers_mut().insert(ETAG, page.tag.clone());
    if names(headers, &page.tag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    response.headers_mut().insert(CONTENT_LENGTH, page.body.len().into());
    if method == Method::GET {
        *response.body_mut() = page.body.clone();
    }
    response
}

/// Whether `if-none-match` names the tag (RFC 9110, 13.1.2).
fn names(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let lists = headers.get_all(IF_NONE_MATCH).iter();
    let mut tags = lists.flat_map(|list| list.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    tags.any(|given| given == b"*" || given.strip_prefix(b"W/").unwrap_or(given) == tag.as_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn get(if_none_match: &str) -> Response<Bytes> {
        respond(&Method::GET, &HeaderMap::from_iter([(IF_NONE_MATCH, if_none_match.parse().unwrap())]))
    }

    #[test]
    fn a_browser_that_has_the_page_gets_no_body() {
        let tag = get("\"another\"").headers()[ETAG].to_str().unwrap().to_owned();
        for known in [tag.clone(), format!("W/{tag}"), format!("\"another\", {tag}"), "*".to_owned()] {
            let response = get(&known);
            assert_eq!((response.status(), response.body().len()), (StatusCode::NOT_MODIFIED, 0), "{known}");
            assert!(response.headers().contains_key(CONTENT_SECURITY_POLICY));
        }
        for other in ["\"another\"", "", tag.trim_matches('"')] {
            assert_eq!(get(other).status(), StatusCode::OK, "{other}");
        }
    }

    #[test]
    fn head_has_the_headers_of_get_and_no_body() {
        let [get, head] = [Method::GET, Method::HEAD].map(|method| respond(&method, &HeaderMap::new()));
        assert_eq!(get.headers(), head.headers());
        assert_eq!(head.body().len(), 0);
        assert_eq!(get.headers()[CONTENT_LENGTH], get.body().len().to_string());
    }

    #[test]
    fn the_page_is_only_read() {
        let response = respond(&Method::POST, &HeaderMap::new());
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[ALLOW], "GET, HEAD");
    }
}
