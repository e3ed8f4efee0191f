//! Reads the headers of a request that only REST has.

use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap};

use crate::face::InvalidHeader;
use crate::gateway::{Limit, SdkLabel, TimedOut};

const TIMEOUT: &str = "x-server-timeout";
/// More digits of a timeout than any call may take.
const MAX_TIMEOUT_DIGITS: usize = 9;

/// The caller's time limit for the call, in seconds, perhaps with a fraction.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<TimedOut>, InvalidHeader> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    let parse = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |part: &str| {
            (1..=MAX_TIMEOUT_DIGITS).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        (is_number(whole) && is_number(fraction)).then_some(())?;
        Duration::try_from_secs_f64(text.parse().ok()?).ok()
    };
    let after = value.to_str().ok().and_then(|text| parse(text.trim()));
    let after = after.ok_or(InvalidHeader { header: TIMEOUT, expected: "a number of seconds is expected" })?;
    Ok(Some(TimedOut { limit: Limit::Caller { header: TIMEOUT }, after }))
}

/// The name of the caller's SDK, for upstream. A value that is not forwarded is no reason to refuse the call.
pub(super) fn sdk(headers: &HeaderMap) -> Option<SdkLabel> {
    headers.get("x-goog-api-client").and_then(SdkLabel::parse)
}

/// Whether the one content type is `application/json`, with or without parameters. A request without one is refused too:
/// SDKs always send it, and a web page can send a request without it to another origin unasked.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let value = value.as_bytes();
    if value == b"application/json" {
        return true;
    }
    let name = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    // A proxy joins several values with commas.
    !value.contains(&b',') && name.eq_ignore_ascii_case(b"application/json")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_timeout_is_a_number_of_seconds() {
        let with = |value: &str| HeaderMap::from_iter([(HeaderName::from_static(TIMEOUT), value.parse().unwrap())]);
        for (text, millis) in [("13", 13_000), ("0.5", 500), ("12.345", 12_345), (" 1 ", 1000), ("0", 0)] {
            let expected = Some(Duration::from_millis(millis));
            assert_eq!(timeout(&with(text)).unwrap().map(|limit| limit.after), expected, "{text:?}");
        }
        assert_eq!(timeout(&HeaderMap::new()).unwrap(), None);
        for text in ["", "s", "5s", "-1", "+1", "1e3", "inf", "NaN", ".5", "5.", "1.2.3", "1234567890", "0x1"] {
            assert!(timeout(&with(text)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_json_is_json() {
        let with = |values: &[&'static str]| {
            is_json(&values.iter().map(|value| (CONTENT_TYPE, HeaderValue::from_static(value))).collect())
        };
        for value in ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/json;a"] {
            assert!(with(&[value]), "{value}");
        }
        for value in
            ["", "text/plain", "application/jsonx", "application/json, text/plain", "text/plain; application/json"]
        {
            assert!(!with(&[value]), "{value}");
        }
        assert!(!with(&[]) && !with(&["application/json", "application/json"]));
    }
}
