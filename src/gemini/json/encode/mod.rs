//! Encodes protobuf wire bytes as JSON, in time linear in the message.
//!
//! Each message is scanned once to find its fields (`summary`), which are then written in the order of their numbers.
//! The scan is needed because protobuf allows what JSON does not: a field may occur several times (the last scalar
//! wins, messages merge, lists are concatenated), and a later member of a oneof replaces an earlier one. The values of
//! a list are not collected: they are read again from the first one on, so that memory does not grow with their number.

mod budget;
mod fragments;
mod keys;
mod map;
mod scalar;
mod summary;

use self::budget::Budget;
use self::fragments::{Fragments, Span, Values, Wire, is_empty_list};
use self::scalar::{is_zero, length_delimited, unpack};
use self::summary::{FieldSummary, PresentFields, SummaryStack};
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
    summaries: SummaryStack<'w>,
    steps: &'w mut Steps<'s>,
    budget: Budget,
    /// The number of fields on the wire that the schema does not know. They have no name, so they cannot be written.
    pub(super) unknown_fields: usize,
    /// Whether to write [`Field::short_key`].
    pub(super) use_short_keys: bool,
    depth: usize,
}

impl<'w, 's, O: Output> Encoder<'w, 's, O> {
    /// An encoder for a message whose bytes are the `parts`, one after another.
    pub(super) fn new(
        table: &'static Table,
        parts: &'w [&'w [u8]],
        out: O,
        limits: RequestLimits,
        steps: &'w mut Steps<'s>,
    ) -> Result<Self, Error> {
        let budget = Budget::new(parts.iter().map(|part| part.len()).sum(), limits)?;
        let (wire, summaries) = (Wire::new(parts), SummaryStack::new());
        Ok(Self { table, wire, out, summaries, steps, budget, unknown_fields: 0, use_short_keys: false, depth: 0 })
    }

    /// Writes the whole message, without the field with the index `except`.
    pub(super) fn encode(&mut self, message: &'static Message, except: Option<usize>) -> Result<(), Error> {
        let (first, others) = self.wire.whole();
        let fragments = Fragments::new(first, &others);
        let mut fields = self.scan(message, fragments)?;
        if let Some(index) = except {
            fields.present &= !(1 << index);
        }
        self.write(message, &fields, fragments)
    }

    fn message(&mut self, message: &'static Message, fragments: Fragments<'w, '_>) -> Result<(), Error> {
        // Free-form JSON has a `Value` for each of its values. Nearly all have one field, for which no scan is needed.
        if message.form == Form::Value
            && let Some((kind, value)) = self.only_field(message, fragments)?
        {
            return self.scalar(kind, value);
        }
        let fields = self.scan(message, fragments)?;
        self.write(message, &fields, fragments)
    }

    /// The field of a `Value` that has one and no more, unless it is null.
    fn only_field(
        &mut self,
        message: &'static Message,
        mut fragments: Fragments<'w, '_>,
    ) -> Result<Option<(Kind, Raw<'w>)>, Error> {
        let Some((number, value)) = fragments.field(self.wire, self.steps)? else { return Ok(None) };
        let field = message.field(number).map(|index| &message.fields[index]);
        let field = field.filter(|field| fragments.is_empty() && !matches!(field.kind, Kind::Enum(_)));
        Ok(field.map(|field| (field.kind, value)))
    }

    /// Finds the fields that a message has.
    fn scan(&mut self, message: &'static Message, mut fragments: Fragments<'w, '_>) -> Result<PresentFields, Error> {
        let mut fields = self.summaries.open();
        loop {
            let position = fragments.position();
            let Some((number, value)) = fragments.field(self.wire, self.steps)? else { return Ok(fields) };
            let Some(index) = message.field(number) else {
                self.unknown_fields += 1;
                continue;
            };
            let field = &message.fields[index];
            // A member of a oneof replaces the ones before it.
            fields.present &= !field.oneof_siblings;
            self.summaries.add(&mut fields, index, position, value, is_empty_list(field, value));
        }
    }

    fn write(
        &mut self,
        message: &'static Message,
        fields: &PresentFields,
        fragments: Fragments<'w, '_>,
    ) -> Result<(), Error> {
        // A `Value` is not a level of JSON itself, only the list or object in it.
        let level = usize::from(message.form != Form::Value);
        self.descend(level)?;
        match message.form {
            Form::Object => self.object(message, fields, fragments)?,
            Form::Struct => self.map(&message.fields[0], self.summaries.get(fields, 0), fragments, false)?,
            Form::List => self.list(&message.fields[0], self.summaries.get(fields, 0), fragments, false)?,
            Form::Value => self.value(message, fields, fragments)?,
            Form::Duration | Form::Timestamp => self.time(message.form, fields)?,
        }
        self.depth -= level;
        self.summaries.close(fields);
        Ok(())
    }

    fn descend(&mut self, levels: usize) -> Result<(), Error> {
        self.depth += levels;
        if self.depth > MAX_DEPTH { Err(Problem::TooDeep.into()) } else { Ok(()) }
    }

    fn object(
        &mut self,
        message: &'static Message,
        fields: &PresentFields,
        fragments: Fragments<'w, '_>,
    ) -> Result<(), Error> {
        self.out.put(b"{");
        let start = self.out.len();
        let mut left = fields.present;
        while left != 0 {
            let index = left.trailing_zeros() as usize;
            left &= left - 1;
            let Some(summary) = self.summaries.get(fields, index) else { continue };
            let field = &message.fields[index];
            if Some(index) == message.additional {
                self.additional(message, fields, &summary, field, fragments)
            } else {
                let key = match &field.short_key {
                    Some((namesake, key)) if self.use_short_keys && fields.present >> namesake & 1 == 0 => key,
                    _ => &field.key,
                };
                self.member(field, key, &summary, fragments)
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
        summary: &FieldSummary<'w>,
        fragments: Fragments<'w, '_>,
    ) -> Result<(), Error> {
        if field.shape == Shape::Implicit && is_zero(field.kind, summary.last) {
            return Ok(());
        }
        self.budget.check_json(self.out.len())?;
        self.out.put(key.as_bytes());
        match field.shape {
            Shape::Repeated => {
                self.descend(1)?;
                self.list(field, Some(*summary), fragments, true)?;
                self.depth -= 1;
            }
            Shape::Map => {
                self.descend(1)?;
                self.map(field, Some(*summary), fragments, true)?;
                self.depth -= 1;
            }
            Shape::Optional | Shape::Implicit => self.singular(field, summary, fragments)?,
        }
        self.out.put(b",");
        Ok(())
    }

    /// Writes a field that is not a list. The fragments of a message are read as one message.
    fn singular(
        &mut self,
        field: &'static Field,
        summary: &FieldSummary<'w>,
        fragments: Fragments<'w, '_>,
    ) -> Result<(), Error> {
        match field.kind {
            Kind::Message(index) if summary.count > 1 => {
                let spans = self.spans(field, summary, fragments)?;
                self.message(self.table.message(index), Fragments::many(&spans))?;
                self.release(spans);
                Ok(())
            }
            kind => self.scalar(kind, summary.last),
        }
    }

    /// The spans of a message in several fragments. Empty fragments are left out, since they add nothing.
    fn spans(
        &mut self,
        field: &'static Field,
        summary: &FieldSummary<'w>,
        fragments: Fragments<'w, '_>,
    ) -> Result<Vec<Span>, Error> {
        let mut spans = self.new_spans(summary.count)?;
        let mut values = Values::new(field, summary, fragments);
        while let Some(value) = values.next(self.wire, self.steps)? {
            let bytes = length_delimited(value)?;
            if !bytes.is_empty() {
                spans.push(self.wire.span(bytes));
            }
        }
        Ok(spans)
    }

    /// An empty list with capacity for this many fragments, counted against the budget.
    fn new_spans(&mut self, count: u32) -> Result<Vec<Span>, Error> {
        self.budget.reserve_scratch(count as usize * size_of::<Span>())?;
        Ok(Vec::with_capacity(count as usize))
    }

    fn release(&mut self, spans: Vec<Span>) {
        self.budget.release_scratch(spans.capacity() * size_of::<Span>());
    }

    /// Writes a list. `is_limited`: its elements count against the limit of the request.
    fn list(
        &mut self,
        field: &'static Field,
        summary: Option<FieldSummary<'w>>,
        fragments: Fragments<'w, '_>,
        is_limited: bool,
    ) -> Result<(), Error> {
        self.out.put(b"[");
        let mut index = 0;
        if let Some(summary) = summary {
            let mut values = Values::new(field, &summary, fragments);
            while let Some(value) = values.next(self.wire, self.steps)? {
                match value {
                    // A list of numbers may be packed, unpacked, or both in turn.
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
        self.budget.check_json(self.out.len())?;
        self.scalar(kind, value)?;
        self.out.put(b",");
        Ok(())
    }

    /// Writes a `google.protobuf.Value`: its one member, or null. All its fields are in one oneof, so at most one is
    /// present.
    fn value(
        &mut self,
        message: &'static Message,
        fields: &PresentFields,
        fragments: Fragments<'w, '_>,
    ) -> Result<(), Error> {
        let index = fields.present.trailing_zeros() as usize;
        let Some(field) = message.fields.get(index).filter(|field| !matches!(field.kind, Kind::Enum(_))) else {
            self.out.put(b"null");
            return Ok(());
        };
        match self.summaries.get(fields, index) {
            Some(summary) => self.singular(field, &summary, fragments),
            None => Ok(()),
        }
    }
}
