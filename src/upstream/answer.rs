//! The answer of upstream: a body to read whole, or events to read one by one.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio_stream::Stream;

use super::Error;
use crate::gemini::error_body::{MAX_BODY, Reply};
use crate::gemini::events::{Events, Framing};

/// A body of unknown length starts with so much room.
const FIRST_ROOM: usize = 16 << 10;

/// An answer whose head has come.
#[derive(Debug)]
pub struct Answer {
    head: http::response::Parts,
    body: reqwest::Body,
    limit: usize,
}

impl Answer {
    pub(super) fn new(response: http::Response<reqwest::Body>, limit: usize) -> Self {
        let (head, body) = response.into_parts();
        Self { head, body, limit }
    }

    pub(super) fn is_success(&self) -> bool {
        self.head.status.is_success()
    }

    fn header(&self, name: http::HeaderName) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Reads the body whole: the JSON of one answer.
    pub async fn json(mut self) -> Result<Bytes, Error> {
        let status = self.head.status.as_u16();
        let body = self.read(self.limit).await?.ok_or(Error::TooLarge { limit: self.limit })?;
        match body.iter().find(|b| !b.is_ascii_whitespace()) {
            None => Err(Error::Empty { status }),
            Some(b'<') => Err(Error::NotJson { content_type: "HTML" }),
            Some(_) => Ok(body),
        }
    }

    /// The events of a stream.
    pub fn events(self) -> EventStream {
        let events = Events::new(Framing::from_content_type(self.header(CONTENT_TYPE).unwrap_or_default()), self.limit);
        EventStream { status: self.head.status.as_u16(), body: Some(self.body), events, seen: false }
    }

    /// What upstream says when it refuses. Not being able to read it is no other error.
    pub(super) async fn refusal(mut self, key: &str) -> Error {
        let body = self.beginning().await;
        Error::refused(&Reply {
            status: self.head.status.as_u16(),
            content_type: self.header(CONTENT_TYPE),
            retry_after: self.header(RETRY_AFTER),
            body: &body,
            now: SystemTime::now(),
            keys: &[key],
        })
    }

    /// The body as far as it is needed to understand an error.
    async fn beginning(&mut self) -> Vec<u8> {
        let mut beginning = Vec::new();
        while beginning.len() < MAX_BODY {
            let Ok(Some(piece)) = next(&mut self.body).await else { break };
            beginning.extend_from_slice(&piece);
        }
        beginning
    }

    /// The body up to `limit` bytes; `None` if it is longer.
    async fn read(&mut self, limit: usize) -> Result<Option<Bytes>, Error> {
        let announced = self.body.size_hint().exact().and_then(|n| usize::try_from(n).ok());
        if announced.is_some_and(|n| n > limit) {
            return Ok(None);
        }
        // The common answer comes in one piece, which is handed on as it is.
        let Some(first) = next(&mut self.body).await? else { return Ok(Some(Bytes::new())) };
        if announced == Some(first.len()) {
            return Ok(Some(first));
        }
        let mut whole = BytesMut::with_capacity(announced.unwrap_or(FIRST_ROOM).max(first.len()));
        let mut piece = Some(first);
        while let Some(bytes) = piece {
            if whole.len() + bytes.len() > limit {
                return Ok(None);
            }
            whole.extend_from_slice(&bytes);
            piece = next(&mut self.body).await?;
        }
        Ok(Some(whole.freeze()))
    }
}

async fn next(body: &mut reqwest::Body) -> Result<Option<Bytes>, Error> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|_| Error::Cut)?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// The JSON texts of a streamed answer, as they come.
#[derive(Debug)]
pub struct EventStream {
    status: u16,
    /// Gone once the body has ended or broken.
    body: Option<reqwest::Body>,
    events: Events,
    seen: bool,
}

impl Stream for EventStream {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(event) = this.events.next() {
                this.seen = true;
                if event.is_err() {
                    this.body = None;
                }
                return Poll::Ready(Some(event.map_err(Error::from)));
            }
            let Some(body) = &mut this.body else { return Poll::Ready(None) };
            match ready!(Pin::new(body).poll_frame(cx)) {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        this.events.push(data);
                    }
                }
                Some(Err(_)) => {
                    this.body = None;
                    return Poll::Ready(Some(Err(Error::Cut)));
                }
                None => {
                    this.body = None;
                    return Poll::Ready(match this.events.finish() {
                        Ok(()) if !this.seen => Some(Err(Error::Empty { status: this.status })),
                        Ok(()) => None,
                        Err(error) => Some(Err(error.into())),
                    });
                }
            }
        }
    }
}
