//! Translates protobuf wire bytes to Gemini's JSON and back, driven by the descriptors. For JSON that is passed on
//! unchanged, it makes an outline: the wire bytes that views read.
//!
//! There is no code for single messages and no tree in between: one table, built from the descriptor set, drives both
//! directions. Existing libraries were measured and not used: they lose the order of keys, print 5 as 5.0, refuse null,
//! and copy a picture several times (docs/architecture.md).

mod decode;
mod encode;
mod error;
mod escape;
mod members;
mod output;
mod plain;
mod redact;
mod repairs;
mod roles;
mod scan;
mod schema;
mod splice;
mod string;
mod surrogates;
mod table;
mod text;
mod time;

use std::sync::LazyLock;

use memchr::memmem::Finder;

pub use self::decode::{Anomaly, AnomalyKind, CallerSchema};
pub use self::error::{Error, Problem};
pub use self::splice::{ADDED_BYTES, with_modalities, without_model};
pub use self::surrogates::SurrogateJoiner;

use self::decode::{Decoder, first_capacity};
use self::encode::Encoder;
use self::output::{Length, Output};
use self::redact::redact;
use self::schema::Message;
use self::table::Table;
use crate::gemini::method::Method;
use crate::gemini::steps::Steps;
use crate::pb;

/// The deepest nesting of a message in JSON objects and lists, in both directions. Protobuf's own parsers stop at 100
/// messages.
pub const MAX_DEPTH: usize = 100;

/// The field number of `model`, which is the same in every request.
const MODEL_FIELD: u32 = 1;

#[expect(
    clippy::expect_used,
    reason = "the descriptors are part of the program; every test fails if they are not readable"
)]
static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(&[pb::FILE_DESCRIPTOR_SET]).expect("embedded descriptors"));

/// A request for Gemini's REST API.
#[derive(Debug)]
pub struct Request {
    /// The JSON body.
    pub json: Vec<u8>,
    /// The number of fields on the wire that the schema does not know. They have no name, so they cannot be sent.
    pub unknown_fields: usize,
}

/// The default limit of elements in a request.
pub const DEFAULT_MAX_ELEMENTS: usize = 100_000;

/// For a message up to this length, in bytes, the length of the JSON is estimated instead of measured.
const MAX_ESTIMATED_BYTES: usize = 64 << 10;

/// Limits on the content of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// The most elements of lists and entries of maps in total: contents, parts, tools and so on. Those of free-form
    /// JSON (`Struct`, `Value`, `ListValue`) are not counted, since they take little more space as JSON than on the
    /// wire.
    pub elements: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self { elements: DEFAULT_MAX_ELEMENTS }
    }
}

impl RequestLimits {
    const UNLIMITED: Self = Self { elements: usize::MAX };
}

/// The exact length, in bytes, of the JSON that [`request`] writes for these `parts`. Nothing is written.
///
/// # Errors
///
/// Those of [`request`], except that texts are not checked for UTF-8.
pub fn measure(method: Method, parts: &[&[u8]], limits: RequestLimits, steps: &mut Steps<'_>) -> Result<usize, Error> {
    Ok(encode_request(method, parts, Length::default(), limits, steps)?.0.len())
}

/// Writes a request of this method as the JSON body of a REST call. The `model` is left out, since REST has it in the
/// path.
///
/// The `parts` are concatenated to one message, so a second part can add a field. They must not overlap in memory.
///
/// `capacity` is the length from [`measure`]. Without it, a small message is written into a buffer that may grow, and a
/// large one is measured first. Memory in addition to `parts`: at most 8 times their bytes and 8 MiB.
///
/// # Errors
///
/// The bytes are not valid protobuf of this message, a limit is exceeded, a value has no JSON form, or the steps ran
/// out. The error has the path of the field.
pub fn request(
    method: Method,
    parts: &[&[u8]],
    limits: RequestLimits,
    capacity: Option<usize>,
    steps: &mut Steps<'_>,
) -> Result<Request, Error> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let capacity = match capacity {
        Some(capacity) => capacity,
        // Base64 makes pictures a third longer. Escapes in texts and names of members add a little.
        None if length <= MAX_ESTIMATED_BYTES => length + length / 3 + 512,
        None => measure(method, parts, limits, steps)?,
    };
    let (json, unknown_fields) = encode_request(method, parts, Vec::with_capacity(capacity), limits, steps)?;
    Ok(Request { json, unknown_fields })
}

/// Returns the output and the number of unknown fields.
fn encode_request<O: Output>(
    method: Method,
    parts: &[&[u8]],
    out: O,
    limits: RequestLimits,
    steps: &mut Steps<'_>,
) -> Result<(O, usize), Error> {
    let message = TABLE.request(method);
    let mut encoder = Encoder::new(&TABLE, parts, out, limits, steps)?;
    // All SDKs write `responseJsonSchema`; relays do not know `_responseJsonSchema`.
    encoder.use_short_keys = true;
    encoder.encode(message, message.field(MODEL_FIELD))?;
    Ok((encoder.out, encoder.unknown_fields))
}

/// The first capacity of an outline, in bytes: enough for most.
const OUTLINE_BYTES: usize = 2 << 10;

/// Checks the JSON of a request that is sent as it is, and returns its outline: the wire bytes that the views of a
/// request read. Of data (bytes fields) only the first bytes are in it.
///
/// Before the outline becomes longer than a few KiB, `reserve` is called with the bytes that it may take in all. Memory
/// in addition to `json`: at most 8 times its bytes and 8 MiB; pictures take none.
///
/// # Errors
///
/// The text is not valid JSON, a member that validation reads has another type than in the contract or is given twice,
/// a limit is exceeded, `reserve` returned false, or the steps ran out. The error has the path of the field, and the
/// offset in the JSON.
pub fn request_outline(
    method: Method,
    json: &[u8],
    limits: RequestLimits,
    reserve: &mut dyn FnMut(usize) -> bool,
    steps: &mut Steps<'_>,
) -> Result<Vec<u8>, Error> {
    let out = Vec::with_capacity(json.len().min(OUTLINE_BYTES));
    let decoder = Decoder::new(&TABLE, json, out, None, steps)?;
    let mut decoder = decoder.for_outline(reserve).for_request(limits.elements);
    match decoder.decode(TABLE.request(method)) {
        Ok(()) => Ok(decoder.into_wire()),
        Err(error) => Err(error.at_offset(decoder.offset())),
    }
}

/// A response for a gRPC caller.
#[derive(Debug)]
pub struct Response {
    /// The wire bytes.
    pub message: Vec<u8>,
    /// The names of some members that the schema does not know, for telemetry. All such members are kept in
    /// `additional_fields`.
    pub unknown_members: Vec<String>,
    /// The faults that did not make it fail.
    pub anomalies: Vec<Anomaly>,
}

/// One event of a streamed response.
#[derive(Debug)]
pub struct Event {
    pub response: Response,
    /// Whether a text begins or ends with half of a surrogate pair. [`SurrogateJoiner`] has to join it before the
    /// message is valid.
    pub has_split_surrogates: bool,
}

/// Reads the JSON of a complete response into a `GenerateContentResponse`.
///
/// `secret` is a key that must not reach the caller: `***` replaces it in every text and member name. Bytes fields are
/// not searched. Memory in addition to `json`: at most 8 times its bytes and 8 MiB.
///
/// # Errors
///
/// The JSON is not well formed; the content (candidates, contents, parts and their data) does not fit the contract; or
/// the steps ran out. Any other member that cannot be read is kept in `additional_fields`.
pub fn response(json: &[u8], secret: Option<&Finder<'_>>, steps: &mut Steps<'_>) -> Result<Response, Error> {
    let Event { mut response, has_split_surrogates } =
        event(Method::GenerateContent, json, secret, CallerSchema::Own, steps)?;
    if has_split_surrogates {
        SurrogateJoiner::default().join(&mut response, true, steps)?;
    }
    Ok(response)
}

/// Reads the JSON of a response of this method, or of one event of its stream, as [`response`] does, for a caller with
/// this `schema`. Surrogate pairs that were cut in two are left to [`SurrogateJoiner`], since the other half may be in
/// another event.
///
/// # Errors
///
/// Those of [`response`].
pub fn event(
    method: Method,
    json: &[u8],
    secret: Option<&Finder<'_>>,
    schema: CallerSchema,
    steps: &mut Steps<'_>,
) -> Result<Event, Error> {
    let out = Vec::with_capacity(first_capacity(json.len()));
    let mut decoder = Decoder::new(&TABLE, json, out, secret, steps)?.for_response(schema);
    decoder.decode(TABLE.response(method))?;
    Ok(decoder.into_event())
}

/// An event that is passed on as JSON.
#[derive(Debug)]
pub struct PassedEvent {
    /// Its outline: the wire bytes that the views of a response read. Of data only the first bytes are in it.
    pub event: Event,
    /// The text without the key; `None` if it does not contain the key.
    pub redacted: Option<Vec<u8>>,
}

/// Reads an event as [`event`] does, but to pass on its text. `***` replaces the key in every string of it.
///
/// # Errors
///
/// Those of [`response`].
pub fn passed_event(
    method: Method,
    json: &[u8],
    key: Option<&Finder<'_>>,
    steps: &mut Steps<'_>,
) -> Result<PassedEvent, Error> {
    let (event, has_escapes) = response_outline(method, json, steps)?;
    let redacted = key.map(|key| redact(json, key, has_escapes, steps)).transpose()?;
    match redacted.flatten() {
        None => Ok(PassedEvent { event, redacted: None }),
        Some(redacted) => {
            // Two outlines at a time could take too much memory.
            drop(event);
            let (event, _) = response_outline(method, &redacted, steps)?;
            Ok(PassedEvent { event, redacted: Some(redacted) })
        }
    }
}

/// The outline of a response, and whether there are escapes in its strings.
fn response_outline(method: Method, json: &[u8], steps: &mut Steps<'_>) -> Result<(Event, bool), Error> {
    let out = Vec::with_capacity(json.len().min(OUTLINE_BYTES));
    let mut reserve = |_| true;
    let decoder = Decoder::new(&TABLE, json, out, None, steps)?;
    let mut decoder = decoder.for_response(CallerSchema::Own).for_outline(&mut reserve);
    decoder.decode(TABLE.response(method))?;
    let has_escapes = decoder.has_escapes();
    Ok((decoder.into_event(), has_escapes))
}

/// Writes any message of the contract, given by its full name, as JSON.
///
/// # Errors
///
/// There is no such message, the bytes are not valid protobuf of it, or a value has no JSON form.
pub fn to_json(name: &str, wire: &[u8]) -> Result<Vec<u8>, Error> {
    let (parts, mut steps) = (&[wire][..], Steps::unlimited());
    let mut encoder =
        Encoder::new(&TABLE, parts, Vec::with_capacity(wire.len() * 2), RequestLimits::UNLIMITED, &mut steps)?;
    encoder.encode(known(TABLE.find(name))?, None)?;
    Ok(encoder.out)
}

/// Reads the JSON of any message of the contract, given by its full name. Without the tolerance of [`response`].
///
/// # Errors
///
/// There is no such message, or the JSON is not valid JSON of it.
pub fn to_wire(name: &str, json: &[u8]) -> Result<Vec<u8>, Error> {
    let mut steps = Steps::unlimited();
    let mut decoder = Decoder::new(&TABLE, json, Vec::new(), None, &mut steps)?;
    decoder.decode(known(TABLE.find(name))?)?;
    Ok(decoder.into_wire())
}

fn known(message: Option<&'static Message>) -> Result<&'static Message, Error> {
    message.ok_or(Error::from(Problem::UnknownMessage))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
