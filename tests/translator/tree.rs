//! A message as a tree that keeps the order of map entries.

use prost_reflect::{FieldDescriptor, MessageDescriptor};

#[derive(Clone, Debug)]
pub struct Tree {
    pub kind: MessageDescriptor,
    /// In the order of their numbers.
    pub fields: Vec<(FieldDescriptor, Datum)>,
}

#[derive(Clone, Debug)]
pub enum Datum {
    Bool(bool),
    /// An integer of either size, or an enum.
    Int(i64),
    Float(f32),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Message(Tree),
    List(Vec<Datum>),
    Map(Vec<(String, Datum)>),
}

impl Datum {
    /// Whether a field without presence would leave the value out. Minus zero is not zero here.
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Bool(value) => !value,
            Self::Int(value) => *value == 0,
            Self::Float(value) => value.to_bits() == 0,
            Self::Double(value) => value.to_bits() == 0,
            Self::Text(value) => value.is_empty(),
            Self::Bytes(value) => value.is_empty(),
            Self::Message(_) => false,
            Self::List(values) => values.is_empty(),
            Self::Map(entries) => entries.is_empty(),
        }
    }
}

/// Whether the message is one of Google's well-known types, which have JSON forms of their own.
pub fn is_well_known(kind: &MessageDescriptor) -> bool {
    kind.package_name() == "google.protobuf"
}

/// Whether a JSON member with this name would be a field of the message.
pub fn is_member(kind: &MessageDescriptor, name: &str) -> bool {
    (kind.fields()).any(|field| !is_additional(&field) && (field.json_name() == name || field.name() == name))
}

pub fn is_additional(field: &FieldDescriptor) -> bool {
    field.number() == 18999
}

/// Whether null is a value of the field instead of its absence.
pub fn accepts_null(field: &FieldDescriptor) -> bool {
    !field.is_list() && field.kind().as_message().is_some_and(|kind| kind.full_name() == "google.protobuf.Value")
}
