//! Generates random messages from their descriptors.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::catalogue::Target;
use crate::dice::Dice;
use crate::scalars;
use crate::tree::{Datum, Tree, is_additional, is_member};

/// Messages that are nested deeper than this are empty.
const MAX_DEPTH: usize = 7;

/// A message that has the field of the target.
pub fn targeted(dice: &mut Dice<'_>, target: &Target) -> Tree {
    message(dice, &target.message, 0, Some(target))
}

/// A message at a nesting depth: the deeper, the smaller.
pub fn message(dice: &mut Dice<'_>, kind: &MessageDescriptor, depth: usize, target: Option<&Target>) -> Tree {
    let wanted = target.map(|target| target.field.clone());
    let fields = match kind.full_name() {
        "google.protobuf.Duration" => time(kind, scalars::duration(dice), true, wanted.as_ref()),
        "google.protobuf.Timestamp" => time(kind, scalars::timestamp(dice), false, wanted.as_ref()),
        _ => {
            let mut fields = Vec::new();
            for field in chosen(dice, kind, depth, wanted.as_ref()) {
                let wanted = wanted.as_ref() == Some(&field);
                let datum = match target.and_then(|target| target.value) {
                    Some(value) if wanted && field.is_list() => Datum::List(vec![Datum::Int(value.into())]),
                    Some(value) if wanted => Datum::Int(value.into()),
                    _ => datum(dice, &field, depth, wanted),
                };
                if field.supports_presence() || !datum.is_zero() {
                    fields.push((field, datum));
                }
            }
            fields
        }
    };
    let mut tree = Tree { kind: kind.clone(), fields };
    additional(dice, &mut tree, depth, wanted.as_ref());
    tree
}

/// The fields to set, in the order of their numbers. At most one of each oneof.
fn chosen(
    dice: &mut Dice<'_>,
    kind: &MessageDescriptor,
    depth: usize,
    wanted: Option<&FieldDescriptor>,
) -> Vec<FieldDescriptor> {
    let mut fields: Vec<FieldDescriptor> = kind.fields().filter(|field| !is_additional(field)).collect();
    let count = match depth {
        // A `Value` has exactly one field; near the limit of the depth, not a list or an object.
        _ if kind.full_name() == "google.protobuf.Value" => {
            fields.truncate(if depth < MAX_DEPTH - 1 { 6 } else { 4 });
            1
        }
        0 if dice.one_in(20) => fields.len(),
        0 => dice.below(6),
        1..4 => dice.below(4),
        4..MAX_DEPTH => dice.below(2),
        _ => 0,
    };
    let mut chosen = BTreeMap::new();
    let mut oneofs = Vec::new();
    dice.shuffle(&mut fields);
    let wanted = wanted.filter(|field| !is_additional(field));
    for field in wanted.into_iter().chain(fields.iter().take(count)) {
        if let Some(oneof) = field.containing_oneof().filter(|oneof| !oneof.is_synthetic()) {
            if oneofs.contains(&oneof) {
                continue;
            }
            oneofs.push(oneof);
        }
        chosen.insert(field.number(), field.clone());
    }
    chosen.into_values().collect()
}

fn datum(dice: &mut Dice<'_>, field: &FieldDescriptor, depth: usize, wanted: bool) -> Datum {
    if field.is_map() {
        let kind = field.kind().as_message().unwrap().map_entry_value_field().kind();
        let mut entries: Vec<(String, Datum)> = Vec::new();
        for _ in 0..dice.below(4).max(usize::from(wanted)) {
            let key = scalars::text(dice);
            if entries.iter().all(|(other, _)| *other != key) {
                entries.push((key, value(dice, &kind, depth)));
            }
        }
        return Datum::Map(entries);
    }
    if field.is_list() {
        let length = dice.below(4).max(usize::from(wanted));
        return Datum::List((0..length).map(|_| value(dice, &field.kind(), depth)).collect());
    }
    let datum = value(dice, &field.kind(), depth);
    if wanted && datum.is_zero() { nonzero(&field.kind()).unwrap_or(datum) } else { datum }
}

fn value(dice: &mut Dice<'_>, kind: &Kind, depth: usize) -> Datum {
    match kind {
        Kind::Bool => Datum::Bool(dice.one_in(2)),
        Kind::Int32 => Datum::Int(scalars::int32(dice)),
        Kind::Int64 => Datum::Int(scalars::int64(dice)),
        Kind::Enum(kind) => Datum::Int(scalars::enumeration(dice, kind)),
        Kind::Float => Datum::Float(scalars::float(dice)),
        Kind::Double => Datum::Double(scalars::double(dice)),
        Kind::String => Datum::Text(scalars::text(dice)),
        Kind::Bytes => Datum::Bytes(scalars::bytes(dice)),
        Kind::Message(kind) => Datum::Message(message(dice, kind, depth + 1, None)),
        other => panic!("the contract has no {other:?}"),
    }
}

/// A value that is not zero.
fn nonzero(kind: &Kind) -> Option<Datum> {
    Some(match kind {
        Kind::Bool => Datum::Bool(true),
        Kind::Int32 | Kind::Int64 => Datum::Int(1),
        Kind::Enum(kind) => Datum::Int(kind.values().find(|value| value.number() != 0)?.number().into()),
        Kind::Float => Datum::Float(0.5),
        Kind::Double => Datum::Double(0.5),
        Kind::String => Datum::Text("a".to_owned()),
        Kind::Bytes => Datum::Bytes(vec![1]),
        _ => return None,
    })
}

fn time(
    kind: &MessageDescriptor,
    (mut seconds, mut nanos): (i64, i64),
    signed: bool,
    wanted: Option<&FieldDescriptor>,
) -> Vec<(FieldDescriptor, Datum)> {
    match wanted.map(FieldDescriptor::number) {
        Some(1) if seconds == 0 => (seconds, nanos) = (1, nanos.abs()),
        Some(2) if nanos == 0 && signed => (seconds, nanos) = (seconds / 2, if seconds < 0 { -1 } else { 1 }),
        Some(2) if nanos == 0 => nanos = 1,
        _ => {}
    }
    let fields = [(1, seconds), (2, nanos)].into_iter().filter(|(_, value)| *value != 0);
    fields.map(|(number, value)| (kind.get_field(number).unwrap(), Datum::Int(value))).collect()
}

/// Adds members and enum names that the contract does not have.
fn additional(dice: &mut Dice<'_>, tree: &mut Tree, depth: usize, wanted: Option<&FieldDescriptor>) {
    let Some(field) = tree.kind.fields().find(is_additional) else { return };
    let wanted = wanted.is_some_and(is_additional);
    if depth > MAX_DEPTH || !(wanted || dice.one_in(6)) {
        return;
    }
    let value = |dice: &mut Dice<'_>| value(dice, &struct_value(&field), depth + 1);
    let mut entries: Vec<(String, Datum)> = Vec::new();
    for _ in 0..dice.below(4).max(usize::from(wanted)) {
        let key = if dice.one_in(4) {
            dice.pick(&["additionalFields", "additional_fields", "newThing", "new_thing"]).to_owned()
        } else {
            scalars::text(dice)
        };
        if entries.iter().all(|(other, _)| *other != key) && !is_member(&tree.kind, &key) {
            entries.push((key, value(dice)));
        }
    }
    let free = |field: &FieldDescriptor| {
        field.kind().as_enum().is_some() && tree.fields.iter().all(|(other, _)| other != field)
    };
    for field in tree.kind.fields().filter(free) {
        if dice.one_in(4) {
            entries.push((field.json_name().to_owned(), new_name(dice, &field)));
        }
    }
    let (Kind::Message(kind), false) = (field.kind(), entries.is_empty()) else { return };
    let inner = kind.get_field(1).unwrap();
    tree.fields.push((field, Datum::Message(Tree { kind, fields: vec![(inner, Datum::Map(entries))] })));
}

/// The kind of the values of a `Struct`.
fn struct_value(field: &FieldDescriptor) -> Kind {
    let kind = field.kind().as_message().unwrap().get_field(1).unwrap().kind();
    kind.as_message().unwrap().map_entry_value_field().kind()
}

/// A name that the enum does not have, as a `Value`; in a list if the field is a list.
fn new_name(dice: &mut Dice<'_>, field: &FieldDescriptor) -> Datum {
    let pool = field.parent_pool().get_message_by_name("google.protobuf.Value").unwrap();
    let value = |number, datum| {
        Datum::Message(Tree { kind: pool.clone(), fields: vec![(pool.get_field(number).unwrap(), datum)] })
    };
    let name = value(3, Datum::Text(dice.pick(&["BRAND_NEW", "brand new", ""]).to_owned()));
    if !field.is_list() {
        return name;
    }
    let list = pool.get_field(6).unwrap().kind().as_message().unwrap().clone();
    let fields = vec![(list.get_field(1).unwrap(), Datum::List(vec![name]))];
    value(6, Datum::Message(Tree { kind: list, fields }))
}
