//! A streamed response: each event becomes a message. The end is an error unless upstream finished the response.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio_stream::{Stream, StreamExt as _};

use super::call::{Call, Message};
use super::error::Error;
use super::format::{Piece, Stop};
use super::heavy::Heavy;
use super::timer::Wake;
use super::translate::{Reading, translate_at_once, translate_on_another_thread};
use crate::gemini::json::SurrogateJoiner;
use crate::gemini::method::Method;
use crate::upstream::{self, EventStream};

/// Sends the request, and ends with the head of the response.
type Send = Pin<Box<dyn Future<Output = Result<EventStream, upstream::Error>> + std::marker::Send>>;

/// Translates a long event on another thread.
type Translating = Pin<Box<dyn Future<Output = Result<Piece, Error>> + std::marker::Send>>;

/// The messages of a streamed response. It ends without an error only if upstream finished it.
pub struct ResponseStream {
    first: Option<Message>,
    /// Dropped at the end, and with it the place in flight and the connection to upstream.
    in_flight: Option<InFlight>,
}

/// A response that has not ended.
struct InFlight {
    /// Stands before the call, because fields are dropped in this order, and a request ends before its call.
    upstream: Upstream,
    translating: Option<Translating>,
    call: Call,
    heavy: Heavy,
    reading: Reading,
    surrogates: SurrogateJoiner,
}

#[expect(clippy::large_enum_variant, reason = "events come for most of a stream's life")]
enum Upstream {
    Sending(Send),
    Events(EventStream),
}

impl ResponseStream {
    /// Awaits the first message, which may be a heartbeat.
    pub(super) async fn begin(method: Method, sending: Send, call: Call, heavy: Heavy) -> Result<Self, Error> {
        let upstream = Upstream::Sending(sending);
        let reading = Reading::new(&call, method);
        let in_flight =
            InFlight { upstream, translating: None, call, heavy, reading, surrogates: SurrogateJoiner::default() };
        let mut stream = Self { first: None, in_flight: Some(in_flight) };
        stream.first = stream.next().await.transpose()?;
        Ok(stream)
    }

    /// Whether upstream has sent what finishes the response, so that its end is close.
    pub fn is_finished(&self) -> bool {
        self.in_flight.as_ref().is_none_or(|in_flight| in_flight.call.accounting.is_finished())
    }
}

impl Stream for ResponseStream {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let Some(in_flight) = &mut self.in_flight else { return Poll::Ready(None) };
        let next = ready!(in_flight.poll_message(cx));
        if !matches!(next, Some(Ok(_))) {
            in_flight.call.end(next.as_ref().and_then(|ended| ended.as_ref().err()));
            self.in_flight = None;
        }
        Poll::Ready(next)
    }
}

impl InFlight {
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        if let Poll::Ready(answer) = self.poll_answer(cx) {
            return Poll::Ready(answer.transpose());
        }
        Poll::Ready(Some(match ready!(self.call.timer.poll(cx)) {
            Wake::Heartbeat => Ok(Message::heartbeat(&self.call.reserved)),
            Wake::End(error) => Err(error),
        }))
    }

    /// The message of the next event; `None` at the end of a response that is finished.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        if self.translating.is_none() {
            let event = ready!(self.poll_event(cx)).transpose();
            let Some(json) = event.map_err(|error| self.reading.error(error))? else {
                let finished = self.call.accounting.is_finished();
                let end = if finished { Ok(None) } else { Err(self.reading.error(upstream::Error::Unfinished)) };
                return Poll::Ready(end);
            };
            self.call.timer.upstream_progress();
            match translate_at_once(&json, &self.reading) {
                Err(Stop::Interrupted) => {
                    let translation = translate_on_another_thread(self.heavy.clone(), json, self.reading.clone());
                    self.translating = Some(Box::pin(translation));
                }
                done => return Poll::Ready(done.map_err(Stop::into_error).and_then(|piece| self.message(piece))),
            }
        }
        let Some(translating) = &mut self.translating else { return Poll::Pending };
        let piece = ready!(translating.as_mut().poll(cx));
        self.translating = None;
        self.call.timer.upstream_progress();
        Poll::Ready(piece.and_then(|piece| self.message(piece)))
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, upstream::Error>>> {
        loop {
            match &mut self.upstream {
                Upstream::Sending(sending) => {
                    let events = ready!(sending.as_mut().poll(cx));
                    self.call.accounting.answered(&self.call.config.catalog);
                    match events {
                        Ok(events) => {
                            self.reading.sent_with(events.key());
                            self.upstream = Upstream::Events(events);
                        }
                        Err(error) => return Poll::Ready(Some(Err(error))),
                    }
                }
                Upstream::Events(events) => return Pin::new(events).poll_next(cx),
            }
        }
    }

    fn message(&mut self, mut piece: Piece) -> Result<Option<Message>, Error> {
        piece.join(&mut self.surrogates)?;
        self.call.accounting.record_chunk(&piece);
        Ok(Some(Message::additional(&self.call.reserved, piece.into_payload())))
    }
}

impl fmt::Debug for ResponseStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseStream")
            .field("call", &self.in_flight.as_ref().map(|in_flight| &in_flight.call))
            .finish_non_exhaustive()
    }
}
