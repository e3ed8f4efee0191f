//! The request headers that every protocol has.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName};

use crate::gateway::{Credential, Error};
use crate::telemetry::CallSpan;

const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The model that answered, of a call that more than one may answer (docs/models.md).
pub const MODEL_USED: HeaderName = HeaderName::from_static("x-gemini-model-used");
const HEARTBEAT: &str = "x-heartbeat-seconds";

/// Longer ids of requests are replaced, in bytes: the id is in every log line and every error.
const MAX_REQUEST_ID: usize = 128;

/// A header that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{header} cannot be used: {expected}")]
pub struct InvalidHeader {
    pub header: &'static str,
    /// What would be right, as a part of a sentence.
    pub expected: &'static str,
}

/// The caller's API key or token. `x-goog-api-key` takes precedence over `authorization`, which a service mesh may have
/// filled in; an `authorization` that is not Bearer is not meant for the gateway.
pub fn credential(headers: &HeaderMap) -> Result<Option<Credential>, Error> {
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

/// How long a stream may be silent before the caller gets a heartbeat, in whole seconds.
pub fn heartbeat(headers: &HeaderMap) -> Result<Option<Duration>, InvalidHeader> {
    let Some(value) = headers.get(HEARTBEAT) else { return Ok(None) };
    let seconds = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|seconds| (1..=3600).contains(seconds));
    let seconds = seconds.ok_or(InvalidHeader { header: HEARTBEAT, expected: "1 to 3600 seconds are expected" })?;
    Ok(Some(Duration::from_secs(seconds)))
}

/// The caller's id of the request, or a new one.
pub fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    match given.filter(|id| (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())) {
        Some(id) => id.into(),
        None => Arc::from(&*uuid::Uuid::new_v4().hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())),
    }
}

/// Adds what every response has to its headers: the id of the request, and the model that answered if that was not
/// certain.
pub fn put_common(headers: &mut HeaderMap, span: &CallSpan) {
    put_request_id(headers, span.request_id());
    put_model_used(headers, span);
}

/// Adds the model that answered, if it is known and another one could have.
pub fn put_model_used(headers: &mut HeaderMap, span: &CallSpan) {
    if let Some(Ok(model)) = span.model_used().map(|model| HeaderValue::from_str(model)) {
        headers.insert(MODEL_USED, model);
    }
}

/// Adds the id of the request to the headers of a response.
fn put_request_id(headers: &mut HeaderMap, request_id: &str) {
    if let Ok(mut value) = HeaderValue::from_str(request_id) {
        // It is never the same twice, so this keeps it out of HPACK's table (RFC 7541, 6.2.3).
        value.set_sensitive(true);
        headers.insert(X_REQUEST_ID, value);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_whole_seconds() {
        let with = |value: &str| HeaderMap::from_iter([(HeaderName::from_static(HEARTBEAT), value.parse().unwrap())]);
        assert_eq!(heartbeat(&with("15")).unwrap(), Some(Duration::from_secs(15)));
        for text in ["0", "3601", "-1", "1.5", "soon", ""] {
            assert!(heartbeat(&with(text)).is_err(), "{text:?}");
        }
    }
}
