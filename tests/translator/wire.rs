//! Writes wire bytes in canonical form: fields in the order of their numbers, lists of numbers packed, and each map
//! entry with its key and its value. Independent of the translator's own code.

use prost_reflect::Kind;

use crate::tree::{Datum, Tree};

pub fn message(tree: &Tree) -> Vec<u8> {
    let mut out = Vec::new();
    for (field, datum) in &tree.fields {
        self::field(&mut out, field.number(), &field.kind(), datum);
    }
    out
}

pub fn field(out: &mut Vec<u8>, number: u32, kind: &Kind, datum: &Datum) {
    match datum {
        Datum::List(values) if packable(kind) => {
            let mut packed = Vec::new();
            values.iter().for_each(|value| scalar(&mut packed, value));
            delimited(out, number, &packed);
        }
        Datum::List(values) => values.iter().for_each(|value| field(out, number, kind, value)),
        Datum::Map(entries) => {
            let value_kind = kind.as_message().unwrap().map_entry_value_field().kind();
            for (key, value) in entries {
                let mut entry = Vec::new();
                delimited(&mut entry, 1, key.as_bytes());
                field(&mut entry, 2, &value_kind, value);
                delimited(out, number, &entry);
            }
        }
        Datum::Text(text) => delimited(out, number, text.as_bytes()),
        Datum::Bytes(bytes) => delimited(out, number, bytes),
        Datum::Message(tree) => delimited(out, number, &message(tree)),
        Datum::Bool(_) | Datum::Int(_) | Datum::Float(_) | Datum::Double(_) => {
            tag(out, number, wire_type(datum));
            scalar(out, datum);
        }
    }
}

pub fn packable(kind: &Kind) -> bool {
    !matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_))
}

pub fn wire_type(datum: &Datum) -> u8 {
    match datum {
        Datum::Bool(_) | Datum::Int(_) => 0,
        Datum::Double(_) => 1,
        Datum::Float(_) => 5,
        _ => 2,
    }
}

/// A number without its tag.
pub fn scalar(out: &mut Vec<u8>, datum: &Datum) {
    match datum {
        Datum::Bool(value) => varint(out, (*value).into()),
        Datum::Int(value) => varint(out, *value as u64),
        Datum::Float(value) => out.extend_from_slice(&value.to_le_bytes()),
        Datum::Double(value) => out.extend_from_slice(&value.to_le_bytes()),
        other => panic!("{other:?} is no number"),
    }
}

pub fn delimited(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    tag(out, number, 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub fn tag(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    varint(out, u64::from(number) * 8 + u64::from(wire_type));
}

pub fn varint(out: &mut Vec<u8>, value: u64) {
    if value < 128 {
        out.push(value as u8);
    } else {
        out.push((value % 128) as u8 + 128);
        varint(out, value / 128);
    }
}
