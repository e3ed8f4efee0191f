//! How long upstream wants to be left alone.

use std::time::{Duration, SystemTime};

use serde_json::Value;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A protobuf Duration in JSON: `"3.5s"`, or its two fields.
pub(super) fn from_json(value: &Value) -> Option<Duration> {
    match value {
        Value::String(text) => seconds(text.strip_suffix('s')?),
        Value::Object(fields) => {
            // int64 is a string in JSON, and a number from those who do not know it.
            let whole = match fields.get("seconds") {
                None | Some(Value::Null) => 0,
                Some(Value::String(text)) => text.parse().ok()?,
                Some(number) => number.as_u64()?,
            };
            let nanos = fields.get("nanos").map_or(Some(0), Value::as_u64)?;
            Some(Duration::from_secs(whole).saturating_add(Duration::from_nanos(nanos)).min(DAY))
        }
        _ => None,
    }
}

/// A `Retry-After` header: seconds, or an HTTP date (RFC 9110, 10.2.3). A date that is past is no delay.
pub(super) fn from_header(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    seconds(header).or_else(|| {
        let date = httpdate::parse_http_date(header).ok()?;
        Some(date.duration_since(now).unwrap_or_default().min(DAY))
    })
}

/// Decimal seconds, without sign or exponent.
fn seconds(text: &str) -> Option<Duration> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let seconds: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds.min(DAY.as_secs_f64())).ok()
}
