//! Faults of a response that do not make it fail: sidecars that cannot be read, and texts that are not valid Unicode.
//! Also collects the names of members that the schema does not know.

use super::super::error::{Error, Problem};
use super::super::schema::{Field, Kind, Message, Role};
use super::{Decoder, Outcome, Tolerance};
use crate::gemini::wire::OutputPosition;

/// At most this many different anomalies of one response are kept.
const MAX_ANOMALIES: usize = 16;

/// At most this many unknown members of one response are reported by name.
const MAX_REPORTED_NAMES: usize = 16;
/// A longer name is not reported, in bytes: a useful name is a word.
const MAX_REPORTED_NAME_BYTES: usize = 64;

/// The JSON name under which anomalies among the unknown members are noted.
pub(super) const ADDITIONAL: &str = "additionalFields";
/// What is wrong with a text that was repaired.
const NOT_UNICODE: &str = "a text is not valid UTF-8 or UTF-16";

/// The kind of an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnomalyKind {
    /// Its value does not fit the contract. It was kept in `additional_fields`, or dropped if those cannot contain it
    /// either.
    Unreadable,
    /// Its text was not valid UTF-8 or UTF-16. U+FFFD replaces what is not a character.
    Repaired,
}

impl AnomalyKind {
    /// The value of the log attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Repaired => "repaired",
        }
    }
}

/// A fault of a response that did not make it fail. It contains names but never values, which may be private.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    pub kind: AnomalyKind,
    /// The name of the message without its package: `UsageMetadata`.
    pub message: &'static str,
    /// The JSON name of the member: `promptTokenCount`.
    pub member: &'static str,
    /// What was wrong the first time, with its path inside the message: `safety_ratings[0]: an object was expected`.
    pub first: String,
    /// How often it occurred in the response.
    pub count: u64,
}

/// What the decoder goes back to when a member cannot be read.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub(super) output: OutputPosition,
    depth: usize,
    pub(super) unknown: usize,
}

impl Anomaly {
    /// Message and member: `UsageMetadata.promptTokenCount`. Only names of the contract, so it can be a metric label.
    pub fn name(&self) -> String {
        format!("{}.{}", self.message, self.member)
    }
}

impl Decoder<'_, '_> {
    #[inline(always)]
    pub(super) fn state(&self) -> State {
        State { output: self.writer.position(), depth: self.depth, unknown: self.unknown.len() }
    }

    /// Undoes what was read since `state`, except for the anomalies. The JSON position is left to the caller.
    pub(super) fn rewind(&mut self, state: State) {
        self.writer.rewind(state.output);
        self.depth = state.depth;
        self.unknown.truncate(state.unknown);
        self.repairs.count = 0;
        self.repairs.joins = false;
    }

    /// Whether reading may continue after this error. Never after an interruption.
    pub(super) fn may_recover(&self, error: &Error) -> bool {
        match self.tolerance {
            Tolerance::None => false,
            Tolerance::Request => error.problem().is_about_value(),
            Tolerance::Response => error.problem() != Problem::Interrupted,
        }
    }

    /// Whether a message may be read without this member.
    fn is_dispensable(&self, field: &Field) -> bool {
        match self.tolerance {
            Tolerance::Request => !field.is_validated,
            _ => field.role == Role::Sidecar,
        }
    }

    /// Skips a member that cannot be read and is dispensable; it began at `start`. For any other member, returns the
    /// error. A member of a request that is a list may also be its only element.
    pub(super) fn recover(
        &mut self,
        error: Error,
        (message, field): (&'static Message, &'static Field),
        start: usize,
        state: State,
    ) -> Result<Outcome, Error> {
        // Reading may go back to the beginning of a member that is around this one.
        let error = if self.tolerance == Tolerance::Request { error.at_offset(self.offset()) } else { error };
        let error = match self.only_element(&error, field, start, state) {
            Some(Ok(outcome)) => return Ok(outcome),
            Some(Err(error)) => error,
            None => error,
        };
        let error = error.in_field(field.name);
        if !self.is_dispensable(field) || !self.may_recover(&error) {
            return Err(error);
        }
        self.rewind(state);
        self.seek_value(start)?;
        self.json.skip_value()?;
        self.note(AnomalyKind::Unreadable, message, field.json_name, 1, || error.to_string());
        Ok(Outcome::Unreadable)
    }

    /// Moves to the value of the member that begins at `start`.
    pub(super) fn seek_value(&mut self, start: usize) -> Result<(), Error> {
        self.json.seek(start);
        self.json.string()?;
        self.json.expect(b':')
    }

    /// Notes that texts of a member were repaired.
    pub(super) fn note_repairs(&mut self, message: &'static Message, member: &'static str) {
        let count = std::mem::take(&mut self.repairs.count).into();
        self.note(AnomalyKind::Repaired, message, member, count, || format!("{member}: {NOT_UNICODE}"));
    }

    /// Notes that an unknown member was dropped.
    pub(super) fn note_dropped(&mut self, message: &'static Message, error: &Error) {
        self.note(AnomalyKind::Unreadable, message, ADDITIONAL, 1, || format!("additional_fields{error}"));
    }

    fn note(
        &mut self,
        kind: AnomalyKind,
        message: &Message,
        member: &'static str,
        count: u64,
        first: impl Fn() -> String,
    ) {
        let is_same = |known: &&mut Anomaly| (known.kind, known.message, known.member) == (kind, message.name, member);
        if let Some(known) = self.anomalies.iter_mut().find(is_same) {
            known.count += count;
        } else if self.anomalies.len() < MAX_ANOMALIES {
            self.anomalies.push(Anomaly { kind, message: message.name, member, first: first(), count });
        }
    }

    /// Collects the names of the unknown members of a message, which are those from `first_unknown` on.
    pub(super) fn report_unknown(&mut self, message: &Message, first_unknown: usize) -> Result<(), Error> {
        let end = self.json.position();
        for index in first_unknown..self.unknown.len() {
            if self.reported.len() == MAX_REPORTED_NAMES {
                break;
            }
            self.json.seek(self.unknown[index] as usize);
            self.json.steps().take(1)?;
            let name = self.json.string()?;
            // A known member is here for one of two reasons: a new enum name, which is reported, or a sidecar that
            // cannot be read, which is an anomaly already.
            let field = message.member(name.raw).map(|index| &message.fields[index]);
            let is_unreadable = field.is_some_and(|field| !matches!(field.kind, Kind::Enum(_)));
            if name.raw.len() <= MAX_REPORTED_NAME_BYTES && !is_unreadable {
                let name = name.text(self.json.steps(), &mut self.repairs)?;
                self.reported.push(self.redact_name(name));
            }
        }
        self.json.seek(end);
        Ok(())
    }
}
