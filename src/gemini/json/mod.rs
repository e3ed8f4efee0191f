//! Protobuf wire bytes to Gemini JSON and back, driven by the descriptors.
//!
//! There is no code for any one message, and no tree in between: one table, built once from the
//! descriptor set, drives both directions. Libraries were measured and not taken: they lose the order
//! of keys, print 5 as 5.0, refuse null, and copy a picture several times (docs/architecture.md).

mod decode;
mod encode;
mod error;
mod halves;
mod members;
mod output;
mod plain;
mod repairs;
mod roles;
mod scan;
mod table;
mod text;
mod time;
mod writer;

use std::sync::LazyLock;

use memchr::memmem::Finder;

pub use self::decode::{CallerSchema, Fault, Oddity};
pub use self::error::{Error, Problem};
pub use self::halves::Halves;

use self::decode::Decoder;
use self::encode::Encoder;
use self::output::{Length, Output};
use self::table::{ANSWER, Message, Table};
use crate::gemini::steps::Steps;
use crate::pb;

/// How deep a message may nest, counted in JSON objects and lists, in both directions. Protobuf's
/// own readers stop at 100 messages.
pub const MAX_DEPTH: usize = 100;

/// The number of `GenerateContentRequest.model`.
const MODEL: u32 = 1;

#[expect(
    clippy::expect_used,
    reason = "the descriptors are part of the program; every test fails if they are not readable"
)]
static TABLE: LazyLock<Table> = LazyLock::new(|| Table::new(&[pb::FILE_DESCRIPTOR_SET]).expect("embedded descriptors"));
static REQUEST: LazyLock<Option<&'static Message>> =
    LazyLock::new(|| TABLE.find("mountsea.gemini.v1.GenerateContentRequest"));
static RESPONSE: LazyLock<Option<&'static Message>> = LazyLock::new(|| TABLE.find(ANSWER));

/// A request as Gemini's REST API takes it.
#[derive(Debug)]
pub struct Request {
    /// The JSON body.
    pub json: Vec<u8>,
    /// How many fields on the wire the schema does not know; they cannot be sent on.
    pub unknown_fields: usize,
}

/// How many elements a request may have, unless it is configured.
pub const DEFAULT_MAX_ELEMENTS: usize = 100_000;

/// Of a message up to this length, in bytes, the length of the JSON is guessed and not measured.
const SMALL: usize = 64 << 10;

/// What a request may contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Elements of lists and entries of maps, all together: contents, parts, tools and so on. Those of free-form JSON
    /// (`Struct`, `Value`, `ListValue`) are not counted, as they are not much longer as JSON than on the wire.
    pub elements: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self { elements: DEFAULT_MAX_ELEMENTS }
    }
}

impl RequestLimits {
    const NONE: Self = Self { elements: usize::MAX };
}

/// The exact length, in bytes, of the JSON that [`request`] writes of these `parts`, found without writing it.
///
/// Fails as [`request`] does, except that it does not look whether texts are UTF-8.
pub fn measure(parts: &[&[u8]], limits: RequestLimits, steps: &mut Steps<'_>) -> Result<usize, Error> {
    Ok(encode_request(parts, Length::default(), limits, steps)?.0.len())
}

/// Writes a `GenerateContentRequest` as the JSON body of a REST call, without its `model`, which
/// belongs into the path. The `parts` are read as one message, so a field can be added by a second part; they must not overlap.
///
/// `capacity` is the length from [`measure`]. Without it a small message is written into a buffer that may grow, and a large
/// one is measured first. Memory beside `parts`: at most 8 times their bytes, and 8 MiB.
pub fn request(
    parts: &[&[u8]],
    limits: RequestLimits,
    capacity: Option<usize>,
    steps: &mut Steps<'_>,
) -> Result<Request, Error> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let capacity = match capacity {
        Some(capacity) => capacity,
        // Pictures grow by a third, texts by a few escapes, names by a few letters.
        None if length <= SMALL => length + length / 3 + 512,
        None => measure(parts, limits, steps)?,
    };
    let (json, unknown_fields) = encode_request(parts, Vec::with_capacity(capacity), limits, steps)?;
    Ok(Request { json, unknown_fields })
}

/// The JSON and the number of unknown fields.
fn encode_request<O: Output>(
    parts: &[&[u8]],
    out: O,
    limits: RequestLimits,
    steps: &mut Steps<'_>,
) -> Result<(O, usize), Error> {
    let message = known(*REQUEST)?;
    let mut encoder = Encoder::new(&TABLE, parts, out, limits, steps)?;
    // Every SDK writes `responseJsonSchema`, and relays do not know `_responseJsonSchema`.
    encoder.short_names = true;
    encoder.whole(message, message.field(MODEL))?;
    Ok((encoder.out, encoder.unknown))
}

/// An answer as callers of gRPC take it.
#[derive(Debug)]
pub struct Response {
    /// The wire bytes of a `GenerateContentResponse`.
    pub message: Vec<u8>,
    /// The names of some members that the schema does not know, as they came; all of them are kept in
    /// `additional_fields`.
    pub unknown_members: Vec<String>,
    /// What is odd in it and did not cost it.
    pub oddities: Vec<Oddity>,
}

/// One event of a streamed answer.
#[derive(Debug)]
pub struct Event {
    pub response: Response,
    /// Whether texts begin or end with the half of a character, which [`Halves`] has to join before the message is valid.
    pub has_halves: bool,
}

/// Reads the JSON of an answer into a `GenerateContentResponse`.
///
/// `secret` is a key that must not reach the caller: wherever a text or the name of a member contains it, `***` takes its
/// place. Bytes are not searched. Memory beside `json`: at most 8 times its bytes, and 8 MiB.
///
/// Fails only for JSON that is not well formed, and for content that is not what the contract has: candidates, contents,
/// parts and their data. Any other member that cannot be read is kept in `additional_fields`.
pub fn response(json: &[u8], secret: Option<&Finder<'_>>, steps: &mut Steps<'_>) -> Result<Response, Error> {
    let Event { mut response, has_halves } = event(json, secret, CallerSchema::Own, steps)?;
    if has_halves {
        Halves::default().join(&mut response, true, steps)?;
    }
    Ok(response)
}

/// Reads the JSON of an answer, or of one event of a stream, as [`response`] does, for a caller that has the
/// `schema`.
pub fn event(
    json: &[u8],
    secret: Option<&Finder<'_>>,
    schema: CallerSchema,
    steps: &mut Steps<'_>,
) -> Result<Event, Error> {
    // Names become tags: the wire form of a text is shorter than its JSON, and of a picture by a quarter.
    let out = Vec::with_capacity(json.len() / 4 * 3);
    let mut decoder = Decoder::new(&TABLE, json, out, secret, steps)?.for_response(schema);
    decoder.decode(known(*RESPONSE)?)?;
    let has_halves = decoder.has_halves();
    let (unknown_members, oddities) = (std::mem::take(&mut decoder.reported), std::mem::take(&mut decoder.oddities));
    Ok(Event { response: Response { message: decoder.into_wire(), unknown_members, oddities }, has_halves })
}

/// Writes any message that the service knows, by its full name, as JSON.
pub fn to_json(name: &str, wire: &[u8]) -> Result<Vec<u8>, Error> {
    let (parts, mut steps) = (&[wire][..], Steps::unlimited());
    let mut encoder = Encoder::new(&TABLE, parts, Vec::with_capacity(wire.len() * 2), RequestLimits::NONE, &mut steps)?;
    encoder.whole(known(TABLE.find(name))?, None)?;
    Ok(encoder.out)
}

/// Reads the JSON of any message that the service knows, by its full name.
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
#[allow(clippy::unwrap_used)]
mod tests;
