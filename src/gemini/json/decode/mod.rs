//! Decodes JSON to protobuf wire bytes, in one pass and without a tree.
//!
//! Accepts all forms that a proto3 JSON parser must accept (protobuf.dev/programming-guides/json), and what
//! Gemini-compatible services send besides: null for any member, either spelling of a name, enum names in any case,
//! whole numbers with a point, both base64 alphabets. A member that the schema does not know is kept in
//! `additional_fields`.
//!
//! A response is read with tolerance, since its tokens are paid for: only its content can make it fail (`roles`).

mod anomalies;
mod capacity;
mod data;
mod list;
mod outline;
mod scalar;
mod secret;
mod split;
mod structure;

use memchr::memmem::Finder;

use self::anomalies::State;
pub use self::anomalies::{Anomaly, AnomalyKind};
use self::capacity::MAX_FREE_GROWTH_JSON_BYTES;
pub(super) use self::capacity::first_capacity;
use self::outline::Outline;
use self::split::Chosen;
use super::error::{Error, Problem};
use super::repairs::Repairs;
use super::scan::Scanner;
use super::schema::{Field, Form, Guess, Kind, Message, Shape};
use super::table::Table;
use super::time::{parse_duration, parse_timestamp};
use super::{Event, MAX_DEPTH, Response};
use crate::gemini::steps::Steps;
use crate::gemini::wire::{WireType, WireWriter, put_tag, put_varint};

/// Reads one JSON text and writes the wire bytes of a message.
pub(super) struct Decoder<'j, 's> {
    table: &'static Table,
    json: Scanner<'j, 's>,
    writer: WireWriter,
    /// Where the unknown members of the open messages begin, as a stack of offsets in the JSON. An offset has 4 bytes,
    /// and a member at least 5 bytes of JSON, so this is never longer than the JSON.
    unknown: Vec<u32>,
    /// The names of some unknown members, for telemetry.
    reported: Vec<String>,
    /// The key to redact in every string and member name.
    secret: Option<&'j Finder<'j>>,
    depth: usize,
    repairs: Repairs,
    anomalies: Vec<Anomaly>,
    schema: CallerSchema,
    tolerance: Tolerance,
    /// How many more elements of lists and entries of maps may come.
    elements_left: usize,
    /// For JSON up to this length, in bytes, the output grows as any `Vec` does.
    max_free_growth: usize,
    /// Only for an outline, which leaves out the content of long data.
    outline: Option<Outline<'j>>,
    /// Whether a long string ended elsewhere than was guessed.
    has_guessed_wrong: bool,
}

/// The schema that the caller reads a response with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallerSchema {
    /// Ours, with every enum value that Gemini has.
    #[default]
    Own,
    /// Google's, which lacks some enum values. A value that it lacks is written as `OTHER`: otherwise the client would
    /// see none.
    Google,
}

/// Which members may be unreadable. They are kept in `additional_fields` then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tolerance {
    None,
    /// Those of a response that are not its content.
    Response,
    /// Those of a request that validation does not read, if they are valid JSON.
    Request,
}

/// What became of a member.
enum Outcome {
    Written,
    /// It contains an enum name that the schema does not know. The whole member is kept in `additional_fields`.
    UnknownEnumName,
    /// It is a sidecar that cannot be read. It is kept in `additional_fields` too.
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
        // The offsets in `unknown` have 32 bits.
        if u32::try_from(json.len()).is_err() {
            return Err(Problem::TooLong.into());
        }
        let secret = secret.filter(|secret| !secret.needle().is_empty());
        Ok(Self {
            table,
            json: Scanner::new(json, steps),
            writer: WireWriter::new(out),
            unknown: Vec::new(),
            reported: Vec::new(),
            secret,
            depth: 0,
            repairs: Repairs::default(),
            anomalies: Vec::new(),
            schema: CallerSchema::Own,
            tolerance: Tolerance::None,
            elements_left: usize::MAX,
            max_free_growth: MAX_FREE_GROWTH_JSON_BYTES,
            outline: None,
            has_guessed_wrong: false,
        })
    }

    /// Reads the JSON as a response, with tolerance, for a caller that has this schema.
    pub(super) fn for_response(mut self, schema: CallerSchema) -> Self {
        self.schema = schema;
        self.tolerance = Tolerance::Response;
        self.json.tolerant = true;
        self.repairs.allowed = true;
        self
    }

    /// Whether strings with escapes were read.
    pub(super) fn has_escapes(&self) -> bool {
        self.json.has_escapes
    }

    /// The offset in the JSON up to which it was read.
    pub(super) fn offset(&self) -> usize {
        self.json.position()
    }

    /// Reads the whole JSON text as one message.
    pub(super) fn decode(&mut self, message: &'static Message) -> Result<(), Error> {
        self.message(message)?;
        self.count_moved()?;
        self.json.expect_end()
    }

    /// The wire bytes that were written.
    #[inline]
    pub(super) fn into_wire(self) -> Vec<u8> {
        self.writer.out
    }

    /// The response that was read.
    pub(super) fn into_event(self) -> Event {
        let has_split_surrogates = self.repairs.has_split_surrogates;
        let (unknown_members, anomalies) = (self.reported, self.anomalies);
        Event { response: Response { message: self.writer.out, unknown_members, anomalies }, has_split_surrogates }
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

    /// Reads an object; with `chosen`, only some of its members.
    fn object(&mut self, message: &'static Message, chosen: Option<&Chosen>) -> Result<(), Error> {
        self.descend()?;
        self.expect_open(b'{', "an object")?;
        let first_unknown = self.unknown.len();
        // Bit sets: the fields, by index, and the oneofs that already have a member.
        let (mut seen, mut oneofs) = (0u64, 0u64);
        let mut more = !self.json.eat(b'}')?;
        let mut guess = &message.first;
        // The state to go back to if a member cannot be read. It is taken once; only what changes is updated for each
        // member.
        let mut state = self.state();
        while more {
            self.step()?;
            self.json.peek()?;
            let start = self.json.position();
            state.output.written = self.writer.written();
            let index = self.name(message, guess)?;
            let is_kept = match index {
                _ if chosen.is_some_and(|chosen| !chosen.contains(message, index)) => {
                    self.json.skip_value()?;
                    false
                }
                Some(index) => {
                    let field = &message.fields[index];
                    let is_duplicate = seen >> index & 1 == 1;
                    seen |= 1 << index;
                    guess = &field.next;
                    match self.member(field, is_duplicate, &mut oneofs, message) {
                        Ok(Outcome::Written) if self.repairs.count == 0 => false,
                        read => self.is_kept(read, (message, field), start, state)?,
                    }
                }
                None => {
                    self.json.skip_value()?;
                    true
                }
            };
            if is_kept {
                self.unknown.push(start as u32);
                state.unknown += 1;
            }
            more = self.json.has_next(b'}')?;
        }
        // Unknown members are written last, all together: they are one field, `additional_fields`.
        if self.unknown.len() > first_unknown {
            if self.tolerance == Tolerance::Response {
                self.report_unknown(message, first_unknown)?;
            }
            self.additional(message, first_unknown).map_err(|e| e.in_field("additional_fields"))?;
            if self.repairs.count > 0 {
                self.note_repairs(message, anomalies::ADDITIONAL);
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Handles a member that was not simply written; returns whether to keep it in `additional_fields`.
    #[cold]
    fn is_kept(
        &mut self,
        read: Result<Outcome, Error>,
        (message, field): (&'static Message, &'static Field),
        start: usize,
        state: State,
    ) -> Result<bool, Error> {
        let outcome = match read {
            Ok(outcome) => outcome,
            Err(error) => self.recover(error, (message, field), start, state)?,
        };
        if self.repairs.count > 0 {
            self.note_repairs(message, field.json_name);
        }
        if matches!(outcome, Outcome::UnknownEnumName) {
            self.put_other(field);
        }
        Ok(!matches!(outcome, Outcome::Written))
    }

    /// Writes `OTHER` in place of an unknown enum name, for a caller that has Google's schema and cannot see
    /// `additional_fields`.
    fn put_other(&mut self, field: &Field) {
        if let (CallerSchema::Google, Shape::Implicit | Shape::Optional, Kind::Enum(index)) =
            (self.schema, field.shape, field.kind)
            && let Some(other) = self.table.enumeration(index).other
        {
            put_tag(&mut self.writer.out, field.number, WireType::Varint);
            put_varint(&mut self.writer.out, i64::from(other) as u64);
        }
    }

    fn expect_open(&mut self, bracket: u8, wanted: &'static str) -> Result<(), Error> {
        if self.json.eat(bracket)? { Ok(()) } else { Err(Problem::Expected(wanted).into()) }
    }

    /// Reads the name of a member and its colon. Returns the index of the field, or `None` for an unknown name.
    #[inline(always)]
    fn name(&mut self, message: &Message, guess: &Guess) -> Result<Option<usize>, Error> {
        if let Some((index, field)) = guess.field(message)
            && self.json.eat_key(&field.key)
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

    fn member(
        &mut self,
        field: &'static Field,
        is_duplicate: bool,
        oneofs: &mut u64,
        owner: &Message,
    ) -> Result<Outcome, Error> {
        // Null means absent, except for a `google.protobuf.Value`, for which it is a value.
        if !self.is_value(field) && self.json.eat_null()? {
            // Upstream would let a later null replace the value; the wire bytes here would keep it.
            let undoes_value = is_duplicate && self.tolerance == Tolerance::Request;
            return if undoes_value { Err(Problem::Duplicate.into()) } else { Ok(Outcome::Written) };
        }
        if is_duplicate {
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

    fn nested_message(&mut self, number: u32, message: &'static Message) -> Result<(), Error> {
        self.writer.open_field(number);
        self.message(message)?;
        self.writer.close_field();
        Ok(())
    }

    /// Reads a field that is not a list. Without `has_presence`, zero and the empty string are not written.
    fn singular(&mut self, field: &'static Field, has_presence: bool) -> Result<Outcome, Error> {
        match field.kind {
            Kind::String | Kind::Bytes => {
                if field.kind == Kind::Bytes && self.long_base64(field.number)? {
                    return Ok(Outcome::Written);
                }
                let text = self.text()?;
                if has_presence || !text.raw.is_empty() {
                    self.put_text(field, text)?;
                }
                Ok(Outcome::Written)
            }
            Kind::Message(_) => self.length_delimited(field),
            kind => self.number(kind, Some(field.number), has_presence),
        }
    }

    fn length_delimited(&mut self, field: &'static Field) -> Result<Outcome, Error> {
        match field.kind {
            Kind::Message(index) => self.nested_message(field.number, self.table.message(index))?,
            _ => {
                let text = self.text()?;
                self.put_text(field, text)?;
            }
        }
        Ok(Outcome::Written)
    }
}
