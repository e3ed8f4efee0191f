//! The request headers that only gRPC has.

use std::time::Duration;

use http::header::HeaderMap;

use crate::face::InvalidHeader;
use crate::gateway::{Limit, TimedOut};

const TIMEOUT: &str = "grpc-timeout";

/// The caller's time limit for the call: at most 8 digits and a unit (gRPC over HTTP/2, "Timeout").
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<TimedOut>, InvalidHeader> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
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
    let after = parse(value.as_bytes()).ok_or(InvalidHeader { header: TIMEOUT, expected })?;
    Ok(Some(TimedOut { limit: Limit::Caller { header: TIMEOUT }, after }))
}

/// How often the caller has tried before (gRFC A6). A value that cannot be read is no reason to refuse the call.
pub(super) fn previous_attempts(headers: &HeaderMap) -> u32 {
    let value = headers.get("grpc-previous-rpc-attempts").and_then(|value| value.to_str().ok());
    value.and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        let with = |value: &str| {
            let name = http::HeaderName::from_static(TIMEOUT);
            HeaderMap::from_iter([(name, value.parse().unwrap())])
        };
        for (text, expected) in [
            ("2H", Duration::from_secs(7200)),
            ("3M", Duration::from_secs(180)),
            ("600S", Duration::from_secs(600)),
            ("99999999m", Duration::from_millis(99_999_999)),
            ("5u", Duration::from_micros(5)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(timeout(&with(text)).unwrap().map(|limit| limit.after), Some(expected), "{text}");
        }
        assert_eq!(timeout(&HeaderMap::new()).unwrap(), None);
        for text in ["", "S", "5", "5x", "5s", "123456789S", "-1S", "+1S", "1.5S", " 1S"] {
            assert!(timeout(&with(text)).is_err(), "{text:?}");
        }
    }
}
