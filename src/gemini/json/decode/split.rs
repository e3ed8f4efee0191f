//! Splits a part that has several members of the oneof `data` into several parts: the contract allows one member.
//!
//! Upstreams put an empty text into the part of a function call, and sometimes a real one (`{"text":"…","functionCall":{…}}`).

use super::super::error::{Error, Problem};
use super::super::roles::DATA_ONEOF;
use super::super::schema::{Field, Kind, Message, Role};
use super::anomalies::State;
use super::{Decoder, Outcome};

/// The members of `data` that a part has.
#[derive(Default)]
struct Data {
    /// The indexes of their fields, in the order of the JSON.
    members: Vec<usize>,
    /// The index of the text, if it is empty.
    empty_text: Option<usize>,
}

/// Which members of a part to read into one of the new parts.
pub(super) struct Chosen {
    /// The index of the one member of `data`.
    data: usize,
    /// Whether to read the members that are not in `data` as well.
    with_others: bool,
}

impl Chosen {
    /// Whether to read the member with this field index; `None` is a member that the schema does not know.
    pub(super) fn contains(&self, message: &Message, index: Option<usize>) -> bool {
        match index {
            Some(index) if is_data(message, index) => index == self.data,
            _ => self.with_others,
        }
    }
}

impl Decoder<'_, '_> {
    /// Handles the `error` of a list element: if the element is a part with several members of `data`, reads it again,
    /// once for each of them, into parts of their own. An empty text is dropped. The other members, such as a thought
    /// signature, go to the first part that is not a text.
    #[cold]
    pub(super) fn split(
        &mut self,
        field: &'static Field,
        start: usize,
        state: State,
        error: Error,
    ) -> Result<Outcome, Error> {
        let Kind::Message(index) = field.kind else { return Err(error) };
        let message = self.table.message(index);
        if !self.may_recover(&error) || !matches!(error.problem(), Problem::Oneof(DATA_ONEOF)) {
            return Err(error);
        }
        self.rewind(state);
        self.json.seek(start);
        let mut data = self.find_data(message)?;
        let end = self.json.position();
        if data.members.len() < 2 {
            return Err(error);
        }
        data.members.retain(|index| Some(*index) != data.empty_text);
        let is_text = |index: &usize| message.fields[*index].role == Role::Text;
        let owner_of_others = data.members.iter().copied().find(|index| !is_text(index));
        for member in data.members {
            self.json.seek(start);
            self.writer.open_field(field.number);
            self.object(message, Some(&Chosen { data: member, with_others: Some(member) == owner_of_others }))?;
            self.writer.close_field();
        }
        self.json.seek(end);
        Ok(Outcome::Written)
    }

    /// Finds the members of `data` in an object, and consumes the object.
    fn find_data(&mut self, message: &'static Message) -> Result<Data, Error> {
        let mut data = Data::default();
        self.expect_open(b'{', "an object")?;
        let mut more = !self.json.eat(b'}')?;
        while more {
            self.step()?;
            self.json.peek()?;
            let name = self.name(message, &message.first)?;
            let start = self.json.position();
            match name.filter(|index| is_data(message, *index)) {
                Some(index) if !self.json.eat_null()? => {
                    if data.members.contains(&index) {
                        return Err(Error::from(Problem::Duplicate).in_field(message.fields[index].name));
                    }
                    data.members.push(index);
                    if message.fields[index].role == Role::Text && self.json.peek()? == b'"' {
                        let is_empty = self.json.string()?.raw.is_empty();
                        data.empty_text = Some(index).filter(|_| is_empty);
                    } else {
                        self.json.seek(start);
                        self.json.skip_value()?;
                    }
                }
                Some(_) => {}
                None => self.json.skip_value()?,
            }
            more = self.json.has_next(b'}')?;
        }
        Ok(data)
    }
}

fn is_data(message: &Message, index: usize) -> bool {
    let oneof = message.fields[index].oneof.and_then(|oneof| message.oneofs.get(usize::from(oneof)));
    oneof == Some(&DATA_ONEOF)
}
