//! Encodes strings, bytes, numbers, enums and times.

use super::super::error::{Error, Problem};
use super::super::output::Output;
use super::super::schema::{Form, Kind};
use super::super::text::{put_base64, put_double, put_float, put_int, put_string};
use super::super::time::{put_duration, put_timestamp};
use super::Encoder;
use super::fragments::Fragments;
use super::summary::PresentFields;
use crate::gemini::wire::{Raw, Reader};

impl<'w, O: Output> Encoder<'w, '_, O> {
    /// Writes a `Duration` or `Timestamp`.
    pub(super) fn time(&mut self, form: Form, fields: &PresentFields) -> Result<(), Error> {
        let value = |index| self.summaries.get(fields, index).map_or(Ok(0), |summary| varint(summary.last));
        let (seconds, nanos) = (value(0)? as i64, value(1)? as i32);
        match form {
            Form::Duration => put_duration(&mut self.out, seconds, nanos),
            _ => put_timestamp(&mut self.out, seconds, nanos),
        }
    }

    /// Writes one value: a scalar, or a message in one fragment.
    pub(super) fn scalar(&mut self, kind: Kind, value: Raw<'w>) -> Result<(), Error> {
        let out = &mut self.out;
        match kind {
            Kind::Message(index) => {
                return self.message(self.table.message(index), Fragments::one(length_delimited(value)?));
            }
            Kind::String => put_string(out, length_delimited(value)?, self.steps)?,
            Kind::Bytes => put_base64(out, length_delimited(value)?, self.steps)?,
            Kind::Bool => out.put(if varint(value)? == 0 { b"false" } else { b"true" }),
            Kind::Int32 => put_int(out, i64::from(varint(value)? as i32)),
            // Proto3 JSON writes 64-bit integers as strings: as numbers, many readers would round them to doubles.
            Kind::Int64 => {
                out.put(b"\"");
                put_int(out, varint(value)? as i64);
                out.put(b"\"");
            }
            Kind::Enum(index) => {
                let number = varint(value)? as i32;
                match self.table.enumeration(index).name(number) {
                    Some(name) => {
                        out.put(b"\"");
                        out.put(name.as_bytes());
                        out.put(b"\"");
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

/// Whether a value is the default of its kind.
pub(super) fn is_zero(kind: Kind, value: Raw<'_>) -> bool {
    match value {
        // Only the lower 32 bits of the varint count for these kinds.
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

/// The bytes of a length-delimited value.
pub(super) fn length_delimited(value: Raw<'_>) -> Result<&[u8], Error> {
    match value {
        Raw::Len(bytes) => Ok(bytes),
        _ => Err(Problem::WireType.into()),
    }
}

/// Reads the next element of a packed list.
pub(super) fn unpack<'w>(reader: &mut Reader<'w>, kind: Kind) -> Result<Raw<'w>, Error> {
    Ok(match kind {
        Kind::Float => Raw::Fixed32(u32::from_le_bytes(reader.array()?)),
        Kind::Double => Raw::Fixed64(u64::from_le_bytes(reader.array()?)),
        _ => Raw::Varint(reader.varint()?),
    })
}
