//! Finds errors inside errors: a relay may put the whole error of its own upstream into its message, as a text.
//!
//! Known forms: only JSON, JSON after words (`got status: 429 . {…}`), JSON that is escaped a second time, and JSON in
//! a list.

use serde_json::{Map, Value};

use super::super::code::Code;
use super::envelope::NESTING_MEMBERS;
use super::with_halves_replaced;

/// At most this many levels of errors inside one another are unfolded.
const MAX_NESTED: usize = 8;
/// At most this many objects in a text are parsed to find the error among them.
const MAX_OBJECTS_TRIED: usize = 4;

/// Replaces each text that contains an error by that error, in all members that may contain one. Returns whether there
/// was any.
pub(super) fn unfold(json: &mut Value) -> bool {
    unfold_below(json, MAX_NESTED)
}

/// The error in a body that is not JSON itself: words with JSON after them.
pub(super) fn after_words(body: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(body);
    if text.trim_start().starts_with('<') { None } else { error_in(&text) }
}

fn unfold_below(json: &mut Value, left: usize) -> bool {
    match json {
        Value::Object(map) => {
            let mut found = false;
            for name in NESTING_MEMBERS {
                let Some(member) = map.get_mut(name) else { continue };
                found |= unfold_below(member, left);
            }
            found
        }
        Value::Array(list) => match list.first_mut() {
            Some(first) => unfold_below(first, left),
            None => false,
        },
        Value::String(text) if left > 0 => match error_in(text) {
            Some(inner) => {
                *json = inner;
                unfold_below(json, left - 1);
                true
            }
            None => false,
        },
        _ => false,
    }
}

/// The error that a text contains. Other JSON in it, for example a quoted schema, is just text.
fn error_in(text: &str) -> Option<Value> {
    if !text.contains('{') {
        return None;
    }
    let text = with_halves_replaced(text);
    plain_error_in(&text).or_else(|| {
        // Escaped a second time, with or without its quotes.
        let inner = text.trim().trim_matches('"');
        let unescaped: String = serde_json::from_str(&format!("\"{inner}\"")).ok()?;
        plain_error_in(&with_halves_replaced(&unescaped))
    })
}

/// The first object in a text that is an error, if the text is not escaped.
fn plain_error_in(text: &str) -> Option<Value> {
    let mut rest = text;
    for _ in 0..MAX_OBJECTS_TRIED {
        let mut starts = rest.match_indices('{').map(|(at, _)| at);
        let start = starts.find(|at| rest[at + 1..].trim_start().starts_with('"'))?;
        let mut values = serde_json::Deserializer::from_str(&rest[start..]).into_iter::<Value>();
        rest = match values.next() {
            Some(Ok(json)) if is_error(&json) => return Some(json),
            // Skip this object as a whole: an error inside quoted JSON is only quoted.
            Some(Ok(_)) => &rest[start + values.byte_offset()..],
            _ => &rest[start + 1..],
        };
    }
    None
}

/// Whether this JSON has the shape of an error with any content.
fn is_error(json: &Value) -> bool {
    match json {
        Value::Object(map) => {
            let has_code = |name| map.get(name).is_some_and(|value: &Value| value.is_string() || value.is_number());
            // `{"status": "ok", "message": "…"}` is a normal result, so the status must be a number or a gRPC code.
            let is_status = |value: &Value| value.is_number() || value.as_str().and_then(Code::from_name).is_some();
            map.get("error").is_some_and(|error| error.is_string() || error.as_object().is_some_and(has_error_member))
                || map.get("message").is_some_and(is_error)
                || (map.get("message").is_some_and(Value::is_string)
                    && (has_code("code") || has_code("statusCode") || map.get("status").is_some_and(is_status)))
        }
        _ => false,
    }
}

fn has_error_member(map: &Map<String, Value>) -> bool {
    ["message", "code", "status", "details", "error"].iter().any(|name| map.contains_key(*name))
}
