//! From wire bytes to JSON on the way out, and back on the way in.
//!
//! Short work is done where the call is; long work beside the workers.

use std::pin::pin;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

use super::call::reserve;
use super::callers::Admitted;
use super::heavy::Heavy;
use super::{ApiKey, Call, Config, Error, KeyOwner};
use crate::gemini::error_body::{ErrorReply, MAX_ERROR_BODY_BYTES, is_error};
use crate::gemini::json::{self, CallerSchema, Problem, RequestLimits, SurrogateJoiner};
use crate::gemini::model::ModelName;
use crate::gemini::steps::Steps;
use crate::gemini::validate::{Options, ValidateError, validate};
use crate::gemini::view::{Estimate, GenerationConfigView, ReadError, RequestView, ResponseView};
use crate::memory::Held;
use crate::telemetry::Asked;
use crate::upstream::{self, Method};

/// Work of up to this many steps is done where the call is: one or two milliseconds. A picture of 10 MiB takes less. Work
/// that takes more steps begins again on another thread.
const STEPS_AT_ONCE: u64 = 50_000;
/// What each byte of an error in the place of an answer counts: keys are searched in it in all their forms.
const ERROR_STEPS_PER_BYTE: u64 = 2;

/// The JSON of a message up to this length is not measured before it is written, in bytes.
const UNMEASURED: usize = 16 << 10;

/// `generation_config { response_modalities: [TEXT, IMAGE] }` on the wire, to be read after the
/// request: a message field that comes twice is merged.
const TEXT_AND_IMAGE: &[u8] = &[0x22, 5, 0xa2, 1, 2, 1, 2];

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

/// A request that is to be checked and translated, on any thread.
struct Preparation {
    request: Bytes,
    config: Arc<Config>,
    admitted: Admitted,
    held: Held,
}

/// A request that was checked and translated.
struct Prepared {
    model: ModelName,
    json: json::Request,
    config: Option<GenerationConfigView<'static>>,
    /// What the request contains, for a charge without a report of upstream.
    estimate: Estimate,
}

/// Checks a request and turns it into JSON. It is not kept: an answer may take minutes, and a picture is large.
pub(super) async fn prepare(
    call: &mut Call,
    heavy: &Heavy,
    request: Bytes,
    method: Method,
) -> Result<(ModelName, Bytes), Error> {
    let (config, admitted, held) = (call.config.clone(), call.admitted.clone(), call.held.take());
    let mut work = Preparation { request: request.clone(), config, admitted, held };
    let at_once = work.run(&mut Steps::at_most(STEPS_AT_ONCE));
    let prepared = match at_once {
        Err(Stop::Interrupted) => {
            let run = heavy.run(move |steps| (work.run(steps), work.held));
            let (prepared, held) = call.watch.within_limits(pin!(run)).await??;
            call.held = held;
            prepared
        }
        done => {
            call.held = work.held;
            done
        }
    };
    let Prepared { model, json, config, estimate } = prepared.map_err(Stop::into_error)?;
    if json.unknown_fields > 0 {
        call.record.rpc.unknown_fields(json.unknown_fields);
    }
    let stream = method == Method::StreamGenerateContent;
    let asked = Asked { model: model.shared(), stream, request: &request, config: config.as_ref() };
    call.record.begin(&asked, estimate);
    drop(request);
    call.held.set(json.json.len());
    Ok((model, json.json.into()))
}

impl Preparation {
    fn run(&mut self, steps: &mut Steps<'_>) -> Result<Prepared, Stop<Error>> {
        let Config { catalog, image_default_modalities, max_elements, .. } = &*self.config;
        let request = &self.request[..];
        let view = match RequestView::read(request, steps) {
            Ok(view) => view,
            Err(error) => return Err(self.unreadable(error, steps)),
        };
        let options = Options { image_default_modalities: *image_default_modalities };
        let valid = match validate(&view, catalog, options, steps) {
            Ok(valid) => valid,
            Err(ValidateError::Violations(violations)) => return Err(Stop::Failed(Error::Invalid(violations))),
            Err(ValidateError::Read(error)) => return Err(self.unreadable(error, steps)),
        };
        self.admitted.allow(&valid.name).map_err(Error::Caller)?;
        let extra = if valid.default_modalities { TEXT_AND_IMAGE } else { &[] };
        let (parts, limits) = ([request, extra], RequestLimits { elements: *max_elements });
        let mut length = None;
        if request.len() > UNMEASURED {
            let json = json::measure(&parts, limits, steps).map_err(unwritten)?;
            reserve(&mut self.held, request.len() + json, self.admitted.caller.as_ref().map(|caller| &caller.name))?;
            length = Some(json);
        }
        let json = json::request(&parts, limits, length, steps).map_err(unwritten)?;
        let config = view.generation_config.as_ref().map(GenerationConfigView::without_texts);
        Ok(Prepared { model: valid.name, json, config, estimate: valid.estimate })
    }

    /// Why the request cannot be read: the translator says where the fault is.
    fn unreadable(&self, error: ReadError, steps: &mut Steps<'_>) -> Stop<Error> {
        if matches!(error, ReadError::Interrupted(_)) {
            return Stop::Interrupted;
        }
        let limits = RequestLimits { elements: self.config.max_elements };
        match json::measure(&[&self.request], limits, steps) {
            Err(error) => unwritten(error),
            Ok(_) => Stop::Failed(Error::NotARequest),
        }
    }
}

/// What the translator says of a request that it does not write.
fn unwritten(error: json::Error) -> Stop<Error> {
    match error.problem() {
        Problem::Interrupted => Stop::Interrupted,
        Problem::TooManyElements(limit) => Stop::Failed(Error::TooManyElements { limit }),
        _ => Stop::Failed(Error::Malformed(error)),
    }
}

impl Stop<Error> {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Failed(error) => error,
            // Only a call that is gone interrupts work that has no limit, and nobody is there to hear of it.
            Self::Interrupted => Error::Panicked,
        }
    }
}

/// One message of an answer.
pub(super) struct Translated {
    pub(super) response: json::Response,
    /// What the gateway watches of it.
    pub(super) view: ResponseView,
    /// Whether texts in it begin or end with half of a character.
    has_split_surrogates: bool,
}

/// How an answer is to be read.
#[derive(Clone)]
pub(super) struct Reading {
    /// The key that upstream was given, which must not reach the caller.
    key: ApiKey,
    owner: KeyOwner,
    schema: CallerSchema,
    /// Whether it is the whole answer, or an event of it.
    is_whole: bool,
}

impl Reading {
    pub(super) fn new(call: &Call, method: Method) -> Self {
        let Admitted { key, owner, .. } = &call.admitted;
        Self { key: key.clone(), owner: *owner, schema: call.schema, is_whole: method == Method::GenerateContent }
    }
}

impl Translated {
    /// Joins characters that were cut between two events of a stream.
    pub(super) fn join(&mut self, surrogates: &mut SurrogateJoiner) -> Result<(), Error> {
        if self.has_split_surrogates || surrogates.is_waiting() {
            let joined = surrogates.join(&mut self.response, false, &mut Steps::unlimited());
            joined.map_err(|error| Error::Upstream(upstream::Error::Unreadable(error)))?;
        }
        Ok(())
    }
}

/// Turns the JSON of an answer into a message, unless it is an error in disguise.
fn translate(text: &[u8], reading: &Reading, steps: &mut Steps<'_>) -> Result<Translated, Stop<upstream::Error>> {
    let key = &reading.key;
    let refused = |steps: &mut Steps<'_>| {
        if !is_error(text) {
            return Ok(None);
        }
        steps
            .take(text.len().min(MAX_ERROR_BODY_BYTES) as u64 * ERROR_STEPS_PER_BYTE)
            .map_err(|_| Stop::Interrupted)?;
        let (body, now, keys) = (text, SystemTime::now(), &[key.expose()][..]);
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
    let json::Event { mut response, has_split_surrogates } =
        json::event(text, Some(key.finder()), reading.schema, steps).map_err(|error| unreadable(error, steps))?;
    let view = match ResponseView::read(&response.message, steps) {
        Err(ReadError::Interrupted(_)) => return Err(Stop::Interrupted),
        read => read.unwrap_or_default(),
    };
    // `error` is no member of an answer, so it would be among the additional fields.
    if view.candidates == 0
        && view.has_additional_fields
        && let Some(error) = refused(steps)?
    {
        return Err(Stop::Failed(error));
    }
    if reading.is_whole {
        if !view.is_whole() {
            return Err(Stop::Failed(upstream::Error::Unfinished));
        }
        if has_split_surrogates {
            let joined = SurrogateJoiner::default().join(&mut response, true, steps);
            joined.map_err(|error| unreadable(error, steps))?;
        }
    }
    Ok(Translated { response, view, has_split_surrogates })
}

/// Translates an answer that takes little work.
pub(super) fn translate_at_once(text: &[u8], reading: &Reading) -> Result<Translated, Stop<Error>> {
    translate(text, reading, &mut Steps::at_most(STEPS_AT_ONCE)).map_err(|stop| stop.of(reading.owner))
}

/// Translates an answer that takes much, beside the workers. It needs nothing of the call, which may end meanwhile.
pub(super) async fn translate_beside(heavy: Heavy, text: Bytes, reading: Reading) -> Result<Translated, Error> {
    let owner = reading.owner;
    let translated = heavy.run(move |steps| translate(&text, &reading, steps)).await?;
    translated.map_err(|stop| stop.of(owner).into_error())
}

impl Stop<upstream::Error> {
    fn of(self, owner: KeyOwner) -> Stop<Error> {
        match self {
            Self::Interrupted => Stop::Interrupted,
            Self::Failed(error) => Stop::Failed(Error::upstream(error, owner)),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_long_error_in_the_place_of_an_answer_is_read_beside_the_workers() {
        let reading = Reading {
            key: "AIza-one".parse().unwrap(),
            owner: KeyOwner::Caller,
            schema: CallerSchema::Own,
            is_whole: true,
        };
        for (length, at_once) in [(1_000, true), (100_000, false)] {
            // As a member that answers lack, and in one that no answer can have.
            for rest in ["", r#","candidates":7"#] {
                let text = format!(r#"{{"error":{{"message":"{}"}}{rest}}}"#, "x".repeat(length));
                let ended = translate_at_once(text.as_bytes(), &reading).err().unwrap();
                assert_eq!(matches!(ended, Stop::Failed(Error::Upstream(upstream::Error::Refused(_)))), at_once);
                assert_eq!(matches!(ended, Stop::Interrupted), !at_once);
            }
        }
    }
}
