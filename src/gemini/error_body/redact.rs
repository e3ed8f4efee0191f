//! Redacts keys in texts.

use serde_json::Value;

use super::key_search;

const MASK: &str = "***";

/// Replacing a key can make another one from the text around it, so the search is repeated this many times. If it still
/// finds keys, the whole text is replaced.
const MAX_ROUNDS: usize = 4;

/// Replaces `keys` by `***`, even if they are encoded or split, and everything that looks like a key: Google's
/// `AIza...`, the word after `Bearer`, and the value of `key=` in a URL.
pub fn redact(text: &str, keys: &[&str]) -> String {
    let mut texts = [text.to_owned()];
    redact_keys(&mut texts, &[0], keys);
    let [text] = texts;
    redact_lookalikes(&text)
}

/// Applies [`redact`] to every string and every member name in a JSON value. A key that is split over several of them
/// is found too.
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

/// Collects all texts of a value in order: its strings and its member names. `names` and `strings` get the indexes of
/// each kind.
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

/// The value with its texts replaced by `texts`, in the order of [`collect`].
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

/// Replaces keys in the texts with these indexes, as if the texts were one text.
fn redact_keys(texts: &mut [String], together: &[usize], keys: &[&str]) {
    for _ in 0..MAX_ROUNDS {
        let mut joined = String::new();
        for index in together {
            joined.push_str(&texts[*index]);
            // A separator that is not part of any key; the search ignores it inside a key.
            joined.push('\n');
        }
        let found = key_search::find(&joined, keys);
        if found.is_empty() {
            return;
        }
        let (mut found, mut start) = (found.iter().peekable(), 0);
        for index in together {
            let text = &mut texts[*index];
            // The text is `joined[start..end]`. A key may begin in an earlier text and end in a later one.
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

/// Replaces everything that looks like a key.
fn redact_lookalikes(text: &str) -> String {
    let text = mask_after(text, "AIza", false);
    let text = mask_after(&text, "Bearer ", true);
    mask_after(&text, "key=", true)
}

/// Replaces what could be a key after each `marker`; its case is ignored. The marker is part of the key and is replaced
/// with it, unless `keep_marker`; then blanks may follow it.
fn mask_after(text: &str, marker: &str, keep_marker: bool) -> String {
    let folded = fold(text);
    let marker = marker.to_ascii_lowercase();
    let mut masked = String::with_capacity(text.len());
    let mut done = 0;
    while let Some(found) = folded[done..].find(&marker) {
        let start = done + found;
        let mut value = start + marker.len();
        if keep_marker {
            value += folded[value..].bytes().take_while(|byte| *byte == b' ').count();
        }
        let length = text[value..].bytes().take_while(|byte| is_key_byte(*byte)).count();
        masked.push_str(&text[done..if keep_marker || length == 0 { value } else { start }]);
        if length > 0 {
            masked.push_str(MASK);
        }
        done = value + length;
    }
    masked.push_str(&text[done..]);
    masked
}

/// The text in lower case, with a space for every blank and control character. It has the same length in bytes, so an
/// offset in one is an offset in the other.
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

/// Whether a byte can be part of a key: the alphabets of base64, JWT and percent encoding.
fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=%*".contains(&byte)
}
