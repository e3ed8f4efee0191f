//! JSON to protobuf wire bytes, in one pass and without a tree.
//!
//! What a reader of proto3 JSON must take is taken (protobuf.dev/programming-guides/json), and what
//! Gemini-compatible services are known to send: null for anything, either spelling of a name, enum
//! names in any case, whole numbers with a point, both base64 alphabets. A member that the schema
//! does not know is kept in `additional_fields`.

use std::borrow::Cow;
use std::str::FromStr;

use base64_simd::STANDARD;

use super::MAX_DEPTH;
use super::error::{Error, Problem};
use super::frames::Frames;
use super::scan::{Scanner, Str};
use super::table::{ADDITIONAL_FIELDS, Field, Form, Kind, Message, Shape, Table};
use super::time::{parse_duration, parse_timestamp};
use super::wire::{WireType, put_tag, put_varint};

/// Reads one JSON text and appends the wire bytes of a message.
#[derive(Debug)]
pub(super) struct Decoder<'t, 'j> {
    table: &'t Table,
    json: Scanner<'j>,
    frames: Frames,
    /// Members of the open messages that the schema does not know, as a stack.
    unknown: Vec<Unknown<'j>>,
    depth: usize,
}

#[derive(Debug)]
struct Unknown<'j> {
    name: Str<'j>,
    value: &'j [u8],
}

/// What a member turned out to be.
enum Seen<'j> {
    Known,
    /// An enum name that the schema does not know: the whole member, to be kept as it is.
    Unknown(&'j [u8]),
}

impl<'t, 'j> Decoder<'t, 'j> {
    pub(super) fn new(table: &'t Table, json: &'j [u8], out: Vec<u8>) -> Self {
        Self { table, json: Scanner::new(json), frames: Frames::new(out), unknown: Vec::new(), depth: 0 }
    }

    /// Reads the whole text as that message.
    pub(super) fn whole(mut self, message: &'t Message) -> Result<Vec<u8>, Error> {
        self.message(message)?;
        self.json.end()?;
        Ok(self.frames.out)
    }

    fn message(&mut self, message: &'t Message) -> Result<(), Error> {
        match message.form {
            Form::Object => self.object(message),
            Form::Struct => self.structure(),
            Form::List => self.list_value(),
            Form::Value => self.value(),
            Form::Duration => self.time("a duration such as \"1.5s\"", parse_duration),
            Form::Timestamp => self.time("a time such as \"2025-01-31T12:00:00Z\"", parse_timestamp),
        }
    }

    fn descend(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(Problem::TooDeep.into()) } else { Ok(()) }
    }

    fn object(&mut self, message: &'t Message) -> Result<(), Error> {
        self.descend()?;
        self.open(b'{', "an object")?;
        let mark = self.unknown.len();
        let (mut seen, mut oneofs) = (0u128, 0u128);
        let mut more = !self.json.eat(b'}')?;
        while more {
            let name = self.json.string()?;
            self.json.expect(b':')?;
            match self.find(message, name)? {
                Some(index) => {
                    let field = &message.fields[index];
                    self.member(field, name, seen >> index & 1 == 1, &mut oneofs, message)
                        .map_err(|e| e.in_field(field.name))?;
                    seen |= 1 << index;
                }
                None => {
                    let value = self.json.skip()?;
                    self.unknown.push(Unknown { name, value });
                }
            }
            more = self.json.more(b'}')?;
        }
        if self.unknown.len() > mark {
            self.additional(message, mark).map_err(|e| e.in_field("additional_fields"))?;
        }
        self.depth -= 1;
        Ok(())
    }

    fn open(&mut self, bracket: u8, wanted: &'static str) -> Result<(), Error> {
        if self.json.eat(bracket)? { Ok(()) } else { Err(Problem::Expected(wanted).into()) }
    }

    fn find(&self, message: &Message, name: Str<'j>) -> Result<Option<usize>, Error> {
        if name.escaped { Ok(message.member(name.text()?.as_bytes())) } else { Ok(message.member(name.raw)) }
    }

    fn member(
        &mut self,
        field: &'t Field,
        name: Str<'j>,
        again: bool,
        oneofs: &mut u128,
        owner: &Message,
    ) -> Result<(), Error> {
        // Null means absent, but for a Value it is a value.
        if !self.is_value(field) && self.json.null()? {
            return Ok(());
        }
        if again {
            return Err(Problem::Duplicate.into());
        }
        if let Some(oneof) = field.oneof {
            if *oneofs >> oneof & 1 == 1 {
                return Err(Problem::Oneof(owner.oneofs.get(usize::from(oneof)).copied().unwrap_or_default()).into());
            }
            *oneofs |= 1 << oneof;
        }
        let seen = match field.shape {
            Shape::Map => self.map(field)?,
            Shape::Repeated => self.repeated(field)?,
            Shape::Implicit => self.singular(field, false)?,
            Shape::Optional => self.singular(field, true)?,
        };
        if let Seen::Unknown(value) = seen {
            self.unknown.push(Unknown { name, value });
        }
        Ok(())
    }

    fn is_value(&self, field: &Field) -> bool {
        match field.kind {
            Kind::Message(index) if field.shape == Shape::Optional => self.table.message(index).form == Form::Value,
            _ => false,
        }
    }

    fn map(&mut self, field: &'t Field) -> Result<Seen<'j>, Error> {
        self.descend()?;
        self.open(b'{', "an object")?;
        let mut more = !self.json.eat(b'}')?;
        let mut index = 0;
        while more {
            let key = self.json.string()?;
            self.json.expect(b':')?;
            self.frames.open(field.number);
            self.string(1, key).and_then(|()| self.map_value(field.kind)).map_err(|e| e.at_index(index))?;
            self.frames.close();
            index += 1;
            more = self.json.more(b'}')?;
        }
        self.depth -= 1;
        Ok(Seen::Known)
    }

    fn map_value(&mut self, kind: Kind) -> Result<(), Error> {
        match kind {
            Kind::Message(index) => self.framed(2, self.table.message(index)),
            Kind::String => {
                let value = self.text()?;
                self.string(2, value)
            }
            _ => Err(Problem::Expected("a map of strings or messages").into()),
        }
    }

    fn framed(&mut self, number: u32, message: &'t Message) -> Result<(), Error> {
        self.frames.open(number);
        self.message(message)?;
        self.frames.close();
        Ok(())
    }

    fn repeated(&mut self, field: &'t Field) -> Result<Seen<'j>, Error> {
        let packed = !matches!(field.kind, Kind::String | Kind::Bytes | Kind::Message(_));
        let (before, whole) = (self.frames.out.len(), self.json.clone());
        self.descend()?;
        self.open(b'[', "a list")?;
        let mut more = !self.json.eat(b']')?;
        if !more {
            self.depth -= 1;
            return Ok(Seen::Known);
        }
        if packed {
            self.frames.open(field.number);
        }
        let mut index = 0;
        let mut known = true;
        while more {
            let element = if packed { self.number(field.kind, None, true) } else { self.length_delimited(field) };
            known &= matches!(element.map_err(|e| e.at_index(index))?, Seen::Known);
            index += 1;
            more = self.json.more(b']')?;
        }
        if packed {
            self.frames.close();
        }
        self.depth -= 1;
        if known {
            return Ok(Seen::Known);
        }
        // One name is unknown: the list is kept whole and in its order.
        self.frames.out.truncate(before);
        self.json = whole;
        Ok(Seen::Unknown(self.json.skip()?))
    }

    fn singular(&mut self, field: &'t Field, presence: bool) -> Result<Seen<'j>, Error> {
        match field.kind {
            Kind::String | Kind::Bytes if !presence && self.json.peek()? == b'"' => {
                let text = self.json.clone().string()?;
                if text.raw.is_empty() {
                    self.json.string()?;
                    return Ok(Seen::Known);
                }
                self.length_delimited(field)
            }
            Kind::String | Kind::Bytes | Kind::Message(_) => self.length_delimited(field),
            kind => self.number(kind, Some(field.number), presence),
        }
    }

    fn length_delimited(&mut self, field: &'t Field) -> Result<Seen<'j>, Error> {
        match field.kind {
            Kind::Message(index) => self.framed(field.number, self.table.message(index))?,
            Kind::Bytes => {
                let text = self.text()?;
                self.base64(field.number, text)?;
            }
            _ => {
                let text = self.text()?;
                self.string(field.number, text)?;
            }
        }
        Ok(Seen::Known)
    }

    fn text(&mut self) -> Result<Str<'j>, Error> {
        match self.json.peek()? {
            b'"' => self.json.string(),
            _ => Err(Problem::Expected("a string").into()),
        }
    }

    fn string(&mut self, number: u32, text: Str<'j>) -> Result<(), Error> {
        if text.escaped {
            self.frames.open(number);
            text.put(&mut self.frames.out)?;
            self.frames.close();
            return Ok(());
        }
        self.frames.sized(number, text.raw.len());
        text.put(&mut self.frames.out)
    }

    /// Base64 straight into the message: the standard alphabet with padding, which Google sends, at
    /// full speed; the other forms after a second look.
    fn base64(&mut self, number: u32, text: Str<'j>) -> Result<(), Error> {
        let padding = text.raw.iter().rev().take(2).filter(|&&b| b == b'=').count();
        if !text.escaped && text.raw.len().is_multiple_of(4) {
            let start = self.frames.sized(number, (text.raw.len() / 4 * 3).saturating_sub(padding));
            if STANDARD.decode_append(text.raw, &mut self.frames.out).is_ok() {
                return Ok(());
            }
            self.frames.out.truncate(start);
        }
        let standard = text.text()?.replace('-', "+").replace('_', "/");
        let bytes =
            base64_simd::forgiving_decode_to_vec(standard.as_bytes()).map_err(|_| Problem::Expected("base64"))?;
        self.frames.sized(number, bytes.len());
        self.frames.out.extend_from_slice(&bytes);
        Ok(())
    }

    /// A number, a bool or an enum; with its tag, unless it stands in a packed list.
    fn number(&mut self, kind: Kind, tag: Option<u32>, keep_zero: bool) -> Result<Seen<'j>, Error> {
        let (wire_type, bits) = match kind {
            Kind::Bool => (WireType::Varint, self.bool()?.into()),
            Kind::Int32 => {
                let value = i32::try_from(self.integer()?).map_err(|_| Problem::OutOfRange("32 bits"))?;
                (WireType::Varint, i64::from(value) as u64)
            }
            Kind::Float => (WireType::Fixed32, self.float::<f32>("a 32-bit float", f32::is_finite)?.to_bits().into()),
            Kind::Double => (WireType::Fixed64, self.float::<f64>("a double", f64::is_finite)?.to_bits()),
            Kind::Enum(index) => match self.enumeration(index)? {
                Ok(number) => (WireType::Varint, i64::from(number) as u64),
                Err(name) => return Ok(Seen::Unknown(name)),
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

    fn bool(&mut self) -> Result<bool, Error> {
        let (value, word) = match self.json.peek()? {
            b't' => (true, &b"true"[..]),
            b'f' => (false, &b"false"[..]),
            _ => return Err(Problem::Expected("true or false").into()),
        };
        self.json.word(word)?;
        Ok(value)
    }

    /// The text of a number, which may also stand in quotes.
    fn numeral(&mut self, wanted: &'static str) -> Result<Cow<'j, str>, Error> {
        match self.json.peek()? {
            b'"' => self.json.string()?.text(),
            b'-' | b'0'..=b'9' => self.json.number().map(Cow::Borrowed),
            _ => Err(Problem::Expected(wanted).into()),
        }
    }

    /// A whole number: 40, "40", and 40.0 as Python's SDK writes it.
    fn integer(&mut self) -> Result<i64, Error> {
        const WANTED: &str = "a whole number";
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

    fn float<T: FromStr>(&mut self, range: &'static str, finite: fn(T) -> bool) -> Result<T, Error>
    where
        T: Copy,
    {
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

    /// An enum by name or number. A name that the schema does not know comes back as it stands.
    fn enumeration(&mut self, index: usize) -> Result<Result<i32, &'j [u8]>, Error> {
        match self.json.peek()? {
            b'"' => {
                let name = self.json.clone().string()?;
                let value = self.json.skip()?;
                let name = name.text()?;
                Ok(self.table.enumeration(index).number(name.as_bytes()).ok_or(value))
            }
            b'-' | b'0'..=b'9' => Ok(Ok(i32::try_from(self.integer()?).map_err(|_| Problem::OutOfRange("32 bits"))?)),
            _ => Err(Problem::Expected("a name or a number of the enum").into()),
        }
    }

    /// The inside of a `google.protobuf.Struct`.
    fn structure(&mut self) -> Result<(), Error> {
        self.descend()?;
        self.open(b'{', "an object")?;
        let mut more = !self.json.eat(b'}')?;
        let mut index = 0;
        while more {
            let key = self.json.string()?;
            self.json.expect(b':')?;
            self.entry(key).map_err(|e| e.at_index(index))?;
            index += 1;
            more = self.json.more(b'}')?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// An entry of a Struct; the value is read where the text stands.
    fn entry(&mut self, key: Str<'j>) -> Result<(), Error> {
        self.frames.open(1);
        self.string(1, key)?;
        self.frames.open(2);
        self.value()?;
        self.frames.close();
        self.frames.close();
        Ok(())
    }

    /// The inside of a `google.protobuf.ListValue`.
    fn list_value(&mut self) -> Result<(), Error> {
        self.descend()?;
        self.open(b'[', "a list")?;
        let mut more = !self.json.eat(b']')?;
        let mut index = 0;
        while more {
            self.frames.open(1);
            self.value().map_err(|e| e.at_index(index))?;
            self.frames.close();
            index += 1;
            more = self.json.more(b']')?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// The inside of a `google.protobuf.Value`: any JSON value.
    fn value(&mut self) -> Result<(), Error> {
        match self.json.peek()? {
            b'n' => {
                self.json.word(b"null")?;
                put_tag(&mut self.frames.out, 1, WireType::Varint);
                self.frames.out.push(0);
            }
            b't' | b'f' => {
                let value = self.bool()?;
                put_tag(&mut self.frames.out, 4, WireType::Varint);
                self.frames.out.push(value.into());
            }
            b'"' => {
                let text = self.json.string()?;
                self.string(3, text)?;
            }
            b'{' => {
                self.frames.open(5);
                self.structure()?;
                self.frames.close();
            }
            b'[' => {
                self.frames.open(6);
                self.list_value()?;
                self.frames.close();
            }
            b'-' | b'0'..=b'9' => {
                let value: f64 = self.float("a double", f64::is_finite)?;
                put_tag(&mut self.frames.out, 2, WireType::Fixed64);
                self.frames.out.extend_from_slice(&value.to_le_bytes());
            }
            _ => return Err(Problem::Syntax.into()),
        }
        Ok(())
    }

    fn time(&mut self, wanted: &'static str, parse: fn(&str) -> Option<(i64, i32)>) -> Result<(), Error> {
        let text = self.text()?.text()?;
        let (seconds, nanos) = parse(&text).ok_or(Problem::Expected(wanted))?;
        for (number, value) in [(1, seconds), (2, nanos.into())] {
            if value != 0 {
                put_tag(&mut self.frames.out, number, WireType::Varint);
                put_varint(&mut self.frames.out, value as u64);
            }
        }
        Ok(())
    }

    /// Writes the unknown members of a message, those since `mark`, as its `additional_fields`.
    fn additional(&mut self, message: &Message, mark: usize) -> Result<(), Error> {
        let unknown = self.unknown.split_off(mark);
        if message.additional.is_none() {
            return Ok(());
        }
        self.frames.open(ADDITIONAL_FIELDS);
        for (index, Unknown { name, value }) in unknown.into_iter().enumerate() {
            let behind = std::mem::replace(&mut self.json, Scanner::new(value));
            self.entry(name).map_err(|e| e.at_index(index))?;
            self.json = behind;
        }
        self.frames.close();
        Ok(())
    }
}
