//! JSON to protobuf wire bytes, in one pass and without a tree.
//!
//! What a reader of proto3 JSON must take is taken (protobuf.dev/programming-guides/json), and what
//! Gemini-compatible services are known to send: null for anything, either spelling of a name, enum
//! names in any case, whole numbers with a point, both base64 alphabets. A member that the schema
//! does not know is kept in `additional_fields`.
//!
//! An answer is read with tolerance: it was paid for. Of its members only the content is worth failing for (`roles`).

mod oddities;
mod room;
mod scalar;
mod secret;
mod split;
mod structure;

use memchr::memmem::Finder;

use self::oddities::State;
pub use self::oddities::{Fault, Oddity};
use self::split::Chosen;
use super::MAX_DEPTH;
use super::error::{Error, Problem};
use super::frames::Frames;
use super::repairs::Repairs;
use super::scan::Scanner;
use super::schema::{Field, Form, Guess, Kind, Message, Shape};
use super::table::Table;
use super::time::{parse_duration, parse_timestamp};
use crate::gemini::steps::Steps;
use crate::gemini::wire::{WireType, put_tag, put_varint};

/// Reads one JSON text and appends the wire bytes of a message.
pub(super) struct Decoder<'j, 's> {
    table: &'static Table,
    json: Scanner<'j, 's>,
    frames: Frames,
    /// Where the members of the open messages begin that the schema does not know, as a stack: offsets in the text. It has
    /// 4 bytes for each member, of 5 at least in the text.
    unknown: Vec<u32>,
    /// The names of some of them.
    pub(super) reported: Vec<String>,
    /// Is replaced wherever it stands in a text or a name.
    secret: Option<&'j Finder<'j>>,
    depth: usize,
    repairs: Repairs,
    pub(super) oddities: Vec<Oddity>,
    schema: CallerSchema,
}

/// Whose schema the caller of an answer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallerSchema {
    /// Ours, with all values that Gemini has.
    #[default]
    Own,
    /// Google's, which lacks some values: such a reason is told as `OTHER`, since a client would see none.
    Google,
}

/// What a member turned out to be.
enum Seen {
    Known,
    /// An enum name that the schema does not know: the whole member is kept as it is.
    Unknown,
    /// A sidecar that cannot be read: it is kept as it is too.
    Unreadable,
}

impl<'j, 's> Decoder<'j, 's> {
    pub(super) fn new(
        table: &'static Table,
        json: &'j [u8],
        out: Vec<u8>,
        secret: Option<&'j Finder<'j>>,
        steps: &'j mut Steps<'s>,
    ) -> Result<Self, Error> {
        // Places in the text have 32 bits.
        if u32::try_from(json.len()).is_err() {
            return Err(Problem::TooLong.into());
        }
        let secret = secret.filter(|secret| !secret.needle().is_empty());
        let (unknown, reported) = (Vec::new(), Vec::new());
        Ok(Self {
            table,
            json: Scanner::new(json, steps),
            frames: Frames::new(out),
            unknown,
            reported,
            secret,
            depth: 0,
            repairs: Repairs::default(),
            oddities: Vec::new(),
            schema: CallerSchema::Own,
        })
    }

    /// Reads what follows as an answer, with tolerance, for a caller that has this schema.
    pub(super) fn answer(mut self, schema: CallerSchema) -> Self {
        self.schema = schema;
        self.json.tolerant = true;
        self.repairs.allowed = true;
        self
    }

    /// Whether texts begin or end with the half of a character.
    pub(super) fn has_halves(&self) -> bool {
        self.repairs.has_halves
    }

    /// Reads the whole text as that message.
    pub(super) fn whole(&mut self, message: &'static Message) -> Result<(), Error> {
        self.message(message)?;
        self.count_moved()?;
        self.json.end()
    }

    /// What was written.
    #[inline]
    pub(super) fn into_wire(self) -> Vec<u8> {
        self.frames.out
    }

    fn message(&mut self, message: &'static Message) -> Result<(), Error> {
        match message.form {
            Form::Object => self.object(message, None),
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

    /// Reads an object. If `chosen` is given, only some of its members.
    fn object(&mut self, message: &'static Message, chosen: Option<&Chosen>) -> Result<(), Error> {
        self.descend()?;
        self.open(b'{', "an object")?;
        let mark = self.unknown.len();
        let (mut seen, mut oneofs) = (0u64, 0u64);
        let mut more = !self.json.eat(b'}')?;
        let mut guess = &message.first;
        // What does not change from member to member is looked up once.
        let mut state = self.state();
        while more {
            self.step()?;
            self.json.peek()?;
            let start = self.json.at();
            state.place.written = self.frames.written();
            let index = self.name(message, guess)?;
            let is_kept = match index {
                _ if chosen.is_some_and(|chosen| !chosen.contains(message, index)) => {
                    self.json.skip()?;
                    false
                }
                Some(index) => {
                    let field = &message.fields[index];
                    let again = seen >> index & 1 == 1;
                    seen |= 1 << index;
                    guess = &field.next;
                    match self.member(field, again, &mut oneofs, message) {
                        Ok(Seen::Known) if self.repairs.count == 0 => false,
                        read => self.is_kept(read, (message, field), start, state)?,
                    }
                }
                None => {
                    self.json.skip()?;
                    true
                }
            };
            if is_kept {
                self.unknown.push(start as u32);
                state.unknown += 1;
            }
            more = self.json.more(b'}')?;
        }
        if self.unknown.len() > mark {
            self.report(message, mark)?;
            self.additional(message, mark).map_err(|e| e.in_field("additional_fields"))?;
            if self.repairs.count > 0 {
                self.note_repairs(message, oddities::ADDITIONAL);
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Whether a member goes into `additional_fields`, after it was read in another way than most are.
    #[cold]
    fn is_kept(
        &mut self,
        read: Result<Seen, Error>,
        (message, field): (&'static Message, &'static Field),
        start: usize,
        state: State,
    ) -> Result<bool, Error> {
        let seen = match read {
            Ok(seen) => seen,
            Err(error) => self.recover(error, (message, field), start, state)?,
        };
        if self.repairs.count > 0 {
            self.note_repairs(message, field.json_name);
        }
        if matches!(seen, Seen::Unknown) {
            self.put_other(field);
        }
        Ok(!matches!(seen, Seen::Known))
    }

    /// Tells a caller that has Google's schema that there is a value which this lacks.
    fn put_other(&mut self, field: &Field) {
        if let (CallerSchema::Google, Shape::Implicit | Shape::Optional, Kind::Enum(index)) =
            (self.schema, field.shape, field.kind)
            && let Some(other) = self.table.enumeration(index).other
        {
            put_tag(&mut self.frames.out, field.number, WireType::Varint);
            put_varint(&mut self.frames.out, i64::from(other) as u64);
        }
    }

    fn open(&mut self, bracket: u8, wanted: &'static str) -> Result<(), Error> {
        if self.json.eat(bracket)? { Ok(()) } else { Err(Problem::Expected(wanted).into()) }
    }

    /// Reads the name of a member with its colon; the index of the field that it means.
    #[inline(always)]
    fn name(&mut self, message: &Message, guess: &Guess) -> Result<Option<usize>, Error> {
        if let Some((index, field)) = guess.field(message)
            && self.json.key(&field.key)
        {
            return Ok(Some(index));
        }
        let name = self.json.string()?;
        self.json.expect(b':')?;
        let index = if name.escaped {
            message.member(name.text(self.json.steps(), &mut self.repairs)?.as_bytes())
        } else {
            message.member(name.raw)
        };
        if let Some(index) = index {
            guess.learn(index);
        }
        Ok(index)
    }

    fn member(&mut self, field: &'static Field, again: bool, oneofs: &mut u64, owner: &Message) -> Result<Seen, Error> {
        // Null means absent, but for a Value it is a value.
        if !self.is_value(field) && self.json.null()? {
            return Ok(Seen::Known);
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
        match field.shape {
            Shape::Map => self.map(field),
            Shape::Repeated => self.repeated(field),
            Shape::Implicit => self.singular(field, false),
            Shape::Optional => self.singular(field, true),
        }
    }

    fn is_value(&self, field: &Field) -> bool {
        match field.kind {
            Kind::Message(index) if field.shape == Shape::Optional => self.table.message(index).form == Form::Value,
            _ => false,
        }
    }

    fn map(&mut self, field: &'static Field) -> Result<Seen, Error> {
        self.descend()?;
        self.open(b'{', "an object")?;
        let mut more = !self.json.eat(b'}')?;
        let mut index = 0;
        while more {
            self.step()?;
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

    fn framed(&mut self, number: u32, message: &'static Message) -> Result<(), Error> {
        self.frames.open(number);
        self.message(message)?;
        self.frames.close();
        Ok(())
    }

    fn repeated(&mut self, field: &'static Field) -> Result<Seen, Error> {
        let packed = field.kind.is_packable();
        let (before, start) = (self.frames.out.len(), self.json.at());
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
            self.step()?;
            let element = if packed { self.number(field.kind, None, true) } else { self.element(field) };
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
        self.json.seek(start);
        self.json.skip()?;
        Ok(Seen::Unknown)
    }

    /// An element that is no number. One part of an answer may become several.
    fn element(&mut self, field: &'static Field) -> Result<Seen, Error> {
        let (state, start) = (self.state(), self.json.at());
        match self.length_delimited(field) {
            Err(error) => self.split(field, start, state, error),
            done => done,
        }
    }

    fn singular(&mut self, field: &'static Field, presence: bool) -> Result<Seen, Error> {
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

    fn length_delimited(&mut self, field: &'static Field) -> Result<Seen, Error> {
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
