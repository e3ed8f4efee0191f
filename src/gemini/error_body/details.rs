//! The `details` of an error: JSON objects with an `@type` to `google.protobuf.Any`, and what they mean.

use std::time::Duration;

use prost::Message;
use prost_types::{Any, Struct, Value as ProtoValue, value::Kind};
use serde_json::{Map, Value};

use super::{Encode, delay};

const TYPES: &str = "type.googleapis.com/";
const STRUCT: &str = "google.protobuf.Struct";

/// The details, and what the gateway itself has to know of them.
#[derive(Default)]
pub(super) struct Details {
    pub(super) any: Vec<Any>,
    /// `ErrorInfo.reason`.
    pub(super) reason: Option<String>,
    /// `RetryInfo.retryDelay`.
    pub(super) delay: Option<Duration>,
    pub(super) daily_quota: bool,
}

impl Details {
    pub(super) fn read(details: &[&Map<String, Value>], encode: &Encode<'_>) -> Self {
        let mut read = Self::default();
        for detail in details {
            let name = type_name(detail);
            match name {
                "google.rpc.DebugInfo" => continue,
                "google.rpc.ErrorInfo" => {
                    read.reason = read.reason.or_else(|| reason(detail));
                    read.daily_quota |=
                        member(detail, "metadata", "metadata").and_then(Value::as_object).is_some_and(is_daily);
                }
                "google.rpc.RetryInfo" => {
                    let delay = member(detail, "retryDelay", "retry_delay").and_then(delay::from_json);
                    read.delay = read.delay.or(delay);
                }
                "google.rpc.QuotaFailure" => {
                    let violations = detail.get("violations").and_then(Value::as_array).into_iter().flatten();
                    read.daily_quota |= violations.filter_map(Value::as_object).any(is_daily);
                }
                _ => {}
            }
            read.any.push(any(name, detail, encode));
        }
        read
    }
}

/// The name after the last slash of `@type`; empty if there is none.
fn type_name(detail: &Map<String, Value>) -> &str {
    let url = detail.get("@type").and_then(Value::as_str).unwrap_or_default();
    url.rsplit('/').next().unwrap_or_default()
}

fn member<'a>(map: &'a Map<String, Value>, name: &str, snake_case: &str) -> Option<&'a Value> {
    map.get(name).or_else(|| map.get(snake_case))
}

/// `ErrorInfo.reason`, if it is as its definition wants it: UPPER_SNAKE_CASE, at most 63 letters.
fn reason(detail: &Map<String, Value>) -> Option<String> {
    let reason = detail.get("reason")?.as_str()?;
    let well_formed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    ((1..=63).contains(&reason.len()) && reason.bytes().all(well_formed)).then(|| reason.to_owned())
}

/// Whether a violated quota, or the metadata of an error about one, is counted per day.
fn is_daily(quota: &Map<String, Value>) -> bool {
    ["quotaId", "quota_id", "quota_limit", "subject", "description"]
        .iter()
        .filter_map(|name| quota.get(*name)?.as_str())
        .any(names_a_day)
}

/// Whether `per day` or `daily` is among the words, however they are written together:
/// `GenerateRequestsPerDayPerProject`, `requests_per_day`, `Daily limit`.
fn names_a_day(text: &str) -> bool {
    let mut words: Vec<String> = Vec::new();
    let mut after = ' ';
    for letter in text.chars() {
        if letter.is_alphabetic() {
            let begins = !after.is_alphabetic() || (letter.is_uppercase() && !after.is_uppercase());
            match words.last_mut() {
                Some(word) if !begins => word.extend(letter.to_lowercase()),
                _ => words.push(letter.to_lowercase().collect()),
            }
        }
        after = letter;
    }
    words.iter().any(|word| word == "daily" || word == "perday") || words.windows(2).any(|pair| pair == ["per", "day"])
}

fn any(name: &str, detail: &Map<String, Value>, encode: &Encode<'_>) -> Any {
    let known = name.starts_with("google.rpc.").then(|| encode(name, &Value::Object(detail.clone()))).flatten();
    let (name, value) = match known {
        Some(wire) => (name, wire),
        None => (STRUCT, proto_struct(detail).encode_to_vec()),
    };
    Any { type_url: format!("{TYPES}{name}"), value }
}

fn proto_struct(map: &Map<String, Value>) -> Struct {
    Struct { fields: map.iter().map(|(name, value)| (name.clone(), proto_value(value))).collect() }
}

fn proto_value(value: &Value) -> ProtoValue {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(list) => {
            Kind::ListValue(prost_types::ListValue { values: list.iter().map(proto_value).collect() })
        }
        Value::Object(map) => Kind::StructValue(proto_struct(map)),
    };
    ProtoValue { kind: Some(kind) }
}
