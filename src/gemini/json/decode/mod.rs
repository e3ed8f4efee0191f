//! JSON to protobuf wire bytes, in one pass and without a tree.
//!
//! What a reader of proto3 JSON must take is taken (protobuf.dev/programming-guides/json), and what
//! Gemini-compatible services are known to send: null for anything, either spelling of a name, enum
//! names in any case, whole numbers with a point, both base64 alphabets. A member that the schema
//! does not know is kept in `additional_fields`.

mod scalar;
mod structure;

use super::MAX_DEPTH;
use super::error::{Error, Problem};
use super::frames::Frames;
use super::scan::{Scanner, Str};
use super::table::{Field, Form, Guess, Kind, Message, Shape, Table};
use super::time::{parse_duration, parse_timestamp};

/// Reads one JSON text and appends the wire bytes of a message.
#[derive(Debug)]
pub(super) struct Decoder<'t, 'j> {
    table: &'t Table,
    json: Scanner<'j>,
    frames: Frames,
    /// Members of the open messages that the schema does not know, as a stack.
    unknown: Vec<Unknown<'j>>,
    /// The names of some of them.
    pub(super) reported: Vec<String>,
    depth: usize,
}

/// So many are reported of one text.
const MOST_REPORTED: usize = 16;
/// A longer name is not, in bytes: one that would be of use is a word.
const LONGEST_REPORTED: usize = 64;

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
        let (unknown, reported) = (Vec::new(), Vec::new());
        Self { table, json: Scanner::new(json), frames: Frames::new(out), unknown, reported, depth: 0 }
    }

    /// Reads the whole text as that message.
    pub(super) fn whole(&mut self, message: &'t Message) -> Result<(), Error> {
        self.message(message)?;
        self.json.end()
    }

    /// What was written.
    pub(super) fn into_wire(self) -> Vec<u8> {
        self.frames.out
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
        let (mut seen, mut oneofs) = (0u64, 0u64);
        let mut more = !self.json.eat(b'}')?;
        let mut guess = &message.first;
        while more {
            let (name, index) = self.name(message, guess)?;
            match index {
                Some(index) => {
                    let field = &message.fields[index];
                    self.member(field, name, seen >> index & 1 == 1, &mut oneofs, message)
                        .map_err(|e| e.in_field(field.name))?;
                    seen |= 1 << index;
                    guess = &field.next;
                }
                None => {
                    let value = self.json.skip()?;
                    self.unknown.push(Unknown { name, value });
                }
            }
            more = self.json.more(b'}')?;
        }
        if self.unknown.len() > mark {
            self.report(mark)?;
            self.additional(message, mark).map_err(|e| e.in_field("additional_fields"))?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Notes the names of the unknown members of a message.
    fn report(&mut self, mark: usize) -> Result<(), Error> {
        let room = MOST_REPORTED.saturating_sub(self.reported.len());
        for unknown in
            self.unknown[mark..].iter().filter(|unknown| unknown.name.raw.len() <= LONGEST_REPORTED).take(room)
        {
            self.reported.push(unknown.name.text()?.into_owned());
        }
        Ok(())
    }

    fn open(&mut self, bracket: u8, wanted: &'static str) -> Result<(), Error> {
        if self.json.eat(bracket)? { Ok(()) } else { Err(Problem::Expected(wanted).into()) }
    }

    /// The name of a member with its colon, and the index of the field that it means.
    fn name(&mut self, message: &Message, guess: &Guess) -> Result<(Str<'j>, Option<usize>), Error> {
        if let Some((index, field)) = guess.field(message)
            && let Some(name) = self.json.key(&field.key)
        {
            return Ok((name, Some(index)));
        }
        let name = self.json.string()?;
        self.json.expect(b':')?;
        let index = if name.escaped { message.member(name.text()?.as_bytes()) } else { message.member(name.raw) };
        if let Some(index) = index {
            guess.learn(index);
        }
        Ok((name, index))
    }

    fn member(
        &mut self,
        field: &'t Field,
        name: Str<'j>,
        again: bool,
        oneofs: &mut u64,
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
            Kind::String | Kind::Bytes => {
                let text = self.text()?;
                if presence || !text.raw.is_empty() {
                    self.put_text(field, text)?;
                }
                Ok(Seen::Known)
            }
            Kind::Message(_) => self.length_delimited(field),
            kind => self.number(kind, Some(field.number), presence),
        }
    }

    fn length_delimited(&mut self, field: &'t Field) -> Result<Seen<'j>, Error> {
        match field.kind {
            Kind::Message(index) => self.framed(field.number, self.table.message(index))?,
            _ => {
                let text = self.text()?;
                self.put_text(field, text)?;
            }
        }
        Ok(Seen::Known)
    }
}
