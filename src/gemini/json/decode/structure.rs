//! Decodes free-form JSON: `Struct`, `Value` and `ListValue`, and the members that the schema does not know.

use super::super::error::{Error, Problem};
use super::super::schema::{ADDITIONAL_FIELDS, Message};
use super::super::string::Str;
use super::{Decoder, Tolerance};
use crate::gemini::wire::{WireType, put_tag};

impl<'j> Decoder<'j, '_> {
    /// Writes the content of a `google.protobuf.Struct`.
    pub(super) fn structure(&mut self) -> Result<(), Error> {
        self.descend()?;
        self.expect_open(b'{', "an object")?;
        let mut more = !self.json.eat(b'}')?;
        let mut index = 0;
        while more {
            self.step()?;
            let key = self.json.string()?;
            self.json.expect(b':')?;
            self.entry(key).map_err(|e| e.at_index(index))?;
            index += 1;
            more = self.json.has_next(b'}')?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Writes an entry of a `Struct`. The value is read from the current position.
    fn entry(&mut self, key: Str<'j>) -> Result<(), Error> {
        self.writer.open_field(1);
        self.string(1, key)?;
        self.writer.open_field(2);
        self.value()?;
        self.writer.close_field();
        self.writer.close_field();
        Ok(())
    }

    /// Writes the content of a `google.protobuf.ListValue`.
    pub(super) fn list_value(&mut self) -> Result<(), Error> {
        self.descend()?;
        self.expect_open(b'[', "a list")?;
        let mut more = !self.json.eat(b']')?;
        let mut index = 0;
        while more {
            self.step()?;
            self.writer.open_field(1);
            self.value().map_err(|e| e.at_index(index))?;
            self.writer.close_field();
            index += 1;
            more = self.json.has_next(b']')?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// Writes the content of a `google.protobuf.Value`: any JSON value.
    pub(super) fn value(&mut self) -> Result<(), Error> {
        match self.json.peek()? {
            b'n' => {
                self.json.expect_word(b"null")?;
                put_tag(&mut self.writer.out, 1, WireType::Varint);
                self.writer.out.push(0);
            }
            b't' | b'f' => {
                let value = self.bool()?;
                put_tag(&mut self.writer.out, 4, WireType::Varint);
                self.writer.out.push(value.into());
            }
            b'"' => {
                let text = self.json.string()?;
                self.string(3, text)?;
            }
            b'{' => {
                self.writer.open_field(5);
                self.structure()?;
                self.writer.close_field();
            }
            b'[' => {
                self.writer.open_field(6);
                self.list_value()?;
                self.writer.close_field();
            }
            b'N' | b'I' | b'-' if let Some(word) = self.json.eat_non_finite() => self.number_as_text(word)?,
            b'-' | b'0'..=b'9' => {
                let text = self.json.number()?;
                match text.parse() {
                    Ok(value) if f64::is_finite(value) => {
                        put_tag(&mut self.writer.out, 2, WireType::Fixed64);
                        self.writer.out.extend_from_slice(&value.to_le_bytes());
                    }
                    Ok(_) if self.tolerance != Tolerance::None => self.number_as_text(text)?,
                    _ => return Err(Problem::OutOfRange("a double").into()),
                }
            }
            _ => return Err(Problem::Syntax.into()),
        }
        Ok(())
    }

    /// Writes a number that does not fit a double as a string: a `Value` has no other form for it.
    fn number_as_text(&mut self, number: &str) -> Result<(), Error> {
        self.repairs.count += 1;
        self.ensure_capacity(number.len())?;
        self.writer.sized_field(3, number.len());
        self.writer.out.extend_from_slice(number.as_bytes());
        Ok(())
    }

    /// Writes the unknown members of a message, which are those from `first_unknown` on, as its `additional_fields`. In
    /// a response, a member that these cannot contain either is dropped, for example because it nests too deep.
    pub(super) fn additional(&mut self, message: &'static Message, first_unknown: usize) -> Result<(), Error> {
        self.set_is_in_unknown(true);
        let done = self.entries(message, first_unknown);
        self.set_is_in_unknown(false);
        done
    }

    fn entries(&mut self, message: &'static Message, first_unknown: usize) -> Result<(), Error> {
        if message.additional.is_some() {
            let end = self.json.position();
            let (state_before, mut is_empty) = (self.state(), true);
            self.writer.open_field(ADDITIONAL_FIELDS);
            for index in first_unknown..self.unknown.len() {
                self.json.seek(self.unknown[index] as usize);
                self.step()?;
                let state = self.state();
                let name = self.json.string()?;
                self.json.expect(b':')?;
                match self.entry(name).map_err(|e| e.at_index(index - first_unknown)) {
                    Err(error) if self.may_recover(&error) => {
                        self.rewind(state);
                        self.note_dropped(message, &error);
                    }
                    done => {
                        done?;
                        is_empty = false;
                    }
                }
            }
            if is_empty {
                self.writer.rewind(state_before.output);
            } else {
                self.writer.close_field();
            }
            self.json.seek(end);
        }
        self.unknown.truncate(first_unknown);
        Ok(())
    }
}
