//! Reads the known JSON shapes of errors into one form.
//!
//! - Google: `{"error": {"code", "message", "status", "details"}}`, also as the only element of a list.
//! - NestJS: `{"statusCode", "message": string or list, "error": string}`. `message` or `error` may also be Google's
//!   whole object; if it was a string, `nested` has already replaced it by the object.
//! - OpenAI: `{"error": {"message", "type", "code": string}}`.
//! - Others: `{"error": string}`, `{"message"}`, `{"detail"}`, or only a string.

use serde_json::{Map, Value};

use super::super::code::Code;

/// The members of an error that may contain another error. The first one that does counts.
pub(super) const NESTING_MEMBERS: [&str; 3] = ["error", "message", "detail"];

/// The members of an error that the gateway uses.
#[derive(Default)]
pub(super) struct Envelope<'a> {
    /// The gRPC code, given by name.
    pub(super) code: Option<Code>,
    /// The number: an HTTP status, or a gRPC code.
    pub(super) number: Option<u16>,
    /// The message.
    pub(super) message: Option<String>,
    /// A name such as `insufficient_quota`, to show if there is no message.
    pub(super) label: Option<&'a str>,
    pub(super) details: Vec<&'a Map<String, Value>>,
}

impl<'a> Envelope<'a> {
    /// Reads an error. `is_nested`: it was nested in the error of a relay as a text. Then code and number are taken
    /// from the innermost error that has either, since the ones around it are those of the relay.
    pub(super) fn of(json: &'a Value, is_nested: bool) -> Self {
        let Some(outer) = objects(json).and_then(|maps| maps.first().copied()) else {
            return Self { message: words(json), ..Self::default() };
        };
        // From the innermost error outwards: what it lacks may be in the one around it.
        let maps = nested_errors(outer);
        let maps = || maps.iter().rev().copied();
        let name = |value: &Value| Code::from_name(value.as_str()?).filter(|code| *code != Code::Ok);
        let label = |value: &'a Value| value.as_str().filter(|label| !label.is_empty());
        let code = |maps| first(maps, &["status", "code"], name);
        let number = |maps| first(maps, &["code", "statusCode", "status"], number);
        let one = |map| vec![map].into_iter();
        let coded = maps().find(|map| code(one(*map)).is_some() || number(one(*map)).is_some());
        let coded = coded.filter(|_| is_nested).map_or_else(|| maps().collect(), |map| vec![map]);
        Self {
            code: code(coded.clone().into_iter()),
            number: number(coded.into_iter()),
            message: first(maps(), &["message", "error", "detail", "title"], words),
            label: first(maps(), &["type", "code", "status"], label),
            details: first(maps(), &["details"], objects).unwrap_or_default(),
        }
    }
}

/// The first member with one of these names for which `read` returns a value.
fn first<'a, T>(
    maps: impl Iterator<Item = &'a Map<String, Value>>,
    names: &[&str],
    read: impl Fn(&'a Value) -> Option<T>,
) -> Option<T> {
    maps.flat_map(|map| names.iter().filter_map(|name| map.get(*name))).find_map(read)
}

/// The object, or all objects in the list.
fn objects(json: &Value) -> Option<Vec<&Map<String, Value>>> {
    match json {
        Value::Object(map) => Some(vec![map]),
        Value::Array(list) => Some(list.iter().filter_map(Value::as_object).collect()),
        _ => None,
    }
}

/// An error and the errors nested in it, from the outermost to the innermost.
fn nested_errors(outer: &Map<String, Value>) -> Vec<&Map<String, Value>> {
    let mut maps = vec![outer];
    while let Some(inner) = maps.last().and_then(|map| NESTING_MEMBERS.iter().find_map(|name| object(map.get(*name)))) {
        maps.push(inner);
    }
    maps
}

/// The member if it is an object, or the first element if it is a list of errors.
fn object(member: Option<&Value>) -> Option<&Map<String, Value>> {
    match member? {
        Value::Object(map) => Some(map),
        Value::Array(list) => {
            list.first()?.as_object().filter(|first| first.get("error").is_some_and(Value::is_object))
        }
        _ => None,
    }
}

/// A number, or a string with a number. Only gRPC codes and HTTP errors: the own numbers of relays mean nothing here.
fn number(value: &Value) -> Option<u16> {
    let number = match value {
        Value::Number(number) => number.as_u64()?.try_into().ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.filter(|number| matches!(number, 1..=16 | 300..600))
}

/// A text with at least one letter or digit, or several of them in a list.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => text.contains(char::is_alphanumeric).then(|| text.clone()),
        Value::Array(list) => {
            let texts: Vec<_> = list.iter().filter_map(words).collect();
            (!texts.is_empty()).then(|| texts.join("; "))
        }
        _ => None,
    }
}
