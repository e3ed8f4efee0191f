//! A streamed answer: each event becomes a message, and the end is believed only if upstream
//! finished.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio_stream::{Stream, StreamExt as _};

use super::translate::translate;
use super::watch::Alarm;
use super::{Call, Error, Message};
use crate::upstream::{self, EventStream};

/// The request on its way, until the head of the answer is there.
type Sending = Pin<Box<dyn Future<Output = Result<EventStream, Error>> + Send>>;

/// The messages of a streamed answer. It ends without an error only if upstream finished it.
#[derive(Debug)]
pub struct Answers {
    source: Source,
    first: Option<Message>,
    /// Gone after the end, and with it the right to be in flight.
    call: Option<Call>,
    finished: bool,
}

#[expect(clippy::large_enum_variant, reason = "all of its life but the beginning it is the large one")]
enum Source {
    Sending(Sending),
    Events(EventStream),
    Ended,
}

impl Answers {
    /// Awaits the first message, which may be a heartbeat.
    pub(super) async fn begin(sending: Sending, call: Call) -> Result<Self, Error> {
        let mut answers = Self { source: Source::Sending(sending), first: None, call: Some(call), finished: false };
        match answers.next().await {
            Some(first) => answers.first = Some(first?),
            None => return Ok(answers),
        }
        Ok(answers)
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            match &mut self.source {
                Source::Sending(sending) => match ready!(sending.as_mut().poll(cx)) {
                    Ok(events) => self.source = Source::Events(events),
                    Err(error) => return Poll::Ready(Some(Err(error))),
                },
                Source::Events(events) => {
                    let event = ready!(Pin::new(events).poll_next(cx));
                    return Poll::Ready(event.map(|event| event.map_err(|error| self.theirs(error))));
                }
                Source::Ended => return Poll::Ready(None),
            }
        }
    }

    /// An error of upstream, in the light of whose key was sent.
    fn theirs(&self, error: upstream::Error) -> Error {
        match &self.call {
            Some(call) => Error::upstream(error, call.admitted.owner),
            None => Error::Upstream(error),
        }
    }

    /// A message of an event; an error if the stream ends before it is finished.
    fn step(&mut self, event: Option<Result<Bytes, Error>>) -> Option<Result<Message, Error>> {
        let Some(call) = &mut self.call else { return None };
        let json = match event {
            Some(Ok(json)) => json,
            Some(Err(error)) => return Some(Err(error)),
            None if self.finished => return None,
            None => return Some(Err(Error::Upstream(upstream::Error::Unfinished))),
        };
        call.watch.heard();
        let answer = match translate(&json, &call.admitted.key) {
            Ok(answer) => answer,
            Err(error) => return Some(Err(Error::upstream(error, call.admitted.owner))),
        };
        self.finished |= answer.view.is_finished();
        call.record.saw(&answer.view);
        Some(Ok(Message::beside(&call.held, answer.message)))
    }

    /// Lets go of upstream, which closes the connection to it, and of the call.
    fn end(&mut self, error: Option<&Error>) {
        self.source = Source::Ended;
        if let Some(mut call) = self.call.take() {
            call.record.end(error);
        }
    }
}

impl Stream for Answers {
    type Item = Result<Message, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        let step = match this.poll_event(cx) {
            Poll::Ready(event) => this.step(event),
            Poll::Pending => {
                let Some(call) = &mut this.call else { return Poll::Ready(None) };
                match ready!(call.watch.poll(cx)) {
                    // No field is set in an empty message, and every client can read it.
                    Alarm::Beat => return Poll::Ready(Some(Ok(Message::beside(&call.held, Vec::new())))),
                    Alarm::Over(error) => Some(Err(error)),
                }
            }
        };
        match &step {
            Some(Ok(_)) => {}
            Some(Err(error)) => this.end(Some(error)),
            None => this.end(None),
        }
        Poll::Ready(step)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sending(_) => "Sending",
            Self::Events(_) => "Events",
            Self::Ended => "Ended",
        })
    }
}
