//! Checks and translates messages: short work in the task of the call, long work on threads of its own.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;

use super::call::{Call, reserve};
use super::callers::{Admitted, KeyOwner};
use super::config::Config;
use super::error::Error;
use super::fallback::Models;
use super::format::{Format, Piece, Prepared, Stop};
use super::heavy::Heavy;
use crate::gemini::method::Method;
use crate::gemini::model::ModelName;
use crate::gemini::steps::Steps;
use crate::memory::Reservation;
use crate::telemetry::ModelRequest;
use crate::upstream::{self, ApiKey};

/// The most steps of work that is done on the worker: one or two milliseconds. An image of 10 MiB takes fewer. Work
/// that takes more steps begins again on another thread.
const MAX_WORKER_STEPS: u64 = 50_000;

/// The usual limit of the outline of a response, in bytes. Only very long texts exceed it; pictures are not in it.
const OUTLINE_BYTES: usize = 256 << 10;

/// JSON from this length on, in bytes, is read on another thread at once: it takes more than [`MAX_WORKER_STEPS`].
const LONG_JSON_BYTES: usize = 6 << 20;

/// A request that is to be checked and translated, on any thread.
struct Preparation {
    format: Format,
    method: Method,
    request: Bytes,
    config: Arc<Config>,
    admitted: Admitted,
    reserved: Reservation,
    /// Known once the request was validated.
    model: Option<ModelName>,
}

/// Checks a request and turns it into JSON. The request is dropped then: a response may take minutes, and an image is
/// large.
pub(super) async fn prepare(
    call: &mut Call,
    heavy: &Heavy,
    request: Bytes,
    method: Method,
) -> Result<(Models, Bytes), Error> {
    let (config, admitted, reserved) = (call.config.clone(), call.admitted.clone(), call.reserved.take());
    let mut work = Preparation {
        format: call.format.clone(),
        method,
        request: request.clone(),
        config,
        admitted,
        reserved,
        model: None,
    };
    let at_once = work.run(&mut steps_on_worker(&call.format, request.len()));
    let (prepared, work) = match at_once {
        Err(Stop::Interrupted) => {
            let run = heavy.run(move |steps| (work.run(steps), work));
            call.timer.within_limits(pin!(run)).await??
        }
        done => (done, work),
    };
    call.reserved = work.reserved;
    if let (Err(Stop::Failed(Error::Caller(_))), Some(model)) = (&prepared, &work.model) {
        call.accounting.span.refused_model(model.shared());
    }
    let Prepared { model, json, unknown_fields, outline, config, estimate, fallbacks } =
        prepared.map_err(Stop::into_error)?;
    if unknown_fields > 0 {
        call.accounting.span.unknown_fields(unknown_fields);
    }
    let wire = outline.as_deref().unwrap_or(&request);
    let asked = ModelRequest { model: model.shared(), method, request: wire, config: config.as_ref() };
    call.accounting.begin(&asked, estimate, call.config.catalog.prices(model.as_str()));
    drop((request, outline));
    call.reserved.resize(json.len());
    Ok((Models { asked: model, fallbacks }, json))
}

impl Preparation {
    fn run(&mut self, steps: &mut Steps<'_>) -> Result<Prepared, Stop<Error>> {
        let caller = self.admitted.caller.as_ref().map(|caller| &caller.name);
        let mut reserve = |more: usize| reserve(&mut self.reserved, self.request.len() + more, caller);
        let mut checked = self.format.check(self.method, &self.request, &self.config, &mut reserve, steps)?;
        let model = self.model.insert(checked.model().clone());
        let allows = |model: &ModelName| self.admitted.check_model(model, self.method, &self.config.catalog);
        allows(model).map_err(Error::Caller)?;
        checked.retain_fallbacks(|model| allows(model).is_ok());
        let length = checked.measure(steps)?;
        if let Some(json) = length {
            reserve(json)?;
        }
        let prepared = checked.translate(length, steps)?;
        // JSON of the caller is sent as it came, or was measured. Short messages were not.
        if length.is_none() && prepared.outline.is_none() {
            reserve(prepared.json.len())?;
        }
        Ok(prepared)
    }
}

/// The steps that work on a message of this length may take on the worker; 0 if they would not be enough anyway.
fn steps_on_worker(format: &Format, length: usize) -> Steps<'static> {
    let is_long = matches!(format, Format::Json { .. }) && length >= LONG_JSON_BYTES;
    Steps::at_most(if is_long { 0 } else { MAX_WORKER_STEPS })
}

/// How the response of a call is to be translated.
#[derive(Clone)]
pub(super) struct Reading {
    format: Format,
    /// The key that was sent to upstream, which must not reach the caller. `None` if none was sent, or not yet.
    key: Option<ApiKey>,
    owner: KeyOwner,
    method: Method,
}

impl Reading {
    pub(super) fn new(call: &Call, method: Method) -> Self {
        let Admitted { keys, owner, .. } = &call.admitted;
        Self { format: call.format.clone(), key: keys.only().cloned(), owner: *owner, method }
    }

    /// Sets the key that was sent, if it was chosen from a pool.
    pub(super) fn sent_with(&mut self, key: Option<&ApiKey>) {
        if let Some(key) = key {
            self.key = Some(key.clone());
        }
    }

    /// The bytes of memory for a response of this length and for what it is translated to.
    pub(super) fn memory(&self, response: usize) -> usize {
        match self.format {
            Format::Protobuf(_) => response * 2,
            Format::Json { .. } => response + response.min(OUTLINE_BYTES),
        }
    }

    fn translate(&self, text: &Bytes, steps: &mut Steps<'_>) -> Result<Piece, Stop<Error>> {
        self.format.answer(self.method, text, self.key.as_ref(), steps).map_err(|stop| match stop {
            Stop::Interrupted => Stop::Interrupted,
            Stop::Failed(error) => Stop::Failed(self.error(error)),
        })
    }

    /// An error of upstream, which depends on whose key was sent.
    pub(super) fn error(&self, error: upstream::Error) -> Error {
        Error::upstream(error, self.owner)
    }
}

/// Translates a response if that takes few steps.
pub(super) fn translate_at_once(text: &Bytes, reading: &Reading) -> Result<Piece, Stop<Error>> {
    reading.translate(text, &mut steps_on_worker(&reading.format, text.len()))
}

/// Translates a response that takes many steps, on another thread. It shares nothing with the call, which may end
/// before.
pub(super) async fn translate_on_another_thread(heavy: Heavy, text: Bytes, reading: Reading) -> Result<Piece, Error> {
    heavy.run(move |steps| reading.translate(&text, steps)).await?.map_err(Stop::into_error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::gemini::json::CallerSchema;

    #[test]
    fn a_long_error_in_place_of_a_response_is_read_on_another_thread() {
        let reading = Reading {
            format: Format::Protobuf(CallerSchema::Own),
            key: Some("AIza-one".parse().unwrap()),
            owner: KeyOwner::Caller,
            method: Method::ALL.iter().copied().find(|method| !method.is_streaming()).unwrap(),
        };
        for (length, at_once) in [(1_000, true), (100_000, false)] {
            // As a member that responses lack, and in one that no response can have.
            for rest in ["", r#","candidates":7"#] {
                let text = format!(r#"{{"error":{{"message":"{}"}}{rest}}}"#, "x".repeat(length));
                let ended = translate_at_once(&text.into(), &reading).err().unwrap();
                assert_eq!(matches!(ended, Stop::Failed(Error::Upstream(upstream::Error::Refused(_)))), at_once);
                assert_eq!(matches!(ended, Stop::Interrupted), !at_once);
            }
        }
    }
}
