//! What callers say beside the message.

use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName};

use crate::gateway::{ApiKey, Error};

const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A longer id is replaced: it goes into every log line and every error.
const MAX_REQUEST_ID: usize = 128;

/// The caller's own key. `x-goog-api-key` goes before `authorization`, which a mesh may have filled
/// in; an `authorization` that is not Bearer is not for us.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<ApiKey>, Error> {
    let parse = |header, bytes: &[u8]| {
        let text = str::from_utf8(bytes).map_err(|_| Error::InvalidKey { header })?;
        text.trim().parse().map(Some).map_err(|_| Error::InvalidKey { header })
    };
    if let Some(value) = headers.get(X_GOOG_API_KEY) {
        return parse("x-goog-api-key", value.as_bytes());
    }
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    match value.as_bytes().split_at_checked(7) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer ") => parse("authorization", key),
        _ => Ok(None),
    }
}

/// The caller's id of the request, or a new one.
pub(super) fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    match given.filter(|id| (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())) {
        Some(id) => id.into(),
        None => Arc::from(&*uuid::Uuid::new_v4().hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())),
    }
}
