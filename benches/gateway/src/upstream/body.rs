//! The body of an answer: all at once, or one event after the other at the pace that the model names.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use tokio::time::{Instant, Sleep};

use super::canned::{self, Canned, Form};
use crate::clock;
use crate::model::{Pace, Shape};

pub enum AnswerBody {
    Full(Option<Bytes>),
    /// A message of gRPC, then its status.
    Grpc(Option<Bytes>, Option<HeaderMap>),
    Stream(Stream),
}

pub struct Stream {
    canned: Canned,
    left: usize,
    pace: Pace,
    stamped: bool,
    sleep: Option<Pin<Box<Sleep>>>,
    has_yielded: bool,
    /// gRPC's status, for a stream of its messages.
    trailers: Option<HeaderMap>,
}

impl AnswerBody {
    pub fn full(body: impl Into<Bytes>) -> Self {
        Self::Full(Some(body.into()))
    }

    /// A message of gRPC with its five bytes, and the status OK.
    pub fn grpc(message: Bytes) -> Self {
        Self::Grpc(Some(message), Some(status_ok()))
    }

    pub fn stream(canned: Canned) -> Self {
        match canned.shape {
            Shape::Stream { chunks, pace, stamped, .. } => {
                let trailers = (canned.form == Form::Grpc).then(status_ok);
                Self::Stream(Stream { canned, left: chunks, pace, stamped, sleep: None, has_yielded: false, trailers })
            }
            _ => Self::Full(Some(canned.body)),
        }
    }
}

fn status_ok() -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))])
}

impl Stream {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        ready!(self.poll_pace(cx));
        self.left -= 1;
        let is_last = self.left == 0;
        Poll::Ready(Some(if self.stamped {
            canned::event(&format!("ts={:020} ", clock::now_ns()), is_last, self.canned.form)
        } else if is_last {
            self.canned.last.clone()
        } else {
            self.canned.body.clone()
        }))
    }

    fn poll_pace(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.pace {
            Pace::Coalesced => {}
            // hyper writes what it has when a body is pending.
            Pace::Flush if !self.has_yielded => {
                self.has_yielded = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Pace::Flush => self.has_yielded = false,
            Pace::Every(every) => {
                let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(every)));
                ready!(sleep.as_mut().poll(cx));
                let next = sleep.deadline() + every;
                sleep.as_mut().reset(next.max(Instant::now()));
            }
        }
        Poll::Ready(())
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(match self.get_mut() {
            Self::Full(body) => body.take().map(|body| Ok(Frame::data(body))),
            Self::Grpc(body, trailers) => match body.take() {
                Some(body) => Some(Ok(Frame::data(body))),
                None => trailers.take().map(|trailers| Ok(Frame::trailers(trailers))),
            },
            Self::Stream(stream) => match ready!(stream.poll_event(cx)) {
                Some(event) => Some(Ok(Frame::data(event))),
                None => stream.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))),
            },
        })
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(body) => SizeHint::with_exact(body.as_ref().map_or(0, Bytes::len) as u64),
            Self::Grpc(..) | Self::Stream(_) => SizeHint::default(),
        }
    }
}
