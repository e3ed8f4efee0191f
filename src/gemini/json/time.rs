//! Reads and writes the JSON forms of `Duration` (`1.500s`) and `Timestamp` (RFC 3339), within the ranges of protobuf
//! (protobuf.dev/programming-guides/json).

use std::io::Write as _;

use prost_types::{Duration, Timestamp};

use super::error::{Error, Problem};
use super::output::Output;

const NANOS_PER_SECOND: i32 = 1_000_000_000;
/// 10,000 years.
const MAX_DURATION_SECONDS: i64 = 315_576_000_000;
/// 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z, in Unix seconds.
const TIMESTAMP_SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// Writes a duration as a JSON string. Fails if it is out of range.
pub(super) fn put_duration(out: &mut impl Output, seconds: i64, nanos: i32) -> Result<(), Error> {
    let opposed = (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0);
    if opposed
        || seconds.unsigned_abs() > MAX_DURATION_SECONDS as u64
        || nanos.unsigned_abs() >= NANOS_PER_SECOND as u32
    {
        return Err(Problem::Duration.into());
    }
    put(out, Duration { seconds, nanos })
}

/// Writes a time as a JSON string, in UTC. Fails if it is out of range.
pub(super) fn put_timestamp(out: &mut impl Output, seconds: i64, nanos: i32) -> Result<(), Error> {
    if !TIMESTAMP_SECONDS.contains(&seconds) || !(0..NANOS_PER_SECOND).contains(&nanos) {
        return Err(Problem::Timestamp.into());
    }
    put(out, Timestamp { seconds, nanos })
}

fn put(out: &mut impl Output, value: impl std::fmt::Display) -> Result<(), Error> {
    // On the stack: the longest is a time with nine decimals, of 30 bytes and two quotes.
    let mut text = [0; 64];
    let mut rest = &mut text[..];
    write!(rest, "\"{value}\"").map_err(|_| Problem::Syntax)?;
    let length = 64 - rest.len();
    out.put(&text[..length]);
    Ok(())
}

/// Parses a duration such as `-1.5s` into seconds and nanoseconds.
pub(super) fn parse_duration(text: &str) -> Option<(i64, i32)> {
    let Duration { seconds, nanos } = text.parse().ok()?;
    (seconds.unsigned_abs() <= MAX_DURATION_SECONDS as u64).then_some((seconds, nanos))
}

/// Parses a time with `Z` or an offset into Unix seconds and nanoseconds.
pub(super) fn parse_timestamp(text: &str) -> Option<(i64, i32)> {
    let Timestamp { seconds, nanos } = text.parse().ok()?;
    TIMESTAMP_SECONDS.contains(&seconds).then_some((seconds, nanos))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, seconds, nanos, written) in
            [("0s", 0, 0, "0s"), ("1.5s", 1, 500_000_000, "1.500s"), ("-0.25s", 0, -250_000_000, "-0.250s")]
        {
            assert_eq!(parse_duration(text), Some((seconds, nanos)));
            let mut out = Vec::new();
            put_duration(&mut out, seconds, nanos).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), format!("\"{written}\""));
        }
        for text in ["", "s", "1", "--1s", "1e3s", "315576000001s", "-9223372036854775808s", "1é5s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
        for (seconds, nanos) in [(1, -1), (-1, 1), (i64::MIN, 0), (0, i32::MIN), (0, NANOS_PER_SECOND)] {
            assert!(put_duration(&mut Vec::new(), seconds, nanos).is_err());
        }
    }

    #[test]
    fn times_are_read_with_an_offset_and_written_in_utc() {
        for (text, written) in [
            ("2025-01-02T03:04:05.678900+00:00", "2025-01-02T03:04:05.678900Z"),
            ("2025-01-02T01:04:05.5-02:00", "2025-01-02T03:04:05.500Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
        ] {
            let (seconds, nanos) = parse_timestamp(text).unwrap();
            let mut out = Vec::new();
            put_timestamp(&mut out, seconds, nanos).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), format!("\"{written}\""));
        }
        for text in ["", "2025-02-29T00:00:00Z", "2025-01-01T24:00:00Z", "9999-12-31T23:59:59-01:00", "tomorrow"] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
        assert!(put_timestamp(&mut Vec::new(), i64::MAX, 0).is_err());
    }
}
