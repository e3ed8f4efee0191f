//! The body of a response: messages with gRPC's five bytes before each, then the status.
//!
//! Ours instead of tonic's, because tonic's encoder copies each message into a buffer of its own. The reservation of
//! the message's bytes would be released then, while HTTP/2 still keeps the copy, and the limit of bytes would not hold
//! for images. Messages that are ready together are sent together.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;
use tokio_stream::Stream as _;

use super::error::Error;
use super::status;
use crate::gateway::{self, Message, ResponseStream};
use crate::telemetry::{CallEnd, CallSpan};

/// Messages from this length on are not copied, in bytes; shorter ones are copied behind their prefix.
const NO_COPY_FROM: usize = 64 << 10;
/// A batch is sent once it has this many bytes.
const BATCH_BYTES: usize = 32 << 10;
/// How many batches are sent without waiting, after a turn of the scheduler that added nothing to one.
const BATCHES_WITHOUT_WAIT: u8 = 15;

pub(super) struct ResponseBody {
    source: Source,
    /// Messages that are ready to be sent.
    batch: BytesMut,
    /// The length of the batch when it began to wait for another turn.
    waiting_len: usize,
    /// How many more batches are sent without waiting.
    batches_without_wait: u8,
    /// A large message whose prefix has been sent.
    large: Option<Bytes>,
    /// The status, and how the call ended once that is sent.
    trailers: Option<(HeaderMap, CallEnd)>,
    /// Stands after the source, because fields are dropped in this order, and the operation ends before its call.
    span: CallSpan,
}

enum Source {
    One(Option<Message>),
    Many(Box<ResponseStream>),
    /// Panics when it is polled.
    #[cfg(test)]
    Panicking,
    Done,
}

impl ResponseBody {
    pub(super) fn unary(message: Message, span: CallSpan) -> Self {
        Self::new(Source::One(Some(message)), span)
    }

    pub(super) fn streaming(stream: ResponseStream, span: CallSpan) -> Self {
        Self::new(Source::Many(Box::new(stream)), span)
    }

    fn new(source: Source, span: CallSpan) -> Self {
        Self {
            source,
            batch: BytesMut::new(),
            waiting_len: 0,
            batches_without_wait: 0,
            large: None,
            trailers: None,
            span,
        }
    }

    /// Gathers the messages that are ready; pending if there is nothing to send yet.
    ///
    /// hyper returns one chunk of an HTTP/1.1 body for each turn of the scheduler, however many came in one read. So a
    /// batch waits for another turn as long as each turn adds to it, and a burst of events is sent in few writes. Once
    /// a turn adds nothing, as in a slow stream, the next batches do not wait.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.batch.len() < BATCH_BYTES && self.large.is_none() {
            let answers = match &mut self.source {
                Source::Done => break,
                Source::One(message) => {
                    if let Some(message) = message.take() {
                        self.put(message);
                    }
                    self.end(None);
                    break;
                }
                Source::Many(answers) => answers,
                #[cfg(test)]
                #[expect(clippy::panic, reason = "that is what it is for")]
                Source::Panicking => panic!("the prompt"),
            };
            match Pin::new(&mut **answers).poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => self.put(message),
                Poll::Ready(Some(Err(error))) => self.end(Some(error.into())),
                Poll::Ready(None) => self.end(None),
                Poll::Pending if self.batch.is_empty() => return Poll::Pending,
                Poll::Pending if self.batch.len() == self.waiting_len => {
                    self.batches_without_wait = BATCHES_WITHOUT_WAIT;
                    break;
                }
                Poll::Pending if self.batches_without_wait > 0 => {
                    self.batches_without_wait -= 1;
                    break;
                }
                Poll::Pending => {
                    self.waiting_len = self.batch.len();
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(())
    }

    fn put(&mut self, message: Message) {
        let bytes = message.as_ref();
        let large = bytes.len() >= NO_COPY_FROM;
        self.batch.reserve(5 + if large { 0 } else { bytes.len() });
        self.batch.put_u8(0);
        // Limits keep a message far below 4 GiB.
        self.batch.put_u32(bytes.len() as u32);
        if large {
            self.large = Some(message.into_bytes());
        } else {
            self.batch.put_slice(bytes);
        }
    }

    fn end(&mut self, error: Option<Error>) {
        let (status, end) = match error {
            Some(error) => (status::status(&error, self.span.request_id()), status::end(&error)),
            None => (tonic::Status::ok(""), CallEnd::OK),
        };
        let mut trailers = HeaderMap::new();
        status::put(&status, &mut trailers);
        self.trailers = Some((trailers, end));
        self.source = Source::Done;
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.batch.is_empty()
            && let Some(large) = this.large.take()
        {
            return Poll::Ready(Some(Ok(Frame::data(large))));
        }
        // A panic ends this call, and not the connection with all the others.
        match catch_unwind(AssertUnwindSafe(|| this.fill(cx))) {
            Ok(filled) => ready!(filled),
            Err(_) => this.end(Some(gateway::Error::Panicked.into())),
        }
        this.waiting_len = 0;
        if !this.batch.is_empty() {
            let batch = std::mem::take(&mut this.batch);
            return Poll::Ready(Some(Ok(Frame::data(batch.freeze()))));
        }
        let Some((trailers, end)) = this.trailers.take() else { return Poll::Ready(None) };
        this.span.end(end);
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Done) && self.batch.is_empty() && self.large.is_none() && self.trailers.is_none()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn a_panic_in_the_middle_of_a_stream_is_its_end() {
        let reply = ResponseBody::new(Source::Panicking, CallSpan::disabled());
        let trailers = reply.collect().await.unwrap().trailers().cloned().unwrap();
        let status = tonic::Status::from_header_map(&trailers).unwrap();
        assert_eq!(status.code(), tonic::Code::Internal);
        assert!(!status.message().contains("prompt"));
    }
}
