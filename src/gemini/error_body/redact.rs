//! Keys out of texts.

use serde_json::Value;

const MASK: &str = "***";

/// Replaces `keys` by `***`, and all that looks like a key: Google's `AIza...`, what follows `Bearer`,
/// and what follows `key=` in a URL.
pub fn redact(text: &str, keys: &[&str]) -> String {
    let mut text = text.to_owned();
    // A key may begin with another one: the longer goes first, or its end would stay.
    let mut keys: Vec<_> = keys.iter().filter(|key| !key.is_empty()).collect();
    keys.sort_unstable_by_key(|key| std::cmp::Reverse(key.len()));
    for key in keys {
        text = text.replace(*key, MASK);
    }
    text = mask_after(&text, "AIza", false);
    text = mask_after(&text, "Bearer ", true);
    mask_after(&text, "key=", true)
}

/// [`redact`] for every string and every name in a JSON value.
pub(super) fn redact_json(value: Value, keys: &[&str]) -> Value {
    match value {
        Value::String(text) => Value::String(redact(&text, keys)),
        Value::Array(list) => list.into_iter().map(|value| redact_json(value, keys)).collect(),
        Value::Object(map) => {
            map.into_iter().map(|(name, value)| (redact(&name, keys), redact_json(value, keys))).collect()
        }
        scalar => scalar,
    }
}

/// Replaces what could be a key after each `marker`, in upper or lower case. The marker belongs to the
/// key unless `keep`; then there may be blanks between them.
fn mask_after(text: &str, marker: &str, keep: bool) -> String {
    let folded = fold(text);
    let marker = marker.to_ascii_lowercase();
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    while let Some(found) = folded[done..].find(&marker) {
        let start = done + found;
        let mut value = start + marker.len();
        if keep {
            value += folded[value..].bytes().take_while(|byte| *byte == b' ').count();
        }
        let length = text[value..].bytes().take_while(|byte| is_of_a_key(*byte)).count();
        masked.push_str(&text[done..if keep || length == 0 { value } else { start }]);
        if length > 0 {
            masked.push_str(MASK);
        }
        done = value + length;
    }
    masked.push_str(&text[done..]);
    masked
}

/// The text in lower case, its blanks as spaces: a control character is shown as one. The same length in bytes, so places
/// in one are places in the other.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_whitespace() || letter.is_control() {
            folded.extend(std::iter::repeat_n(' ', letter.len_utf8()));
        } else {
            folded.push(letter.to_ascii_lowercase());
        }
    }
    folded
}

/// The alphabet of base64, of JWT, and of percent encoding.
fn is_of_a_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=%*".contains(&byte)
}
