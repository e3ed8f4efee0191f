//! Reads the `details` of an error: JSON objects with an `@type` become `google.protobuf.Any`, and some have a meaning
//! for the gateway.

use std::borrow::Cow;
use std::time::Duration;

use prost::Message;
use prost_types::{Any, Struct, Value as ProtoValue, value::Kind};
use serde_json::{Map, Value};

use super::{Encode, Info, retry_delay};

const TYPE_URL_PREFIX: &str = "type.googleapis.com/";
const STRUCT: &str = "google.protobuf.Struct";
/// At most this many details of an error are read. Google sends a few, and each takes memory.
const MAX_DETAILS: usize = 64;
/// The longest domain name (RFC 1035), in bytes.
const MAX_DOMAIN_BYTES: usize = 253;
/// The gateway sends one detail of each of these types itself. One that cannot be read is dropped, so that no second
/// one stands next to it as a `Struct`.
const SENT_BY_THE_GATEWAY: [&str; 3] = ["google.rpc.ErrorInfo", "google.rpc.RetryInfo", "google.rpc.RequestInfo"];

/// The details, and what the gateway itself uses of them.
#[derive(Default)]
pub(super) struct Details {
    pub(super) any: Vec<Any>,
    /// The first `ErrorInfo` that has a reason.
    pub(super) info: Option<Info>,
    /// `RetryInfo.retryDelay`.
    pub(super) delay: Option<Duration>,
    /// A retry delay in the metadata of an `ErrorInfo`.
    pub(super) metadata_delay: Option<Duration>,
    /// A quota per day is used up.
    pub(super) daily_quota: bool,
    /// A quota of one model, or one of all models, is used up.
    pub(super) quota_of_model: bool,
    pub(super) quota_of_all: bool,
}

impl Details {
    pub(super) fn read(details: &[&Map<String, Value>], encode: &Encode<'_>) -> Self {
        let mut read = Self::default();
        for detail in details.iter().take(MAX_DETAILS) {
            let (name, detail) = typed(detail);
            match name {
                "google.rpc.DebugInfo" => continue,
                "google.rpc.ErrorInfo" => {
                    let metadata = detail.get("metadata").and_then(Value::as_object);
                    read.daily_quota |= metadata.is_some_and(is_daily);
                    read.metadata_delay = read.metadata_delay.or_else(|| metadata.and_then(delay_in));
                    read.info = read.info.or_else(|| info(&detail));
                }
                "google.rpc.RetryInfo" => {
                    let delay = member(&detail, "retryDelay", "retry_delay").and_then(retry_delay::from_json);
                    read.delay = read.delay.or(delay);
                }
                "google.rpc.QuotaFailure" => {
                    let violations = detail.get("violations").and_then(Value::as_array).into_iter().flatten();
                    for violation in violations.filter_map(Value::as_object) {
                        read.daily_quota |= is_daily(violation);
                        let of_model = is_of_model(violation);
                        read.quota_of_model |= of_model;
                        read.quota_of_all |= !of_model;
                    }
                }
                _ => {}
            }
            let any = any(name, &detail, encode);
            if !(SENT_BY_THE_GATEWAY.contains(&name) && any.type_url.ends_with(STRUCT)) {
                read.any.push(any);
            }
        }
        read
    }
}

/// The type name of a detail: from the part of `@type` after the last slash, or guessed from its members if it has no
/// `@type`. Empty if it is unknown. Also returns the detail with the member names of that type.
fn typed(detail: &Map<String, Value>) -> (&str, Cow<'_, Map<String, Value>>) {
    let url = detail.get("@type").and_then(Value::as_str).unwrap_or_default();
    let name = url.rsplit('/').next().unwrap_or_default();
    if !name.is_empty() {
        return (name, Cow::Borrowed(detail));
    }
    let has = |name: &str| detail.contains_key(name);
    let violations = detail.get("violations").and_then(Value::as_array);
    let violates = |name: &str| violations.is_some_and(|all| all.iter().any(|violation| violation.get(name).is_some()));
    let name = match () {
        () if has("reason") && (has("domain") || has("metadata")) => "google.rpc.ErrorInfo",
        () if has("retryDelay") || has("retry_delay") => "google.rpc.RetryInfo",
        () if has("fieldViolations") || has("field_violations") => "google.rpc.BadRequest",
        () if violates("field") => {
            let mut renamed = detail.clone();
            let violations = renamed.remove("violations").unwrap_or_default();
            renamed.insert("fieldViolations".to_owned(), violations);
            return ("google.rpc.BadRequest", Cow::Owned(renamed));
        }
        () if violates("type") => "google.rpc.PreconditionFailure",
        () if violations.is_some() => "google.rpc.QuotaFailure",
        () if has("links") => "google.rpc.Help",
        () if has("locale") && has("message") => "google.rpc.LocalizedMessage",
        () if has("stackEntries") || has("stack_entries") => "google.rpc.DebugInfo",
        () if has("requestId") && has("servingData") => "google.rpc.RequestInfo",
        () if has("resourceType") && has("resourceName") => "google.rpc.ResourceInfo",
        () => "",
    };
    (name, Cow::Borrowed(detail))
}

/// The retry delay in metadata. `quotaResetDelay` is Google's own name for it, the others are used by relays.
fn delay_in(metadata: &Map<String, Value>) -> Option<Duration> {
    let names = ["quotaResetDelay", "quota_reset_delay", "retryDelay", "retry_delay"];
    names.iter().filter_map(|name| metadata.get(*name)?.as_str()).find_map(retry_delay::from_text)
}

/// The member with this name, in either spelling.
fn member<'a>(map: &'a Map<String, Value>, name: &str, snake_case: &str) -> Option<&'a Value> {
    map.get(name).or_else(|| map.get(snake_case))
}

/// Reads an `ErrorInfo`. Its reason must be valid by the definition: UPPER_SNAKE_CASE, at most 63 characters. Its
/// domain may be missing.
fn info(detail: &Map<String, Value>) -> Option<Info> {
    let text = |name: &str| detail.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (reason, domain) = (text("reason"), text("domain"));
    let is_allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if !(1..=63).contains(&reason.len()) || !reason.bytes().all(is_allowed) || domain.len() > MAX_DOMAIN_BYTES {
        return None;
    }
    let metadata = detail.get("metadata").and_then(Value::as_object).into_iter().flatten();
    let metadata = metadata.filter_map(|(name, value)| Some((name.clone(), scalar(value)?))).collect();
    Some(Info { reason, domain, metadata })
}

/// A metadata value as a string. By definition it is one; relays also send numbers and booleans.
fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// Whether a quota violation, or the metadata of an error about a quota, names a quota per day.
fn is_daily(quota: &Map<String, Value>) -> bool {
    ["quotaId", "quota_id", "quota_limit", "subject", "description"]
        .iter()
        .filter_map(|name| quota.get(*name)?.as_str())
        .any(names_a_day)
}

/// Whether a quota is that of one model, as Gemini's are: `GenerateRequestsPerMinutePerProjectPerModel-FreeTier`, with
/// `"quotaDimensions": {"model": "gemini-2.5-flash"}`.
fn is_of_model(quota: &Map<String, Value>) -> bool {
    let dimensions = member(quota, "quotaDimensions", "quota_dimensions").and_then(Value::as_object);
    let id = member(quota, "quotaId", "quota_id").and_then(Value::as_str).unwrap_or_default();
    dimensions.is_some_and(|dimensions| dimensions.contains_key("model")) || id.contains("PerModel")
}

/// Whether `per day` or `daily` is among the words of a text, in any style: `GenerateRequestsPerDayPerProject`,
/// `requests_per_day`, `Daily limit`.
fn names_a_day(text: &str) -> bool {
    let mut words: Vec<String> = Vec::new();
    let mut previous = ' ';
    for letter in text.chars() {
        if letter.is_alphabetic() {
            let begins = !previous.is_alphabetic() || (letter.is_uppercase() && !previous.is_uppercase());
            match words.last_mut() {
                Some(word) if !begins => word.extend(letter.to_lowercase()),
                _ => words.push(letter.to_lowercase().collect()),
            }
        }
        previous = letter;
    }
    words.iter().any(|word| word == "daily" || word == "perday") || words.windows(2).any(|pair| pair == ["per", "day"])
}

/// The detail as an `Any` of its own type if that is known, otherwise as a `Struct`.
fn any(name: &str, detail: &Map<String, Value>, encode: &Encode<'_>) -> Any {
    let known = name.starts_with("google.rpc.").then(|| encode(name, &Value::Object(detail.clone()))).flatten();
    let (name, value) = match known {
        Some(wire) => (name, wire),
        None => (STRUCT, proto_struct(detail).encode_to_vec()),
    };
    Any { type_url: format!("{TYPE_URL_PREFIX}{name}"), value }
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
