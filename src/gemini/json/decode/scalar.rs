//! Decodes strings, bytes, numbers, enums and times.

use std::borrow::Cow;
use std::str::FromStr;

use super::super::error::{Error, Problem};
use super::super::schema::{Field, Kind, Role};
use super::super::string::Str;
use super::{CallerSchema, Decoder, Outcome, Tolerance};
use crate::gemini::wire::{WireType, put_tag, put_varint};

/// The number of an enum value that no schema has.
const UNKNOWN_VALUE: u64 = i32::MAX as u64;

/// What the JSON value of an enum is.
enum EnumValue {
    Number(i32),
    /// An empty name.
    Empty,
    /// A name that the schema does not have.
    Unknown,
}

impl<'j> Decoder<'j, '_> {
    /// Writes a string or bytes field.
    pub(super) fn put_text(&mut self, field: &Field, text: Str<'j>) -> Result<(), Error> {
        match field.kind {
            Kind::Bytes => self.base64(field.number, text),
            // Only an escape can be half of a surrogate pair, and only the text of a part continues in the next part.
            _ if text.escaped && field.role == Role::Text => {
                self.repairs.joins = self.json.tolerant;
                let done = self.string(field.number, text);
                self.repairs.joins = false;
                done
            }
            _ => self.string(field.number, text),
        }
    }

    /// Reads a string; fails for any other value.
    pub(super) fn text(&mut self) -> Result<Str<'j>, Error> {
        match self.json.peek()? {
            b'"' => self.json.string(),
            _ => Err(Problem::Expected("a string").into()),
        }
    }

    /// Writes a string field, without the key.
    pub(super) fn string(&mut self, number: u32, text: Str<'j>) -> Result<(), Error> {
        if self.outline.is_some()
            && let Some(beginning) = self.only_beginning(text)?
        {
            self.writer.sized_field(number, beginning.len());
            self.writer.out.extend_from_slice(beginning.as_bytes());
            return Ok(());
        }
        self.ensure_capacity(text.raw.len())?;
        if text.escaped || self.has_secret(text.raw)? {
            return self.string_of_unknown_length(number, text);
        }
        // Most strings are copied as they are, so their length is known before their content.
        let start = self.writer.sized_field(number, text.raw.len());
        let before = self.repairs.count;
        text.put(&mut self.writer.out, self.json.steps(), &mut self.repairs)?;
        if self.repairs.count != before {
            // U+FFFD is longer than the invalid bytes, so the length is wrong: write it again.
            self.writer.out.truncate(start);
            self.repairs.count = before;
            return self.string_of_unknown_length(number, text);
        }
        Ok(())
    }

    /// Writes a string whose length is not that of its JSON: it has escapes, contains the key, or is repaired.
    fn string_of_unknown_length(&mut self, number: u32, text: Str<'j>) -> Result<(), Error> {
        self.writer.open_field(number);
        let start = self.writer.out.len();
        text.put(&mut self.writer.out, self.json.steps(), &mut self.repairs)?;
        self.redact_from(start)?;
        self.writer.close_field();
        Ok(())
    }

    /// Writes a number, a bool or an enum: with its tag, or without one in a packed list. Zero is written only with
    /// `keep_zero`.
    pub(super) fn number(&mut self, kind: Kind, tag: Option<u32>, keep_zero: bool) -> Result<Outcome, Error> {
        let (wire_type, bits) = match kind {
            Kind::Bool => (WireType::Varint, self.bool()?.into()),
            Kind::Int32 => {
                let value = i32::try_from(self.integer()?).map_err(|_| Problem::OutOfRange("32 bits"))?;
                (WireType::Varint, i64::from(value) as u64)
            }
            Kind::Float => (WireType::Fixed32, self.float::<f32>("a 32-bit float", f32::is_finite)?.to_bits().into()),
            Kind::Double => (WireType::Fixed64, self.float::<f64>("a double", f64::is_finite)?.to_bits()),
            Kind::Enum(index) => match self.enumeration(index)? {
                EnumValue::Number(number) => (WireType::Varint, i64::from(number) as u64),
                // An empty name means absent, as null does. In a list it cannot be left out: the elements after it
                // would move.
                EnumValue::Empty if tag.is_some() => return Ok(Outcome::Written),
                // Nothing is written from an outline, so the element only has to be one that no rule accepts.
                _ if tag.is_none() && self.tolerance == Tolerance::Request => (WireType::Varint, UNKNOWN_VALUE),
                EnumValue::Empty | EnumValue::Unknown => return Ok(Outcome::UnknownEnumName),
            },
            _ => (WireType::Varint, self.integer()? as u64),
        };
        if bits == 0 && !keep_zero {
            return Ok(Outcome::Written);
        }
        let out = &mut self.writer.out;
        if let Some(number) = tag {
            put_tag(out, number, wire_type);
        }
        match wire_type {
            WireType::Fixed32 => out.extend_from_slice(&(bits as u32).to_le_bytes()),
            WireType::Fixed64 => out.extend_from_slice(&bits.to_le_bytes()),
            _ => put_varint(out, bits),
        }
        Ok(Outcome::Written)
    }

    pub(super) fn bool(&mut self) -> Result<bool, Error> {
        let (value, word) = match self.json.peek()? {
            b't' => (true, &b"true"[..]),
            b'f' => (false, &b"false"[..]),
            _ => return Err(Problem::Expected("true or false").into()),
        };
        self.json.expect_word(word)?;
        Ok(value)
    }

    /// Reads the text of a number, with or without quotes.
    pub(super) fn numeral(&mut self, wanted: &'static str) -> Result<Cow<'j, str>, Error> {
        match self.json.peek()? {
            b'"' => self.json.string()?.text(self.json.steps(), &mut self.repairs),
            b'N' | b'I' | b'-' if let Some(word) = self.json.eat_non_finite() => Ok(Cow::Borrowed(word)),
            b'-' | b'0'..=b'9' => self.json.number().map(Cow::Borrowed),
            _ => Err(Problem::Expected(wanted).into()),
        }
    }

    /// Reads a whole number: 40, "40", or 40.0, which Google's Python SDK writes.
    pub(super) fn integer(&mut self) -> Result<i64, Error> {
        const WANTED: &str = "a whole number";
        self.json.peek()?;
        if let Some(value) = self.json.short_integer() {
            return Ok(value);
        }
        let text = self.numeral(WANTED)?;
        if let Ok(value) = text.parse() {
            return Ok(value);
        }
        let value: f64 = text.parse().map_err(|_| Problem::Expected(WANTED))?;
        if value.fract() != 0.0 {
            return Err(Problem::Expected(WANTED).into());
        }
        // 2^63 is exact as a double and i64::MAX is not, so the range is half-open.
        if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
            return Err(Problem::OutOfRange("64 bits").into());
        }
        Ok(value as i64)
    }

    /// Reads a floating-point number; `range` names the type in the error for a number that is too large.
    pub(super) fn float<T: FromStr + Copy>(&mut self, range: &'static str, finite: fn(T) -> bool) -> Result<T, Error> {
        const WANTED: &str = "a number";
        let text = self.numeral(WANTED)?;
        let value: T = text.parse().map_err(|_| Problem::Expected(WANTED))?;
        match &*text {
            "NaN" | "Infinity" | "-Infinity" => Ok(value),
            _ if finite(value) => Ok(value),
            // "inf", "nan" and other words that Rust parses and proto3 JSON does not.
            _ if text.ends_with(|c: char| c.is_ascii_alphabetic()) => Err(Problem::Expected(WANTED).into()),
            _ => Err(Problem::OutOfRange(range).into()),
        }
    }

    /// Reads an enum value, by its name or its number.
    fn enumeration(&mut self, index: usize) -> Result<EnumValue, Error> {
        let values = self.table.enumeration(index);
        let number = match self.json.peek()? {
            b'"' => {
                let name = self.json.string()?.text(self.json.steps(), &mut self.repairs)?;
                match values.number(name.as_bytes()) {
                    Some(number) => number,
                    None if self.json.tolerant && name.trim().is_empty() => return Ok(EnumValue::Empty),
                    None => return Ok(EnumValue::Unknown),
                }
            }
            b'-' | b'0'..=b'9' => i32::try_from(self.integer()?).map_err(|_| Problem::OutOfRange("32 bits"))?,
            _ => return Err(Problem::Expected("a name or a number of the enum").into()),
        };
        let number = if self.schema == CallerSchema::Google { values.in_googles_schema(number) } else { number };
        Ok(EnumValue::Number(number))
    }

    /// Writes the fields of a `Duration` or `Timestamp`.
    pub(super) fn time(&mut self, wanted: &'static str, parse: fn(&str) -> Option<(i64, i32)>) -> Result<(), Error> {
        let text = self.text()?.text(self.json.steps(), &mut self.repairs)?;
        let (seconds, nanos) = parse(&text).ok_or(Problem::Expected(wanted))?;
        for (number, value) in [(1, seconds), (2, nanos.into())] {
            if value != 0 {
                put_tag(&mut self.writer.out, number, WireType::Varint);
                put_varint(&mut self.writer.out, value as u64);
            }
        }
        Ok(())
    }
}
