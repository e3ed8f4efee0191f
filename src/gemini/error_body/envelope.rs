//! The JSON shapes of errors, brought to one.
//!
//! Google: `{"error": {"code", "message", "status", "details"}}`, also as the only element of a list.
//! NestJS: `{"statusCode", "message": string or list, "error": string}`, where `message` or `error` may also be Google's
//! whole object; where it was a text, `nested` has unfolded it. OpenAI: `{"error": {"message", "type", "code": string}}`.
//! Others: `{"error": string}`, `{"message"}`, `{"detail"}`, or a string alone.

use serde_json::{Map, Value};

use super::super::code::Code;

/// The members of an error that may contain another one, the first that does counts.
pub(super) const SPEAKING: [&str; 3] = ["error", "message", "detail"];

/// What an error says of itself.
#[derive(Default)]
pub(super) struct Envelope<'a> {
    /// The gRPC code that it names.
    pub(super) code: Option<Code>,
    /// The number that it gives, of an HTTP error or of gRPC.
    pub(super) number: Option<u16>,
    /// What it says in words, if it does.
    pub(super) message: Option<String>,
    /// A name that it has where words are missing, as `insufficient_quota`.
    pub(super) label: Option<&'a str>,
    pub(super) details: Vec<&'a Map<String, Value>>,
}

impl<'a> Envelope<'a> {
    /// Reads an error. In one that was nested as a text, the codes around it are those of relays: they count only if it has
    /// none itself.
    pub(super) fn of(json: &'a Value, is_nested: bool) -> Self {
        let Some(outer) = objects(json).and_then(|maps| maps.first().copied()) else {
            return Self { message: words(json), ..Self::default() };
        };
        // What the inner object does not say, the one around it may.
        let maps = inwards(outer);
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

/// The first member of one of these names that `read` makes something of.
fn first<'a, T>(
    maps: impl Iterator<Item = &'a Map<String, Value>>,
    names: &[&str],
    read: impl Fn(&'a Value) -> Option<T>,
) -> Option<T> {
    maps.flat_map(|map| names.iter().filter_map(|name| map.get(*name))).find_map(read)
}

/// An object, or those in a list.
fn objects(json: &Value) -> Option<Vec<&Map<String, Value>>> {
    match json {
        Value::Object(map) => Some(vec![map]),
        Value::Array(list) => Some(list.iter().filter_map(Value::as_object).collect()),
        _ => None,
    }
}

/// The object, and those in it that speak, or the first in a list of these, as long as there is an
/// object.
fn inwards(outer: &Map<String, Value>) -> Vec<&Map<String, Value>> {
    let mut maps = vec![outer];
    while let Some(inner) = maps.last().and_then(|map| SPEAKING.iter().find_map(|name| object(map.get(*name)))) {
        maps.push(inner);
    }
    maps
}

/// The object that a member is, or an error in a list of one.
fn object(member: Option<&Value>) -> Option<&Map<String, Value>> {
    match member? {
        Value::Object(map) => Some(map),
        Value::Array(list) => {
            list.first()?.as_object().filter(|first| first.get("error").is_some_and(Value::is_object))
        }
        _ => None,
    }
}

/// A number, or a string that is one. Relays have numbers of their own; those say nothing.
fn number(value: &Value) -> Option<u16> {
    let number = match value {
        Value::Number(number) => number.as_u64()?.try_into().ok(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.filter(|number| matches!(number, 1..=16 | 300..600))
}

/// A text with something to read in it, or several in a list.
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
