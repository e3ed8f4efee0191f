//! Texts, bytes, numbers, enums and times.

use std::borrow::Cow;
use std::str::FromStr;

use base64_simd::STANDARD;

use super::super::error::{Error, Problem};
use super::super::scan::Str;
use super::super::schema::{Field, Kind, Role};
use super::{CallerSchema, Decoder, Seen};
use crate::gemini::wire::{WireType, put_tag, put_varint};

/// What an enum member says.
enum EnumValue {
    Number(i32),
    /// It is an empty name.
    Empty,
    /// It is a name that the schema does not have.
    Unknown,
}

impl<'j> Decoder<'j, '_> {
    pub(super) fn put_text(&mut self, field: &Field, text: Str<'j>) -> Result<(), Error> {
        match field.kind {
            Kind::Bytes => self.base64(field.number, text),
            _ if text.escaped && field.role == Role::Text => {
                self.repairs.joins = self.json.tolerant;
                let done = self.string(field.number, text);
                self.repairs.joins = false;
                done
            }
            _ => self.string(field.number, text),
        }
    }

    pub(super) fn text(&mut self) -> Result<Str<'j>, Error> {
        match self.json.peek()? {
            b'"' => self.json.string(),
            _ => Err(Problem::Expected("a string").into()),
        }
    }

    pub(super) fn string(&mut self, number: u32, text: Str<'j>) -> Result<(), Error> {
        self.make_room(text.raw.len());
        if text.escaped || self.has_secret(text.raw)? {
            return self.of_unknown_length(number, text);
        }
        let start = self.frames.sized(number, text.raw.len());
        let before = self.repairs.count;
        text.put(&mut self.frames.out, self.json.steps(), &mut self.repairs)?;
        if self.repairs.count != before {
            // The replacements are longer than what they replace.
            self.frames.out.truncate(start);
            self.repairs.count = before;
            return self.of_unknown_length(number, text);
        }
        Ok(())
    }

    /// Writes a text that may become shorter or longer than it stands in the JSON, and without the key.
    fn of_unknown_length(&mut self, number: u32, text: Str<'j>) -> Result<(), Error> {
        self.frames.open(number);
        let start = self.frames.out.len();
        text.put(&mut self.frames.out, self.json.steps(), &mut self.repairs)?;
        self.redact_from(start)?;
        self.frames.close();
        Ok(())
    }

    /// Base64 straight into the message: the standard alphabet with padding, which Google sends, at
    /// full speed; the other forms after a second look.
    pub(super) fn base64(&mut self, number: u32, text: Str<'j>) -> Result<(), Error> {
        self.json.steps().take_bytes(text.raw.len())?;
        let padding = text.raw.iter().rev().take(2).filter(|&&b| b == b'=').count();
        if !text.escaped && text.raw.len().is_multiple_of(4) {
            let length = (text.raw.len() / 4 * 3).saturating_sub(padding);
            self.make_room(length);
            let start = self.frames.sized(number, length);
            if STANDARD.decode_append(text.raw, &mut self.frames.out).is_ok() {
                return Ok(());
            }
            self.frames.out.truncate(start);
        }
        let mut owned = text.text(self.json.steps(), &mut self.repairs)?.into_owned().into_bytes();
        for byte in &mut owned {
            match byte {
                b'-' => *byte = b'+',
                b'_' => *byte = b'/',
                _ => {}
            }
        }
        let bytes = base64_simd::forgiving_decode_inplace(&mut owned).map_err(|_| Problem::Expected("base64"))?;
        self.make_room(bytes.len());
        self.frames.sized(number, bytes.len());
        self.frames.out.extend_from_slice(bytes);
        Ok(())
    }

    /// A number, a bool or an enum; with its tag, unless it stands in a packed list.
    pub(super) fn number(&mut self, kind: Kind, tag: Option<u32>, keep_zero: bool) -> Result<Seen, Error> {
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
                // As null. In a list it has a place.
                EnumValue::Empty if tag.is_some() => return Ok(Seen::Known),
                EnumValue::Empty | EnumValue::Unknown => return Ok(Seen::Unknown),
            },
            _ => (WireType::Varint, self.integer()? as u64),
        };
        if bits == 0 && !keep_zero {
            return Ok(Seen::Known);
        }
        let out = &mut self.frames.out;
        if let Some(number) = tag {
            put_tag(out, number, wire_type);
        }
        match wire_type {
            WireType::Fixed32 => out.extend_from_slice(&(bits as u32).to_le_bytes()),
            WireType::Fixed64 => out.extend_from_slice(&bits.to_le_bytes()),
            _ => put_varint(out, bits),
        }
        Ok(Seen::Known)
    }

    pub(super) fn bool(&mut self) -> Result<bool, Error> {
        let (value, word) = match self.json.peek()? {
            b't' => (true, &b"true"[..]),
            b'f' => (false, &b"false"[..]),
            _ => return Err(Problem::Expected("true or false").into()),
        };
        self.json.word(word)?;
        Ok(value)
    }

    /// The text of a number, which may also stand in quotes.
    pub(super) fn numeral(&mut self, wanted: &'static str) -> Result<Cow<'j, str>, Error> {
        match self.json.peek()? {
            b'"' => self.json.string()?.text(self.json.steps(), &mut self.repairs),
            b'N' | b'I' | b'-' if let Some(word) = self.json.not_finite() => Ok(Cow::Borrowed(word)),
            b'-' | b'0'..=b'9' => self.json.number().map(Cow::Borrowed),
            _ => Err(Problem::Expected(wanted).into()),
        }
    }

    /// A whole number: 40, "40", and 40.0 as Python's SDK writes it.
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
        // 2^63 is a double, i64::MAX is not.
        if !(-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
            return Err(Problem::OutOfRange("64 bits").into());
        }
        Ok(value as i64)
    }

    pub(super) fn float<T: FromStr + Copy>(&mut self, range: &'static str, finite: fn(T) -> bool) -> Result<T, Error> {
        const WANTED: &str = "a number";
        let text = self.numeral(WANTED)?;
        let value: T = text.parse().map_err(|_| Problem::Expected(WANTED))?;
        match &*text {
            "NaN" | "Infinity" | "-Infinity" => Ok(value),
            _ if finite(value) => Ok(value),
            // Words that Rust reads as numbers, but JSON does not.
            _ if text.ends_with(|c: char| c.is_ascii_alphabetic()) => Err(Problem::Expected(WANTED).into()),
            _ => Err(Problem::OutOfRange(range).into()),
        }
    }

    /// An enum by name or number.
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
        let number = if self.schema == CallerSchema::Google { values.as_google_knows_it(number) } else { number };
        Ok(EnumValue::Number(number))
    }

    pub(super) fn time(&mut self, wanted: &'static str, parse: fn(&str) -> Option<(i64, i32)>) -> Result<(), Error> {
        let text = self.text()?.text(self.json.steps(), &mut self.repairs)?;
        let (seconds, nanos) = parse(&text).ok_or(Problem::Expected(wanted))?;
        for (number, value) in [(1, seconds), (2, nanos.into())] {
            if value != 0 {
                put_tag(&mut self.frames.out, number, WireType::Varint);
                put_varint(&mut self.frames.out, value as u64);
            }
        }
        Ok(())
    }
}
