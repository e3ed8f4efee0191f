//! What callers say beside the message.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName};

use crate::gateway::{ApiKey, Error};

const X_GOOG_API_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

const HEARTBEAT: &str = "x-heartbeat-seconds";

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

/// What the caller gives the call: at most 8 digits and a unit (gRPC over HTTP/2, Timeout).
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Error> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let expected = "1 to 8 digits and one of H, M, S, m, u, n are expected";
    let parse = |value: &[u8]| {
        let (unit, digits) = value.split_last()?;
        let fits = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
        let number: u64 = str::from_utf8(digits).ok().filter(|_| fits)?.parse().ok()?;
        Some(match unit {
            b'H' => Duration::from_secs(number * 3600),
            b'M' => Duration::from_secs(number * 60),
            b'S' => Duration::from_secs(number),
            b'm' => Duration::from_millis(number),
            b'u' => Duration::from_micros(number),
            b'n' => Duration::from_nanos(number),
            _ => return None,
        })
    };
    parse(value.as_bytes()).map(Some).ok_or(Error::Metadata { header: "grpc-timeout", expected })
}

/// How often the caller wants to hear something, in whole seconds.
pub(super) fn heartbeat(headers: &HeaderMap) -> Result<Option<Duration>, Error> {
    let Some(value) = headers.get(HEARTBEAT) else { return Ok(None) };
    let seconds = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|seconds| (1..=3600).contains(seconds));
    let seconds = seconds.ok_or(Error::Metadata { header: HEARTBEAT, expected: "1 to 3600 seconds are expected" })?;
    Ok(Some(Duration::from_secs(seconds)))
}

/// How often the caller has tried before (gRFC A6); what cannot be read is no reason to refuse the call.
pub(super) fn previous_attempts(headers: &HeaderMap) -> u32 {
    let value = headers.get("grpc-previous-rpc-attempts").and_then(|value| value.to_str().ok());
    value.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The caller's id of the request, or a new one.
pub(super) fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    match given.filter(|id| (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())) {
        Some(id) => id.into(),
        None => Arc::from(&*uuid::Uuid::new_v4().hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        for (text, expected) in [
            ("2H", Duration::from_secs(7200)),
            ("3M", Duration::from_secs(180)),
            ("600S", Duration::from_secs(600)),
            ("99999999m", Duration::from_millis(99_999_999)),
            ("5u", Duration::from_micros(5)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(timeout(&with("grpc-timeout", text)).unwrap(), Some(expected), "{text}");
        }
        assert_eq!(timeout(&HeaderMap::new()).unwrap(), None);
        for text in ["", "S", "5", "5x", "5s", "123456789S", "-1S", "+1S", "1.5S", " 1S"] {
            assert!(timeout(&with("grpc-timeout", text)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_heartbeat_is_whole_seconds() {
        assert_eq!(heartbeat(&with(HEARTBEAT, "15")).unwrap(), Some(Duration::from_secs(15)));
        for text in ["0", "3601", "-1", "1.5", "soon", ""] {
            assert!(heartbeat(&with(HEARTBEAT, text)).is_err(), "{text:?}");
        }
    }
}
