//! The oracle of the tests: what prost-reflect reads and writes.

use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, ReflectMessage};
use serde_json::Value;

pub fn decode(kind: &MessageDescriptor, wire: &[u8]) -> Option<DynamicMessage> {
    DynamicMessage::decode(kind.clone(), wire).ok()
}

/// The JSON of a message as text. A 32-bit float has its own shortest form in it.
pub fn to_text(message: &DynamicMessage) -> Option<Vec<u8>> {
    serde_json::to_vec(message).ok()
}

/// The JSON of a message as a tree. Each number in it is the exact double.
pub fn to_value(message: &DynamicMessage) -> Option<Value> {
    serde_json::to_value(message).ok()
}

/// Reads JSON. Fails for members and enum names that are not in the contract.
pub fn read(kind: &MessageDescriptor, json: &[u8]) -> Option<DynamicMessage> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(kind.clone(), &mut deserializer, &options).ok()?;
    deserializer.end().ok()?;
    Some(message)
}

/// The message without the values that prost-reflect does not encode: it also leaves out minus zero in a field without
/// presence.
pub fn without_absent_values(message: &DynamicMessage) -> DynamicMessage {
    DynamicMessage::decode(message.descriptor(), message.encode_to_vec().as_slice()).unwrap()
}
