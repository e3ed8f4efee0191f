//! How long upstream wants to be left alone.

use std::time::{Duration, SystemTime};

use serde_json::Value;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A protobuf Duration in JSON: `"3.5s"`, or its two fields; from relays also seconds alone, and Go's `"1m2s"`.
pub(super) fn from_json(value: &Value) -> Option<Duration> {
    match value {
        Value::String(text) => seconds(text.strip_suffix('s').unwrap_or(text)).or_else(|| from_text(text)),
        Value::Number(number) => seconds(&number.to_string()),
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

/// What stands before a delay in words.
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

/// The delay that a message asks for: "Please retry in 47.43s.", "Try again in 1m30s", "wait 2 minutes".
pub(super) fn from_words(message: &str) -> Option<Duration> {
    let message = message.to_ascii_lowercase();
    MARKERS.iter().find_map(|marker| {
        let text = &message[message.find(marker)? + marker.len()..];
        // The header, quoted in the message, has no unit.
        from_text(text).or_else(|| marker.starts_with("retry-after").then(|| first_number(text))?)
    })
}

/// The seconds that a text begins with, unless the number is a part of a date or of something else.
fn first_number(text: &str) -> Option<Duration> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, behind) = text.split_at(end);
    let is_part = behind.starts_with(|next: char| next.is_alphanumeric() || "-:/".contains(next));
    if number.is_empty() || is_part { None } else { seconds(number) }
}

/// The duration that a text begins with, in numbers and units: `49.37s`, `1h2m3s`, `120ms`, `5 seconds`, `about 2 minutes`.
pub(super) fn from_text(text: &str) -> Option<Duration> {
    let mut rest = text.trim_start();
    rest = ["about ", "approximately ", "at least "].iter().find_map(|word| rest.strip_prefix(word)).unwrap_or(rest);
    let mut sum = None;
    loop {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, behind) = rest.split_at(digits);
        let behind = behind.trim_start();
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at(letters);
        let (Ok(number), Some(unit)) = (number.parse::<f64>(), unit_seconds(unit)) else { return sum };
        let one = Duration::try_from_secs_f64((number * unit).min(DAY.as_secs_f64())).ok()?;
        sum = Some(sum.unwrap_or_default().saturating_add(one).min(DAY));
        rest = behind.trim_start_matches([',', ' ']).trim_start_matches("and ");
    }
}

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
