//! Generates messages that are expensive to read for their size: each feature of the wire format, in each message of a
//! request, repeated any number of times.

use std::collections::BTreeMap;

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};

use crate::catalogue::{MESSAGES, REQUEST};
use crate::wire::{delimited, packable, tag, varint};

/// A kind of hostile message.
pub struct Shape {
    /// What is hostile about it, and in which message.
    pub name: String,
    /// Returns the wire bytes of a request with this many repetitions.
    pub build: Box<dyn Fn(usize) -> Vec<u8>>,
}

/// Returns the bytes of one message with this many repetitions.
type Feature = fn(&MessageDescriptor, usize) -> Vec<u8>;

const FEATURES: [(&str, Feature); 18] = [
    ("fields in descending order", unsorted),
    ("each field many times", repeated),
    ("the members of a oneof in turn", oneofs),
    ("a message field in many fragments", |kind, n| split(kind, n, 1)),
    ("nested message fields in many fragments", |kind, n| split(kind, n / 8, 8)),
    ("unknown fields between known ones", unknown),
    ("nested groups", groups),
    ("lists, packed and not", lists),
    ("packed lists of many elements", packed),
    ("empty packed lists", |kind, n| each(kind, n, |field| field.is_list() && packable(&field.kind()), |_| Vec::new())),
    ("empty messages", |kind, n| each(kind, n, |field| field.kind().as_message().is_some(), |_| Vec::new())),
    ("a map with one key", |kind, n| maps(kind, n, |_| b"key".to_vec(), 1)),
    ("a map with many keys", |kind, n| maps(kind, n, |i| format!("key{i}").into_bytes(), 1)),
    ("a map with short keys", |kind, n| maps(kind, n, |i| (i as u16).to_le_bytes().to_vec(), 1)),
    ("a map entry with many values", |kind, n| maps(kind, 12, |i| vec![b'a' + i as u8], n / 12)),
    ("additional fields", additional),
    ("deep nesting", deep),
    ("long texts and bytes", long),
];

/// Every feature in every message that a request can contain.
pub fn shapes() -> Vec<Shape> {
    let paths = paths();
    let mut shapes = Vec::new();
    for (index, path) in &paths {
        for (name, feature) in FEATURES {
            let (kind, path) = (MESSAGES[*index].clone(), path.clone());
            let name = format!("{name} in {}", kind.full_name());
            shapes.push(Shape { name, build: Box::new(move |n| wrapped(&path, feature(&kind, n))) });
        }
    }
    shapes.retain(|shape| !(shape.build)(12).is_empty());
    shapes
}

/// The path of fields from the request to each message, by the index of the message.
fn paths() -> BTreeMap<usize, Vec<FieldDescriptor>> {
    let index = |kind: &MessageDescriptor| MESSAGES.iter().position(|message| message == kind).unwrap();
    let start = MESSAGES.iter().position(|message| message.full_name() == REQUEST).unwrap();
    let mut paths = BTreeMap::from([(start, Vec::new())]);
    let mut open = vec![start];
    while let Some(at) = open.pop() {
        for field in MESSAGES[at].fields() {
            let kind = if field.is_map() { entry_value(&field) } else { field.kind() };
            let Some(next) = kind.as_message().map(index) else { continue };
            if !paths.contains_key(&next) {
                paths.insert(next, [&paths[&at][..], &[field]].concat());
                open.insert(0, next);
            }
        }
    }
    paths
}

fn wrapped(path: &[FieldDescriptor], mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    for field in path.iter().rev() {
        if field.is_map() {
            bytes = self::field(2, &bytes);
        }
        bytes = self::field(field.number(), &bytes);
    }
    bytes
}

fn entry_value(field: &FieldDescriptor) -> Kind {
    field.kind().as_message().unwrap().map_entry_value_field().kind()
}

fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    delimited(&mut out, number, bytes);
    out
}

/// A field with a small value: a 1, a letter, or an empty message.
fn small(field: &FieldDescriptor) -> Vec<u8> {
    let mut out = Vec::new();
    let number = field.number();
    match field.kind() {
        Kind::String | Kind::Bytes => delimited(&mut out, number, b"a"),
        Kind::Message(_) => delimited(&mut out, number, b""),
        Kind::Double => {
            tag(&mut out, number, 1);
            out.extend_from_slice(&1.5f64.to_le_bytes());
        }
        Kind::Float => {
            tag(&mut out, number, 5);
            out.extend_from_slice(&1.5f32.to_le_bytes());
        }
        _ => {
            tag(&mut out, number, 0);
            varint(&mut out, 1);
        }
    }
    out
}

/// The chosen fields of a message with these contents, in turn, `n` in total.
fn each(
    kind: &MessageDescriptor,
    n: usize,
    chosen: impl Fn(&FieldDescriptor) -> bool,
    content: impl Fn(&FieldDescriptor) -> Vec<u8>,
) -> Vec<u8> {
    let pieces: Vec<_> =
        kind.fields().filter(chosen).map(|field| self::field(field.number(), &content(&field))).collect();
    if pieces.is_empty() { Vec::new() } else { pieces.iter().cycle().take(n).flatten().copied().collect() }
}

fn unsorted(kind: &MessageDescriptor, n: usize) -> Vec<u8> {
    let mut fields: Vec<_> = kind.fields().map(|field| small(&field)).collect();
    fields.reverse();
    fields.iter().cycle().take(n).flatten().copied().collect()
}

fn repeated(kind: &MessageDescriptor, n: usize) -> Vec<u8> {
    let count = kind.fields().len().max(1);
    kind.fields().flat_map(|field| small(&field).repeat(n.div_ceil(count))).collect()
}

/// The members of each oneof in turn, with a list between them if there is one, and then each member many times.
fn oneofs(kind: &MessageDescriptor, n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for oneof in kind.oneofs().filter(|oneof| !oneof.is_synthetic()) {
        let members: Vec<_> = oneof.fields().map(|field| small(&field)).collect();
        let list: Vec<_> = kind.fields().filter(FieldDescriptor::is_list).take(1).map(|field| small(&field)).collect();
        out.extend(members.iter().chain(&list).cycle().take(n / 2).flatten());
        members.iter().for_each(|member| out.extend(member.repeat(n / 2 / members.len())));
    }
    out
}

/// Each message field in many fragments. Each fragment has a field that is in many fragments too, for this many levels.
fn split(kind: &MessageDescriptor, n: usize, levels: usize) -> Vec<u8> {
    each(
        kind,
        n,
        |field| field.kind().as_message().is_some() && !field.is_map(),
        |field| inside(field.kind().as_message().unwrap(), levels - 1),
    )
}

fn inside(kind: &MessageDescriptor, levels: usize) -> Vec<u8> {
    let own = |field: &FieldDescriptor| field.kind().as_message().is_some() && !field.is_map();
    match kind.fields().find(own) {
        Some(field) if levels > 0 => {
            self::field(field.number(), &inside(field.kind().as_message().unwrap(), levels - 1))
        }
        _ => kind.fields().take(1).flat_map(|field| small(&field)).collect(),
    }
}

fn unknown(kind: &MessageDescriptor, n: usize) -> Vec<u8> {
    let known: Vec<_> = kind.fields().map(|field| small(&field)).collect();
    let mut other = Vec::new();
    tag(&mut other, 17_777, 0);
    varint(&mut other, u64::MAX);
    (0..n / 2).flat_map(|i| [&other[..], &known[i % known.len().max(1)]].concat()).collect()
}

fn groups(kind: &MessageDescriptor, n: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..n / 100 {
        (0..50).for_each(|_| tag(&mut out, 17_777, 3));
        (0..50).for_each(|_| tag(&mut out, 17_777, 4));
    }
    // To write a list, the message is read again, with its groups.
    out.extend(kind.fields().filter(FieldDescriptor::is_list).flat_map(|field| small(&field).repeat(2)));
    let mut again = out.clone();
    again.extend(out);
    again
}

fn lists(kind: &MessageDescriptor, n: usize) -> Vec<u8> {
    let mut pieces = Vec::new();
    for field in kind.fields().filter(FieldDescriptor::is_list) {
        pieces.push(small(&field));
        if packable(&field.kind()) {
            pieces.push(self::field(field.number(), &element(&field.kind()).repeat(3)));
        }
    }
    if pieces.is_empty() { pieces } else { pieces.into_iter().cycle().take(n).collect() }.concat()
}

fn element(kind: &Kind) -> Vec<u8> {
    match kind {
        Kind::Double => 1e-300f64.to_le_bytes().to_vec(),
        Kind::Float => 1.1e-30f32.to_le_bytes().to_vec(),
        // The value with the longest name takes the most JSON.
        Kind::Enum(kind) => {
            let longest = kind.values().filter(|value| value.number() < 128).max_by_key(|value| value.name().len());
            vec![longest.unwrap().number() as u8]
        }
        _ => vec![1],
    }
}

fn packed(kind: &MessageDescriptor, n: usize) -> Vec<u8> {
    let fields: Vec<_> = kind.fields().filter(|field| field.is_list() && packable(&field.kind())).collect();
    let count = fields.len().max(1);
    fields.iter().flat_map(|field| self::field(field.number(), &element(&field.kind()).repeat(n / count))).collect()
}

fn maps(kind: &MessageDescriptor, n: usize, key: impl Fn(usize) -> Vec<u8>, values: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for map in kind.fields().filter(FieldDescriptor::is_map) {
        let value = map.kind().as_message().unwrap().map_entry_value_field();
        let content = value.kind().as_message().map_or_else(|| b"a".to_vec(), |kind| inside(kind, 1));
        for i in 0..n {
            let entry = [self::field(1, &key(i)), self::field(2, &content).repeat(values)].concat();
            delimited(&mut out, map.number(), &entry);
        }
    }
    out
}

/// Many members that the schema does not know, in one fragment and in many, and known members.
fn additional(kind: &MessageDescriptor, n: usize) -> Vec<u8> {
    let Some(additional) = kind.fields().find(|field| field.number() == 18999) else { return Vec::new() };
    let mut out = Vec::new();
    let entry = |i: usize| field(1, &[field(1, format!("x{i}").as_bytes()), field(2, &[0x20, 1])].concat());
    let entries: Vec<u8> = (0..n / 2).flat_map(entry).collect();
    delimited(&mut out, additional.number(), &entries);
    (0..n / 2).for_each(|i| delimited(&mut out, additional.number(), &entry(i)));
    let known: Vec<_> =
        kind.fields().filter(FieldDescriptor::is_list).map(|field| small(&field).repeat(n / 10)).collect();
    out.extend(known.concat());
    out
}

/// A message that contains itself many times, with a list at each level.
fn deep(kind: &MessageDescriptor, n: usize) -> Vec<u8> {
    let itself = |field: &FieldDescriptor| !field.is_map() && field.kind().as_message() == Some(kind);
    let Some(recursive) = kind.fields().find(itself) else { return Vec::new() };
    let list = |n: usize| repeated(kind, n);
    (0..30).fold(list(n / 2), |inner, _| [list(n / 60), field(recursive.number(), &inner)].concat())
}

fn long(kind: &MessageDescriptor, n: usize) -> Vec<u8> {
    let texts = |field: &FieldDescriptor| matches!(field.kind(), Kind::String | Kind::Bytes);
    let count = kind.fields().filter(texts).count().max(1);
    let content = |field: &FieldDescriptor| {
        let text: &[u8] = if matches!(field.kind(), Kind::Bytes) { &[0xff] } else { b"\x01" };
        text.repeat(16 * n / count)
    };
    each(kind, count, texts, content)
}
