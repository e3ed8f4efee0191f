//! The response of upstream: a body to read as a whole, or events to read one by one.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio_stream::Stream;

use super::error::Error;
use super::key::ApiKey;
use super::keys::{KeyLease, Keys};
use crate::gemini::error_body::{ErrorReply, MAX_ERROR_BODY_BYTES};
use crate::gemini::events::{Events, Framing};
use crate::memory::Reservation;
use crate::telemetry::{Attempt, Outcome};

/// The first capacity of a buffer for a body of unknown length, in bytes.
const FIRST_CAPACITY_BYTES: usize = 16 << 10;
/// How long to wait for the body of an error response.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// Error bodies longer than this are parsed on another thread, in bytes.
const LONG_ERROR_BODY_BYTES: usize = 32 << 10;

/// A response whose head has come.
#[derive(Debug)]
pub struct Answer {
    head: http::response::Parts,
    body: reqwest::Body,
    limit: usize,
    reserved: Reservation,
    attempt: Attempt,
    lease: Option<KeyLease>,
}

impl Answer {
    pub(super) fn new(
        response: http::Response<reqwest::Body>,
        limit: usize,
        mut reserved: Reservation,
        attempt: Attempt,
        lease: Option<KeyLease>,
    ) -> Self {
        let (head, body) = response.into_parts();
        // The request was sent. From now on the reservation is for the response.
        reserved.resize(0);
        Self { head, body, limit, reserved, attempt, lease }
    }

    /// The key of the pool that the request was sent with, if there was a choice.
    pub fn key(&self) -> Option<&ApiKey> {
        self.lease.as_ref().map(KeyLease::key)
    }

    /// The body, to be read as a whole: the JSON of one response.
    pub fn unary(self) -> Result<UnaryBody, Error> {
        let Self { head, body, limit, reserved, attempt, lease } = self;
        let announced = body.size_hint().exact().and_then(|n| usize::try_from(n).ok());
        if announced.is_some_and(|n| n > limit) {
            return Err(fail(attempt, Error::TooLarge { limit }));
        }
        let status = head.status.as_u16();
        let (first, rest) = (Bytes::new(), BytesMut::new());
        Ok(UnaryBody { status, body, limit, announced, first, rest, reserved, attempt, _lease: lease })
    }

    /// The events of a stream.
    pub fn events(self) -> EventStream {
        let Self { head, body, limit, reserved, attempt, lease } = self;
        let events =
            Events::new(Framing::from_content_type(header(&head.headers, CONTENT_TYPE).unwrap_or_default()), limit);
        EventStream {
            status: head.status.as_u16(),
            body: Some(body),
            events,
            seen: false,
            reserved,
            attempt: Some(attempt),
            lease,
        }
    }
}

/// Ends the attempt with an error.
fn fail(mut attempt: Attempt, error: Error) -> Error {
    attempt.end(Outcome::Failed(error.kind()));
    error
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Reads the body of an error response, up to [`MAX_ERROR_BODY_BYTES`]. If it breaks off, the part that came is enough. `reserved` counts
/// its bytes in addition to those of the request, of which there are `request_bytes`.
pub(super) async fn read_error(
    response: http::Response<reqwest::Body>,
    keys: &Keys,
    reserved: &mut Reservation,
    request_bytes: usize,
) -> Error {
    let (head, mut body) = response.into_parts();
    let mut beginning = Vec::new();
    let reading = async {
        while beginning.len() < MAX_ERROR_BODY_BYTES {
            let Ok(Some(piece)) = next(&mut body).await else { break };
            beginning.extend_from_slice(&piece[..piece.len().min(MAX_ERROR_BODY_BYTES - beginning.len())]);
            reserved.resize(request_bytes + beginning.len());
        }
    };
    let _ = tokio::time::timeout(ERROR_BODY_TIMEOUT, reading).await;
    let keys = keys.clone();
    let is_long = beginning.len() > LONG_ERROR_BODY_BYTES / keys.count();
    let understand = move || {
        // Upstream may know that several keys are of one account, so any of them is redacted.
        let keys: Vec<&str> = keys.all().map(ApiKey::expose).collect();
        Error::refused(&ErrorReply {
            status: head.status.as_u16(),
            content_type: header(&head.headers, CONTENT_TYPE),
            retry_after: header(&head.headers, RETRY_AFTER),
            body: &beginning,
            now: SystemTime::now(),
            keys: &keys,
        })
    };
    let error = if is_long {
        // It takes milliseconds, for which the other calls of this worker must not wait.
        tokio::task::spawn_blocking(understand).await.unwrap_or(Error::Cut)
    } else {
        understand()
    };
    reserved.resize(request_bytes);
    error
}

async fn next(body: &mut reqwest::Body) -> Result<Option<Bytes>, Error> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| Error::Cut)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// The body of a response that is read as a whole.
pub struct UnaryBody {
    status: u16,
    body: reqwest::Body,
    limit: usize,
    announced: Option<usize>,
    /// Most bodies come in one chunk, which is not copied.
    first: Bytes,
    rest: BytesMut,
    reserved: Reservation,
    attempt: Attempt,
    /// The key is in use until the body was read.
    _lease: Option<KeyLease>,
}

impl UnaryBody {
    /// Reads one more chunk, once there is memory for it; false at the end.
    pub async fn read_chunk(&mut self) -> Result<bool, Error> {
        let read = self.next_chunk().await;
        match &read {
            Ok(true) => {}
            Ok(false) => self.attempt.end(Outcome::Succeeded),
            Err(error) => self.attempt.end(Outcome::Failed(error.kind())),
        }
        read
    }

    async fn next_chunk(&mut self) -> Result<bool, Error> {
        std::future::poll_fn(|cx| self.reserved.poll_available(cx)).await;
        let Some(piece) = next(&mut self.body).await? else { return Ok(false) };
        let length = self.first.len() + self.rest.len() + piece.len();
        if length > self.limit {
            return Err(Error::TooLarge { limit: self.limit });
        }
        if length == piece.len() {
            self.first = piece;
        } else {
            if self.rest.is_empty() {
                self.rest.reserve(self.announced.unwrap_or(FIRST_CAPACITY_BYTES).max(length));
                self.rest.extend_from_slice(&std::mem::take(&mut self.first));
            }
            self.rest.extend_from_slice(&piece);
        }
        self.reserved.resize(length);
        Ok(true)
    }

    /// The JSON that was read, and the reservation of its bytes.
    pub fn into_json(self) -> Result<(Bytes, Reservation), Error> {
        let body = if self.rest.is_empty() { self.first } else { self.rest.freeze() };
        match body.iter().find(|b| !b.is_ascii_whitespace()) {
            None => Err(Error::Empty { status: self.status }),
            Some(b'<') => Err(Error::NotJson { content_type: "HTML" }),
            Some(_) => Ok((body, self.reserved)),
        }
    }
}

/// Without what was read, which is a caller's response.
impl fmt::Debug for UnaryBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnaryBody").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The JSON texts of a streamed response, as they come.
#[derive(Debug)]
pub struct EventStream {
    status: u16,
    /// Gone once the body has ended or broken.
    body: Option<reqwest::Body>,
    events: Events,
    seen: bool,
    reserved: Reservation,
    /// Ends with the body.
    attempt: Option<Attempt>,
    lease: Option<KeyLease>,
}

impl EventStream {
    /// The key of the pool that the request was sent with, if there was a choice and the body has not ended.
    pub fn key(&self) -> Option<&ApiKey> {
        self.lease.as_ref().map(KeyLease::key)
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            if let Some(event) = self.events.next() {
                self.seen = true;
                if event.is_err() {
                    self.body = None;
                }
                return Poll::Ready(Some(event.map_err(Error::from)));
            }
            self.reserved.resize(self.events.buffered_bytes());
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            ready!(self.reserved.poll_available(cx));
            match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.events.push(data);
                    }
                }
                Some(Err(_)) => {
                    self.body = None;
                    return Poll::Ready(Some(Err(Error::Cut)));
                }
                None => {
                    self.body = None;
                    return Poll::Ready(match self.events.finish() {
                        Ok(None) if !self.seen => Some(Err(Error::Empty { status: self.status })),
                        last => last.map_err(Error::from).transpose(),
                    });
                }
            }
        }
    }
}

impl Stream for EventStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.poll_event(cx));
        if !matches!(next, Some(Ok(_)))
            && let Some(mut attempt) = self.attempt.take()
        {
            self.lease = None;
            attempt.end(Outcome::of(next.as_ref().and_then(|ended| ended.as_ref().err()).map(Error::kind)));
        }
        Poll::Ready(next)
    }
}
