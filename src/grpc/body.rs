//! The body of an answer: messages with gRPC's five bytes before each, then the status.
//!
//! Ours instead of tonic's, so that a picture is not copied into a buffer on its way out and an idle
//! stream holds no buffer at all. Messages that are ready together leave together.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;
use tokio_stream::Stream as _;

use super::status;
use crate::gateway::{Answers, Error};

/// From this size a message is handed on as it is; below, it is copied behind its prefix.
const LARGE: usize = 64 << 10;
/// So much is gathered before it is sent.
const BATCH: usize = 32 << 10;

#[derive(Debug)]
pub(super) struct Reply {
    source: Source,
    /// A large message whose prefix has been sent.
    large: Option<Bytes>,
    trailers: Option<HeaderMap>,
    request_id: Option<Arc<str>>,
}

#[derive(Debug)]
enum Source {
    One(Vec<u8>),
    Many(Answers),
    Done,
}

impl Reply {
    pub(super) fn one(message: Vec<u8>) -> Self {
        Self { source: Source::One(message), large: None, trailers: None, request_id: None }
    }

    pub(super) fn many(answers: Answers) -> Self {
        Self { source: Source::Many(answers), large: None, trailers: None, request_id: None }
    }

    /// The id that goes into an error at the end of a stream.
    pub(super) fn with_request_id(self, request_id: Arc<str>) -> Self {
        Self { request_id: Some(request_id), ..self }
    }

    /// Gathers what is ready into `batch`; false if nothing is and more will come.
    fn fill(&mut self, cx: &mut Context<'_>, batch: &mut BytesMut) -> bool {
        while batch.len() < BATCH && self.large.is_none() {
            let answers = match &mut self.source {
                Source::Done => return true,
                Source::One(message) => {
                    let message = std::mem::take(message);
                    self.put(message, batch);
                    self.end(None);
                    return true;
                }
                Source::Many(answers) => answers,
            };
            match Pin::new(answers).poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => self.put(message, batch),
                Poll::Ready(Some(Err(error))) => self.end(Some(error)),
                Poll::Ready(None) => self.end(None),
                Poll::Pending => return !batch.is_empty(),
            }
        }
        true
    }

    fn put(&mut self, message: Vec<u8>, batch: &mut BytesMut) {
        let large = message.len() >= LARGE;
        batch.reserve(5 + if large { 0 } else { message.len() });
        batch.put_u8(0);
        // Limits keep a message far below 4 GiB.
        batch.put_u32(message.len() as u32);
        if large {
            self.large = Some(message.into());
        } else {
            batch.put_slice(&message);
        }
    }

    fn end(&mut self, error: Option<Error>) {
        let status = match error {
            Some(error) => status::status(&error, self.request_id.as_deref().unwrap_or_default()),
            None => tonic::Status::ok(""),
        };
        let mut trailers = HeaderMap::new();
        // Fails only for a message that HTTP cannot carry; `status` makes none.
        let _ = status.add_header(&mut trailers);
        self.trailers = Some(trailers);
        self.source = Source::Done;
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if let Some(large) = this.large.take() {
            return Poll::Ready(Some(Ok(Frame::data(large))));
        }
        let mut batch = BytesMut::new();
        if !this.fill(cx, &mut batch) {
            return Poll::Pending;
        }
        if !batch.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(batch.freeze()))));
        }
        Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Done) && self.large.is_none() && self.trailers.is_none()
    }
}
