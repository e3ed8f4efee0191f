//! The view of a request, for validation.

use std::fmt;

use super::fields::{Elements, ReadError, bytes, last, next, text};
use super::numbers::{content, count_tokens, embedding, request};
use super::{Estimate, GenerationConfigView, PartView};
use crate::gemini::method::Method;
use crate::gemini::steps::Steps;
use crate::gemini::wire::{Raw, Reader};

/// The model that a request of any method names.
///
/// # Errors
///
/// The request cannot be read, or the steps ran out.
pub fn model<'w>(request: &'w [u8], steps: &mut Steps<'_>) -> Result<&'w str, ReadError> {
    let name = last(request, request::MODEL, steps)?;
    name.map_or(Ok(""), |name| text(Raw::Len(name), steps))
}

/// The requests inside a request of this method, each of which names a model as well, and the name of their field.
/// `None` if it has none.
pub(in crate::gemini) fn inner_requests(method: Method, request: &[u8]) -> Option<(&'static str, Elements<'_>)> {
    let (name, number) = match method {
        Method::CountTokens => ("generate_content_request", count_tokens::GENERATE_CONTENT_REQUEST),
        Method::BatchEmbedContents => ("requests", embedding::REQUESTS),
        _ => return None,
    };
    Some((name, Elements::new(request, number)))
}

/// A `GenerateContentRequest`. Its contents are not read here: validation iterates over them.
#[derive(Clone)]
pub struct RequestView<'w> {
    wire: &'w [u8],
    pub model: &'w str,
    pub generation_config: Option<GenerationConfigView<'w>>,
    outside_contents: Estimate,
    /// The number of parts of the system instruction.
    system_parts: usize,
    /// The index of the first part of the system instruction that has no data.
    pub(in crate::gemini) empty_system_part: Option<usize>,
}

impl<'w> RequestView<'w> {
    /// Reads the wire bytes of a request.
    ///
    /// # Errors
    ///
    /// The request cannot be read, or the steps ran out.
    pub fn read(wire: &'w [u8], steps: &mut Steps<'_>) -> Result<Self, ReadError> {
        let mut view = Self {
            wire,
            model: "",
            generation_config: None,
            outside_contents: Estimate::default(),
            system_parts: 0,
            empty_system_part: None,
        };
        let mut reader = Reader::new(wire);
        while let Some((number, value)) = next(&mut reader, steps)? {
            match number {
                request::MODEL => view.model = text(value, steps)?,
                request::GENERATION_CONFIG => {
                    view.generation_config.get_or_insert_default().merge(bytes(value)?, steps)?;
                }
                request::SYSTEM_INSTRUCTION => view.system_instruction(bytes(value)?, steps)?,
                // Function declarations are part of the prompt, so they are counted as text.
                request::TOOLS => view.outside_contents.text_bytes += bytes(value)?.len() as u64,
                _ => {}
            }
        }
        let schemas = view.generation_config.as_ref().map_or(0, |config| config.schema_bytes);
        view.outside_contents.text_bytes += schemas;
        Ok(view)
    }

    fn system_instruction(&mut self, content: &[u8], steps: &mut Steps<'_>) -> Result<(), ReadError> {
        let mut parts = Elements::new(content, content::PARTS);
        while let Some(part) = parts.next(steps)? {
            let part = PartView::read(part, steps)?;
            self.outside_contents += part.estimate();
            if part.is_empty() {
                self.empty_system_part.get_or_insert(self.system_parts);
            }
            self.system_parts += 1;
        }
        Ok(())
    }

    /// The text and images outside the contents: system instruction, tools and schemas.
    pub(in crate::gemini) fn outside_contents(&self) -> Estimate {
        self.outside_contents
    }

    /// The wire bytes of each content.
    pub(in crate::gemini) fn contents(&self) -> Elements<'w> {
        Elements::new(self.wire, request::CONTENTS)
    }

    /// The wire bytes of each part of a content.
    pub(in crate::gemini) fn parts(content: &'w [u8]) -> Elements<'w> {
        Elements::new(content, content::PARTS)
    }
}

/// Without the prompt, which is private.
impl fmt::Debug for RequestView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestView").field("bytes", &self.wire.len()).finish_non_exhaustive()
    }
}
