//! Writes wire bytes in the forms that protobuf allows besides the canonical one: fields in any order and in several
//! fragments, lists packed or not, oneofs set twice, explicit zeros, varints that are longer than necessary, and
//! unknown fields.

use prost_reflect::{FieldDescriptor, Kind};

use crate::dice::Dice;
use crate::generate;
use crate::tree::{Datum, Tree};
use crate::wire::{delimited, field, message as canonical, packable, scalar, tag, varint, wire_type};

/// Bits above the lower 32, which are ignored in an int32 or an enum.
const IGNORED_BITS: i64 = 5 << 32;

pub fn message(tree: &Tree, dice: &mut Dice<'_>) -> Vec<u8> {
    let mut pieces = Vec::new();
    for (field, datum) in &tree.fields {
        if dice.one_in(8) {
            pieces.extend(zero(field, dice));
        }
        self::pieces(&mut pieces, field, datum, dice);
    }
    if dice.one_in(4) {
        // Another message that is merged with this one.
        let other = generate::message(dice, &tree.kind, 4, None);
        for (field, datum) in &other.fields {
            self::pieces(&mut pieces, field, datum, dice);
        }
    }
    if dice.one_in(8) {
        pieces.push(unknown(dice, 17_777));
    }
    if dice.one_in(2) {
        dice.shuffle(&mut pieces);
    }
    pieces.concat()
}

/// Adds a field in one piece or in several.
fn pieces(pieces: &mut Vec<Vec<u8>>, field: &FieldDescriptor, datum: &Datum, dice: &mut Dice<'_>) {
    let (number, kind) = (field.number(), field.kind());
    match datum {
        Datum::Map(entries) => {
            let value = kind.as_message().unwrap().map_entry_value_field().kind();
            pieces.extend(entries.iter().map(|entry| self::entry(number, &value, entry, dice)));
        }
        Datum::List(values) if packable(&kind) => {
            for run in values.chunks(1 + dice.below(3)) {
                let mut piece = Vec::new();
                let packed = !dice.one_in(2);
                let mut inside = Vec::new();
                for value in run {
                    if packed {
                        self::number(&mut inside, value, dice);
                    } else {
                        tag(&mut piece, number, wire_type(value));
                        self::number(&mut piece, value, dice);
                    }
                }
                if packed {
                    delimited(&mut piece, number, &inside);
                }
                pieces.push(piece);
            }
        }
        Datum::List(values) => values.iter().for_each(|value| self::pieces(pieces, field, value, dice)),
        // The elements of a list are not merged, so they are never split.
        Datum::Message(tree) if !field.is_list() && dice.one_in(3) => {
            let (one, two) = tree.fields.split_at(dice.below(tree.fields.len() + 1));
            for fields in [one, two] {
                let part = Tree { kind: tree.kind.clone(), fields: fields.to_vec() };
                pieces.push(single(number, &message(&part, dice)));
            }
        }
        Datum::Message(tree) => pieces.push(single(number, &message(tree, dice))),
        Datum::Text(_) | Datum::Bytes(_) => {
            let mut piece = Vec::new();
            self::field(&mut piece, number, &kind, datum);
            pieces.push(piece);
        }
        Datum::Bool(_) | Datum::Int(_) | Datum::Float(_) | Datum::Double(_) => {
            let mut piece = Vec::new();
            tag(&mut piece, number, wire_type(datum));
            match datum {
                Datum::Int(value) if !matches!(kind, Kind::Int64) && dice.one_in(6) => {
                    self::number(&mut piece, &Datum::Int(value ^ IGNORED_BITS), dice);
                }
                _ => self::number(&mut piece, datum, dice),
            }
            pieces.push(piece);
        }
    }
}

fn single(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut piece = Vec::new();
    delimited(&mut piece, number, bytes);
    piece
}

/// A map entry: its key and value may be absent, in the other order, or given twice.
fn entry(number: u32, kind: &Kind, (key, value): &(String, Datum), dice: &mut Dice<'_>) -> Vec<u8> {
    let mut parts = vec![single(1, key.as_bytes())];
    let mut put = |value: &Datum, dice: &mut Dice<'_>| match value {
        Datum::Message(tree) => parts.push(single(2, &message(tree, dice))),
        other => {
            let mut part = Vec::new();
            field(&mut part, 2, kind, other);
            parts.push(part);
        }
    };
    put(value, dice);
    match (dice.below(8), value) {
        (4, Datum::Message(tree)) => put(&Datum::Message(generate::message(dice, &tree.kind, 4, None)), dice),
        (4, other) => put(&other.clone(), dice),
        (5, _) => parts.push(unknown(dice, 3)),
        (6, _) => drop(parts.remove(dice.below(2))),
        (7, _) => parts.reverse(),
        _ => {}
    }
    single(number, &parts.concat())
}

/// Writes a number, sometimes as a varint that is longer than necessary.
fn number(out: &mut Vec<u8>, datum: &Datum, dice: &mut Dice<'_>) {
    let start = out.len();
    scalar(out, datum);
    if matches!(datum, Datum::Bool(_) | Datum::Int(_)) && out.len() - start < 9 && dice.one_in(6) {
        *out.last_mut().unwrap() |= 0x80;
        out.push(0);
    }
}

/// An explicit zero, which need not be on the wire; `None` for lists, maps and messages.
fn zero(field: &FieldDescriptor, dice: &mut Dice<'_>) -> Option<Vec<u8>> {
    let datum = match field.kind() {
        _ if field.is_list() => return None,
        Kind::Int32 | Kind::Enum(_) => Datum::Int(dice.pick(&[0, IGNORED_BITS])),
        Kind::Bool | Kind::Int64 => Datum::Int(0),
        Kind::Float => Datum::Float(0.0),
        Kind::Double => Datum::Double(0.0),
        Kind::String => Datum::Text(String::new()),
        Kind::Bytes => Datum::Bytes(Vec::new()),
        _ => return None,
    };
    let mut piece = Vec::new();
    self::field(&mut piece, field.number(), &field.kind(), &datum);
    Some(piece)
}

/// A field that no message has, of any wire type.
fn unknown(dice: &mut Dice<'_>, number: u32) -> Vec<u8> {
    let mut piece = Vec::new();
    match dice.below(5) {
        0 => {
            tag(&mut piece, number, 0);
            varint(&mut piece, dice.bits());
        }
        1 => {
            tag(&mut piece, number, 1);
            piece.extend_from_slice(&[0xff; 8]);
        }
        2 => delimited(&mut piece, number, &canonical(&any_message(dice))),
        3 => {
            tag(&mut piece, number, 5);
            piece.extend_from_slice(&[0xff; 4]);
        }
        _ => {
            tag(&mut piece, number, 3);
            delimited(&mut piece, 1, b"in a group");
            tag(&mut piece, number, 4);
        }
    }
    piece
}

fn any_message(dice: &mut Dice<'_>) -> Tree {
    let kind = dice.pick(&crate::catalogue::MESSAGES);
    generate::message(dice, &kind, 4, None)
}
