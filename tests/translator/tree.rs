//! A message as a tree, which keeps the order of its maps.

use prost_reflect::{FieldDescriptor, MessageDescriptor};

#[derive(Clone, Debug)]
pub struct Tree {
    pub kind: MessageDescriptor,
    /// In order of their numbers.
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
    /// What a field without presence leaves out. Minus zero is a value of its own.
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

/// Whether that is a message of Google's which has a JSON form of its own.
pub fn is_well_known(kind: &MessageDescriptor) -> bool {
    kind.package_name() == "google.protobuf"
}

/// Whether a JSON member of that name would be a field of the message.
pub fn is_member(kind: &MessageDescriptor, name: &str) -> bool {
    (kind.fields()).any(|field| !is_additional(&field) && (field.json_name() == name || field.name() == name))
}

pub fn is_additional(field: &FieldDescriptor) -> bool {
    field.number() == 18999
}

/// Whether null is a value of the field, and not its absence.
pub fn takes_null(field: &FieldDescriptor) -> bool {
    !field.is_list() && field.kind().as_message().is_some_and(|kind| kind.full_name() == "google.protobuf.Value")
}
