//! The query of a request: how the response is framed, and perhaps a key.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::face::InvalidHeader;
use crate::gateway::{Credential, Error, ModelsQuery};

/// How the messages of a stream are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alt {
    /// Server-sent events.
    Sse,
    /// An array of JSON.
    Json,
}

/// The framing that a query asks for.
pub(super) fn alt(query: Option<&str>) -> Result<Alt, InvalidHeader> {
    match value(query, &["alt", "$alt"]).as_deref() {
        Some("sse") => Ok(Alt::Sse),
        None | Some("json") => Ok(Alt::Json),
        Some(_) => Err(InvalidHeader { header: "alt", expected: "sse or json is expected" }),
    }
}

/// The key in a query. It must not get into any output.
pub(super) fn key(query: Option<&str>) -> Result<Option<Credential>, Error> {
    let Some(key) = value(query, &["key"]) else { return Ok(None) };
    key.trim().parse().map(Some).map_err(|_| Error::InvalidKey { header: "?key=" })
}

/// The page of the list of models that a query asks for. A parameter that is left out is 0 or empty.
pub(super) fn models(query: Option<&str>) -> Result<ModelsQuery, InvalidHeader> {
    let page_size = match value(query, &["pageSize", "page_size"]) {
        None => 0,
        Some(size) => {
            let invalid = InvalidHeader { header: "pageSize", expected: "a whole number is expected" };
            size.parse().map_err(|_| invalid)?
        }
    };
    let page_token = value(query, &["pageToken", "page_token"]).unwrap_or_default().into_owned();
    Ok(ModelsQuery::List { page_size, page_token })
}

/// The first value with one of these names, decoded once.
fn value<'q>(query: Option<&'q str>, names: &[&str]) -> Option<Cow<'q, str>> {
    let pairs = query?.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let (_, value) = pairs.into_iter().find(|(name, _)| names.contains(name))?;
    Some(percent_decode_str(value).decode_utf8_lossy())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_models_has_a_size_and_a_token() {
        for (query, size, token) in [
            (None, 0, ""),
            (Some("pageSize=7"), 7, ""),
            (Some("page_token=a%2Fb&page_size=-1&x=y"), -1, "a/b"),
            (Some("filter=x&pageToken=t&pageSize=50"), 50, "t"),
        ] {
            let expected = ModelsQuery::List { page_size: size, page_token: token.to_owned() };
            assert_eq!(models(query).unwrap(), expected, "{query:?}");
        }
        for query in ["pageSize=", "pageSize=x", "pageSize=1.5", "pageSize=99999999999"] {
            assert!(models(Some(query)).is_err(), "{query}");
        }
    }

    #[test]
    fn events_are_asked_for_by_alt() {
        for (query, expected) in [
            (None, Alt::Json),
            (Some(""), Alt::Json),
            (Some("alt=json"), Alt::Json),
            (Some("alt=sse"), Alt::Sse),
            (Some("key=k&alt=sse"), Alt::Sse),
            (Some("%24alt=sse"), Alt::Json),
            (Some("$alt=sse"), Alt::Sse),
            (Some("xalt=sse"), Alt::Json),
        ] {
            assert_eq!(alt(query).unwrap(), expected, "{query:?}");
        }
        for query in ["alt=proto", "alt=", "alt", "alt=SSE"] {
            assert!(alt(Some(query)).is_err(), "{query}");
        }
    }

    #[test]
    fn a_key_is_decoded_and_its_error_does_not_repeat_it() {
        let expected = "a+b/c=".parse::<Credential>().unwrap();
        for query in ["key=a%2Bb%2Fc%3D", "alt=sse&key=a+b/c%3D", "key=a%2bb%2fc="] {
            assert_eq!(key(Some(query)).unwrap(), Some(expected.clone()), "{query}");
        }
        assert_eq!(key(Some("alt=sse")).unwrap(), None);
        for query in ["key=", "key", "key=a%20secret", "key=secret%ff"] {
            let error = key(Some(query)).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("secret"), "{query}");
        }
    }
}
