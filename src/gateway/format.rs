//! How messages are encoded at the face, and the only place that translates them to and from upstream's JSON.
//!
//! Pure work, in steps: it can run on any thread, and be interrupted.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::config::Config;
use super::error::Error;
use super::payload::Payload;
use crate::gemini::error_body::{ErrorReply, MAX_ERROR_BODY_BYTES, is_error};
use crate::gemini::json::{self, CallerSchema, Problem, RequestLimits, SurrogateJoiner};
use crate::gemini::method::Method;
use crate::gemini::model::ModelName;
use crate::gemini::steps::Steps;
use crate::gemini::validate::{Options, Valid, ValidateError, validate, validate_models};
use crate::gemini::view::{Estimate, GenerationConfigView, ReadError, RequestView, ResponseView};
use crate::upstream::{self, ApiKey};

/// Messages up to this length, in bytes, are translated without measuring their JSON first: that takes as long as writing
/// it, and their JSON may be reserved afterwards.
const MAX_UNMEASURED_BYTES: usize = 64 << 10;
/// The steps that each byte counts of an error in the place of a response: keys are searched in it in all their forms.
const ERROR_STEPS_PER_BYTE: u64 = 2;

/// `generation_config { response_modalities: [TEXT, IMAGE] }` on the wire. It is read behind the request, because a
/// message field that occurs twice is merged.
const TEXT_AND_IMAGE: &[u8] = &[0x22, 5, 0xa2, 1, 2, 1, 2];

/// How the messages of a call are encoded at the face.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Protobuf, for a caller that has this schema.
    Protobuf(CallerSchema),
    /// Gemini's JSON, which is passed on as it is. In REST the model is in the path and not in the request, so the face
    /// gives it here: with or without `models/`, not validated.
    Json { model: Arc<str> },
}

/// Why work has no result.
pub(super) enum Stop<E> {
    /// It took more steps than it was given.
    Interrupted,
    Failed(E),
}

impl<E> From<E> for Stop<E> {
    fn from(error: E) -> Self {
        Self::Failed(error)
    }
}

impl Stop<Error> {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Failed(error) => error,
            // Work without a limit is interrupted only when its call was dropped, so no caller gets this error.
            Self::Interrupted => Error::Panicked,
        }
    }
}

/// A request that was read and keeps to the rules.
pub(super) struct Checked<'r> {
    source: Source<'r>,
    method: Method,
    limits: RequestLimits,
    model: ModelName,
    config: Option<GenerationConfigView<'static>>,
    estimate: Estimate,
    fallbacks: Option<Vec<ModelName>>,
}

/// A request as its caller sent it.
enum Source<'r> {
    /// The message, and what the gateway adds to it.
    Protobuf([&'r [u8]; 2]),
    Json {
        body: &'r Bytes,
        /// What the gateway reads of the request, as wire bytes.
        outline: Vec<u8>,
        edits: Edits,
    },
}

/// What the gateway changes in a request that is JSON.
#[derive(Clone, Copy, Debug, Default)]
struct Edits {
    /// TEXT and IMAGE have to be asked for in the caller's place.
    adds_modalities: bool,
    /// The request names the model of its path, and another one may answer it.
    removes_model: bool,
}

/// A request as upstream takes it.
pub(super) struct Prepared {
    pub(super) model: ModelName,
    pub(super) json: Bytes,
    /// The number of fields that could not be written as JSON, since the schema does not know them.
    pub(super) unknown_fields: usize,
    /// For a request that is JSON: what the gateway reads of it, as wire bytes.
    pub(super) outline: Option<Vec<u8>>,
    pub(super) config: Option<GenerationConfigView<'static>>,
    /// What the request contains, for a charge without a report of upstream.
    pub(super) estimate: Estimate,
    /// The models to try if this one refuses the call; `None` if the catalogue names none.
    pub(super) fallbacks: Option<Vec<ModelName>>,
}

/// One message of a response.
pub(super) struct Piece {
    /// Its wire bytes, and what was odd in it.
    pub(super) response: json::Response,
    /// The JSON that the face sends in the place of the wire bytes.
    json: Option<Bytes>,
    /// What the gateway reads of it.
    pub(super) view: ResponseView,
    /// Whether texts in it begin or end with half of a character.
    has_split_surrogates: bool,
}

impl Format {
    /// Reads and validates a request of this method. `reserve` is called with the bytes that reading it takes in
    /// addition to the request, before they are used.
    pub(super) fn check<'r>(
        &self,
        method: Method,
        request: &'r Bytes,
        config: &Config,
        reserve: &mut dyn FnMut(usize) -> Result<(), Error>,
        steps: &mut Steps<'_>,
    ) -> Result<Checked<'r>, Stop<Error>> {
        if !method.generates() {
            config.offers(method)?;
        }
        let limits = RequestLimits { elements: config.max_elements };
        let (path_model, outline) = match self {
            Self::Protobuf(_) => (None, None),
            Self::Json { model } => (Some(&**model), Some(outline(method, request, limits, reserve, steps)?)),
        };
        let wire = outline.as_deref().unwrap_or(request);
        let unreadable = |error, steps: &mut Steps<'_>| unreadable(method, wire, error, limits, steps);
        let invalid = |error, steps: &mut Steps<'_>| match error {
            ValidateError::Violations(violations) => Stop::Failed(Error::Invalid(violations)),
            ValidateError::Read(error) => unreadable(error, steps),
        };
        let (valid, view, names_model) = if method.generates() {
            let view = RequestView::read(wire, steps).map_err(|error| unreadable(error, steps))?;
            let options = Options { image_default_modalities: config.image_default_modalities, path_model };
            let valid = validate(&view, &config.catalog, options, steps).map_err(|error| invalid(error, steps))?;
            let config = view.generation_config.as_ref().map(GenerationConfigView::without_texts);
            (valid, config, !view.model.is_empty())
        } else {
            // It is no prompt: only its models are checked, and it is not expected to cost tokens.
            let name = validate_models(method, wire, path_model, steps).map_err(|error| invalid(error, steps))?;
            (Valid { name, default_modalities: false, estimate: Estimate::default(), fallbacks: None }, None, false)
        };
        let Valid { name, default_modalities, estimate, fallbacks } = valid;
        let source = match outline {
            None => Source::Protobuf([request, if default_modalities { TEXT_AND_IMAGE } else { &[] }]),
            Some(outline) => {
                let removes_model = names_model && fallbacks.as_ref().is_some_and(|models| !models.is_empty());
                let edits = Edits { adds_modalities: default_modalities, removes_model };
                Source::Json { body: request, outline, edits }
            }
        };
        Ok(Checked { source, method, limits, model: name, config: view, estimate, fallbacks })
    }

    /// Translates the JSON of a response, or of one event of a streaming one, unless it is an error in disguise. `key`
    /// was sent to upstream, if one was, and must not reach the caller.
    pub(super) fn answer(
        &self,
        method: Method,
        text: &Bytes,
        key: Option<&ApiKey>,
        steps: &mut Steps<'_>,
    ) -> Result<Piece, Stop<upstream::Error>> {
        let refused = |steps: &mut Steps<'_>| {
            if !is_error(text) {
                return Ok(None);
            }
            steps
                .take(text.len().min(MAX_ERROR_BODY_BYTES) as u64 * ERROR_STEPS_PER_BYTE)
                .map_err(|_| Stop::Interrupted)?;
            let (body, now) = (text, SystemTime::now());
            let keys = key.map(ApiKey::expose);
            let keys = keys.as_slice();
            let reply = ErrorReply { status: 200, content_type: None, retry_after: None, body, now, keys };
            Ok(Some(upstream::Error::refused(&reply)))
        };
        let unreadable = |error: json::Error, steps: &mut Steps<'_>| match error.problem() {
            Problem::Interrupted => Stop::Interrupted,
            _ => match refused(steps) {
                Ok(refused) => Stop::Failed(refused.unwrap_or(upstream::Error::Unreadable(error))),
                Err(stop) => stop,
            },
        };
        let read = match self {
            Self::Protobuf(schema) => {
                json::event(method, text, key.and_then(ApiKey::finder), *schema, steps).map(|event| (event, None))
            }
            Self::Json { .. } => json::passed_event(method, text, key.and_then(ApiKey::finder), steps)
                .map(|passed| (passed.event, Some(passed.redacted.map_or_else(|| text.clone(), Bytes::from)))),
        };
        let (event, json) = read.map_err(|error| unreadable(error, steps))?;
        let json::Event { mut response, has_split_surrogates } = event;
        let read = match method.generates() {
            true => ResponseView::read(&response.message, steps),
            false => ResponseView::read_other(&response.message, steps),
        };
        let view = match read {
            Err(ReadError::Interrupted(_)) => return Err(Stop::Interrupted),
            read => read.unwrap_or_default(),
        };
        // `error` is not a member of a response, so it would be among the additional fields.
        if view.candidates == 0
            && view.has_additional_fields
            && let Some(error) = refused(steps)?
        {
            return Err(Stop::Failed(error));
        }
        if !method.is_streaming() {
            check_whole(method, &view, &response, text).map_err(Stop::Failed)?;
            if has_split_surrogates {
                let joined = SurrogateJoiner::default().join(&mut response, true, steps);
                joined.map_err(|error| unreadable(error, steps))?;
            }
        }
        Ok(Piece { response, json, view, has_split_surrogates })
    }
}

impl Checked<'_> {
    pub(super) fn model(&self) -> &ModelName {
        &self.model
    }

    /// Keeps the fallback models for which this is true.
    pub(super) fn retain_fallbacks(&mut self, mut is_allowed: impl FnMut(&ModelName) -> bool) {
        self.fallbacks.iter_mut().for_each(|models| models.retain(&mut is_allowed));
    }

    /// The exact length of the JSON, in bytes; `None` for a request that is short, or is sent as it came.
    pub(super) fn measure(&self, steps: &mut Steps<'_>) -> Result<Option<usize>, Stop<Error>> {
        match &self.source {
            Source::Protobuf(parts) if parts[0].len() > MAX_UNMEASURED_BYTES => {
                json::measure(self.method, parts, self.limits, steps).map(Some).map_err(unwritten)
            }
            Source::Json { body, outline, edits } => Ok(match edits.copies() {
                0 => None,
                copies => Some(copies * (body.len() + json::ADDED_BYTES) + outline.capacity()),
            }),
            _ => Ok(None),
        }
    }

    /// Translates the request. `length` is what [`Checked::measure`] returned.
    pub(super) fn translate(self, length: Option<usize>, steps: &mut Steps<'_>) -> Result<Prepared, Stop<Error>> {
        let Self { source, method, limits, model, config, estimate, fallbacks } = self;
        let (json, unknown_fields, outline) = match source {
            Source::Protobuf(parts) => {
                let request = json::request(method, &parts, limits, length, steps).map_err(unwritten)?;
                (request.json.into(), request.unknown_fields, None)
            }
            Source::Json { body, outline, edits } => {
                let mut json = body.clone();
                if edits.removes_model {
                    json = json::without_model(method, &json, steps).map_err(unwritten)?.into();
                }
                if edits.adds_modalities {
                    json = json::with_modalities(method, &json, steps).map_err(unwritten)?.into();
                }
                (json, 0, Some(outline))
            }
        };
        Ok(Prepared { model, json, unknown_fields, outline, config, estimate, fallbacks })
    }
}

impl Edits {
    /// How many copies of the request are made.
    fn copies(self) -> usize {
        usize::from(self.adds_modalities) + usize::from(self.removes_model)
    }
}

impl Piece {
    /// The bytes that the face sends.
    pub(super) fn into_payload(self) -> Payload {
        match self.json {
            Some(json) => Payload::Shared(json),
            None => Payload::Own(self.response.message),
        }
    }

    /// Joins characters that were cut between two events of a stream.
    pub(super) fn join(&mut self, surrogates: &mut SurrogateJoiner) -> Result<(), Error> {
        if self.has_split_surrogates || surrogates.is_waiting() {
            let joined = surrogates.join(&mut self.response, false, &mut Steps::unlimited());
            joined.map_err(|error| Error::Upstream(upstream::Error::Unreadable(error)))?;
        }
        Ok(())
    }
}

/// Checks that a unary response has all that its caller expects.
fn check_whole(
    method: Method,
    view: &ResponseView,
    response: &json::Response,
    text: &[u8],
) -> Result<(), upstream::Error> {
    if method.generates() {
        return if view.is_whole() { Ok(()) } else { Err(upstream::Error::Unfinished) };
    }
    // A caller of CountTokens would read a count of 0 out of `{}`.
    let is_empty = response.message.is_empty() && !text.contains(&b'"');
    if is_empty { Err(upstream::Error::Empty { status: 200 }) } else { Ok(()) }
}

/// The outline of a request that is JSON.
fn outline(
    method: Method,
    request: &[u8],
    limits: RequestLimits,
    reserve: &mut dyn FnMut(usize) -> Result<(), Error>,
    steps: &mut Steps<'_>,
) -> Result<Vec<u8>, Stop<Error>> {
    let mut full = None;
    let mut reserve = |bytes| match reserve(bytes) {
        Ok(()) => true,
        Err(error) => {
            full = Some(error);
            false
        }
    };
    let outline = json::request_outline(method, request, limits, &mut reserve, steps);
    outline.map_err(|error| full.map_or_else(|| unwritten(error), Stop::Failed))
}

/// Why a request cannot be read. The translator finds where the fault is.
fn unreadable(
    method: Method,
    request: &[u8],
    error: ReadError,
    limits: RequestLimits,
    steps: &mut Steps<'_>,
) -> Stop<Error> {
    if matches!(error, ReadError::Interrupted(_)) {
        return Stop::Interrupted;
    }
    match json::measure(method, &[request], limits, steps) {
        Err(error) => unwritten(error),
        Ok(_) => Stop::Failed(Error::NotARequest { method: method.rpc() }),
    }
}

/// Why a request cannot be translated.
fn unwritten(error: json::Error) -> Stop<Error> {
    match error.problem() {
        Problem::Interrupted => Stop::Interrupted,
        Problem::TooManyElements(limit) => Stop::Failed(Error::TooManyElements { limit }),
        _ => Stop::Failed(Error::Malformed(error)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
