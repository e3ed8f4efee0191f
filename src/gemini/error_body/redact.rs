//! Keys out of texts.

use serde_json::Value;

use super::disguise;

const MASK: &str = "***";

/// Keys that appear again when others were replaced are searched so often; then the text goes as a whole.
const MAX_ROUNDS: usize = 4;

/// Replaces `keys` by `***`, also encoded and split, and all that looks like a key: Google's `AIza...`, what follows
/// `Bearer`, and what follows `key=` in a URL.
pub fn redact(text: &str, keys: &[&str]) -> String {
    let mut texts = [text.to_owned()];
    redact_keys(&mut texts, &[0], keys);
    let [text] = texts;
    redact_lookalikes(&text)
}

/// [`redact`] for every string and every name in a JSON value. A key may be split over several of them.
pub(super) fn redact_json(value: Value, keys: &[&str]) -> Value {
    let (mut texts, mut names, mut strings) = (Vec::new(), Vec::new(), Vec::new());
    collect(&value, &mut texts, &mut names, &mut strings);
    let all: Vec<usize> = (0..texts.len()).collect();
    for together in [all, strings, names] {
        redact_keys(&mut texts, &together, keys);
    }
    let mut texts = texts.into_iter().map(|text| redact_lookalikes(&text));
    replaced(value, &mut texts)
}

/// The strings and names of a value in their order, and which of them is what.
fn collect(value: &Value, texts: &mut Vec<String>, names: &mut Vec<usize>, strings: &mut Vec<usize>) {
    match value {
        Value::String(text) => {
            strings.push(texts.len());
            texts.push(text.clone());
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, texts, names, strings)),
        Value::Object(map) => {
            for (name, value) in map {
                names.push(texts.len());
                texts.push(name.clone());
                collect(value, texts, names, strings);
            }
        }
        _ => {}
    }
}

/// The value with these strings and names, in the order of [`collect`].
fn replaced(value: Value, texts: &mut impl Iterator<Item = String>) -> Value {
    match value {
        Value::String(_) => Value::String(texts.next().unwrap_or_default()),
        Value::Array(list) => list.into_iter().map(|value| replaced(value, texts)).collect(),
        Value::Object(map) => {
            map.into_iter().map(|(_, value)| (texts.next().unwrap_or_default(), replaced(value, texts))).collect()
        }
        scalar => scalar,
    }
}

/// Replaces keys in some of the texts, as if those followed one another.
fn redact_keys(texts: &mut [String], together: &[usize], keys: &[&str]) {
    for _ in 0..MAX_ROUNDS {
        let mut joined = String::new();
        for index in together {
            joined.push_str(&texts[*index]);
            // No key has one, and none is hidden by one.
            joined.push('\n');
        }
        let found = disguise::find(&joined, keys);
        if found.is_empty() {
            return;
        }
        let (mut found, mut start) = (found.iter().peekable(), 0);
        for index in together {
            let text = &mut texts[*index];
            let (end, mut done, mut masked) = (start + text.len(), start, String::new());
            while let Some(range) = found.peek().filter(|range| range.start < end) {
                masked.push_str(&joined[done..range.start.max(done)]);
                masked.push_str(MASK);
                done = range.end.min(end);
                if range.end > end {
                    break;
                }
                found.next();
            }
            if done > start {
                masked.push_str(&joined[done..end]);
                *text = masked;
            }
            start = end + 1;
        }
    }
    together.iter().for_each(|index| MASK.clone_into(&mut texts[*index]));
}

/// Replaces all that looks like a key, whosever it is.
fn redact_lookalikes(text: &str) -> String {
    let text = mask_after(text, "AIza", false);
    let text = mask_after(&text, "Bearer ", true);
    mask_after(&text, "key=", true)
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
