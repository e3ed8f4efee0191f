//! The messages, fields and enums of the contract, as both directions of the translator use them.

use std::sync::atomic::{AtomicU8, Ordering};

use super::members::{Members, NONE};

/// The number of the field that contains the JSON members which the schema does not know.
pub(super) const ADDITIONAL_FIELDS: u32 = 18999;

/// Field and enum numbers from this one on are ours, not Google's (see the header of `generative_service.proto`).
const FIRST_OWN_NUMBER: i32 = 10_001;

/// Field numbers below this are looked up in an array, the others by binary search.
pub(super) const DIRECT_NUMBERS: usize = 64;

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
    pub(super) direct: [u8; DIRECT_NUMBERS],
    pub(super) members: Members,
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
    /// Whether the rules of a request read it (`validate`).
    pub(super) is_validated: bool,
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
    pub(super) values: Vec<(&'static str, i32)>,
    /// The value `OTHER`, if there is one.
    pub(super) other: Option<i32>,
}

impl Message {
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
        self.members.find(name)
    }
}

impl Guess {
    pub(super) fn none() -> Self {
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
    /// Whether it is a list that may be packed on the wire.
    pub(super) fn is_packable_list(&self) -> bool {
        self.shape == Shape::Repeated && self.kind.is_packable()
    }
}

impl Enum {
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
