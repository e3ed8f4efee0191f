//! Outlines: the wire bytes that views read of JSON which is passed on as it is.
//!
//! Of data only the first bytes are in an outline, so that a picture is checked but neither decoded nor copied. In a
//! request, upstream decides about every member that validation does not read.

use super::super::error::{Error, Problem};
use super::super::schema::{Field, Shape};
use super::super::string::Str;
use super::anomalies::State;
use super::capacity::MAX_UNCHECKED_JSON_BYTES;
use super::{Decoder, Outcome, Tolerance};

/// A text in a member that the contract does not have is cut to this many bytes in an outline: it may be data of a new
/// kind, and views read only short texts there.
const KEPT_UNKNOWN_BYTES: usize = 256;

/// The memory of an outline.
pub(super) struct Outline<'j> {
    reserve: &'j mut dyn FnMut(usize) -> bool,
    /// The most elements of lists and entries of maps.
    max_elements: usize,
    /// Whether the member that is being read is not in the contract.
    is_in_unknown: bool,
}

impl Outline<'_> {
    /// Reserves this many bytes in all.
    pub(super) fn reserve(&mut self, bytes: usize) -> Result<(), Error> {
        if (self.reserve)(bytes) { Ok(()) } else { Err(Problem::NoMemory.into()) }
    }
}

impl<'j> Decoder<'j, '_> {
    /// Writes an outline. Before the output grows beyond a few KiB, `reserve` is called with its new size; the work ends
    /// if it returns false.
    pub(in crate::gemini::json) fn for_outline(mut self, reserve: &'j mut dyn FnMut(usize) -> bool) -> Self {
        self.max_free_growth = MAX_UNCHECKED_JSON_BYTES;
        self.outline = Some(Outline { reserve, max_elements: usize::MAX, is_in_unknown: false });
        self
    }

    /// Reads the JSON as a request of at most this many elements.
    pub(in crate::gemini::json) fn for_request(mut self, max_elements: usize) -> Self {
        self.tolerance = Tolerance::Request;
        self.repairs.replaces_halves = true;
        self.elements_left = max_elements;
        if let Some(outline) = &mut self.outline {
            outline.max_elements = max_elements;
        }
        self
    }

    pub(super) fn set_is_in_unknown(&mut self, is_in_unknown: bool) {
        if let Some(outline) = &mut self.outline {
            outline.is_in_unknown = is_in_unknown;
        }
    }

    /// The beginning of a text if nothing reads the rest of it.
    pub(super) fn only_beginning(&mut self, text: Str<'j>) -> Result<Option<&'j str>, Error> {
        let is_in_unknown = self.outline.as_ref().is_some_and(|outline| outline.is_in_unknown);
        if text.raw.len() <= KEPT_UNKNOWN_BYTES || text.escaped || !is_in_unknown {
            return Ok(None);
        }
        let whole = text.utf8(self.json.steps())?;
        let end = |whole: &str| (0..=KEPT_UNKNOWN_BYTES).rev().find(|end| whole.is_char_boundary(*end)).unwrap_or(0);
        Ok(whole.map(|whole| &whole[..end(whole)]))
    }

    #[cold]
    pub(super) fn too_many_elements(&self) -> Error {
        Problem::TooManyElements(self.outline.as_ref().map_or(usize::MAX, |outline| outline.max_elements)).into()
    }

    /// Reads the member that begins at `start` again if `error` is that its value is not a list: Gemini takes a value
    /// in the place of a list for the only element (its documentation has `"contents": {"parts": {"text": "..."}}`).
    pub(super) fn only_element(
        &mut self,
        error: &Error,
        field: &'static Field,
        start: usize,
        state: State,
    ) -> Option<Result<Outcome, Error>> {
        let is_list = self.tolerance == Tolerance::Request && field.shape == Shape::Repeated;
        if !is_list || !matches!(error.problem(), Problem::Expected(_)) {
            return None;
        }
        self.rewind(state);
        match self.seek_value(start).and_then(|()| self.json.peek()) {
            Ok(b'[') => None,
            Ok(_) if field.kind.is_packable() => {
                self.writer.open_field(field.number);
                let read = self.number(field.kind, None, true);
                self.writer.close_field();
                Some(read)
            }
            Ok(_) => Some(self.element(field)),
            Err(error) => Some(Err(error)),
        }
    }
}
