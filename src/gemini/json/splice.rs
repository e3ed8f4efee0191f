//! Adds the modalities of a picture to a request that is JSON, or removes the name of its model, and leaves all of its
//! other bytes as they are.

use super::error::{Error, Problem};
use super::repairs::Repairs;
use super::scan::Scanner;
use super::schema::{Kind, Message};
use super::{MODEL_FIELD, TABLE};
use crate::gemini::method::Method;
use crate::gemini::steps::Steps;

const CONFIG: &str = r#""generationConfig":{"#;
const MODALITIES: &str = r#""responseModalities":"#;
const TEXT_AND_IMAGE: &str = r#"["TEXT","IMAGE"]"#;

/// A request becomes longer by at most this many bytes.
pub const ADDED_BYTES: usize = CONFIG.len() + MODALITIES.len() + TEXT_AND_IMAGE.len() + 2;

/// The field numbers of `generation_config` in a request, and of `response_modalities` in it.
const CONFIG_FIELD: u32 = 4;
const MODALITIES_FIELD: u32 = 20;

/// The JSON of a request, which must be valid, with TEXT and IMAGE as its modalities. It must not name modalities; null
/// and an empty list name none.
///
/// # Errors
///
/// The JSON cannot be read, or the steps ran out.
pub fn with_modalities(method: Method, json: &[u8], steps: &mut Steps<'_>) -> Result<Vec<u8>, Error> {
    let mut scanner = Scanner::new(json, steps);
    let request = TABLE.request(method);
    let config = Object::read(&mut scanner, request, CONFIG_FIELD)?;
    let (at, end, text) = match &config.value {
        None => (config.start, config.start, config.with_comma(format!("{CONFIG}{MODALITIES}{TEXT_AND_IMAGE}}}"))),
        Some((start, end)) => {
            scanner.seek(*start);
            if scanner.eat_null()? {
                (*start, *end, format!("{{{MODALITIES}{TEXT_AND_IMAGE}}}"))
            } else {
                let inner = request.field(CONFIG_FIELD).map(|index| request.fields[index].kind);
                let Some(Kind::Message(inner)) = inner else { return Err(Problem::UnknownMessage.into()) };
                let object = Object::read(&mut scanner, TABLE.message(inner), MODALITIES_FIELD)?;
                match object.value {
                    Some((start, end)) => (start, end, TEXT_AND_IMAGE.to_owned()),
                    None => (object.start, object.start, object.with_comma(format!("{MODALITIES}{TEXT_AND_IMAGE}"))),
                }
            }
        }
    };
    scanner.steps().take_bytes(json.len())?;
    Ok(replaced(json, (at, end), &text))
}

/// The JSON of a request, which must be valid, without the name of its model.
///
/// # Errors
///
/// The JSON cannot be read, or the steps ran out.
pub fn without_model(method: Method, json: &[u8], steps: &mut Steps<'_>) -> Result<Vec<u8>, Error> {
    let mut scanner = Scanner::new(json, steps);
    let object = Object::read(&mut scanner, TABLE.request(method), MODEL_FIELD)?;
    scanner.steps().take_bytes(json.len())?;
    Ok(replaced(json, object.member.unwrap_or_default(), ""))
}

/// The JSON with other text between two offsets. A byte-order mark stays where it is; offsets count from behind it.
fn replaced(json: &[u8], (start, end): (usize, usize), text: &str) -> Vec<u8> {
    let mark = json.len() - json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json).len();
    let mut out = Vec::with_capacity(json.len() + text.len());
    out.extend_from_slice(&json[..mark + start]);
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(&json[mark + end..]);
    out
}

/// An object in the JSON, and where one of its members is.
struct Object {
    /// The offset behind its opening bracket.
    start: usize,
    is_empty: bool,
    /// Where the value of the member begins and ends.
    value: Option<(usize, usize)>,
    /// Where the member begins and ends, with the one comma that goes with it.
    member: Option<(usize, usize)>,
}

impl Object {
    /// Reads the object that comes next, and finds the member that is this field of `message`.
    fn read(scanner: &mut Scanner<'_, '_>, message: &Message, field: u32) -> Result<Self, Error> {
        scanner.expect(b'{')?;
        let start = scanner.position();
        let is_empty = scanner.eat(b'}')?;
        let (mut more, mut value, mut member) = (!is_empty, None, None);
        let (mut before, mut begun) = (start, start);
        while more {
            scanner.steps().take(1)?;
            let name = scanner.string()?;
            // Half of a surrogate pair is no reason to refuse a request: its reader replaces it, too.
            let mut repairs = Repairs { replaces_halves: true, ..Repairs::default() };
            let name = name.text(scanner.steps(), &mut repairs)?;
            scanner.expect(b':')?;
            scanner.peek()?;
            let at = scanner.position();
            scanner.skip_value()?;
            let end = scanner.position();
            more = scanner.has_next(b'}')?;
            let next = scanner.position();
            if message.member(name.as_bytes()).is_some_and(|index| message.fields[index].number == field) {
                value = Some((at, end));
                // The last one goes with the comma before it.
                member = Some(if more { (begun, next) } else { (before, end) });
            }
            (before, begun) = (end, next);
        }
        Ok(Self { start, is_empty, value, member })
    }

    /// A member to put before the others.
    fn with_comma(&self, member: String) -> String {
        if self.is_empty { member } else { member + "," }
    }
}
