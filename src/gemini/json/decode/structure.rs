//! JSON without a schema: `Struct`, `Value` and `ListValue`, and the members that the schema does not know.

use super::super::error::{Error, Problem};
use super::super::scan::Str;
use super::super::schema::{ADDITIONAL_FIELDS, Message};
use super::Decoder;
use crate::gemini::wire::{WireType, put_tag};

impl<'j> Decoder<'j, '_> {
    /// The inside of a `google.protobuf.Struct`.
    pub(super) fn structure(&mut self) -> Result<(), Error> {
        self.descend()?;
        self.open(b'{', "an object")?;
        let mut more = !self.json.eat(b'}')?;
        let mut index = 0;
        while more {
            self.step()?;
            let key = self.json.string()?;
            self.json.expect(b':')?;
            self.entry(key).map_err(|e| e.at_index(index))?;
            index += 1;
            more = self.json.more(b'}')?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// An entry of a Struct; the value is read where the text stands.
    fn entry(&mut self, key: Str<'j>) -> Result<(), Error> {
        self.frames.open(1);
        self.string(1, key)?;
        self.frames.open(2);
        self.value()?;
        self.frames.close();
        self.frames.close();
        Ok(())
    }

    /// The inside of a `google.protobuf.ListValue`.
    pub(super) fn list_value(&mut self) -> Result<(), Error> {
        self.descend()?;
        self.open(b'[', "a list")?;
        let mut more = !self.json.eat(b']')?;
        let mut index = 0;
        while more {
            self.step()?;
            self.frames.open(1);
            self.value().map_err(|e| e.at_index(index))?;
            self.frames.close();
            index += 1;
            more = self.json.more(b']')?;
        }
        self.depth -= 1;
        Ok(())
    }

    /// The inside of a `google.protobuf.Value`: any JSON value.
    pub(super) fn value(&mut self) -> Result<(), Error> {
        match self.json.peek()? {
            b'n' => {
                self.json.word(b"null")?;
                put_tag(&mut self.frames.out, 1, WireType::Varint);
                self.frames.out.push(0);
            }
            b't' | b'f' => {
                let value = self.bool()?;
                put_tag(&mut self.frames.out, 4, WireType::Varint);
                self.frames.out.push(value.into());
            }
            b'"' => {
                let text = self.json.string()?;
                self.string(3, text)?;
            }
            b'{' => {
                self.frames.open(5);
                self.structure()?;
                self.frames.close();
            }
            b'[' => {
                self.frames.open(6);
                self.list_value()?;
                self.frames.close();
            }
            b'N' | b'I' | b'-' if let Some(word) = self.json.not_finite() => self.kept_number(word),
            b'-' | b'0'..=b'9' => {
                let text = self.json.number()?;
                match text.parse() {
                    Ok(value) if f64::is_finite(value) => {
                        put_tag(&mut self.frames.out, 2, WireType::Fixed64);
                        self.frames.out.extend_from_slice(&value.to_le_bytes());
                    }
                    Ok(_) if self.json.tolerant => self.kept_number(text),
                    _ => return Err(Problem::OutOfRange("a double").into()),
                }
            }
            _ => return Err(Problem::Syntax.into()),
        }
        Ok(())
    }

    /// Writes a number that no double can be as a text: JSON without a schema has no other form for it.
    fn kept_number(&mut self, number: &str) {
        self.repairs.count += 1;
        self.frames.sized(3, number.len());
        self.frames.out.extend_from_slice(number.as_bytes());
    }

    /// Writes the unknown members of a message, those since `mark`, as its `additional_fields`. Of an answer a member is
    /// left out that these cannot carry either, because it nests too deep for example.
    pub(super) fn additional(&mut self, message: &'static Message, mark: usize) -> Result<(), Error> {
        if message.additional.is_some() {
            let behind = self.json.at();
            let (empty, mut is_empty) = (self.state(), true);
            self.frames.open(ADDITIONAL_FIELDS);
            for index in mark..self.unknown.len() {
                self.json.seek(self.unknown[index] as usize);
                self.step()?;
                let before = self.state();
                let name = self.json.string()?;
                self.json.expect(b':')?;
                match self.entry(name).map_err(|e| e.at_index(index - mark)) {
                    Err(error) if self.may_recover(&error) => {
                        self.rewind(before);
                        self.note_dropped(message, &error);
                    }
                    done => {
                        done?;
                        is_empty = false;
                    }
                }
            }
            if is_empty {
                self.frames.rewind(empty.place);
            } else {
                self.frames.close();
            }
            self.json.seek(behind);
        }
        self.unknown.truncate(mark);
        Ok(())
    }
}
