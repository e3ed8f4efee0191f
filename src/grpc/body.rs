//! The body of an answer: messages with gRPC's five bytes before each, then the status.
//!
//! Ours instead of tonic's, so that a picture is not copied into a buffer on its way out and an idle
//! stream holds no buffer at all. Messages that are ready together leave together.

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
use crate::telemetry::{End, Rpc};

/// From this size a message is handed on as it is; below, it is copied behind its prefix.
const LARGE: usize = 64 << 10;
/// So much is gathered before it is sent.
const BATCH: usize = 32 << 10;
/// After a turn that brought nothing, so many batches are sent at once.
const AT_ONCE: u8 = 15;

pub(super) struct ResponseBody {
    source: Source,
    /// Messages that are ready to be sent.
    batch: BytesMut,
    /// How much there was in the batch when it was held back for a turn.
    held: usize,
    /// How many batches to send before one is held back again.
    at_once: u8,
    /// A large message whose prefix has been sent.
    large: Option<Bytes>,
    /// What comes last, and how the call has ended once it is gone.
    trailers: Option<(HeaderMap, End)>,
    /// Dropped after the source, whose call it is.
    rpc: Rpc,
}

enum Source {
    One(Option<Message>),
    Many(Box<ResponseStream>),
    /// A bug.
    #[cfg(test)]
    Panicking,
    Done,
}

impl ResponseBody {
    pub(super) fn unary(message: Message, rpc: Rpc) -> Self {
        Self::new(Source::One(Some(message)), rpc)
    }

    pub(super) fn streaming(stream: ResponseStream, rpc: Rpc) -> Self {
        Self::new(Source::Many(Box::new(stream)), rpc)
    }

    fn new(source: Source, rpc: Rpc) -> Self {
        Self { source, batch: BytesMut::new(), held: 0, at_once: 0, large: None, trailers: None, rpc }
    }

    /// Gathers what is ready; pending if there is nothing to send yet.
    ///
    /// hyper hands over the chunks of an HTTP/1.1 body one per turn of the scheduler, however many
    /// came in one read. So a batch is held back for a turn as long as each turn adds to it, and a
    /// burst of events leaves in few writes. Where a turn brings nothing, as in a slow stream, the
    /// next batches go at once.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.batch.len() < BATCH && self.large.is_none() {
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
                Poll::Pending if self.batch.len() == self.held => {
                    self.at_once = AT_ONCE;
                    break;
                }
                Poll::Pending if self.at_once > 0 => {
                    self.at_once -= 1;
                    break;
                }
                Poll::Pending => {
                    self.held = self.batch.len();
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(())
    }

    fn put(&mut self, message: Message) {
        let bytes = message.as_ref();
        let large = bytes.len() >= LARGE;
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
            Some(error) => (status::status(&error, self.rpc.request_id()), status::end(&error)),
            None => (tonic::Status::ok(""), End::OK),
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
        // A bug in one call ends that call, not the connection with all the others.
        match catch_unwind(AssertUnwindSafe(|| this.fill(cx))) {
            Ok(filled) => ready!(filled),
            Err(_) => this.end(Some(gateway::Error::Panicked.into())),
        }
        this.held = 0;
        if !this.batch.is_empty() {
            let batch = std::mem::take(&mut this.batch);
            return Poll::Ready(Some(Ok(Frame::data(batch.freeze()))));
        }
        let Some((trailers, end)) = this.trailers.take() else { return Poll::Ready(None) };
        this.rpc.end(end);
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
        let reply = ResponseBody::new(Source::Panicking, Rpc::unheard());
        let trailers = reply.collect().await.unwrap().trailers().cloned().unwrap();
        let status = tonic::Status::from_header_map(&trailers).unwrap();
        assert_eq!(status.code(), tonic::Code::Internal);
        assert!(!status.message().contains("prompt"));
    }
}
