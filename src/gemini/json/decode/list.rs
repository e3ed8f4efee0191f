//! Decodes lists and maps.

use super::super::error::{Error, Problem};
use super::super::schema::{Field, Kind};
use super::{Decoder, Outcome};

impl Decoder<'_, '_> {
    pub(super) fn map(&mut self, field: &'static Field) -> Result<Outcome, Error> {
        self.descend()?;
        self.expect_open(b'{', "an object")?;
        let mut more = !self.json.eat(b'}')?;
        let mut index = 0;
        while more {
            self.step()?;
            self.count_element()?;
            let key = self.json.string()?;
            self.json.expect(b':')?;
            self.writer.open_field(field.number);
            self.string(1, key).and_then(|()| self.map_value(field.kind)).map_err(|e| e.at_index(index))?;
            self.writer.close_field();
            index += 1;
            more = self.json.has_next(b'}')?;
        }
        self.depth -= 1;
        Ok(Outcome::Written)
    }

    fn map_value(&mut self, kind: Kind) -> Result<(), Error> {
        match kind {
            Kind::Message(index) => self.nested_message(2, self.table.message(index)),
            Kind::String => {
                let value = self.text()?;
                self.string(2, value)
            }
            _ => Err(Problem::Expected("a map of strings or messages").into()),
        }
    }

    pub(super) fn repeated(&mut self, field: &'static Field) -> Result<Outcome, Error> {
        let packed = field.kind.is_packable();
        let (output_start, json_start) = (self.writer.out.len(), self.json.position());
        self.descend()?;
        self.expect_open(b'[', "a list")?;
        let mut more = !self.json.eat(b']')?;
        if !more {
            self.depth -= 1;
            return Ok(Outcome::Written);
        }
        // Lists of numbers are written packed: one field for the whole list, without a tag for each element.
        if packed {
            self.writer.open_field(field.number);
        }
        let mut index = 0;
        let mut all_known = true;
        while more {
            self.step()?;
            self.count_element()?;
            let element = if packed { self.number(field.kind, None, true) } else { self.element(field) };
            all_known &= matches!(element.map_err(|e| e.at_index(index))?, Outcome::Written);
            index += 1;
            more = self.json.has_next(b']')?;
        }
        if packed {
            self.writer.close_field();
        }
        self.depth -= 1;
        if all_known {
            return Ok(Outcome::Written);
        }
        // One unknown enum name: the whole list is kept in `additional_fields`, so that its order is not lost.
        self.writer.out.truncate(output_start);
        self.json.seek(json_start);
        self.json.skip_value()?;
        Ok(Outcome::UnknownEnumName)
    }

    /// Reads an element that is not a number. One part of a response may become several (`split`).
    pub(super) fn element(&mut self, field: &'static Field) -> Result<Outcome, Error> {
        let (state, start) = (self.state(), self.json.position());
        match self.length_delimited(field) {
            Err(error) => self.split(field, start, state, error),
            done => done,
        }
    }

    /// Counts an element of a list, or an entry of a map.
    #[inline]
    fn count_element(&mut self) -> Result<(), Error> {
        match self.elements_left.checked_sub(1) {
            Some(left) => {
                self.elements_left = left;
                Ok(())
            }
            None => Err(self.too_many_elements()),
        }
    }
}
