//! Errors inside errors: a relay may put the whole error of what is behind it into its own message, as a text.
//!
//! Known spellings: JSON alone, JSON behind words (`got status: 429 . {…}`), JSON that is escaped once more, and JSON in
//! a list.

use serde_json::{Map, Value};

/// So many errors may be inside one another as texts.
const MAX_NESTED: usize = 8;
/// At so many places of a text JSON is looked for.
const MAX_PLACES: usize = 4;

/// Puts the error that a text contains in the place of the text, in every member that may have one. Returns whether there
/// was any.
pub(super) fn unfold(json: &mut Value) -> bool {
    unfold_below(json, MAX_NESTED)
}

fn unfold_below(json: &mut Value, left: usize) -> bool {
    if left == 0 {
        return false;
    }
    match json {
        Value::Object(map) => {
            let mut found = false;
            for name in ["error", "message", "detail"] {
                let Some(member) = map.get_mut(name) else { continue };
                if let Some(inner) = member.as_str().and_then(error_in) {
                    *member = inner;
                    found = true;
                }
                found |= unfold_below(member, left - 1);
            }
            if found {
                let detail = map.get("detail").filter(|detail| is_error(detail)).cloned();
                if let (Some(detail), false) = (detail, map.get("message").is_some_and(is_error)) {
                    // Envelopes are looked for in these two alone.
                    map.insert("error".to_owned(), detail);
                }
            }
            found
        }
        Value::Array(list) => match list.first_mut() {
            Some(first) => unfold_below(first, left - 1),
            None => false,
        },
        Value::String(text) => match error_in(text) {
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
    let plain = json_in(text).filter(is_error);
    plain.or_else(|| {
        // Escaped once more, with or without its quotes.
        let inner = text.trim().trim_matches('"');
        let unescaped: String = serde_json::from_str(&format!("\"{inner}\"")).ok()?;
        json_in(&unescaped).filter(is_error)
    })
}

/// The first object or list of objects in a text.
fn json_in(text: &str) -> Option<Value> {
    let starts = text.match_indices('{').map(|(at, _)| at).filter(|at| text[at + 1..].trim_start().starts_with('"'));
    starts.take(MAX_PLACES).find_map(|at| {
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        values.next()?.ok()
    })
}

/// Whether this is the form of an error, with something to go by.
fn is_error(json: &Value) -> bool {
    match json {
        Value::Object(map) => {
            let is_told = |name| map.get(name).is_some_and(|value: &Value| value.is_string() || value.is_number());
            map.get("error").is_some_and(|error| error.is_string() || error.as_object().is_some_and(says_something))
                || map.get("message").is_some_and(is_error)
                || (map.get("message").is_some_and(Value::is_string)
                    && ["code", "status", "statusCode"].into_iter().any(is_told))
        }
        _ => false,
    }
}

fn says_something(map: &Map<String, Value>) -> bool {
    ["message", "code", "status", "details", "error"].iter().any(|name| map.contains_key(*name))
}
