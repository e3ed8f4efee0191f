//! The body of a response: the messages of a call in the framing of its face, then what ends them.
//!
//! Messages that are ready together are sent together. A large one is not copied: its reservation travels inside its
//! bytes, so the limit of bytes holds for images until HTTP has sent them.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Frame;
use tokio_stream::Stream as _;

use crate::gateway::{self, Message, ResponseStream};
use crate::telemetry::{CallEnd, CallSpan};

/// Messages from this length on are not copied, in bytes; shorter ones are copied into the batch.
pub const NO_COPY_FROM: usize = 64 << 10;
/// A batch is sent once it has this many bytes.
const BATCH_BYTES: usize = 32 << 10;
/// How many batches are sent without waiting, after a turn of the scheduler that added nothing to one.
const BATCHES_WITHOUT_WAIT: u8 = 15;

/// How a face frames the messages of a response, and its end.
pub trait Framing: Send + Unpin + 'static {
    /// Adds a message to the batch. A message of at least [`NO_COPY_FROM`] bytes is returned instead, to be sent without
    /// a copy; only what comes before it is added.
    fn message(&mut self, message: Message, batch: &mut BytesMut) -> Option<Large>;

    /// Adds what ends the response to the batch. Returns the trailers, and how the call ended.
    fn end(
        &mut self,
        error: Option<gateway::Error>,
        span: &CallSpan,
        batch: &mut BytesMut,
    ) -> (Option<HeaderMap>, CallEnd);
}

/// A message that is sent without a copy.
#[derive(Debug)]
pub struct Large {
    pub bytes: Bytes,
    /// What comes after it.
    pub suffix: &'static [u8],
}

/// The body of a response.
#[derive(Debug)]
pub struct ResponseBody<F> {
    framing: F,
    source: Source,
    /// Messages that are ready to be sent.
    batch: BytesMut,
    /// The length of the batch when it began to wait for another turn.
    waiting_len: usize,
    /// How many more batches are sent without waiting.
    batches_without_wait: u8,
    /// A large message that is sent next.
    large: Option<Large>,
    /// The trailers, and how the call ended once they are sent.
    end: Option<(Option<HeaderMap>, CallEnd)>,
    /// Stands after the source, because fields are dropped in this order, and the operation ends before its call.
    span: CallSpan,
}

#[derive(Debug)]
enum Source {
    One(Option<Message>),
    Many(Box<ResponseStream>),
    /// Panics when it is polled.
    #[cfg(test)]
    Panicking,
    Done,
}

impl<F: Framing> ResponseBody<F> {
    /// The response of a call with one message.
    pub fn unary(message: Message, framing: F, span: CallSpan) -> Self {
        Self::new(Source::One(Some(message)), framing, span)
    }

    /// The response of a call with a stream of messages.
    pub fn streaming(stream: ResponseStream, framing: F, span: CallSpan) -> Self {
        // The first message leaves with the headers, which do not wait.
        Self { batches_without_wait: 1, ..Self::new(Source::Many(Box::new(stream)), framing, span) }
    }

    /// A response that panics when it is read.
    #[cfg(test)]
    pub(crate) fn panicking(framing: F) -> Self {
        Self::new(Source::Panicking, framing, CallSpan::disabled())
    }

    fn new(source: Source, framing: F, span: CallSpan) -> Self {
        Self {
            framing,
            source,
            batch: BytesMut::new(),
            waiting_len: 0,
            batches_without_wait: 0,
            large: None,
            end: None,
            span,
        }
    }

    /// Gathers the messages that are ready; pending if there is nothing to send yet.
    ///
    /// hyper returns one chunk of an HTTP/1.1 body for each turn of the scheduler, however many came in one read. So a
    /// batch waits for another turn as long as each turn adds to it, and a burst of events is sent in few writes. Once
    /// a turn adds nothing, as in a slow stream, the next batches do not wait. The last one does: the end of the response
    /// usually came in the same read, and leaves in the same write.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.batch.len() < BATCH_BYTES && self.large.is_none() {
            let messages = match &mut self.source {
                Source::Done => break,
                Source::One(message) => {
                    if let Some(message) = message.take() {
                        self.large = self.framing.message(message, &mut self.batch);
                    }
                    self.finish(None);
                    break;
                }
                Source::Many(messages) => messages,
                #[cfg(test)]
                #[expect(clippy::panic, reason = "that is what it is for")]
                Source::Panicking => panic!("the prompt"),
            };
            match Pin::new(&mut **messages).poll_next(cx) {
                Poll::Ready(Some(Ok(message))) => self.large = self.framing.message(message, &mut self.batch),
                Poll::Ready(Some(Err(error))) => self.finish(Some(error)),
                Poll::Ready(None) => self.finish(None),
                Poll::Pending if self.batch.is_empty() => return Poll::Pending,
                Poll::Pending if self.batch.len() == self.waiting_len => {
                    self.batches_without_wait = BATCHES_WITHOUT_WAIT;
                    break;
                }
                Poll::Pending if self.batches_without_wait > 0 && !messages.is_finished() => {
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

    fn finish(&mut self, error: Option<gateway::Error>) {
        self.end = Some(self.framing.end(error, &self.span, &mut self.batch));
        self.source = Source::Done;
    }
}

impl<F: Framing> http_body::Body for ResponseBody<F> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        if this.batch.is_empty()
            && let Some(Large { bytes, suffix }) = this.large.take()
        {
            this.batch.extend_from_slice(suffix);
            return Poll::Ready(Some(Ok(Frame::data(bytes))));
        }
        // A panic ends this call, and not the connection with all the others.
        match catch_unwind(AssertUnwindSafe(|| this.fill(cx))) {
            Ok(filled) => ready!(filled),
            Err(_) => this.finish(Some(gateway::Error::Panicked)),
        }
        this.waiting_len = 0;
        if !this.batch.is_empty() {
            let batch = std::mem::take(&mut this.batch);
            return Poll::Ready(Some(Ok(Frame::data(batch.freeze()))));
        }
        let Some((trailers, end)) = this.end.take() else { return Poll::Ready(None) };
        this.span.end(end);
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.source, Source::Done) && self.batch.is_empty() && self.large.is_none() && self.end.is_none()
    }
}
