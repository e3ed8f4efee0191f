//! The answer of upstream: a body to read whole, or events to read one by one.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, RETRY_AFTER};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio_stream::Stream;

use super::Error;
use crate::gemini::error_body::{ErrorReply, MAX_ERROR_BODY_BYTES};
use crate::gemini::events::{Events, Framing};
use crate::memory::Held;
use crate::telemetry::Attempt;

/// A body of unknown length starts with so much room.
const FIRST_ROOM: usize = 16 << 10;
/// How long the body of an error is waited for.
const ERROR_BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// The body of an error that is longer, in bytes, is read beside the workers.
const LONG_ERROR_BODY: usize = 32 << 10;

/// An answer whose head has come.
#[derive(Debug)]
pub struct Answer {
    head: http::response::Parts,
    body: reqwest::Body,
    limit: usize,
    held: Held,
    attempt: Attempt,
}

impl Answer {
    pub(super) fn new(response: http::Response<reqwest::Body>, limit: usize, mut held: Held, attempt: Attempt) -> Self {
        let (head, body) = response.into_parts();
        // The request is on its way; what is held from now on is the answer.
        held.set(0);
        Self { head, body, limit, held, attempt }
    }

    /// The body, to be read whole: the JSON of one answer.
    pub fn whole(self) -> Result<Whole, Error> {
        let Self { head, body, limit, held, attempt } = self;
        let announced = body.size_hint().exact().and_then(|n| usize::try_from(n).ok());
        if announced.is_some_and(|n| n > limit) {
            return Err(ended(attempt, Error::TooLarge { limit }));
        }
        let status = head.status.as_u16();
        Ok(Whole { status, body, limit, announced, first: Bytes::new(), rest: BytesMut::new(), held, attempt })
    }

    /// The events of a stream.
    pub fn events(self) -> EventStream {
        let Self { head, body, limit, held, attempt } = self;
        let events =
            Events::new(Framing::from_content_type(header(&head.headers, CONTENT_TYPE).unwrap_or_default()), limit);
        EventStream {
            status: head.status.as_u16(),
            body: Some(body),
            events,
            seen: false,
            held,
            attempt: Some(attempt),
        }
    }
}

/// The request has failed so.
fn ended(mut attempt: Attempt, error: Error) -> Error {
    attempt.end(Some(error.kind()));
    error
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What upstream says when it refuses, as far as it is needed to understand it. Not being able to read it is no other
/// error. `held` reserves its bytes beside those of the request, of which there are `request_bytes`.
pub(super) async fn refusal(
    response: http::Response<reqwest::Body>,
    key: &str,
    held: &mut Held,
    request_bytes: usize,
) -> Error {
    let (head, mut body) = response.into_parts();
    let mut beginning = Vec::new();
    let reading = async {
        while beginning.len() < MAX_ERROR_BODY_BYTES {
            let Ok(Some(piece)) = next(&mut body).await else { break };
            beginning.extend_from_slice(&piece[..piece.len().min(MAX_ERROR_BODY_BYTES - beginning.len())]);
            held.set(request_bytes + beginning.len());
        }
    };
    let _ = tokio::time::timeout(ERROR_BODY_TIMEOUT, reading).await;
    let key = key.to_owned();
    let is_long = beginning.len() > LONG_ERROR_BODY;
    let understand = move || {
        Error::refused(&ErrorReply {
            status: head.status.as_u16(),
            content_type: header(&head.headers, CONTENT_TYPE),
            retry_after: header(&head.headers, RETRY_AFTER),
            body: &beginning,
            now: SystemTime::now(),
            keys: &[&key],
        })
    };
    let error = if is_long {
        // Milliseconds of work, in which the other calls of the worker would stand still.
        tokio::task::spawn_blocking(understand).await.unwrap_or(Error::Cut)
    } else {
        understand()
    };
    held.set(request_bytes);
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

/// The body of an answer that is read whole, piece by piece.
pub struct Whole {
    status: u16,
    body: reqwest::Body,
    limit: usize,
    announced: Option<usize>,
    /// The common answer comes in one piece, which is handed on as it is.
    first: Bytes,
    rest: BytesMut,
    held: Held,
    attempt: Attempt,
}

impl Whole {
    /// Reads one piece more, once there is room for it; false at the end.
    pub async fn more(&mut self) -> Result<bool, Error> {
        let more = self.piece().await;
        match &more {
            Ok(true) => {}
            Ok(false) => self.attempt.end(None),
            Err(error) => self.attempt.end(Some(error.kind())),
        }
        more
    }

    async fn piece(&mut self) -> Result<bool, Error> {
        std::future::poll_fn(|cx| self.held.poll_room(cx)).await;
        let Some(piece) = next(&mut self.body).await? else { return Ok(false) };
        let length = self.first.len() + self.rest.len() + piece.len();
        if length > self.limit {
            return Err(Error::TooLarge { limit: self.limit });
        }
        if length == piece.len() {
            self.first = piece;
        } else {
            if self.rest.is_empty() {
                self.rest.reserve(self.announced.unwrap_or(FIRST_ROOM).max(length));
                self.rest.extend_from_slice(&std::mem::take(&mut self.first));
            }
            self.rest.extend_from_slice(&piece);
        }
        self.held.set(length);
        Ok(true)
    }

    /// The JSON that was read, and the hold on its bytes.
    pub fn into_json(self) -> Result<(Bytes, Held), Error> {
        let body = if self.rest.is_empty() { self.first } else { self.rest.freeze() };
        match body.iter().find(|b| !b.is_ascii_whitespace()) {
            None => Err(Error::Empty { status: self.status }),
            Some(b'<') => Err(Error::NotJson { content_type: "HTML" }),
            Some(_) => Ok((body, self.held)),
        }
    }
}

/// Without what was read: that is somebody's answer.
impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whole").field("status", &self.status).finish_non_exhaustive()
    }
}

/// The JSON texts of a streamed answer, as they come.
#[derive(Debug)]
pub struct EventStream {
    status: u16,
    /// Gone once the body has ended or broken.
    body: Option<reqwest::Body>,
    events: Events,
    seen: bool,
    held: Held,
    /// Over when the body is.
    attempt: Option<Attempt>,
}

impl EventStream {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            if let Some(event) = self.events.next() {
                self.seen = true;
                if event.is_err() {
                    self.body = None;
                }
                return Poll::Ready(Some(event.map_err(Error::from)));
            }
            self.held.set(self.events.buffered_bytes());
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            ready!(self.held.poll_room(cx));
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
                        Ok(()) if !self.seen => Some(Err(Error::Empty { status: self.status })),
                        Ok(()) => None,
                        Err(error) => Some(Err(error.into())),
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
            attempt.end(next.as_ref().and_then(|ended| ended.as_ref().err()).map(Error::kind));
        }
        Poll::Ready(next)
    }
}
