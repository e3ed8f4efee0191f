//! Maps, and the members that the schema does not know, which are a map on the wire as well.

use super::super::error::{Error, Problem};
use super::super::output::Output;
use super::super::schema::{Field, Kind, Message, Role};
use super::super::text::put_string;
use super::Encoder;
use super::keys::{Entry, LastOfKey};
use super::places::{Places, Span, Values};
use super::scalar::len;
use super::slots::{Fields, Slot};
use crate::gemini::wire::{Raw, Reader};

impl<'w, O: Output> Encoder<'w, '_, O> {
    /// Writes a map in the order of the wire; of entries with the same key, the last. `is_limited`: its entries count as
    /// elements of the request.
    pub(super) fn map(
        &mut self,
        field: &'static Field,
        slot: Option<Slot<'w>>,
        places: Places<'w, '_>,
        is_limited: bool,
    ) -> Result<(), Error> {
        self.out.put(b"{");
        let start = self.out.len();
        if let Some(slot) = slot {
            self.entries(field, &slot, places, None, is_limited)?;
        }
        self.out.close(b'}', self.out.len() == start);
        Ok(())
    }

    /// Writes the members that the schema does not know, beside those that it does.
    pub(super) fn additional(
        &mut self,
        message: &'static Message,
        fields: &Fields,
        slot: &Slot<'w>,
        field: &'static Field,
        places: Places<'w, '_>,
    ) -> Result<(), Error> {
        let Kind::Message(index) = field.kind else {
            return Err(Problem::WireType.into());
        };
        let wrapper = self.table.message(index);
        if slot.count == 1 {
            return self.wrapped(wrapper, Places::one(len(slot.last)?), (message, fields));
        }
        let spans = self.spans(field, slot, places)?;
        self.wrapped(wrapper, Places::several(&spans), (message, fields))?;
        self.release(spans);
        Ok(())
    }

    /// Writes the entries of a Struct without its braces.
    fn wrapped(
        &mut self,
        wrapper: &'static Message,
        places: Places<'w, '_>,
        owner: (&Message, &Fields),
    ) -> Result<(), Error> {
        let inside = self.scan(wrapper, places)?;
        if let Some(slot) = self.slots.get(&inside, 0) {
            self.entries(&wrapper.fields[0], &slot, places, Some(owner), false)?;
        }
        self.slots.close(&inside);
        Ok(())
    }

    /// Writes the entries of a map, each with a comma. Keys that are members of `owner` are refused.
    fn entries(
        &mut self,
        field: &'static Field,
        slot: &Slot<'w>,
        places: Places<'w, '_>,
        owner: Option<(&Message, &Fields)>,
        is_limited: bool,
    ) -> Result<(), Error> {
        let keys = if slot.count > 1 { Some(self.last_of_each_key(field, slot, places)?) } else { None };
        let mut values = Values::new(field, slot, places);
        for index in 0.. {
            let Some(value) = values.next(self.wire, self.steps)? else { break };
            let entry = self.read_entry(len(value)?)?;
            if is_limited {
                self.budget.count_element().map_err(|e| e.at_index(index))?;
            }
            if let Some(keys) = &keys
                && !keys.is_last(index, &entry, self.wire, self.steps)?
            {
                continue;
            }
            if let Some((message, fields)) = owner {
                must_be_free(message, fields, entry.key)?;
            }
            self.entry(field.kind, &entry).map_err(|e| e.at_index(index))?;
        }
        self.budget.release(keys.map_or(0, |_| LastOfKey::memory(slot.count as usize)));
        Ok(())
    }

    fn last_of_each_key(
        &mut self,
        field: &'static Field,
        slot: &Slot<'w>,
        places: Places<'w, '_>,
    ) -> Result<LastOfKey<'w>, Error> {
        self.budget.reserve(LastOfKey::memory(slot.count as usize))?;
        let mut keys = LastOfKey::new(slot.count as usize);
        let mut values = Values::new(field, slot, places);
        for index in 0.. {
            let Some(value) = values.next(self.wire, self.steps)? else { break };
            let entry = self.read_entry(len(value)?)?;
            keys.add(index, &entry, self.wire, self.steps)?;
        }
        Ok(keys)
    }

    fn read_entry(&mut self, bytes: &'w [u8]) -> Result<Entry<'w>, Error> {
        let mut entry = Entry { bytes, key: &[], key_field: &[], value: None, values: 0 };
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() {
            let field = reader.rest();
            match reader.counted_field(self.steps)? {
                (1, Raw::Len(key)) => (entry.key, entry.key_field) = (key, field),
                (1, _) => return Err(Problem::WireType.into()),
                (2, value) => {
                    entry.value = Some(value);
                    entry.values += 1;
                }
                _ => {}
            }
        }
        Ok(entry)
    }

    fn entry(&mut self, kind: Kind, entry: &Entry<'w>) -> Result<(), Error> {
        self.budget.check(self.out.len())?;
        put_string(&mut self.out, entry.key, self.steps)?;
        self.out.put(b":");
        match (entry.value, kind) {
            (Some(_), Kind::Message(index)) if entry.values > 1 => {
                let spans = self.value_spans(entry)?;
                self.message(self.table.message(index), Places::several(&spans))?;
                self.release(spans);
            }
            (Some(value), _) => self.scalar(kind, value)?,
            (None, _) => self.absent(kind)?,
        }
        self.out.put(b",");
        Ok(())
    }

    /// The places of an entry's value.
    fn value_spans(&mut self, entry: &Entry<'w>) -> Result<Vec<Span>, Error> {
        let mut spans = self.new_spans(entry.values)?;
        let mut reader = Reader::new(entry.bytes);
        while !reader.is_empty() {
            if let (2, value) = reader.counted_field(self.steps)? {
                spans.extend(Some(len(value)?).filter(|bytes| !bytes.is_empty()).map(|bytes| self.wire.span(bytes)));
            }
        }
        Ok(spans)
    }

    /// The value of a map entry that has none: the default of its kind.
    fn absent(&mut self, kind: Kind) -> Result<(), Error> {
        match kind {
            Kind::Message(index) => self.message(self.table.message(index), Places::one(&[])),
            Kind::String | Kind::Bytes => {
                self.out.put(b"\"\"");
                Ok(())
            }
            _ => self.scalar(kind, Raw::Varint(0)),
        }
    }
}

/// Refuses the name of a known member. One that is not given may be named if an answer may have had it here: an enum value
/// can be newer than the schema, and a sidecar can be one that could not be read, so that callers can send contents back.
fn must_be_free(message: &Message, fields: &Fields, name: &[u8]) -> Result<(), Error> {
    let Some(index) = message.member(name) else { return Ok(()) };
    let field = &message.fields[index];
    let is_present = |index: usize| fields.present >> index & 1 == 1;
    // Its name may be given away while it is absent.
    let is_taken = is_present(index)
        || message.fields.iter().enumerate().any(|(other, field)| {
            field.key_without.as_ref().is_some_and(|(namesake, _)| *namesake == index) && is_present(other)
        });
    if is_taken || (field.role != Role::Sidecar && !matches!(field.kind, Kind::Enum(_))) {
        return Err(Problem::Collision(field.name).into());
    }
    Ok(())
}
