//! Encodes maps, and the members that the schema does not know, which are a map on the wire as well (a `Struct`).

use super::super::error::{Error, Problem};
use super::super::output::Output;
use super::super::schema::{Field, Kind, Message, Role};
use super::super::text::put_string;
use super::Encoder;
use super::fragments::{Fragments, Span, Values};
use super::keys::{Entry, LastEntries};
use super::scalar::length_delimited;
use super::summary::{FieldSummary, PresentFields};
use crate::gemini::wire::{Raw, Reader};

impl<'w, O: Output> Encoder<'w, '_, O> {
    /// Writes a map in the order of the wire. Of entries with the same key, only the last is written. `is_limited`: its
    /// entries count against the limit of the request.
    pub(super) fn map(
        &mut self,
        field: &'static Field,
        summary: Option<FieldSummary<'w>>,
        fragments: Fragments<'w, '_>,
        is_limited: bool,
    ) -> Result<(), Error> {
        self.out.put(b"{");
        let start = self.out.len();
        if let Some(summary) = summary {
            self.entries(field, &summary, fragments, None, is_limited)?;
        }
        self.out.close(b'}', self.out.len() == start);
        Ok(())
    }

    /// Writes the members that the schema does not know, into the object of the known ones.
    pub(super) fn additional(
        &mut self,
        message: &'static Message,
        fields: &PresentFields,
        summary: &FieldSummary<'w>,
        field: &'static Field,
        fragments: Fragments<'w, '_>,
    ) -> Result<(), Error> {
        let Kind::Message(index) = field.kind else {
            return Err(Problem::WireType.into());
        };
        let wrapper = self.table.message(index);
        if summary.count == 1 {
            return self.struct_entries(wrapper, Fragments::one(length_delimited(summary.last)?), (message, fields));
        }
        let spans = self.spans(field, summary, fragments)?;
        self.struct_entries(wrapper, Fragments::many(&spans), (message, fields))?;
        self.release(spans);
        Ok(())
    }

    /// Writes the entries of a `Struct` without its braces.
    fn struct_entries(
        &mut self,
        wrapper: &'static Message,
        fragments: Fragments<'w, '_>,
        owner: (&Message, &PresentFields),
    ) -> Result<(), Error> {
        let inside = self.scan(wrapper, fragments)?;
        if let Some(summary) = self.summaries.get(&inside, 0) {
            self.entries(&wrapper.fields[0], &summary, fragments, Some(owner), false)?;
        }
        self.summaries.close(&inside);
        Ok(())
    }

    /// Writes the entries of a map, each with a comma after it. Fails for a key that is a member of `owner`.
    fn entries(
        &mut self,
        field: &'static Field,
        summary: &FieldSummary<'w>,
        fragments: Fragments<'w, '_>,
        owner: Option<(&Message, &PresentFields)>,
        is_limited: bool,
    ) -> Result<(), Error> {
        let keys = if summary.count > 1 { Some(self.last_entries(field, summary, fragments)?) } else { None };
        let mut values = Values::new(field, summary, fragments);
        for index in 0.. {
            let Some(value) = values.next(self.wire, self.steps)? else { break };
            let entry = self.read_entry(length_delimited(value)?)?;
            if is_limited {
                self.budget.count_element().map_err(|e| e.at_index(index))?;
            }
            if let Some(keys) = &keys
                && !keys.is_last(index, &entry, self.wire, self.steps)?
            {
                continue;
            }
            if let Some((message, fields)) = owner {
                check_name_is_free(message, fields, entry.key)?;
            }
            self.entry(field.kind, &entry).map_err(|e| e.at_index(index))?;
        }
        self.budget.release_scratch(keys.map_or(0, |_| LastEntries::allocated_bytes(summary.count as usize)));
        Ok(())
    }

    fn last_entries(
        &mut self,
        field: &'static Field,
        summary: &FieldSummary<'w>,
        fragments: Fragments<'w, '_>,
    ) -> Result<LastEntries<'w>, Error> {
        self.budget.reserve_scratch(LastEntries::allocated_bytes(summary.count as usize))?;
        let mut keys = LastEntries::new(summary.count as usize);
        let mut values = Values::new(field, summary, fragments);
        for index in 0.. {
            let Some(value) = values.next(self.wire, self.steps)? else { break };
            let entry = self.read_entry(length_delimited(value)?)?;
            keys.add(index, &entry, self.wire, self.steps)?;
        }
        Ok(keys)
    }

    fn read_entry(&mut self, bytes: &'w [u8]) -> Result<Entry<'w>, Error> {
        let mut entry = Entry { bytes, key: &[], key_field: &[], value: None, value_count: 0 };
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let field = reader.rest();
            match reader.counted_field(self.steps)? {
                (1, Raw::Len(key)) => (entry.key, entry.key_field) = (key, field),
                (1, _) => return Err(Problem::WireType.into()),
                (2, value) => {
                    entry.value = Some(value);
                    entry.value_count += 1;
                }
                _ => {}
            }
        }
        Ok(entry)
    }

    fn entry(&mut self, kind: Kind, entry: &Entry<'w>) -> Result<(), Error> {
        self.budget.check_json(self.out.len())?;
        put_string(&mut self.out, entry.key, self.steps)?;
        self.out.put(b":");
        match (entry.value, kind) {
            (Some(_), Kind::Message(index)) if entry.value_count > 1 => {
                let spans = self.value_spans(entry)?;
                self.message(self.table.message(index), Fragments::many(&spans))?;
                self.release(spans);
            }
            (Some(value), _) => self.scalar(kind, value)?,
            (None, _) => self.absent(kind)?,
        }
        self.out.put(b",");
        Ok(())
    }

    /// The spans of the value of an entry, if it is a message in several fragments.
    fn value_spans(&mut self, entry: &Entry<'w>) -> Result<Vec<Span>, Error> {
        let mut spans = self.new_spans(entry.value_count)?;
        let mut reader = Reader::new(entry.bytes);
        while !reader.is_empty() {
            if let (2, value) = reader.counted_field(self.steps)? {
                spans.extend(
                    Some(length_delimited(value)?).filter(|bytes| !bytes.is_empty()).map(|bytes| self.wire.span(bytes)),
                );
            }
        }
        Ok(spans)
    }

    /// Writes the value of a map entry that has none: the default of its kind.
    fn absent(&mut self, kind: Kind) -> Result<(), Error> {
        match kind {
            Kind::Message(index) => self.message(self.table.message(index), Fragments::one(&[])),
            Kind::String | Kind::Bytes => {
                self.out.put(b"\"\"");
                Ok(())
            }
            _ => self.scalar(kind, Raw::Varint(0)),
        }
    }
}

/// Fails if an additional member has the name of a known member.
///
/// There is one exception, so that callers can send the contents of a response back. A known member that is absent may
/// be an additional one if the translator itself may have put it there: an enum name that is newer than the schema, or
/// a sidecar that could not be read.
fn check_name_is_free(message: &Message, fields: &PresentFields, name: &[u8]) -> Result<(), Error> {
    let Some(index) = message.member(name) else { return Ok(()) };
    let field = &message.fields[index];
    let is_present = |index: usize| fields.present >> index & 1 == 1;
    // The name is also taken if another field is written under it while this one is absent (`short_key`).
    let is_taken = is_present(index)
        || message.fields.iter().enumerate().any(|(other, field)| {
            field.short_key.as_ref().is_some_and(|(namesake, _)| *namesake == index) && is_present(other)
        });
    if is_taken || (field.role != Role::Sidecar && !matches!(field.kind, Kind::Enum(_))) {
        return Err(Problem::Collision(field.name).into());
    }
    Ok(())
}
