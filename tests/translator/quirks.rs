//! The intended differences between the translator and proto3 JSON, or the oracle's interpretation of it: one function
//! for each. Everything else must be equal.

use prost_reflect::{Kind, MessageDescriptor};
use serde_json::{Map, Value};

use crate::tree::{is_additional, is_well_known};

/// Members that the contract does not have are in the same object as the known ones, not in an object of their own.
pub fn with_additional_fields_inlined(kind: &MessageDescriptor, json: Value) -> Value {
    let Value::Object(mut members) = json else { return json };
    if is_well_known(kind) {
        return members.into();
    }
    let additional = members.shift_remove("additionalFields");
    let known = members.into_iter().map(|(name, value)| {
        let field = kind.get_field_by_json_name(&name).unwrap();
        let value = match (field.kind(), value) {
            (Kind::Message(entry), Value::Object(entries)) if field.is_map() => {
                let kind = entry.map_entry_value_field().kind();
                entries.into_iter().map(|(key, value)| (key, inside(&kind, value))).collect()
            }
            (kind, Value::Array(values)) if field.is_list() => {
                values.into_iter().map(|value| inside(&kind, value)).collect()
            }
            (kind, value) => inside(&kind, value),
        };
        (name, value)
    });
    let mut members: Map<String, Value> = known.collect();
    if let Some(Value::Object(additional)) = additional {
        members.extend(additional);
    }
    members.into()
}

fn inside(kind: &Kind, value: Value) -> Value {
    match kind {
        Kind::Message(kind) => with_additional_fields_inlined(kind, value),
        _ => value,
    }
}

/// The translator writes a whole number without a point, 5 and not 5.0. So numbers are compared by the bits of their
/// doubles. They are replaced in the text, since serde_json reads 9007199254740991.0 as another double.
pub fn with_numbers_as_words(json: &[u8]) -> Value {
    let text: Vec<u8> = tokens(json)
        .flat_map(|token| match number(token) {
            Some(number) => in_words(number).to_string().into_bytes(),
            None => token.to_vec(),
        })
        .collect();
    serde_json::from_slice(&text).unwrap()
}

/// Checks that the translator does leave the point out, for whole numbers that are exact even in a 32-bit float.
fn assert_no_needless_points(json: &[u8]) {
    for token in tokens(json) {
        let Some(number) = number(token) else { continue };
        let is_whole = number.fract() == 0.0 && number.abs() < 16_777_216.0 && number.to_bits() != (-0.0f64).to_bits();
        assert!(!is_whole || !token.contains(&b'.'), "{}", String::from_utf8_lossy(token));
    }
}

/// The tokens of a JSON text: strings, numbers, and everything else byte by byte.
pub fn tokens(mut json: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = match *json.first()? {
            b'"' => string_length(json),
            b'-' | b'0'..=b'9' => json.iter().take_while(|b| b"+-.0123456789Ee".contains(b)).count(),
            _ => 1,
        };
        let (token, rest) = json.split_at(length);
        json = rest;
        Some(token)
    })
}

/// The length of a string with both quotes.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while text[at] != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

fn number(token: &[u8]) -> Option<f64> {
    str::from_utf8(token).unwrap().parse().ok().filter(|_| token[0] == b'-' || token[0].is_ascii_digit())
}

fn in_words(number: f64) -> Value {
    format!("the number {number:?}").into()
}

/// Minus zero is a value, as in the C++, Java and Go implementations. Only the oracle treats it as absent in a field
/// without presence. So it is removed from those fields here; the test of the round trip covers it.
pub fn remove_minus_zeros(kind: &MessageDescriptor, json: &mut Value) {
    if is_well_known(kind) {
        return;
    }
    let Value::Object(members) = json else { return };
    members.retain(|name, value| {
        let Some(field) = kind.get_field_by_json_name(name).filter(|field| !is_additional(field)) else { return true };
        let is_float = matches!(field.kind(), Kind::Float | Kind::Double);
        if is_float && *value == in_words(-0.0) && !field.supports_presence() && !field.is_list() {
            return false;
        }
        match (field.kind(), value) {
            (Kind::Message(entry), Value::Object(entries)) if field.is_map() => {
                if let Kind::Message(kind) = entry.map_entry_value_field().kind() {
                    entries.values_mut().for_each(|value| remove_minus_zeros(&kind, value));
                }
            }
            (Kind::Message(kind), Value::Array(values)) if field.is_list() => {
                values.iter_mut().for_each(|value| remove_minus_zeros(&kind, value));
            }
            (Kind::Message(kind), value) => remove_minus_zeros(&kind, value),
            _ => {}
        }
        true
    });
}

/// Removes the intended differences from the translator's JSON and the oracle's.
pub fn comparable(kind: &MessageDescriptor, ours: &[u8], oracle: &[u8]) -> (Value, Value) {
    assert_no_needless_points(ours);
    let mut ours = with_numbers_as_words(ours);
    remove_minus_zeros(kind, &mut ours);
    (ours, with_additional_fields_inlined(kind, with_numbers_as_words(oracle)))
}
