//! Reads the retry delay that upstream asks for, in its many forms. All are limited to a day.

use std::time::{Duration, SystemTime};

use serde_json::Value;

/// A day: the longest delay that is passed on.
const MAX_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads a protobuf `Duration` in JSON: `"3.5s"`, or an object with its two fields. Relays also send a number of
/// seconds, and Go's format `"1m2s"`.
pub(super) fn from_json(value: &Value) -> Option<Duration> {
    match value {
        Value::String(text) => seconds(text.strip_suffix('s').unwrap_or(text)).or_else(|| from_text(text)),
        Value::Number(number) => seconds(&number.to_string()),
        Value::Object(fields) => {
            // An int64 is a string in proto3 JSON. Some relays write a number.
            let whole = match fields.get("seconds") {
                None | Some(Value::Null) => 0,
                Some(Value::String(text)) => text.parse().ok()?,
                Some(number) => number.as_u64()?,
            };
            let nanos = fields.get("nanos").map_or(Some(0), Value::as_u64)?;
            Some(Duration::from_secs(whole).saturating_add(Duration::from_nanos(nanos)).min(MAX_DELAY))
        }
        _ => None,
    }
}

/// The words before a delay in a message.
const MARKERS: [&str; 9] = [
    "retry in ",
    "retry after ",
    "retry-after: ",
    "retry-after ",
    "again in ",
    "again after ",
    "reset after ",
    "resets in ",
    "wait ",
];

/// Finds the delay in a message such as "Please retry in 47.43s.", "Try again in 1m30s" or "wait 2 minutes".
pub(super) fn from_words(message: &str) -> Option<Duration> {
    let message = message.to_ascii_lowercase();
    MARKERS.iter().find_map(|marker| {
        let text = &message[message.find(marker)? + marker.len()..];
        // If the message quotes the header, the number has no unit.
        from_text(text).or_else(|| marker.starts_with("retry-after").then(|| first_number(text))?)
    })
}

/// The whole number of seconds that a text begins with. `None` if the number is part of a date or a word.
fn first_number(text: &str) -> Option<Duration> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, after) = text.split_at(end);
    let is_part = after.starts_with(|next: char| next.is_alphanumeric() || "-:/".contains(next));
    if number.is_empty() || is_part { None } else { seconds(number) }
}

/// The duration that a text begins with, as numbers with units: `49.37s`, `1h2m3s`, `120ms`, `5 seconds`, `about 2
/// minutes`.
pub(super) fn from_text(text: &str) -> Option<Duration> {
    let mut rest = text.trim_start();
    rest = ["about ", "approximately ", "at least "].iter().find_map(|word| rest.strip_prefix(word)).unwrap_or(rest);
    let mut sum = None;
    loop {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let (Ok(number), Some(unit)) = (number.parse::<f64>(), unit_seconds(unit)) else { return sum };
        let one = Duration::try_from_secs_f64((number * unit).min(MAX_DELAY.as_secs_f64())).ok()?;
        sum = Some(sum.unwrap_or_default().saturating_add(one).min(MAX_DELAY));
        rest = after.trim_start_matches([',', ' ']).trim_start_matches("and ");
    }
}

/// The length of a unit in seconds.
fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "ms" | "millisecond" | "milliseconds" => 0.001,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    })
}

/// Reads a `Retry-After` header: seconds, or an HTTP date (RFC 9110, 10.2.3). A date in the past is a delay of zero.
pub(super) fn from_header(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    seconds(header).or_else(|| {
        let date = httpdate::parse_http_date(header).ok()?;
        Some(date.duration_since(now).unwrap_or_default().min(MAX_DELAY))
    })
}

/// Reads decimal seconds, without sign or exponent.
fn seconds(text: &str) -> Option<Duration> {
    if !text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let seconds: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds.min(MAX_DELAY.as_secs_f64())).ok()
}
