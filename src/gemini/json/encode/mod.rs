//! Protobuf wire bytes to JSON.
//!
//! Each message is scanned once for the places of its values, which are put in order and written.
//! Protobuf allows what JSON does not: a field may be split over several places (the last scalar
//! wins, messages merge, lists join), and a later member of a oneof replaces an earlier one.

mod map;

use super::MAX_DEPTH;
use super::error::{Error, Problem};
use super::table::{Field, Form, Kind, Message, Shape, Table};
use super::text::{put_base64, put_double, put_float, put_int, put_string};
use super::time::{put_duration, put_timestamp};
use crate::gemini::wire::{Raw, Reader};

/// Writes messages as JSON to the end of `out`.
#[derive(Debug)]
pub(super) struct Encoder<'t, 'w> {
    table: &'t Table,
    pub(super) out: Vec<u8>,
    /// The values of the messages that are open, as a stack.
    found: Vec<Found<'w>>,
    /// How many fields on the wire the schema does not know. They have no name, so JSON cannot hold them.
    pub(super) unknown: usize,
    depth: usize,
}

#[derive(Clone, Copy, Debug)]
struct Found<'w> {
    field: usize,
    value: Raw<'w>,
}

impl<'t, 'w> Encoder<'t, 'w> {
    pub(super) fn new(table: &'t Table, capacity: usize) -> Self {
        Self { table, out: Vec::with_capacity(capacity), found: Vec::new(), unknown: 0, depth: 0 }
    }

    /// Writes the message whose bytes are the `parts` in a row, without the field `except`.
    pub(super) fn message(
        &mut self,
        message: &'t Message,
        parts: &[&'w [u8]],
        except: Option<usize>,
    ) -> Result<(), Error> {
        let start = self.found.len();
        self.scan(message, parts, except)?;
        // A Value is not a level of JSON: its list or object is.
        let level = usize::from(message.form != Form::Value);
        self.descend(level)?;
        match message.form {
            Form::Object => self.object(message, start)?,
            Form::Struct => self.map(&message.fields[0], start, self.found.len())?,
            Form::List => drop(self.list(&message.fields[0], start, self.found.len())?),
            Form::Value => self.value(message, start)?,
            Form::Duration | Form::Timestamp => self.time(message.form, start)?,
        }
        self.depth -= level;
        self.found.truncate(start);
        Ok(())
    }

    fn descend(&mut self, levels: usize) -> Result<(), Error> {
        self.depth += levels;
        if self.depth > MAX_DEPTH { Err(Problem::TooDeep.into()) } else { Ok(()) }
    }

    /// Finds the values of a message and puts them in the order of their fields.
    fn scan(&mut self, message: &'t Message, parts: &[&'w [u8]], except: Option<usize>) -> Result<(), Error> {
        let start = self.found.len();
        let mut sorted = true;
        let mut last = 0;
        // For each oneof: the member that was seen last, and since which place it is the only one.
        let mut winners = [(usize::MAX, 0); 8];
        let mut replaced = false;
        for part in parts {
            let mut reader = Reader::new(part);
            while !reader.is_empty() {
                let (number, value) = reader.field()?;
                let Some(field) = message.field(number) else {
                    self.unknown += 1;
                    continue;
                };
                if Some(field) == except {
                    continue;
                }
                sorted &= field >= last;
                last = field;
                if let Some(winner) = message.fields[field].oneof.and_then(|oneof| winners.get_mut(usize::from(oneof)))
                    && winner.0 != field
                {
                    replaced |= winner.0 != usize::MAX;
                    *winner = (field, self.found.len());
                }
                self.found.push(Found { field, value });
            }
        }
        if replaced {
            let mut at = 0;
            self.found.retain(|found| {
                let here = at;
                at += 1;
                let oneof = message.fields.get(found.field).and_then(|f| f.oneof);
                here < start
                    || oneof.is_none_or(|oneof| {
                        let (winner, since) = winners[usize::from(oneof)];
                        found.field == winner && here >= since
                    })
            });
        }
        if !sorted {
            self.found[start..].sort_by_key(|found| found.field);
        }
        Ok(())
    }

    fn object(&mut self, message: &'t Message, start: usize) -> Result<(), Error> {
        let end = self.found.len();
        self.out.push(b'{');
        let mut at = start;
        while at < end {
            let index = self.found[at].field;
            let from = at;
            while at < end && self.found[at].field == index {
                at += 1;
            }
            let field = &message.fields[index];
            if Some(index) == message.additional {
                self.additional(message, start, from, at)
            } else {
                self.member(field, from, at)
            }
            .map_err(|e| e.in_field(field.name))?;
        }
        self.close(b'}');
        Ok(())
    }

    /// Ends an object or a list: the comma behind its last element becomes the bracket.
    fn close(&mut self, bracket: u8) {
        match self.out.last_mut() {
            Some(last) if *last == b',' => *last = bracket,
            _ => self.out.push(bracket),
        }
    }

    /// Writes `"name":value,` for the values of one field.
    fn member(&mut self, field: &'t Field, from: usize, to: usize) -> Result<(), Error> {
        let value = self.found[to - 1].value;
        if field.shape == Shape::Implicit && is_zero(field.kind, value) {
            return Ok(());
        }
        let before = self.out.len();
        self.out.extend_from_slice(field.key.as_bytes());
        let level = usize::from(matches!(field.shape, Shape::Repeated | Shape::Map));
        self.descend(level)?;
        let mut empty = false;
        match (field.shape, field.kind) {
            (Shape::Repeated, _) => empty = !self.list(field, from, to)?,
            (Shape::Map, _) => self.map(field, from, to)?,
            (_, Kind::Message(_)) => self.merged(field.kind, from, to)?,
            _ => self.scalar(field.kind, value)?,
        }
        self.depth -= level;
        if empty {
            // Packed, and without a number in it.
            self.out.truncate(before);
        } else {
            self.out.push(b',');
        }
        Ok(())
    }

    /// A message field: its places are read as one message.
    fn merged(&mut self, kind: Kind, from: usize, to: usize) -> Result<(), Error> {
        if to - from == 1 {
            return self.scalar(kind, self.found[from].value);
        }
        let parts = self.parts(from, to)?;
        match kind {
            Kind::Message(index) => self.message(self.table.message(index), &parts, None),
            _ => Err(Problem::WireType.into()),
        }
    }

    /// The places of a message.
    fn parts(&self, from: usize, to: usize) -> Result<Vec<&'w [u8]>, Error> {
        self.found[from..to].iter().map(|found| len(found.value)).collect()
    }

    /// Writes a list; says whether it has elements.
    fn list(&mut self, field: &'t Field, from: usize, to: usize) -> Result<bool, Error> {
        self.out.push(b'[');
        let mut index = 0;
        for at in from..to {
            match (self.found[at].value, field.kind) {
                (Raw::Len(packed), kind) if packable(kind) => {
                    let mut reader = Reader::new(packed);
                    while !reader.is_empty() {
                        let value = unpack(&mut reader, kind)?;
                        self.element(kind, value, index)?;
                        index += 1;
                    }
                }
                (value, kind) => {
                    self.element(kind, value, index)?;
                    index += 1;
                }
            }
        }
        self.close(b']');
        Ok(index > 0)
    }

    fn element(&mut self, kind: Kind, value: Raw<'w>, index: usize) -> Result<(), Error> {
        self.scalar(kind, value).map_err(|e| e.at_index(index))?;
        self.out.push(b',');
        Ok(())
    }

    /// A `google.protobuf.Value`: its one member, or null.
    fn value(&mut self, message: &'t Message, start: usize) -> Result<(), Error> {
        let end = self.found.len();
        let Some(last) = self.found[start..].last().copied() else {
            self.out.extend_from_slice(b"null");
            return Ok(());
        };
        match message.fields[last.field].kind {
            Kind::Enum(_) => self.out.extend_from_slice(b"null"),
            kind @ Kind::Message(_) => self.merged(kind, start, end)?,
            kind => self.scalar(kind, last.value)?,
        }
        Ok(())
    }

    fn time(&mut self, form: Form, start: usize) -> Result<(), Error> {
        let (mut seconds, mut nanos) = (0, 0);
        for found in &self.found[start..] {
            match (found.field, varint(found.value)?) {
                (0, value) => seconds = value as i64,
                (_, value) => nanos = value as i32,
            }
        }
        match form {
            Form::Duration => put_duration(&mut self.out, seconds, nanos),
            _ => put_timestamp(&mut self.out, seconds, nanos),
        }
    }

    /// Writes one value: a scalar, or a message that stands in one place.
    fn scalar(&mut self, kind: Kind, value: Raw<'w>) -> Result<(), Error> {
        let out = &mut self.out;
        match kind {
            Kind::Message(index) => return self.message(self.table.message(index), &[len(value)?], None),
            Kind::String => put_string(out, len(value)?)?,
            Kind::Bytes => put_base64(out, len(value)?),
            Kind::Bool => out.extend_from_slice(if varint(value)? == 0 { b"false" } else { b"true" }),
            Kind::Int32 => put_int(out, i64::from(varint(value)? as i32)),
            // A 64-bit integer is a string in JSON, whose numbers are doubles.
            Kind::Int64 => {
                out.push(b'"');
                put_int(out, varint(value)? as i64);
                out.push(b'"');
            }
            Kind::Enum(index) => {
                let number = varint(value)? as i32;
                match self.table.enumeration(index).name(number) {
                    Some(name) => {
                        out.push(b'"');
                        out.extend_from_slice(name.as_bytes());
                        out.push(b'"');
                    }
                    None => put_int(out, number.into()),
                }
            }
            Kind::Float => match value {
                Raw::Fixed32(bits) => put_float(out, f32::from_bits(bits))?,
                _ => return Err(Problem::WireType.into()),
            },
            Kind::Double => match value {
                Raw::Fixed64(bits) => put_double(out, f64::from_bits(bits))?,
                _ => return Err(Problem::WireType.into()),
            },
        }
        Ok(())
    }
}

fn is_zero(kind: Kind, value: Raw<'_>) -> bool {
    match value {
        // Of a varint these have the lower half.
        Raw::Varint(v) if matches!(kind, Kind::Int32 | Kind::Enum(_)) => v as i32 == 0,
        Raw::Varint(v) | Raw::Fixed64(v) => v == 0,
        Raw::Fixed32(v) => v == 0,
        Raw::Len(v) => v.is_empty(),
        Raw::Group => false,
    }
}

fn varint(value: Raw<'_>) -> Result<u64, Error> {
    match value {
        Raw::Varint(v) => Ok(v),
        _ => Err(Problem::WireType.into()),
    }
}

fn len(value: Raw<'_>) -> Result<&[u8], Error> {
    match value {
        Raw::Len(bytes) => Ok(bytes),
        _ => Err(Problem::WireType.into()),
    }
}

fn packable(kind: Kind) -> bool {
    !matches!(kind, Kind::String | Kind::Bytes | Kind::Message(_))
}

fn unpack<'w>(reader: &mut Reader<'w>, kind: Kind) -> Result<Raw<'w>, Error> {
    Ok(match kind {
        Kind::Float => Raw::Fixed32(u32::from_le_bytes(reader.array()?)),
        Kind::Double => Raw::Fixed64(u64::from_le_bytes(reader.array()?)),
        _ => Raw::Varint(reader.varint()?),
    })
}
