//! Maps, and the members that the schema does not know, which are a map on the wire as well.

use std::collections::BTreeSet;

use super::super::error::{Error, Problem};
use super::super::table::{Field, Kind, Message};
use super::super::text::put_string;
use super::{Encoder, len};
use crate::gemini::wire::{Raw, Reader};

/// One entry of a map.
#[derive(Clone, Copy, Debug, Default)]
struct Entry<'w> {
    key: &'w [u8],
    value: Option<Raw<'w>>,
    /// The entry itself, if its value stands in several places.
    split: Option<&'w [u8]>,
}

impl<'t, 'w> Encoder<'t, 'w> {
    /// Writes a map in the order of the wire; of entries with the same key, the last.
    pub(super) fn map(&mut self, field: &'t Field, from: usize, to: usize) -> Result<(), Error> {
        let entries = self.entries(from, to)?;
        self.out.push(b'{');
        for (index, entry) in entries {
            self.entry(field.kind, entry).map_err(|e| e.at_index(index))?;
        }
        self.close(b'}');
        Ok(())
    }

    fn entry(&mut self, kind: Kind, entry: Entry<'w>) -> Result<(), Error> {
        put_string(&mut self.out, entry.key)?;
        self.out.push(b':');
        match (entry.value, entry.split, kind) {
            (Some(_), Some(bytes), Kind::Message(index)) => {
                self.message(self.table.message(index), &value_parts(bytes)?, None)?;
            }
            (Some(value), ..) => self.scalar(kind, value)?,
            (None, ..) => self.absent(kind)?,
        }
        self.out.push(b',');
        Ok(())
    }

    /// The entries of a map and their places; without those whose key comes again later.
    fn entries(&self, from: usize, to: usize) -> Result<Vec<(usize, Entry<'w>)>, Error> {
        let mut entries = Vec::with_capacity(to - from);
        for (index, found) in self.found[from..to].iter().enumerate() {
            let mut entry = Entry::default();
            let bytes = len(found.value)?;
            let mut reader = Reader::new(bytes);
            while !reader.is_empty() {
                match reader.field()? {
                    (1, Raw::Len(key)) => entry.key = key,
                    (1, _) => return Err(Problem::WireType.into()),
                    (2, value) => {
                        entry.split = entry.value.map(|_| bytes);
                        entry.value = Some(value);
                    }
                    _ => {}
                }
            }
            entries.push((index, entry));
        }
        if entries.len() > 1 {
            let mut order: Vec<(&[u8], usize)> = entries.iter().map(|(index, entry)| (entry.key, *index)).collect();
            order.sort_unstable();
            let superseded: BTreeSet<usize> = order.windows(2).filter(|w| w[0].0 == w[1].0).map(|w| w[0].1).collect();
            entries.retain(|(index, _)| !superseded.contains(index));
        }
        Ok(entries)
    }

    /// The value of a map entry that has none: the default of its kind.
    fn absent(&mut self, kind: Kind) -> Result<(), Error> {
        match kind {
            Kind::Message(index) => self.message(self.table.message(index), &[], None),
            Kind::String | Kind::Bytes => {
                self.out.extend_from_slice(b"\"\"");
                Ok(())
            }
            _ => self.scalar(kind, Raw::Varint(0)),
        }
    }

    /// The members that the schema does not know, beside those that it does.
    pub(super) fn additional(
        &mut self,
        message: &'t Message,
        start: usize,
        from: usize,
        to: usize,
    ) -> Result<(), Error> {
        let Kind::Message(index) = message.fields[self.found[from].field].kind else {
            return Err(Problem::WireType.into());
        };
        let (known, wrapper) = (start..from, self.table.message(index));
        let parts = self.parts(from, to)?;
        let top = self.found.len();
        self.scan(wrapper, &parts, None)?;
        let entries = self.entries(top, self.found.len())?;
        for (index, entry) in entries {
            // An enum may have a value that is newer than the schema; any other known member is set as itself.
            if let Some(field) = message.member(entry.key) {
                let given = self.found[known.clone()].iter().any(|found| found.field == field);
                let field = &message.fields[field];
                if given || !matches!(field.kind, Kind::Enum(_)) {
                    return Err(Problem::Collision(field.name).into());
                }
            }
            self.entry(wrapper.fields[0].kind, entry).map_err(|e| e.at_index(index))?;
        }
        self.found.truncate(top);
        Ok(())
    }
}

/// The places of a map entry's value, if that is a message.
fn value_parts(entry: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let mut parts = Vec::new();
    let mut reader = Reader::new(entry);
    while !reader.is_empty() {
        if let (2, value) = reader.field()? {
            parts.push(len(value)?);
        }
    }
    Ok(parts)
}
