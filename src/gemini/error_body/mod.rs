//! What upstream says in place of an answer, in whatever shape it says it.
//!
//! Google's envelope, NestJS's, OpenAI's, plain text, a CDN's web page, nothing at all: each becomes a
//! code, a message in words, Google's details and a delay. What decides are members of the JSON,
//! never the sight of a number or a word somewhere in the text.

mod delay;
mod details;
mod disguise;
mod envelope;
mod message;
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
pub const MAX_BODY: usize = 64 << 10;

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
    /// `ErrorInfo.reason`.
    pub reason: Option<String>,
    /// When to try again, at most a day: `RetryInfo` in the body, else `Retry-After`.
    pub retry_after: Option<Duration>,
    /// A quota per day is used up. Another try today is in vain, whatever the delay says.
    pub daily_quota: bool,
    /// The HTTP status; for an error in a 2xx stream the one that the body names, if it names one.
    pub status: u16,
}

impl ErrorBody {
    /// Understands a reply as far as it can be understood. This cannot fail.
    pub fn read(reply: &Reply<'_>, encode: &Encode<'_>) -> Self {
        let body = &reply.body[..reply.body.len().min(MAX_BODY)];
        let json = parse(body).map(|value| redact::redact_json(value, reply.keys));
        let envelope = json.as_ref().map(Envelope::of).unwrap_or_default();
        let details = Details::read(&envelope.details, encode);

        let named = envelope.number.filter(|_| is_success(reply.status));
        let status = named.filter(|number| (300..600).contains(number)).unwrap_or(reply.status);
        let code = if details.reason.as_deref() == Some("API_KEY_INVALID") {
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
        Self {
            code,
            message: message::of(reply, body, json.is_some(), &envelope, status),
            retry_after: details.delay.or_else(header),
            details: details.any,
            reason: details.reason,
            daily_quota: details.daily_quota,
            status,
        }
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
            .field("reason", &self.reason)
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

/// The body as JSON, if it is. Bytes that are not UTF-8 do not spoil the rest.
fn parse(body: &[u8]) -> Option<Value> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    serde_json::from_str(&String::from_utf8_lossy(body)).ok()
}

#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;
