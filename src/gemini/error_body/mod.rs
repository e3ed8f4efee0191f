//! What upstream says in place of an answer, in whatever shape it says it.
//!
//! Google's envelope, NestJS's, OpenAI's, plain text, a CDN's web page, nothing at all: each becomes a
//! code, a message in words, Google's details and a delay. What decides are members of the JSON,
//! never the sight of a number or a word somewhere in the text.

mod delay;
mod details;
mod disguise;
mod envelope;
mod key;
mod message;
mod nested;
mod probe;
mod redact;

use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use self::details::Details;
use self::envelope::Envelope;
use super::code::Code;

pub use self::probe::is_error;
pub use self::redact::redact;

/// How much of a body is read, in bytes. A longer one is cut there.
pub const MAX_BODY: usize = 1 << 20;

/// The longest message that is passed on, in bytes.
pub const MAX_MESSAGE: usize = 1 << 10;

/// Writes the JSON of a message, by the message's full name, as wire bytes. `None` if it does not know
/// the name or cannot read the JSON. A member `@type` is to be ignored.
pub type Encode<'a> = dyn Fn(&str, &Value) -> Option<Vec<u8>> + 'a;

/// An answer that is no answer.
#[derive(Clone, Copy)]
pub struct Reply<'a> {
    /// The HTTP status. 2xx for an error event in the middle of a stream.
    pub status: u16,
    /// The `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// The `Retry-After` header.
    pub retry_after: Option<&'a str>,
    /// The body, or the event.
    pub body: &'a [u8],
    /// The time now; a date in `Retry-After` counts from it.
    pub now: SystemTime,
    /// Keys that were sent. They do not come back out, nor does anything that looks like one.
    pub keys: &'a [&'a str],
}

/// An error of upstream, understood.
#[derive(Clone, PartialEq)]
pub struct ErrorBody {
    /// The code that the body names, else the one that the HTTP status means. Never OK.
    pub code: Code,
    /// Upstream's own words without keys and control characters, else a sentence that says what came.
    /// Never empty, at most [`MAX_MESSAGE`] bytes.
    pub message: String,
    /// Google's details. Those of a type that the gateway does not know are a `google.protobuf.Struct`
    /// of the whole object; `DebugInfo` is left out, as it shows upstream's insides.
    pub details: Vec<prost_types::Any>,
    /// Upstream's `ErrorInfo`, without a message of its own: reason and domain belong together (google.aip.dev/193).
    pub info: Option<Info>,
    /// When to try again, at most a day: `RetryInfo` in the body, else `Retry-After`, else what the metadata of
    /// `ErrorInfo` or the message say.
    pub retry_after: Option<Duration>,
    /// A quota per day is used up. Another try today is in vain, whatever the delay says.
    pub daily_quota: bool,
    /// The HTTP status; for an error in a 2xx stream, or inside of another error, the one that it names, if it names one.
    pub status: u16,
    /// It is about the key that was sent, or what stands behind that key: its project, its account, its credit card.
    is_about_key: bool,
}

/// An `ErrorInfo` of upstream's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// UPPER_SNAKE_CASE, at most 63 letters.
    pub reason: String,
    /// The service that defines the reason, such as `googleapis.com`; empty if upstream names none.
    pub domain: String,
    pub metadata: Vec<(String, String)>,
}

impl ErrorBody {
    /// Understands a reply as far as it can be understood. This cannot fail.
    pub fn read(reply: &Reply<'_>, encode: &Encode<'_>) -> Self {
        let body = &reply.body[..reply.body.len().min(MAX_BODY)];
        let whole = parse(body);
        let behind_words = if whole.is_none() { nested::behind_words(body) } else { None };
        let mut is_nested = behind_words.is_some();
        let mut json = whole.or(behind_words);
        is_nested |= json.as_mut().is_some_and(nested::unfold);
        let json = json.map(|value| redact::redact_json(value, reply.keys));
        let envelope = json.as_ref().map(|json| Envelope::of(json, is_nested)).unwrap_or_default();
        let details = Details::read(&envelope.details, encode);

        // Around an error, the status of HTTP is that of the relay.
        let named = envelope.number.filter(|_| is_nested || is_success(reply.status));
        let status = named.filter(|number| (300..600).contains(number)).unwrap_or(reply.status);
        let reason = details.info.as_ref().map(|info| &*info.reason);
        let code = if reason == Some("API_KEY_INVALID") {
            // Google says INVALID_ARGUMENT here, as if the request were to blame.
            Code::Unauthenticated
        } else {
            envelope.code.unwrap_or_else(|| match named {
                // Some gateways write gRPC's own numbers.
                Some(number @ 1..=16) => Code::from_number(number.into()).unwrap_or(Code::Unknown),
                _ => Code::from_http(status),
            })
        };
        let header = || reply.retry_after.and_then(|header| delay::from_header(header, reply.now));
        let words = || envelope.message.as_deref().and_then(delay::from_words);
        let delay = details.delay.or_else(header).or(details.other_delay).or_else(words);
        Self {
            code,
            message: message::of(reply, body, json.is_some(), &envelope, status),
            retry_after: delay,
            is_about_key: key::is_about_key(code, status, reason, envelope.message.as_deref().unwrap_or_default()),
            details: details.any,
            info: details.info,
            daily_quota: details.daily_quota,
            status,
        }
    }

    /// The reason of upstream's `ErrorInfo`.
    pub fn reason(&self) -> Option<&str> {
        self.info.as_ref().map(|info| &*info.reason)
    }

    /// Upstream does not take the key, or does not serve who it belongs to. With the gateway's own key that is for its
    /// operator to mend, and not for the caller.
    pub fn is_about_key(&self) -> bool {
        self.is_about_key || self.is_key_refused()
    }

    /// There is nothing left to spend: of the credit, or of a quota per day.
    pub fn is_used_up(&self) -> bool {
        self.daily_quota || self.status == 402
    }

    /// Upstream does not accept the key that the call was made with.
    pub fn is_key_refused(&self) -> bool {
        self.code == Code::Unauthenticated || self.status == 401
    }
}

/// Without message and details: upstream may have put a part of somebody's prompt there.
impl fmt::Debug for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorBody")
            .field("code", &self.code)
            .field("reason", &self.reason())
            .field("retry_after", &self.retry_after)
            .field("daily_quota", &self.daily_quota)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Without body and keys.
impl fmt::Debug for Reply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).finish_non_exhaustive()
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// The body as JSON, if it is. Neither bytes that are not UTF-8 nor halves of characters spoil the rest.
fn parse(body: &[u8]) -> Option<Value> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let text = String::from_utf8_lossy(body);
    serde_json::from_str(&text).ok().or_else(|| match text.contains("\\u") {
        true => serde_json::from_str(&without_halves(&text)).ok(),
        false => None,
    })
}

/// The JSON with U+FFFD for each escape that is one half of a character.
fn without_halves(json: &str) -> String {
    let unit = |at: usize| {
        let digits = json.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let mut whole = String::with_capacity(json.len());
    let mut rest = 0;
    while let Some(found) = json[rest..].find('\\') {
        let at = rest + found;
        whole.push_str(&json[rest..at]);
        let (kept, length) = match (unit(at), unit(at + 6)) {
            (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => (true, 12),
            (Some(0xd800..0xe000), _) => (false, 6),
            // The character behind a backslash is ASCII, or this is no JSON.
            _ => (true, 1 + json[at + 1..].chars().next().map_or(0, char::len_utf8)),
        };
        whole.push_str(if kept { &json[at..at + length] } else { "\\ufffd" });
        rest = at + length;
    }
    whole + &json[rest..]
}

#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;
