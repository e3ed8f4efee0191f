//! Reads a request: the headers that only REST has, and the body.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use http_body_util::BodyExt as _;

use super::error::Error;
use crate::face::{InvalidHeader, RequestBody, Unpacking};
use crate::gateway::{self, Limit, SdkLabel, TimedOut, UploadMemory};

const TIMEOUT: &str = "x-server-timeout";
/// More digits of a timeout than any call may take.
const MAX_TIMEOUT_DIGITS: usize = 9;

/// The caller's time limit for the call, in seconds, perhaps with a fraction.
pub(super) fn timeout(headers: &HeaderMap) -> Result<Option<TimedOut>, InvalidHeader> {
    let Some(value) = headers.get(TIMEOUT) else { return Ok(None) };
    let parse = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |part: &str| {
            (1..=MAX_TIMEOUT_DIGITS).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        (is_number(whole) && is_number(fraction)).then_some(())?;
        Duration::try_from_secs_f64(text.parse().ok()?).ok()
    };
    let after = value.to_str().ok().and_then(|text| parse(text.trim()));
    let after = after.ok_or(InvalidHeader { header: TIMEOUT, expected: "a number of seconds is expected" })?;
    Ok(Some(TimedOut { limit: Limit::Caller { header: TIMEOUT }, after }))
}

/// The name of the caller's SDK, for upstream. A value that is not forwarded is no reason to refuse the call.
pub(super) fn sdk(headers: &HeaderMap) -> Option<SdkLabel> {
    headers.get("x-goog-api-client").and_then(SdkLabel::parse)
}

/// A body that has not been read yet.
pub(super) struct Upload<B> {
    body: B,
    is_gzip: bool,
    /// Its length as it comes, in bytes, if that is known.
    announced: Option<usize>,
}

impl<B: RequestBody> Upload<B> {
    /// Checks the headers that describe the body.
    pub(super) fn new(headers: &HeaderMap, body: B) -> Result<Self, (Error, B)> {
        if !is_json(headers) {
            return Err((Error::ContentType, body));
        }
        let encoding = headers.get(CONTENT_ENCODING).map_or(&b"identity"[..], HeaderValue::as_bytes);
        let is_gzip = encoding.eq_ignore_ascii_case(b"gzip");
        if !is_gzip && !encoding.eq_ignore_ascii_case(b"identity") {
            return Err((Error::Encoding, body));
        }
        let announced = body.size_hint().exact().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        Ok(Self { body, is_gzip, announced })
    }

    /// The body, for a call that is refused.
    pub(super) fn into_body(self) -> B {
        self.body
    }

    /// The body, of at most `limit` bytes unpacked. Memory for it is reserved in `memory` before it is used.
    pub(super) async fn read(self, limit: usize, memory: &mut UploadMemory) -> Result<Bytes, Error> {
        if self.announced.is_some_and(|length| length > limit) {
            return Err(gateway::Error::TooLarge { limit }.into());
        }
        match (self.is_gzip, self.announced) {
            (true, _) => self.unpack(limit, memory).await,
            (false, Some(length)) => self.announced(length, memory).await,
            (false, None) => self.unannounced(limit, memory).await,
        }
    }

    /// A body whose length is known. Most come in one piece, which is not copied.
    async fn announced(mut self, length: usize, memory: &mut UploadMemory) -> Result<Bytes, Error> {
        memory.reserve_message(length)?;
        let first = next(&mut self.body).await?.unwrap_or_default();
        if first.len() == length {
            return Ok(first);
        }
        let mut gathered = BytesMut::with_capacity(length);
        gathered.extend_from_slice(&first);
        drop(first);
        while let Some(piece) = next(&mut self.body).await? {
            gathered.extend_from_slice(&piece);
        }
        Ok(gathered.freeze())
    }

    /// A body whose length is only known at its end. Its buffer is doubled each time it is full.
    async fn unannounced(mut self, limit: usize, memory: &mut UploadMemory) -> Result<Bytes, Error> {
        let mut gathered = Vec::new();
        while let Some(piece) = next(&mut self.body).await? {
            let length = gathered.len() + piece.len();
            if length > limit {
                return Err(gateway::Error::TooLarge { limit }.into());
            }
            if length > gathered.capacity() {
                let capacity = (gathered.capacity() * 2).max(length).min(limit);
                // Both buffers exist while the bytes are copied.
                memory.reserve(gathered.capacity() + capacity)?;
                gathered.reserve_exact(capacity - gathered.len());
            }
            gathered.extend_from_slice(&piece);
        }
        memory.reserve_message(gathered.capacity())?;
        Ok(gathered.into())
    }

    /// Unpacks each piece as it comes, so that the packed body is never in memory as a whole.
    async fn unpack(mut self, limit: usize, memory: &mut UploadMemory) -> Result<Bytes, Error> {
        let mut packed = self.announced.unwrap_or_default();
        let mut read = 0;
        let mut unpacking = Unpacking::new(packed, limit, memory);
        while let Some(piece) = next(&mut self.body).await? {
            read += piece.len();
            if read > packed {
                if read > limit {
                    return Err(gateway::Error::TooLarge { limit }.into());
                }
                packed = read;
                unpacking.set_packed(packed);
            }
            unpacking.write(&piece).await?;
        }
        let body = unpacking.finish()?;
        memory.reserve_message(body.len())?;
        Ok(body)
    }
}

async fn next(body: &mut impl RequestBody) -> Result<Option<Bytes>, Error> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| Error::Body("breaks off"))?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Whether the one content type is `application/json`, with or without parameters. A request without one is refused too:
/// SDKs always send it, and a web page can send a request without it to another origin unasked.
fn is_json(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let value = value.as_bytes();
    if value == b"application/json" {
        return true;
    }
    let name = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    // A proxy joins several values with commas.
    !value.contains(&b',') && name.eq_ignore_ascii_case(b"application/json")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_timeout_is_a_number_of_seconds() {
        let with = |value: &str| HeaderMap::from_iter([(HeaderName::from_static(TIMEOUT), value.parse().unwrap())]);
        for (text, millis) in [("13", 13_000), ("0.5", 500), ("12.345", 12_345), (" 1 ", 1000), ("0", 0)] {
            let expected = Some(Duration::from_millis(millis));
            assert_eq!(timeout(&with(text)).unwrap().map(|limit| limit.after), expected, "{text:?}");
        }
        assert_eq!(timeout(&HeaderMap::new()).unwrap(), None);
        for text in ["", "s", "5s", "-1", "+1", "1e3", "inf", "NaN", ".5", "5.", "1.2.3", "1234567890", "0x1"] {
            assert!(timeout(&with(text)).is_err(), "{text:?}");
        }
    }

    #[test]
    fn only_json_is_json() {
        let with = |values: &[&'static str]| {
            is_json(&values.iter().map(|value| (CONTENT_TYPE, HeaderValue::from_static(value))).collect())
        };
        for value in ["application/json", "application/json; charset=utf-8", "Application/JSON", "application/json;a"] {
            assert!(with(&[value]), "{value}");
        }
        for value in
            ["", "text/plain", "application/jsonx", "application/json, text/plain", "text/plain; application/json"]
        {
            assert!(!with(&[value]), "{value}");
        }
        assert!(!with(&[]) && !with(&["application/json", "application/json"]));
    }
}
