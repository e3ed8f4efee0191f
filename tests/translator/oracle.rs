//! prost-reflect: what it reads and what it writes.

use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, ReflectMessage};
use serde_json::Value;

pub fn decode(kind: &MessageDescriptor, wire: &[u8]) -> Option<DynamicMessage> {
    DynamicMessage::decode(kind.clone(), wire).ok()
}

/// As text, in which a 32-bit float has its own shortest form.
pub fn to_text(message: &DynamicMessage) -> Option<Vec<u8>> {
    serde_json::to_vec(message).ok()
}

/// As a tree, in which each number is the double that was meant.
pub fn to_value(message: &DynamicMessage) -> Option<Value> {
    serde_json::to_value(message).ok()
}

/// Reads JSON; refuses members and enum names that are new.
pub fn read(kind: &MessageDescriptor, json: &[u8]) -> Option<DynamicMessage> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let message = DynamicMessage::deserialize_with_options(kind.clone(), &mut deserializer, &options).ok()?;
    deserializer.end().ok()?;
    Some(message)
}

/// The message without what prost-reflect takes for absent, which is minus zero in a field without presence too.
pub fn settled(message: &DynamicMessage) -> DynamicMessage {
    DynamicMessage::decode(message.descriptor(), message.encode_to_vec().as_slice()).unwrap()
}
