//! The table of messages and fields that drives both directions, built once from a descriptor set.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type as ProtoType};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use super::members::Members;
use super::roles;

/// The number of the field that contains the JSON members which the schema does not know.
pub(super) const ADDITIONAL_FIELDS: u32 = 18999;

/// Field and enum numbers from this one on are ours, not Google's (see the header of `generative_service.proto`).
const FIRST_OWN_NUMBER: i32 = 10_001;

/// The full name of the message that a response is.
pub(super) const RESPONSE_NAME: &str = "mountsea.gemini.v1.GenerateContentResponse";

/// Field numbers below this are looked up in an array, the others by binary search.
const DIRECT_NUMBERS: usize = 64;
/// No field: an index that no field has.
pub(super) const NONE: u8 = u8::MAX;

/// Every message and enum of a descriptor set. A message or enum is referred to by its index.
#[derive(Debug)]
pub(super) struct Table {
    messages: Vec<Message>,
    enums: Vec<Enum>,
    by_name: HashMap<String, usize>,
}

#[derive(Debug)]
pub(super) struct Message {
    /// Its name without package and outer messages.
    pub(super) name: &'static str,
    pub(super) form: Form,
    /// In the order of their numbers. At most 64: both directions have bit sets of field indexes.
    pub(super) fields: Vec<Field>,
    /// The index of `additional_fields`.
    pub(super) additional: Option<usize>,
    /// The names of the oneofs, without the synthetic ones of `optional` fields.
    pub(super) oneofs: Vec<&'static str>,
    /// The index of the field of each small number, or [`NONE`].
    direct: [u8; DIRECT_NUMBERS],
    members: Members,
    /// The first member of its JSON object.
    pub(super) first: Guess,
}

/// A guess which member of a message comes next, learned from JSON that was read before: an upstream writes its members
/// in the same order each time. A right guess saves a lookup, a wrong one costs a comparison. All threads share it,
/// without ordering: a wrong guess does no harm.
#[derive(Debug)]
pub(super) struct Guess(AtomicU8);

/// The JSON form of a message: an object of its fields, or the special form of a well-known type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Object,
    Struct,
    Value,
    List,
    Duration,
    Timestamp,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: &'static str,
    /// The JSON name, quoted and with its colon.
    pub(super) key: String,
    pub(super) json_name: &'static str,
    pub(super) kind: Kind,
    pub(super) shape: Shape,
    /// The index of its oneof.
    pub(super) oneof: Option<u8>,
    /// The other members of its oneof, as a bit set of field indexes.
    pub(super) oneof_siblings: u64,
    pub(super) role: Role,
    /// A field whose name this one may take, by its index, and that name as a key: `responseJsonSchema` instead of
    /// `_responseJsonSchema` while the other field is absent.
    pub(super) short_key: Option<(usize, String)>,
    /// The member that follows this one in JSON.
    pub(super) next: Guess,
}

/// What a field means for a response that has a fault in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The response is useless without it. Also the role of fields that no response has.
    Content,
    /// Content too: the text of a part, which may continue in the next part.
    Text,
    /// The response is useful without it.
    Sidecar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int32,
    Int64,
    Bool,
    Float,
    Double,
    String,
    Bytes,
    Enum(usize),
    Message(usize),
}

impl Kind {
    /// Whether a list of these may be packed on the wire: one length-delimited field, without a tag for each element.
    pub(super) fn is_packable(self) -> bool {
        !matches!(self, Self::String | Self::Bytes | Self::Message(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One value without presence: zero is the same as absent.
    Implicit,
    /// One value with presence: an explicit zero is kept.
    Optional,
    Repeated,
    /// A map with string keys. The kind of the field is that of the values.
    Map,
}

#[derive(Debug)]
pub(super) struct Enum {
    values: Vec<(&'static str, i32)>,
    /// The value `OTHER`, if there is one.
    pub(super) other: Option<i32>,
}

/// The descriptor set uses something that the translator does not support.
#[derive(Debug, thiserror::Error)]
#[error("unsupported descriptor: {0}")]
pub(super) struct Unsupported(String);

impl Table {
    /// Builds the table. It lives as long as the process, so its names are leaked once.
    pub(super) fn new(sets: &[&[u8]]) -> Result<Self, Unsupported> {
        let mut found = FlatDescriptors::default();
        for set in sets {
            let set = FileDescriptorSet::decode(*set).map_err(|e| Unsupported(e.to_string()))?;
            for file in set.file {
                found.file(file);
            }
        }
        let by_name: HashMap<String, usize> =
            (found.messages.iter().enumerate()).map(|(i, m)| (m.0.clone(), i)).collect();
        let enums_by_name: HashMap<&str, usize> =
            (found.enums.iter().enumerate()).map(|(i, e)| (e.0.as_str(), i)).collect();
        let entries: HashMap<&str, &DescriptorProto> = (found.messages.iter())
            .filter(|(_, m)| m.options.as_ref().is_some_and(|o| o.map_entry()))
            .map(|(name, m)| (name.as_str(), m))
            .collect();
        let names = TypeNames { messages: &by_name, enums: &enums_by_name, entries: &entries };
        let mut messages =
            (found.messages.iter()).map(|(name, m)| Message::new(name, m, &names)).collect::<Result<Vec<_>, _>>()?;
        if let Some(response) = by_name.get(RESPONSE_NAME) {
            roles::assign(&mut messages, *response);
        }
        let enums = found.enums.iter().map(|(_, e)| Enum::new(e)).collect();
        Ok(Self { messages, enums, by_name })
    }

    /// The message with this full name, without a leading dot.
    pub(super) fn find(&self, name: &str) -> Option<&Message> {
        self.by_name.get(name).map(|&i| &self.messages[i])
    }

    pub(super) fn message(&self, index: usize) -> &Message {
        &self.messages[index]
    }

    pub(super) fn enumeration(&self, index: usize) -> &Enum {
        &self.enums[index]
    }
}

impl Message {
    fn new(name: &str, proto: &DescriptorProto, names: &TypeNames<'_>) -> Result<Self, Unsupported> {
        let form = match name {
            "google.protobuf.Struct" => Form::Struct,
            "google.protobuf.Value" => Form::Value,
            "google.protobuf.ListValue" => Form::List,
            "google.protobuf.Duration" => Form::Duration,
            "google.protobuf.Timestamp" => Form::Timestamp,
            _ => Form::Object,
        };
        // Compilers put the synthetic oneofs of `optional` fields after the real ones.
        let synthetic = proto.field.iter().filter(|f| f.proto3_optional()).count();
        let real = proto.oneof_decl.len().saturating_sub(synthetic);
        let oneofs = proto.oneof_decl[..real].iter().map(|o| leak(o.name())).collect();
        let mut fields = (proto.field.iter()).map(|f| Field::new(f, names)).collect::<Result<Vec<_>, _>>()?;
        fields.sort_by_key(|f| f.number);
        if fields.len() > u64::BITS as usize {
            return Err(Unsupported(format!("{name} has over 64 fields")));
        }
        let mut direct = [NONE; DIRECT_NUMBERS];
        for (i, field) in fields.iter().enumerate() {
            if let Some(slot) = direct.get_mut(field.number as usize) {
                *slot = i as u8;
            }
        }
        for i in 0..fields.len() {
            fields[i].oneof_siblings = (fields.iter().enumerate())
                .filter(|(other, field)| *other != i && field.oneof.is_some() && field.oneof == fields[i].oneof)
                .fold(0, |siblings, (other, _)| siblings | 1 << other);
        }
        // A field has the JSON name `_x` if another field already has `x`. While that other field is absent, this one
        // is written as `x`, the name under which upstreams know it.
        for i in 0..fields.len() {
            let plain = fields[i].json_name.strip_prefix('_').unwrap_or_default();
            let namesake = fields.iter().position(|field| field.json_name == plain);
            fields[i].short_key = namesake.map(|namesake| (namesake, fields[namesake].key.clone()));
        }
        let additional = fields.iter().position(|f| f.number == ADDITIONAL_FIELDS);
        let members = Members::new(&fields);
        let name = leak(proto.name());
        Ok(Self { name, form, fields, additional, oneofs, direct, members, first: Guess::none() })
    }

    /// The index of the field with this number.
    pub(super) fn field(&self, number: u32) -> Option<usize> {
        match self.direct.get(number as usize) {
            Some(&NONE) => None,
            Some(&index) => Some(index.into()),
            None => self.fields.binary_search_by_key(&number, |f| f.number).ok(),
        }
    }

    /// The index of the field with this JSON member name, in either spelling.
    pub(super) fn member(&self, name: &[u8]) -> Option<usize> {
        self.members.find(name, &self.fields)
    }
}

impl Guess {
    fn none() -> Self {
        Self(AtomicU8::new(NONE))
    }

    /// The guessed field and its index, if there is a guess.
    pub(super) fn field<'m>(&self, message: &'m Message) -> Option<(usize, &'m Field)> {
        let index = self.0.load(Ordering::Relaxed).into();
        Some((index, message.fields.get(index)?))
    }

    /// Sets the guess to the field with this index.
    pub(super) fn learn(&self, index: usize) {
        self.0.store(index as u8, Ordering::Relaxed);
    }
}

impl Field {
    fn new(proto: &FieldDescriptorProto, names: &TypeNames<'_>) -> Result<Self, Unsupported> {
        let repeated = proto.label() == Label::Repeated;
        let entry = names.entries.get(proto.type_name().trim_start_matches('.'));
        let shape = match (repeated, entry) {
            (true, Some(_)) => Shape::Map,
            (true, None) => Shape::Repeated,
            (false, _) if proto.r#type() == ProtoType::Message => Shape::Optional,
            (false, _) if proto.oneof_index.is_some() => Shape::Optional,
            (false, _) => Shape::Implicit,
        };
        let kind = match entry {
            Some(entry) => match &entry.field[..] {
                [key, value] if key.r#type() == ProtoType::String => names.kind(value)?,
                _ => return Err(Unsupported(format!("the map {} is not keyed by strings", proto.name()))),
            },
            None => names.kind(proto)?,
        };
        let oneof = proto.oneof_index.filter(|_| !proto.proto3_optional()).map(|i| i as u8);
        let key = format!("\"{}\":", proto.json_name());
        let (name, json_name) = (leak(proto.name()), leak(proto.json_name()));
        Ok(Self {
            number: proto.number() as u32,
            name,
            key,
            json_name,
            kind,
            shape,
            oneof,
            oneof_siblings: 0,
            role: Role::Content,
            short_key: None,
            next: Guess::none(),
        })
    }
}

impl Field {
    /// Whether it is a list that may be packed on the wire.
    pub(super) fn is_packable_list(&self) -> bool {
        self.shape == Shape::Repeated && self.kind.is_packable()
    }
}

impl Enum {
    fn new(proto: &EnumDescriptorProto) -> Self {
        let values: Vec<_> = proto.value.iter().map(|v| (leak(v.name()), v.number())).collect();
        let other = values.iter().find(|value| value.0 == "OTHER").map(|value| value.1);
        Self { values, other }
    }

    /// The number of a value for a reader with Google's schema: if that schema lacks the value, the number of `OTHER`
    /// if there is one.
    pub(super) fn in_googles_schema(&self, number: i32) -> i32 {
        match self.other {
            Some(other) if number >= FIRST_OWN_NUMBER || self.name(number).is_none() => other,
            _ => number,
        }
    }

    /// The name of the value with this number.
    pub(super) fn name(&self, number: i32) -> Option<&'static str> {
        self.values.iter().find(|v| v.1 == number).map(|v| v.0)
    }

    /// The number of the value with this name. Case is ignored, as on Google's servers.
    pub(super) fn number(&self, name: &[u8]) -> Option<i32> {
        self.values.iter().find(|v| v.0.as_bytes().eq_ignore_ascii_case(name)).map(|v| v.1)
    }
}

/// The messages and enums of all files in two flat lists, with their full names.
#[derive(Default)]
struct FlatDescriptors {
    messages: Vec<(String, DescriptorProto)>,
    enums: Vec<(String, EnumDescriptorProto)>,
}

impl FlatDescriptors {
    fn file(&mut self, file: prost_types::FileDescriptorProto) {
        let package = file.package().to_owned();
        for message in file.message_type {
            self.message(&package, message);
        }
        for proto in file.enum_type {
            self.enums.push((format!("{package}.{}", proto.name()), proto));
        }
    }

    fn message(&mut self, scope: &str, mut message: DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        for nested in std::mem::take(&mut message.nested_type) {
            self.message(&name, nested);
        }
        for proto in std::mem::take(&mut message.enum_type) {
            self.enums.push((format!("{name}.{}", proto.name()), proto));
        }
        self.messages.push((name, message));
    }
}

/// Finds types by their full names.
struct TypeNames<'a> {
    messages: &'a HashMap<String, usize>,
    enums: &'a HashMap<&'a str, usize>,
    /// The entry messages of maps.
    entries: &'a HashMap<&'a str, &'a DescriptorProto>,
}

impl TypeNames<'_> {
    fn kind(&self, proto: &FieldDescriptorProto) -> Result<Kind, Unsupported> {
        let target = proto.type_name().trim_start_matches('.');
        let unsupported = || Unsupported(format!("field {} is a {:?}", proto.name(), proto.r#type()));
        Ok(match proto.r#type() {
            ProtoType::Int32 => Kind::Int32,
            ProtoType::Int64 => Kind::Int64,
            ProtoType::Bool => Kind::Bool,
            ProtoType::Float => Kind::Float,
            ProtoType::Double => Kind::Double,
            ProtoType::String => Kind::String,
            ProtoType::Bytes => Kind::Bytes,
            ProtoType::Enum => Kind::Enum(*self.enums.get(target).ok_or_else(unsupported)?),
            ProtoType::Message => Kind::Message(*self.messages.get(target).ok_or_else(unsupported)?),
            _ => return Err(unsupported()),
        })
    }
}

fn leak(name: &str) -> &'static str {
    name.to_owned().leak()
}
