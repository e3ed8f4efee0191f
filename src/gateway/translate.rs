//! From wire bytes to JSON on the way out, and back on the way in.

use std::time::SystemTime;

use bytes::Bytes;

use super::{ApiKey, Call, Error};
use crate::gemini::error_body::{Reply, is_error};
use crate::gemini::json;
use crate::gemini::model::ModelName;
use crate::gemini::steps::Steps;
use crate::gemini::validate::{Options, ValidateError, validate};
use crate::gemini::view::{ReadError, RequestView, ResponseView};
use crate::telemetry::Asked;
use crate::upstream::{self, Method};

/// `generation_config { response_modalities: [TEXT, IMAGE] }` on the wire, to be read after the
/// request: a message field that comes twice is merged.
const TEXT_AND_IMAGE: &[u8] = &[0x22, 5, 0xa2, 1, 2, 1, 2];

/// Checks a request and turns it into JSON. It is not kept: an answer may take minutes, and a picture is large.
pub(super) fn prepare(call: &mut Call, request: Bytes, method: Method) -> Result<(ModelName, Bytes), Error> {
    let mut steps = Steps::unlimited();
    let unread = |_: ReadError| malformed(&request);
    let view = RequestView::read(&request, &mut steps).map_err(unread)?;
    let options = Options { image_default_modalities: call.config.image_default_modalities };
    let valid = validate(&view, &call.config.catalog, options, &mut steps).map_err(|error| match error {
        ValidateError::Violations(violations) => violations.into(),
        ValidateError::Read(error) => unread(error),
    })?;
    // Last of what needs no work: who is refused for a mistake has used nothing.
    call.record.caller = call.admitted.admit(&valid.name, std::time::Instant::now())?;
    let extra = if valid.default_modalities { TEXT_AND_IMAGE } else { &[] };
    let json::Request { json, unknown_fields } =
        json::request(&[&request, extra], json::RequestLimits::default(), None, &mut Steps::unlimited())
            .map_err(Error::Malformed)?;
    if unknown_fields > 0 {
        call.record.rpc.unknown_fields(unknown_fields);
    }
    call.held.set(json.len());
    let stream = method == Method::StreamGenerateContent;
    let (model, config) = (valid.name.shared(), view.generation_config.as_ref());
    call.record.begin(&Asked { model, stream, request: &request, config });
    Ok((valid.name, json.into()))
}

/// What is wrong with bytes that are not a request: the translator says where.
fn malformed(request: &[u8]) -> Error {
    match json::request(&[request], json::RequestLimits::default(), None, &mut Steps::unlimited()) {
        Err(error) => Error::Malformed(error),
        Ok(_) => Error::NotARequest,
    }
}

/// One message of an answer.
pub(super) struct Translated {
    pub(super) message: Vec<u8>,
    /// What the gateway watches of it.
    pub(super) view: ResponseView,
    /// Members that the contract does not have.
    pub(super) unknown_members: Vec<String>,
}

/// Turns the JSON of an answer into a message, unless it is an error in disguise.
pub(super) fn translate(text: &[u8], key: &ApiKey) -> Result<Translated, upstream::Error> {
    let refused = || {
        is_error(text).then(|| {
            let (body, now, keys) = (text, SystemTime::now(), &[key.expose()][..]);
            upstream::Error::refused(&Reply { status: 200, content_type: None, retry_after: None, body, now, keys })
        })
    };
    let json::Response { message, unknown_members } = json::response(text, None, &mut Steps::unlimited())
        .map_err(|error| refused().unwrap_or(upstream::Error::Unreadable(error)))?;
    let view = ResponseView::read(&message, &mut Steps::unlimited()).unwrap_or_default();
    // `error` is no member of an answer, so it would be among the additional fields.
    if view.candidates == 0
        && view.has_additional_fields
        && let Some(error) = refused()
    {
        return Err(error);
    }
    Ok(Translated { message, view, unknown_members })
}
