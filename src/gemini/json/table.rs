//! Builds the table of messages and enums that drives both directions, once, from a descriptor set.

use std::collections::HashMap;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type as ProtoType};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet, MethodDescriptorProto,
};

use super::members::{Members, NONE};
use super::roles;
use super::schema::{ADDITIONAL_FIELDS, DIRECT_NUMBERS, Enum, Field, Form, Guess, Kind, Message, Role, Shape};
use crate::gemini::method::Method;

/// Every message and enum of a descriptor set. A message or enum is referred to by its index.
#[derive(Debug)]
pub(super) struct Table {
    messages: Vec<Message>,
    enums: Vec<Enum>,
    by_name: HashMap<String, usize>,
    /// The messages of each method, at its place in [`Method::ALL`].
    methods: Vec<MethodMessages>,
}

/// The messages of a method, which the service's proto gives it.
#[derive(Clone, Copy, Debug)]
struct MethodMessages {
    request: usize,
    response: usize,
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
            (found.messages.iter()).map(|(name, m)| message(name, m, &names)).collect::<Result<Vec<_>, _>>()?;
        let methods =
            Method::ALL.iter().map(|method| found.method(*method, &by_name)).collect::<Result<Vec<_>, _>>()?;
        roles::assign(&mut messages, methods.iter().map(|method| method.response));
        roles::mark_validated(&mut messages);
        let enums = found.enums.iter().map(|(_, e)| enumeration(e)).collect();
        Ok(Self { messages, enums, by_name, methods })
    }

    /// The message with this full name, without a leading dot.
    pub(super) fn find(&self, name: &str) -> Option<&Message> {
        self.by_name.get(name).map(|&i| &self.messages[i])
    }

    /// The message that a request of this method is.
    pub(super) fn request(&self, method: Method) -> &Message {
        self.message(self.methods[method as usize].request)
    }

    /// The message that a response of this method is.
    pub(super) fn response(&self, method: Method) -> &Message {
        self.message(self.methods[method as usize].response)
    }

    /// Whether any message has a member of this name.
    pub(super) fn has_member(&self, name: &[u8]) -> bool {
        self.messages.iter().any(|message| message.member(name).is_some())
    }

    pub(super) fn message(&self, index: usize) -> &Message {
        &self.messages[index]
    }

    pub(super) fn enumeration(&self, index: usize) -> &Enum {
        &self.enums[index]
    }
}

fn message(name: &str, proto: &DescriptorProto, names: &TypeNames<'_>) -> Result<Message, Unsupported> {
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
    let mut fields = (proto.field.iter()).map(|f| field(f, names)).collect::<Result<Vec<_>, _>>()?;
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
    // A field has the JSON name `_x` if another field already has `x`. While that other field is absent, this one is
    // written as `x`, the name under which upstreams know it.
    for i in 0..fields.len() {
        let plain = fields[i].json_name.strip_prefix('_').unwrap_or_default();
        let namesake = fields.iter().position(|field| field.json_name == plain);
        fields[i].short_key = namesake.map(|namesake| (namesake, fields[namesake].key.clone()));
    }
    let additional = fields.iter().position(|f| f.number == ADDITIONAL_FIELDS);
    let members = members(&fields);
    let name = leak(proto.name());
    Ok(Message { name, form, fields, additional, oneofs, direct, members, first: Guess::none() })
}

/// Finds the fields of a message by their names. A JSON name takes precedence over another field's proto name: `responseJsonSchema` is
/// field 28 of GenerationConfig, `response_json_schema` field 24, whose JSON name is `_responseJsonSchema`.
fn members(fields: &[Field]) -> Members {
    let known = || fields.iter().enumerate().filter(|(_, field)| field.number != ADDITIONAL_FIELDS);
    let json_names = known().map(|(i, field)| (field.json_name, i as u8));
    let names: Vec<_> = json_names.chain(known().map(|(i, field)| (field.name, i as u8))).collect();
    Members::new(&names)
}

fn field(proto: &FieldDescriptorProto, names: &TypeNames<'_>) -> Result<Field, Unsupported> {
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
    Ok(Field {
        number: proto.number() as u32,
        name,
        key,
        json_name,
        kind,
        shape,
        oneof,
        oneof_siblings: 0,
        role: Role::Content,
        is_validated: false,
        short_key: None,
        next: Guess::none(),
    })
}

fn enumeration(proto: &EnumDescriptorProto) -> Enum {
    let values: Vec<_> = proto.value.iter().map(|v| (leak(v.name()), v.number())).collect();
    let other = values.iter().find(|value| value.0 == "OTHER").map(|value| value.1);
    Enum { values, other }
}

/// The messages and enums of all files in flat lists, with their full names, and the methods of all services.
#[derive(Default)]
struct FlatDescriptors {
    messages: Vec<(String, DescriptorProto)>,
    enums: Vec<(String, EnumDescriptorProto)>,
    methods: Vec<MethodDescriptorProto>,
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
        self.methods.extend(file.service.into_iter().flat_map(|service| service.method));
    }

    /// The messages of a method. Every service that has it has the same ones.
    fn method(&self, method: Method, by_name: &HashMap<String, usize>) -> Result<MethodMessages, Unsupported> {
        let found = self.methods.iter().find(|proto| proto.name() == method.rpc()).and_then(|proto| {
            let message = |name: &str| by_name.get(name.trim_start_matches('.')).copied();
            Some(MethodMessages { request: message(proto.input_type())?, response: message(proto.output_type())? })
        });
        found.ok_or_else(|| Unsupported(format!("no service has {}", method.rpc())))
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
