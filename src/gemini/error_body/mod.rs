//! Reads the error that upstream sends instead of a response, in any shape.
//!
//! Google's JSON, NestJS's, OpenAI's, plain text, a CDN's web page, or an empty body: each becomes a code, a message,
//! Google's details and a retry delay. The code is read from members of the JSON, never from a number or a word
//! somewhere in a text.

mod details;
mod envelope;
mod key_errors;
mod key_search;
mod message;
mod nested;
mod probe;
mod redact;
mod retry_delay;

use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use self::details::Details;
use self::envelope::Envelope;
use super::code::Code;

pub use self::probe::is_error;
pub use self::redact::redact;

/// The most bytes of a body that are read; the rest is ignored.
pub const MAX_ERROR_BODY_BYTES: usize = 1 << 20;

/// The longest message that is passed on, in bytes. A longer one is cut.
pub const MAX_ERROR_MESSAGE_BYTES: usize = 1 << 10;

/// Encodes a message, given by its full name and its JSON, as wire bytes. Returns `None` for an unknown name and for
/// JSON that cannot be read. It must ignore a member `@type`.
pub type Encode<'a> = dyn Fn(&str, &Value) -> Option<Vec<u8>> + 'a;

/// An error as upstream sent it.
#[derive(Clone, Copy)]
pub struct ErrorReply<'a> {
    /// The HTTP status. It is 2xx for an error in the middle of a stream.
    pub status: u16,
    /// The `Content-Type` header.
    pub content_type: Option<&'a str>,
    /// The `Retry-After` header.
    pub retry_after: Option<&'a str>,
    /// The body of the response, or the event of the stream.
    pub body: &'a [u8],
    /// The current time, for a date in `Retry-After`.
    pub now: SystemTime,
    /// The keys that were sent. They are redacted, and so is everything that looks like a key.
    pub keys: &'a [&'a str],
}

/// An error of upstream in one common form.
#[derive(Clone, PartialEq)]
pub struct ErrorBody {
    /// The code that the body names, otherwise the one for the HTTP status. Never OK.
    pub code: Code,
    /// Upstream's message with keys redacted and without control characters, or a sentence that describes the reply.
    /// Never empty, at most [`MAX_ERROR_MESSAGE_BYTES`] bytes.
    pub message: String,
    /// Google's details. A detail of an unknown type is a `google.protobuf.Struct` of the whole object. `DebugInfo` is
    /// left out, since it shows internals of upstream.
    pub details: Vec<prost_types::Any>,
    /// Upstream's `ErrorInfo`. Its reason and domain are a pair (google.aip.dev/193).
    pub info: Option<Info>,
    /// When to retry, at most a day: from `RetryInfo` in the body, otherwise from `Retry-After`, the metadata of
    /// `ErrorInfo`, or the text of the message, in this order.
    pub retry_after: Option<Duration>,
    /// A quota per day is used up. A retry on the same day would fail, whatever the delay says.
    pub daily_quota: bool,
    /// The quota that is used up, or all of them, are of the model that was asked, and not of all models.
    pub quota_of_model: bool,
    /// The HTTP status. For an error in a 2xx stream, or inside another error, the status that the error itself names,
    /// if any.
    pub status: u16,
    /// The error is about the key that was sent, or about its project, account or billing.
    is_about_key: bool,
}

/// The `ErrorInfo` of an upstream error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// UPPER_SNAKE_CASE, at most 63 characters.
    pub reason: String,
    /// The service that defines the reason, such as `googleapis.com`; empty if upstream names none.
    pub domain: String,
    pub metadata: Vec<(String, String)>,
}

impl ErrorBody {
    /// Reads an error as far as it can be understood. This cannot fail.
    pub fn read(reply: &ErrorReply<'_>, encode: &Encode<'_>) -> Self {
        let body = &reply.body[..reply.body.len().min(MAX_ERROR_BODY_BYTES)];
        // The error may be the body itself, JSON after words, or nested in other errors as a text.
        let whole = parse(body);
        let after_words = if whole.is_none() { nested::after_words(body) } else { None };
        let mut is_nested = after_words.is_some();
        let mut json = whole.or(after_words);
        is_nested |= json.as_mut().is_some_and(nested::unfold);
        let json = json.map(|value| redact::redact_json(value, reply.keys));
        let envelope = json.as_ref().map(|json| Envelope::of(json, is_nested)).unwrap_or_default();
        let details = Details::read(&envelope.details, encode);

        // The HTTP status says nothing about the error itself if a relay wrapped it into its own error, or if it came
        // in a stream that began with 200.
        let named = envelope.number.filter(|_| is_nested || is_success(reply.status));
        let status = named.filter(|number| (300..600).contains(number)).unwrap_or(reply.status);
        let reason = details.info.as_ref().map(|info| &*info.reason);
        let code = if reason == Some("API_KEY_INVALID") {
            // Google sends INVALID_ARGUMENT with this reason, although the request is not the problem.
            Code::Unauthenticated
        } else {
            envelope.code.unwrap_or_else(|| match named {
                // Some relays write the number of the gRPC code instead of an HTTP status.
                Some(number @ 1..=16) => Code::from_number(number.into()).unwrap_or(Code::Unknown),
                _ => Code::from_http(status),
            })
        };
        let header = || reply.retry_after.and_then(|header| retry_delay::from_header(header, reply.now));
        let words = || envelope.message.as_deref().and_then(retry_delay::from_words);
        let delay = details.delay.or_else(header).or(details.metadata_delay).or_else(words);
        Self {
            code,
            message: message::of(reply, body, json.is_some(), &envelope, status),
            retry_after: delay,
            is_about_key: key_errors::is_about_key(
                code,
                status,
                reason,
                envelope.message.as_deref().unwrap_or_default(),
            ),
            details: details.any,
            info: details.info,
            daily_quota: details.daily_quota,
            quota_of_model: details.quota_of_model && !details.quota_of_all,
            status,
        }
    }

    /// The reason of upstream's `ErrorInfo`.
    pub fn reason(&self) -> Option<&str> {
        self.info.as_ref().map(|info| &*info.reason)
    }

    /// Whether upstream rejects the key, or the project or account it belongs to. If it is the gateway's own key, the
    /// operator has to fix this, not the caller.
    pub fn is_about_key(&self) -> bool {
        self.is_about_key || self.is_key_refused()
    }

    /// Whether the credit or a quota per day is used up.
    pub fn is_used_up(&self) -> bool {
        self.daily_quota || self.status == 402
    }

    /// Whether upstream rejects the key itself.
    pub fn is_key_refused(&self) -> bool {
        self.code == Code::Unauthenticated || self.status == 401
    }
}

/// Without message and details, which may contain parts of a prompt.
impl fmt::Debug for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorBody")
            .field("code", &self.code)
            .field("reason", &self.reason())
            .field("retry_after", &self.retry_after)
            .field("daily_quota", &self.daily_quota)
            .field("quota_of_model", &self.quota_of_model)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Without body and keys, which are private.
impl fmt::Debug for ErrorReply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ErrorReply").field("status", &self.status).finish_non_exhaustive()
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Parses the body as JSON, if it is JSON. Invalid UTF-8 and lone surrogates are replaced.
fn parse(body: &[u8]) -> Option<Value> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let text = String::from_utf8_lossy(body);
    serde_json::from_str(&text).ok().or_else(|| match text.contains("\\u") {
        true => serde_json::from_str(&with_halves_replaced(&text)).ok(),
        false => None,
    })
}

/// The JSON with U+FFFD for each escape that is a surrogate without its other half: serde_json refuses those.
fn with_halves_replaced(json: &str) -> String {
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
            // Copied with the character after it, so that an escaped backslash does not begin another escape. That
            // character is ASCII in valid JSON.
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
