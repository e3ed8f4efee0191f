//! Errors inside errors: a relay may put the whole error of what is behind it into its own message, as a text.
//!
//! Known spellings: JSON alone, JSON behind words (`got status: 429 . {…}`), JSON that is escaped a second time, and JSON
//! in a list.

use serde_json::{Map, Value};

use super::super::code::Code;
use super::envelope::SPEAKING;
use super::without_halves;

/// At most this many errors are unfolded that are inside one another as texts.
const MAX_NESTED: usize = 8;
/// JSON is looked for at most at this many places of a text.
const MAX_PLACES: usize = 4;

/// Puts the error that a text contains in the place of the text, in every member that may have one. Returns whether there
/// was any.
pub(super) fn unfold(json: &mut Value) -> bool {
    unfold_below(json, MAX_NESTED)
}

/// The error that a body contains which is not JSON itself: words with JSON behind them.
pub(super) fn behind_words(body: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(body);
    if text.trim_start().starts_with('<') { None } else { error_in(&text) }
}

fn unfold_below(json: &mut Value, left: usize) -> bool {
    match json {
        Value::Object(map) => {
            let mut found = false;
            for name in SPEAKING {
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

/// The error that a text contains. Other JSON in a text, as a schema that it quotes, is words.
fn error_in(text: &str) -> Option<Value> {
    if !text.contains('{') {
        return None;
    }
    let text = without_halves(text);
    plain_error_in(&text).or_else(|| {
        // Escaped a second time, with or without its quotes.
        let inner = text.trim().trim_matches('"');
        let unescaped: String = serde_json::from_str(&format!("\"{inner}\"")).ok()?;
        plain_error_in(&without_halves(&unescaped))
    })
}

/// The first object in a text that is an error.
fn plain_error_in(text: &str) -> Option<Value> {
    let mut rest = text;
    for _ in 0..MAX_PLACES {
        let mut starts = rest.match_indices('{').map(|(at, _)| at);
        let start = starts.find(|at| rest[at + 1..].trim_start().starts_with('"'))?;
        let mut values = serde_json::Deserializer::from_str(&rest[start..]).into_iter::<Value>();
        rest = match values.next() {
            Some(Ok(json)) if is_error(&json) => return Some(json),
            // An error inside of what is quoted is quoted as well.
            Some(Ok(_)) => &rest[start + values.byte_offset()..],
            _ => &rest[start + 1..],
        };
    }
    None
}

/// Whether this is the form of an error, with something to go by.
fn is_error(json: &Value) -> bool {
    match json {
        Value::Object(map) => {
            let has_code = |name| map.get(name).is_some_and(|value: &Value| value.is_string() || value.is_number());
            // `{"status": "ok", "message": "…"}` is what functions return.
            let is_status = |value: &Value| value.is_number() || value.as_str().and_then(Code::from_name).is_some();
            map.get("error").is_some_and(|error| error.is_string() || error.as_object().is_some_and(says_something))
                || map.get("message").is_some_and(is_error)
                || (map.get("message").is_some_and(Value::is_string)
                    && (has_code("code") || has_code("statusCode") || map.get("status").is_some_and(is_status)))
        }
        _ => false,
    }
}

fn says_something(map: &Map<String, Value>) -> bool {
    ["message", "code", "status", "details", "error"].iter().any(|name| map.contains_key(*name))
}
