//! What is odd in an answer and does not cost it: members that the schema does not know, sidecars that cannot be read,
//! and texts that were repaired.

use super::super::error::{Error, Problem};
use super::super::frames::Place;
use super::super::schema::{Field, Kind, Message, Role};
use super::{Decoder, Seen};

/// At most this many kinds of oddities of one answer are kept.
const MAX_KINDS: usize = 16;

/// At most this many unknown members of one text are reported.
const MOST_REPORTED: usize = 16;
/// A longer name is not, in bytes: one that would be of use is a word.
const LONGEST_REPORTED: usize = 64;

/// What stands for the members that the schema does not know.
pub(super) const ADDITIONAL: &str = "additionalFields";
/// What is wrong with a text that was repaired.
const NOT_TEXT: &str = "a text is not valid UTF-8 or UTF-16";

/// What is odd about a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its value is not what the contract has. It was kept in `additional_fields`, or left out if these cannot carry it.
    Unreadable,
    /// Something in its text is no character; U+FFFD stands in its place.
    Repaired,
}

impl Fault {
    /// Its name in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Repaired => "repaired",
        }
    }
}

/// Something odd in an answer. It contains names and never values: those are somebody's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oddity {
    pub fault: Fault,
    /// The message, by its own name: `UsageMetadata`.
    pub message: &'static str,
    /// The member, by its JSON name: `promptTokenCount`.
    pub member: &'static str,
    /// What is wrong, and where below the message: `safety_ratings[0]: an object was expected`.
    pub first: String,
    /// How often it was met.
    pub count: u64,
}

/// Where the decoder is.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub(super) place: Place,
    depth: usize,
    pub(super) unknown: usize,
}

impl Oddity {
    /// Message and member: `UsageMetadata.promptTokenCount`. There are as many as the contract has.
    pub fn name(&self) -> String {
        format!("{}.{}", self.message, self.member)
    }
}

impl Decoder<'_, '_> {
    #[inline(always)]
    pub(super) fn state(&self) -> State {
        State { place: self.frames.place(), depth: self.depth, unknown: self.unknown.len() }
    }

    /// Forgets what was read since that state, but for the oddities.
    pub(super) fn rewind(&mut self, state: State) {
        self.frames.rewind(state.place);
        self.depth = state.depth;
        self.unknown.truncate(state.unknown);
        self.repairs.count = 0;
        self.repairs.joins = false;
    }

    /// Whether reading may go on after this error.
    pub(super) fn may_recover(&self, error: &Error) -> bool {
        self.json.tolerant && error.problem() != Problem::Interrupted
    }

    /// Skips a sidecar that cannot be read; it began at `start`. The error of any other member is returned.
    pub(super) fn recover(
        &mut self,
        error: Error,
        (message, field): (&'static Message, &'static Field),
        start: usize,
        state: State,
    ) -> Result<Seen, Error> {
        let error = error.in_field(field.name);
        if field.role != Role::Sidecar || !self.may_recover(&error) {
            return Err(error);
        }
        self.rewind(state);
        self.json.seek(start);
        self.json.string()?;
        self.json.expect(b':')?;
        self.json.skip()?;
        self.note(Fault::Unreadable, message, field.json_name, 1, || error.to_string());
        Ok(Seen::Unreadable)
    }

    /// Notes that texts in a member were repaired.
    pub(super) fn note_repairs(&mut self, message: &'static Message, member: &'static str) {
        let count = std::mem::take(&mut self.repairs.count).into();
        self.note(Fault::Repaired, message, member, count, || format!("{member}: {NOT_TEXT}"));
    }

    /// Notes an oddity among the members that the schema does not know.
    pub(super) fn note_dropped(&mut self, message: &'static Message, error: &Error) {
        self.note(Fault::Unreadable, message, ADDITIONAL, 1, || format!("additional_fields{error}"));
    }

    fn note(&mut self, fault: Fault, message: &Message, member: &'static str, count: u64, first: impl Fn() -> String) {
        let is_it = |known: &&mut Oddity| (known.fault, known.message, known.member) == (fault, message.name, member);
        if let Some(known) = self.oddities.iter_mut().find(is_it) {
            known.count += count;
        } else if self.oddities.len() < MAX_KINDS {
            self.oddities.push(Oddity { fault, message: message.name, member, first: first(), count });
        }
    }

    /// Notes the names of the unknown members of a message. A sidecar that cannot be read has its own note.
    pub(super) fn report(&mut self, message: &Message, mark: usize) -> Result<(), Error> {
        let behind = self.json.at();
        for index in mark..self.unknown.len() {
            if self.reported.len() == MOST_REPORTED {
                break;
            }
            self.json.seek(self.unknown[index] as usize);
            self.json.steps().take(1)?;
            let name = self.json.string()?;
            let is_known = message.member(name.raw).map(|index| &message.fields[index]);
            let is_unreadable = is_known.is_some_and(|field| !matches!(field.kind, Kind::Enum(_)));
            if name.raw.len() <= LONGEST_REPORTED && !is_unreadable {
                let name = name.text(self.json.steps(), &mut self.repairs)?;
                self.reported.push(self.without_secret(name));
            }
        }
        self.json.seek(behind);
        Ok(())
    }
}
