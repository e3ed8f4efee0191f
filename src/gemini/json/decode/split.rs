//! Parts of an answer that have several members of the oneof `data`, of which the contract allows one.
//!
//! Upstreams put an empty text beside a function call, and sometimes a real one (`{"text":"…","functionCall":{…}}`).

use super::super::error::{Error, Problem};
use super::super::roles::DATA;
use super::super::schema::{Field, Kind, Message, Role};
use super::oddities::State;
use super::{Decoder, Seen};

/// Which members of `data` a part has, by their fields' indexes and in the order of the JSON.
#[derive(Default)]
struct Data {
    members: Vec<usize>,
    /// The text, if it is empty.
    empty_text: Option<usize>,
}

/// The members of a part that go into one of several parts.
pub(super) struct Chosen {
    /// The one member of `data`, by its field's index.
    data: usize,
    /// Whether the members that are no data are among them.
    others: bool,
}

impl Chosen {
    /// Whether a member is among them, by the index of its field; `None` for one that the schema does not know.
    pub(super) fn contains(&self, message: &Message, index: Option<usize>) -> bool {
        match index {
            Some(index) if is_data(message, index) => index == self.data,
            _ => self.others,
        }
    }
}

impl Decoder<'_, '_> {
    /// Reads an element of a list again, after `error`, as one element for each member of its `data`. An empty text is
    /// dropped. The members that are no data stay with the first that is no text.
    #[cold]
    pub(super) fn split(
        &mut self,
        field: &'static Field,
        start: usize,
        state: State,
        error: Error,
    ) -> Result<Seen, Error> {
        let Kind::Message(index) = field.kind else { return Err(error) };
        let message = self.table.message(index);
        if !self.may_recover(&error) || !matches!(error.problem(), Problem::Oneof(DATA)) {
            return Err(error);
        }
        self.rewind(state);
        self.json.seek(start);
        let mut data = self.data_of(message)?;
        let behind = self.json.at();
        if data.members.len() < 2 {
            return Err(error);
        }
        data.members.retain(|index| Some(*index) != data.empty_text);
        let is_text = |index: &usize| message.fields[*index].role == Role::Text;
        let holder = data.members.iter().copied().find(|index| !is_text(index));
        for member in data.members {
            self.json.seek(start);
            self.frames.open(field.number);
            self.object(message, Some(&Chosen { data: member, others: Some(member) == holder }))?;
            self.frames.close();
        }
        self.json.seek(behind);
        Ok(Seen::Known)
    }

    /// Finds the members of `data` in an object, and moves behind it.
    fn data_of(&mut self, message: &'static Message) -> Result<Data, Error> {
        let mut data = Data::default();
        self.open(b'{', "an object")?;
        let mut more = !self.json.eat(b'}')?;
        while more {
            self.step()?;
            self.json.peek()?;
            let name = self.name(message, &message.first)?;
            let start = self.json.at();
            match name.filter(|index| is_data(message, *index)) {
                Some(index) if !self.json.null()? => {
                    if data.members.contains(&index) {
                        return Err(Error::from(Problem::Duplicate).in_field(message.fields[index].name));
                    }
                    data.members.push(index);
                    if message.fields[index].role == Role::Text && self.json.peek()? == b'"' {
                        let is_empty = self.json.string()?.raw.is_empty();
                        data.empty_text = Some(index).filter(|_| is_empty);
                    } else {
                        self.json.seek(start);
                        self.json.skip()?;
                    }
                }
                Some(_) => {}
                None => self.json.skip()?,
            }
            more = self.json.more(b'}')?;
        }
        Ok(data)
    }
}

fn is_data(message: &Message, index: usize) -> bool {
    let oneof = message.fields[index].oneof.and_then(|oneof| message.oneofs.get(usize::from(oneof)));
    oneof == Some(&DATA)
}
