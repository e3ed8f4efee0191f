//! Messages, fields and enums as both directions of the translator read them.

use std::sync::atomic::{AtomicU8, Ordering};

use super::members::{Members, NONE};

/// The field that carries the JSON members which the schema does not know.
pub(super) const ADDITIONAL_FIELDS: u32 = 18999;

/// Numbers from here on are not Google's (the header of `generative_service.proto`).
const FIRST_OWN_NUMBER: i32 = 10_001;

/// Numbers below this are looked up directly, the others by a binary search.
pub(super) const DIRECT: usize = 64;

#[derive(Debug)]
pub(super) struct Message {
    /// Its own name, without those of package and outer messages.
    pub(super) name: &'static str,
    pub(super) form: Form,
    /// In order of their numbers.
    pub(super) fields: Vec<Field>,
    /// The index of `additional_fields`.
    pub(super) additional: Option<usize>,
    /// The names of the oneofs; those that proto3 `optional` implies are left out.
    pub(super) oneofs: Vec<&'static str>,
    pub(super) direct: [u8; DIRECT],
    pub(super) members: Members,
    /// The member that comes first.
    pub(super) first: Guess,
}

/// Which member of a message comes next, as far as is known: an upstream writes its members in one order. A wrong
/// guess costs a comparison.
#[derive(Debug)]
pub(super) struct Guess(AtomicU8);

/// How a message looks in JSON.
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
    pub(super) oneof: Option<u8>,
    /// A bit for each other member of the oneof, by its index.
    pub(super) rivals: u64,
    /// What it is in an answer.
    pub(super) role: Role,
    /// The key to write while the field of this index is absent.
    pub(super) key_without: Option<(usize, String)>,
    /// The member that comes after this one.
    pub(super) next: Guess,
}

/// What a field is in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It is not in an answer, or an answer is nothing without it.
    Content,
    /// It is content too: the text of a part, which may go on in the next one.
    Text,
    /// An answer is worth something without it.
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
    /// Whether a list of these may stand on the wire without a tag for each.
    pub(super) fn is_packable(self) -> bool {
        !matches!(self, Self::String | Self::Bytes | Self::Message(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Zero is the same as absent.
    Implicit,
    /// An explicit zero is a value.
    Optional,
    Repeated,
    /// Keys are strings; the kind is that of the values.
    Map,
}

#[derive(Debug)]
pub(super) struct Enum {
    pub(super) values: Vec<(&'static str, i32)>,
    /// The value `OTHER`, if there is one.
    pub(super) other: Option<i32>,
}

impl Message {
    /// The index of the field of that number.
    pub(super) fn field(&self, number: u32) -> Option<usize> {
        match self.direct.get(number as usize) {
            Some(&NONE) => None,
            Some(&index) => Some(index.into()),
            None => self.fields.binary_search_by_key(&number, |f| f.number).ok(),
        }
    }

    /// The index of the field that a JSON member of this name, in either spelling, means.
    pub(super) fn member(&self, name: &[u8]) -> Option<usize> {
        self.members.find(name)
    }
}

impl Guess {
    pub(super) fn none() -> Self {
        Self(AtomicU8::new(NONE))
    }

    pub(super) fn field<'m>(&self, message: &'m Message) -> Option<(usize, &'m Field)> {
        let index = self.0.load(Ordering::Relaxed).into();
        Some((index, message.fields.get(index)?))
    }

    pub(super) fn learn(&self, index: usize) {
        self.0.store(index as u8, Ordering::Relaxed);
    }
}

impl Field {
    /// Whether it is a list that may stand on the wire without a tag for each element.
    pub(super) fn is_packable_list(&self) -> bool {
        self.shape == Shape::Repeated && self.kind.is_packable()
    }
}

impl Enum {
    /// The number of a value for readers that have Google's schema: `OTHER` for a value that it lacks, if it has that.
    pub(super) fn as_google_knows_it(&self, number: i32) -> i32 {
        match self.other {
            Some(other) if number >= FIRST_OWN_NUMBER || self.name(number).is_none() => other,
            _ => number,
        }
    }

    pub(super) fn name(&self, number: i32) -> Option<&'static str> {
        self.values.iter().find(|v| v.1 == number).map(|v| v.0)
    }

    /// The number of that name; case does not count, as on Google's servers.
    pub(super) fn number(&self, name: &[u8]) -> Option<i32> {
        self.values.iter().find(|v| v.0.as_bytes().eq_ignore_ascii_case(name)).map(|v| v.1)
    }
}
