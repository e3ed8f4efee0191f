//! The body of a response over REST.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::framing::JsonFraming;
use crate::face::ResponseBody;
use crate::gateway::{Message, ResponseStream};
use crate::telemetry::{CallEnd, CallSpan};

/// The body of a response: all of it at once, or a stream.
#[derive(Debug)]
pub struct Body(Kind);

#[derive(Debug)]
enum Kind {
    /// The bytes, and the call that ends well when they are sent.
    Full(Option<Bytes>, Option<CallSpan>),
    Stream(Box<ResponseBody<JsonFraming>>),
}

impl Body {
    /// A body of these bytes.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Kind::Full(Some(bytes.into()).filter(|bytes| !bytes.is_empty()), None))
    }

    /// The response of a call with one message.
    pub(super) fn message(message: Message, span: CallSpan) -> Self {
        Self(Kind::Full(Some(message.into_bytes()), Some(span)))
    }

    /// The response of a call with a stream of messages.
    pub(super) fn stream(stream: ResponseStream, framing: JsonFraming, span: CallSpan) -> Self {
        Self(Kind::Stream(Box::new(ResponseBody::streaming(stream, framing, span))))
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::full(Bytes::new())
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.get_mut().0 {
            Kind::Full(bytes, span) => {
                if let Some(span) = span.take() {
                    span.end(CallEnd::OK);
                }
                Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes))))
            }
            Kind::Stream(stream) => Pin::new(&mut **stream).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Full(bytes, _) => bytes.is_none(),
            Kind::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Full(bytes, _) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Stream(_) => SizeHint::default(),
        }
    }
}
