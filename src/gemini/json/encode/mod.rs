//! Protobuf wire bytes to JSON, in time linear in the message.
//!
//! Each message is scanned once for what its fields are (`slots`), and these are written in order. Protobuf allows what JSON
//! does not: a field may be split over several places (the last scalar wins, messages merge, lists join), and a later member
//! of a oneof replaces an earlier one. Values are not gathered: those of a list are read again where they are, from the first
//! on, so that memory does not grow with them.

mod budget;
mod keys;
mod map;
mod places;
mod scalar;
mod slots;

use self::budget::Budget;
use self::places::{Places, Span, Values, Wire, is_empty_list};
use self::scalar::{is_zero, len, unpack};
use self::slots::{Fields, Slot, Slots};
use super::error::{Error, Problem};
use super::output::Output;
use super::schema::{Field, Form, Kind, Message, Shape};
use super::table::Table;
use super::{MAX_DEPTH, RequestLimits};
use crate::gemini::steps::Steps;
use crate::gemini::wire::{Raw, Reader};

/// Writes messages as JSON to the end of `out`.
pub(super) struct Encoder<'w, 's, O> {
    table: &'static Table,
    wire: Wire<'w>,
    pub(super) out: O,
    slots: Slots<'w>,
    steps: &'w mut Steps<'s>,
    budget: Budget,
    /// How many fields on the wire the schema does not know. They have no name, so JSON cannot hold them.
    pub(super) unknown: usize,
    /// Whether a field whose JSON name had to make room for another one's is called as that one while it is absent.
    pub(super) short_names: bool,
    depth: usize,
}

impl<'w, 's, O: Output> Encoder<'w, 's, O> {
    /// For a message whose bytes are the `parts` in a row.
    pub(super) fn new(
        table: &'static Table,
        parts: &'w [&'w [u8]],
        out: O,
        limits: RequestLimits,
        steps: &'w mut Steps<'s>,
    ) -> Result<Self, Error> {
        let budget = Budget::new(parts.iter().map(|part| part.len()).sum(), limits)?;
        let (wire, slots) = (Wire::new(parts), Slots::new());
        Ok(Self { table, wire, out, slots, steps, budget, unknown: 0, short_names: false, depth: 0 })
    }

    /// Writes the whole message, without the field `except`.
    pub(super) fn whole(&mut self, message: &'static Message, except: Option<usize>) -> Result<(), Error> {
        let (first, others) = self.wire.whole();
        let places = Places::new(first, &others);
        let mut fields = self.scan(message, places)?;
        if let Some(index) = except {
            fields.present &= !(1 << index);
        }
        self.write(message, &fields, places)
    }

    fn message(&mut self, message: &'static Message, places: Places<'w, '_>) -> Result<(), Error> {
        let fields = self.scan(message, places)?;
        self.write(message, &fields, places)
    }

    /// Finds which fields a message has.
    fn scan(&mut self, message: &'static Message, mut places: Places<'w, '_>) -> Result<Fields, Error> {
        let mut fields = self.slots.open();
        loop {
            let position = places.position();
            let Some((number, value)) = places.field(self.wire, self.steps)? else { return Ok(fields) };
            let Some(index) = message.field(number) else {
                self.unknown += 1;
                continue;
            };
            let field = &message.fields[index];
            fields.present &= !field.rivals;
            self.slots.add(&mut fields, index, position, value, is_empty_list(field, value));
        }
    }

    fn write(&mut self, message: &'static Message, fields: &Fields, places: Places<'w, '_>) -> Result<(), Error> {
        // A Value is not a level of JSON: its list or object is.
        let level = usize::from(message.form != Form::Value);
        self.descend(level)?;
        match message.form {
            Form::Object => self.object(message, fields, places)?,
            Form::Struct => self.map(&message.fields[0], self.slots.get(fields, 0), places, false)?,
            Form::List => self.list(&message.fields[0], self.slots.get(fields, 0), places, false)?,
            Form::Value => self.value(message, fields, places)?,
            Form::Duration | Form::Timestamp => self.time(message.form, fields)?,
        }
        self.depth -= level;
        self.slots.close(fields);
        Ok(())
    }

    fn descend(&mut self, levels: usize) -> Result<(), Error> {
        self.depth += levels;
        if self.depth > MAX_DEPTH { Err(Problem::TooDeep.into()) } else { Ok(()) }
    }

    fn object(&mut self, message: &'static Message, fields: &Fields, places: Places<'w, '_>) -> Result<(), Error> {
        self.out.put(b"{");
        let start = self.out.len();
        let mut left = fields.present;
        while left != 0 {
            let index = left.trailing_zeros() as usize;
            left &= left - 1;
            let Some(slot) = self.slots.get(fields, index) else { continue };
            let field = &message.fields[index];
            if Some(index) == message.additional {
                self.additional(message, fields, &slot, field, places)
            } else {
                let key = match &field.key_without {
                    Some((namesake, key)) if self.short_names && fields.present >> namesake & 1 == 0 => key,
                    _ => &field.key,
                };
                self.member(field, key, &slot, places)
            }
            .map_err(|e| e.in_field(field.name))?;
        }
        self.out.close(b'}', self.out.len() == start);
        Ok(())
    }

    /// Writes `"name":value,` for the values of one field.
    fn member(
        &mut self,
        field: &'static Field,
        key: &str,
        slot: &Slot<'w>,
        places: Places<'w, '_>,
    ) -> Result<(), Error> {
        if field.shape == Shape::Implicit && is_zero(field.kind, slot.last) {
            return Ok(());
        }
        self.budget.check(self.out.len())?;
        self.out.put(key.as_bytes());
        match field.shape {
            Shape::Repeated => {
                self.descend(1)?;
                self.list(field, Some(*slot), places, true)?;
                self.depth -= 1;
            }
            Shape::Map => {
                self.descend(1)?;
                self.map(field, Some(*slot), places, true)?;
                self.depth -= 1;
            }
            Shape::Optional | Shape::Implicit => self.singular(field, slot, places)?,
        }
        self.out.put(b",");
        Ok(())
    }

    /// A field that is no list. The places of a message are read as one.
    fn singular(&mut self, field: &'static Field, slot: &Slot<'w>, places: Places<'w, '_>) -> Result<(), Error> {
        match field.kind {
            Kind::Message(index) if slot.count > 1 => {
                let spans = self.spans(field, slot, places)?;
                self.message(self.table.message(index), Places::several(&spans))?;
                self.release(spans);
                Ok(())
            }
            kind => self.scalar(kind, slot.last),
        }
    }

    /// The places of a message that is in several; those that are empty add nothing to it.
    fn spans(&mut self, field: &'static Field, slot: &Slot<'w>, places: Places<'w, '_>) -> Result<Vec<Span>, Error> {
        let mut spans = self.new_spans(slot.count)?;
        let mut values = Values::new(field, slot, places);
        while let Some(value) = values.next(self.wire, self.steps)? {
            let bytes = len(value)?;
            if !bytes.is_empty() {
                spans.push(self.wire.span(bytes));
            }
        }
        Ok(spans)
    }

    /// Room for this many places.
    fn new_spans(&mut self, count: u32) -> Result<Vec<Span>, Error> {
        self.budget.reserve(count as usize * size_of::<Span>())?;
        Ok(Vec::with_capacity(count as usize))
    }

    fn release(&mut self, spans: Vec<Span>) {
        self.budget.release(spans.capacity() * size_of::<Span>());
    }

    /// Writes a list. `is_limited`: its elements count as elements of the request.
    fn list(
        &mut self,
        field: &'static Field,
        slot: Option<Slot<'w>>,
        places: Places<'w, '_>,
        is_limited: bool,
    ) -> Result<(), Error> {
        self.out.put(b"[");
        let mut index = 0;
        if let Some(slot) = slot {
            let mut values = Values::new(field, &slot, places);
            while let Some(value) = values.next(self.wire, self.steps)? {
                match value {
                    Raw::Len(packed) if field.kind.is_packable() => {
                        let mut reader = Reader::new(packed);
                        while !reader.is_empty() {
                            self.steps.take(1)?;
                            let value = unpack(&mut reader, field.kind)?;
                            self.element(field.kind, value, is_limited).map_err(|e| e.at_index(index))?;
                            index += 1;
                        }
                    }
                    value => {
                        self.element(field.kind, value, is_limited).map_err(|e| e.at_index(index))?;
                        index += 1;
                    }
                }
            }
        }
        self.out.close(b']', index == 0);
        Ok(())
    }

    fn element(&mut self, kind: Kind, value: Raw<'w>, is_limited: bool) -> Result<(), Error> {
        if is_limited {
            self.budget.count_element()?;
        }
        self.budget.check(self.out.len())?;
        self.scalar(kind, value)?;
        self.out.put(b",");
        Ok(())
    }

    /// A `google.protobuf.Value`: its one member, or null. All its fields are members of one oneof.
    fn value(&mut self, message: &'static Message, fields: &Fields, places: Places<'w, '_>) -> Result<(), Error> {
        let index = fields.present.trailing_zeros() as usize;
        let Some(field) = message.fields.get(index).filter(|field| !matches!(field.kind, Kind::Enum(_))) else {
            self.out.put(b"null");
            return Ok(());
        };
        match self.slots.get(fields, index) {
            Some(slot) => self.singular(field, &slot, places),
            None => Ok(()),
        }
    }
}
