//! All messages of the contract, and which of their fields and enum values a test has covered.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::sync::LazyLock;

use gemini_grpc::pb;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};

pub const REQUEST: &str = "mountsea.gemini.v1.GenerateContentRequest";
pub const RESPONSE: &str = "mountsea.gemini.v1.GenerateContentResponse";

/// The request and the response, and every message that they can contain.
pub static MESSAGES: LazyLock<Vec<MessageDescriptor>> = LazyLock::new(|| {
    let pool = DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET).unwrap();
    let mut messages: Vec<_> = [REQUEST, RESPONSE].map(|name| pool.get_message_by_name(name).unwrap()).into();
    let mut at = 0;
    while at < messages.len() {
        for field in messages[at].fields().collect::<Vec<_>>() {
            let kind = if field.is_map() { entry_kind(&field) } else { field.kind() };
            messages.extend(kind.as_message().filter(|kind| !messages.contains(kind)).cloned());
        }
        at += 1;
    }
    messages
});

fn entry_kind(field: &FieldDescriptor) -> Kind {
    field.kind().as_message().unwrap().map_entry_value_field().kind()
}

/// A field to be set, and for an enum the number of the value.
#[derive(Clone)]
pub struct Target {
    pub message: MessageDescriptor,
    pub field: FieldDescriptor,
    pub value: Option<i32>,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.field.full_name(), self.value)
    }
}

/// Every field of every message, and every value of every enum for one field.
pub fn targets() -> Vec<Target> {
    let mut targets = Vec::new();
    let mut enums = HashSet::new();
    for message in MESSAGES.iter() {
        for field in message.fields() {
            let target = |value| Target { message: message.clone(), field: field.clone(), value };
            targets.push(target(None));
            if let Kind::Enum(kind) = field.kind()
                && enums.insert(kind.full_name().to_owned())
            {
                targets.extend(kind.values().map(|value| target(Some(value.number()))));
            }
        }
    }
    targets
}

/// The fields and enum values that the messages of a test contained, as the oracle read them.
#[derive(Debug, Default)]
pub struct Coverage {
    fields: HashSet<String>,
    values: HashSet<(String, i32)>,
}

impl Coverage {
    pub fn record(&mut self, message: &DynamicMessage) {
        for field in message.descriptor().fields() {
            if message.has_field(&field) {
                if !self.fields.contains(field.full_name()) {
                    self.fields.insert(field.full_name().to_owned());
                }
                self.value(&field.kind(), &message.get_field(&field));
            } else if field.kind().as_enum().is_some() && !field.supports_presence() && !field.is_list() {
                // In a field without presence, zero is absent.
                self.value(&field.kind(), &Value::EnumNumber(0));
            }
        }
    }

    fn value(&mut self, kind: &Kind, value: &Value) {
        match (value, kind) {
            (Value::EnumNumber(number), Kind::Enum(kind)) => {
                self.values.insert((kind.full_name().to_owned(), *number));
            }
            (Value::Message(message), _) => self.record(message),
            (Value::List(values), _) => values.iter().for_each(|value| self.value(kind, value)),
            (Value::Map(entries), Kind::Message(entry)) => {
                let kind = entry.map_entry_value_field().kind();
                entries.values().for_each(|value| self.value(&kind, value));
            }
            _ => {}
        }
    }

    /// The fields and enum values that no message contained.
    pub fn missing(&self) -> BTreeSet<String> {
        let mut missing = BTreeSet::new();
        for field in MESSAGES.iter().flat_map(MessageDescriptor::fields) {
            if !self.fields.contains(field.full_name()) {
                missing.insert(field.full_name().to_owned());
            }
            if let Kind::Enum(kind) = field.kind() {
                let unseen = |number| !self.values.contains(&(kind.full_name().to_owned(), number));
                let values = kind.values().filter(|value| unseen(value.number()));
                missing.extend(values.map(|value| value.full_name().to_owned()));
            }
        }
        missing
    }
}
